"""From where a cart's goods can be taken for each way to its buyer: pure.

Stock of a location that does not ship can only be collected there. What is collected comes from the
store's own shelves as far as it can; the rest is sent there, from locations that ship.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from liveshop.catalog.model import Location
from liveshop.catalog.shelves import Shelf, Shelves
from liveshop.catalog.tables import REHEARSAL
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.payments.model import Delivery


@dataclass(frozen=True, slots=True)
class Way:
    """How goods get to their buyer. `country` is the one whose taxes count; `places` are all
    locations there are, the one asked first first."""

    kind: Delivery
    country: str
    places: tuple[Location, ...]
    store: Location | None = None

    @property
    def is_collected(self) -> bool:
        return self.kind == "pickup"

    @property
    def is_rehearsed(self) -> bool:
        """Whether nothing comes: the goods lie on the shelf of a rehearsal."""
        return any(place.kind == REHEARSAL for place in self.places)

    @property
    def store_id(self) -> LocationId | None:
        return self.store.id if self.store is not None else None

    @property
    def origins(self) -> list[LocationId]:
        """Where parcels leave from."""
        return [place.id for place in self.places if place.is_shipping]

    @property
    def is_indifferent(self) -> bool:
        """Whether it makes no difference where the goods lie."""
        return self.kind == "ship" and all(
            place.is_shipping and not has_days(place) for place in self.places
        )

    def suits(self, pieces: Iterable[Shelf]) -> bool:
        """Whether goods on these shelves lie as well as they can for this way."""
        fitting = {self.store_id} if self.is_collected else set(self.origins)
        return all(location_id in fitting for _, location_id in pieces)

    def sources(self, pieces: Iterable[Shelf]) -> list[Location]:
        """The locations, but for the store itself, that goods on these shelves come from."""
        used = {location_id for _, location_id in pieces} - {self.store_id}
        return [place for place in self.places if place.id in used]

    def here(self, pieces: Mapping[Shelf, int]) -> Literal["all", "some", "none"] | None:
        """How much of this lies in the store; None for what is shipped."""
        if not self.is_collected:
            return None
        share = [shelf[1] == self.store_id for shelf, quantity in pieces.items() if quantity]
        return "all" if all(share) else "some" if any(share) else "none"


def has_days(place: Location) -> bool:
    """Whether parcels leave from it only on days on which it is open."""
    return place.kind == "store" and place.hours is not None


@dataclass(frozen=True, slots=True)
class Lacking:
    """Less of a variant (a part, for bundles) is where it would have to be than is wanted.

    `available`: how many pieces are there; `is_anywhere`: whether there is enough of it at all;
    `stores`: those that do not ship, but in which some of it can be collected.
    """

    variant_id: VariantId
    title: str
    is_anywhere: bool
    available: int = 0
    stores: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Supply:
    """What a cart needs, in pieces of what is no bundle; what it holds of it; what else is free, by
    location, the one asked first first. `titles`: of the articles these are pieces of."""

    needs: Mapping[VariantId, int]
    held: Mapping[Shelf, int]
    free: Mapping[VariantId, Mapping[LocationId, int]]
    titles: Mapping[VariantId, str]

    def plan(self, way: Way) -> dict[Shelf, int] | Lacking:
        """From which shelves the goods would come if they were ordered now in this way."""
        shelves = Shelves(free={part: dict(places) for part, places in self.free.items()})
        pieces = dict(self.held)
        for part, wanted in self.needs.items():
            rest = wanted - sum(
                quantity for (held, _), quantity in self.held.items() if held == part
            )
            taken = shelves.take_pieces(part, max(0, rest), [place.id for place in way.places])
            if sum(taken.values()) < rest:
                return Lacking(
                    part, self.titles[part], is_anywhere=False, available=sum(taken.values())
                )
            for shelf, quantity in taken.items():
                pieces[shelf] = pieces.get(shelf, 0) + quantity
        if way.suits(pieces):
            return pieces
        moved = shelves.rearranged(pieces, way.origins, store=way.store_id)
        return self._lacking(pieces, way) if moved is None else moved

    def _lacking(self, pieces: Mapping[Shelf, int], way: Way) -> Lacking:
        """What lies where this way cannot take it from, although there is enough of everything."""
        fitting = {*way.origins, way.store_id}
        for part in dict.fromkeys(part for part, _ in pieces):
            wanted = sum(quantity for (one, _), quantity in pieces.items() if one == part)
            by_place = self._within_reach(part)
            here = sum(by_place.get(place, 0) for place in fitting if place is not None)
            if here >= wanted:
                continue
            stores = [
                place
                for place in way.places
                if place.is_pickup and not place.is_shipping and by_place.get(place.id, 0)
            ]
            return Lacking(
                part, self.titles[part], is_anywhere=True, available=here, stores=tuple(stores)
            )
        raise AssertionError("there is enough of everything where it is wanted")

    def _within_reach(self, part: VariantId) -> dict[LocationId, int]:
        found = dict(self.free.get(part, {}))
        for (held, location_id), quantity in self.held.items():
            if held == part:
                found[location_id] = found.get(location_id, 0) + quantity
        return found
