"""Paid orders go back to the shop systems their products came from: once, and all of them."""

from datetime import timedelta

import builders
import pytest
import store_builders
from source_builders import Catalog, House, System

from liveshop.app import Liveshop
from liveshop.connect import NeedsAttention, OutcomeUnknown, RetryLater, SkipListing
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.money import Money
from liveshop.syndication.exporting import TOPIC, ExportJob
from liveshop.syndication.model import ConnectionId, UnknownExport


@pytest.fixture
def house(shop: Liveshop, clock: ManualClock) -> House:
    return House(shop, clock)


@pytest.fixture
async def system(house: House) -> System:
    """A shop system with a mug and a cup, read once."""
    made = System()
    made.put("mug", price=2800)
    made.put("cup", price=1500)
    await house.connect(made)
    await house.turn()
    return made


async def test_a_paid_order_goes_to_its_source_with_all_it_needs(
    house: House, system: System
) -> None:
    order = await house.buy("mug", quantity=2)
    assert await house.state_of(order) == [("waiting", None)]
    await house.work()
    (one,) = await house.exports.exports(order.id)
    assert (one.state, one.reference) == ("placed", f"at-{order.id}")
    told = system.orders[order.id]
    assert (told.number, told.email) == (order.number, "ada@example.org")
    assert (told.address.name, told.address.street) == ("Ada Example", "Weg 1")
    assert [(item.source_id, item.quantity, item.total) for item in told.items] == [
        ("mug-0", 2, order.lines[0].payable)
    ]
    assert (told.shipping, told.total) == (order.shipping, order.total)
    assert told.payment_reference == order.payment.reference
    assert system.quantity("mug") == await house.on_hand("mug") == 3


async def test_an_order_that_is_collected_goes_to_the_address_of_its_store(
    house: House, system: System
) -> None:
    store = await store_builders.store(house.shop, "Altona")
    order = await house.buy_variants({await house.variant_id("mug"): 1}, store.id)
    await house.work()
    told = system.orders[order.id].address
    assert (told.name, told.street) == ("Ada Example", "Altona, Markt 1")
    assert (told.postal_code, told.city, told.country) == ("22765", "Hamburg", "DE")


async def test_a_job_that_comes_twice_places_one_order(house: House, system: System) -> None:
    order = await house.buy("mug")
    job = {"order_id": order.id, "connection_id": "con_1"}
    for _ in range(2):
        await house.exports.export_job(job)
    async with house.shop.database.write() as tx:
        payload = ExportJob(**job)
        await tx.enqueue(TOPIC, payload, now=house.clock.now(), key="once more")
    await house.work()
    assert system.placed == 1


async def test_an_order_without_products_of_a_source_goes_nowhere(
    house: House, system: System
) -> None:
    own = await builders.product(house.shop, title="Own mug")
    order = await house.buy_variants({own.variants[0].id: 1})
    await house.work()
    assert await house.state_of(order) == []
    assert system.orders == {}


async def test_each_source_gets_its_own_part_and_nothing_is_lost(
    house: House, system: System
) -> None:
    other = System()
    other.put("lamp", price=9900)
    await house.connect(other, "con_2")
    await house.turn("con_2")
    own = (await builders.product(house.shop, title="Own mug", price=700)).variants[0].id
    mug, lamp = await house.variant_id("mug"), await house.variant_id("lamp")
    order = await house.buy_variants({mug: 1, lamp: 2, own: 1})
    await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["placed", "placed"]
    first, second = system.orders[order.id], other.orders[order.id]
    assert [item.source_id for item in first.items] == ["mug-0"]
    assert [item.source_id for item in second.items] == ["lamp-0"]
    assert second.shipping == Money(0, "EUR")
    rest = Money(700, "EUR")
    assert first.total + second.total + rest == order.total


async def test_a_bundle_goes_back_as_its_parts(house: House, system: System) -> None:
    mug, cup = await house.variant_id("mug"), await house.variant_id("cup")
    set_ = await builders.bundle(house.shop, {mug: 1, cup: 2}, price=4901)
    order = await house.buy_variants({set_.variants[0].id: 1})
    system.changed.update(("mug", "cup"))
    await house.turn()
    assert [await house.on_hand(name) for name in ("mug", "cup")] == [4, 3]
    await house.work()
    told = system.orders[order.id]
    assert sorted((item.source_id, item.quantity) for item in told.items) == [
        ("cup-0", 2),
        ("mug-0", 1),
    ]
    assert sum(item.total.amount for item in told.items) == 4901
    system.changed.update(("mug", "cup"))
    await house.turn()
    assert [system.quantity(name) for name in ("mug", "cup")] == [4, 3]
    assert [await house.on_hand(name) for name in ("mug", "cup")] == [4, 3]


# Bad days


async def test_no_answer_is_asked_for_again_and_the_order_is_there_once(
    house: House, system: System
) -> None:
    async def lost() -> None:
        system.after_order = None
        raise OutcomeUnknown("No answer came.")

    system.after_order = lost
    order = await house.buy("mug")
    await house.work()
    assert await house.state_of(order) == [("waiting", "No answer came.")]
    house.clock.advance(timedelta(minutes=1))
    await house.work()
    assert await house.state_of(order) == [("placed", None)]
    assert system.placed == 1


