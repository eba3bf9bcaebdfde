"""What once went wrong between planning, sending and reading back, and must not again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import post_builders
import pytest
import sqlalchemy as sa
from post_builders import Posting
from room_builders import until
from structlog.testing import capture_logs
from syndication_builders import FakeChannel, FakeFeed, NeedsAttention, RetryLater, Stall

from liveshop.app import Liveshop
from liveshop.connect import Listing, Problem
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Unavailable
from liveshop.storage import Database
from liveshop.syndication import connection_store, planning, reading, store
from liveshop.syndication.model import (
    Connection,
    NotAuthorised,
    RunKind,
    UnknownConnection,
    WrongRole,
)

once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not hang on the kind of database."""
on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def stall(database: Database, clock: ManualClock) -> Stall:
    return Stall(database, clock)


@pytest.fixture
async def posting(wired: Liveshop, shop: Liveshop, clock: ManualClock) -> AsyncIterator[Posting]:
    made = post_builders.posting(wired, clock)
    made.channel.limits = post_builders.WORDS_ONLY
    await made.ready()
    yield made
    await made.open.close()


class BrokenChecks(FakeChannel):
    """Its connector fails at every listing while `is_broken`."""

    is_broken = True

    def check(self, listing: Listing) -> list[Problem]:
        if self.is_broken:
            raise KeyError("size")
        return []


class BrokenLimits(FakeChannel):
    """Its connector fails when it is asked what it can take."""

    def __getattribute__(self, name: str) -> Any:
        if name == "listing_limits" and "there" in vars(self):
            raise KeyError("limits")
        return super().__getattribute__(name)


class Rejecting(FakeChannel):
    """Takes a listing, and says later whether people may see it."""

    is_rejecting = True

    def _status(self, listing: Listing) -> Any:
        return "rejected" if self.is_rejecting else super()._status(listing)


async def runs_of(stall: Stall, connection: Connection, kind: RunKind) -> list[str]:
    async with stall.database.read() as conn:
        runs = await connection_store.runs_of(conn, [connection.id])
    return [run.state for run in runs if run.kind == kind]


async def change(stall: Stall, connection: Connection, **values: Any) -> None:
    """As a merchant does it in another process."""
    stall.clock.advance(timedelta(milliseconds=1))
    async with stall.database.write() as tx:
        await connection_store.change(tx.conn, connection.id, stall.clock.now(), **values)


@once
async def test_a_connector_that_fails_to_check_a_listing_stops_no_other_channel(
    stall: Stall,
) -> None:
    await stall.product(sizes=("S", "M"))
    broken, checks = await stall.connect(BrokenChecks(), title="Broken")
    _, channel = await stall.connect()
    with capture_logs() as logs:
        await stall.settle()
        await stall.planner.plan()
    assert len(channel.visible()) == 2
    words = "Broken failed to check it. The fault is in its connector."
    assert await stall.states(broken) == [("rejected", words)] * 2
    assert [one["event"] for one in logs].count("listing_not_checked") == 1
    checks.is_broken = False
    await stall.planner.plan()
    await stall.settle()
    assert len(checks.visible()) == 2


@once
async def test_a_connector_that_fails_only_when_it_is_sent_to_holds_up_nothing(
    stall: Stall,
) -> None:
    await stall.product()
    checks = BrokenChecks()
    checks.is_broken = False
    connection, _ = await stall.connect(checks)
    await stall.plan()
    checks.is_broken = True
    await stall.turn(connection)
    assert checks.there == {}
    ((state, reason),) = await stall.states(connection)
    assert "failed to check it" in str(reason)
    await stall.settle()
    ((state, reason),) = await stall.states(connection)
    assert state == "rejected"


