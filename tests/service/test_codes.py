"""Codes in a cart: which are kept, what they take off, and how long a guesser gets."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import builders
import pytest
from builders import Api
from checkout_builders import viewer, wish_of

from liveshop.app import Liveshop
from liveshop.checkout.codes import CodeGuard, made_at
from liveshop.checkout.model import CodeNotValid, PaymentDeclined, TooManyCodes
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import RateLimited
from liveshop.kernel.ids import VariantId, ViewerId, new_id
from liveshop.promotions import wire as promotions_wire

ADA, BOB = viewer(1), viewer(2)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=50)).variants[0].id)


async def code(shop: Liveshop, *codes: str, **more: object) -> None:
    """10 % off the order for who types one of these."""
    given = {
        "texts": {"en": "Welcome", "de": "Willkommen"},
        "kind": promotions_wire.OrderPercentOff(100),
        "codes": list(codes),
    } | more
    await shop.promotions.create_promotion(promotions_wire.PromotionInput(**given))  # type: ignore[arg-type]


async def test_a_code_takes_off_what_it_says_and_only_while_it_is_in_the_cart(
    shop: Liveshop, mug: VariantId
) -> None:
    await code(shop, "WELCOME10")
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    cart = await shop.carts.add_code(ADA, " Welcome10 ")
    assert [(one.code, one.reason) for one in cart.codes] == [("welcome10", None)]
    assert [one.amount.amount for one in cart.order_discounts] == [-280]
    assert cart.order_discounts[0].texts["de"] == "Willkommen"
    assert (cart.subtotal.amount, cart.goods.amount) == (2800, 2520)
    again = await shop.carts.add_code(ADA, "WELCOME10")
    assert again.codes == cart.codes
    quote = await shop.carts.quote(ADA, "DE")
    assert (quote.subtotal.amount, quote.total.amount) == (2520, 2520 + 490)
    assert sum(step.amount.amount for step in quote.explanation) == quote.total.amount
    without = await shop.carts.remove_code(ADA, "welcome10")
    assert (without.codes, without.goods.amount) == ([], 2800)
    assert (await shop.carts.remove_code(ADA, "welcome10")).codes == []


async def test_a_code_that_takes_nothing_off_now_is_kept_with_its_reason(
    shop: Liveshop, mug: VariantId
) -> None:
    await code(shop, "WELCOME10")
    cart = await shop.carts.add_code(ADA, "WELCOME10")
    assert [(one.code, one.reason) for one in cart.codes] == [("welcome10", "does_not_apply")]
    cart = await shop.carts.add_to_cart(ADA, mug, 1, None)
    assert [one.reason for one in cart.codes] == [None]


async def test_a_code_that_is_not_valid_is_not_kept_and_the_reason_is_told(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    now = clock.now()
    await code(shop, "LATER", starts_at=now + timedelta(hours=1))
    await code(shop, "BRIEF", ends_at=now + timedelta(hours=1))
    await code(shop, "ONCE", limit_total=1)
    await shop.carts.add_to_cart(BOB, mug, 1, None)
    await shop.carts.add_code(BOB, "ONCE")
    await shop.orders.place_order(BOB, "key", await wish_of(shop, BOB))
    clock.advance(timedelta(minutes=59))
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    for typed, reason in (("NOPE", "unknown"), ("LATER", "not_yet"), ("ONCE", "exhausted")):
        with pytest.raises(CodeNotValid) as refused:
            await shop.carts.add_code(ADA, typed)
        assert refused.value.data == {"field": "code", "reason": reason}
    clock.advance(timedelta(minutes=2))
    with pytest.raises(CodeNotValid) as refused:
        await shop.carts.add_code(ADA, "BRIEF")
    assert refused.value.data["reason"] == "expired"
    assert (await shop.carts.cart_of(ADA)).codes == []


async def test_codes_outlive_a_declined_card_and_end_with_the_order(
    shop: Liveshop, mug: VariantId
) -> None:
    await code(shop, "ONCE", limit_total=1)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    cart = await shop.carts.add_code(ADA, "ONCE")
    declined = await wish_of(shop, ADA, card=builders.DECLINED_CARD)
    with pytest.raises(PaymentDeclined):
        await shop.orders.place_order(ADA, "key-1", declined)
    back = await shop.carts.cart_of(ADA)
    assert (back.codes, back.goods) == (cart.codes, cart.goods)
    order = await shop.orders.place_order(ADA, "key-2", await wish_of(shop, ADA))
    assert order.total.amount == 2520 + 490
    assert [line.payable.amount for line in order.lines] == [2520]
    assert sum(step.amount.amount for step in order.explanation) == order.total.amount
    assert (await shop.carts.cart_of(ADA)).codes == []


async def test_a_cart_takes_only_so_many_codes(shop: Liveshop) -> None:
    names = [f"CODE{number}" for number in range(6)]
    await code(shop, *names)
    for name in names[:5]:
        await shop.carts.add_code(ADA, name)
    with pytest.raises(TooManyCodes):
        await shop.carts.add_code(ADA, names[5])


# Guessing


def guest(clock: ManualClock) -> ViewerId:
    return ViewerId(new_id("gst", clock.now()))


async def test_wrong_codes_are_slowed_down_and_right_ones_cost_nothing(
    shop: Liveshop, clock: ManualClock
) -> None:
    await code(shop, "WELCOME10")
    for _ in range(30):
        await shop.carts.add_code(ADA, "WELCOME10", "192.0.2.1")
    for number in range(8):
        with pytest.raises(CodeNotValid):
            await shop.carts.add_code(ADA, f"GUESS{number}", "192.0.2.1")
    with pytest.raises(RateLimited) as limited:
        await shop.carts.add_code(ADA, "WELCOME10", "192.0.2.1")
    assert limited.value.retry_after == pytest.approx(30, abs=0.2)
    await shop.carts.add_code(BOB, "WELCOME10", "192.0.2.1")
    clock.advance(timedelta(seconds=30))
    await shop.carts.add_code(ADA, "WELCOME10", "192.0.2.1")


def test_who_guesses_with_ever_new_guests_runs_out_and_the_people_beside_him_do_not(
    clock: ManualClock,
) -> None:
    guard = CodeGuard()
    visitors = [guest(clock) for _ in range(20)]
    clock.advance(timedelta(minutes=11))
    for _ in range(200):
        guard.count(guest(clock), "192.0.2.1", clock.now())
    with pytest.raises(RateLimited) as limited:
        guard.count(guest(clock), "192.0.2.1", clock.now())
    assert limited.value.retry_after == pytest.approx(1, abs=0.2)
    for one in visitors:
        guard.count(one, "192.0.2.1", clock.now())
    guard.count(guest(clock), "198.51.100.1", clock.now())


def test_a_guesser_who_lets_his_guests_grow_old_runs_out_too(clock: ManualClock) -> None:
    guard = CodeGuard()
    guests = [guest(clock) for _ in range(900)]
    clock.advance(timedelta(minutes=11))
    let_in = 0
    for one in guests:
        for _ in range(8):
            with suppress(RateLimited):
                guard.count(one, "192.0.2.1", clock.now())
                let_in += 1
    assert let_in == 500
    with pytest.raises(RateLimited) as limited:
        guard.count(guests[-1], "192.0.2.1", clock.now())
    assert limited.value.retry_after == pytest.approx(0.5, abs=0.2)
    guard.count(guests[-1], "198.51.100.1", clock.now())


async def test_a_buyer_gets_his_right_code_in_behind_a_flooded_address(
    shop: Liveshop, mug: VariantId
) -> None:
    await code(shop, "WELCOME10")
    address = "192.0.2.1"
    for number in range(500):
        with pytest.raises(CodeNotValid):
            await shop.carts.add_code(viewer(1000 + number), "GUESS", address)
    for who in (ADA, BOB):
        with pytest.raises(RateLimited):
            await shop.carts.add_code(who, "WELCOME10", address)
    await shop.carts.add_to_cart(ADA, mug, 1, None)
    await shop.carts.add_to_cart(BOB, mug, 1, None)
    with pytest.raises(CodeNotValid):
        await shop.carts.add_code(BOB, "WELCOME", address)
    with pytest.raises(RateLimited):
        await shop.carts.add_code(BOB, "WELCOME10", address)
    for _ in range(3):
        cart = await shop.carts.add_code(ADA, "WELCOME10", address)
        assert cart.goods.amount == 2520
        await shop.carts.remove_code(ADA, "WELCOME10")


def test_an_id_tells_when_it_was_made(clock: ManualClock) -> None:
    assert made_at(guest(clock)) == clock.now()


async def test_codes_over_http(api: Api, shop: Liveshop, mug: VariantId) -> None:
    await code(shop, "WELCOME 10")
    ada = await api.as_guest()
    await ada.call("POST", "/api/cart/lines", {"variant_id": mug})
    status, cart = await ada.call("POST", "/api/cart/codes", {"code": "welcome 10"})
    assert (status, cart["goods"]["amount"]) == (200, 2520)
    status, problem = await ada.call("POST", "/api/cart/codes", {"code": "nope"})
    assert (status, problem["code"], problem["data"]["reason"]) == (
        422,
        "code_not_valid",
        "unknown",
    )
    status, cart = await ada.call("DELETE", "/api/cart/codes/WELCOME%2010")
    assert (status, cart["codes"]) == (200, [])


async def test_thousands_of_guesses_from_one_address_are_refused_and_others_there_are_served(
    api: Api, shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    await code(shop, "WELCOME10")
    ada = await api.as_guest()
    await ada.call("POST", "/api/cart/lines", {"variant_id": mug})
    clock.advance(timedelta(minutes=11))
    numbers = iter(range(3000))

    async def guess() -> Counter[int]:
        answers: Counter[int] = Counter()
        for number in numbers:
            fresh = api.with_token(shop.customers.new_guest().token)
            answer = await fresh.fetch("POST", "/api/cart/codes", {"code": f"GUESS{number}"})
            answers[answer.status] += 1
            if answer.status == 429:
                assert answer.json["code"] == "rate_limited"
                assert 1 <= int(answer.headers["Retry-After"]) <= 2
        return answers

    told = sum(await asyncio.gather(*(guess() for _ in range(16))), Counter[int]())
    assert told == {422: 200, 429: 2800}
    newcomer = await api.as_guest()
    status, _ = await newcomer.call("POST", "/api/cart/codes", {"code": "WELCOME10"})
    assert status == 429, "a right guess is no better than a wrong one"
    status, cart = await ada.call("POST", "/api/cart/codes", {"code": "WELCOME10"})
    assert (status, cart["goods"]["amount"]) == (200, 2520)
    clock.advance(timedelta(seconds=2))
    status, _ = await newcomer.call("POST", "/api/cart/codes", {"code": "WELCOME10"})
    assert status == 200
