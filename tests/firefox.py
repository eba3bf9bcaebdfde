"""Debian's Firefox, driven over WebDriver BiDi: no driver program, no build of somebody else's.

    async with firefox.opened(folder) as browser:
        page = await browser.new_page()
        await page.goto("http://127.0.0.1:8080/")
        title = await page.evaluate("() => document.title")

A page knows what tests of the player use of a Playwright page: `goto`, `evaluate`, `until`,
`click`. https://w3c.github.io/webdriver-bidi/
"""

import asyncio
import base64
import itertools
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

PROGRAM: Final = "firefox-esr"
LOUDSPEAKER: Final = "pulseaudio"
"""Without any, Firefox's clock of sound stands still."""
_STARTS_WITHIN_SECONDS: Final = 60.0
_ANSWERS_WITHIN_SECONDS: Final = 60.0
_STOPS_WITHIN_SECONDS: Final = 10.0
_LEAVES_WITHIN_SECONDS: Final = 3.0
_LISTENS: Final = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_PREFERENCES: Final[Mapping[str, Any]] = {
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.navigator.permission.disabled": True,
    # Its own fake camera and microphone, where no painted one takes their place.
    "media.navigator.streams.fake": True,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "services.settings.server": "data:,",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class BidiError(Exception):
    """The browser refused a command, or a script threw."""


@dataclass(slots=True)
class Firefox:
    _line: aiohttp.ClientWebSocketResponse
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _asked: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    """What pages wrote to their console as errors, and what they did not catch."""

    async def command(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        await self._line.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
            return await answer

    async def add_init_script(self, script: str) -> None:
        """Run before any script of each page opened from now on."""
        await self.command("script.addPreloadScript", functionDeclaration=f"() => {{{script}}}")

    async def new_page(self) -> "Page":
        made = await self.command("browsingContext.create", type="tab")
        return Page(self, made["context"])

    async def listen(self) -> None:
        async for message in self._line:
            told = json.loads(message.data)
            if told["type"] == "event":
                self._happened(told["method"], told["params"])
                continue
            answer = self._asked.pop(told["id"], None)
            if answer is None or answer.done():
                continue
            if told["type"] == "error":
                answer.set_exception(BidiError(f"{told['error']}: {told['message']}"))
            else:
                answer.set_result(told["result"])
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(BidiError("Firefox is gone"))

    def _happened(self, method: str, about: dict[str, Any]) -> None:
        if method == "log.entryAdded" and about["level"] == "error":
            self.said.append(str(about["text"]))


@dataclass(frozen=True, slots=True)
class Page:
    browser: Firefox
    context: str

    async def goto(self, url: str) -> None:
        await self.browser.command(
            "browsingContext.navigate", context=self.context, url=url, wait="complete"
        )

    async def evaluate(self, function: str, given: Any = None) -> Any:
        """What the function makes of `given`, awaited; both as JSON. Raises BidiError."""
        answer = await self.browser.command(
            "script.callFunction",
            functionDeclaration=(
                f"async (given) => JSON.stringify(await ({function})(JSON.parse(given))) ?? null"
            ),
            arguments=[{"type": "string", "value": json.dumps(given)}],
            target={"context": self.context},
            awaitPromise=True,
            userActivation=True,
        )
        if answer["type"] == "exception":
            raise BidiError(answer["exceptionDetails"]["text"])
        told = answer["result"].get("value")
        return None if told is None else json.loads(told)

    async def until(self, function: str, what: str, *, within: float = 30.0) -> Any:
        """The first truthy value of a function of the page. Raises AssertionError."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            value = await self.evaluate(function)
            if value:
                return value
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"{what}: not within {within} s; {self.browser.said[-5:]}"
            await asyncio.sleep(0.1)  # between two questions

    async def click(self, test_id: str, *, within: float = 30.0) -> None:
        """As a person clicks who sees it. The element may be in any open shadow root."""
        place = await self.until(
            _FIND % json.dumps(test_id),
            f"{test_id} to be there and enabled",
            within=within,
        )
        down = {"type": "pointerDown", "button": 0}
        move = {"type": "pointerMove", "x": round(place["x"]), "y": round(place["y"])}
        await self.browser.command(
            "input.performActions",
            context=self.context,
            actions=[
                {
                    "type": "pointer",
                    "id": "mouse",
                    "actions": [move, down, {"type": "pointerUp", "button": 0}],
                }
            ],
        )

    async def fill(self, test_id: str, text: str) -> None:
        await self.click(test_id)
        keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        await self.browser.command(
            "input.performActions",
            context=self.context,
            actions=[{"type": "key", "id": "keyboard", "actions": keys}],
        )

    async def screenshot(self, path: Path) -> None:
        shot = await self.browser.command("browsingContext.captureScreenshot", context=self.context)
        path.write_bytes(base64.b64decode(shot["data"]))


_FIND = """() => {
  const find = (root) => {
    for (const each of root.querySelectorAll("*")) {
      if (each.dataset?.testid === %s) {
        const box = each.getBoundingClientRect();
        if (box.width && !each.disabled) return each;
      }
      const inside = each.shadowRoot && find(each.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  const found = find(document);
  if (!found) return null;
  found.scrollIntoView({block: "center", behavior: "instant"});
  const box = found.getBoundingClientRect();
  return {x: box.x + box.width / 2, y: box.y + box.height / 2};
}"""


@asynccontextmanager
async def _loudspeaker() -> AsyncIterator[str]:
    """One that nobody hears, as machines in a rack have none; yields its address."""
    # The path of a socket has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        path = Path(folder) / "socket"
        process = await asyncio.create_subprocess_exec(
            *(LOUDSPEAKER, "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("-L", "module-null-sink rate=48000"),
            *("-L", f"module-native-protocol-unix auth-anonymous=1 socket={path}"),
            env={**os.environ, "HOME": folder, "XDG_RUNTIME_DIR": folder},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_STARTS_WITHIN_SECONDS):
                while not path.exists():
                    assert process.returncode is None, "PulseAudio ended"
                    await asyncio.sleep(0.05)  # between two looks
            yield f"unix:{path}"
        finally:
            await _end(process)


@asynccontextmanager
async def opened(folder: Path, **preferences: Any) -> AsyncIterator[Firefox]:
    """A started one with a profile of its own in `folder`."""
    async with _loudspeaker() as sound, _started(folder, sound, preferences) as browser:
        yield browser


@asynccontextmanager
async def _started(
    folder: Path, sound: str, preferences: Mapping[str, Any]
) -> AsyncIterator[Firefox]:
    profile = folder / "firefox"
    profile.mkdir(parents=True)
    prefs = {**_PREFERENCES, **preferences}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(prefs[name])});" for name in prefs]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "--headless", "--no-remote", "--width", "1280", "--height", "900"),
        *("--remote-debugging-port", "0", "--profile", str(profile), "about:blank"),
        env={**os.environ, "PULSE_SERVER": sound},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[Any] | None = None
    try:
        async with asyncio.timeout(_STARTS_WITHIN_SECONDS):
            while not (found := _LISTENS.search(line := await process.stderr.readline())):
                assert line, "Firefox ended before it listened"
        reading = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{found[1].decode()}/session", max_msg_size=0) as socket,
        ):
            browser = Firefox(socket)
            listening = asyncio.create_task(browser.listen())
            try:
                await browser.command("session.new", capabilities={})
                await browser.command("session.subscribe", events=["log.entryAdded"])
                yield browser
                with suppress(BidiError, TimeoutError):
                    await browser.command("browser.close")
            finally:
                listening.cancel()
    finally:
        await _end(process)
        if reading is not None:
            reading.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    for stop in (None, process.terminate, process.kill):
        if stop is not None:
            with suppress(ProcessLookupError):
                stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOPS_WITHIN_SECONDS if stop else _LEAVES_WITHIN_SECONDS):
                await process.wait()
                return
