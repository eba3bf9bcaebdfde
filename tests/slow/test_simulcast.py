"""A running show on its way to real servers: two of nginx-rtmp, one of them behind TLS, and two
that never take a stream. Each is killed in turn; nothing else notices."""

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from e2e.people import eventually
from slow.counterparts import need
from slow.nginx_rtmp import MODULE, Nginx
from smtp_server import certificate
from video_house import VideoHouse, free_ports, video_house

pytestmark = pytest.mark.slow

KEYS = {"plain": "nginx-key-plain-4711", "secure": "nginx-key-secure-4712"}
TOLD_WITHIN_SECONDS = 5.0
BACK_WITHIN_SECONDS = 12.0
"""A leg that fails again and again waits up to 8 s by then."""
_LONGEST_STEP_SECONDS = 0.05
"""Between two pictures of one recording: all of the film's 30 a second are there."""
_FILM_SECONDS = 180
_KBIT = 800


@dataclass
class Front:
    """Ends TLS in front of a server, as operators put it there."""

    port: int
    inner_port: int
    tls: ssl.SSLContext
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Front"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.inner_port)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(_copy(reader, outer)),
            asyncio.create_task(_copy(inner, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            outer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass


@dataclass
class Viewer:
    """Follows the playlist, and keeps what it saw of it."""

    house: VideoHouse
    longest_wait: float = 0.0
    discontinuities: int = 0

    async def watch(self) -> None:
        newest, came_at = [""], time.monotonic()
        while True:
            status, text = await self.house.fetch("GET", f"{self.house.hls}/video/live.m3u8")
            assert status == 200, text
            self.discontinuities += "#EXT-X-DISCONTINUITY\n" in text
            last = [line for line in text.splitlines() if line.startswith("#EXT-X-PART:")][-1:]
            now = time.monotonic()
            if last != newest:
                newest, came_at = last, now
            self.longest_wait = max(self.longest_wait, now - came_at)
            await asyncio.sleep(0.1)  # between two looks


@dataclass
class Scene:
    house: VideoHouse
    plain: Nginx
    secure: Nginx
    ids: dict[str, str]
    film: Path

    async def legs(self) -> dict[str, dict[str, Any]]:
        told = await self.house.call("GET", f"/api/shows/{self.house.show_id}/simulcast")
        return {leg["name"]: leg for leg in told["legs"]}

    async def until(
        self, name: str, says: Callable[[dict[str, Any]], object], *, within: float
    ) -> dict[str, Any]:
        async def found() -> Any:
            leg = (await self.legs())[name]
            return leg if says(leg) else None

        try:
            return dict(await eventually(found, f"{name} to say so", within=within))
        except AssertionError:
            raise AssertionError(f"{await self.legs()}\n{self.house.log[-3000:]}") from None

    async def until_state(self, name: str, state: str, *, within: float) -> dict[str, Any]:
        return await self.until(name, lambda leg: leg["state"] == state, within=within)

    async def assert_undisturbed(self, before: dict[str, Any]) -> None:
        leg = (await self.legs())[before["name"]]
        same = ("state", "since", "left_out_seconds", "reconnects")
        assert [leg[one] for one in same] == [before[one] for one in same], leg
        assert leg["kbit_per_second"] > _KBIT / 4, leg


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    need("nginx", "ffmpeg", "ffprobe", files=(MODULE,))
    (tmp_path / "tls").mkdir()
    server_tls, _ = certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "certificate.pem"))
    film = tmp_path / "film.flv"
    await asyncio.to_thread(_make_film, film)
    ports = free_ports(5)
    plain, secure = Nginx(tmp_path / "plain", ports[0]), Nginx(tmp_path / "secure", ports[1])
    front = Front(ports[2], secure.port, server_tls)

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # to the end of what is sent: not one byte comes back
        writer.transport.abort()

    mute = await asyncio.start_server(never_answer, "127.0.0.1", ports[4])
    urls = {
        "plain": f"rtmp://127.0.0.1:{plain.port}/live",
        "secure": f"rtmps://127.0.0.1:{front.port}/live",
        "dead": f"rtmp://127.0.0.1:{ports[3]}/live",
        "mute": f"rtmp://127.0.0.1:{ports[4]}/live",
    }
    try:
        for nginx in (plain, secure):
            nginx.start()
            await nginx.until_ready()
        async with (
            front.running(),
            video_house(tmp_path / "house", SYNDICATION__PRIVATE_ADDRESSES="true") as house,
        ):
            ids = {}
            for name, url in urls.items():
                given = {"name": name, "url": url, "key": KEYS.get(name, "nobody-reads-this")}
                ids[name] = (await house.call("POST", "/api/destinations", given))["id"]
            yield Scene(house, plain, secure, ids, film)
    finally:
        mute.close()
        for nginx in (plain, secure):
            nginx.stop()


