"""Whatever buyers, staff, bank and time do to orders: the money, the goods and the history add up.

Hypothesis drives the real services on real databases, from the cart to the return. Beside them are
a bank with books of its own, and a ledger of the shelves; both are compared after each step, and in
the end nothing is left unclear. For a long run:

    LIVESHOP_ORDER_EXAMPLES=2000 pytest tests/stateful/test_order_machine.py
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeVar

import builders
import msgspec
import pytest
from builders import DECLINED_CARD, GOOD_CARD
from checkout_builders import viewer, wish
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
from moving_bank import COLLECTING_CARD, Mood, MovingBank
from order_books import (
    Ledger,
    Seen,
    check_history,
    check_money,
    look,
    owed_by_hand,
    units_with_buyer,
)
from order_builders import store_place
from order_desk_builders import STAFF
from payment_builders import CONFIRM_CARD
from structlog.testing import capture_logs

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import StockHeld
from liveshop.checkout.model import PaymentDeclined, SoldOutWhilePaying
from liveshop.checkout.order_wish import OrderWish
from liveshop.checkout.payment_history import note_captured, note_dispute, note_refund
from liveshop.checkout.place import PlaceOrder
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import LineId, LocationId, OrderId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders import wire
from liveshop.orders.desk import OrderDesk
from liveshop.orders.fulfilling import Fulfilments
from liveshop.orders.model import (
    Actor,
    Fulfilment,
    NotNow,
    NotPaid,
    NotReturnable,
    Order,
    Return,
    UnknownPickup,
    WrongStore,
)
from liveshop.orders.returns import Returns
from liveshop.payments.inbox import Inbox
from liveshop.payments.model import (
    BadPaymentInput,
    BadSignature,
    CannotCapture,
    Capture,
    PaymentState,
    ProviderUnavailable,
    RefundState,
    RefundTooLarge,
)
from liveshop.payments.providers.at_pickup import AtPickup
from liveshop.payments.providers.invoice import Invoice
from liveshop.payments.reconciler import Reconciler
from liveshop.payments.service import Payments
from liveshop.promotions import wire as promotions_wire
from liveshop.web import MoneyOut

T = TypeVar("T")
E = TypeVar("E", bound=ShopError)
EXAMPLES = int(os.environ.get("LIVESHOP_ORDER_EXAMPLES", "0"))
"""So many others on each database; without it the same few every time."""
BUYERS = 2
SUPPLY = ((3, 2, 2), (0, 2, 1), (4, 0, 0))
"""What lies of cups, bowls and pens in the warehouse, and in the stores A and B."""
ROUNDS = 40
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
A_MOMENT = timedelta(milliseconds=1)
"""Between any two steps: ids of one millisecond have no order."""
Way = Literal["ship", "pickup at A", "pickup at B"]

_examples = count(1)
buyers = st.integers(0, BUYERS - 1)
numbers = st.integers(0, 11)
moods: st.SearchStrategy[Mood] = st.sampled_from(
    ["well", "well", "well", "well", "away", "falls silent", "is too slow"]
)
baskets = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 3)),
    min_size=1,
    max_size=2,
    unique_by=lambda line: line[0],
)
"""(article, units)."""
ways: st.SearchStrategy[Way] = st.sampled_from(["ship", "pickup at A", "pickup at B"])
methods = st.sampled_from(["bank", "bank", "bank", "invoice", "at_pickup"])
there_are_orders = precondition(lambda self: self.seen.orders)
there_are_goods = precondition(lambda self: self.seen.fulfilments)
there_are_returns = precondition(lambda self: self.seen.returns)
somebody_has_to_pay = precondition(lambda self: any(map(_is_pending, self.seen.orders.values())))
the_bank_has_books = precondition(lambda self: self.bank.amounts)


class Orders(RuleBasedStateMachine):
    """Cups, bowls, pens, and a set of two cups and a bowl; a warehouse, the store A, which ships
    too, and the store B, which does not."""

    shop: Liveshop
    loop: asyncio.AbstractEventLoop
    places: Sequence[LocationId]

    def __init__(self) -> None:
        super().__init__()
        example = next(_examples)
        self.buyers = [viewer(example * 100 + number) for number in range(BUYERS)]
        self.bank = MovingBank()
        self.seen = Seen()
        self.articles: list[VariantId] = []
        self.sent: list[tuple[ViewerId, str, OrderWish, OrderId]] = []
        self.keys = count(1)
        self.refund_keys: list[tuple[OrderId, str, Money]] = []
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.gave_up: set[str] = set()
        """Payments that the bank itself has ended."""
        assert isinstance(self.shop.clock, ManualClock)
        self.clock = self.shop.clock
        self.example = example
        self.wire("now")

    def wire(self, capture: Capture) -> None:
        """Everything that acts on orders, tied together as in the server."""
        shop, clock = self.shop, self.shop.clock
        when: Any = "shipping" if capture == "later" else "placing"
        methods = (self.bank, Invoice(), AtPickup())
        payments = Payments(
            shop.database,
            clock,
            msgspec.structs.replace(shop.settings.payments, capture=when),
            {one.method: one for one in methods},
            note_captured,
        )
        self.fulfilments = Fulfilments(shop.database, clock, shop.settings, payments)

        async def let_go(tx: Any, order: Order, now: Any) -> None:
            await self.orders.let_go(tx, order, now)

        self.desk = OrderDesk(shop.database, clock, payments, self.fulfilments, let_go)
        self.orders = PlaceOrder(
            shop.database,
            clock,
            shop.settings,
            shop.carts,
            payments,
            on_lost=self.desk.cancel_lost,
        )
        self.returns = Returns(shop.database, clock, shop.settings, payments)
        self.inbox = Inbox(shop.database, clock, payments, note_dispute)
        self.reconciler = Reconciler(
            shop.database, clock, payments, self.orders.settle, note_refund, self.orders.number_of
        )

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

    @initialize(capture=st.sampled_from(["now", "later"]))
    def open_the_shop(self, capture: Capture) -> None:
        """On a Monday morning, as in every example."""
        self.clock.advance((MONDAY - self.clock.now()) % timedelta(days=7))
        self.wire(capture)

        async def fill() -> list[VariantId]:
            found = []
            for title, stock, price in zip(
                ("Cup", "Bowl", "Pen"), SUPPLY, (1001, 1503, 299), strict=True
            ):
                self.clock.advance(A_MOMENT)
                made = await builders.product(
                    self.shop, title=title, stock=stock, places=self.places, price=price
                )
                found.append(made.variants[0].id)
            cup, bowl, pen = found
            both = await builders.bundle(self.shop, {cup: 2, bowl: 1}, price=3001)
            return [cup, bowl, pen, both.variants[0].id]

        self.articles = self.run(fill())
        cup, bowl, pen, both = self.articles
        self.ledger = Ledger(
            parts={cup: {cup: 1}, bowl: {bowl: 1}, pen: {pen: 1}, both: {cup: 2, bowl: 1}},
            shipping_places=self.places[:2],
        )
        for article, stock in zip(self.articles, SUPPLY, strict=False):
            for place, pieces in zip(self.places, stock, strict=True):
                self.ledger.on_hand[article, place] = pieces

    # what there is

    def order(self, number: int, *, is_meant: Callable[[Order], object] | None = None) -> Order:
        """One of those it is meant for, if there are any; the newest first."""
        return _one(list(self.seen.orders.values())[::-1], number, is_meant)

    def goods(self, number: int, *, is_meant: Callable[[Fulfilment], object]) -> Fulfilment:
        return _one(list(self.seen.fulfilments.values())[::-1], number, is_meant)

    def asked_back(self, number: int) -> Return:
        return _one(list(self.seen.returns.values()), number, _is_requested)

    def is_paid(self, one: Fulfilment) -> bool:
        return self.seen.orders[one.order_id].payment.state == "paid"

    def actor(self, order: Order, is_buyer: bool) -> Actor:
        return Actor("buyer", order.viewer_id) if is_buyer else STAFF

    # what buyers do

    @rule(
        buyer=buyers,
        wanted=baskets,
        way=ways,
        method=methods,
        card=st.sampled_from(
            [GOOD_CARD, GOOD_CARD, GOOD_CARD, CONFIRM_CARD, COLLECTING_CARD, DECLINED_CARD]
        ),
        mood=moods,
    )
    def buy(
        self,
        buyer: int,
        wanted: list[tuple[int, int]],
        way: Way,
        method: str,
        card: str,
        mood: Mood,
    ) -> None:
        who = self.buyers[buyer]
        for article, quantity in wanted:
            with suppress(OutOfStock):
                self.run(self.shop.carts.add_to_cart(who, self.articles[article], quantity, None))
        if not self.run(self.shop.carts.cart_of(who)).lines:
            return
        delivery: Any = way.partition(" ")[0]
        store_id = {"pickup at A": self.places[1], "pickup at B": self.places[2]}.get(way)
        quote = self.run(self.shop.carts.quote(who, "DE", "en", delivery, store_id))
        given = replace(
            wish(quote.total, method=method, card=card if method == "bank" else None),
            email=f"{who}@example.org",
            delivery=delivery,
            store_id=store_id,
        )
        key = f"key-{next(self.keys)}"
        refused, placed = self.placed(who, key, given, mood)
        if placed is not None:
            order, client = placed
            is_unclear = mood != "well" and method == "bank"
            waits = is_unclear or (card == CONFIRM_CARD and method == "bank")
            assert order.state == ("pending" if waits else "confirmed")
            assert (client is not None) == (waits and not is_unclear)
            self.sent.append((who, key, given, order.id))
        elif isinstance(refused, PaymentDeclined):
            assert (method, card, mood) == ("bank", DECLINED_CARD, "well")
            self.sent.append((who, key, given, OrderId(refused.data["order_id"])))
        elif isinstance(refused, BadPaymentInput):
            assert (method, way) == ("at_pickup", "ship")
        else:
            assert isinstance(refused, OutOfStock), "the bank answered at once"
            for line in self.run(self.shop.carts.cart_of(who)).lines:
                self.run(self.shop.carts.remove_line(who, LineId(line.id)))

    def placed(self, who: ViewerId, key: str, given: OrderWish, mood: Mood) -> Any:
        self.bank.mood = mood
        try:
            return self.told(
                self.orders.place(who, key, given),
                (OutOfStock, PaymentDeclined, BadPaymentInput, SoldOutWhilePaying),
            )
        finally:
            self.bank.mood = "well"

    @precondition(lambda self: self.sent)
    @rule(number=numbers, mood=moods)
    def send_again(self, number: int, mood: Mood) -> None:
        """The same key finds the same order."""
        who, key, given, order_id = self.sent[-1 - number % len(self.sent)]
        refused, placed = self.placed(who, key, given, mood)
        assert (refused.data["order_id"] if placed is None else placed[0].id) == order_id

    @somebody_has_to_pay
    @rule(number=numbers, mood=moods)
    def the_buyer_looks(self, number: int, mood: Mood) -> None:
        order = self.order(number, is_meant=_is_pending)
        with suppress(ProviderUnavailable):
            self.asking(self.orders.check_payment(order.viewer_id, order.id), mood)

    @somebody_has_to_pay
    @rule(number=numbers, mood=moods)
    def the_buyer_gives_up(self, number: int, mood: Mood) -> None:
        order = self.order(number, is_meant=_is_pending)
        before = self.bank.books.get(order.payment.id)
        found = self.asking(self.orders.cancel_payment(order.viewer_id, order.id), mood)
        if order.state == "pending" and mood == "well" and order.payment.method == "bank":
            is_taken = before is not None and before.state in ("authorised", "paid", "processing")
            assert found.state == ("payment_failed" if not is_taken else found.state)
            assert found.state != "confirmed" or order.payment.state not in (
                "pending",
                "action_required",
            )

    def asking(self, what: Coroutine[Any, Any, T], mood: Mood) -> T:
        self.bank.mood = mood
        try:
            return self.run(what)
        finally:
            self.bank.mood = "well"

    # what the bank does

    @the_bank_has_books
    @rule(
        number=numbers,
        to=st.sampled_from(["confirmed", "confirmed", "processing", "refused", "ended", "late"]),
        is_told=st.booleans(),
    )
    def the_bank_goes_on(self, number: int, to: str, is_told: bool) -> None:
        known = list(self.bank.amounts)[::-1]
        key = _one(known, number, lambda one: self.bank.books[one].state not in _SETTLED)
        state = self.bank.books[key].state
        if (state, to) == ("action_required", "processing"):
            self.bank.becomes(key, "processing")
        elif (state, to) == ("action_required", "refused"):
            self.bank.becomes(key, "action_required", "The card was refused.")
        elif (state, to) in (("action_required", "confirmed"), ("processing", "confirmed")):
            self.bank.confirmed(key) if state == "action_required" else self.bank.becomes(
                key, "paid"
            )
        elif to == "ended" and state in ("processing", "authorised"):
            ends: dict[str, PaymentState] = {"processing": "declined", "authorised": "voided"}
            self.bank.becomes(key, ends[state])
            self.gave_up.add(key)
        elif to == "late" and key in self.gave_up and state in ("declined", "voided"):
            self.bank.becomes(key, "paid")
        if is_told:
            self.calls(key)

    @the_bank_has_books
    @rule(
        number=numbers,
        share=st.sampled_from([1, 3, 100]),
        state=st.sampled_from(["done", "pending"]),
        is_told=st.booleans(),
    )
    def the_bank_pays_back(
        self, number: int, share: int, state: RefundState, is_told: bool
    ) -> None:
        """Somebody refunds there, not here."""
        key = _one(list(self.bank.amounts), number, self.bank.left)
        amount = self.bank.left(key) * share // 100
        if amount:
            self.bank.pays_back(key, amount, state)
        if is_told:
            self.calls(key)

    @rule(
        to=st.sampled_from(["done", "pending", "failed"]),
        end=st.sampled_from([None, "done", "failed"]),
    )
    def refunds_go_on(self, to: RefundState, end: RefundState | None) -> None:
        """What becomes of those that are asked for next, and of those on their way."""
        self.bank.refunds_become = to
        if end is not None:
            self.bank.refunds_end(end)

    @the_bank_has_books
    @rule(
        number=numbers,
        minutes=st.integers(0, 4),
        dispute=st.sampled_from([None, None, None, "needs_response", "won"]),
        is_again=st.booleans(),
        is_forged=st.booleans(),
    )
    def the_bank_calls(
        self, number: int, minutes: int, dispute: str | None, is_again: bool, is_forged: bool
    ) -> None:
        """In any order, twice, or somebody else in its name."""
        headers, body = self.calls(
            list(self.bank.amounts)[-1 - number % len(self.bank.amounts)], minutes, dispute
        )
        if is_again:
            assert self.run(self.inbox.hear("bank", headers, body)) == "known"
        if is_forged:
            forged = body.replace(b"bank_pay", b"bank_pax")
            with pytest.raises(BadSignature):
                self.run(self.inbox.hear("bank", headers, forged))

    def calls(
        self, key: str, minutes: int = 0, dispute: str | None = None
    ) -> tuple[dict[str, str], bytes]:
        headers, body = self.bank.calls(
            None,
            event_id=f"evt_{self.example}_{next(self.keys)}",
            about="dispute" if dispute else "payment",
            at=self.clock.now() - timedelta(minutes=minutes),
            dispute=dispute,
            reference=f"bank_{key}",
        )
        self.run(self.inbox.hear("bank", headers, body))
        return headers, body

    # what happens without anybody

    @rule(mood=moods)
    def the_reconciler_runs(self, mood: Mood) -> None:
        self.reconcile(mood)

    def reconcile(self, mood: Mood = "well") -> None:
        with capture_logs() as logged:
            self.asking(self.reconciler.run_due(), mood)
        assert [one for one in logged if one["event"] == "payment_check_broke"] == []

    @rule(
        passed=st.sampled_from(
            [
                timedelta(seconds=40),
                timedelta(minutes=16),
                timedelta(minutes=31),
                timedelta(hours=3),
                timedelta(days=9),
                timedelta(days=33),
            ]
        ),
        is_swept=st.booleans(),
        is_released=st.sampled_from([True, True, False]),
    )
    def time_passes(self, passed: timedelta, is_swept: bool, is_released: bool) -> None:
        self.clock.advance(passed)
        if is_swept:
            self.run(self.shop.carts.sweep())
        if is_released:
            self.run(self.fulfilments.release_overdue())

    # what staff does with goods

    @there_are_goods
    @rule(number=numbers, mood=moods)
    def ship(self, number: int, mood: Mood) -> None:
        one = self.goods(number, is_meant=lambda one: one.may("shipped"))
        payment = self.seen.orders[one.order_id].payment
        is_sure = one.may("shipped") and self.is_paid(one) and payment.dispute in (None, "won")
        try:
            self.asking(self.fulfilments.ship(one.id, STAFF, wire.ShipInput()), mood)
        except (NotNow, NotPaid, CannotCapture, ProviderUnavailable):
            assert not is_sure
        else:
            assert one.may("shipped")

    @precondition(lambda self: any(one.may("ready") for one in self.seen.fulfilments.values()))
    @rule(number=numbers, mood=moods)
    def make_ready(self, number: int, mood: Mood) -> None:
        one = self.goods(number, is_meant=lambda one: one.may("ready"))
        payment = self.seen.orders[one.order_id].payment
        try:
            self.asking(self.fulfilments.ready(one.id, STAFF), mood)
        except NotNow:
            assert not one.may("ready")
        except (CannotCapture, ProviderUnavailable):
            assert (payment.method, payment.state) == ("bank", "authorised")
        else:
            assert one.may("ready")

    @precondition(lambda self: any(one.may("delivered") for one in self.seen.fulfilments.values()))
    @rule(number=numbers)
    def deliver(self, number: int) -> None:
        one = self.goods(number, is_meant=lambda one: one.may("delivered"))
        refused, _ = self.told(self.fulfilments.deliver(one.id, STAFF), NotNow)
        assert (refused is None) == one.may("delivered")

    @precondition(lambda self: any(one.pickup_code for one in self.seen.orders.values()))
    @rule(
        number=numbers,
        what=st.sampled_from(["all", "all", "one", "too many"]),
        wrong=st.sampled_from([None, None, None, None, "code", "store"]),
        paid=st.booleans(),
        mood=moods,
    )
    def collect(self, number: int, what: str, wrong: str | None, paid: bool, mood: Mood) -> None:
        coded = [one for one in self.seen.orders.values() if one.pickup_code][::-1]
        order = _one(coded, number, lambda one: self.seen.fulfilments_of(one.id, "ready"))
        ready = self.seen.fulfilments_of(order.id, "ready")
        items: list[wire.HandedOver] | None = None
        if what != "all" and ready:
            pieces = 1 if what == "one" else ready[0].items[0].pieces + 1
            items = [_handed_over(ready[0], pieces)]
        others = next(place for place in self.places[1:] if place != order.store_id)
        given = wire.CollectInput(
            items=items, paid=paid, store_id=others if wrong == "store" else order.store_id
        )
        code = "0000-0000" if wrong == "code" else str(order.pickup_code)
        is_possible = wrong is None and ready and (what != "too many")
        try:
            self.asking(self.fulfilments.collect(code, given, STAFF), mood)
        except UnknownPickup:
            assert wrong == "code"
        except WrongStore:
            assert wrong == "store"
        except NotNow:
            assert wrong is None
            assert not is_possible
        except (NotPaid, CannotCapture, ProviderUnavailable):
            assert is_possible
            assert order.payment.state != "paid" or order.payment.dispute == "needs_response"
        else:
            assert is_possible
            if what == "all":
                self.run(self.check())
                with pytest.raises(NotNow):
                    self.run(self.fulfilments.collect(code, given, STAFF))

    @rule(article=st.integers(0, 2), place=st.integers(0, 2), on_hand=st.integers(0, 5))
    def the_merchant_counts(self, article: int, place: int, on_hand: int) -> None:
        shelf = self.articles[article], self.places[place]
        with suppress(StockHeld):
            self.run(self.shop.catalog.set_stock(*shelf, on_hand))
            self.ledger.on_hand[shelf] = on_hand

    @rule(
        buyer=buyers,
        wanted=baskets,
        way=ways,
        method=methods,
        steps=st.integers(0, 4),
        end=st.sampled_from(["", "it comes back", "nobody comes", "cancelled", "refunded"]),
        number=numbers,
    )
    def buy_and_get(
        self,
        buyer: int,
        wanted: list[tuple[int, int]],
        way: Way,
        method: str,
        steps: int,
        end: str,
        number: int,
    ) -> None:
        """How it mostly goes: paid at once, some steps of the way, and perhaps not to its end."""
        self.buy(buyer, wanted, way, method, GOOD_CARD, "well")
        self.run(self.check())
        if not self.seen.orders:
            return
        for _ in range(steps):
            for one in self.seen.fulfilments_of(self.order(0).id):
                self.goes_on(one, is_partly=number % 2 == 1)
                self.run(self.check())
        if end == "it comes back":
            self.ask_to_return(0, [1 + number % 2], is_buyer=True, kind="by_post")
            self.run(self.check())
            if self.seen.returns:
                self.receive(-1, 3, number % 4, number % 3, with_shipping=False, deduction=0)
        elif end == "nobody comes":
            self.time_passes(timedelta(days=9), is_swept=False, is_released=True)
        elif end == "cancelled":
            self.cancel(0, is_buyer=True)
        elif end == "refunded":
            self.refund(0, "a third")

    def goes_on(self, one: Fulfilment, *, is_partly: bool) -> None:
        one = self.seen.fulfilments[one.id]
        order = self.seen.orders[one.order_id]
        if one.may("shipped"):
            with suppress(NotPaid, CannotCapture):
                self.run(self.fulfilments.ship(one.id, STAFF, wire.ShipInput(tracking="1")))
        elif one.may("ready"):
            with suppress(CannotCapture):
                self.run(self.fulfilments.ready(one.id, STAFF))
        elif one.may("delivered"):
            self.run(self.fulfilments.deliver(one.id, STAFF))
        elif one.may("collected"):
            with suppress(NotPaid, CannotCapture):
                items = [_handed_over(one, 1)] if is_partly else None
                given = wire.CollectInput(items=items, paid=True)
                self.run(self.fulfilments.collect(str(order.pickup_code), given, STAFF))

    # what is done about money

    @there_are_orders
    @rule(number=numbers, is_buyer=st.booleans())
    def cancel(self, number: int, is_buyer: bool) -> None:
        order = self.order(number)
        has_left = self.seen.fulfilments_of(order.id, "shipped", "delivered", "collected")
        is_possible = order.state == "cancelled" or (order.state == "confirmed" and not has_left)
        refused, _ = self.told(
            self.desk.cancel(order.id, self.actor(order, is_buyer), "changed her mind"), NotNow
        )
        assert (refused is None) == bool(is_possible)

    @there_are_orders
    @rule(
        number=numbers,
        amount=st.sampled_from(["a cent", "a third", "all", "all", "a cent too much", "too much"]),
    )
    def refund(self, number: int, amount: str) -> None:
        order = self.order(number, is_meant=lambda one: one.payment.captured)
        left = order.payment.refundable.amount
        wanted = {
            "a cent": 1,
            "a third": left // 3,
            "all": left,
            "a cent too much": left + 1,
            "too much": 100_000,
        }[amount]
        if wanted <= 0:
            return
        key, money = f"key-{next(self.keys)}", Money(wanted, "EUR")
        refused, _ = self.told(
            self.desk.refund(order.id, key, money, "goodwill", STAFF), RefundTooLarge
        )
        assert (refused is None) == (wanted <= left)
        if refused is None:
            self.refund_keys.append((order.id, key, money))

    @precondition(lambda self: self.refund_keys)
    @rule(number=numbers)
    def refund_the_same_again(self, number: int) -> None:
        """Nothing more goes back."""
        order_id, key, money = self.refund_keys[number % len(self.refund_keys)]
        again = self.run(self.desk.refund(order_id, key, money, "goodwill", STAFF))
        assert again.id in self.seen.refunds

    @precondition(lambda self: any(map(_is_promised_by_hand, self.seen.orders.values())))
    @rule(number=numbers)
    def mark_paid(self, number: int) -> None:
        order = self.order(number, is_meant=_is_promised_by_hand)
        is_owed = bool(_is_promised_by_hand(order)) and owed_by_hand(self.seen, order) > 0
        refused, _ = self.told(self.desk.mark_paid(order.id, STAFF, None), NotNow)
        assert (refused is None) == is_owed

    @precondition(lambda self: any(one.state == "due" for one in self.seen.refunds.values()))
    @rule(number=numbers)
    def refund_by_hand(self, number: int) -> None:
        owed = _one(list(self.seen.refunds.values()), number, lambda one: one.state == "due")
        is_by_hand = self.seen.orders[owed.order_id].payment.method != "bank"
        refused, _ = self.told(self.desk.refund_done(owed.id, STAFF), NotNow)
        if owed.cause != "provider":
            assert (refused is None) == (is_by_hand and owed.state == "due")

    # what comes back

    @there_are_orders
    @rule(
        number=numbers,
        units=st.lists(st.integers(0, 3), min_size=1, max_size=2),
        is_buyer=st.booleans(),
        kind=st.sampled_from(["by_post", "in_store"]),
    )
    def ask_to_return(self, number: int, units: list[int], is_buyer: bool, kind: Any) -> None:
        """Also what was not bought, has not arrived, or came too late."""
        order = self.order(
            number,
            is_meant=lambda one: any(
                units_with_buyer(self.seen, one, position) for position in range(len(one.lines))
            ),
        )
        lines = [
            wire.ReturnLineInput(position=position, quantity=quantity, reason="too_small")
            for position, quantity in enumerate(units)
            if quantity
        ]
        if not lines:
            return
        refused, _ = self.told(
            self.returns.request(
                order.id,
                wire.ReturnInput(kind=kind, lines=lines),
                self.actor(order, is_buyer),
            ),
            NotReturnable,
        )
        if refused is None:
            for line in lines:
                assert line.position < len(order.lines)
                assert line.quantity <= units_with_buyer(self.seen, order, line.position)

    @there_are_returns
    @rule(
        number=numbers,
        accepted=st.sampled_from([0, 1, 3, 3]),
        restocked=st.sampled_from([0, 1, 3]),
        place=st.integers(0, 2),
        with_shipping=st.booleans(),
        deduction=st.sampled_from([0, 0, 100]),
    )
    def receive(
        self,
        number: int,
        accepted: int,
        restocked: int,
        place: int,
        with_shipping: bool,
        deduction: int,
    ) -> None:
        back = self.asked_back(number)
        order = self.seen.orders[back.order_id]
        taken = {line.position: min(line.quantity, accepted) for line in back.lines}
        given = wire.InspectionInput(
            location_id=self.places[place],
            lines=[
                wire.InspectedLine(
                    position=position, accepted=units, restocked=min(units, restocked)
                )
                for position, units in taken.items()
            ],
            refund_shipping=with_shipping,
            deduction=MoneyOut(amount=deduction, currency="EUR") if any(taken.values()) else None,
            note="worn",
        )
        earlier = [one.credit for one in self.seen.returns_of(order.id) if one.credit is not None]
        is_shipping_gone = with_shipping and any(one.shipping.amount for one in earlier)
        is_unsettled = order.payment.method == "bank" and order.payment.state in (
            "processing",
            "authorised",
        )
        refused, _ = self.told(self.returns.receive(back.id, given, STAFF), NotNow)
        is_possible = back.state == "requested" and not is_shipping_gone and not is_unsettled
        assert (refused is None) == is_possible

    @precondition(lambda self: any(map(_is_requested, self.seen.returns.values())))
    @rule(number=numbers, is_refused=st.booleans())
    def end_a_return(self, number: int, is_refused: bool) -> None:
        back = self.asked_back(number)
        order = self.seen.orders[back.order_id]
        end = (
            self.returns.refuse(back.id, "not ours", STAFF)
            if is_refused
            else self.returns.withdraw(back.id, None, self.actor(order, is_buyer=True))
        )
        refused, _ = self.told(end, NotNow)
        to = "refused" if is_refused else "withdrawn"
        assert (refused is None) == (back.state in ("requested", to))

    # what is true at all times

    @invariant()
    def everything_adds_up(self) -> None:
        if self.articles:
            self.run(self.check())

    async def check(self) -> None:
        before = self.seen
        after = await look(self.shop.database, self.buyers, self.articles)
        check_history(before, after, self.clock.now())
        check_money(before, after, self.bank)
        self.ledger.follow(before, after)
        self.seen = after
        self.clock.advance(A_MOMENT)

    def teardown(self) -> None:
        """In the end everything is decided, and nobody has money that is not his."""
        if not self.articles:
            return
        self.bank.refunds_become = "done"
        for _ in range(ROUNDS):
            self.go_on()
            if not self.unclear():
                break
        # A refund of ours may have failed because the bank's own desk was first: hear of that too.
        self.go_on()
        assert self.unclear() == []
        self.give_back_what_failed()
        for order in self.seen.orders.values():
            self.check_end(order)

    def go_on(self) -> None:
        for key in self.bank.amounts:
            if self.bank.books[key].state == "processing":
                self.bank.becomes(key, "paid")
            self.calls(key)
        self.bank.refunds_end("done")
        for owed in self.seen.refunds.values():
            if owed.state == "due" and owed.id not in self.seen.unclear:
                self.run(self.desk.refund_done(owed.id, STAFF))
        self.reconcile()
        self.run(self.check())
        self.clock.advance(timedelta(hours=2))
        self.reconcile()
        self.run(self.check())

    def unclear(self) -> list[object]:
        payments = [order.payment for order in self.seen.orders.values()]
        return [
            *(one for one in payments if one.id in self.seen.unclear),
            *(one for one in self.seen.refunds.values() if one.id in self.seen.unclear),
            *(one for one in self.seen.refunds.values() if one.state in ("due", "pending")),
        ]

    def give_back_what_failed(self) -> None:
        """A person sees to it, also where the bank's own desk had paid back a part of it."""
        for attempt in range(3):
            left = [
                one
                for one in self.seen.orders.values()
                if one.state != "confirmed" and one.payment.refundable.amount
            ]
            for order in left:
                assert any(one.state == "failed" for one in self.seen.refunds_of(order.id))
                key, money = f"in the end {attempt}", order.payment.refundable
                self.run(self.desk.refund(order.id, key, money, "failed", STAFF))
            for _ in range(2 if left else 0):
                self.go_on()

    def check_end(self, order: Order) -> None:
        payment = order.payment
        assert order.state != "pending"
        assert payment.state not in ("pending", "action_required", "processing")
        if payment.method == "bank":
            there = self.bank.books[payment.id]
            assert (payment.captured > 0) == (there.state == "paid")
            assert self.bank.charged(payment.id) == payment.captured
            assert self.bank.given_back(payment.id) == payment.refunded
        if order.state != "confirmed":
            assert payment.captured == payment.refunded
            assert payment.state != "authorised"
            if payment.method == "bank":
                assert self.bank.books[payment.id].state != "authorised"


