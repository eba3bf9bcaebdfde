"""`kill -9` in the middle of a show: what was acknowledged is there, and viewers come back.

A real server in a process of its own, real sockets, a real file. Chatters, buyers and a viewer work
on through five kills, each like a client should: come back, ask again with the same key.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import builders
import pytest
import sqlalchemy as sa
from checkout_builders import audit
from crash.serving import GONE, Server
from websockets.asyncio.client import ClientConnection, connect

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import SystemClock
from liveshop.migrations import migrate
from liveshop.orders.tables import shop_order
from liveshop.payments.tables import payment, sandbox_charge
from liveshop.storage import Database

KILLS = 5
SEED = 20261121
SUPPLY = 400
SETTINGS = {
    "LIVESHOP_PAYMENTS__METHODS": "sandbox",
    "LIVESHOP_CHAT__RATE_PER_10_SECONDS": "10000",
    "LIVESHOP_CHECKOUT__PAYMENT_UNCLEAR_SECONDS": "1",
}


@dataclass
class Heard:
    """What the server has acknowledged, by all who asked it."""

    messages: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def one_more(self) -> None:
        self.count += 1
        async with self._more:
            self._more.notify_all()

    async def reaches(self, count: int) -> None:
        async with asyncio.timeout(30), self._more:
            await self._more.wait_for(lambda: self.count >= count)


@dataclass
class Scene:
    server: Server
    database_file: Path
    show_id: str
    variant_ids: list[str]
    heard: Heard = field(default_factory=Heard)
    is_over: bool = False

    async def call(
        self, token: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Raises one of GONE when there was no whole answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as client,
            client.request(
                method, f"http://{self.server.address}{path}", json=body, headers=sent
            ) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def until_answered(
        self, token: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Ask, and if the server dies over it, ask again: for what may be sent twice."""
        while True:
            await self.server.up.wait()
            with contextlib.suppress(*GONE):
                return await self.call(token, method, path, body, **headers)

    async def guest(self) -> str:
        status, answer = await self.until_answered("", "POST", "/api/guests")
        assert status == 201
        return str(answer["token"])

    def enter(self, token: str = "", query: str = "") -> connect:
        protocols = ["liveshop.v1", *([f"bearer.{token}"] if token else [])]
        return connect(
            f"ws://{self.server.address}/live/{self.show_id}{query}",
            subprotocols=protocols,  # type: ignore[arg-type]
            proxy=None,
            open_timeout=10,
            close_timeout=1,
        )


async def chatter(scene: Scene, name: str) -> None:
    """Says one thing after another and remembers what was acknowledged."""
    token = await scene.guest()
    said = 0
    while not scene.is_over:
        await scene.server.up.wait()
        with contextlib.suppress(*GONE):
            async with scene.enter(token) as room:
                while not scene.is_over:
                    said += 1
                    text = f"{name} says {said}"
                    await room.send(json.dumps({"id": said, "t": "chat.send", "text": text}))
                    answer = await answer_to(room, said)
                    scene.heard.messages[answer["ok"]["message_id"]] = text
                    await scene.heard.one_more()


async def answer_to(room: ClientConnection, id_: int) -> Any:
    async with asyncio.timeout(10):
        while True:
            frame = json.loads(await room.recv())
            if frame.get("id") == id_:
                assert "ok" in frame, frame
                return frame


async def buyer(scene: Scene, name: str) -> None:
    """Fills a cart and pays, again and again. After each silence it looks what became of it."""
    token = await scene.guest()
    number = 0
    while not scene.is_over:
        number += 1
        variant_id = scene.variant_ids[number % 2]
        _, cart = await scene.until_answered(token, "GET", "/api/cart")
        before = {line["variant_id"]: line["quantity"] for line in cart["lines"]}
        await scene.server.up.wait()
        try:
            status, cart = await scene.call(
                token, "POST", "/api/cart/lines", {"variant_id": variant_id, "quantity": 1}
            )
        except GONE:
            least = before  # nothing was acknowledged, so it may be there or not
        else:
            assert status == 200, cart
            least = {line["variant_id"]: line["quantity"] for line in cart["lines"]}
            await scene.heard.one_more()
        status, cart = await scene.until_answered(token, "GET", "/api/cart")
        now = {line["variant_id"]: line["quantity"] for line in cart["lines"]}
        assert all(line["hold"] == "held" for line in cart["lines"]), cart
        more = sum(now.values()) - sum(least.values())
        assert all(now.get(id_, 0) >= quantity for id_, quantity in least.items()), (least, now)
        assert more == 0 or (least is before and more == 1)
        if now:
            await pay(scene, token, f"{name}-{number}")


