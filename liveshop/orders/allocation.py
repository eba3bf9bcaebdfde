"""Which pieces of stock are for which line of an order: pure, and the same for the same input.

Stock is held and sold by shelf, whoever wanted it; fulfilments are of order lines. Two lines may
share a part, such as a mug by itself and a mug in a set.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from liveshop.catalog.shelves import Shelf
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.orders.model import FulfilmentItem, OrderLine


@dataclass(frozen=True, slots=True)
class Allotment:
    """So many pieces of a variant at a location are for the order's line at `position`."""

    position: int
    variant_id: VariantId
    location_id: LocationId
    pieces: int


def allot(
    lines: Sequence[OrderLine],
    parts: Mapping[VariantId, Mapping[VariantId, int]],
    pieces: Mapping[Shelf, int],
) -> list[Allotment]:
    """Every piece goes to exactly one line: none is lost and none is made up.

    A line gets what is behind its units, from as few places as can be. Where a bundle was put
    together anew since it was sold, what nobody needs goes to the first line that lacks something.
    """
    left = {shelf: count for shelf, count in sorted(pieces.items()) if count > 0}
    given: dict[tuple[int, Shelf], int] = {}

    def give(position: int, shelf: Shelf, count: int) -> None:
        given[position, shelf] = given.get((position, shelf), 0) + count
        left[shelf] -= count

    lacking: list[int] = []
    for position, line in enumerate(lines):
        needs = parts.get(line.variant_id) or {line.variant_id: 1}
        for part, per_unit in sorted(needs.items()):
            rest = line.quantity * per_unit
            for shelf in _places(left, part, rest):
                count = min(rest, left[shelf])
                if count:
                    give(position, shelf, count)
                    rest -= count
            if rest:
                lacking.append(position)
    for shelf, count in left.items():
        if count:
            give(lacking[0] if lacking else 0, shelf, count)
    return [
        Allotment(position, variant_id, location_id, count)
        for (position, (variant_id, location_id)), count in sorted(given.items())
    ]


def _places(left: Mapping[Shelf, int], variant_id: VariantId, wanted: int) -> list[Shelf]:
    """Where it lies: first a place that has all of it, then those that have most."""
    here = [shelf for shelf, count in left.items() if shelf[0] == variant_id and count]
    return sorted(here, key=lambda shelf: (left[shelf] < wanted, -left[shelf], shelf))


def pieces_of(items: Iterable[FulfilmentItem], location_id: LocationId) -> dict[Shelf, int]:
    """The shelves of a location that these pieces belong on."""
    found: dict[Shelf, int] = {}
    for item in items:
        shelf = (item.variant_id, location_id)
        found[shelf] = found.get(shelf, 0) + item.pieces
    return found
