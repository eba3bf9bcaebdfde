"""Books to hold orders against: everything the database says of some buyers' orders at one moment,
a ledger of the shelves, and what must be true of them, and of a bank's books, at all times.

What is checked here is reckoned from the rows alone, not with the rules of the shop.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from checkout_builders import shelves
from moving_bank import MovingBank

from liveshop.catalog.tables import hold
from liveshop.kernel.ids import LocationId, OrderId, VariantId, ViewerId
from liveshop.orders import fulfilment_store, return_store
from liveshop.orders import store as orders_store
from liveshop.orders.model import (
    FULFILMENT_TRANSITIONS,
    RETURN_TRANSITIONS,
    TRANSITIONS,
    Fulfilment,
    Order,
    Return,
)
from liveshop.orders.tables import order_event, shop_order
from liveshop.payments import refund_store
from liveshop.payments.model import TRANSITIONS as PAYMENT_TRANSITIONS
from liveshop.payments.model import (
    Refund,
)
from liveshop.payments.tables import payment, refund
from liveshop.storage import Database

Shelf = tuple[VariantId, LocationId]
T = TypeVar("T", Fulfilment, Refund, Return)

_DEAD = frozenset({"declined", "voided"})
_REFUND_TRANSITIONS: dict[str, frozenset[str]] = {
    "due": frozenset({"pending", "done", "failed"}),
    "pending": frozenset({"done", "failed"}),
}
_IN_TIME = (
    *("pending", "action_required", "processing", "authorised", "confirmed", "payment_failed"),
    *("open", "shipped", "ready", "delivered", "collected", "released", "cancelled"),
    *("due", "requested", "received", "refused", "withdrawn", "declined", "voided", "paid"),
    *("done", "failed"),
)
"""States, each after all those that can lead to it; events of one moment come in any order."""


@dataclass(frozen=True)
class Seen:
    """All that the database says of some buyers' orders, and of some shelves."""

    orders: Mapping[str, Order] = field(default_factory=dict)
    fulfilments: Mapping[str, Fulfilment] = field(default_factory=dict)
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    returns: Mapping[str, Return] = field(default_factory=dict)
    events: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    on_hand: Mapping[Shelf, int] = field(default_factory=dict)
    held_by: frozenset[str] = frozenset()
    payments: Counter[str] = field(default_factory=Counter)
    """How many there are of each order."""
    unclear: frozenset[str] = frozenset()
    """Payments and refunds that a provider is still to be asked for."""

    def fulfilments_of(self, order_id: str, *states: str) -> list[Fulfilment]:
        return [
            one
            for one in self.fulfilments.values()
            if one.order_id == order_id and (not states or one.state in states)
        ]

    def refunds_of(self, order_id: str) -> list[Refund]:
        return [one for one in self.refunds.values() if one.order_id == order_id]

    def returns_of(self, order_id: str, *states: str) -> list[Return]:
        return [
            one
            for one in self.returns.values()
            if one.order_id == order_id and (not states or one.state in states)
        ]


