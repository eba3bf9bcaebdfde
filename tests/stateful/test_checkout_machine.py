"""Whatever buyers, merchant, time and bank do, no piece is sold twice and no cent goes astray.

Hypothesis drives the real services on real databases. The model is small: what was supplied, what
buyers were told. What a screen says can be had must be had; what it says is gone must be refused.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, Literal, TypeVar

import builders
import pytest
import sqlalchemy as sa
from builders import DECLINED_CARD, GOOD_CARD
from checkout_builders import Bank, audit, settler, viewer, wish, with_bank
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from liveshop.app import Liveshop
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import StockHeld
from liveshop.catalog.tables import hold, waiting
from liveshop.catalog.wire import ImageLinks
from liveshop.checkout import wire
from liveshop.checkout.model import (
    AlreadyHeld,
    CannotExtend,
    CodeNotValid,
    PaymentDeclined,
    PriceChanged,
    SoldOutWhilePaying,
    StillAvailable,
)
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.store import cart_id_of
from liveshop.checkout.tables import cart_line
from liveshop.checkout.waitlist import WaitlistService
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import RateLimited, ShopError
from liveshop.kernel.ids import LineId, LocationId, OrderId, VariantId, ViewerId
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.orders.tables import shop_order
from liveshop.payments import refund_store
from liveshop.payments.model import ProviderUnavailable
from liveshop.promotions import store as promotions_store
from liveshop.promotions import wire as promotions_wire
from liveshop.promotions.model import LimitBelowUsed, PromotionId
from liveshop.promotions.tables import promotion_claim, promotion_use
from liveshop.web import MoneyOut

T = TypeVar("T")
E = TypeVar("E", bound=ShopError)
BUYERS = 3
MAX_QUANTITY = 20
PAYMENT_HOLD = timedelta(seconds=1800)
SUPPLY = ((4, 2), (1, 0), (2, 3))
"""What lies of each article at the first and at the second place."""
OFFERED = 3
"""To how many units the limited promotion of an example goes at first."""
BankMood = Literal["well", "away", "charges and falls silent", "charges and is too slow"]

_examples = count(1)
buyers = st.integers(0, BUYERS - 1)
somebody_has_a_cart = precondition(lambda self: self.filled)
articles = st.integers(0, len(SUPPLY) - 1)
lines = st.integers(0, len(SUPPLY) - 1)


class Checkout(RuleBasedStateMachine):
    """One shop for all examples; each has buyers and articles of its own."""

    shop: Liveshop
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        example = next(_examples)
        self.buyers = [viewer(example * 100 + number) for number in range(BUYERS)]
        self.bank = Bank()
        self.find_is_away = False
        self.orders = with_bank(self.shop, self.bank)
        self.worker = settler(self.shop, self.orders)
        self.waitlist = WaitlistService(
            self.shop.database,
            self.shop.clock,
            self.shop.settings,
            CatalogDisplay(ImageLinks("", ()), self.shop.carts.carts.prices),
        )
        self.supplied: dict[VariantId, int] = {}
        self.articles: list[VariantId] = []
        self.sent: list[tuple[ViewerId, str, OrderWish, OrderId]] = []
        self.keys = count(1)
        self.code = f"CHEER{example}"
        self.promotions: dict[str, PromotionId] = {}
        self.most_gone: dict[PromotionId, int] = {}
        """Of limited ones: how much may be gone, because the limit says so or it was gone when
        the limit was set."""
        self.filled: list[int] = []
        """Buyers with something in the cart."""
        assert isinstance(self.shop.clock, ManualClock)
        self.clock = self.shop.clock

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    def told(
        self, what: Coroutine[Any, Any, T], refusal: type[E] | tuple[type[E], ...]
    ) -> tuple[E, None] | tuple[None, T]:
        """The refusal, or the answer."""
        try:
            return None, self.run(what)
        except refusal as refused:
            return refused, None

    @initialize()
    def open_the_shop(self) -> None:
        async def fill() -> None:
            places = [place.id for place in await self.shop.catalog.locations()]
            for tax_class, stock in zip(("standard", "reduced", "zero"), SUPPLY, strict=True):
                made = await builders.product(
                    self.shop,
                    title=f"{tax_class} cup",
                    stock=stock,
                    places=places,
                    price=1000 + 333 * sum(stock),
                    tax_class=tax_class,
                )
                variant_id = VariantId(made.variants[0].id)
                self.articles.append(variant_id)
                self.supplied[variant_id] = sum(stock)
            self.places = places
            for name in ("running", "limited", "code"):
                stored = await self.shop.promotions.create_promotion(self.promotion(name, 100))
                self.promotions[name] = stored.promotion.id

        self.run(fill())
        self.most_gone[self.promotions["limited"]] = OFFERED

    # what merchants promise

    def promotion(
        self, name: str, permille: int, limit: int = OFFERED
    ) -> promotions_wire.PromotionInput:
        """A percentage for all of the example's articles, or for few of one; or a code for the
        order, of which every buyer has one."""
        per_unit = promotions_wire.PercentOff(permille=permille)
        usual: dict[str, Any] = {"texts": {"en": name, "de": name}, "stacking": "stackable"}
        first, *_ = self.articles
        return promotions_wire.PromotionInput(
            **usual
            | {
                "running": {"kind": per_unit, "variant_ids": list(self.articles)},
                "limited": {"kind": per_unit, "variant_ids": [first], "limit_total": limit},
                "code": {
                    "kind": promotions_wire.OrderPercentOff(permille=permille),
                    "codes": [self.code],
                    "limit_per_customer": 1,
                },
            }[name]
        )

    @rule(
        name=st.sampled_from(["running", "limited", "code"]),
        permille=st.sampled_from([1, 77, 333, 1000]),
        limit=st.integers(1, 5),
    )
    def the_merchant_changes_a_price(self, name: str, permille: int, limit: int) -> None:
        """While carts are open."""
        id_ = self.promotions[name]
        gone, used = self.run(self.gone(id_))
        refused, changed = self.told(
            self.shop.promotions.replace_promotion(id_, self.promotion(name, permille, limit)),
            LimitBelowUsed,
        )
        if changed is not None and name == "limited":
            self.most_gone[id_] = max(limit, gone)
        elif refused is not None:
            assert limit < used

    @rule(
        name=st.sampled_from(["running", "limited", "code"]),
        to=st.sampled_from(["paused", "active", "active"]),
    )
    def the_merchant_pauses_or_resumes(self, name: str, to: promotions_wire.NextState) -> None:
        self.run(self.shop.promotions.change_state(self.promotions[name], to))

    async def gone(self, promotion_id: PromotionId) -> tuple[int, int]:
        """What carts and orders have of it together, and orders alone."""
        stored = await self.shop.promotions.promotion(promotion_id)
        return stored.promotion.used + stored.claimed, stored.promotion.used

    @rule(buyer=buyers, is_there=st.booleans())
    def type_a_code(self, buyer: int, is_there: bool) -> None:
        """One that is paused or used up is refused; others stay until the order is paid."""
        who = self.buyers[buyer]
        if not is_there:
            cart = self.run(self.shop.carts.remove_code(who, self.code))
            assert cart.codes == []
            return
        refused, cart_ = self.told(
            self.shop.carts.add_code(who, self.code), (CodeNotValid, RateLimited)
        )
        if refused is None:
            assert cart_ is not None
            assert [one.code for one in cart_.codes] == [self.code.casefold()]

    # what buyers do

    def cart(self, buyer: int) -> wire.Cart:
        return self.run(self.shop.carts.cart_of(self.buyers[buyer]))

    def line(self, buyer: int, number: int) -> wire.CartLine:
        found = self.cart(buyer).lines
        return found[number % len(found)]

    def free_for(self, line: wire.CartLine) -> int:
        """What a buyer could have of this article at most: what is free, and what he holds."""
        mine = sum(quantity for owner, quantity in self.live_holds() if owner == line.id)
        return self.available(VariantId(line.variant_id)) + mine

    def available(self, variant_id: VariantId) -> int:
        return self.run(self.shop.catalog.available([variant_id]))[variant_id]

    def live_holds(self) -> list[tuple[str, int]]:
        async def look() -> list[tuple[str, int]]:
            async with self.shop.database.read() as conn:
                rows = await conn.execute(
                    sa.select(hold.c.owner, hold.c.quantity).where(
                        hold.c.variant_id.in_(self.articles),
                        sa.or_(hold.c.expires_at.is_(None), hold.c.expires_at > self.clock.now()),
                    )
                )
                return [(row.owner, row.quantity) for row in rows]

        return self.run(look())

    @rule(buyer=buyers, article=articles, quantity=st.sampled_from([1, 1, 2, 4, "all"]))
    def add(self, buyer: int, article: int, quantity: int | Literal["all"]) -> None:
        variant_id = self.articles[article]
        before = next((x for x in self.cart(buyer).lines if x.variant_id == variant_id), None)
        free = self.available(variant_id) if before is None else self.free_for(before)
        free += self.turns_of(buyer, variant_id)
        there = before.quantity if before else 0
        more = max(1, min(free, MAX_QUANTITY) - there) if quantity == "all" else quantity
        wanted = more + there
        refused, cart = self.told(
            self.shop.carts.add_to_cart(self.buyers[buyer], variant_id, more, None), OutOfStock
        )
        if refused is not None:
            assert wanted > free, "what the screen said could be had was refused"
            assert refused.data == {"variant_id": variant_id, "available": free}
            return
        assert cart is not None
        assert wanted <= free, "what was gone was given"
        [line] = [one for one in cart.lines if one.variant_id == variant_id]
        assert (line.quantity, line.hold) == (wanted, "held")
        if before is not None and before.hold == "held":
            assert line.held_until == before.held_until, "more of it does not hold it longer"
        else:
            assert line.held_until == self.clock.now() + timedelta(seconds=600)

    def turns_of(self, buyer: int, variant_id: str) -> int:
        """1 where a unit is kept for this buyer, who has waited for it."""
        places = self.run(self.waitlist.places(self.buyers[buyer])).places
        return sum(one.variant_id == variant_id and one.state == "offered" for one in places)

    @rule(buyer=buyers, article=articles)
    def wait_for(self, buyer: int, article: int) -> None:
        """Who finds nothing there may wait, and nobody else."""
        variant_id = self.articles[article]
        holds_it = any(
            line.variant_id == variant_id and line.hold == "held" for line in self.cart(buyer).lines
        )
        free = self.available(variant_id)
        before = self.run(self.waitlist.places(self.buyers[buyer])).places
        has_place = any(one.variant_id == variant_id for one in before)
        refused, places = self.told(
            self.waitlist.join(self.buyers[buyer], variant_id, None), (StillAvailable, AlreadyHeld)
        )
        if refused is not None:
            assert holds_it or (free > 0 and not has_place)
        else:
            assert not holds_it
            assert places is not None
            assert [one.variant_id for one in places.places].count(variant_id) == 1

    @rule(buyer=buyers, number=st.integers(0, 2))
    def stop_waiting(self, buyer: int, number: int) -> None:
        places = self.run(self.waitlist.places(self.buyers[buyer])).places
        if places:
            place = places[number % len(places)]
            left = self.run(self.waitlist.leave(self.buyers[buyer], place.id)).places
            assert place.id not in [one.id for one in left]

    @somebody_has_a_cart
    @rule(buyer=buyers)
    def extend(self, buyer: int) -> None:
        """Once for each hold."""
        buyer = self.one_with_a_cart(buyer)
        before = self.cart(buyer)
        refused, cart = self.told(self.shop.carts.extend(self.buyers[buyer]), CannotExtend)
        assert (refused is None) == before.can_extend
        if cart is not None:
            for was, line in zip(before.lines, cart.lines, strict=True):
                until = self.clock.now() + timedelta(seconds=600)
                assert line.held_until == (until if was.can_extend else was.held_until)
                assert not line.can_extend

    @somebody_has_a_cart
    @rule(buyer=buyers, number=lines, quantity=st.integers(1, 7))
    def change_quantity(self, buyer: int, number: int, quantity: int) -> None:
        buyer = self.one_with_a_cart(buyer)
        line = self.line(buyer, number)
        free = self.free_for(line)
        if line.hold == "lapsed" or quantity > line.quantity:
            free += self.turns_of(buyer, line.variant_id)
        try:
            self.run(self.shop.carts.set_quantity(self.buyers[buyer], LineId(line.id), quantity))
        except OutOfStock:
            assert quantity > free
        else:
            assert quantity <= free

    @somebody_has_a_cart
    @rule(buyer=buyers, number=lines)
    def remove(self, buyer: int, number: int) -> None:
        buyer = self.one_with_a_cart(buyer)
        line = self.line(buyer, number)
        self.run(self.shop.carts.remove_line(self.buyers[buyer], LineId(line.id)))

    def one_with_a_cart(self, number: int) -> int:
        return self.filled[number % len(self.filled)]

    def can_hold_all(self, buyer: int) -> bool:
        """Whether all of the cart is held or could be."""
        return all(
            line.hold == "held"
            or line.quantity <= self.free_for(line) + self.turns_of(buyer, line.variant_id)
            for line in self.cart(buyer).lines
        )

    @somebody_has_a_cart
    @rule(buyer=buyers)
    def hold_again(self, buyer: int) -> None:
        buyer = self.one_with_a_cart(buyer)
        possible = self.can_hold_all(buyer)
        try:
            cart = self.run(self.shop.carts.hold_again(self.buyers[buyer]))
        except OutOfStock:
            assert not possible
        else:
            assert possible
            assert all(line.hold == "held" for line in cart.lines)

    @somebody_has_a_cart
    @rule(buyer=buyers)
    def quote(self, buyer: int) -> None:
        who = self.buyers[self.one_with_a_cart(buyer)]
        self.quoted(who)

    def quoted(self, who: ViewerId) -> wire.Quote:
        """Whose parts agree with each other, and with the cart it is for."""
        quote = self.run(self.shop.carts.quote(who, "DE"))
        cart = self.run(self.shop.carts.cart_of(who))
        assert quote.total.amount == quote.subtotal.amount + quote.shipping.amount
        assert quote.total.amount == sum(step.amount.amount for step in quote.explanation)
        taxed = sum(tax.basis.amount + tax.amount.amount for tax in quote.taxes)
        assert taxed == quote.total.amount
        assert quote.subtotal == cart.goods
        assert [(one.unit_price, one.total) for one in quote.lines] == [
            (one.unit_price, one.total) for one in cart.lines
        ]
        off = sum(one.amount.amount for one in cart.order_discounts)
        assert cart.goods.amount == sum(one.total.amount for one in cart.lines) + off
        for line in cart.lines:
            reduced = sum(one.amount.amount for one in line.discounts)
            assert line.total.amount == line.list_price.amount * line.quantity + reduced
            assert 0 <= line.total.amount <= line.list_price.amount * line.quantity
        return quote

    @somebody_has_a_cart
    @rule(
        buyer=buyers,
        card=st.sampled_from([GOOD_CARD, GOOD_CARD, DECLINED_CARD]),
        mood=st.sampled_from(
            ["well", "well", "away", "charges and falls silent", "charges and is too slow"]
        ),
    )
    def place(self, buyer: int, card: str, mood: BankMood) -> None:
        """The bank's mood lasts for this one order."""
        self.pay(self.one_with_a_cart(buyer), card, mood)

    def wish_of(self, who: ViewerId, total: MoneyOut, card: str = GOOD_CARD) -> OrderWish:
        """Every buyer has an address of his own: by that too a customer is known."""
        return replace(wish(total, method="bank", card=card), email=f"{who}@example.org")

    def pay(self, buyer: int, card: str, mood: BankMood) -> None:
        who = self.buyers[buyer]
        possible = self.can_hold_all(buyer)
        quote = self.quoted(who)
        given, key = self.wish_of(who, quote.total, card), f"key-{next(self.keys)}"
        self.set_mood(mood)
        try:
            order = self.run(self.orders.place_order(who, key, given))
        except OutOfStock:
            assert not possible
            return
        except SoldOutWhilePaying as late:
            raise AssertionError("the bank answered at once") from late
        except PaymentDeclined as declined:
            assert possible
            assert (card, mood) == (DECLINED_CARD, "well")
            assert all(line.hold == "held" for line in self.cart(buyer).lines)
            self.sent.append((who, key, given, OrderId(declined.data["order_id"])))
            return
        finally:
            self.set_mood("well")
        assert possible
        assert order.state == ("confirmed" if mood == "well" else "pending")
        assert order.total == given.expected_total.to_money()
        assert self.cart(buyer).lines == []
        self.sent.append((who, key, given, order.id))

    def set_mood(self, mood: BankMood) -> None:
        async def unavailable() -> None:
            raise ProviderUnavailable("The bank does not answer.")

        async def too_slow() -> None:
            raise TimeoutError

        self.bank.before = unavailable if mood == "away" else None
        self.bank.after = {
            "charges and falls silent": unavailable,
            "charges and is too slow": too_slow,
        }.get(mood)

    @somebody_has_a_cart
    @rule(buyer=buyers, cents=st.sampled_from([-1, 1, 100_000]))
    def place_at_a_stale_total(self, buyer: int, cents: int) -> None:
        buyer = self.one_with_a_cart(buyer)
        total = self.quoted(self.buyers[buyer]).total
        stale = self.wish_of(self.buyers[buyer], MoneyOut(total.amount + cents, "EUR"))
        with pytest.raises(PriceChanged) as changed:
            self.run(self.orders.place_order(self.buyers[buyer], f"key-{next(self.keys)}", stale))
        assert changed.value.data["quote"]["total"]["amount"] == total.amount

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 5))
    def send_again(self, number: int) -> None:
        """The same key finds the same order, and settles it if the bank answers now."""
        who, key, given, order_id = self.sent[-1 - number % len(self.sent)]
        refused, order = self.told(
            self.orders.place_order(who, key, given), (PaymentDeclined, SoldOutWhilePaying)
        )
        if refused is not None:
            assert refused.data == {"order_id": order_id}
        else:
            assert order is not None
            assert (order.id, order.state) == (order_id, "confirmed")

    # what happens without them

    @rule(seconds=st.sampled_from([31, 181, 599, 600, 600, 4000]), is_swept=st.booleans())
    def time_passes(self, seconds: int, is_swept: bool) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        if is_swept:
            self.run(self.shop.carts.sweep())

    @rule(
        buyer=buyers,
        article=articles,
        card=st.sampled_from([GOOD_CARD, DECLINED_CARD]),
        mood=st.sampled_from(["well", "away", "charges and falls silent"]),
    )
    def buy_at_a_glance(self, buyer: int, article: int, card: str, mood: BankMood) -> None:
        """See it, take it, pay: the way most things are bought in a show."""
        self.add(buyer, article, 1)
        self.run(self.check())
        if buyer in self.filled:
            self.pay(buyer, card, mood)

    @rule(
        buyer=buyers,
        quantity=st.integers(1, 3),
        code=st.booleans(),
        name=st.sampled_from(["running", "limited", "code"]),
        permille=st.sampled_from([1, 77, 333, 1000]),
        limit=st.integers(1, 5),
        mood=st.sampled_from(["well", "away"]),
    )
    def a_price_changes_before_the_order(
        self,
        buyer: int,
        quantity: int,
        code: bool,
        name: str,
        permille: int,
        limit: int,
        mood: BankMood,
    ) -> None:
        """What is charged is what the screen said, or nothing."""
        self.add(buyer, 0, quantity)
        self.add(buyer, 2, 1)
        self.type_a_code(buyer, code)
        self.run(self.check())
        if buyer not in self.filled:
            return
        who = self.buyers[buyer]
        said = self.quoted(who).total
        self.the_merchant_changes_a_price(name, permille, limit)
        if self.quoted(who).total != said:
            with pytest.raises(PriceChanged):
                self.run(
                    self.orders.place_order(who, f"key-{next(self.keys)}", self.wish_of(who, said))
                )
        self.pay(buyer, GOOD_CARD, mood)

    @rule(first=buyers, following=buyers, article=articles)
    def a_hold_runs_out_and_the_next_one_takes_it(
        self, first: int, following: int, article: int
    ) -> None:
        """Nobody has swept: what lapsed is free because the time has come, not because of a job."""
        self.add(first, article, "all")
        self.clock.advance(timedelta(seconds=600))
        self.add(following, article, "all")

    @precondition(lambda self: self.sent)
    @rule(finds=st.booleans())
    def the_worker_runs(self, finds: bool) -> None:
        async def unavailable() -> None:
            raise ProviderUnavailable("The bank does not answer.")

        self.bank.on_find = None if finds else unavailable
        self.run(self.worker.run_due())
        self.bank.on_find = None

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 5))
    def an_order_is_settled(self, number: int) -> None:
        """As by a reconciler that asks twice, or much too early."""
        self.run(self.look(self.sent[-1 - number % len(self.sent)][3]))

    async def look(self, order_id: OrderId) -> None:
        async with self.shop.database.read() as conn:
            order = await orders_store.by_id(conn, order_id)
        if order is not None:
            await self.worker.look(order.payment.id)

    @rule(article=articles, place=st.integers(0, 1), on_hand=st.integers(0, 6))
    def the_merchant_counts(self, article: int, place: int, on_hand: int) -> None:
        variant_id, location_id = self.articles[article], self.places[place]
        before = self.level(variant_id, location_id)
        try:
            self.run(self.shop.catalog.set_stock(variant_id, location_id, on_hand))
        except StockHeld:
            assert on_hand < before.held
        else:
            assert on_hand >= before.held
            self.supplied[variant_id] += on_hand - before.on_hand

    def level(self, variant_id: VariantId, location_id: LocationId) -> Any:
        levels = self.run(self.shop.catalog.stock_of(variant_id))
        return next(level for level in levels if level.location_id == location_id)

    # what is true at all times

    @invariant()
    def the_books_agree(self) -> None:
        if self.articles:
            self.run(self.check())

    async def check(self) -> None:
        rows = await audit(self.shop.database, self.articles)
        on_hand = dict.fromkeys(self.articles, 0)
        for row in rows:
            on_hand[VariantId(row.variant_id)] += row.on_hand
        mine = await self.my_orders()
        sold = dict.fromkeys(self.articles, 0)
        for order in mine:
            self.check_money(order)
            if order.state == "confirmed":
                for line in order.lines:
                    sold[line.variant_id] += line.quantity
        assert {id_: self.supplied[id_] - sold[id_] for id_ in self.articles} == on_hand
        await self.check_holds(mine, on_hand)
        await self.check_promotions(mine)

    async def check_promotions(self, mine: list[Order]) -> None:
        """Of a limited price no more is claimed and used than there is; what came to nothing is
        given back; and only who holds his goods has a claim.
        """
        now = self.clock.now()
        async with self.shop.database.read() as conn:
            stored = await promotions_store.stored(
                conn,
                self.shop.carts.carts.prices.definitions,
                now,
                promotions_store.is_one_of(list(self.promotions.values())),
            )
            used = (
                await conn.execute(
                    sa.select(promotion_use).where(
                        promotion_use.c.promotion_id.in_(list(self.promotions.values()))
                    )
                )
            ).all()
            claimed = (
                await conn.execute(
                    sa.select(promotion_claim).where(
                        promotion_claim.c.promotion_id == self.promotions["limited"],
                        promotion_claim.c.expires_at > now,
                    )
                )
            ).all()
            lines = {
                row.id: row
                for row in await conn.execute(sa.select(cart_line.c.id, cart_line.c.quantity))
            }
        for one in stored:
            taken = [row for row in used if row.promotion_id == one.promotion.id]
            assert one.promotion.used == sum(row.units for row in taken)
            most = self.most_gone.get(one.promotion.id)
            assert most is None or one.promotion.used + one.claimed <= most
        live = {order.id for order in mine if order.state in ("pending", "confirmed")}
        assert {row.order_id for row in used} <= live
        by_code = [row for row in used if row.promotion_id == self.promotions["code"]]
        assert len({row.viewer_id for row in by_code}) == len(by_code), "once for each customer"
        held = await self.held_lines()
        for row in claimed:
            assert row.owner in lines, "a claim nobody owns"
            assert row.units <= held.get(row.owner, 0), "a price is kept for what is held"

    async def held_lines(self) -> dict[str, int]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                sa.select(hold.c.owner, sa.func.sum(hold.c.quantity))
                .where(hold.c.expires_at > self.clock.now())
                .group_by(hold.c.owner)
            )
            return {row[0]: int(row[1]) for row in rows}

    async def my_orders(self) -> list[Order]:
        async with self.shop.database.read() as conn:
            ids = (
                await conn.execute(
                    sa.select(shop_order.c.id).where(shop_order.c.viewer_id.in_(self.buyers))
                )
            ).scalars()
            found = [await orders_store.by_id(conn, OrderId(id_)) for id_ in ids]
        return [order for order in found if order is not None]

    def check_money(self, order: Order) -> None:
        assert order.total == order.subtotal + order.shipping == order.payment.amount
        assert order.subtotal.amount == sum(line.payable.amount for line in order.lines)
        assert order.total.amount == sum(step.amount.amount for step in order.explanation)
        for line in order.lines:
            assert 0 <= line.payable.amount <= line.total.amount
        taxed = sum(tax.basis.amount + tax.amount.amount for tax in order.taxes)
        assert taxed == order.total.amount
        at_bank = self.bank.books.get(order.payment.id)
        payment = order.payment
        gone = [one for whose, one in self.bank.returned.values() if whose == payment.id]
        assert sum(one.amount for one in gone) <= payment.refunded <= payment.captured
        if order.state == "confirmed":
            assert at_bank is not None
            assert at_bank.state == "paid"
            assert self.bank.amounts[payment.id] == order.total
            assert (payment.state, payment.captured, gone) == ("paid", order.total.amount, [])
        elif order.state == "payment_failed":
            assert at_bank is not None
            assert at_bank.state == "declined"
        elif order.state == "cancelled":
            assert at_bank is not None
            assert (payment.state, at_bank.state) == ("paid", "paid")
            assert payment.refunded == payment.captured == order.total.amount

    async def check_holds(self, mine: list[Order], on_hand: dict[VariantId, int]) -> None:
        now = self.clock.now()
        async with self.shop.database.read() as conn:
            held = (
                await conn.execute(sa.select(hold).where(hold.c.variant_id.in_(self.articles)))
            ).all()
            filled = (await conn.execute(sa.select(cart_line.c.id, cart_line.c.cart_id))).all()
            waits = (
                await conn.execute(
                    sa.select(waiting).where(waiting.c.variant_id.in_(self.articles))
                )
            ).all()
        line_ids = {row.id for row in filled}
        place_ids = {row.id for row in waits}
        full = {row.cart_id for row in filled}
        self.filled = [n for n, who in enumerate(self.buyers) if cart_id_of(who) in full]
        live = dict.fromkeys(self.articles, 0)
        by_order: dict[tuple[str, str], int] = {}
        for row in held:
            if row.expires_at <= now:
                continue
            live[row.variant_id] += row.quantity
            if row.owner.startswith("ord_"):
                key = (row.owner, row.variant_id)
                by_order[key] = by_order.get(key, 0) + row.quantity
            else:
                assert row.owner in line_ids | place_ids, "a hold nobody owns"
        assert by_order == {
            (order.id, line.variant_id): line.quantity
            for order in mine
            if order.state == "pending" and order.placed_at + PAYMENT_HOLD > now
            for line in order.lines
        }
        available = await self.shop.catalog.available(self.articles)
        queued = dict.fromkeys(self.articles, 0)
        for row in waits:
            if row.offered_until is None:
                queued[row.variant_id] += 1
        assert available == {
            id_: max(0, on_hand[id_] - live[id_] - queued[id_]) for id_ in self.articles
        }

    def teardown(self) -> None:
        """In the end every order is decided, and what lapsed is free again."""
        if not self.articles:
            return
        while self.run(self.open_jobs()):
            self.clock.advance(timedelta(hours=2))
            self.run(self.worker.run_due())
        self.clock.advance(timedelta(hours=1))
        self.run(self.shop.carts.sweep())
        self.run(self.check())
        self.run(self.everybody_leaves())
        assert self.live_holds() == []
        states = {order.state for order in self.run(self.my_orders())}
        assert states <= {"confirmed", "payment_failed", "cancelled"}
        lost = [one.payment.id for one in self.run(self.my_orders()) if one.state == "cancelled"]
        assert sorted(lost) == sorted(self.bank.refunds), "given back once"

    async def everybody_leaves(self) -> None:
        for who in self.buyers:
            for place in (await self.waitlist.places(who)).places:
                await self.waitlist.leave(who, place.id)

    async def open_jobs(self) -> int:
        mine = await self.my_orders()
        async with self.shop.database.read() as conn:
            refunds = await refund_store.of_orders(conn, [order.id for order in mine])
        return sum(
            order.state == "pending" or any(one.state == "due" for one in refunds[order.id])
            for order in mine
        )


def test_no_piece_is_sold_twice_and_no_cent_goes_astray(
    open_shop: Liveshop, loop: asyncio.AbstractEventLoop
) -> None:
    for priority, name in enumerate(("Warehouse", "Store")):
        loop.run_until_complete(builders.location(open_shop, name, priority=priority))
    run_state_machine_as_test(
        type("CheckoutHere", (Checkout,), {"shop": open_shop, "loop": loop}),
        settings=settings(
            max_examples=25 if open_shop.database.is_sqlite else 10,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