async def pay(scene: Scene, token: str, key: str) -> None:
    status, quote = await scene.until_answered(token, "POST", "/api/cart/quote", {"country": "DE"})
    assert status == 200, quote
    body = {
        "expected_total": quote["total"],
        "email": "ada@example.org",
        "address": builders.ADDRESS,
        "payment": {"method": "sandbox", "card_number": builders.GOOD_CARD},
        "show_id": scene.show_id,
    }
    status, answer = await scene.until_answered(
        token, "POST", "/api/orders", body, Idempotency_Key=key
    )
    if status == 402:
        # Killed before the charge, and the worker was quicker than this retry.
        assert "nothing was charged" in answer["detail"]
        return
    assert (status, answer["state"]) == (201, "confirmed"), answer
    assert answer["total"] == quote["total"]
    scene.heard.orders[answer["id"]] = answer
    await scene.heard.one_more()


@dataclass
class Viewer:
    """A player's state: snapshot plus events, kept by the rules of the protocol."""

    scene: Scene
    state: dict[str, Any] | None = None
    epoch: str = ""
    offset: int = 0
    seen: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    reloaded: int = 0
    events: int = 0
    _room: ClientConnection | None = None

    async def watch(self) -> None:
        while not self.scene.is_over:
            await self.scene.server.up.wait()
            query = f"?epoch={self.epoch}&offset={self.offset}" if self.state else ""
            with contextlib.suppress(*GONE):
                async with self.scene.enter(query=query) as self._room:
                    await self.follow(self._room)

    async def drop(self) -> None:
        """Lose the connection as in a tunnel, the server being well."""
        if self._room is not None:
            self._room.transport.abort()

    async def follow(self, room: ClientConnection) -> None:
        hello = json.loads(await room.recv())
        assert hello["t"] == "hello"
        if self.state is None:
            await self.reload(hello["epoch"])
        else:
            self.resumed += hello["epoch"] == self.epoch
        async for raw in room:
            frame = json.loads(raw)
            if frame["t"] == "resume_failed":
                await self.reload(hello["epoch"])
            elif "o" in frame:
                assert self.epoch == hello["epoch"]
                self.take(frame)

    async def reload(self, epoch: str) -> None:
        status, snapshot = await self.scene.call(
            "", "GET", f"/api/shows/{self.scene.show_id}/snapshot"
        )
        assert status == 200
        if snapshot["epoch"] != epoch:
            raise ConnectionError("killed between hello and snapshot")
        self.reloaded += 1
        self.state, self.epoch, self.offset = snapshot, epoch, snapshot["offset"]
        self.remember()

    def take(self, event: dict[str, Any]) -> None:
        if event["o"] <= self.offset:
            # Sent before the snapshot was made, which has it already.
            return
        assert event["o"] == self.offset + 1, "an event is missing"
        self.offset = event["o"]
        self.events += 1
        assert self.state is not None
        apply(self.state, event)
        self.remember()

    def remember(self) -> None:
        assert self.state is not None
        shown = self.state["chat"]["messages"]
        assert len({one["id"] for one in shown}) == len(shown), "a message is shown twice"
        self.seen |= {one["id"]: one["text"] for one in shown}


def apply(state: dict[str, Any], event: dict[str, Any]) -> None:
    """The events of this scene, as the player's reducer applies them."""
    data = event["d"]
    match event["t"]:
        case "chat.message":
            kept = [one for one in state["chat"]["messages"] if one["id"] != data["message"]["id"]]
            state["chat"]["messages"] = [*kept, data["message"]][-50:]
        case "stock.changed":
            for product in state["products"]:
                for variant in product["variants"]:
                    if variant["id"] == data["variant_id"]:
                        variant["available"] = data["available"]
        case "order.placed":
            assert data["first_name"] == "Ada"
        case other:
            raise AssertionError(f"nobody does {other} here")


def shown(state: dict[str, Any] | None) -> Any:
    """What a screen shows of a room and the log decides."""
    return state and {name: state[name] for name in ("show", "products", "pins", "chat")}


@pytest.fixture
def seeded(tmp_path: Path) -> tuple[Path, Callable[[], Liveshop]]:
    """A data folder, and the shop to fill it with: wired before a loop runs, as in the CLI."""
    folder = tmp_path / "data"
    folder.mkdir()
    url = f"sqlite+aiosqlite:///{folder / 'liveshop.sqlite3'}"
    asyncio.run(migrate(url))
    shop = wire(
        builders.test_settings(folder, database_url=url), Database.open(url), None, SystemClock()
    )
    return folder, lambda: shop


