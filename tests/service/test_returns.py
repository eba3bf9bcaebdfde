"""Goods that come back: who may send what, until when, and what that brings him."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from order_desk_builders import ADA, BOB, STAFF, House, buyer, eur

from liveshop.catalog.model import UnknownLocation
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Invalid, ShopError
from liveshop.kernel.ids import LocationId, OrderId, ProductId, ReturnId, VariantId
from liveshop.kernel.text import BadText
from liveshop.orders import fulfilment_store, wire
from liveshop.orders.credit import BadDeduction
from liveshop.orders.model import NotNow, NotReturnable, UnknownOrder, UnknownReturn
from liveshop.payments import store as payments_store
from liveshop.payments.model import ChargeAnswer
from liveshop.storage import Database

Article = tuple[ProductId, VariantId]


@pytest.fixture
def shop_house(database_url: str, clock: ManualClock, tmp_path: Path) -> House:
    return House.of(Database.open(database_url, pool_size=10), clock, tmp_path)


@pytest.fixture
async def house(shop_house: House) -> AsyncIterator[House]:
    yield shop_house
    await shop_house.database.close()


@pytest.fixture
async def warehouse(house: House) -> LocationId:
    return await house.place()


@pytest.fixture
async def shirt(house: House) -> Article:
    return await house.variant()


async def test_all_that_comes_back_is_refunded_to_the_last_cent_and_can_be_sold_again(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 3, 2000)], warehouse, shipping=490, tax_added=171)
    store = await house.place("Store", kind="store")

    back = [
        await house.send_back(order, {0: 1}, store),
        await house.send_back(order, {0: 1}, store, shipping=True),
        await house.send_back(order, {0: 1}, store, restocked={0: 0}),
    ]

    assert [one.refund.amount.amount for one in back if one.refund] == [711, 1237, 713]
    assert sum(refund.amount.amount for refund in await house.refunds_of(order)) == 2661
    assert (await house.look(order.id)).payment.refundable == eur(0)
    assert await house.on_hand(shirt[1], store) == 2
    assert await house.on_hand(shirt[1], warehouse) == 0
    assert house.stock_told[-1].variant_ids == (shirt[1],)
    assert [one.one.state for one in back] == ["received"] * 3
    assert {refund.cause for refund in await house.refunds_of(order)} == {"returned"}
    kinds = [(event.kind, event.actor.kind) for event in await house.history(order)]
    assert kinds.count(("return.requested", "buyer")) == 3
    assert kinds.count(("return.received", "staff")) == 3
    assert kinds.count(("refund.owed", "staff")) == 3
    stored = {one.id: one for one in await house.returns_of(order)}
    assert stored == {one.one.id: one.one for one in back}
    assert all(one.refund and one.one.refund_id == one.refund.id for one in back)


async def test_nothing_goes_back_before_it_has_come(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 2, 2000)], warehouse)
    with pytest.raises(NotReturnable, match="not arrived"):
        await house.request(order, {0: 1})

    await house.ship(order)  # the carrier may be slower to tell than the buyer

    await house.request(order, {0: 1})


async def test_what_is_on_its_way_to_a_store_has_not_reached_its_buyer(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    store = await house.place("Store", kind="store")
    order = await house.order([(shirt, 1, 1000)], warehouse, delivery="pickup", store_id=store)
    await house.ship(order)

    with pytest.raises(NotReturnable):
        await house.request(order, {0: 1})


async def test_the_time_for_returns_ends_with_the_last_day(
    house: House, warehouse: LocationId, shirt: Article, clock: ManualClock
) -> None:
    # Delivered on 21 November at 20:00 in Berlin: 30 days are until midnight after 21 December.
    order = await house.arrived([(shirt, 2, 2000)], warehouse)
    clock.advance(timedelta(days=30, hours=3))
    await house.request(order, {0: 1})

    clock.advance(timedelta(hours=1))

    with pytest.raises(NotReturnable, match="time for returns is over"):
        await house.request(order, {0: 1})


async def test_a_parcel_nobody_told_of_has_arrived_after_its_longest_way(
    house: House, warehouse: LocationId, shirt: Article, clock: ManualClock
) -> None:
    order = await house.order([(shirt, 2, 2000)], warehouse)
    await house.ship(order)  # on a Saturday: three working days are until Wednesday
    clock.advance(timedelta(days=30 + 4, hours=3))
    await house.request(order, {0: 1})
    clock.advance(timedelta(hours=1))
    with pytest.raises(NotReturnable):
        await house.request(order, {0: 1})


async def test_no_more_comes_back_than_was_bought(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 2, 2000), (shirt, 1, 900)], warehouse)

    with pytest.raises(NotReturnable, match="at most 2") as more:
        await house.request(order, {0: 3})
    assert more.value.data["returnable"] == [
        {"position": 0, "quantity": 2},
        {"position": 1, "quantity": 1},
    ]
    with pytest.raises(NotReturnable, match="no such line"):
        await house.request(order, {2: 1})

    first = await house.request(order, {0: 2})
    with pytest.raises(NotReturnable):
        await house.request(order, {0: 1})

    # Whoever keeps it, or is refused, may change his mind.
    await house.returns.withdraw(first.id, None, buyer())
    second = await house.request(order, {0: 2})
    await house.returns.refuse(second.id, "Worn", STAFF)
    third = await house.request(order, {0: 2})
    await house.receive(third, warehouse, accepted={0: 1})
    with pytest.raises(NotReturnable):
        await house.request(order, {0: 1})
    assert await house.on_hand(shirt[1], warehouse) == 1


async def test_two_requests_at_once_for_the_same_units_are_one(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse)

    answers = await asyncio.gather(
        *(house.request(order, {0: 1}) for _ in range(4)), return_exceptions=True
    )

    assert sum(isinstance(one, NotReturnable) for one in answers) == 3
    assert len(await house.returns_of(order)) == 1


async def test_one_line_is_named_once(house: House, warehouse: LocationId, shirt: Article) -> None:
    order = await house.arrived([(shirt, 2, 2000)], warehouse)
    line = wire.ReturnLineInput(position=0, quantity=1, reason="other")
    given = wire.ReturnInput(kind="by_post", lines=[line, line])

    with pytest.raises(Invalid, match="once"):
        await house.returns.request(order.id, given, buyer())


async def test_strangers_find_neither_order_nor_return(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse, viewer_id=ADA)
    with pytest.raises(UnknownOrder):
        await house.request(order, {0: 1}, actor=buyer(BOB))
    asked = await house.request(order, {0: 1})
    with pytest.raises(UnknownReturn):
        await house.returns.withdraw(asked.id, None, buyer(BOB))
    with pytest.raises(UnknownReturn):
        await house.returns.refuse(ReturnId("ret_none"), "no", STAFF)
    given = wire.ReturnInput(
        kind="by_post", lines=[wire.ReturnLineInput(position=0, quantity=1, reason="other")]
    )
    with pytest.raises(UnknownOrder):
        await house.returns.request(OrderId("ord_none"), given, STAFF)


async def test_staff_takes_back_at_the_counter_what_a_buyer_brings(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse, shipping=0)
    store = await house.place("Store", kind="store")
    given = wire.ReturnInput(
        kind="in_store",
        lines=[
            wire.ReturnLineInput(
                position=0, quantity=1, reason="changed_mind", note=" a\u202eb  c "
            )
        ],
    )

    asked = await house.returns.request(order.id, given, STAFF)
    back = await house.receive(asked.one, store)

    assert asked.one.lines[0].note == "ab c"
    assert back.refund is not None
    assert back.refund.amount == eur(1000)
    assert back.one.location_id == store
    assert await house.on_hand(shirt[1], store) == 1
    shown = house.returns.out(back)
    assert shown.worth is not None
    assert (shown.worth.amount, shown.order_number) == (1000, order.number)
    assert shown.refund is not None
    assert not shown.refund.by_hand


@pytest.mark.parametrize(
    ("accepted", "restocked", "field"),
    [
        ({0: 3}, {0: 0}, "accepted"),
        ({0: 1}, {0: 2}, "restocked"),
        ({1: 1}, {1: 0}, "lines"),
        ({0: 1, 1: 1}, {}, "lines"),
    ],
)
async def test_an_inspection_finds_no_more_than_was_to_come(
    house: House,
    warehouse: LocationId,
    shirt: Article,
    accepted: dict[int, int],
    restocked: dict[int, int],
    field: str,
) -> None:
    order = await house.arrived([(shirt, 3, 3000), (shirt, 1, 1000)], warehouse)
    asked = await house.request(order, {0: 2})

    with pytest.raises(Invalid) as refused:
        await house.receive(asked, warehouse, accepted=accepted, restocked=restocked)

    assert refused.value.data["field"] == field
    with pytest.raises(UnknownLocation):
        await house.receive(asked, LocationId("loc_none"))
    assert [one.state for one in await house.returns_of(order)] == ["requested"]
    assert await house.refunds_of(order) == []


async def test_a_deduction_has_a_reason_and_leaves_nothing_below_zero(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 2, 2000)], warehouse)
    asked = await house.request(order, {0: 1})
    with pytest.raises(BadText, match="Say why"):
        await house.receive(asked, warehouse, deduction=100)
    with pytest.raises(BadDeduction) as much:
        await house.receive(asked, warehouse, deduction=1001, note="Worn")
    assert much.value.data["goods"] == 1000
    with pytest.raises(BadDeduction):
        await house.receive(asked, warehouse, deduction=-1, note="Worn")

    back = await house.receive(asked, warehouse, deduction=250, note="Worn")

    assert back.refund is not None
    assert back.refund.amount == eur(750)
    [received] = [one for one in await house.history(order) if one.kind == "return.received"]
    assert received.note == "Worn"
    assert received.data["deduction"] == 250


async def test_what_is_kept_back_whole_leaves_nothing_to_refund(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse)

    back = await house.send_back(order, {0: 1}, warehouse, deduction=1000, note="Burnt")
    assert back.refund is None

    with pytest.raises(NotNow):
        await house.receive(back.one, warehouse)
    assert await house.refunds_of(order) == []


async def test_shipping_goes_back_once(house: House, warehouse: LocationId, shirt: Article) -> None:
    order = await house.arrived([(shirt, 2, 2000)], warehouse, shipping=490)
    first = await house.send_back(order, {0: 1}, warehouse, shipping=True)
    assert first.refund is not None
    assert first.refund.amount == eur(1490)
    asked = await house.request(order, {0: 1})

    with pytest.raises(NotNow, match="refunded before"):
        await house.receive(asked, warehouse, shipping=True)


async def test_a_return_is_received_once_however_many_try(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 2, 2000)], warehouse)
    asked = await house.request(order, {0: 1})

    answers = await asyncio.gather(
        *(house.receive(asked, warehouse) for _ in range(3)),
        house.returns.withdraw(asked.id, None, buyer()),
        return_exceptions=True,
    )

    assert sum(isinstance(one, NotNow) for one in answers) == 3
    [stored] = await house.returns_of(order)
    refunds = await house.refunds_of(order)
    assert len(refunds) == (1 if stored.state == "received" else 0)
    assert await house.on_hand(shirt[1], warehouse) == len(refunds)


async def test_goods_not_paid_yet_take_off_what_is_owed(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived(
        [(shirt, 2, 2000)], warehouse, method="invoice", payment="authorised", shipping=490
    )

    back = await house.send_back(order, {0: 1}, warehouse)

    assert back.refund is None
    assert house.returns.out(back).refund is None
    [event] = [one for one in await house.history(order) if one.kind == "return.received"]
    assert event.data["owed_less"] == 1000
    paid = await house.desk.mark_paid(order.id, STAFF, "Transfer of 3 March")
    assert (paid.payment.state, paid.payment.captured) == ("paid", 1490)
    rest = await house.send_back(paid, {0: 1}, warehouse, shipping=True)
    assert rest.refund is not None
    assert rest.refund.amount == eur(1490)
    assert house.returns.out(rest).refund is not None
    assert (await house.look(order.id)).payment.refundable == eur(0)


async def test_all_of_an_unpaid_order_back_leaves_nothing_to_pay(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived(
        [(shirt, 1, 1000)], warehouse, method="invoice", payment="authorised"
    )
    await house.send_back(order, {0: 1}, warehouse, shipping=True)

    with pytest.raises(NotNow, match="nothing is owed"):
        await house.desk.mark_paid(order.id, STAFF, None)


async def test_no_more_goes_back_than_is_left_of_what_was_paid(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse, shipping=0)
    await house.desk.refund(order.id, "k", eur(300), "Came late", STAFF)

    back = await house.send_back(order, {0: 1}, warehouse)

    assert back.refund is not None
    assert back.refund.amount == eur(700)
    assert back.one.credit is not None
    assert back.one.credit.total == eur(1000)


async def test_nothing_is_inspected_while_the_money_is_on_its_way(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, payment="processing")
    [parcel] = await house.fulfilments_of(order)
    async with house.database.write() as tx:  # sent off by somebody who would not wait
        await fulfilment_store.move(tx.conn, parcel, "shipped", house.clock.now())
    asked = await house.request(order, {0: 1})

    with pytest.raises(NotNow, match="not settled"):
        await house.receive(asked, warehouse)


async def test_goods_that_were_never_paid_are_taken_back_without_a_refund(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, payment="processing")
    [parcel] = await house.fulfilments_of(order)
    async with house.database.write() as tx:
        await fulfilment_store.move(tx.conn, parcel, "shipped", house.clock.now())
        bounced = ChargeAnswer("declined", "ref_bounced", "No such account.")
        await payments_store.record_answer(tx.conn, order.payment, bounced, house.clock.now())

    back = await house.send_back(order, {0: 1}, warehouse)

    assert (back.one.state, back.refund) == ("received", None)
    assert await house.on_hand(shirt[1], warehouse) == 1


async def test_a_bundle_comes_back_as_its_parts(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    cup = await house.variant("Cup")
    both = await house.variant("Set", parts=[(shirt[1], 1), (cup[1], 2)])
    order = await house.arrived([(both, 2, 5001)], warehouse)

    back = await house.send_back(order, {0: 1}, warehouse)

    assert back.refund is not None
    assert back.refund.amount == eur(2500)
    assert await house.on_hand(shirt[1], warehouse) == 1
    assert await house.on_hand(cup[1], warehouse) == 2
    assert set(house.stock_told[-1].variant_ids) == {shirt[1], cup[1], both[1]}


async def test_returns_are_listed_page_by_page(
    house: House, warehouse: LocationId, shirt: Article, clock: ManualClock
) -> None:
    order = await house.arrived([(shirt, 3, 3000)], warehouse)
    asked = []
    for _ in range(3):
        clock.advance(timedelta(seconds=1))
        asked.append(await house.request(order, {0: 1}))
    await house.receive(asked[0], warehouse)

    page, following = await house.returns.page(wire.ReturnQuery(limit=2))
    rest, end = await house.returns.page(wire.ReturnQuery(limit=2, cursor=following))

    assert [one.one.id for one in [*page, *rest]] == [one.id for one in reversed(asked)]
    assert end is None
    assert rest[0].refund is not None
    only, _ = await house.returns.page(wire.ReturnQuery(state="received", order_id=order.id))
    assert [one.one.id for one in only] == [asked[0].id]


async def test_whoever_refuses_says_why_and_once(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.arrived([(shirt, 1, 1000)], warehouse)
    asked = await house.request(order, {0: 1})
    with pytest.raises(BadText):
        await house.returns.refuse(asked.id, " \u200b ", STAFF)

    for _ in range(2):
        refused = await house.returns.refuse(asked.id, "Smells of smoke", STAFF)
        assert refused.one.state == "refused"

    ended = [one for one in await house.history(order) if one.kind == "return.refused"]
    assert [one.note for one in ended] == ["Smells of smoke"]
    with pytest.raises(ShopError):
        await house.returns.withdraw(asked.id, None, buyer())
