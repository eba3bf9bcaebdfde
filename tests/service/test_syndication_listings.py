"""Listings go to channels, are read back, and are what the desk says they are."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from syndication_builders import Died, FakeChannel, FakeFeed, RetryLater, Stall, effective

from liveshop.connect import NeedsAttention
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import NotFound
from liveshop.storage import Database
from liveshop.syndication import connection_store, store, wire
from liveshop.syndication.tables import announced_price, listing, sync_run

once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not hang on the kind of database."""


@pytest.fixture
def stall(database: Database, clock: ManualClock) -> Stall:
    return Stall(database, clock)


@once
async def test_a_product_is_live_only_after_the_channel_was_seen_to_show_it(stall: Stall) -> None:
    await stall.product(sizes=("S", "M"))
    connection, channel = await stall.connect()
    await stall.plan()
    assert await stall.states(connection) == [("pending", None)] * 2
    channel.in_review = True
    await stall.turn(connection)
    assert {state for state, _ in await stall.states(connection)} == {"sent"}
    channel.in_review = False
    await stall.settle(minutes=1.1)
    assert await stall.states(connection) == [("live", None)] * 2
    titles = sorted(one.title for one in channel.visible().values())
    assert titles == ["Mug, M", "Mug, S"]


async def test_a_refused_item_does_not_hold_up_the_others_and_can_be_repaired(stall: Stall) -> None:
    products = [await stall.product(f"Mug {number}") for number in range(5)]
    connection, channel = await stall.connect(FakeChannel(batch=10))
    channel.faults.refuses.add(products[2].variants[0].id)
    await stall.settle()
    assert len(channel.visible()) == 4
    refused = await stall.row(connection, products[2])
    assert (refused.state, refused.reason) == ("rejected", "The title is not allowed here.")
    channel.mend()
    channel.requests.clear()
    assert await stall.repair(connection) == 1
    await stall.settle()
    assert len(channel.visible()) == 5
    assert channel.sent("publish") == 1
    assert (await stall.row(connection, products[2])).state == "live"


@once
async def test_only_what_was_touched_is_planned_and_sent_again(stall: Stall) -> None:
    products = [await stall.product(f"Mug {number}") for number in range(4)]
    connection, channel = await stall.connect()
    await stall.settle()
    channel.requests.clear()
    await stall.change(products[1], title="Cup")
    await stall.stock(products[2].variants[0].id, 300)
    await stall.settle()
    sent = [ids for kind, ids in channel.requests if kind == "publish"]
    assert sorted(id_ for ids in sent for id_ in ids) == sorted(
        [products[1].variants[0].id, products[2].variants[0].id]
    )
    channel.requests.clear()
    await stall.stock(products[2].variants[0].id, 299)
    await stall.settle()
    assert channel.requests == []
    assert len(await stall.rows(connection)) == 4


async def test_a_product_that_is_withdrawn_leaves_every_channel(stall: Stall) -> None:
    product = await stall.product(sizes=("S", "M"))
    _connection, channel = await stall.connect(FakeChannel(can_hide=True))
    _other, second = await stall.connect()
    await stall.settle()
    await stall.change(product, sizes=["S"])
    await stall.settle()
    assert [one.title for one in channel.there.values()] == ["Mug, S"]
    await stall.change(product, is_active=False)
    await stall.settle()
    assert channel.there == second.there == {}
    assert {state for state, _ in await stall.states()} == {"withdrawn"}
    await stall.change(product, is_active=True)
    await stall.settle()
    assert len(channel.visible()) == len(second.visible()) == 2


@once
async def test_a_product_without_a_picture_says_so_and_is_taken_off_where_it_was(
    stall: Stall,
) -> None:
    product = await stall.product(has_picture=False)
    connection, channel = await stall.connect()
    await stall.settle()
    assert (await stall.row(connection, product)).reason == (
        "It needs a picture: add one to the product."
    )
    product = await stall.change(product)
    await stall.settle()
    assert len(channel.visible()) == 1
    await stall.change(product, url=None)
    await stall.settle()
    assert channel.there == {}
    row = await stall.row(connection, product)
    assert (row.state, row.reason) == (
        "rejected",
        "It needs a link: give the product an address in the shop.",
    )


