"""What an inspection of returned goods may say, and what follows from it: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from liveshop.catalog.shelves import Shelf
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId
from liveshop.kernel.text import BadText
from liveshop.orders import wire
from liveshop.orders.acting import checked_note
from liveshop.orders.model import Credit, Fulfilment, Order, Return, ReturnLine
from liveshop.orders.returnable import pieces_per_unit


def check_each_once(positions: Sequence[int]) -> None:
    if len(set(positions)) != len(positions):
        raise Invalid(
            "Name each line of the order once, with all its units.", data={"field": "lines"}
        )


def note_of(given: wire.InspectionInput) -> str | None:
    """Raises BadText where a deduction says nothing of why."""
    note = checked_note(given.note, is_required=False)
    if given.deduction is not None and given.deduction.amount != 0 and note is None:
        raise BadText("Say why something is kept back: the buyer is told.", data={"field": "note"})
    return note


def lines_of(one: Return, given: wire.InspectionInput) -> tuple[ReturnLine, ...]:
    """The return's lines with what was found. Raises Invalid."""
    check_each_once([line.position for line in given.lines])
    found = {line.position: line for line in given.lines}
    if found.keys() != {line.position for line in one.lines}:
        raise Invalid(
            "Say of each line of the return, and of no other, what was found.",
            data={"field": "lines", "positions": [line.position for line in one.lines]},
        )
    inspected = []
    for line in one.lines:
        what = found[line.position]
        if what.accepted > line.quantity:
            raise Invalid(
                f"{line.quantity} were to come back, so no more can be accepted.",
                data={"field": "accepted", "position": line.position, "max": line.quantity},
            )
        if what.restocked > what.accepted:
            raise Invalid(
                "Only what is accepted can be sold again.",
                data={"field": "restocked", "position": line.position, "max": what.accepted},
            )
        inspected.append(replace(line, accepted=what.accepted, restocked=what.restocked))
    return tuple(inspected)


def pieces_of(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    lines: Sequence[ReturnLine],
    place: LocationId,
) -> dict[Shelf, int]:
    """What can be sold again at this place; bundles as their parts."""
    pieces: dict[Shelf, int] = {}
    for line in lines:
        for part, each in pieces_per_unit(order, fulfilments, line.position).items():
            if line.restocked:
                pieces[part, place] = pieces.get((part, place), 0) + each * line.restocked
    return pieces


def told(
    lines: Sequence[ReturnLine], credit: Credit, pieces: Mapping[Shelf, int]
) -> dict[str, Any]:
    """What the order's history keeps of it."""
    return {
        "accepted": sum(line.accepted or 0 for line in lines),
        "restocked_pieces": sum(pieces.values()),
        "worth": credit.total.amount,
        "deduction": credit.deduction.amount,
        "currency": credit.total.currency,
    }