async def look(
    database: Database, buyers: Collection[ViewerId], variant_ids: Sequence[VariantId]
) -> Seen:
    """The shelves are found to agree with the holds."""
    async with database.read() as conn:
        mine = sa.select(shop_order.c.id).where(shop_order.c.viewer_id.in_(buyers))
        ids = [OrderId(id_) for id_ in (await conn.execute(mine)).scalars()]
        orders = await orders_store.by_ids(conn, ids)
        fulfilments = await fulfilment_store.of_orders(conn, ids)
        refunds = await refund_store.of_orders(conn, ids)
        returns = await return_store.of_orders(conn, ids)
        events = await conn.execute(sa.select(order_event).where(order_event.c.order_id.in_(ids)))
        told = {row.id: (*row[:8], row.note) for row in events}
        rows = await shelves(conn, variant_ids)
        holds = sa.select(hold.c.owner).where(hold.c.variant_id.in_(variant_ids))
        held_by = frozenset((await conn.execute(holds)).scalars())
        payments = (
            await conn.execute(
                sa.select(payment.c.id, payment.c.order_id, payment.c.check_at).where(
                    payment.c.order_id.in_(ids)
                )
            )
        ).all()
        asked = await conn.execute(
            sa.select(refund.c.id).where(refund.c.order_id.in_(ids), refund.c.check_at.is_not(None))
        )
        unclear = frozenset(asked.scalars()) | {
            row.id for row in payments if row.check_at is not None
        }
    for row in rows:
        assert 0 <= row.held <= row.on_hand, row
        assert row.held == row.holds, row
    # Ids of one moment come in any order; a script that is played again must meet the same.
    known = sorted(orders.values(), key=lambda order: int(order.number.rpartition("-")[2]))
    return Seen(
        orders={one.id: one for one in known},
        fulfilments=_in_order(known, fulfilments, lambda one: (one.location_id, one.items)),
        refunds=_in_order(known, refunds, lambda one: (one.cause, one.amount.amount)),
        returns=_in_order(known, returns, lambda one: one.lines),
        events=told,
        on_hand={
            (VariantId(row.variant_id), LocationId(row.location_id)): row.on_hand for row in rows
        },
        held_by=held_by,
        payments=Counter(row.order_id for row in payments),
        unclear=unclear,
    )


def _in_order(
    orders: Sequence[Order],
    found: Mapping[OrderId, Sequence[T]],
    key: Callable[[T], object],
) -> dict[str, T]:
    return {
        one.id: one
        for order in orders
        for one in sorted(
            found[order.id], key=lambda one: (one.created_at, one.state, repr(key(one)))
        )
    }


# What was told


@dataclass(frozen=True)
class _Told:
    order_id: str
    at: datetime
    kind: str
    data: Mapping[str, Any]


def check_history(before: Seen, after: Seen, now: datetime) -> None:
    """Every change of state has exactly one event that says so, along the declared tables; and
    nothing is said that did not happen, or is ever taken back."""
    assert before.events.items() <= after.events.items(), "what was told was changed"
    told: dict[tuple[str, str], list[_Told]] = {}
    for id_ in after.events.keys() - before.events.keys():
        _, order_id, at, actor, _, _, kind, data, *_ = after.events[id_]
        assert at <= now
        assert actor in ("buyer", "staff", "system", "provider")
        subject = kind.partition(".")[0]
        about = order_id if subject in ("order", "payment") else data[f"{subject}_id"]
        told.setdefault((subject, about), []).append(_Told(order_id, at, kind, data))
    for order in after.orders.values():
        said = told.pop(("order", order.id), [])
        is_confirmed = [one for one in said if one.kind == "order.confirmed"]
        was = before.orders.get(order.id)
        _walk(TRANSITIONS, was.state if was else "pending", said, order.state)
        of_payment = told.pop(("payment", order.id), [])
        _check_payment(order, was, [*of_payment, *map(_as_payment, is_confirmed)])
    for one in after.fulfilments.values():
        _check_fulfilment(before, after, one, told.pop(("fulfilment", one.id), []))
    for owed in after.refunds.values():
        known = before.refunds.get(owed.id)
        said = told.pop(("refund", owed.id), [])
        assert known is None or replace(known, state="due") == replace(
            owed, state="due", reference=known.reference, message=known.message
        )
        assert all(one.data["amount"] == owed.amount.amount for one in said)
        first = {"due"} if owed.cause != "provider" else {"pending", "done"}
        table = {**_REFUND_TRANSITIONS, "": frozenset(first)}
        _walk(table, known.state if known else "", said, owed.state)
    for back in after.returns.values():
        said = told.pop(("return", back.id), [])
        earlier = before.returns.get(back.id)
        start = "" if earlier is None else earlier.state
        _walk({"": {"requested"}} | RETURN_TRANSITIONS, start, said, back.state)  # type: ignore[operator]
    assert told == {}, "told of what is not there"
    for rows_before, rows_after in (
        (before.orders, after.orders),
        (before.fulfilments, after.fulfilments),
        (before.refunds, after.refunds),
        (before.returns, after.returns),
    ):
        assert rows_before.keys() <= rows_after.keys()


