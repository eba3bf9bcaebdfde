"""Orders that share transactions: each buyer is answered as if he had ordered alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import Bank, audit, viewer, wish_of, with_bank

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.tables import product
from liveshop.checkout.confirming import Confirming
from liveshop.checkout.delivery import Deliveries
from liveshop.checkout.model import (
    CartChanged,
    CartEmpty,
    IdempotencyKeyReused,
    LimitPerCustomer,
    PaymentDeclined,
    PriceChanged,
    UnknownStore,
)
from liveshop.checkout.offers import Asked
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LocationId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import Order
from liveshop.orders.tables import fulfilment, order_event, shop_order
from liveshop.payments.model import ChargeAnswer, UnknownMethod
from liveshop.payments.providers.sandbox import Sandbox
from liveshop.payments.sandbox_ledger import Entry
from liveshop.promotions import wire as promotions_wire
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import UnknownShow
from liveshop.storage.outbox import job
from liveshop.web import MoneyOut


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=100)).variants[0].id)


async def asked(shop: Liveshop, number: int, variant_id: VariantId, **changed: Any) -> Asked:
    """A buyer of his own, with one in his cart."""
    buyer = viewer(number)
    await shop.carts.add_to_cart(buyer, variant_id, 1, None)
    wish = replace(await wish_of(shop, buyer), email=f"buyer{number}@example.org")
    return Asked(buyer, f"key-{number}", replace(wish, **changed))


async def placed(shop: Liveshop, group: Sequence[Asked]) -> list[Any]:
    """These wishes as if they had come at one moment, in this order."""
    return await shop.orders._placing._answer(group)


async def all_orders(shop: Liveshop) -> list[str]:
    async with shop.database.read() as conn:
        return list((await conn.execute(sa.select(shop_order.c.id))).scalars())


async def test_a_group_answers_each_buyer_by_himself(shop: Liveshop, mug: VariantId) -> None:
    good = [await asked(shop, number, mug) for number in range(1, 4)]
    [known] = await placed(shop, [await asked(shop, 9, mug)])
    again = Asked(viewer(9), "key-9", replace(good[0].wish, email="buyer9@example.org"))
    told = await placed(
        shop,
        [
            await asked(shop, 10, mug, method="barter"),
            good[0],
            await asked(shop, 11, mug, expected_total=MoneyOut(1, "EUR")),
            await asked(shop, 12, mug, expected_lines=((mug, 2),)),
            again,
            await asked(shop, 13, mug, show_id=ShowId("shw_unknown")),
            good[1],
            Asked(viewer(14), "key-14", replace(good[0].wish, email="buyer14@example.org")),
            await asked(shop, 15, mug, delivery="pickup", store_id=LocationId("loc_unknown")),
            good[2],
        ],
    )
    refused = {place: type(one) for place, one in enumerate(told) if isinstance(one, Exception)}
    assert refused == {
        0: UnknownMethod,
        2: PriceChanged,
        3: CartChanged,
        5: UnknownShow,
        7: CartEmpty,
        8: UnknownStore,
    }
    assert told[2].data["quote"]["total"]["amount"] == good[0].wish.expected_total.amount
    assert told[4] == known
    new = [one for one in told if isinstance(one, Order) and one != known]
    assert [one.viewer_id for one in new] == [one.viewer_id for one in good]
    numbers = [int(one.number.removeprefix("L-")) for one in [known, *new]]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert len(await all_orders(shop)) == 4
    for one in good:
        assert not (await shop.carts.cart_of(one.viewer_id)).lines
    for number in (10, 11, 12, 13, 15):
        assert (await shop.carts.cart_of(viewer(number))).lines[0].hold == "held"
    await audit(shop.database)


async def test_a_key_that_is_repeated_beside_others_is_theirs_no_more_than_before(
    shop: Liveshop, mug: VariantId
) -> None:
    one, other = await asked(shop, 1, mug), await asked(shop, 2, mug)
    reused = replace(one, wish=replace(one.wish, email="somebody.else@example.org"))
    [first, second, same, wrong] = await placed(shop, [one, other, one, reused])
    assert first == same
    assert second.viewer_id == other.viewer_id
    assert isinstance(wrong, IdempotencyKeyReused)
    assert len(await all_orders(shop)) == 2


async def test_a_second_wish_of_one_viewer_sees_what_the_first_has_left(
    shop: Liveshop, mug: VariantId
) -> None:
    one, other = await asked(shop, 1, mug), await asked(shop, 2, mug)
    [first, second, _] = await placed(shop, [one, replace(one, key="another"), other])
    assert isinstance(first, Order)
    assert isinstance(second, CartEmpty)


async def test_two_who_give_one_address_are_one_customer_in_a_group_too(
    shop: Liveshop, mug: VariantId
) -> None:
    async with shop.database.write() as tx:
        await tx.conn.execute(sa.update(product).values(max_per_customer=1))
    wishes = [await asked(shop, number, mug, email="Ada@example.org") for number in (1, 2)]
    wishes[1] = replace(wishes[1], wish=replace(wishes[1].wish, email="ada@example.org"))
    [first, second, third] = await placed(shop, [*wishes, await asked(shop, 3, mug)])
    assert isinstance(second, LimitPerCustomer)
    assert [first.viewer_id, third.viewer_id] == [viewer(1), viewer(3)]


async def rush(shop: Liveshop) -> ShowId:
    """A show in which carts hold nothing."""
    made = await shop.shows.create_show(
        shows_wire.ShowInput(title="A rush", hold_mode="first_paid")
    )
    await shop.shows.change_state(made.id, "live")
    return made.id


async def wanting(shop: Liveshop, show_id: ShowId, number: int, *variant_ids: VariantId) -> Asked:
    buyer = viewer(number)
    for variant_id in variant_ids:
        await shop.carts.add_to_cart(buyer, variant_id, 1, show_id)
    wish = replace(await wish_of(shop, buyer), email=f"buyer{number}@example.org")
    return Asked(buyer, f"key-{number}", wish)


async def test_of_two_who_pay_for_the_last_one_the_first_gets_it(
    shop: Liveshop, mug: VariantId
) -> None:
    show_id = await rush(shop)
    last = VariantId((await builders.product(shop, title="Last", stock=1)).variants[0].id)
    group = [await wanting(shop, show_id, number, last) for number in (1, 2)]
    [first, second, other] = await placed(shop, [*group, await asked(shop, 3, mug)])
    assert isinstance(first, Order)
    assert isinstance(second, OutOfStock)
    assert second.data == {"variant_id": last, "available": 0}
    assert isinstance(other, Order)
    await audit(shop.database)


async def test_who_gets_not_all_he_wants_gets_nothing_and_takes_nothing_from_the_others(
    shop: Liveshop, mug: VariantId
) -> None:
    show_id = await rush(shop)
    rare = [
        VariantId((await builders.product(shop, title=name, stock=1)).variants[0].id)
        for name in ("Bowl", "Plate")
    ]
    both = await wanting(shop, show_id, 1, *rare)
    [bowl, plate] = [await wanting(shop, show_id, 2 + at, one) for at, one in enumerate(rare)]
    # The bowl is gone when it is the turn of who wants both, and his plate is for the next one.
    [had, refused, has] = await placed(shop, [bowl, both, plate])
    assert isinstance(refused, OutOfStock)
    assert [had.viewer_id, has.viewer_id] == [bowl.viewer_id, plate.viewer_id]
    assert {row.held for row in await audit(shop.database, rare)} == {1}


async def test_where_it_lies_wrong_for_one_the_others_have_their_orders(
    shop: Liveshop, mug: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [await asked(shop, number, mug) for number in range(1, 5)]
    arrange = Deliveries.arrange
    look = shop.orders._placing._promise
    doomed: set[str] = set()

    async def looking(tx: Any, offer: Any, *rest: Any) -> Any:
        if offer.asked.viewer_id == viewer(2):
            doomed.add(offer.order_id)
        return await look(tx, offer, *rest)

    async def fails_for_the_second(self: Deliveries, conn: Any, owner: str, *rest: Any) -> Any:
        return None if owner in doomed else await arrange(self, conn, owner, *rest)

    monkeypatch.setattr(shop.orders._placing, "_promise", looking)
    monkeypatch.setattr(Deliveries, "arrange", fails_for_the_second)
    [first, second, third, fourth] = await placed(shop, group)
    assert isinstance(second, OutOfStock)
    assert [one.viewer_id for one in (first, third, fourth)] == [viewer(1), viewer(3), viewer(4)]
    assert len(await all_orders(shop)) == 3
    assert (await shop.carts.cart_of(viewer(2))).lines[0].hold == "held"
    await audit(shop.database)


async def test_a_discount_for_one_is_for_one_of_a_group(shop: Liveshop, mug: VariantId) -> None:
    await shop.promotions.create_promotion(
        promotions_wire.PromotionInput(
            texts={"en": "Once", "de": "Einmal"},
            kind=promotions_wire.OrderPercentOff(100),
            limit_total=1,
        )
    )
    group = [await asked(shop, number, mug) for number in range(1, 4)]
    ended = await asyncio.gather(
        *(shop.orders.place_order(one.viewer_id, one.key, one.wish) for one in group),
        return_exceptions=True,
    )
    assert [type(one) for one in ended] == [Order, PriceChanged, PriceChanged]
    assert isinstance(ended[1], ShopError)
    assert ended[1].data["quote"]["total"]["amount"] > group[1].wish.expected_total.amount


# Paying


async def test_many_who_pay_at_once_have_what_each_would_have_alone(
    shop: Liveshop, mug: VariantId
) -> None:
    cards = [builders.GOOD_CARD] * 4 + [builders.DECLINED_CARD] * 2
    group = [await asked(shop, at + 1, mug, card_number=card) for at, card in enumerate(cards)]
    ended = await asyncio.gather(
        *(shop.orders.place_order(one.viewer_id, one.key, one.wish) for one in group),
        return_exceptions=True,
    )
    for card, one, order in zip(cards, group, ended, strict=True):
        cart = await shop.carts.cart_of(one.viewer_id)
        if card == builders.DECLINED_CARD:
            assert isinstance(order, PaymentDeclined)
            assert cart.lines[0].hold == "held"
            continue
        assert isinstance(order, Order)
        assert (order.state, order.payment.state, order.payment.captured) == (
            "confirmed",
            "paid",
            order.total.amount,
        )
        assert not cart.lines
        async with shop.database.read() as conn:
            kinds = await conn.execute(
                sa.select(order_event.c.id, order_event.c.kind).where(
                    order_event.c.order_id == order.id
                )
            )
            [event] = kinds.all()
            letters = await conn.scalar(sa.select(sa.func.count()).where(job.c.key == event.id))
            opened = await conn.scalar(
                sa.select(sa.func.count()).where(fulfilment.c.order_id == order.id)
            )
        assert (event.kind, letters, opened) == ("order.confirmed", 1, 1)
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(96, 2)]


async def test_what_is_not_usual_in_a_group_is_settled_alone(
    shop: Liveshop, mug: VariantId
) -> None:
    orders = with_bank(shop, Bank())
    group = [await asked(shop, number, mug, method="bank") for number in range(1, 7)]
    new = [one for one in await orders._placing._answer(group) if isinstance(one, Order)]
    answers = [
        ChargeAnswer("paid", "one"),
        ChargeAnswer("authorised", "two"),
        ChargeAnswer("declined", "three", "No."),
        ChargeAnswer("paid", "four", amount=Money(1, "EUR")),
        ChargeAnswer("action_required", "five"),
        ChargeAnswer("processing", "six"),
    ]
    settled = await asyncio.gather(
        *(
            orders.settle(order.id, answer, placed=order)
            for order, answer in [*zip(new, answers, strict=True), (new[0], answers[0])]
        )
    )
    assert [(one.state, one.payment.state) for one in settled] == [
        ("confirmed", "paid"),
        ("confirmed", "authorised"),
        ("payment_failed", "declined"),
        ("pending", "pending"),
        ("pending", "action_required"),
        ("confirmed", "processing"),
        ("confirmed", "paid"),
    ]
    assert settled[3].payment.problem is not None
    assert [one.payment.captured for one in settled[:2]] == [new[0].total.amount, 0]
    for before, one in zip(new, settled, strict=False):
        assert one == await orders.own(before.viewer_id, one.id)
    await audit(shop.database)


async def test_who_breaks_a_group_that_pays_breaks_alone(
    shop: Liveshop, mug: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [await asked(shop, number, mug) for number in range(1, 4)]
    new = [one for one in await placed(shop, group) if isinstance(one, Order)]
    confirm = Confirming.confirm

    async def breaks(self: Confirming, tx: Any, settled: Sequence[Order], *rest: Any) -> Any:
        if new[1].id in {one.id for one in settled}:
            raise RuntimeError("a bug")
        return await confirm(self, tx, settled, *rest)

    monkeypatch.setattr(Confirming, "confirm", breaks)
    ended = await asyncio.gather(
        *(shop.orders.settle(one.id, ChargeAnswer("paid", "yes"), placed=one) for one in new),
        return_exceptions=True,
    )
    assert isinstance(ended[1], RuntimeError)
    assert [one.state for one in (ended[0], ended[2]) if isinstance(one, Order)] == [
        "confirmed",
        "confirmed",
    ]
    assert (await shop.orders.own(new[1].viewer_id, new[1].id)).payment.state == "pending"


async def test_many_charges_of_the_sandbox_are_answered_as_if_each_was_alone(
    shop: Liveshop,
) -> None:
    [sandbox] = [one for one in shop.orders.providers if isinstance(one, Sandbox)]
    euro = Money(100, "EUR")

    def entry(key: str, answer: ChargeAnswer) -> Entry:
        return Entry(key, euro, answer)  # type: ignore[arg-type]

    yes, no = ChargeAnswer("paid", "yes"), ChargeAnswer("declined", "no", "No.")
    [before] = await sandbox._keep_each([entry("pay_0", yes)])
    told = await sandbox._keep_each(
        [entry("pay_1", no), entry("pay_0", no), entry("pay_2", yes), entry("pay_2", no)]
    )
    assert told == [
        replace(no, amount=euro),
        before,
        replace(yes, amount=euro),
        replace(yes, amount=euro),
    ]


# Looking


async def test_many_who_look_what_their_cart_costs_are_answered_as_if_each_was_alone(
    shop: Liveshop, mug: VariantId
) -> None:
    lamp = VariantId((await builders.product(shop, title="Lamp", stock=9)).variants[0].id)
    for number, variant_id in ((1, mug), (2, lamp), (2, mug), (3, mug)):
        await shop.carts.add_to_cart(viewer(number), variant_id, 1, None)

    async def look(number: int, country: str, language: str, store: str | None = None) -> Any:
        kind: Any = "pickup" if store else "ship"
        try:
            return await shop.carts.quote(viewer(number), country, language, kind, store)
        except ShopError as error:
            return type(error), error.detail

    looks: list[Any] = [
        (1, "DE", "en"),
        (2, "DE", "de"),
        (4, "DE", "en"),
        (3, "XX", "en"),
        (1, "DE", "de"),
        (3, "DE", "en", "loc_unknown"),
    ]
    together = await asyncio.gather(*(look(*one) for one in looks))
    assert together == [await look(*one) for one in looks]
