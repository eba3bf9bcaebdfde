"""What planning makes of a listing's row. Pure: rows in, rows out.

`wanted` is the digest of what shall be seen, HIDDEN for what a channel shall keep but not show, and
None for what shall not be there. `due_at` says that something has to be sent for that.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from liveshop.kernel.ids import ProductId, VariantId
from liveshop.syndication.model import ConnectionId, ListingRow, ListingState
from liveshop.syndication.store import HIDDEN

UNKNOWN = "unknown"
"""In place of a digest while the connection cannot be opened: it is found out when it is sent."""
TAKEN_OFF = "It is being taken off."
NOT_FETCHED = "It goes out of the feed; who fetches it has not seen that yet."
PRICE_WAITS = "Its price changes. It is shown again when no channel shows the old price any more."


@dataclass(frozen=True, slots=True)
class Show:
    digest: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Shown to nobody for now, because of its price."""

    reason: str = PRICE_WAITS


@dataclass(frozen=True, slots=True)
class Off:
    """Not for sale any more, or the connection is being removed."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """It cannot go there as it is."""

    reason: str


Goal = Show | Wait | Off | Blocked


@dataclass(frozen=True, slots=True)
class Place:
    """Which row, on what kind of connection."""

    connection_id: ConnectionId
    variant_id: VariantId
    product_id: ProductId
    is_feed: bool = False
    is_paused: bool = False
    can_hide: bool = False


def is_there(row: ListingRow) -> bool:
    """Whether the channel may have something of ours, seen or hidden."""
    return row.may_show or row.accepted is not None


def planned(row: ListingRow | None, goal: Goal, place: Place, now: datetime) -> ListingRow | None:
    """The row that follows, the same object where nothing changes; None: there shall be none."""
    if row is None:
        if isinstance(goal, Off):
            return None
        row = ListingRow(place.connection_id, place.variant_id, place.product_id, "pending", now)
        return _feed(row, goal, place, now) if place.is_feed else _pushed(row, goal, place, now)
    return _feed(row, goal, place, now) if place.is_feed else _pushed(row, goal, place, now)


def _pushed(row: ListingRow, goal: Goal, place: Place, now: datetime) -> ListingRow:
    match goal:
        case Show(digest):
            if row.wanted == digest:
                return row
            if row.accepted == digest:
                return _next(row, place, now, state="sent", wanted=digest, is_due=False)
            return _next(row, place, now, state="pending", wanted=digest, is_due=True)
        case Wait(reason):
            keeps = place.can_hide and is_there(row)
            return _next(
                row,
                place,
                now,
                state="pending",
                wanted=HIDDEN if keeps else None,
                is_due=row.may_show,
                reason=reason,
            )
        case Off():
            if is_there(row):
                return _next(row, place, now, state="pending", is_due=True, reason=TAKEN_OFF)
            return _next(row, place, now, state="withdrawn", is_due=False)
        case Blocked(reason):
            return _next(row, place, now, state="rejected", is_due=is_there(row), reason=reason)


def _feed(row: ListingRow, goal: Goal, place: Place, now: datetime) -> ListingRow:
    match goal:
        case Show(digest):
            if row.wanted == digest:
                return row
            state: ListingState = "sent" if row.accepted == digest else "pending"
            return _next(row, place, now, state=state, wanted=digest, is_due=False)
        case Blocked(reason):
            return _next(row, place, now, state="rejected", is_due=False, reason=reason)
        case Wait() | Off():
            if row.accepted is None:
                return _next(row, place, now, state="withdrawn", is_due=False)
            return _next(row, place, now, state="pending", is_due=False, reason=NOT_FETCHED)


def _next(
    row: ListingRow,
    place: Place,
    now: datetime,
    *,
    state: ListingState,
    is_due: bool,
    wanted: str | None = None,
    reason: str | None = None,
) -> ListingRow:
    if place.is_paused:
        state = "paused"
    is_same = row.wanted == wanted and (row.due_at is not None) == is_due
    if is_same and row.state == state and row.reason == reason:
        return row
    if is_same and is_due and row.attempts:
        return row  # it is being tried, and says why it has not gone yet
    is_new = row.wanted != wanted or row.state != state
    return replace(
        row,
        product_id=place.product_id,
        state=state,
        since=now if is_new else row.since,
        reason=reason,
        drift=None,
        wanted=wanted,
        attempts=0,
        due_at=now if is_due else None,
        read_at=None if row.wanted != wanted else row.read_at,
    )