def _as_payment(confirmed: _Told) -> _Told:
    """That an order stands says what became of its payment too."""
    return replace(confirmed, kind=f"payment.{confirmed.data['payment_state']}")


def _walk(table: Mapping[Any, Collection[str]], at: str, said: Sequence[_Told], to: str) -> None:
    states = [one.kind.partition(".")[2].replace("owed", "due") for one in said]
    for state in sorted(states, key=_IN_TIME.index):
        assert state in table.get(at, ()), f"no way from {at} to {state}: {states}"
        at = state
    assert at == to, f"came to {to}; told was {states}"


def _check_payment(order: Order, was: Order | None, said: Sequence[_Told]) -> None:
    now = order.payment
    before = was.payment if was else replace(now, state="pending", captured=0, dispute=None)
    disputes = [one for one in said if one.kind == "payment.dispute"]
    assert len(disputes) == (now.dispute != before.dispute)
    moves = [one for one in said if one.kind != "payment.dispute"]
    if now.state in _DEAD and now.captured > before.captured:
        late = next(one for one in moves if one.kind == "payment.paid")
        moves.remove(late)
    _walk(PAYMENT_TRANSITIONS, before.state, moves, now.state)
    assert before.captured == 0 or before.captured == now.captured


def _check_fulfilment(before: Seen, after: Seen, one: Fulfilment, said: Sequence[_Told]) -> None:
    was = before.fulfilments.get(one.id)
    order = after.orders[one.order_id]
    if was is None and _is_opened(before, one):
        assert one.kind in FULFILMENT_TRANSITIONS
        start = "open"
    elif was is None:
        start = "ready"  # a part of another one, handed over by itself
        assert one.state == "collected"
    else:
        start = was.state
        if one.items != was.items:
            assert one.state == was.state == "ready"
        same = replace(
            one,
            state=was.state,
            items=was.items,
            updated_at=was.updated_at,
            collect_until=was.collect_until,
            carrier=was.carrier,
            tracking=was.tracking,
        )
        assert same == was
    _walk(FULFILMENT_TRANSITIONS[one.kind], start, said, one.state)
    for step in said:
        assert step.data["pieces"] == sum(item.pieces for item in one.items)
        if step.kind != "fulfilment.cancelled":
            assert order.state == "confirmed"
        if step.kind in ("fulfilment.shipped", "fulfilment.collected"):
            _check_may_leave(after, order, step.kind)


def _is_opened(before: Seen, one: Fulfilment) -> bool:
    was = before.orders.get(one.order_id)
    return was is None or was.state == "pending"


def _check_may_leave(after: Seen, order: Order, kind: str) -> None:
    state = order.payment.state
    assert order.payment.dispute in (None, "won")
    if order.payment.method == "bank":
        assert state == "paid"
    elif order.payment.method == "at_pickup" and kind == "fulfilment.collected":
        assert state == "paid" or owed_by_hand(after, order) == 0
    else:
        assert state in ("authorised", "paid")
        assert not order.payment.is_void_wanted


# Money


def check_money(before: Seen, after: Seen, bank: MovingBank) -> None:
    known = {order.payment.id for order in after.orders.values()}
    assert bank.amounts.keys() <= known
    for order in after.orders.values():
        assert after.payments[order.id] == 1
        _check_ours(before, after, order)
        _check_credits(after, order)
        if order.payment.method == "bank":
            _check_at_bank(after, order, bank)
        if order.state == "payment_failed":
            assert after.fulfilments_of(order.id) == []


