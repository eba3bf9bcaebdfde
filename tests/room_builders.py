"""A room with nothing but its own parts: fake transports for the hub, a real server for clients."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from liveshop.kernel.clock import Clock, SystemClock
from liveshop.kernel.errors import NotFound
from liveshop.realtime import (
    CommandSpec,
    Event,
    Hub,
    MemoryBroker,
    Position,
    Receiver,
    RoomPublisher,
    RoomSocket,
)
from liveshop.realtime.doors import Doors, Judge
from liveshop.realtime.model import Draft
from liveshop.settings import RealtimeSettings
from liveshop.storage import Published
from liveshop.web.access import ANONYMOUS, BadToken, Principal
from liveshop.web.server import WebKit, mount

SHOW = "shw_01K00000000000000000000000"
OTHER_SHOW = "shw_01K00000000000000000000001"
PATIENCE = 10.0
"""Seconds after which a test that waits for a fact gives up."""

GUEST = Principal("guest", "gst_01K00000000000000000000000", "Ada")
OTHER_GUEST = Principal("guest", "gst_01K00000000000000000000001", "Bea")
CUSTOMER = Principal("customer", "cus_01K00000000000000000000000", "Cy")
HOST = Principal(
    "staff",
    "stf_01K00000000000000000000000",
    "Hana",
    frozenset({"shows:read", "shows:write", "chat:moderate"}),
)
MODERATOR = Principal(
    "staff", "stf_01K00000000000000000000001", "Mo", frozenset({"shows:read", "chat:moderate"})
)
MERCHANT = Principal("staff", "stf_01K00000000000000000000002", "Mia", frozenset({"catalog:write"}))


class Note(msgspec.Struct):
    n: int
    pad: str = ""


@dataclass
class Bouncer:
    """Authentication by a table, changed by tests while connections are open."""

    tokens: dict[str, Principal] = field(default_factory=dict)
    cookie: Principal = ANONYMOUS

    async def bearer(self, token: str) -> Principal:
        try:
            return self.tokens[token]
        except KeyError:
            raise BadToken("This token is expired.") from None

    async def authenticate(self, _request: web.Request) -> Principal:
        return self.cookie


@dataclass
class RoomServer:
    url: str
    hub: Hub
    broker: MemoryBroker
    publish: RoomPublisher
    socket: RoomSocket
    bouncer: Bouncer
    clock: Clock
    runner: web.AppRunner

    async def say(self, *numbers: int, room: str = SHOW, pad: str = "") -> None:
        """Publish one event after another, as transactions do."""
        for n in numbers:
            await self.publish([Published(room, "note", Note(n, pad), self.clock.now())])

    @contextlib.asynccontextmanager
    async def connect(
        self,
        token: str | None = None,
        *,
        show: str = SHOW,
        epoch: str | None = None,
        offset: object = None,
        **options: Any,
    ) -> AsyncIterator[ClientConnection]:
        query = "" if epoch is None else f"?epoch={epoch}&offset={offset}"
        protocols = ["liveshop.v1", *([f"bearer.{token}"] if token else [])]
        options.setdefault("subprotocols", protocols)
        options.setdefault("proxy", None)
        options.setdefault("max_queue", None)
        async with connect(f"{self.url}/live/{show}{query}", **options) as client:
            yield client


async def allow_known_shows(show_id: str, _who: Principal) -> None:
    if show_id not in (SHOW, OTHER_SHOW):
        raise NotFound("There is no such show.")


async def look_at_known_shows(show_id: str) -> Judge[None]:
    await allow_known_shows(show_id, ANONYMOUS)
    return lambda _who: None


@contextlib.asynccontextmanager
async def room_server(
    *,
    settings: RealtimeSettings | None = None,
    commands: Callable[[Hub], Iterable[CommandSpec]] = lambda _: (),
    on_hearts: Callable[[str, int], Awaitable[int]] | None = None,
    embed_origins: frozenset[str] = frozenset(),
    trusted_proxies: int = 0,
    clock: Clock | None = None,
    readable_per_second: int = 0,
) -> AsyncIterator[RoomServer]:
    settings = settings or RealtimeSettings()
    clock = clock or SystemClock()
    broker = MemoryBroker(log_size=settings.log_size)
    ports = {} if on_hearts is None else {"on_hearts": on_hearts}
    hub = Hub(
        broker,
        buffer_bytes=settings.buffer_bytes,
        idle_seconds=settings.idle_seconds,
        readable_per_second=readable_per_second,
        **ports,
    )
    bouncer = Bouncer()
    kit = WebKit(
        clock=clock,
        authenticator=bouncer,
        public_origin="https://shop.test",
        embed_origins=embed_origins,
        trusted_proxies=trusted_proxies,
    )
    socket = RoomSocket(
        hub,
        kit,
        settings,
        commands=commands(hub),
        bearer=bouncer.bearer,
        doors=Doors(look_at_known_shows, hub.mark),
    )
    app = web.Application()
    mount(app, kit, [])
    app.router.add_get("/live/{show_id}", socket.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield RoomServer(
            f"ws://127.0.0.1:{port}",
            hub,
            broker,
            RoomPublisher(broker),
            socket,
            bouncer,
            clock,
            runner,
        )
    finally:
        await socket.shutdown(2.0)
        await runner.cleanup()


async def read(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        frame: dict[str, Any] = json.loads(await client.recv())
    return frame


async def read_until(client: ClientConnection, type_: str) -> dict[str, Any]:
    while (frame := await read(client)).get("t") != type_:
        pass
    return frame


async def ask(client: ClientConnection, id_: int, type_: str, **fields: Any) -> dict[str, Any]:
    """Send a command; its answer, past whatever events come before it."""
    await client.send(json.dumps({"id": id_, "t": type_, **fields}))
    while "ok" not in (frame := await read(client)) and "error" not in frame:
        pass
    return frame


async def close_code(client: ClientConnection) -> int | None:
    """Read to the end; the code the server closed with."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
    return client.close_code