_SETTLED = frozenset({"paid", "declined", "voided"})


def _one(found: Iterable[T], number: int, is_meant: Callable[[T], object] | None = None) -> T:
    everything = list(found)
    meant = [one for one in everything if is_meant(one)] if is_meant is not None else []
    among = meant if meant and number < 9 else everything
    return among[number % len(among)]


def _handed_over(one: Fulfilment, pieces: int) -> wire.HandedOver:
    first = one.items[0]
    return wire.HandedOver(
        fulfilment_id=one.id,
        position=first.position,
        variant_id=first.variant_id,
        pieces=pieces,
    )


def _is_pending(order: Order) -> bool:
    return order.state == "pending"


def _is_requested(back: Return) -> bool:
    return back.state == "requested"


def _is_promised_by_hand(order: Order) -> bool:
    payment = order.payment
    is_promised = payment.state == "authorised" and not payment.is_void_wanted
    return is_promised and payment.method != "bank"


def test_money_goods_and_history_of_orders_add_up(
    open_shop: Liveshop, loop: asyncio.AbstractEventLoop
) -> None:
    catalog = open_shop.catalog
    places = [
        loop.run_until_complete(builders.location(open_shop, "Warehouse", priority=1)),
        loop.run_until_complete(store_place(catalog, "A", priority=2)),
        loop.run_until_complete(store_place(catalog, "B", priority=3, is_shipping=False)),
    ]
    reduced = promotions_wire.PromotionInput(
        texts={"en": "A little less", "de": "Etwas weniger"},
        kind=promotions_wire.OrderPercentOff(permille=77),
    )
    loop.run_until_complete(open_shop.promotions.create_promotion(reduced))
    usual = 12 if open_shop.database.is_sqlite else 5
    run_state_machine_as_test(
        type("OrdersHere", (Orders,), {"shop": open_shop, "loop": loop, "places": places}),
        settings=settings(
            max_examples=EXAMPLES or usual,
            stateful_step_count=40,
            deadline=None,
            derandomize=not EXAMPLES,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