async def test_a_price_is_hidden_everywhere_before_it_is_shown_anywhere(stall: Stall) -> None:
    product = await stall.product(price=1000)
    first, hiding = await stall.connect(FakeChannel(can_hide=True))
    second, plain = await stall.connect()
    fetched, _ = await stall.connect(FakeFeed())
    await stall.settle()
    await stall.change(product, price=1200)
    await stall.plan()
    await stall.turn(first)
    await stall.plan()
    await stall.turn(first)
    # The other one may still show the old price: nobody shows the new one yet.
    assert hiding.visible() == {}
    assert len(hiding.there) == len(plain.visible()) == 1
    (old,) = (await stall.fed(fetched)).values()
    assert old.price.amount == 1000
    assert "It is shown again when" in (await stall.row(first, product)).reason
    await stall.turn(second)
    assert plain.there == {}
    await stall.plan()
    (new,) = (await stall.fed(fetched)).values()
    assert new.price.amount == 1200
    await stall.settle()
    prices = [one.price.amount for one in [*hiding.visible().values(), *plain.visible().values()]]
    assert prices == [1200, 1200]


@once
async def test_with_a_single_channel_a_price_changes_without_hiding(stall: Stall) -> None:
    product = await stall.product(price=1000)
    _connection, channel = await stall.connect(FakeChannel(can_hide=True))
    await stall.settle()
    channel.requests.clear()
    await stall.change(product, price=1200)
    await stall.settle()
    assert channel.sent("hide") == channel.sent("withdraw") == 0
    assert [one.price.amount for one in channel.visible().values()] == [1200]
    (price,) = (await stall.announced([product.variants[0].id])).values()
    assert (price.says.price.amount, price.next) == (1200, None)


@once
async def test_a_channel_that_says_hidden_and_still_shows_it_keeps_the_price_waiting(
    stall: Stall,
) -> None:
    product = await stall.product(price=1000)
    first, liar = await stall.connect(FakeChannel(can_hide=True))
    _second, plain = await stall.connect()
    await stall.settle()
    await stall.change(product, price=1200)
    liar.faults.ignores = 1
    await stall.work()
    await stall.work()
    assert [one.price.amount for one in liar.visible().values()] == [1000]
    assert plain.visible() == {}
    row = await stall.row(first, product)
    assert row.may_show
    await stall.settle()
    prices = [one.price.amount for one in [*liar.visible().values(), *plain.visible().values()]]
    assert prices == [1200, 1200]


async def test_a_paused_channel_that_shows_the_old_price_is_named(stall: Stall) -> None:
    product = await stall.product(price=1000)
    first, channel = await stall.connect(title="Instagram")
    second, other = await stall.connect()
    await stall.settle()
    await stall.set_state(first, "paused")
    assert await stall.states(first) == [("paused", None)]
    await stall.change(product, price=1200)
    for _ in range(3):
        await stall.work()
    assert [one.price.amount for one in channel.visible().values()] == [1000]
    assert other.visible() == {}
    assert "Instagram may still show it and is not at work" in str(
        (await stall.row(second, product)).reason
    )
    await stall.set_state(first, "active")
    await stall.settle()
    assert [one.price.amount for one in channel.visible().values()] == [1200]
    assert [one.price.amount for one in other.visible().values()] == [1200]


@once
async def test_a_promotion_is_announced_ahead_and_channels_start_it_by_themselves(
    stall: Stall,
) -> None:
    product = await stall.product(price=1000)
    _, channel = await stall.connect()
    await stall.connect(FakeFeed())
    await stall.reduce(100, product=product, starts_in_hours=24, hours=48)
    await stall.settle()
    (shown,) = channel.visible().values()
    start = stall.clock.now() + timedelta(hours=24)
    assert shown.sale is not None
    assert shown.lowest_30_days is not None
    assert (shown.price.amount, shown.sale.price.amount) == (1000, 900)
    assert (shown.lowest_30_days.amount, effective(shown, start)) == (1000, 900)
    channel.requests.clear()
    stall.clock.advance(timedelta(hours=25))
    await stall.plan()
    assert channel.requests == []
    stall.clock.advance(timedelta(hours=50))
    await stall.settle()
    (shown,) = channel.visible().values()
    assert shown.sale is None
    assert channel.sent("withdraw") == 0


