"""A running demo for the browser tests: a process of its own, its addresses, and its API."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

READY_WITHIN_SECONDS = 300.0  # a first start on a machine draws pictures and encodes the film
ANSWERS_WITHIN_SECONDS = 15.0
STOPS_WITHIN_SECONDS = 15.0
ROOT = Path(__file__).resolve().parents[2]
CLI = (sys.executable, "-m", "liveshop", "demo")


class Refused(Exception):
    """The API said no; `code` is the problem's."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.code = problem.get("code")


class House:
    """A demo on loopback. `start` after `kill` opens the same data on the same port again."""

    def __init__(self, data: Path, command: Sequence[str] = CLI) -> None:
        self.data = data
        self._command = command
        self._log = data.parent / f"{data.name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()
        self.addresses: dict[str, str] = {}

    async def start(self) -> None:
        """Returns once everything answers. Raises AssertionError with the server's last words."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                "--port",
                str(self.port),
                "--json",
                "--data",
                str(self.data),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            line = await self._process.stdout.readline()
        assert line.startswith(b"{"), f"the demo did not start:\n{self.last_words()}"
        self.addresses = json.loads(line)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """kill -9: no goodbye, nothing flushed."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(how)
        try:
            async with asyncio.timeout(STOPS_WITHIN_SECONDS):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise AssertionError(f"the demo did not stop:\n{self.last_words()}") from None

    def last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]

    @property
    def base(self) -> str:
        return self.addresses["api"].removesuffix("/api")

    @property
    def storefront(self) -> str:
        return self.addresses["storefront"]

    @property
    def studio(self) -> str:
        return self.addresses["studio"]

    @property
    def desk(self) -> str:
        return self.addresses["desk"]

    @property
    def show_id(self) -> str:
        return self.addresses["show_id"]

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str
    ) -> Any:
        """One API call; the decoded answer. Raises Refused."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=ANSWERS_WITHIN_SECONDS)
        async with (
            aiohttp.ClientSession(self.base, timeout=timeout) as client,
            client.request(method, path, json=body, headers=headers) as answer,
        ):
            text = await answer.text()
            if answer.status >= 400:
                raise Refused(answer.status, json.loads(text))
            return json.loads(text) if text else None

    async def host(self, method: str, path: str, body: Any = None) -> Any:
        return await self.call(method, path, body, token=self.addresses["host_token"])

    async def merchant(self, method: str, path: str, body: Any = None) -> Any:
        return await self.call(method, path, body, token=self.addresses["merchant_token"])

    async def products(self) -> dict[str, dict[str, Any]]:
        """All products by title."""
        listed = (await self.call("GET", "/api/products?limit=50"))["products"]
        return {product["title"]: product for product in listed}

    async def product(self, title: str) -> dict[str, Any]:
        return (await self.products())[title]

    async def variant(self, title: str, *values: str) -> dict[str, Any]:
        """A variant as the API tells it now."""
        product = await self.product(title)
        return next(v for v in product["variants"] if v["values"] == list(values))

    async def new_show(
        self, title: str, *product_titles: str, state: str = "draft", starts_at: str | None = None
    ) -> str:
        """A show of its own, so that a test disturbs no other; its id. Of an ended one nothing is
        to be seen again."""
        known = await self.products()
        show = await self.host(
            "POST",
            "/api/shows",
            {
                "title": title,
                "starts_at": starts_at,
                "host_name": "Maja Lindholm",
                "languages": ["en", "de"],
                "time_zone": "Europe/Berlin",
                "product_ids": [known[name]["id"] for name in product_titles],
            },
        )
        steps = {
            "draft": (),
            "scheduled": ("scheduled",),
            "live": ("live",),
            "ended": ("live", "ended"),
        }
        for step in steps[state]:
            await self.move(show["id"], step)
        if state == "ended":  # else what was recorded in between makes it a replay
            await self.host("DELETE", f"/api/shows/{show['id']}/recording")
        return str(show["id"])

    async def move(self, show_id: str, to: str) -> None:
        await self.host("POST", f"/api/shows/{show_id}/state", {"to": to})

    async def someone(self, name: str = "") -> "Someone":
        """A guest without a browser: says something when a test needs another voice."""
        guest = await self.call("POST", "/api/guests", {})
        if name:
            await self.call("PUT", "/api/me", {"name": name}, token=guest["token"])
        return Someone(self, guest["token"])


class Someone:
    def __init__(self, house: House, token: str) -> None:
        self._house = house
        self.token = token

    @asynccontextmanager
    async def watching(self, show_id: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        url = f"{self._house.base.replace('http', 'ws', 1)}/live/{show_id}"
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(url, protocols=["liveshop.v1", f"bearer.{self.token}"]) as line,
        ):
            yield line

    async def say(self, show_id: str, *texts: str) -> None:
        async with asyncio.timeout(ANSWERS_WITHIN_SECONDS), self.watching(show_id) as line:
            for number, text in enumerate(texts, start=1):
                await line.send_json({"id": number, "t": "chat.send", "text": text})
                while (frame := await line.receive_json()).get("id") != number:
                    pass
                assert "ok" in frame, frame


def free_port() -> int:
    """A port with two free neighbours: the demo puts its storefront next to the server, and the
    port for encoders next to that."""
    deadline = time.monotonic() + ANSWERS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with ExitStack() as bound:
            first = bound.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for neighbour in (port + 1, port + 2):
                    bound.enter_context(socket.socket()).bind(("127.0.0.1", neighbour))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no three free ports next to each other")