@pytest.fixture
async def scene(seeded: tuple[Path, Callable[[], Liveshop]]) -> AsyncIterator[Scene]:
    folder, shop_of = seeded
    shop = shop_of()
    cups = await builders.product(shop, title="Cup", sizes=("S", "L"), stock=SUPPLY)
    show_id = await builders.live_show(shop, [cups.id])
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()
    server = Server(folder, SETTINGS)
    await server.start()
    file = folder / "liveshop.sqlite3"
    yield Scene(server, file, show_id, [variant.id for variant in cups.variants])
    await server.end()


async def test_what_was_acknowledged_survives_kill_9_and_viewers_go_on_without_gap_or_repeat(
    scene: Scene,
) -> None:
    chance = random.Random(SEED)
    viewer = Viewer(scene)
    people = [
        asyncio.create_task(viewer.watch()),
        *(asyncio.create_task(chatter(scene, name)) for name in ("Cleo", "Dora")),
        *(asyncio.create_task(buyer(scene, name)) for name in ("eva", "fay", "gil")),
    ]

    async def with_people(what: Awaitable[None]) -> None:
        """Wait for something, or for the first of them to find a broken promise."""
        waiting = asyncio.ensure_future(what)
        done, _ = await asyncio.wait([waiting, *people], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    try:
        for _ in range(KILLS):
            seen = viewer.events
            await with_people(scene.heard.reaches(scene.heard.count + chance.randint(5, 25)))
            await with_people(until(lambda before=seen: viewer.events > before))
            await viewer.drop()
            resumed = viewer.resumed
            await with_people(until(lambda before=resumed: viewer.resumed > before))
            await with_people(scene.heard.reaches(scene.heard.count + chance.randint(1, 15)))
            await scene.server.kill()
            await scene.server.start()
        await with_people(scene.heard.reaches(scene.heard.count + 10))
        # Chatters and buyers finish what they are at; the viewer goes on watching.
        scene.is_over = True
        await asyncio.wait_for(asyncio.gather(*people[1:]), 20)
        await with_people(level_with_a_fresh_snapshot(scene, viewer))
    finally:
        for task in people:
            task.cancel()
        await asyncio.gather(*people, return_exceptions=True)

    assert scene.server.kills == KILLS
    assert viewer.resumed >= KILLS
    assert viewer.reloaded >= KILLS + 1
    assert scene.heard.messages.items() <= viewer.seen.items()
    await everything_acknowledged_is_there(scene)
    await scene.server.kill()
    await the_books_are_in_order(scene)


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not fact():
            await asyncio.sleep(0.005)


async def level_with_a_fresh_snapshot(scene: Scene, viewer: Viewer) -> None:
    """Within seconds, for stock is told a moment later."""
    async with asyncio.timeout(15):
        while True:
            _, fresh = await scene.call("", "GET", f"/api/shows/{scene.show_id}/snapshot")
            if shown(fresh) == shown(viewer.state) and fresh["offset"] == viewer.offset:
                return
            await asyncio.sleep(0.05)


async def everything_acknowledged_is_there(scene: Scene) -> None:
    """Asked of the server that was started last."""
    with contextlib.closing(sqlite3.connect(scene.database_file)) as file:
        kept = dict(file.execute("SELECT id, text FROM chat_message"))
        orders = dict(file.execute("SELECT id, number FROM shop_order"))
    assert scene.heard.messages.items() <= kept.items()
    assert len(scene.heard.messages) > KILLS
    assert len(scene.heard.orders) > KILLS
    for order_id, answered in scene.heard.orders.items():
        assert answered["number"] == f"L-{orders[order_id]}"


async def the_books_are_in_order(scene: Scene) -> None:
    """The file itself, once nobody writes it any more."""
    file = scene.database_file
    with contextlib.closing(sqlite3.connect(file)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
    database = Database.open(f"sqlite+aiosqlite:///{file}")
    try:
        rows = await audit(database)
        async with database.read() as conn:
            orders = (await conn.execute(sa.select(shop_order))).all()
            paid = sa.select(sandbox_charge.c.amount, payment.c.order_id).join(
                payment, payment.c.id == sandbox_charge.c.key
            )
            charges = {
                row.order_id: row.amount
                for row in await conn.execute(paid.where(sandbox_charge.c.state == "paid"))
            }
    finally:
        await database.close()
    confirmed = {row.id: row.total_amount for row in orders if row.state == "confirmed"}
    told = {id_: one["total"]["amount"] for id_, one in scene.heard.orders.items()}
    # Buyers asked until they were answered: so what stands, what was paid and what they were
    # told is one and the same list.
    assert confirmed == charges == told
    assert all(row.state in ("confirmed", "payment_failed") for row in orders)
    sold = sum(line["quantity"] for one in scene.heard.orders.values() for line in one["lines"])
    assert sum(row.on_hand for row in rows) == 2 * SUPPLY - sold
