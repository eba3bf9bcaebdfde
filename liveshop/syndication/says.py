"""The one price that all channels say about a variant: what it costs, and from when to when less.

It is made by the function that prices carts, of the promotions that channels may announce. A
schedule knows one sale, since no channel takes two; what comes after it is announced in its turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from liveshop.connect import Sale
from liveshop.kernel.money import Money
from liveshop.promotions.delivery import Rates
from liveshop.promotions.model import Item, Promotion, covers
from liveshop.promotions.priced import UnitPrice
from liveshop.promotions.pricing import Context, price_of

AHEAD = timedelta(days=30)
"""A reduction that begins later than this is not announced yet."""
_REMEMBERED = 50_000
_NOWHERE = Rates(tax={}, shipping={})


@dataclass(frozen=True, slots=True)
class PriceSchedule:
    """`price` is that before the sale; `lowest` of 30 days stands beside a sale."""

    price: Money
    sale: Sale | None = None
    lowest: Money | None = None

    def effective(self, at: datetime) -> Money:
        """What it costs at this moment."""
        sale = self.sale
        if sale is None or (sale.starts_at is not None and at < sale.starts_at):
            return self.price
        is_over = sale.ends_at is not None and sale.ends_at <= at
        return self.price if is_over else sale.price

    def same_from(self, other: "PriceSchedule", now: datetime) -> bool:
        """Whether nobody can tell the two apart by their prices from now on."""
        moments = {now, *self._turns(now), *other._turns(now)}
        return all(self.effective(one) == other.effective(one) for one in moments)

    def _turns(self, now: datetime) -> list[datetime]:
        if self.sale is None:
            return []
        bounds = (self.sale.starts_at, self.sale.ends_at)
        return [one for one in bounds if one is not None and one > now]

    def to_json(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built

    @classmethod
    def from_json(cls, stored: Any) -> "PriceSchedule":
        return msgspec.convert(stored, cls)


@dataclass(frozen=True, slots=True)
class Announced:
    """What all channels may say now, and while a change is under way what they shall say next.

    As long as `next` is set, some channel may show `says`, and with a single channel in all it may
    show either. Nothing but `step` makes one of another.
    """

    says: PriceSchedule
    next: PriceSchedule | None = None


Move = Literal["show", "wait"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is announced from now on, and what channels that are pushed to do: `show` this schedule,
    or `wait`, shown to nobody. Feeds always carry `announced.says`."""

    announced: Announced
    move: Move
    shows: PriceSchedule


def step(
    announced: Announced | None,
    target: PriceSchedule,
    now: datetime,
    *,
    may_show: bool,
    is_only: bool,
    is_settled: bool,
) -> Step:
    """One step from what is announced to what shall be.

    `may_show`: whether people may see the variant on any channel that is pushed to. `is_only`:
    there is a single channel in all, feeds counted, so nothing can contradict it. `is_settled`:
    that single channel has accepted the listing with this very target.
    """
    if announced is None or not may_show:
        return Step(Announced(target), "show", target)
    if announced.next is None:
        if announced.says == target:
            return Step(announced, "show", target)
        if target.same_from(announced.says, now):
            return Step(Announced(target), "show", target)
    if not is_only:
        return Step(Announced(announced.says, target), "wait", announced.says)
    if is_settled:
        return Step(Announced(target), "show", target)
    return Step(Announced(announced.says, target), "show", target)


class Schedules:
    """`schedule_of` for many variants: those of one price under the same promotions are alike, and
    a shop has far fewer prices than variants."""

    def __init__(self, promotions: Sequence[Promotion], now: datetime, currency: str) -> None:
        self._promotions = tuple(promotions)
        self._currency = currency
        self._turns = _turns_between(self._promotions, now)
        self._known: dict[tuple[Money, tuple[int, ...]], PriceSchedule] = {}

    def is_for(self, promotions: Sequence[Promotion], now: datetime) -> bool:
        """Whether it still tells right by these promotions at this moment."""
        if self._promotions != tuple(promotions) or len(self._known) > _REMEMBERED:
            return False
        return self._turns == _turns_between(self._promotions, now)

    def of(self, item: Item, now: datetime) -> PriceSchedule:
        """Raises OtherCurrency."""
        covering = tuple(
            place for place, one in enumerate(self._promotions) if covers(one.products, item)
        )
        key = item.price, covering
        known = self._known.get(key)
        if known is None:
            wanted = [self._promotions[place] for place in covering]
            known = schedule_of(item, wanted, now, currency=self._currency)
            self._known[key] = known
        return known


def _turns_between(promotions: Sequence[Promotion], now: datetime) -> tuple[int, int]:
    """How many starts and ends lie behind, and how many within what is announced ahead."""
    bounds = [
        bound for one in promotions for bound in (one.period.starts_at, one.period.ends_at) if bound
    ]
    return sum(one <= now for one in bounds), sum(one <= now + AHEAD for one in bounds)


def schedule_of(
    item: Item, promotions: Iterable[Promotion], now: datetime, *, currency: str
) -> PriceSchedule:
    """What channels say of this variant, without the lowest price of 30 days.

    `promotions`: those that channels may announce, in force or planned. Raises OtherCurrency.
    """
    context = Context(
        now=now,
        currency=currency,
        rates=_NOWHERE,
        promotions=[one for one in promotions if covers(one.products, item)],
    )
    present = price_of(item, context)
    if not context.promotions:
        return PriceSchedule(present.price)
    turns = _turns_after(context.promotions, now)
    if present.price.amount < item.price.amount:
        ends_at = _next_other(item, context, present.price, turns)
        return PriceSchedule(item.price, Sale(present.price, _began(present), ends_at))
    for place, turn in enumerate(turns):
        if turn > now + AHEAD:
            break
        then = price_of(item, replace(context, now=turn)).price
        if then.amount < item.price.amount:
            ends_at = _next_other(item, context, then, turns[place + 1 :])
            return PriceSchedule(item.price, Sale(then, turn, ends_at))
    return PriceSchedule(item.price)


def _turns_after(promotions: Iterable[Promotion], now: datetime) -> list[datetime]:
    bounds = {
        bound for one in promotions for bound in (one.period.starts_at, one.period.ends_at) if bound
    }
    return sorted(bound for bound in bounds if bound > now)


def _began(unit: UnitPrice) -> datetime | None:
    """Since when all that is in this price is in force: it stays the same while the price does."""
    return max(
        (one.period.starts_at for one in unit.promotions if one.period.starts_at), default=None
    )


def _next_other(
    item: Item, context: Context, price: Money, turns: Sequence[datetime]
) -> datetime | None:
    """The first of these moments at which it costs something else."""
    for turn in turns:
        if price_of(item, replace(context, now=turn)).price != price:
            return turn
    return None
