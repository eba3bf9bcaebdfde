"""Whatever buyers, merchant, time and bank do, no piece is sold twice and no cent goes astray.

Hypothesis drives the real services on real databases. The model is small: what was supplied, what
buyers were told. What a screen says can be had must be had; what it says is gone must be refused.
"""

import asyncio
from collections.abc import Coroutine, Iterator
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
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import StockHeld
from liveshop.catalog.tables import hold
from liveshop.checkout import wire
from liveshop.checkout.model import PaymentDeclined, PriceChanged
from liveshop.checkout.place import OrderWish
from liveshop.checkout.store import cart_id_of
from liveshop.checkout.tables import cart_line
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LineId, LocationId, OrderId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.orders.tables import shop_order
from liveshop.payments.model import ProviderUnavailable

T = TypeVar("T")
E = TypeVar("E", bound=ShopError)
BUYERS = 3
MAX_QUANTITY = 20
SUPPLY = ((4, 2), (1, 0), (2, 3))
"""What lies of each article at the first and at the second place."""
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
        self.supplied: dict[VariantId, int] = {}
        self.articles: list[VariantId] = []
        self.sent: list[tuple[ViewerId, str, OrderWish, OrderId]] = []
        self.keys = count(1)
        self.filled: list[int] = []
        """Buyers with something in the cart."""
        assert isinstance(self.shop.clock, ManualClock)
        self.clock = self.shop.clock

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    def told(
        self, what: Coroutine[Any, Any, T], refusal: type[E]
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

        self.run(fill())

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
        there = before.quantity if before else 0
        if quantity == "all":
            quantity = max(1, min(free, MAX_QUANTITY) - there)
        wanted = quantity + there
        refused, cart = self.told(
            self.shop.carts.add_to_cart(self.buyers[buyer], variant_id, quantity, None), OutOfStock
        )
        if refused is not None:
            assert wanted > free, "what the screen said could be had was refused"
            assert refused.data == {"variant_id": variant_id, "available": free}
            return
        assert cart is not None
        assert wanted <= free, "what was gone was given"
        [line] = [one for one in cart.lines if one.variant_id == variant_id]
        assert (line.quantity, line.hold) == (wanted, "held")

    @somebody_has_a_cart
    @rule(buyer=buyers, number=lines, quantity=st.integers(1, 7))
    def change_quantity(self, buyer: int, number: int, quantity: int) -> None:
        buyer = self.one_with_a_cart(buyer)
        line = self.line(buyer, number)
        free = self.free_for(line)
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
        return all(line.quantity <= self.free_for(line) for line in self.cart(buyer).lines)

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
        quote = self.run(self.shop.carts.quote(who, "DE"))
        assert quote.total.amount == quote.subtotal.amount + quote.shipping.amount
        taxed = sum(tax.basis.amount + tax.amount.amount for tax in quote.taxes)
        assert taxed == quote.total.amount

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

    def pay(self, buyer: int, card: str, mood: BankMood) -> None:
        who = self.buyers[buyer]
        possible = self.can_hold_all(buyer)
        quote = self.run(self.shop.carts.quote(who, "DE"))
        given, key = wish(quote.total, method="bank", card=card), f"key-{next(self.keys)}"
        self.set_mood(mood)
        try:
            order = self.run(self.orders.place_order(who, key, given))
        except OutOfStock:
            assert not possible
            return
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
        total = self.run(self.shop.carts.quote(self.buyers[buyer], "DE")).total.to_money()
        stale = wish(Money(total.amount + cents, "EUR"), method="bank")
        with pytest.raises(PriceChanged) as changed:
            self.run(self.orders.place_order(self.buyers[buyer], f"key-{next(self.keys)}", stale))
        assert changed.value.data["quote"]["total"]["amount"] == total.amount

    @precondition(lambda self: self.sent)
    @rule(number=st.integers(0, 5))
    def send_again(self, number: int) -> None:
        """The same key finds the same order, and settles it if the bank answers now."""
        who, key, given, order_id = self.sent[-1 - number % len(self.sent)]
        declined, order = self.told(self.orders.place_order(who, key, given), PaymentDeclined)
        if declined is not None:
            assert declined.data == {"order_id": order_id}
        else:
            assert order is not None
            assert (order.id, order.state) == (order_id, "confirmed")

    # what happens without them

    @rule(seconds=st.sampled_from([31, 599, 600, 600, 4000]), is_swept=st.booleans())
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
        """As by a worker whose job is run twice, or much too early."""
        order_id = self.sent[-1 - number % len(self.sent)][3]
        self.run(self.orders.settle_job({"order_id": order_id}))

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
        assert order.subtotal.amount == sum(
            line.unit_price.amount * line.quantity for line in order.lines
        )
        taxed = sum(tax.basis.amount + tax.amount.amount for tax in order.taxes)
        assert taxed == order.total.amount
        at_bank = self.bank.books.get(order.payment.id)
        if order.state == "confirmed":
            assert at_bank is not None
            assert at_bank.state == "paid"
            assert self.bank.amounts[order.payment.id] == order.total
        elif order.state == "payment_failed":
            assert at_bank is not None
            assert at_bank.state == "declined"

    async def check_holds(self, mine: list[Order], on_hand: dict[VariantId, int]) -> None:
        now = self.clock.now()
        async with self.shop.database.read() as conn:
            held = (
                await conn.execute(sa.select(hold).where(hold.c.variant_id.in_(self.articles)))
            ).all()
            filled = (await conn.execute(sa.select(cart_line.c.id, cart_line.c.cart_id))).all()
        line_ids = {row.id for row in filled}
        full = {row.cart_id for row in filled}
        self.filled = [n for n, who in enumerate(self.buyers) if cart_id_of(who) in full]
        live = dict.fromkeys(self.articles, 0)
        by_order: dict[tuple[str, str], int] = {}
        for row in held:
            if row.expires_at is None:
                key = (row.owner, row.variant_id)
                by_order[key] = by_order.get(key, 0) + row.quantity
            else:
                assert row.owner in line_ids, "a hold nobody owns"
            if row.expires_at is None or row.expires_at > now:
                live[row.variant_id] += row.quantity
        assert by_order == {
            (order.id, line.variant_id): line.quantity
            for order in mine
            if order.state == "pending"
            for line in order.lines
        }
        available = await self.shop.catalog.available(self.articles)
        assert available == {id_: on_hand[id_] - live[id_] for id_ in self.articles}
        assert min(available.values()) >= 0

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
        assert self.live_holds() == []
        states = {order.state for order in self.run(self.my_orders())}
        assert states <= {"confirmed", "payment_failed"}

    async def open_jobs(self) -> int:
        return sum(order.state == "pending" for order in await self.my_orders())


@pytest.fixture
def loop(wired: Liveshop) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for a test that is no coroutine itself, because Hypothesis drives it."""
    loop = asyncio.new_event_loop()
    yield loop
    wired.media.close()
    loop.run_until_complete(wired.database.close())
    loop.close()


def test_no_piece_is_sold_twice_and_no_cent_goes_astray(
    wired: Liveshop, loop: asyncio.AbstractEventLoop
) -> None:
    for priority, name in enumerate(("Warehouse", "Store")):
        loop.run_until_complete(builders.location(wired, name, priority=priority))
    run_state_machine_as_test(
        type("CheckoutHere", (Checkout,), {"shop": wired, "loop": loop}),
        settings=settings(
            max_examples=25 if wired.database.is_sqlite else 10,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