@once
async def test_a_flash_promotion_is_on_no_channel_and_the_merchant_is_warned(stall: Stall) -> None:
    product = await stall.product(price=1000)
    connection, channel = await stall.connect(title="Pinterest")
    await stall.connect(FakeFeed(every=86_400), title="Google")
    await stall.settle()
    made = await stall.reduce(100, product=product, hours=3)
    (warning,) = await stall.listings.warnings_for(made.promotion)
    assert warning.code == "not_on_channels"
    assert "Google fetches prices every 24 hours" in warning.text
    await stall.settle()
    assert [one.sale for one in channel.visible().values()] == [None]
    plan = await stall.planner.dry_run(connection.id)
    assert plan.notes == [warning.text]
    lasting = await stall.reduce(100, product=product, hours=72)
    assert await stall.listings.warnings_for(lasting.promotion) == []


async def test_a_process_killed_in_mid_batch_repeats_it_and_nothing_is_there_twice(
    stall: Stall,
) -> None:
    for number in range(5):
        await stall.product(f"Mug {number}")
    connection, channel = await stall.connect()
    await stall.plan()
    channel.faults.died = True
    with pytest.raises(Died):
        await stall.turn(connection)
    assert len(channel.there) == 3
    stall.restart()
    await stall.settle()
    assert len(channel.there) == 5
    assert await stall.states(connection) == [("live", None)] * 5
    async with stall.database.read() as conn:
        runs = await connection_store.runs_of(conn, [connection.id])
    assert {run.state for run in runs} <= {"done", "failed"}


@once
async def test_a_channel_that_cannot_answer_leaves_everything_due(stall: Stall) -> None:
    await stall.product()
    connection, channel = await stall.connect()
    await stall.plan()
    channel.faults.before.append(RetryLater("Too many requests.", after=60))
    with pytest.raises(RetryLater):
        await stall.turn(connection)
    (row,) = await stall.rows(connection)
    assert (row.state, row.attempts) == ("pending", 0)
    assert row.due_at is not None
    async with stall.database.read() as conn:
        runs = await connection_store.runs_of(conn, [connection.id])
    (run,) = [one for one in runs if one.kind == "push"]
    assert (run.state, run.problem) == ("failed", "Too many requests.")
    channel.faults.before.append(NeedsAttention("The token was revoked."))
    with pytest.raises(NeedsAttention):
        await stall.turn(connection)
    await stall.settle()
    assert len(channel.visible()) == 1


@once
async def test_what_a_channel_edits_is_sent_again_and_then_told(stall: Stall) -> None:
    product = await stall.product()
    connection, channel = await stall.connect(title="Bazaar")
    channel.faults.edits_titles = True
    await stall.settle()
    row = await stall.row(connection, product)
    assert row.drift is not None
    assert (row.state, row.drift.field, row.drift.theirs) == ("drifted", "title", "Mug !")
    assert "Bazaar changes it back whenever it is sent." in str(row.reason)
    assert channel.sent("publish") == 4
    channel.mend()
    await stall.repair(connection)
    await stall.settle()
    assert (await stall.row(connection, product)).state == "live"


@once
async def test_a_channel_that_answers_success_and_shows_nothing_is_found_out(stall: Stall) -> None:
    product = await stall.product()
    connection, channel = await stall.connect(title="Bazaar")
    channel.faults.ignores = 100
    await stall.settle()
    row = await stall.row(connection, product)
    assert row.state == "drifted"
    assert "does not show it" in str(row.reason)
    channel.mend()
    await stall.repair(connection)
    await stall.settle()
    assert (await stall.row(connection, product)).state == "live"


