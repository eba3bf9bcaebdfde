"""What staff does about an order's money, and that it is done once however many do it at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from order_desk_builders import STAFF, House, buyer, eur

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId, OrderId, ProductId, RefundId, VariantId
from liveshop.kernel.money import Money
from liveshop.kernel.text import BadText
from liveshop.orders import store, wire
from liveshop.orders.model import (
    SYSTEM,
    KeyReused,
    NotNow,
    Order,
    UnknownOrder,
    UnknownRefund,
)
from liveshop.payments.model import RefundTooLarge
from liveshop.payments.tables import payment
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


async def void_wanted(house: House, order: Order) -> bool:
    async with house.database.read() as conn:
        query = sa.select(payment.c.is_void_wanted).where(payment.c.id == order.payment.id)
        return bool(await conn.scalar(query))


# Cancelling


async def test_cancelling_gives_stock_and_money_back_once(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 2, 2000)], warehouse)
    await house.desk.refund(order.id, "a", eur(90), "A scratch", STAFF)

    answers = await asyncio.gather(
        *(house.desk.cancel(order.id, STAFF, "Out of print") for _ in range(3))
    )

    assert {one.state for one in answers} == {"cancelled"}
    assert (await house.look(order.id)).state == "cancelled"
    assert await house.on_hand(shirt[1], warehouse) == 2
    assert house.cancelled == [order.id]
    refunds = {refund.cause: refund for refund in await house.refunds_of(order)}
    assert refunds["cancelled"].amount == eur(2400)
    assert len(refunds) == 2
    events = [event for event in await house.history(order) if event.kind == "order.cancelled"]
    assert [(one.actor.name, one.note) for one in events] == [("Tests", "Out of print")]


async def test_what_was_only_promised_is_given_up(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    for state in ("authorised", "processing"):
        order = await house.order([(shirt, 1, 1000)], warehouse, payment=state)
        await house.desk.cancel(order.id, STAFF, "Wrong size")
        assert await void_wanted(house, order)
        assert await house.refunds_of(order) == []


async def test_an_order_of_which_something_has_left_is_not_cancelled(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)
    await house.ship(order)
    with pytest.raises(NotNow, match="return"):
        await house.desk.cancel(order.id, STAFF, "Too late")

    place = await house.place("Store", kind="store")
    to_store = await house.order([(shirt, 1, 1000)], warehouse, delivery="pickup", store_id=place)
    await house.ship(to_store)
    with pytest.raises(NotNow, match="once it is there"):
        await house.desk.cancel(to_store.id, STAFF, "Too late")

    assert (await house.look(order.id)).state == "confirmed"
    assert await house.refunds_of(order) == []
    assert house.cancelled == []


async def test_what_lies_in_the_store_goes_onto_its_shelf_when_it_is_cancelled(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    place = await house.place("Store", kind="store")
    order = await house.order([(shirt, 1, 1000)], warehouse, delivery="pickup", store_id=place)
    await house.ship(order)
    [parcel] = await house.fulfilments_of(order)
    await house.fulfilments.ready(parcel.id, STAFF)

    await house.desk.cancel(order.id, STAFF, "Nobody came")

    assert await house.on_hand(shirt[1], place) == 1
    assert await house.on_hand(shirt[1], warehouse) == 0


async def test_staff_that_cancels_says_why_and_knows_the_order(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)
    with pytest.raises(BadText):
        await house.desk.cancel(order.id, STAFF, "  ")
    with pytest.raises(UnknownOrder):
        await house.desk.cancel(OrderId("ord_none"), STAFF, "Why not")
    async with house.database.write() as tx:
        await tx.conn.execute(
            sa.update(store.shop_order)
            .where(store.shop_order.c.id == order.id)
            .values(state="pending")
        )
    with pytest.raises(NotNow, match="not paid"):
        await house.desk.cancel(order.id, STAFF, "Why not")


async def test_a_payment_that_fails_later_cancels_in_its_own_transaction(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, payment="processing")
    async with house.database.write() as tx:
        known = await store.locked(tx.conn, order.id)
        assert known is not None
        await house.desk.cancel_in(tx, known, SYSTEM, "declined", house.clock.now())

    assert (await house.look(order.id)).state == "cancelled"
    assert await house.on_hand(shirt[1], warehouse) == 1


# Refunds


async def test_no_refund_is_larger_than_what_is_left(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, shipping=0)
    await house.desk.refund(order.id, "first", eur(400), "A scratch", STAFF)

    with pytest.raises(RefundTooLarge) as refused:
        await house.desk.refund(order.id, "second", eur(601), "Another", STAFF)
    assert refused.value.data["refundable"] == {"amount": 600, "currency": "EUR"}
    await house.desk.refund(order.id, "third", eur(600), "Another", STAFF)
    with pytest.raises(RefundTooLarge):
        await house.desk.refund(order.id, "fourth", eur(1), "Another", STAFF)


@pytest.mark.parametrize("amount", [eur(0), eur(-5), Money(100, "USD")])
async def test_a_refund_is_of_something_in_the_orders_currency(
    house: House, warehouse: LocationId, shirt: Article, amount: Money
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)
    with pytest.raises(Invalid):
        await house.desk.refund(order.id, "k", amount, "Sorry", STAFF)
    with pytest.raises(BadText):
        await house.desk.refund(order.id, "k", eur(100), " ", STAFF)
    assert await house.refunds_of(order) == []


async def test_the_same_key_gives_back_once(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)

    answers = await asyncio.gather(
        *(house.desk.refund(order.id, "k", eur(100), "Sorry", STAFF) for _ in range(4))
    )

    assert len({one.id for one in answers}) == 1
    assert [one.amount for one in await house.refunds_of(order)] == [eur(100)]
    owed = [event for event in await house.history(order) if event.kind == "refund.owed"]
    assert [(one.note, one.data["amount"]) for one in owed] == [("Sorry", 100)]
    with pytest.raises(KeyReused):
        await house.desk.refund(order.id, "k", eur(101), "Sorry", STAFF)


async def test_refunds_that_race_never_give_back_more_than_was_paid(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, shipping=0)

    answers = await asyncio.gather(
        *(
            house.desk.refund(order.id, f"k{number}", eur(600), "Sorry", STAFF)
            for number in range(4)
        ),
        house.desk.cancel(order.id, STAFF, "Sorry"),
        return_exceptions=True,
    )

    paid_back = sum(one.amount.amount for one in await house.refunds_of(order))
    assert paid_back == 1000
    assert sum(isinstance(one, RefundTooLarge) for one in answers) >= 3
    assert (await house.look(order.id)).payment.refunded == 1000


async def test_what_was_not_paid_cannot_be_refunded(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, method="invoice", payment="authorised")
    with pytest.raises(RefundTooLarge) as refused:
        await house.desk.refund(order.id, "k", eur(1), "Sorry", STAFF)
    assert refused.value.data["refundable"]["amount"] == 0


# Money that people move


async def test_staff_notes_the_money_of_an_invoice_and_what_was_given_back(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, method="invoice", payment="authorised")

    paid = await house.desk.mark_paid(order.id, STAFF, None)

    assert (paid.payment.state, paid.payment.captured) == ("paid", 1490)
    with pytest.raises(NotNow, match="paid already"):
        await house.desk.mark_paid(order.id, STAFF, None)
    owed = await house.desk.refund(order.id, "k", eur(200), "Sorry", STAFF)
    assert owed.state == "due"
    done = await house.desk.refund_done(owed.id, STAFF)
    assert done.state == "done"
    with pytest.raises(NotNow, match="done already"):
        await house.desk.refund_done(owed.id, STAFF)
    kinds = [event.kind for event in await house.history(order)]
    assert sorted(kinds) == ["payment.paid", "refund.done", "refund.owed"]


async def test_what_a_provider_moves_is_not_noted_by_hand(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, payment="authorised")
    with pytest.raises(NotNow, match="sandbox"):
        await house.desk.mark_paid(order.id, STAFF, None)
    paid = await house.order([(shirt, 1, 1000)], warehouse)
    owed = await house.desk.refund(paid.id, "k", eur(200), "Sorry", STAFF)
    with pytest.raises(NotNow, match="provider"):
        await house.desk.refund_done(owed.id, STAFF)
    with pytest.raises(UnknownRefund):
        await house.desk.refund_done(RefundId("rfd_none"), STAFF)


async def test_a_cancelled_invoice_is_not_paid_afterwards(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse, method="invoice", payment="authorised")
    await house.desk.cancel(order.id, STAFF, "Sorry")
    with pytest.raises(NotNow, match="Nothing is to be paid"):
        await house.desk.mark_paid(order.id, STAFF, None)


# Two questions


async def test_a_buyer_answers_and_may_change_his_answer(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)
    first = wire.FeedbackInput(effort=6, comment="Quick \u202eand easy")
    await house.feedback.give(order.id, first, buyer())

    given = await house.feedback.give(
        order.id, wire.FeedbackInput(satisfaction=2, effort=5), buyer()
    )

    assert (given.effort, given.satisfaction, given.comment) == (5, 2, "Quick and easy")
    given = await house.feedback.give(order.id, wire.FeedbackInput(comment=" "), buyer())
    assert (given.effort, given.comment) == (5, None)


async def test_nobody_answers_for_another_or_with_nothing(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    order = await house.order([(shirt, 1, 1000)], warehouse)
    with pytest.raises(UnknownOrder):
        await house.feedback.give(order.id, wire.FeedbackInput(effort=1), STAFF)
    with pytest.raises(Invalid):
        await house.feedback.give(order.id, wire.FeedbackInput(), buyer())
    await house.desk.cancel(order.id, STAFF, "Sorry")
    with pytest.raises(NotNow):
        await house.feedback.give(order.id, wire.FeedbackInput(effort=1), buyer())


async def test_the_numbers_say_how_many_answered(
    house: House, warehouse: LocationId, shirt: Article
) -> None:
    empty = await house.feedback.summary(None)
    assert (empty.count, empty.effort.mean, empty.satisfied) == (0, None, None)
    for effort, satisfaction in ((7, 5), (4, 3), (None, 4), (6, None)):
        order = await house.order([(shirt, 1, 1000)], warehouse)
        answer = wire.FeedbackInput(effort=effort, satisfaction=satisfaction, comment="x")
        await house.feedback.give(order.id, answer, buyer())

    found = await house.feedback.summary(house.clock.now())

    assert (found.count, found.comments) == (4, 4)
    assert (found.effort.count, found.effort.mean) == (3, 5.67)
    assert found.effort.distribution == [0, 0, 0, 1, 0, 1, 1]
    assert (found.satisfaction.count, found.satisfaction.mean) == (3, 4.0)
    assert found.satisfaction.distribution == [0, 0, 1, 1, 1]
    assert found.satisfied == 0.667
