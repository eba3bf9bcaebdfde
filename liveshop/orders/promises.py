"""What a buyer is promised: when his goods are with him, or ready in a store. Pure.

A parcel's promise is of whole days of the shop: from the start of the first (or now) to the last
second of the last. A pickup's is of moments: for what lies in the store, the one at which it is
ready; for what is sent there, from the earliest opening to closing time of the latest day.

A later order is never promised earlier. What takes longer than `LONGEST_WAIT_DAYS` to begin is not
promised at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from liveshop.orders.calendars import Opening, WorkingDays
from liveshop.orders.model import Promise
from liveshop.settings import DeliverySettings

_STEP = timedelta(minutes=5)
"""Of moments at which something is ready: nobody packs to the second."""


@dataclass(frozen=True, slots=True)
class Promises:
    days: WorkingDays
    delivery: DeliverySettings

    def ship(
        self, now: datetime, country: str, origins: Iterable[Opening | None] = (None,)
    ) -> Promise | None:
        """For parcels from these places, the last of which counts: a store only sends on days on
        which it is open, None stands for a warehouse. None where nothing is known of the country's
        transit."""
        transit = self.delivery.transit_days.get(country)
        if transit is None:
            return None
        found = _arrivals(self.days, [self._dispatch(now, one) for one in origins], transit)
        if found is None:
            return None
        first, last = found
        return Promise(max(now, self.days.start_of(first)), self.days.end_of(last))

    def pickup(self, now: datetime, store: Opening) -> Promise | None:
        """For what lies in the store; None where it is not open in any near time."""
        ready = store.after_minutes(_rounded_up(now), self.delivery.pickup_minutes)
        return None if ready is None else Promise(ready, ready)

    def ship_to_store(
        self, now: datetime, store: Opening, origins: Iterable[Opening | None] = (None,)
    ) -> Promise | None:
        """For what is sent to the store from these places."""
        leaving = [self._dispatch(now, one) for one in origins]
        found = _arrivals(self.days, leaving, self.delivery.store_transit_days)
        if found is None:
            return None
        first, last = found
        ready = store.open_from(max(now, self.days.start_of(first)))
        closing = store.closes_on(last)
        if ready is None or closing is None:
            return None
        return Promise(ready, max(ready, closing))

    def _dispatch(self, now: datetime, origin: Opening | None) -> date | None:
        """The day on which a parcel leaves this place."""
        day = self.days.day_of_order(now)
        if day is not None and origin is not None:
            open_days = (
                begins.astimezone(self.days.zone).date() for begins, _ in origin.ahead(now)
            )
            fitting = (one for one in open_days if one >= day and self.days.is_working(one))
            day = next(fitting, None)
        return None if day is None else self.days.after(day, self.delivery.handling_days)


def latest(promises: Sequence[Promise | None]) -> Promise | None:
    """When all of it is there; None where nothing can be said of some of it."""
    known = [one for one in promises if one is not None]
    if not known or len(known) < len(promises):
        return None
    return Promise(max(one.from_ for one in known), max(one.until for one in known))


def _arrivals(
    days: WorkingDays, leaving: Sequence[date | None], transit: tuple[int, int]
) -> tuple[date, date] | None:
    known = [day for day in leaving if day is not None]
    if not known or len(known) < len(leaving):
        return None
    first, last = (days.after(max(known), count) for count in transit)
    return None if first is None or last is None else (first, last)


def _rounded_up(moment: datetime) -> datetime:
    over = (moment - datetime(1970, 1, 1, tzinfo=UTC)) % _STEP
    return moment if not over else moment + _STEP - over
