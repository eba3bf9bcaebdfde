"""Where the demo's goods lie: a warehouse and two stores, invented like everything about Lindholm.

The store in Kreuzberg sends no parcels: what lies there can only be collected there.
"""

from liveshop.catalog.model import Hours, Location, LocationAddress, Span
from liveshop.kernel.ids import LocationId

_LATE = (("10:00", "19:00"),)
_SATURDAY = (("10:00", "18:00"),)


def locations(year: int) -> tuple[Location, Location, Location]:
    """The warehouse, the store that also ships, the one that does not, without ids; with the feasts
    of this year and the next."""
    return (
        Location(
            id=LocationId(""),
            name="Warehouse Hamburg",
            kind="warehouse",
            priority=1,
            address=LocationAddress("Am Lindholmkai 7", "20457", "Hamburg", "DE"),
        ),
        Location(
            id=LocationId(""),
            name="Store Altona",
            kind="store",
            priority=2,
            address=LocationAddress("Ottenser Werkhof 12", "22765", "Hamburg", "DE"),
            hours=_hours({"1": _LATE, "2": _LATE, "3": _LATE, "4": _LATE, "5": _LATE}, year),
            phone="+49 40 555 0112",
            is_pickup=True,
        ),
        Location(
            id=LocationId(""),
            name="Store Kreuzberg",
            kind="store",
            priority=3,
            address=LocationAddress(
                "Admiralsgarten 3", "10999", "Berlin", "DE", line2="Second courtyard"
            ),
            hours=_hours(
                {
                    "2": (("11:00", "14:00"), ("15:00", "19:00")),
                    "3": (("11:00", "14:00"), ("15:00", "19:00")),
                    "4": (("11:00", "14:00"), ("15:00", "19:00")),
                    "5": (("11:00", "14:00"), ("15:00", "20:00")),
                },
                year,
            ),
            phone="+49 30 555 0103",
            is_pickup=True,
            is_shipping=False,
        ),
    )


def _hours(weekdays: dict[str, tuple[Span, ...]], year: int) -> Hours:
    exceptions: dict[str, tuple[Span, ...]] = {}
    for each in (year, year + 1):
        exceptions |= {
            f"{each}-01-01": (),
            f"{each}-05-01": (),
            f"{each}-10-03": (),
            f"{each}-12-24": (("10:00", "14:00"),),
            f"{each}-12-25": (),
            f"{each}-12-26": (),
            f"{each}-12-31": (("10:00", "14:00"),),
        }
    return Hours(weekdays | {"6": _SATURDAY}, exceptions)
