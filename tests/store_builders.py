"""Stores for tests: open on working days from ten to seven, unless said otherwise."""

from typing import Any

from liveshop.app import Liveshop
from liveshop.catalog import wire
from liveshop.catalog.model import Hours, Location, LocationAddress
from liveshop.kernel.ids import LocationId

WEEK = {str(day): [["10:00", "19:00"]] for day in range(1, 6)}
ADDRESS: dict[str, Any] = {
    "line1": "Markt 1",
    "postal_code": "22765",
    "city": "Hamburg",
    "country": "DE",
}
STORE: dict[str, Any] = {
    "name": "Store",
    "kind": "store",
    "priority": 5,
    "address": ADDRESS,
    "hours": {"weekly": WEEK, "exceptions": {"2026-12-24": [["10:00", "13:00"]]}},
    "phone": "+49 40 555 01",
    "is_pickup": True,
}


def hours(weekly: dict[str, list[list[str]]] | None = None, **exceptions: list[list[str]]) -> Hours:
    """`d2026_12_24=[]`: closed on that day."""
    given = wire.Hours(
        weekly=WEEK if weekly is None else weekly,  # type: ignore[arg-type]
        exceptions={name[1:].replace("_", "-"): spans for name, spans in exceptions.items()},  # type: ignore[misc]
    )
    return Hours(
        {day: tuple((a, b) for a, b in spans) for day, spans in given.weekly.items()},
        {day: tuple((a, b) for a, b in spans) for day, spans in given.exceptions.items()},
    )


async def store(shop: Liveshop, name: str = "Store", **given: Any) -> Location:
    """One in which buyers collect; fields of `Location` as keywords, `country` for the address."""
    address = LocationAddress(**(ADDRESS | {"country": given.pop("country", "DE")}))
    known: dict[str, Any] = {
        "kind": "store",
        "priority": 5,
        "address": address,
        "hours": hours(),
        "is_pickup": True,
    }
    return await shop.catalog.places.create(
        Location(id=LocationId(""), name=name, **(known | given))
    )