def _check_ours(before: Seen, after: Seen, order: Order) -> None:
    ours = order.payment
    assert ours.amount == order.total
    going = [one for one in after.refunds_of(order.id) if one.state != "failed"]
    assert ours.refunded == sum(one.amount.amount for one in going) <= ours.captured
    was = before.orders.get(order.id)
    if ours.method == "bank":
        assert ours.captured in (0, order.total.amount)
    elif ours.captured and was is not None and not was.payment.captured:
        assert ours.captured == owed_by_hand(before, order)
    assert ours.state != "paid" or ours.captured > 0
    assert ours.captured == 0 or ours.state in ("paid", *_DEAD)


def _check_at_bank(after: Seen, order: Order, bank: MovingBank) -> None:
    ours = order.payment
    there = bank.books.get(ours.id)
    if ours.captured:
        assert there is not None
        assert there.state == "paid"
        assert bank.amounts[ours.id] == order.total
    assert bank.given_back(ours.id) <= bank.charged(ours.id)
    for key, (whose, amount) in bank.returned.items():
        if whose == ours.id:
            mine = after.refunds[key]
            assert (mine.payment_id, mine.amount) == (whose, amount)
            if mine.state in ("done", "failed"):
                assert bank.refund_states[key] == mine.state
    if order.state == "confirmed":
        assert there is not None


def owed_by_hand(seen: Seen, order: Order) -> int:
    """What is still to be paid for what its buyer keeps, in minor units."""
    returned = seen.returns_of(order.id, "received")
    credits_ = [one.credit for one in returned if one.credit is not None]
    goods = sum(_worth(order, position, units) for position, units in _gone(seen, order).items())
    shipping = sum(one.shipping.amount for one in credits_)
    kept_back = sum(one.deduction.amount for one in credits_)
    return max(0, order.total.amount - goods - shipping + kept_back)


def _worth(order: Order, position: int, units: int) -> int:
    """What so many units of a line were sold for."""
    line = order.lines[position]
    return line.payable.amount * units // line.quantity


def _gone(seen: Seen, order: Order) -> dict[int, int]:
    """Units by line that came back for money, or were not collected."""
    gone = {position: units_in(seen, order, position, _is_released) for position in _lines(order)}
    for one in seen.returns_of(order.id, "received"):
        for line in one.lines:
            gone[line.position] += line.accepted or 0
    return gone


def _is_released(one: Fulfilment) -> bool:
    return one.state == "released"


def _lines(order: Order) -> range:
    return range(len(order.lines))


