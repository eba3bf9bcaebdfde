"""Warehouses and stores: what makes one a good one, and the use cases of whoever keeps them.

A store in which buyers collect says where it is and when it is open: a promise depends on both.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from liveshop.catalog import locations
from liveshop.catalog.model import (
    LOCATION_KINDS,
    BadLocation,
    Hours,
    Location,
    LocationAddress,
    Span,
    UnknownLocation,
)
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import LocationId, new_id
from liveshop.kernel.text import clean_line
from liveshop.kernel.zones import time_zones
from liveshop.settings import ShopSettings
from liveshop.storage import Database

MAX_SPANS = 5
MAX_EXCEPTIONS = 400

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)


class PlaceService:
    def __init__(self, database: Database, clock: Clock, shop: ShopSettings) -> None:
        self._database = database
        self._clock = clock
        self.time_zone = shop.time_zone
        """Of places that have none of their own."""
        self._countries = {*shop.shipping, *shop.shipping_steps, *shop.tax_by_country}

    async def create(self, new: Location) -> Location:
        """Its id is made here. Raises BadLocation, BadText."""
        id_ = LocationId(new_id("loc", self._clock.now()))
        good = checked_location(replace(new, id=id_), self._countries)
        async with self._database.write() as tx:
            await locations.add_location(tx.conn, good)
        return good

    async def replace(self, changed: Location) -> Location:
        """Orders that are to be collected there stay so. Raises UnknownLocation, BadLocation,
        BadText."""
        good = checked_location(changed, self._countries)
        async with self._database.write() as tx:
            if not await locations.change_location(tx.conn, good):
                raise UnknownLocation("There is no such location.")
        return good

    async def all(self) -> list[Location]:
        """By priority, the one asked first first."""
        async with self._database.read() as conn:
            return await locations.locations_by_priority(conn)

    async def stores(self) -> list[Location]:
        """Those in which buyers collect."""
        return [place for place in await self.all() if place.is_pickup]


def checked_location(location: Location, countries: Collection[str]) -> Location:
    """With its texts cleaned. `countries`: those whose taxes are known. Raises BadLocation, BadText
    naming the field."""
    if location.kind not in LOCATION_KINDS:
        raise _bad("kind", f"kind must be one of {', '.join(LOCATION_KINDS)}")
    if location.time_zone is not None and location.time_zone not in time_zones():
        raise _bad("time_zone", "There is no such time zone; write it like Europe/Berlin.")
    good = replace(
        location,
        name=clean_line(location.name, max_length=200, field="name"),
        address=_checked_address(location.address) if location.address is not None else None,
        hours=_checked_hours(location.hours) if location.hours is not None else None,
        phone=(
            clean_line(location.phone, max_length=60, field="phone", empty=True) or None
            if location.phone is not None
            else None
        ),
    )
    if good.is_pickup:
        _check_store(good, countries)
    return good


def _check_store(store: Location, countries: Collection[str]) -> None:
    if store.kind != "store":
        raise _bad("is_pickup", "Buyers collect in stores. Make this a store.")
    if store.address is None:
        raise _bad("address", "A store in which buyers collect needs an address.")
    if store.address.country not in countries:
        raise _bad(
            "address.country",
            "The taxes of this country are not known. Set shop.tax_by_country for it.",
        )
    if store.hours is None or not any(
        (*store.hours.weekly.values(), *store.hours.exceptions.values())
    ):
        raise _bad("hours", "A store in which buyers collect needs opening hours.")


def _checked_address(address: LocationAddress) -> LocationAddress:
    def clean(name: str, value: str, max_length: int = 120) -> str:
        return clean_line(value, max_length=max_length, field=f"address.{name}")

    has_second = address.line2 is not None and address.line2.strip()
    return LocationAddress(
        line1=clean("line1", address.line1),
        line2=clean("line2", address.line2) if address.line2 and has_second else None,
        postal_code=clean("postal_code", address.postal_code, 16),
        city=clean("city", address.city),
        country=address.country,
    )


def _checked_hours(hours: Hours) -> Hours:
    if not hours.weekly.keys() <= set("1234567"):
        raise _bad("hours.weekly", "Weekdays are 1 (Monday) to 7 (Sunday).")
    if len(hours.exceptions) > MAX_EXCEPTIONS:
        raise _bad(
            "hours.exceptions", f"At most {MAX_EXCEPTIONS} days. Remove those that are over."
        )
    for day in hours.exceptions:
        if not _is_day(day):
            raise _bad("hours.exceptions", "Write days like 2026-12-24.")
    return Hours(
        weekly=_checked_spans("hours.weekly", hours.weekly),
        exceptions=_checked_spans("hours.exceptions", hours.exceptions),
    )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _checked_spans(field: str, days: Mapping[str, Sequence[Span]]) -> dict[str, tuple[Span, ...]]:
    for day, spans in days.items():
        if len(spans) > MAX_SPANS:
            raise _bad(field, f"{day}: at most {MAX_SPANS} spans a day.")
        if not all(_CLOCK.fullmatch(clock) for span in spans for clock in span):
            raise _bad(field, f"{day}: write times like 09:00; the end of the day is 24:00.")
        if any(start >= end for start, end in spans):
            raise _bad(field, f"{day}: it closes before it opens. Let late spans end at 24:00.")
        if any(before[1] > after[0] for before, after in pairwise(spans)):
            raise _bad(field, f"{day}: two spans overlap, or are not in order.")
    return {day: tuple((start, end) for start, end in spans) for day, spans in days.items()}


def _bad(field: str, detail: str) -> BadLocation:
    return BadLocation(detail, data={"field": field})
