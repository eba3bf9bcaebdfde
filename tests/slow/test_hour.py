"""An hour of show in some minutes: as much happens as in an hour, as fast as it goes.

Afterwards the server has the memory, tasks, sockets and files it had after the first minutes.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import builders
import nodes_house
import pytest
from nodes_house import GONE, Frames, House, NodeProcess

from liveshop.app import wire
from liveshop.kernel.clock import SystemClock
from liveshop.storage import Database

pytestmark = pytest.mark.slow

CHATTERS, BUYERS, DOORS = 40, 6, 8
LOOKS = 8
LOG_SIZE = 2000
_ANSWER = re.compile(rb'\{"id":\d+,"(?:ok|error)":\{("message_id")?')
_TAIL_BYTES = 300
_UNANSWERED = 3
"""What a chatter says before he waits for answers."""
GONE_WITH_THE_VIEWERS = (
    "liveshop.realtime.viewer.Viewer",
    "liveshop.realtime.commands.Session",
    "liveshop.realtime.protocol.Peer",
    "liveshop.realtime.socket._Door",
    "aiohttp.web_ws.WebSocketResponse",
    "aiohttp._websocket.models.WSMessageTextBytes",
)
FLAT = 1.05
"""What memory may be at the end, by what it was after the first eighth."""


@dataclass(frozen=True)
class Hour:
    """How much happens."""

    messages: int
    visits: int
    orders: int

    def part(self, share: float) -> "Hour":
        return Hour(*(round(share * one) for one in (self.messages, self.visits, self.orders)))


HOUR = Hour(messages=200_000, visits=20_000, orders=1_200)


@dataclass
class Kept:
    """What the server holds on to. `kinds`: objects by type; `tasks`: by the function they run."""

    rss_kb: int
    files: Counter[str]
    objects: int
    blocks: int
    kinds: Counter[str]
    tasks: Counter[str]

    def ours(self) -> int:
        """Objects of the server, of what serves it and of what it waits for."""
        return sum(
            count
            for kind, count in self.kinds.items()
            if kind.startswith(("liveshop.", "aiohttp.", "asyncio.", "_asyncio.", "uvloop."))
        )


@dataclass
class Server:
    house: House
    process: asyncio.subprocess.Process
    answer: Path

    @property
    def node(self) -> NodeProcess:
        return self.house.nodes[0]

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1])

    def files(self) -> Counter[str]:
        kinds: Counter[str] = Counter()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                kinds[re.sub(r"[\[:]\[?\d+\]?$", "", os.readlink(link))] += 1
        return kinds

    async def kept(self) -> Kept:
        self.answer.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(60):
            while not self.answer.exists():
                await asyncio.sleep(0.05)
        told = json.loads(self.answer.read_text())
        return Kept(
            self.rss_kb(),
            self.files(),
            told["objects"],
            told["blocks"],
            Counter(told["kinds"]),
            Counter(told["tasks"]),
        )


@contextlib.asynccontextmanager
async def served(folder: Path, broker: str) -> AsyncIterator[Server]:
    settings = {
        "realtime.broker": broker,
        "realtime.log_size": LOG_SIZE,
        "chat.readable_per_second": 25,
        "chat.rate_per_10_seconds": 100_000,
        "log_level": "warning",
    }
    if broker == "memory":
        settings["realtime.redis_url"] = ""
    async with nodes_house.house(
        folder, nodes=1, start=False, settings=settings, stock=10**6
    ) as house:
        node = house.nodes[0]
        answer = folder / "kept.json"
        with node.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(Path(__file__).with_name("hour_server.py"))),
                *(str(node.config), str(answer)),
                stdout=log,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("LIVESHOP_")},
            )
        try:
            await house.until_ready(node)
            yield Server(house, process, answer)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@dataclass
class Show:
    """People who come, talk, buy and leave, until so much has happened."""

    server: Server
    tokens: Iterator[str]
    goal: Hour
    messages: int = 0
    visits: int = 0
    orders: int = 0
    others: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(8))

    @property
    def share(self) -> float:
        """How much of it has happened: that of which there is least."""
        return min(
            self.messages / self.goal.messages,
            self.visits / self.goal.visits,
            self.orders / self.goal.orders,
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as people:
            for number in range(CHATTERS):
                people.create_task(self.chat(number))
            for _ in range(DOORS):
                people.create_task(self.come_and_go())
            for _ in range(BUYERS):
                people.create_task(self.buy())
            directing = people.create_task(self.direct())
            while self.share < 1.0:
                await asyncio.sleep(0.2)
            directing.cancel()

    async def chat(self, number: int) -> None:
        """As fast as one connection may and is answered. Comes back now and then."""
        while self.messages < self.goal.messages:
            line = await self.enter()
            line.on_said = self.count
            for id_ in range(1, 1000):
                if self.messages >= self.goal.messages or line.is_closed:
                    break
                said = {"id": id_, "t": "chat.send", "text": f"{number} says {id_}"}
                if id_ % 20 == 0:
                    said = {"id": id_, "t": "reaction.send", "count": 3}
                line.send(json.dumps(said).encode())
                await asyncio.sleep(0.105)
                while id_ - line.answers > _UNANSWERED and not line.is_closed:
                    await asyncio.sleep(0.02)
            self.others["chatter cut"] += line.is_closed
            line.close()

    def count(self, messages: int) -> None:
        self.messages += messages

    async def come_and_go(self) -> None:
        """Somebody new each time; some say something, some leave without a word, some are rude."""
        place: tuple[str, int] | None = None
        while self.visits < self.goal.visits:
            line = await self.enter(place if self.chance.random() < 0.5 else None)
            place = await line.hello()
            how = self.chance.random()
            if how < 0.05:
                await self.call("GET", f"/api/shows/{self.server.house.show_id}/snapshot")
            elif how < 0.2:
                line.send(b'{"id": 1, "t": "ping"}')
            elif how < 0.22:
                line.send(b"no protocol at all")
            elif how < 0.24:
                line.stop_reading()
                asyncio.get_running_loop().call_later(5.0, line.abort)
                line = None
            if line is not None and how < 0.5:
                line.abort()
            elif line is not None:
                line.close()
            self.visits += 1

    async def enter(self, place: tuple[str, int] | None = None) -> "Line":
        house, node = self.server.house, self.server.node
        query = "" if place is None else f"?epoch={place[0]}&offset={place[1]}"
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", node.port)
        line.transport.write(
            f"GET /live/{house.show_id}{query} HTTP/1.1\r\nHost: 127.0.0.1:{node.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: liveshop.v1, bearer.{next(self.tokens)}\r\n\r\n".encode()
        )
        return line

    async def buy(self) -> None:
        house, node = self.server.house, self.server.node
        for number in itertools.count():
            if self.orders >= self.goal.orders:
                return
            token = next(self.tokens)
            try:
                status, answer = await house.order(node, token, f"hour-{number}")
            except GONE:
                self.others["order without an answer"] += 1
                continue
            if status == 201:
                self.orders += 1
            else:
                self.others[answer["code"]] += 1
            if number % 3 == 0:  # a cart that is left behind
                line = {"variant_id": house.products[1].variants[0].id, "quantity": 1}
                await self.call("POST", "/api/cart/lines", line, token=next(self.tokens))

    async def direct(self) -> None:
        """The host and a moderator: pins, rules, people who are silenced."""
        house, node = self.server.house, self.server.node
        show = f"/api/shows/{house.show_id}"
        host, moderator = house.keys["host"], house.keys["moderator"]
        async with house.enter(node, moderator) as line, Frames(line) as room:
            for number in itertools.count():
                product = house.products[number % 2].id
                await self.call("PUT", f"{show}/pin", {"product_id": product}, token=host)
                said = [one for one in room.frames[-200:] if one.get("t") == "chat.message"]
                room.frames.clear()
                if said:
                    message = self.chance.choice(said)["d"]["message"]
                    await room.ask("chat.pin", message_id=message["id"])
                    await room.ask("chat.delete", message_id=message["id"])
                    room.frames.clear()
                self.others["directions"] += 1
                await asyncio.sleep(0.5)

    async def call(self, method: str, path: str, body: Any = None, *, token: str = "") -> None:
        try:
            status, answer = await self.server.house.call(
                self.server.node, method, path, body, token=token
            )
        except GONE:
            self.others["no answer"] += 1
            return
        if status >= 400:
            self.others[answer["code"]] += 1


class Line(asyncio.Protocol):
    """A viewer's socket that looks for a few words in what it is sent, and parses nothing: the
    hour is the server's."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.is_closed = False
        self.answers = 0
        self.on_said: Callable[[int], None] = lambda _: None
        self._tail = b""
        self._hello: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        if not self._hello.done():
            found = re.search(rb'"epoch":"([^"]+)","offset":(\d+)', data)
            if found is not None:
                self._hello.set_result((found[1].decode(), int(found[2])))
        end = 0
        for answer in _ANSWER.finditer(data):
            end = answer.end()
            self.answers += 1
            if answer[1]:
                self.on_said(1)
        self._tail = data[max(end, len(data) - _TAIL_BYTES) :]

    def connection_lost(self, _: Exception | None) -> None:
        self.is_closed = True
        if not self._hello.done():
            self._hello.set_exception(ConnectionError("closed before hello"))

    async def hello(self) -> tuple[str, int]:
        async with asyncio.timeout(60):
            return await self._hello

    def send(self, payload: bytes) -> None:
        """A text of less than 126 bytes, with a mask of zeros."""
        self.transport.write(bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    def stop_reading(self) -> None:
        self.transport.pause_reading()

    def abort(self) -> None:
        self.transport.abort()

    def close(self) -> None:
        """With a goodbye; the server answers it and ends the connection."""
        self.transport.write(bytes((0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8)))


async def tokens_of(house: House, folder: Path) -> Iterator[str]:
    """Guests' tokens without end."""
    settings = builders.test_settings(folder, database_url=house.database_url)
    database = Database.open(house.database_url)
    shop = await asyncio.to_thread(wire, settings, database, None, SystemClock())
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await database.close()
    return (shop.customers.new_guest().token for _ in itertools.count())


async def quiet(server: Server) -> Kept:
    """When all are gone and what they had asked for is done."""
    async with asyncio.timeout(120):
        while (await server.kept()).tasks["RequestHandler._handle_request"]:
            await asyncio.sleep(1.0)
    await asyncio.sleep(3.0)
    return await server.kept()


async def watched(show: Show, server: Server) -> list[int]:
    """The memory in KB at each eighth."""
    sizes: list[int] = []
    running = asyncio.create_task(show.run())
    while not running.done():
        await asyncio.wait({running}, timeout=1.0)
        if show.share >= (len(sizes) + 1) / LOOKS:
            sizes.append(server.rss_kb())
    await running
    return sizes


@pytest.mark.parametrize("broker", ["memory", "redis"])
async def test_an_hour_of_show_leaves_nothing_behind(tmp_path: Path, broker: str) -> None:
    hour = HOUR.part(float(os.environ.get("HOUR_SHARE", "1" if broker == "memory" else "0.25")))
    async with served(tmp_path, broker) as server:
        tokens = await tokens_of(server.house, tmp_path / "tokens")
        await Show(server, tokens, hour.part(0.1)).run()
        before = await quiet(server)
        began = time.monotonic()
        show = Show(server, tokens, hour)
        sizes = await watched(show, server)
        took = time.monotonic() - began
        after = await quiet(server)
        grown = {
            kind: count - before.kinds[kind]
            for kind, count in after.kinds.items()
            if abs(count - before.kinds[kind]) > 100
        }
        print(f"\n{broker}: {hour} in {took:.0f} s; {dict(show.others)}")
        print(f"memory while it went on, MB: {[one // 1024 for one in sizes]}")
        print(f"memory when quiet, MB: {before.rss_kb / 1024:.1f}, then {after.rss_kb / 1024:.1f}")
        print(f"objects {before.objects}, {after.objects}; blocks {before.blocks}, {after.blocks}")
        print(f"grown: {sorted(grown.items(), key=lambda one: -abs(one[1]))[:20]}")
        print(f"tasks {after.tasks - before.tasks}, less {before.tasks - after.tasks}")
        print(f"files {before.files}, {after.files}")
        log = server.node.log.read_text()
        print(f"log: {len(log)} bytes; {log[-2000:]}")
    assert sizes[-1] <= FLAT * sizes[0]
    assert after.rss_kb <= FLAT * before.rss_kb
    # The database's driver keeps a hundred statements for each connection, used sooner or later.
    assert after.ours() <= before.ours() + LOG_SIZE
    assert not after.tasks - before.tasks
    assert after.files.total() <= before.files.total() + 2
    assert {kind: after.kinds[kind] for kind in GONE_WITH_THE_VIEWERS if after.kinds[kind]} == {}
    assert after.kinds["liveshop.realtime.model.Event"] <= LOG_SIZE + 100
    assert len(log) < 20_000