async def test_no_transaction_is_open_while_a_channel_is_called(stall: Stall) -> None:
    await stall.product()
    connection, channel = await stall.connect()
    seen = []

    async def write() -> None:
        async with stall.database.write() as tx:
            await connection_store.remember(tx.conn, connection.id, "x", "y")
            seen.append(1)

    channel.watch.append(write)
    await stall.settle()
    assert seen


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(stall: Stall) -> None:
    for number in range(7):
        await stall.product(f"Mug {number}")
    await stall.product("Bare", has_picture=False)
    connection, _channel = await stall.connect()
    plan = await stall.planner.dry_run(connection.id)
    assert (plan.checked, plan.publish, plan.skip, plan.unchanged) == (8, 7, 1, 0)
    assert (plan.requests, plan.seconds) == (3, 3)
    assert {one.action for one in plan.changes} == {"publish", "skip"}
    async with stall.database.read() as conn:
        for table in (listing, announced_price, sync_run):
            assert (await conn.execute(sa.select(sa.func.count()).select_from(table))).scalar() == 0
    await stall.settle()
    plan = await stall.planner.dry_run(connection.id)
    assert (plan.unchanged, plan.publish, plan.update, plan.requests) == (7, 0, 0, 0)
    with pytest.raises(NotFound):
        await stall.planner.dry_run("con_none")


@once
async def test_a_dry_run_shows_which_prices_are_hidden_first(stall: Stall) -> None:
    product = await stall.product(price=1000)
    connection, _ = await stall.connect(FakeChannel(can_hide=True))
    await stall.connect()
    await stall.settle()
    await stall.change(product, price=900)
    plan = await stall.planner.dry_run(connection.id)
    assert (plan.hide, plan.requests) == (1, 2)
    assert [(one.action, one.fields) for one in plan.changes] == [("hide", ["price"])]


async def test_a_feed_is_sent_when_all_of_it_was_fetched_and_never_live(stall: Stall) -> None:
    product = await stall.product()
    connection, _ = await stall.connect(FakeFeed())
    await stall.plan()
    assert await stall.states(connection) == [("pending", None)]
    assert list(await stall.fed(connection)) == [product.variants[0].id]
    begun = stall.clock.now()
    await stall.listings.note_feed_fetched(connection, begun)
    assert await stall.states(connection) == [("sent", None)]
    stall.clock.advance(timedelta(minutes=1))
    product = await stall.change(product, title="Cup")
    await stall.plan()
    await stall.listings.note_feed_fetched(connection, begun)  # he began before the change
    assert await stall.states(connection) == [("pending", None)]
    await stall.listings.note_feed_fetched(connection)
    await stall.change(product, is_active=False)
    await stall.plan()
    assert await stall.fed(connection) == {}
    ((state, reason),) = await stall.states(connection)
    assert (state, reason) == (
        "pending",
        "It goes out of the feed; who fetches it has not seen that yet.",
    )
    await stall.listings.note_feed_fetched(connection)
    assert await stall.states(connection) == [("withdrawn", None)]


@once
async def test_a_feed_comes_in_the_order_of_ids_however_often_it_is_read(stall: Stall) -> None:
    for number in range(6):
        await stall.product(f"Mug {number}", sizes=("S", "M"))
    connection, feed = await stall.connect(FakeFeed())
    await stall.plan()
    ids = list(await stall.fed(connection))
    assert ids == sorted(ids)
    assert len(ids) == 12
    rest = stall.listings.feed_listings(connection, feed)
    assert [one.id async for one in rest] == ids


async def test_a_removed_connection_goes_when_its_channel_shows_nothing_any_more(
    stall: Stall,
) -> None:
    await stall.product(sizes=("S", "M"))
    connection, channel = await stall.connect()
    await stall.settle()
    await stall.set_state(connection, "removed")
    assert len(channel.there) == 2
    assert (await stall.connection(connection.id)).state == "active"
    await stall.work()
    assert channel.there == {}
    assert (await stall.connection(connection.id)).state == "removed"
    assert {state for state, _ in await stall.states(connection)} == {"withdrawn"}