async def test_a_refused_order_is_for_the_merchant_and_its_units_stay_sold(
    house: House, system: System
) -> None:
    async def refused() -> None:
        raise SkipListing("There is not enough of it.")

    system.before_order = refused
    order = await house.buy("mug")
    await house.work()
    (one,) = await house.exports.refused()
    assert (one.order_id, one.reason) == (order.id, "There is not enough of it.")
    system.changed.add("mug")
    await house.turn()
    assert await house.on_hand("mug") == 4
    system.before_order = None
    await house.exports.try_again(order.id, ConnectionId("con_1"))
    await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["placed"]
    with pytest.raises(UnknownExport):
        await house.exports.try_again(order.id, ConnectionId("con_1"))


async def test_a_refused_order_that_was_entered_by_hand_is_counted_there(
    house: House, system: System
) -> None:
    async def refused() -> None:
        raise SkipListing("There is no such customer group.")

    system.before_order = refused
    order = await house.buy("mug")
    await house.work()
    system.set_quantity("mug", 4)
    await house.exports.taken_by_hand(order.id, ConnectionId("con_1"), "A-17")
    (one,) = await house.exports.exports(order.id)
    assert (one.state, one.reference, one.reason) == ("placed", "A-17", None)
    await house.turn()
    assert await house.on_hand("mug") == 4


async def test_what_needs_a_person_waits_for_one_and_then_goes_at_once(
    house: House, system: System
) -> None:
    async def revoked() -> None:
        raise NeedsAttention("The token was revoked.")

    system.before_order = revoked
    order = await house.buy("mug")
    await house.work()
    assert await house.state_of(order) == [("waiting", "The token was revoked.")]
    connection = await house.connection()
    assert (connection.state, connection.attention) == ("attention", "The token was revoked.")
    system.before_order = None
    await house.set_state("active")
    await house.turn()
    await house.work()
    assert await house.state_of(order) == [("placed", None)]


async def test_an_order_waits_while_the_connection_is_paused(house: House, system: System) -> None:
    order = await house.buy("mug")
    await house.set_state("paused")
    await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["waiting"]
    await house.set_state("active")
    await house.turn()
    await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["placed"]


async def test_an_order_for_a_connection_that_was_removed_is_refused(
    house: House, system: System
) -> None:
    order = await house.buy("mug")
    await house.set_state("removed")
    await house.work()
    assert await house.state_of(order) == [
        ("refused", "The connection to the shop system was removed. Enter the order there.")
    ]


async def test_a_fault_of_the_connector_is_tried_again_for_ever(
    house: House, system: System
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    system.before_order = broken
    order = await house.buy("mug")
    for _ in range(25):
        await house.work()
        house.clock.advance(timedelta(hours=2))
    assert await house.state_of(order) == [("waiting", "No answer yet; it is tried again.")]
    system.before_order = None
    await house.work()
    assert system.placed == 1


async def test_a_source_that_takes_no_orders_is_told_none(house: House) -> None:
    catalog = Catalog()
    catalog.put("mug")
    await house.connect(catalog)
    await house.turn()
    order = await house.buy("mug")
    await house.work()
    assert await house.state_of(order) == []


# Cancelled


async def test_an_order_cancelled_before_it_went_out_never_does(
    house: House, system: System
) -> None:
    order = await house.buy("mug")
    await house.cancel(order)
    await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["cancelled"]
    assert system.placed == 0


async def test_an_order_cancelled_later_is_cancelled_at_its_source_once(
    house: House, system: System
) -> None:
    order = await house.buy("mug")
    await house.work()
    for _ in range(2):
        await house.cancel(order)
        await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["cancelled"]
    assert system.cancelled == [order.id]
    assert system.quantity("mug") == 5


async def test_an_order_cancelled_while_it_is_under_way_is_cancelled_when_it_arrived(
    house: House, system: System
) -> None:
    order = await house.buy("mug")

    async def meanwhile() -> None:
        system.after_order = None
        await house.cancel(order)
        raise RetryLater("No answer came.")

    system.after_order = meanwhile
    await house.work()
    for _ in range(3):
        house.clock.advance(timedelta(minutes=1))
        await house.work()
    assert [state for state, _ in await house.state_of(order)] == ["cancelled"]
    assert (system.placed, system.cancelled) == (1, [order.id])


async def test_an_order_that_cannot_be_cancelled_there_is_for_the_merchant(
    house: House, system: System
) -> None:
    async def shipped() -> None:
        raise SkipListing("It was shipped.")

    system.before_cancel = shipped
    order = await house.buy("mug")
    await house.work()
    assert await house.exports.refused() == []
    await house.cancel(order)
    await house.work()
    (one,) = await house.exports.refused()
    assert (one.state, one.reason) == ("placed", "It could not be cancelled there: It was shipped.")
    # It is not asked for again by itself.
    system.before_cancel = None
    await house.turn()
    await house.work()
    assert system.cancelled == []
