"""Working days of the shop and opening times of its stores: what delivery promises are counted in.

Pure, but for the public holidays: their library reads its country when a `WorkingDays` is made, so
make it before the loop runs. Days are counted where the shop is, opening times where the store is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache

import holidays

from liveshop.catalog.model import Hours
from liveshop.settings import DeliverySettings

LONGEST_WAIT_DAYS = 60
"""Nothing is promised that begins later: a store closed for good, a year of holidays."""

_DAY = timedelta(days=1)


class WorkingDays:
    """On which days parcels leave and arrive, and until when an order is seen to on its day."""

    def __init__(
        self, delivery: DeliverySettings, zone: tzinfo, *, years: Iterable[int] = ()
    ) -> None:
        """Blocking. The holidays of these years are looked up at once; those of others when they
        are asked for, which reads no file.
        """
        self.zone = zone
        self._cut_off = time.fromisoformat(delivery.cut_off)
        self._weekdays = frozenset(delivery.working_days)
        self._closed = frozenset(date.fromisoformat(day) for day in delivery.closed_on)
        self._holidays = _public_holidays(delivery.holidays) if delivery.holidays else None
        for year in years:
            self.is_working(date(year, 1, 1))

    def is_working(self, day: date) -> bool:
        if day.isoweekday() not in self._weekdays or day in self._closed:
            return False
        return self._holidays is None or day not in self._holidays

    def first_from(self, day: date) -> date | None:
        """The first working day from this one on; None where there is none for a long time."""
        later = (day + _DAY * number for number in range(LONGEST_WAIT_DAYS))
        return next((one for one in later if self.is_working(one)), None)

    def after(self, day: date, count: int) -> date | None:
        """So many working days after this one, which is one itself or the next that is one."""
        found = self.first_from(day)
        for _ in range(count):
            found = self.first_from(found + _DAY) if found is not None else None
        return found

    def day_of_order(self, now: datetime) -> date | None:
        """The working day on which what is ordered now is seen to: today's until its cut-off, that
        very second included."""
        today = now.astimezone(self.zone).date()
        is_late = now > _moment(today, self._cut_off, self.zone)
        return self.first_from(today + _DAY if is_late else today)

    def start_of(self, day: date) -> datetime:
        return _moment(day, time(0), self.zone)

    def end_of(self, day: date) -> datetime:
        """Its last second."""
        return _moment(day + _DAY, time(0), self.zone) - timedelta(seconds=1)


@cache
def _public_holidays(name: str) -> holidays.HolidayBase:
    country, _, subdivision = name.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision or None)


@dataclass(frozen=True, slots=True)
class Opening:
    """When a store is open."""

    hours: Hours
    zone: tzinfo

    def clocks_of(self, day: date) -> list[tuple[str, str]]:
        """From and until, as its door says."""
        listed = self.hours.exceptions.get(day.isoformat())
        if listed is None:
            listed = self.hours.weekly.get(str(day.isoweekday()), ())
        return sorted((start, end) for start, end in listed)

    def spans_of(self, day: date) -> list[tuple[datetime, datetime]]:
        """The same as moments; without those that no clock shows in a night in which clocks are
        put forward."""
        found = []
        for start, end in self.clocks_of(day):
            begins = _moment(day, time.fromisoformat(start), self.zone)
            ends = (
                _moment(day + _DAY, time(0), self.zone)
                if end == "24:00"
                else _moment(day, time.fromisoformat(end), self.zone)
            )
            if begins < ends:
                found.append((begins, ends))
        return found

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def ahead(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The spans that are not over, in order, for as long as anybody is made to wait."""
        today = self.today(now)
        for number in range(LONGEST_WAIT_DAYS):
            for begins, ends in self.spans_of(today + _DAY * number):
                if ends > now:
                    yield begins, ends

    def open_from(self, moment: datetime) -> datetime | None:
        """The first moment from this one on at which it is open."""
        return self.after_minutes(moment, 0)

    def after_minutes(self, now: datetime, minutes: int) -> datetime | None:
        """The moment, while it is open, at which it has been open for so long from now on. None
        where that takes too long, or never comes.
        """
        left = timedelta(minutes=minutes)
        for begins, ends in self.ahead(now):
            ready = max(begins, now) + left
            if ready < ends:
                return ready
            left -= ends - max(begins, now)
        return None

    def closes_on(self, day: date) -> datetime | None:
        """When it closes on the first day from this one on on which it is open at all."""
        for number in range(LONGEST_WAIT_DAYS):
            if spans := self.spans_of(day + _DAY * number):
                return spans[-1][1]
        return None


def _moment(day: date, clock: time, zone: tzinfo) -> datetime:
    """A local time as a moment of UTC: the first one where clocks show it twice, and one as long
    after midnight where they skip it."""
    return datetime.combine(day, clock, zone).astimezone(UTC)