async def test_a_connection_that_is_abandoned_goes_with_a_word_about_what_is_left(
    stall: Stall,
) -> None:
    await stall.product()
    connection, channel = await stall.connect()
    await stall.settle()
    await stall.set_state(connection, "removed")
    channel.faults.before.append(NeedsAttention("The account was closed."))
    await stall.work()
    await stall.set_state(connection, "abandoned")
    assert (await stall.connection(connection.id)).state == "removed"
    ((state, reason),) = await stall.states(connection)
    assert state == "withdrawn"
    assert "Take it off there by hand" in str(reason)


@once
async def test_a_connection_that_cannot_be_opened_stops_no_other(stall: Stall) -> None:
    product = await stall.product(price=1000)
    broken, _ = await stall.connect()
    _, channel = await stall.connect()
    real = stall.opened.things[broken.id]
    stall.opened.things[broken.id] = NeedsAttention("It has to be authorised.")
    await stall.work()
    await stall.work()
    assert len(channel.visible()) == 1
    stall.opened.things[broken.id] = real
    await stall.settle()
    assert (await stall.row(broken, product)).state == "live"


@once
async def test_after_a_restart_everything_is_looked_at_once(stall: Stall) -> None:
    product = await stall.product()
    _, channel = await stall.connect()
    await stall.settle()
    stall.database._listeners.clear()  # the process dies before it could note what was touched
    await stall.change(product, title="Cup")
    stall.restart()
    await stall.settle()
    assert [one.title for one in channel.visible().values()] == ["Cup"]


@once
async def test_products_noted_by_another_process_are_planned_here(stall: Stall) -> None:
    product = await stall.product()
    connection, _ = await stall.connect()
    await stall.settle()
    await stall.change(product, title="Cup")
    await stall.planner.note()
    async with stall.database.read() as conn:
        assert list(await store.touched(conn)) == [product.id]
    await stall.plan()
    async with stall.database.read() as conn:
        assert await store.touched(conn) == {}
    assert (await stall.row(connection, product)).state == "pending"


async def test_the_truth_table_says_state_since_when_and_why(stall: Stall) -> None:
    mug = await stall.product("Mug", price=1000, sizes=("S", "M"))
    await stall.product("Cup", has_picture=False)
    connection, _ = await stall.connect()
    other, _ = await stall.connect()
    await stall.settle()
    listed = await stall.listings.products(wire.ListingQuery())
    assert [one.title for one in listed.products] == ["Mug", "Cup"]
    first = listed.products[0]
    assert first.price is not None
    assert first.price.amount == 1000
    assert [(one.values, one.connection_id) for one in first.listings] == [
        (["S"], connection.id),
        (["S"], other.id),
        (["M"], connection.id),
        (["M"], other.id),
    ]
    broken = await stall.listings.products(
        wire.ListingQuery(state="rejected", connection_id=other.id)
    )
    ((only,),) = [one.listings for one in broken.products]
    assert (only.state, only.connection_id) == ("rejected", other.id)
    assert only.reason == "It needs a picture: add one to the product."
    page = await stall.listings.products(wire.ListingQuery(limit=1))
    assert page.next == mug.id
    rest = await stall.listings.products(wire.ListingQuery(limit=1, after=page.next, q="cup"))
    assert [one.title for one in rest.products] == ["Cup"]
    async with stall.database.read() as conn:
        counts = await stall.listings.counts(conn, [connection.id])
    assert counts == {connection.id: {"live": 2, "rejected": 1}}


@once
async def test_the_work_can_be_followed(stall: Stall) -> None:
    for number in range(5):
        await stall.product(f"Mug {number}")
    connection, _ = await stall.connect()
    await stall.settle()
    async with stall.database.read() as conn:
        runs = await connection_store.runs_of(conn, [connection.id])
    by_kind = {run.kind: run for run in runs}
    assert by_kind.keys() == {"plan", "push", "read_back"}
    assert all(run.state == "done" for run in runs)
    push = by_kind["push"]
    assert (push.total, push.done, push.counts) == (5, 5, {"accepted": 5})
