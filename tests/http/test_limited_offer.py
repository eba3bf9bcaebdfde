"""An offer for three units in a show, and forty buyers at once, over HTTP: nobody is told a price
that somebody else pays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from builders import DECLINED_CARD, Api
from checkout_builders import audit

from liveshop.app import Liveshop
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.promotions.model import PromotionId
from liveshop.promotions.tables import promotion, promotion_claim
from liveshop.promotions.wire import PercentOff
from liveshop.shows.wire import OfferInput

UNITS, BUYERS = 3, 40
NORMAL, REDUCED, SHIPPING = 2000, 1500, 490


@dataclass
class Evening:
    """A live show with an offer for three of fifty mugs."""

    api: Api
    shop: Liveshop
    clock: ManualClock
    show_id: ShowId
    offer_id: PromotionId
    mug: Product

    @property
    def variant_id(self) -> str:
        return self.mug.variants[0].id

    async def guest(self) -> Api:
        return await self.api.as_guest()

    async def add(self, guest: Api, quantity: int = 1) -> Any:
        body = {"variant_id": self.variant_id, "quantity": quantity, "show_id": self.show_id}
        status, cart = await guest.call("POST", "/api/cart/lines", body)
        assert status == 200, cart
        return cart

    async def promised(self) -> tuple[int, int]:
        """Units that are claimed by carts now, and used by orders."""
        now = self.clock.now()
        async with self.shop.database.read() as conn:
            claimed = await conn.scalar(
                sa.select(sa.func.coalesce(sa.func.sum(promotion_claim.c.units), 0)).where(
                    promotion_claim.c.promotion_id == self.offer_id,
                    promotion_claim.c.expires_at > now,
                )
            )
            used = await conn.scalar(
                sa.select(promotion.c.used).where(promotion.c.id == self.offer_id)
            )
        return int(claimed or 0), int(used or 0)

    async def left(self) -> int:
        status, told = await self.api.call("GET", f"/api/shows/{self.show_id}/offers")
        assert status == 200, told
        [offer] = told["offers"]
        left: int = offer["units_left"]
        return left

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[list[int]]:
        """Look all the time what is promised; what was seen."""
        seen: list[int] = []
        is_over = False

        async def look() -> None:
            while not is_over:
                seen.append(sum(await self.promised()))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(look())
            try:
                yield seen
            finally:
                is_over = True


def reduced_units(cart: Any) -> int:
    return sum(one["units"] for line in cart["lines"] for one in line["discounts"])


async def quoted(guest: Api) -> int:
    status, quote = await guest.call("POST", "/api/cart/quote", {"country": "DE"})
    assert status == 200, quote
    total: int = quote["total"]["amount"]
    return total


@pytest.fixture
async def evening(api: Api, shop: Liveshop, clock: ManualClock) -> Evening:
    mug = await builders.product(shop, price=NORMAL, stock=50)
    clock.advance(timedelta(days=1))
    show_id = await builders.live_show(shop, [mug.id])
    given = OfferInput(product_id=mug.id, kind=PercentOff(permille=250), seconds=3600, units=UNITS)
    offer = await shop.offers.start_offer(show_id, given)
    return Evening(api, shop, clock, show_id, PromotionId(offer.id), mug)


async def test_of_forty_who_rush_for_three_units_exactly_three_pay_the_offers_price(
    evening: Evening,
) -> None:
    guests = [await evening.guest() for _ in range(BUYERS)]

    async def buy(guest: Api) -> tuple[int, int, int]:
        """What cart, quote and order say it costs."""
        cart = await evening.add(guest)
        quote = await quoted(guest)
        total = {"amount": quote, "currency": "EUR"}
        status, order = await guest.order("once", expected_total=total)
        assert (status, order["state"]) == (201, "confirmed"), order
        return cart["goods"]["amount"], quote - SHIPPING, order["total"]["amount"] - SHIPPING

    async with evening.watched() as seen:
        told = await asyncio.gather(*(buy(guest) for guest in guests))
    assert {len(set(one)) for one in told} == {1}, "cart, quote and order agree"
    assert sorted(cost for cost, _, _ in told) == [REDUCED] * UNITS + [NORMAL] * (BUYERS - UNITS)
    assert max(seen) <= UNITS
    assert await evening.promised() == (0, UNITS)
    assert await evening.left() == 0
    [shelf] = await audit(evening.shop.database)
    assert (shelf.on_hand, shelf.held) == (50 - BUYERS, 0)


async def test_carts_that_hold_the_offer_are_the_only_ones_that_are_told_its_price(
    evening: Evening,
) -> None:
    guests = [await evening.guest() for _ in range(BUYERS)]
    async with evening.watched() as seen:
        carts = await asyncio.gather(*(evening.add(guest) for guest in guests))
    assert sorted(map(reduced_units, carts)) == [0] * (BUYERS - UNITS) + [1] * UNITS
    assert max(seen) <= UNITS
    assert await evening.promised() == (UNITS, 0)
    quotes = await asyncio.gather(*map(quoted, guests))
    assert quotes == [cart["goods"]["amount"] + SHIPPING for cart in carts]


async def test_a_line_takes_of_the_offer_what_is_left_and_the_rest_at_the_normal_price(
    evening: Evening,
) -> None:
    ada, bob = await evening.guest(), await evening.guest()
    first = await evening.add(ada, 2)
    second = await evening.add(bob, 3)
    assert [reduced_units(one) for one in (first, second)] == [2, 1]
    assert second["goods"]["amount"] == REDUCED + 2 * NORMAL
    line = first["lines"][0]["id"]
    status, fewer = await ada.call("PATCH", f"/api/cart/lines/{line}", {"quantity": 1})
    assert (status, reduced_units(fewer)) == (200, 1)
    assert await evening.promised() == (2, 0)
    assert sum(await evening.promised()) + await evening.left() == UNITS


async def test_a_hold_that_lapses_gives_its_unit_of_the_offer_back(evening: Evening) -> None:
    early = [await evening.guest() for _ in range(UNITS)]
    for guest in early:
        assert reduced_units(await evening.add(guest)) == 1
    late = await evening.guest()
    assert reduced_units(await evening.add(late)) == 0
    evening.clock.advance(timedelta(seconds=601))
    assert await evening.promised() == (0, 0)
    other = await evening.guest()
    assert reduced_units(await evening.add(other, 3)) == 3
    for guest in early:
        status, problem = await guest.order(
            "once", expected_total={"amount": REDUCED + SHIPPING, "currency": "EUR"}
        )
        assert (status, problem["code"]) == (409, "price_changed"), problem
        told = problem["data"]["quote"]["total"]["amount"]
        assert told == NORMAL + SHIPPING
    assert await evening.promised() == (3, 0)


async def test_a_line_that_is_taken_out_gives_its_unit_to_the_next(evening: Evening) -> None:
    ada, bob = await evening.guest(), await evening.guest()
    line = (await evening.add(ada, 3))["lines"][0]["id"]
    assert reduced_units(await evening.add(bob)) == 0
    status, _ = await ada.call("DELETE", f"/api/cart/lines/{line}")
    assert (status, await evening.left()) == (200, 3)
    assert reduced_units(await evening.add(bob)) == 2


async def test_a_declined_card_keeps_its_price_with_its_goods(evening: Evening) -> None:
    ada, bob = await evening.guest(), await evening.guest()
    await evening.add(ada, 3)
    async with evening.watched() as seen:
        for key in ("first", "second"):
            status, problem = await ada.order(key, card=DECLINED_CARD)
            assert (status, problem["code"]) == (402, "payment_declined")
            assert await evening.promised() == (3, 0)
            assert reduced_units(await evening.add(bob)) == 0
        status, order = await ada.order("third")
    assert (status, order["total"]["amount"]) == (201, 3 * REDUCED + SHIPPING)
    assert max(seen) <= UNITS
    assert await evening.promised() == (0, 3)


async def test_cards_that_are_declined_while_others_rush_give_no_unit_away_twice(
    evening: Evening,
) -> None:
    guests = [await evening.guest() for _ in range(20)]

    async def try_to_buy(number: int, guest: Api) -> int:
        await evening.add(guest)
        if number % 2:
            status, _ = await guest.order("bad", card=DECLINED_CARD)
            assert status == 402
        total = {"amount": await quoted(guest), "currency": "EUR"}
        status, order = await guest.order("good", expected_total=total)
        assert status == 201, order
        assert order["total"] == total
        paid: int = order["total"]["amount"]
        return paid - SHIPPING

    async with evening.watched() as seen:
        paid = await asyncio.gather(*(try_to_buy(*one) for one in enumerate(guests)))
    assert sorted(paid) == [REDUCED] * UNITS + [NORMAL] * (20 - UNITS)
    assert max(seen) <= UNITS
    assert await evening.promised() == (0, UNITS)