async def test_each_destination_falls_and_comes_back_and_nothing_else_notices(
    scene: Scene,
) -> None:
    house = scene.house
    for id_ in scene.ids.values():
        path = f"/api/shows/{house.show_id}/simulcast/{id_}"
        await house.call("PUT", path, {"is_on": True})
    assert {leg["state"] for leg in (await scene.legs()).values()} == {"waiting"}
    with _encoder(scene.film, await house.ingest()):
        await house.until_playable()
        for name in ("plain", "secure"):
            await scene.until_state(name, "live", within=TOLD_WITHIN_SECONDS)
        dead = await scene.until_state("dead", "retrying", within=TOLD_WITHIN_SECONDS)
        assert "Nobody listens" in dead["detail"]
        mute = await scene.until_state("mute", "retrying", within=TOLD_WITHIN_SECONDS + 2)
        assert "did not answer" in mute["detail"]
        viewer = Viewer(house)
        watching = asyncio.create_task(viewer.watch())
        await asyncio.sleep(4)
        await _fall(scene, "plain", scene.plain, "secure")
        await _fall(scene, "secure", scene.secure, "plain")
        await _hang(scene, "plain", scene.plain, "secure")
        watching.cancel()
        (ended,) = await asyncio.gather(watching, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        assert viewer.discontinuities == 0
        assert viewer.longest_wait < 2, viewer.longest_wait
        await house.call("POST", f"/api/shows/{house.show_id}/state", {"to": "ended"})
        await asyncio.sleep(2)
    for nginx in (scene.plain, scene.secure):
        nginx.stop()
    assert not any(key in house.log for key in KEYS.values())
    assert [len(nginx.recordings) for nginx in (scene.plain, scene.secure)] == [3, 2]
    for path in (*scene.plain.recordings, *scene.secure.recordings):
        assert await asyncio.to_thread(_decoded, path) == "", path.name
        longest, first = await asyncio.to_thread(_steps, path)
        assert first < 0.1, path.name
        # What the other's fall would have left in it.
        assert longest <= _LONGEST_STEP_SECONDS, path.name


async def _fall(scene: Scene, name: str, nginx: Nginx, other: str) -> None:
    before = (await scene.legs())[other]
    nginx.kill()
    leg = await scene.until_state(name, "retrying", within=TOLD_WITHIN_SECONDS)
    assert leg["detail"]
    await asyncio.sleep(4)
    await scene.assert_undisturbed(before)
    reconnects = leg["reconnects"]
    nginx.start()
    leg = await scene.until_state(name, "live", within=BACK_WITHIN_SECONDS)
    assert leg["reconnects"] == reconnects + 1
    assert leg["left_out_seconds"] > 2
    assert leg["detail"] is None
    await scene.until(name, lambda leg: (leg["kbit_per_second"] or 0) > _KBIT / 4, within=5)
    await asyncio.sleep(3)


async def _hang(scene: Scene, name: str, nginx: Nginx, other: str) -> None:
    """It is there, its system takes what is sent for a while, and it does nothing."""
    before = (await scene.legs())[other]
    nginx.freeze()
    leg = await scene.until_state(name, "retrying", within=TOLD_WITHIN_SECONDS)
    assert "hangs" in leg["detail"]
    nginx.thaw()
    await scene.until_state(name, "live", within=BACK_WITHIN_SECONDS)
    await scene.assert_undisturbed(before)
    await asyncio.sleep(3)


def _make_film(path: Path) -> None:
    """Encoded before the test, since a busy encoder skips pictures itself."""
    made = _run(
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", str(_FILM_SECONDS)),
        *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"),
        *("-pix_fmt", "yuv420p", "-b:v", f"{_KBIT}k", "-minrate", f"{_KBIT}k"),
        *("-maxrate", f"{_KBIT}k", "-bufsize", f"{_KBIT}k", "-x264-params", "nal-hrd=cbr"),
        *("-c:a", "aac", "-b:a", "96k", "-ar", "48000", str(path)),
    )
    assert made.returncode == 0, made.stderr


@contextmanager
def _encoder(film: Path, address: str) -> Iterator[None]:
    """ffmpeg sends the film in real time."""
    process = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-re", "-i", str(film), "-c", "copy", "-f", "flv", address],
        stdin=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _decoded(path: Path) -> str:
    """What ffmpeg has to complain of."""
    return _run("ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-").stderr.strip()


def _steps(path: Path) -> tuple[float, float]:
    """The longest time between two pictures, and the first one's."""
    told = _run(
        *("ffprobe", "-v", "error", "-select_streams", "v", "-of", "json"),
        *("-show_entries", "packet=dts_time", str(path)),
    )
    times = [float(packet["dts_time"]) for packet in json.loads(told.stdout)["packets"]]
    assert len(times) > 20, path.name
    return max(later - earlier for earlier, later in pairwise(times)), times[0]


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
