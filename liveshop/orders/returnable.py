"""What of an order can be sent or brought back, and until when: pure.

A unit can go back once it is with the buyer. Parcels are often told delivered late or never, so
what was shipped can go back at once, and its time runs from when it must have arrived at the
latest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from liveshop.kernel.ids import VariantId
from liveshop.orders.model import Fulfilment, FulfilmentItem, Order, Return
from liveshop.settings import Settings

UNKNOWN_TRANSIT_DAYS = 10
"""Working days within which a parcel counts as arrived where no transit times are set."""

_ON_THEIR_WAY = frozenset({"ship_from_warehouse", "ship_from_store"})
"""Kinds of fulfilment that the buyer has, at some moment, once they are shipped."""


@dataclass(frozen=True, slots=True)
class ReturnRules:
    """`transit_days`: country -> working days a parcel takes at worst. `zone`: whose days count."""

    return_days: int
    transit_days: Mapping[str, int]
    working_days: tuple[int, ...]
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: Settings) -> "ReturnRules":
        """Reads the time zone's file: to be called at the start."""
        delivery = settings.delivery
        return cls(
            return_days=delivery.return_days,
            transit_days={country: days[1] for country, days in delivery.transit_days.items()},
            working_days=delivery.working_days,
            zone=ZoneInfo(settings.shop.time_zone),
        )

    def arrived_at(self, fulfilment: Fulfilment, country: str) -> datetime | None:
        """When its goods were with the buyer, at the latest; None: they are not yet on their way to
        him, or came back.

        What is shipped and was never told delivered has taken the longest transit of the country in
        working days. Holidays are not looked up: they would only make it later, by less than the
        difference to a usual parcel.
        """
        if fulfilment.state in ("delivered", "collected"):
            return fulfilment.updated_at
        if fulfilment.state == "shipped" and fulfilment.kind in _ON_THEIR_WAY:
            days = self.transit_days.get(country, UNKNOWN_TRANSIT_DAYS)
            return self._working_days_after(fulfilment.updated_at, days)
        return None

    def until(self, arrived_at: datetime) -> datetime:
        """The end of the last day, in the shop's time, on which what arrived then may come back."""
        day = arrived_at.astimezone(self.zone).date() + timedelta(days=self.return_days + 1)
        return datetime.combine(day, time(), self.zone)

    def _working_days_after(self, moment: datetime, days: int) -> datetime:
        while days > 0:
            moment += timedelta(days=1)
            local = moment.astimezone(self.zone)
            if not self.working_days or local.isoweekday() in self.working_days:
                days -= 1
        return moment


@dataclass(frozen=True, slots=True)
class ReturnableLine:
    """So many units of the order's line at `position` may still come back, the last of them before
    `until`."""

    position: int
    quantity: int
    until: datetime


def returnable(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    returns: Iterable[Return],
    *,
    rules: ReturnRules,
    now: datetime,
) -> list[ReturnableLine]:
    """The lines of which something may come back now, in order.

    Units announced or come back before are taken off those that arrived first, whose time ends
    first: which of several like units it was, nobody can tell.
    """
    if order.state != "confirmed":
        return []
    back = units_back(returns)
    found: list[ReturnableLine] = []
    for position in range(len(order.lines)):
        ends = [rules.until(moment) for moment in _arrivals(order, fulfilments, position, rules)]
        ends = [end for end in ends[back.get(position, 0) :] if end > now]
        if ends:
            found.append(ReturnableLine(position, len(ends), ends[-1]))
    return found


def units_back(returns: Iterable[Return]) -> dict[int, int]:
    """Units by line that were announced or have come back; refused and withdrawn ones do not
    count."""
    back: dict[int, int] = {}
    for one in returns:
        if one.state in ("requested", "received"):
            for line in one.lines:
                back[line.position] = back.get(line.position, 0) + line.quantity
    return back


def pieces_per_unit(
    order: Order, fulfilments: Iterable[Fulfilment], position: int
) -> dict[VariantId, int]:
    """What is behind one unit of a line, as it was sold: itself, or a bundle's parts."""
    total: dict[VariantId, int] = {}
    for item in _items(fulfilments, position):
        total[item.variant_id] = total.get(item.variant_id, 0) + item.pieces
    quantity = order.lines[position].quantity
    return {variant_id: pieces // quantity for variant_id, pieces in total.items()}


def units_of(order: Order, fulfilments: Sequence[Fulfilment], position: int, *states: str) -> int:
    """How many whole units of a line are in fulfilments of these states."""
    chosen = [one for one in fulfilments if one.state in states]
    pieces: dict[VariantId, int] = {}
    for item in _items(chosen, position):
        pieces[item.variant_id] = pieces.get(item.variant_id, 0) + item.pieces
    per_unit = pieces_per_unit(order, fulfilments, position)
    return min((pieces.get(part, 0) // each for part, each in per_unit.items()), default=0)


def _items(fulfilments: Iterable[Fulfilment], position: int) -> list[FulfilmentItem]:
    return [item for one in fulfilments for item in one.items if item.position == position]


def _arrivals(
    order: Order, fulfilments: Sequence[Fulfilment], position: int, rules: ReturnRules
) -> list[datetime]:
    """When each unit of a line that has arrived did, the first first. A bundle arrives with the
    last of its parts."""
    pieces: dict[VariantId, list[datetime]] = {}
    for one in fulfilments:
        arrived = rules.arrived_at(one, order.address.country)
        if arrived is None:
            continue
        for item in _items([one], position):
            pieces.setdefault(item.variant_id, []).extend([arrived] * item.pieces)
    per_part = []
    for part, each in pieces_per_unit(order, fulfilments, position).items():
        per_part.append(sorted(pieces.get(part, []))[each - 1 :: each])
    return [max(moments) for moments in zip(*per_part, strict=False)]
