"""Pieces of stock and the order lines they are for: none is lost, none is made up."""

from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel.ids import LocationId, ProductId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.allocation import Allotment, allot
from liveshop.orders.model import OrderLine

MUG, TRAY, SET = VariantId("var_mug"), VariantId("var_tray"), VariantId("var_set")
NORTH, SOUTH = LocationId("loc_north"), LocationId("loc_south")
PARTS = {SET: {MUG: 2, TRAY: 1}}


def line(variant_id: VariantId, quantity: int) -> OrderLine:
    nothing = Money(0, "EUR")
    return OrderLine(
        variant_id, ProductId("prd"), "A thing", (), "SKU", quantity, nothing, nothing, nothing
    )


def test_a_line_gets_its_pieces_from_as_few_places_as_can_be() -> None:
    pieces = {(MUG, NORTH): 1, (MUG, SOUTH): 3, (TRAY, NORTH): 2}
    assert allot([line(MUG, 3), line(TRAY, 2), line(MUG, 1)], {}, pieces) == [
        Allotment(0, MUG, SOUTH, 3),
        Allotment(1, TRAY, NORTH, 2),
        Allotment(2, MUG, NORTH, 1),
    ]


def test_a_bundle_and_its_part_by_itself_share_what_lies_there() -> None:
    pieces = {(MUG, NORTH): 2, (MUG, SOUTH): 1, (TRAY, SOUTH): 1}
    assert allot([line(SET, 1), line(MUG, 1)], PARTS, pieces) == [
        Allotment(0, MUG, NORTH, 2),
        Allotment(0, TRAY, SOUTH, 1),
        Allotment(1, MUG, SOUTH, 1),
    ]


def test_a_bundle_put_together_anew_since_it_was_sold_keeps_all_its_pieces() -> None:
    pieces = {(MUG, NORTH): 1, (TRAY, NORTH): 2}
    assert allot([line(TRAY, 1), line(SET, 1)], PARTS, pieces) == [
        Allotment(0, TRAY, NORTH, 1),
        Allotment(1, MUG, NORTH, 1),
        Allotment(1, TRAY, NORTH, 1),
    ]


def test_pieces_that_nobody_needs_go_with_the_first_line() -> None:
    assert allot([line(MUG, 1)], {}, {(MUG, NORTH): 1, (TRAY, NORTH): 4, (MUG, SOUTH): 0}) == [
        Allotment(0, MUG, NORTH, 1),
        Allotment(0, TRAY, NORTH, 4),
    ]


variants = st.sampled_from([MUG, TRAY, SET])
places = st.sampled_from([NORTH, SOUTH, LocationId("loc_west")])


@given(
    lines=st.lists(st.tuples(variants, st.integers(1, 9)), min_size=1, max_size=5),
    pieces=st.dictionaries(
        st.tuples(st.sampled_from([MUG, TRAY]), places), st.integers(0, 20), max_size=6
    ),
)
def test_every_piece_goes_to_exactly_one_line(
    lines: list[tuple[VariantId, int]], pieces: dict[tuple[VariantId, LocationId], int]
) -> None:
    wanted = [line(*one) for one in lines]
    allotted = allot(wanted, PARTS, pieces)
    by_shelf: dict[tuple[VariantId, LocationId], int] = {}
    for one in allotted:
        assert one.pieces > 0
        assert 0 <= one.position < len(lines)
        shelf = (one.variant_id, one.location_id)
        by_shelf[shelf] = by_shelf.get(shelf, 0) + one.pieces
    assert by_shelf == {shelf: count for shelf, count in pieces.items() if count}
    keys = [(one.position, one.variant_id, one.location_id) for one in allotted]
    assert len(set(keys)) == len(keys)
    backwards = dict(reversed(pieces.items()))
    assert allot(wanted, PARTS, backwards) == allotted


@given(
    lines=st.lists(st.tuples(variants, st.integers(1, 9)), min_size=1, max_size=5),
    shares=st.lists(st.tuples(places, st.integers(1, 4)), min_size=60, max_size=60),
)
def test_where_there_is_what_was_sold_every_line_gets_exactly_its_own(
    lines: list[tuple[VariantId, int]], shares: list[tuple[LocationId, int]]
) -> None:
    wanted = [line(*one) for one in lines]
    needs: dict[VariantId, int] = {}
    for one in wanted:
        for part, each in PARTS.get(one.variant_id, {one.variant_id: 1}).items():
            needs[part] = needs.get(part, 0) + each * one.quantity
    pieces: dict[tuple[VariantId, LocationId], int] = {}
    rest = iter(shares * 10)
    for part, count in needs.items():
        left = count
        while left > 0:
            place, share = next(rest)
            taken = min(share, left)
            pieces[part, place] = pieces.get((part, place), 0) + taken
            left -= taken
    for position, one in enumerate(wanted):
        parts = PARTS.get(one.variant_id, {one.variant_id: 1})
        for part, each in parts.items():
            got = sum(
                given.pieces
                for given in allot(wanted, PARTS, pieces)
                if (given.position, given.variant_id) == (position, part)
            )
            assert got == each * one.quantity
