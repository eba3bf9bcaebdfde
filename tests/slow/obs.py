"""Debian's OBS Studio without a screen: a custom server, a key, the simple output's defaults.

It is asked and told things through its own remote control, obs-websocket 5.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

_NAME: Final = "Live"
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 15.0

_GLOBAL = """\
[General]
FirstRun=true
LastVersion=486539266
EnableAutoUpdates=false
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false
[Basic]
Profile={name}
ProfileDir={name}
SceneCollection={name}
SceneCollectionFile={name}
ConfigOnNewProfile=false
[BasicWindow]
ShowTransitions=false
SysTrayEnabled=false
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AlertsEnabled=false
AuthRequired=false
"""

_PROFILE = """\
[General]
Name={name}
[Output]
Mode=Simple
[SimpleOutput]
StreamEncoder=x264
VBitrate={kbit}
ABitrate=128
UseAdvanced={advanced}
Preset=veryfast
x264Settings={x264}
[Video]
BaseCX={width}
BaseCY={height}
OutputCX={width}
OutputCY={height}
FPSType=0
FPSCommon=30
[Audio]
SampleRate=48000
ChannelSetup=Stereo
"""


def _scene(width: int, height: int) -> dict[str, Any]:
    colour: dict[str, Any] = {
        "id": "color_source_v3",
        "versioned_id": "color_source_v3",
        "name": "Paper",
        "settings": {"color": 0xFF4080C0, "width": width, "height": height},
        "enabled": True,
        "volume": 1.0,
    }
    scene: dict[str, Any] = {
        "id": "scene",
        "name": "Table",
        "settings": {
            "id_counter": 1,
            "items": [{"id": 1, "name": "Paper", "visible": True, "scale": {"x": 1.0, "y": 1.0}}],
        },
        "enabled": True,
    }
    return {
        "name": _NAME,
        "current_scene": "Table",
        "current_program_scene": "Table",
        "scene_order": [{"name": "Table"}],
        "sources": [colour, scene],
        "transitions": [],
        "current_transition": "Cut",
        "transition_duration": 300,
    }


@dataclass(slots=True)
class Obs:
    home: Path
    control_port: int
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        """What OBS itself writes down."""
        logs = sorted((self.home / ".config/obs-studio/logs").glob("*.txt"))
        return logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""

    async def status(self) -> dict[str, Any]:
        """`outputActive`, `outputReconnecting`, `outputSkippedFrames` and more."""
        return await self._ask("GetStreamStatus")

    async def stop_streaming(self) -> None:
        """Its user presses the button: OBS says goodbye to the server."""
        await self._ask("StopStream")

    async def _ask(self, request: str) -> dict[str, Any]:
        """Waits until OBS is up and answers."""
        url = f"http://127.0.0.1:{self.control_port}"
        async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as client:
            while True:
                try:
                    return await self._told(client, url, request)
                except (aiohttp.ClientError, TypeError):
                    assert self.process.poll() is None, self.log[-3000:]
                    await asyncio.sleep(0.2)  # between two questions

    async def _told(self, client: aiohttp.ClientSession, url: str, request: str) -> dict[str, Any]:
        async with client.ws_connect(url, protocols=["obswebsocket.json"]) as line:
            await line.receive_json()
            await line.send_json({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 0}})
            await line.receive_json()
            await line.send_json({"op": 6, "d": {"requestType": request, "requestId": "1"}})
            answer = (await line.receive_json())["d"]
        assert answer["requestStatus"]["result"], answer
        return dict(answer.get("responseData") or {})

    def vanish(self) -> None:
        self.process.kill()
        self.process.wait(_STOP_SECONDS)


def write_home(
    home: Path,
    *,
    server: str,
    key: str,
    control_port: int,
    width: int,
    height: int,
    kbit: int,
    x264: str,
) -> None:
    studio = home / ".config" / "obs-studio"
    profile = studio / "basic" / "profiles" / _NAME
    scenes = studio / "basic" / "scenes"
    profile.mkdir(parents=True)
    scenes.mkdir(parents=True)
    (studio / "global.ini").write_text(
        _GLOBAL.format(name=_NAME, port=control_port), encoding="utf-8"
    )
    (profile / "basic.ini").write_text(
        _PROFILE.format(
            name=_NAME,
            kbit=kbit,
            width=width,
            height=height,
            x264=x264,
            advanced="true" if x264 else "false",
        ),
        encoding="utf-8",
    )
    service = {"type": "rtmp_custom", "settings": {"server": server, "key": key, "use_auth": False}}
    (profile / "service.json").write_text(json.dumps(service), encoding="utf-8")
    (scenes / f"{_NAME}.json").write_text(json.dumps(_scene(width, height)), encoding="utf-8")


@contextmanager
def streaming(
    folder: Path,
    *,
    display: str,
    server: str,
    key: str,
    control_port: int,
    width: int = 640,
    height: int = 360,
    kbit: int = 1000,
    x264: str = "",
) -> Iterator[Obs]:
    """OBS that begins to stream as soon as it is up."""
    home = folder / "home"
    write_home(
        home,
        server=server,
        key=key,
        control_port=control_port,
        width=width,
        height=height,
        kbit=kbit,
        x264=x264,
    )
    program = shutil.which("obs")
    assert program is not None
    process = subprocess.Popen(
        [program, "--startstreaming", "--multi", "--collection", _NAME, "--profile", _NAME],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(folder),
            "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "QT_QPA_PLATFORM": "xcb",
            "LANG": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    obs = Obs(home, control_port, process)
    try:
        yield obs
    finally:
        obs.vanish()


@contextmanager
def screen() -> Iterator[str]:
    """Xvfb; yields its display."""
    program = shutil.which("Xvfb")
    assert program is not None
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", "1280x720x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
