"""Chromium with tabs that really go into the background, over its DevTools protocol.

Playwright keeps every page visible and its timers running, which people's browsers do not.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from e2e.people import arguments, executable

_STARTS_WITHIN_SECONDS: Final = 30.0
_ANSWERS_WITHIN_SECONDS: Final = 30.0
_STOPS_WITHIN_SECONDS: Final = 10.0
_LISTENS: Final = re.compile(rb"DevTools listening on (ws://\S+)")


class DevToolsError(Exception):
    """The browser refused a command, or a script threw."""


@dataclass(slots=True)
class Chromium:
    _line: aiohttp.ClientWebSocketResponse
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _asked: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)

    async def command(self, method: str, *, session: str = "", **params: Any) -> Any:
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        message = {"id": number, "method": method, "params": params}
        await self._line.send_json(message | ({"sessionId": session} if session else {}))
        async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
            return await answer

    async def listen(self) -> None:
        async for message in self._line:
            told = json.loads(message.data)
            answer = self._asked.pop(told.get("id", 0), None)
            if answer is None or answer.done():
                continue
            if "error" in told:
                answer.set_exception(DevToolsError(told["error"]["message"]))
            else:
                answer.set_result(told["result"])

    async def new_tab(self) -> "Tab":
        """In front of those before it."""
        made = await self.command("Target.createTarget", url="about:blank")
        target = made["targetId"]
        attached = await self.command("Target.attachToTarget", targetId=target, flatten=True)
        tab = Tab(self, target, attached["sessionId"])
        await tab.command("Page.enable")
        return tab


@dataclass(frozen=True, slots=True)
class Tab:
    browser: Chromium
    target: str
    session: str

    async def command(self, method: str, **params: Any) -> Any:
        return await self.browser.command(method, session=self.session, **params)

    async def goto(self, url: str) -> None:
        told = await self.command("Page.navigate", url=url)
        assert not told.get("errorText"), told

    async def to_front(self) -> None:
        await self.browser.command("Target.activateTarget", targetId=self.target)

    async def evaluate(self, function: str, given: Any = None) -> Any:
        """What the function makes of `given`, awaited; both as JSON. Raises DevToolsError."""
        told = await self.command(
            "Runtime.evaluate",
            expression=f"({function})({json.dumps(given)})",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in told:
            raise DevToolsError(str(told["exceptionDetails"].get("exception", told)))
        return told["result"].get("value")


@asynccontextmanager
async def opened(folder: Path, *more: str) -> AsyncIterator[Chromium]:
    """A started one with a profile of its own in `folder`. `more`: arguments."""
    process = await asyncio.create_subprocess_exec(
        *(executable(), *arguments(), *more, "--headless=new", "--remote-debugging-port=0"),
        *(f"--user-data-dir={folder / 'chromium'}", "about:blank"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[Any] | None = None
    try:
        async with asyncio.timeout(_STARTS_WITHIN_SECONDS):
            while not (found := _LISTENS.search(line := await process.stderr.readline())):
                assert line, "Chromium ended before it listened"
        reading = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(found[1].decode(), max_msg_size=0) as socket,
        ):
            browser = Chromium(socket)
            listening = asyncio.create_task(browser.listen())
            try:
                yield browser
            finally:
                listening.cancel()
    finally:
        for stop in (process.terminate, process.kill):
            with suppress(ProcessLookupError):
                stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOPS_WITHIN_SECONDS):
                    await process.wait()
                    break
        if reading is not None:
            reading.cancel()