@once
async def test_a_feed_leaves_out_what_its_connector_fails_to_check(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = await stall.product("Mug"), await stall.product("Bowl")
    connection, feed = await stall.connect(FakeFeed())

    def check(listing: Listing) -> list[Problem]:
        if listing.title == "Bowl":
            raise KeyError("size")
        return []

    monkeypatch.setattr(feed, "check", check)
    await stall.plan()
    assert list(await stall.fed(connection)) == [good.variants[0].id]
    assert (await stall.row(connection, bad)).state == "rejected"
    await change(stall, connection, language="de")
    assert list(await stall.fed(connection)) == [good.variants[0].id]


@once
async def test_a_connector_whose_limits_cannot_be_read_stops_no_other_channel(
    stall: Stall,
) -> None:
    await stall.product()
    broken, _ = await stall.connect(BrokenLimits())
    _, channel = await stall.connect()
    await stall.plan()
    assert [state for state, _ in await stall.states(broken)] == ["pending"]
    async with stall.database.read() as conn:
        (good,) = [one for one in await connection_store.all_of(conn) if one.id != broken.id]
    await stall.turn(good)
    assert len(channel.visible()) == 1


@on_postgres
async def test_a_look_at_a_channel_does_not_undo_what_was_planned_meanwhile(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await stall.product()
    connection, channel = await stall.connect()
    await stall.settle()
    stall.clock.advance(timedelta(hours=7))
    as_sent = reading.ListingReader._as_sent
    plans: list[asyncio.Task[None]] = []

    async def meanwhile(*given: Any) -> Any:
        if not plans:
            await stall.change(product, title="Cup")
            plans.append(asyncio.create_task(stall.plan()))
            await until_done_or_waiting(stall, plans[0])
        return await as_sent(*given)

    monkeypatch.setattr(reading.ListingReader, "_as_sent", meanwhile)
    await stall.turn(connection)
    await plans[0]
    row = await stall.row(connection, product)
    assert (row.state, row.due_at is not None) == ("pending", True)
    await stall.settle()
    assert [one.title for one in channel.visible().values()] == ["Cup"]


async def until_done_or_waiting(stall: Stall, plan: asyncio.Task[None]) -> None:
    waiting = sa.text("select count(*) from pg_locks where not granted")
    async with asyncio.timeout(10):
        while not plan.done():
            async with stall.database.read() as conn:
                if (await conn.execute(waiting)).scalar_one():
                    return


@on_postgres
async def test_a_look_at_a_channel_does_not_undo_a_pause(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stall.product()
    connection, _ = await stall.connect()
    await stall.settle()
    stall.clock.advance(timedelta(hours=7))
    as_sent = reading.ListingReader._as_sent
    pauses: list[asyncio.Task[None]] = []

    async def meanwhile(*given: Any) -> Any:
        if not pauses:
            pauses.append(asyncio.create_task(stall.set_state(connection, "paused")))
            await until_done_or_waiting(stall, pauses[0])
        return await as_sent(*given)

    monkeypatch.setattr(reading.ListingReader, "_as_sent", meanwhile)
    await stall.turn(connection)
    await pauses[0]
    assert await stall.states(connection) == [("paused", None)]


async def test_a_product_noted_with_an_older_clock_is_not_forgotten(stall: Stall) -> None:
    early = stall.clock.now()
    late = early + timedelta(milliseconds=5)
    for first, second in ((late, early), (late, late), (early, late)):
        async with stall.database.write() as tx:
            await store.touch(tx.conn, ["p"], first)
        async with stall.database.read() as conn:
            seen = await store.touched(conn)
        async with stall.database.write() as tx:
            await store.touch(tx.conn, ["q", "p"], second)
            await store.settle_touched(tx.conn, seen)
        async with stall.database.read() as conn:
            left = await store.touched(conn)
        assert set(left) == {"p", "q"}
        assert left["p"] > seen["p"]
        async with stall.database.write() as tx:
            await store.settle_touched(tx.conn, left)
        async with stall.database.read() as conn:
            assert await store.touched(conn) == {}


async def test_a_connection_changed_while_everything_is_planned_is_planned_again(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await stall.product(f"Mug {number}")
    connection, channel = await stall.connect()
    decide = planning.Planner._decide
    decided = 0

    async def meanwhile(*given: Any) -> Any:
        nonlocal decided
        made = await decide(*given)
        decided += 1
        if decided == 2:
            await change(stall, connection, language="de")
        return made

    monkeypatch.setattr(planning.Planner, "_decide", meanwhile)
    monkeypatch.setattr(planning, "PAGE", 1)
    begun_at = stall.clock.now()
    await stall.plan()
    assert decided == 4  # the page that was decided with the old language, once more
    assert (await stall.connection(connection.id)).whole_at == begun_at
    await stall.settle()
    assert [one.language for one in channel.visible().values()] == ["de"] * 3
    assert decided >= 7


@once
async def test_a_plan_made_before_a_channel_was_removed_puts_nothing_there_again(
    stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = [await stall.product(f"Mug {number}") for number in range(3)]
    connection, channel = await stall.connect()
    await stall.settle()
    for one in products:
        await stall.change(one, title=one.title + " II")
    decide = planning.Planner._decide
    is_removed = False

    async def meanwhile(*given: Any) -> Any:
        nonlocal is_removed
        made = await decide(*given)
        if not is_removed:
            is_removed = True
            stall.clock.advance(timedelta(seconds=1))
            await stall.set_state(connection, "removed")
        return made

    monkeypatch.setattr(planning.Planner, "_decide", meanwhile)
    await stall.plan()
    assert {row.wanted for row in await stall.rows(connection)} == {None}
    await stall.work()
    assert channel.there == {}
    assert (await stall.connection(connection.id)).state == "removed"


@once
async def test_nothing_more_is_sent_to_a_channel_that_is_paused_in_mid_turn(stall: Stall) -> None:
    for number in range(9):
        await stall.product(f"Mug {number}")
    connection, channel = await stall.connect(FakeChannel(batch=3))
    await stall.plan()

    async def pause() -> None:
        if (await stall.connection(connection.id)).state == "active":
            await stall.set_state(connection, "paused")

    channel.watch.append(pause)
    await stall.turn(connection)
    assert len(channel.there) == 3
    assert {state for state, _ in await stall.states(connection)} == {"paused"}
    assert await runs_of(stall, connection, "push") == ["done"]


@once
async def test_a_channel_that_is_being_removed_is_still_cleared(stall: Stall) -> None:
    for number in range(7):
        await stall.product(f"Mug {number}")
    connection, channel = await stall.connect(FakeChannel(batch=3))
    await stall.settle()
    await stall.set_state(connection, "removed")
    await stall.turn(connection)
    assert channel.there == {}


@once
async def test_no_more_posts_go_out_once_the_connection_is_paused(posting: Posting) -> None:
    posts = [await posting.post(show_id=await posting.show()) for _ in range(3)]
    gate = posting.channel.gate = asyncio.Event()
    turn = asyncio.create_task(posting.turn())
    await until(lambda: posting.channel.at_gate == 1)
    async with posting.shop.database.write() as tx:
        now = posting.clock.now()
        await connection_store.change(tx.conn, posting.connection.id, now, state="paused")
    gate.set()
    await turn
    assert len(posting.channel.made) == 1
    states = sorted([(await posting.row(one.id)).state for one in posts])
    assert states == ["scheduled", "scheduled", "sent"]


@once
async def test_a_channel_that_cannot_be_opened_still_counts_for_what_all_announce(
    stall: Stall,
) -> None:
    await stall.product()
    rigid, _ = await stall.connect(FakeChannel(can_schedule=False), title="Rigid")
    other, channel = await stall.connect()
    await stall.settle()
    stored = await stall.reduce(hours=480)
    await stall.settle()
    (shown,) = channel.visible().values()
    assert shown.sale is None
    stall.opened.things[rigid.id] = NeedsAttention("Its secret cannot be read any more.")
    stall.restart()
    channel.requests.clear()
    for _ in range(3):
        await stall.plan()
        await stall.turn(other)
        stall.clock.advance(30 * MINUTE)
    assert list(channel.visible().values()) == [shown]
    assert channel.sent("publish") == channel.sent("withdraw") == 0
    (warning,) = await stall.listings.warnings_for(stored.promotion)
    assert "Rigid cannot start and end a price" in warning.text


@once
async def test_a_channel_that_was_never_opened_keeps_nothing_from_the_others(stall: Stall) -> None:
    await stall.product()
    never, _ = await stall.connect()
    stall.opened.things[never.id] = NeedsAttention("Authorise it first.")
    other, channel = await stall.connect()
    await stall.reduce(hours=480)
    await stall.plan()
    await stall.turn(other)
    (shown,) = channel.visible().values()
    assert shown.sale is not None


@once
async def test_what_a_channel_says_in_time_follows_its_configuration(stall: Stall) -> None:
    await stall.product()
    connection, _ = await stall.connect(FakeFeed(every=3600))
    stored = await stall.reduce(hours=1)
    (warning,) = await stall.listings.warnings_for(stored.promotion)
    assert "every 1 hours" in warning.text
    stall.opened.things[connection.id] = FakeFeed(every=60)
    assert await stall.listings.warnings_for(stored.promotion) == []
    stall.opened.things[connection.id] = RetryLater("Not now.")
    assert await stall.listings.warnings_for(stored.promotion) == []


@once
@pytest.mark.parametrize("fault", [RetryLater("Too many requests."), ZeroDivisionError()])
async def test_a_look_that_breaks_off_ends_its_run(stall: Stall, fault: Exception) -> None:
    for number in range(3):
        await stall.product(f"Mug {number}")
    connection, channel = await stall.connect(FakeChannel(read_batch=1))
    await stall.settle()
    stall.clock.advance(timedelta(hours=7))
    looks: list[int] = []
    read_back = channel.read_back

    async def looked(ids: Any) -> Any:
        looks.append(1)
        if len(looks) == 2:
            raise fault
        return await read_back(ids)

    channel.read_back = looked
    with pytest.raises(type(fault)):
        await stall.turn(connection)
    assert (await runs_of(stall, connection, "read_back"))[0] == "failed"
    stall.clock.advance(MINUTE)  # Runs of one millisecond have no order.
    await stall.turn(connection)
    assert (await runs_of(stall, connection, "read_back"))[0] == "done"


@once
async def test_removing_a_channel_twice_is_removing_it_once(stall: Stall) -> None:
    product = await stall.product()
    connection, channel = await stall.connect()
    await stall.settle()
    await stall.set_state(connection, "removed")
    before = await stall.row(connection, product)
    stall.clock.advance(MINUTE)
    await stall.set_state(connection, "removed")
    assert await stall.row(connection, product) == before
    assert (await stall.connection(connection.id)).state == "active"
    await stall.work()
    assert channel.there == {}
    assert (await stall.connection(connection.id)).state == "removed"


@once
async def test_a_listing_that_is_approved_after_all_becomes_live(stall: Stall) -> None:
    product = await stall.product()
    connection, channel = await stall.connect(Rejecting())
    await stall.settle()
    assert (await stall.row(connection, product)).state == "rejected"
    channel.requests.clear()
    stall.clock.advance(timedelta(hours=5))
    next_at = await stall.turn(connection)
    assert channel.requests == []
    assert next_at is not None
    assert next_at <= stall.clock.now() + timedelta(hours=1)
    stall.clock.advance(timedelta(hours=1))
    await stall.turn(connection)
    assert (await stall.row(connection, product)).state == "rejected"
    channel.is_rejecting = False
    stall.clock.advance(timedelta(hours=6))
    await stall.turn(connection)
    assert (await stall.row(connection, product)).state == "live"
    assert channel.sent("publish") == 0


@once
async def test_a_channel_need_not_keep_what_it_rejected(stall: Stall) -> None:
    product = await stall.product()
    connection, channel = await stall.connect(Rejecting())
    await stall.settle()
    channel.there.clear()
    stall.clock.advance(timedelta(hours=6))
    await stall.turn(connection)
    row = await stall.row(connection, product)
    assert (row.state, row.due_at) == ("rejected", None)


@once
async def test_a_dry_run_that_cannot_be_made_says_why(stall: Stall) -> None:
    await stall.product()
    connection, _ = await stall.connect(title="Noticeboard")
    faults = (
        (NeedsAttention("Authorise it again."), NotAuthorised, "Authorise it again."),
        (RetryLater("Too many requests."), Unavailable, "Too many requests."),
        (ZeroDivisionError("secret"), Unavailable, "Noticeboard cannot be opened."),
    )
    for fault, raised, words in faults:
        stall.opened.things[connection.id] = fault
        with pytest.raises(raised) as told:
            await stall.planner.dry_run(connection.id)
        assert words in told.value.detail
        assert "secret" not in told.value.detail
    await change(stall, connection, roles=["source"])
    with pytest.raises(WrongRole, match="neither a channel nor a feed"):
        await stall.planner.dry_run(connection.id)
    await change(stall, connection, state="removed")
    with pytest.raises(UnknownConnection):
        await stall.planner.dry_run(connection.id)


@once
async def test_a_dry_run_tells_variants_apart(stall: Stall) -> None:
    await stall.product("Fjord mug", sizes=("Oat", "Slate"))
    await stall.product("Tray")
    connection, _ = await stall.connect()
    plan = await stall.planner.dry_run(connection.id)
    assert [one.title for one in plan.changes] == ["Fjord mug, Oat", "Fjord mug, Slate", "Tray"]