def units_in(
    seen: Seen, order: Order, position: int, is_meant: Callable[[Fulfilment], bool]
) -> int:
    """How many whole units of a line lie in these fulfilments."""
    all_of: Counter[str] = Counter()
    some: Counter[str] = Counter()
    for one in seen.fulfilments_of(order.id):
        for item in one.items:
            if item.position == position:
                all_of[item.variant_id] += item.pieces
                some[item.variant_id] += item.pieces if is_meant(one) else 0
    quantity = order.lines[position].quantity
    return min((some[part] * quantity // pieces for part, pieces in all_of.items()), default=0)


def _check_credits(after: Seen, order: Order) -> None:
    """All that came back is worth its share of the total, in however many parts it came."""
    returned = after.returns_of(order.id, "received")
    gone = _gone(after, order)
    for position, units in gone.items():
        assert units <= order.lines[position].quantity
    whole = sum(_worth(order, position, units) for position, units in gone.items())
    credits_ = [one.credit for one in returned if one.credit is not None]
    assert sum(one.shipping.amount for one in credits_) in (0, order.shipping.amount)
    if not after.fulfilments_of(order.id, "released"):
        assert sum(one.goods.amount for one in credits_) == whole
    refunds = after.refunds_of(order.id)
    is_plain = all(
        one.cause in ("returned", "not_collected") and one.state != "failed" for one in refunds
    )
    if is_plain and order.state == "confirmed" and order.payment.captured == order.total.amount:
        more = sum(one.shipping.amount - one.deduction.amount for one in credits_)
        assert order.payment.refunded == whole + more


# Goods


@dataclass
class Ledger:
    """What must lie on each shelf: counted, less what was sold, more what came back."""

    parts: Mapping[VariantId, Mapping[VariantId, int]]
    """Pieces of what are behind one unit."""
    shipping_places: Collection[LocationId]
    on_hand: Counter[Shelf] = field(default_factory=Counter)

    def follow(self, before: Seen, after: Seen) -> None:
        """Write down what has happened since, and compare."""
        for one in after.fulfilments.values():
            was = before.fulfilments.get(one.id)
            if was is None and _is_opened(before, one):
                self._check_opened(after.orders[one.order_id], one)
                self._put(one, one.location_id, -1)
            if one.state in ("released", "cancelled") and (was is None or was.state != one.state):
                is_in_store = one.state == "released" or (was is not None and was.state == "ready")
                self._put(one, one.store_id if is_in_store else one.location_id, 1)
        for back in after.returns.values():
            earlier = before.returns.get(back.id)
            if back.state == "received" and (earlier is None or earlier.state != "received"):
                self._restock(after.orders[back.order_id], back)
        there = Counter({shelf: pieces for shelf, pieces in after.on_hand.items() if pieces})
        assert there == +self.on_hand, "the shelves do not add up"
        assert min(self.on_hand.values(), default=0) >= 0
        for order in after.orders.values():
            self._check_order(after, order)

    def _put(self, one: Fulfilment, place: LocationId | None, sign: int) -> None:
        assert place is not None
        for item in one.items:
            self.on_hand[item.variant_id, place] += sign * item.pieces

    def _restock(self, order: Order, back: Return) -> None:
        assert back.location_id is not None
        for line in back.lines:
            for part, each in self.parts[order.lines[line.position].variant_id].items():
                self.on_hand[part, back.location_id] += each * (line.restocked or 0)

    def _check_opened(self, order: Order, one: Fulfilment) -> None:
        assert one.store_id == order.store_id
        if order.delivery == "ship":
            assert one.kind in ("ship_from_warehouse", "ship_from_store")
            assert one.location_id in self.shipping_places
        elif one.location_id == order.store_id:
            assert one.kind == "pickup_in_store"
        else:
            assert one.kind == "ship_to_store"
            assert one.location_id in self.shipping_places

    def _check_order(self, after: Seen, order: Order) -> None:
        """Of every line, all that was bought is somewhere; and nothing comes back that is not with
        the buyer."""
        everything = after.fulfilments_of(order.id)
        there: Counter[tuple[int, VariantId]] = Counter()
        for one in everything:
            for item in one.items:
                there[item.position, item.variant_id] += item.pieces
        bought = {
            (position, part): each * line.quantity
            for position, line in enumerate(order.lines)
            for part, each in self.parts[line.variant_id].items()
        }
        states = {one.state for one in everything}
        if order.state == "confirmed":
            assert there == bought
            assert "cancelled" not in states
        else:
            assert there == bought or not everything
            assert states <= {"cancelled", "released"}
        assert order.state == "pending" or order.id not in after.held_by
        for position in _lines(order):
            back = sum(
                line.quantity
                for one in after.returns_of(order.id, "requested", "received")
                for line in one.lines
                if line.position == position
            )
            assert back <= units_with_buyer(after, order, position)


def units_with_buyer(seen: Seen, order: Order, position: int) -> int:
    """Whole units that he has, or that are on their way to him."""
    return units_in(seen, order, position, _is_with_buyer)


def _is_with_buyer(one: Fulfilment) -> bool:
    is_on_its_way = one.state == "shipped" and one.kind != "ship_to_store"
    return is_on_its_way or one.state in ("delivered", "collected")
