"""What comes from a shop system: everything once, then changes; stock that is never sold twice."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from checkout_builders import audit, somebody_waits_for_a_lock, viewer
from source_builders import Catalog, House, System

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.source_stock import Sold
from liveshop.connect import NeedsAttention, RetryLater
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId
from liveshop.orders.model import Order
from liveshop.syndication import connection_store, export_store
from liveshop.syndication.model import Run


@pytest.fixture
def house(shop: Liveshop, clock: ManualClock) -> House:
    return House(shop, clock)


@pytest.fixture
async def system(house: House) -> System:
    """A shop system with five products, connected and not read yet."""
    made = System()
    for name in ("bowl", "cup", "dish", "jug", "mug"):
        made.put(name)
    await house.connect(made)
    return made


async def last_run(house: House) -> Run:
    async with house.shop.database.read() as conn:
        return (await connection_store.runs_of(conn, ["con_1"]))[0]


async def runs(house: House) -> int:
    async with house.shop.database.read() as conn:
        return len(await connection_store.runs_of(conn, ["con_1"]))


async def test_the_first_turn_reads_everything_the_next_ones_what_changed(
    house: House, system: System
) -> None:
    wanted = await house.turn()
    assert wanted == house.clock.now() + timedelta(seconds=60)
    assert system.asked == ["products from the start", "ids"]
    assert await house.on_hand("mug") == 5
    run = await last_run(house)
    assert (run.state, run.kind, run.done) == ("done", "import", 5)
    assert run.counts == {"created": 5, "updated": 0, "failed": 0, "withdrawn": 0}
    system.put("mug", quantity=7, price=3100)
    await house.turn()
    assert system.asked[2:] == ["changes"]
    assert await house.on_hand("mug") == 7
    assert (await house.product("mug")).variants[0].price.amount == 3100
    assert (await last_run(house)).counts["updated"] == 1
    # Nothing new: nothing to tell.
    await house.turn()
    assert await runs(house) == 2


async def test_everything_is_read_again_after_a_day(house: House, system: System) -> None:
    await house.turn()
    house.clock.advance(timedelta(hours=24))
    await house.turn()
    assert system.asked.count("products from the start") == 2


async def test_a_run_that_broke_goes_on_where_it_was(house: House, system: System) -> None:
    async def broken(page: int) -> None:
        if page == 1:
            raise RetryLater("The shop system is away.")

    system.before_page = broken
    with pytest.raises(RetryLater):
        await house.turn()
    run = await last_run(house)
    assert run.state == "failed"
    assert run.problem == "The shop system is away. It goes on from where it was."
    assert await house.on_hand("cup") == 5
    system.before_page = None
    await house.turn()
    assert system.asked == ["products from the start", "products 2", "ids"]
    assert await house.on_hand("mug") == 5


async def test_a_product_that_cannot_be_read_is_named_and_spoils_no_other(
    house: House, system: System
) -> None:
    system.bad["bread"] = "it has no price"
    system.put("free", price=0)
    await house.turn()
    run = await last_run(house)
    assert run.state == "done"
    assert run.problem == "bread: it has no price"
    assert (run.counts["created"], run.counts["failed"]) == (5, 2)


async def test_what_the_system_deleted_is_withdrawn_within_the_hour_and_may_come_back(
    house: House, system: System
) -> None:
    await house.turn()
    gone = system.products_by_id.pop("mug")
    await house.turn()
    assert (await house.product("mug")).is_active
    house.clock.advance(timedelta(hours=1))
    await house.turn()
    assert not (await house.product("mug")).is_active
    assert (await house.product("cup")).is_active
    system.products_by_id["mug"] = gone
    system.changed.add("mug")
    await house.turn()
    assert (await house.product("mug")).is_active


async def test_most_of_a_catalog_vanishes_only_when_a_person_says_so(
    house: House, system: System
) -> None:
    for number in range(40):
        system.put(f"plate {number:02}")
    await house.turn()
    for name in [name for name in system.products_by_id if name.startswith("plate")]:
        del system.products_by_id[name]
    house.clock.advance(timedelta(hours=1))
    for _ in range(2):
        with pytest.raises(NeedsAttention, match="40 of the 45 products") as caught:
            await house.turn()
        assert (await house.product("plate 07")).is_active
    assert "resume the connection" in caught.value.detail
    await house.set_state("active")
    await house.turn()
    assert not (await house.product("plate 07")).is_active
    assert (await house.product("mug")).is_active


async def test_twenty_products_may_vanish_without_a_word(house: House, system: System) -> None:
    await house.turn()
    system.products_by_id.clear()
    house.clock.advance(timedelta(hours=1))
    await house.turn()
    assert not (await house.product("mug")).is_active


async def test_what_was_sold_here_is_not_put_back_by_a_look_at_the_source(
    house: House, system: System
) -> None:
    await house.turn()
    await house.buy("mug", quantity=2)
    assert await house.on_hand("mug") == 3
    # The system knows nothing of it yet, and still counts five.
    system.changed.add("mug")
    await house.turn()
    assert await house.on_hand("mug") == 3
    await house.work()
    assert system.quantity("mug") == 3
    for _ in range(3):
        system.changed.add("mug")
        await house.turn()
        assert await house.on_hand("mug") == 3


async def test_an_order_that_arrives_while_the_source_is_read_is_not_sold_again(
    house: House, system: System
) -> None:
    await house.turn()
    await house.buy("mug", quantity=2)

    async def meanwhile(page: int) -> None:
        if page == 2:
            # The page in hand counts five mugs; the order goes out before it lands.
            await house.work()

    system.after_page = meanwhile
    house.clock.advance(timedelta(hours=24))
    await house.turn()
    assert system.quantity("mug") == 3
    assert await house.on_hand("mug") == 3


async def test_a_count_that_has_the_order_already_takes_it_off_once(
    house: House, system: System
) -> None:
    await house.turn()
    await house.buy("mug", quantity=2)
    house.clock.advance(timedelta(hours=24))

    async def meanwhile(page: int) -> None:
        if page == 2:
            # Asked for, not counted yet: what comes has the order in it.
            await house.work()

    system.before_page = meanwhile
    await house.turn()
    assert system.quantity("mug") == 3
    assert await house.on_hand("mug") == 3


async def test_sales_on_both_sides_while_an_order_is_under_way_meet_within_a_turn(
    house: House, system: System
) -> None:
    await house.turn()
    await house.buy("mug", quantity=2)
    house.clock.advance(timedelta(hours=24))

    async def meanwhile(page: int) -> None:
        if page == 2:
            await house.work()
            # Sold there too, and counted.
            system.set_quantity("mug", system.quantity("mug") - 2)

    system.before_page = meanwhile
    await house.turn()
    assert await house.on_hand("mug") == 1
    system.before_page = None
    await house.turn()
    assert system.quantity("mug") == await house.on_hand("mug") == 1


@pytest.mark.parametrize(
    ("surely", "perhaps", "present", "shelf"),
    [
        (0, 0, 9, 5),
        (2, 0, 9, 3),
        (0, 2, 3, 3),
        (0, 2, 5, 5),
        (0, 2, 9, 5),
        (1, 2, 0, 2),
        (9, 0, 1, 0),
    ],
)
def test_the_shelf_is_as_full_as_the_count_allows(
    surely: int, perhaps: int, present: int, shelf: int
) -> None:
    assert Sold(surely, perhaps).on_shelf(5, present) == shelf
    assert Sold(surely, perhaps).on_shelf(5, None) == max(0, 5 - surely - perhaps)


async def test_a_sale_at_the_source_reaches_the_shelf_but_never_what_carts_hold(
    house: House, system: System
) -> None:
    await house.turn()
    mug = await house.variant_id("mug")
    await house.shop.carts.add_to_cart(viewer(9), mug, 3, None)
    system.set_quantity("mug", 1)
    system.changed.add("mug")
    await house.turn()
    assert await house.on_hand("mug") == 3
    assert (await house.shop.catalog.available([mug]))[mug] == 0
    assert "carts and orders hold 3" in ((await last_run(house)).problem or "")
    # What carts give back is not for sale: the source does not have it.
    house.clock.advance(timedelta(hours=1))
    await house.shop.carts.sweep()
    await house.turn()
    assert await house.on_hand("mug") == 1


async def test_what_carts_give_back_is_looked_at_again_at_once(
    house: House, system: System
) -> None:
    await house.turn()
    mug = await house.variant_id("mug")
    await house.shop.carts.add_to_cart(viewer(9), mug, 3, None)
    system.set_quantity("mug", 1)
    system.changed.add("mug")
    await house.turn()
    cart = await house.shop.carts.cart_of(viewer(9))
    await house.shop.carts.remove_line(viewer(9), LineId(cart.lines[0].id))
    system.asked.clear()
    await house.turn()
    assert system.asked == ["changes", "quantities"]
    assert await house.on_hand("mug") == 1
    # And not for ever.
    await house.turn()
    assert system.asked == ["changes", "quantities", "changes"]


async def test_all_stock_is_looked_at_every_hour(house: House, system: System) -> None:
    await house.turn()
    system.set_quantity("mug", 2)
    house.clock.advance(timedelta(hours=1))
    await house.turn()
    assert await house.on_hand("mug") == 2


async def test_a_source_that_takes_no_orders_sets_the_stock_only_with_a_new_count(
    house: House,
) -> None:
    catalog = Catalog()
    catalog.put("mug")
    await house.connect(catalog)
    await house.turn()
    order = await house.buy("mug", quantity=2)
    await house.work()
    assert await house.state_of(order) == []
    house.clock.advance(timedelta(hours=24))
    await house.turn()
    assert await house.on_hand("mug") == 3
    catalog.set_quantity("mug", 9)
    catalog.changed.add("mug")
    await house.turn()
    assert await house.on_hand("mug") == 9


async def test_two_turns_at_once_do_no_harm(house: House, system: System) -> None:
    connection = await house.connection()
    await asyncio.gather(house.turns.turn(connection), house.turns.turn(connection))
    page = await house.shop.catalog.products(include_inactive=True)
    assert sorted(one.product.title for one in page.products) == [
        "Bowl",
        "Cup",
        "Dish",
        "Jug",
        "Mug",
    ]
    assert [await house.on_hand(name) for name in ("bowl", "cup", "mug")] == [5, 5, 5]


async def test_a_connection_that_was_paused_meanwhile_is_left_alone(
    house: House, system: System
) -> None:
    connection = await house.connection()
    await house.set_state("paused")
    assert await house.turns.turn(connection) is None
    assert system.asked == []


async def test_buyers_orders_and_readings_race_and_nothing_is_sold_twice(
    house: House, system: System
) -> None:
    await house.turn()

    async def buy() -> bool:
        try:
            await house.buy("mug")
        except OutOfStock:
            return False
        return True

    async def read() -> bool:
        system.changed.add("mug")
        await house.turn()
        return False

    async def send() -> bool:
        await house.work()
        return False

    done = await asyncio.gather(*(one() for _ in range(4) for one in (buy, buy, read, send)))
    assert sum(done) == 5
    house.clock.advance(timedelta(minutes=1))
    await house.work()
    system.changed.add("mug")
    await house.turn()
    assert (system.placed, system.quantity("mug")) == (5, 0)
    assert await house.on_hand("mug") == 0
    await audit(house.shop.database)


async def test_an_order_between_the_look_at_the_count_and_its_writing_is_not_undone(
    house: House, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock on the shelf the order is confirmed here, and its unit put back."""
    await house.turn()
    buying: list[asyncio.Task[Order]] = []
    looked = export_store.uncounted

    async def look(*given: Any) -> Any:
        found = await looked(*given)
        if not buying:
            buying.append(asyncio.create_task(house.buy("mug")))
            if not house.shop.database.is_sqlite:
                waits = asyncio.create_task(somebody_waits_for_a_lock(house.shop))
                await asyncio.wait({waits, *buying}, return_when=asyncio.FIRST_COMPLETED)
                waits.cancel()
        return found

    monkeypatch.setattr(export_store, "uncounted", look)
    system.changed.add("mug")
    system.set_quantity("mug", 6)
    await house.turn()
    await buying[0]
    assert await house.on_hand("mug") == 5
