"""Money, days and opening times as people of one language write them: for mails, invoices, pages.

Times are told in the shop's zone, or in a store's where it is about the store. Made at the start:
Babel and the time zones read files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_precision

from liveshop.catalog.model import Location, LocationAddress, Span
from liveshop.kernel.money import Money
from liveshop.kernel.zones import time_zones
from liveshop.orders.model import Address, Promise
from liveshop.web import LANGUAGES

_DAY = {"en": "EEEE, d MMMM", "de": "EEEE, d. MMMM"}
_SHORT_DAY = {"en": "EEE d MMM", "de": "EEE d. MMM"}
_DATE = {"en": "d MMMM y", "de": "d. MMMM y"}
_TIME = {"en": "{day}, {time}", "de": "{day}, {time} Uhr"}
_CLOSED = {"en": "closed", "de": "geschlossen"}
_OPEN = {"en": "{spans}", "de": "{spans} Uhr"}
_WEEK = 7


@dataclass(frozen=True, slots=True)
class OpenOn:
    """A day and when a store is open then, in words."""

    day: str
    hours: str


@dataclass(frozen=True, slots=True)
class Wording:
    language: str
    zone: ZoneInfo
    locale: Locale

    @classmethod
    def of(cls, language: str, time_zone: str) -> "Wording":
        """Blocking: reads the files of the language and the zone."""
        made = cls(language, time_zones()[time_zone], Locale.parse(language))
        made.money(Money(1, "EUR"))
        made.percent(190)
        made.day(datetime.now(UTC))
        made.date_of(datetime.now(UTC))
        made.country("DE")
        return made

    def money(self, money: Money) -> str:
        """A true minus sign stands before everything else."""
        digits = get_currency_precision(money.currency)
        value = Decimal(abs(money.amount)).scaleb(-digits)
        written = format_currency(value, money.currency, locale=self.locale)
        return f"−{written}" if money.amount < 0 else written

    def percent(self, permille: int) -> str:
        number = format_decimal(Decimal(permille).scaleb(-1), locale=self.locale)
        return f"{number}\u00a0%"

    def day(self, moment: datetime, zone: ZoneInfo | None = None) -> str:
        """Such as `Tuesday, 24 November`."""
        here = moment.astimezone(zone or self.zone)
        return format_date(here.date(), _DAY[self.language], locale=self.locale)

    def date_of(self, moment: datetime) -> str:
        """Such as `24 November 2026`."""
        here = moment.astimezone(self.zone)
        return format_date(here.date(), _DATE[self.language], locale=self.locale)

    def year_of(self, moment: datetime) -> int:
        """The year `date_of` says."""
        return moment.astimezone(self.zone).year

    def moment(self, moment: datetime, zone: ZoneInfo | None = None) -> str:
        """Such as `Tuesday, 24 November, 18:30`."""
        here = moment.astimezone(zone or self.zone)
        return _TIME[self.language].format(day=self.day(moment, zone), time=f"{here:%H:%M}")

    def days(self, promise: Promise) -> str:
        """When a parcel is there: a day, or the first and the last. A moment at midnight is the end
        of the day before it."""
        last = promise.until.astimezone(self.zone) - timedelta(microseconds=1)
        first = promise.from_.astimezone(self.zone)
        if first.date() >= last.date():
            return self.day(last)
        return f"{self.day(first)} – {self.day(last)}"

    def until(self, moment: datetime, zone: ZoneInfo | None = None) -> str:
        """The last day, or the moment where that is not the end of a day."""
        here = moment.astimezone(zone or self.zone)
        if here.time() == time():
            return self.day(here - timedelta(microseconds=1), zone)
        return self.moment(moment, zone)

    def step(self, amount: Money) -> str:
        """What a step of the way to the total adds; empty for one that only says something."""
        return self.money(amount) if amount.amount else ""

    def ready(self, promise: Promise, zone: ZoneInfo | None = None) -> str:
        """By when goods are ready in a store."""
        return self.moment(promise.until, zone)

    def country(self, code: str) -> str:
        return str(self.locale.territories.get(code, code))

    def on(self, location: Location, day: date) -> str | None:
        """When the store is open on this day of its own; None where nobody said."""
        if location.hours is None:
            return None
        spans = location.hours.exceptions.get(
            day.isoformat(), location.hours.weekly.get(str(day.isoweekday()), ())
        )
        return self._spans(spans)

    def week(self, location: Location, now: datetime) -> list[OpenOn]:
        """The next seven days, today first; empty where nobody said when it is open."""
        today = now.astimezone(zone_of(location) or self.zone).date()
        days = [today + timedelta(days=number) for number in range(_WEEK)]
        return [
            OpenOn(format_date(day, _SHORT_DAY[self.language], locale=self.locale), hours)
            for day in days
            if (hours := self.on(location, day)) is not None
        ]

    def today(self, location: Location, now: datetime) -> str | None:
        return self.on(location, now.astimezone(zone_of(location) or self.zone).date())

    def _spans(self, spans: Sequence[Span]) -> str:
        if not spans:
            return _CLOSED[self.language]
        written = ", ".join(f"{start}–{end}" for start, end in spans)
        return _OPEN[self.language].format(spans=written)


def iban_in_groups(iban: str) -> str:
    """As it is printed (ISO 13616): in groups of four."""
    plain = iban.replace(" ", "")
    return " ".join(plain[start : start + 4] for start in range(0, len(plain), 4))


def wordings(time_zone: str) -> Mapping[str, Wording]:
    """One for each language. Blocking."""
    return {language: Wording.of(language, time_zone) for language in LANGUAGES}


def zone_of(location: Location) -> ZoneInfo | None:
    """The store's own zone; None where it is the shop's. Names are checked when they are saved."""
    return time_zones()[location.time_zone] if location.time_zone else None


def address_lines(address: LocationAddress) -> list[str]:
    lines = [address.line1, address.line2 or "", f"{address.postal_code} {address.city}"]
    return [line.strip() for line in lines if line.strip()]


def buyer_lines(address: Address, words: Wording) -> list[str]:
    """The buyer's address as on a letter; of who collects and gave no street, the name."""
    lines = [
        address.name,
        address.line1,
        address.line2 or "",
        f"{address.postal_code} {address.city}",
        words.country(address.country) if address.line1 else "",
    ]
    return [line.strip() for line in lines if line.strip()]