async def until(fact: Callable[[], bool]) -> None:
    """Let the loop run until something is true."""
    async with asyncio.timeout(PATIENCE):
        while not fact():
            await asyncio.sleep(0)


class FakeTransport:
    """Writes go into `unread` until the test reads them; remembers every object it was given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unread = 0
        self.reads_at_once = True
        self._more: asyncio.Event = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if not self.reads_at_once:
            self.unread += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return False

    async def drain(self) -> None:
        """Held up until `read_all`, unless the client reads at once."""
        if self.unread:
            self._more.clear()
            await self._more.wait()

    def read_all(self) -> None:
        self.unread = 0
        self._more.set()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [frame for frame in unframe(b"".join(self.written)) if "o" in frame]

    @property
    def offsets(self) -> list[int]:
        return [frame["o"] for frame in self.events]


def unframe(data: bytes) -> list[dict[str, Any]]:
    """The JSON of text frames one after another (RFC 6455 section 5.2, unmasked)."""
    found = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        if data[0] == 0x81:
            found.append(json.loads(data[start : start + length]))
        data = data[start + length :]
    return found


class SlowBroker(MemoryBroker):
    """As one across a network: answers are on the way for a while, and so are deliveries."""

    turns = 25
    """How many turns of the loop an answer takes to arrive."""

    def __init__(self, *, log_size: int) -> None:
        super().__init__(log_size=log_size)
        self.on_the_way = 0
        self._late: list[tuple[Receiver, str, Sequence[Event]]] = []

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        place = self._kept(room)
        events = place.log.append(drafts)
        self._late += [(receiver, room, events) for receiver in place.receivers]
        await asyncio.sleep(0)
        return place.log.position

    async def since(self, room: str, position: Position, *, limit: int) -> list[Event] | None:
        await asyncio.sleep(0)
        known = await super().since(room, position, limit=limit)
        self.on_the_way += 1
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.on_the_way -= 1
        return known

    async def renew(self, room: str, *, name: str = "") -> Position:
        self._late.clear()  # nothing of the old epoch may come after the news that it is over
        return await super().renew(room, name=name)

    def deliver_late(self) -> None:
        late, self._late = self._late, []
        for receiver, room, events in late:
            receiver.deliver(room, events)
