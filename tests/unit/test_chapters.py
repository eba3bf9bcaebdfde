"""What becomes of pins when a show is watched again."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel.ids import ProductId
from liveshop.shows.model import Pin
from liveshop.shows.replay_model import SLIP, BadFile, Span, chapters, moment_of

BEGAN = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
SHOWN = Span(BEGAN, BEGAN + timedelta(seconds=100))


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def pins(*told: tuple[float, str | None]) -> list[Pin]:
    return [Pin(None if name is None else ProductId(name), at(when)) for when, name in told]


def told(given: list[Pin], shown: Span = SHOWN) -> list[tuple[float, str | None]]:
    found = chapters(given, shown)
    return [((one.from_at - BEGAN).total_seconds(), one.product_id) for one in found]


def test_a_show_without_products_is_one_chapter() -> None:
    assert told([]) == [(0, None)]


def test_a_product_is_there_until_the_next_one_or_none() -> None:
    given = pins((10, "mug"), (40, "lamp"), (60, None), (80, "mug"))
    assert told(given) == [(0, None), (10, "mug"), (40, "lamp"), (60, None), (80, "mug")]


def test_a_slip_of_the_hand_is_no_chapter() -> None:
    assert told(pins((10, "mug"), (30, "lamp"), (31, "mug"))) == [(0, None), (10, "mug")]
    assert told(pins((10, "mug"), (11, None))) == [(0, None)]
    assert told(pins((10, "mug"), (30, None), (32, "mug"))) == [(0, None), (10, "mug")]
    assert told(pins((10, "lamp"), (12, "mug"))) == [(0, None), (10, "mug")]
    assert told(pins((10, "mug"), (98.5, "lamp"))) == [(0, None), (10, "mug")]


def test_what_was_pinned_at_the_beginning_is_the_first_chapter() -> None:
    assert told(pins((1, "mug"))) == [(0, "mug")]


def test_a_trimmed_show_begins_with_what_was_in_focus_then() -> None:
    given = pins((10, "mug"), (40, "lamp"), (60, None), (80, "mug"))
    assert told(given, Span(at(50), at(79))) == [(50, "lamp"), (60, None)]
    assert told(given, Span(at(38), at(60))) == [(38, "lamp")]


moments = st.floats(0, 100).map(lambda number: round(number, 1))


@given(
    st.lists(st.tuples(moments, st.sampled_from([None, "mug", "lamp"])), max_size=12),
    st.tuples(moments, moments).filter(lambda both: both[1] - both[0] >= 1),
)
def test_chapters_are_the_whole_show_without_a_hole(
    given_pins: list[tuple[float, str | None]], both: tuple[float, float]
) -> None:
    shown = Span(at(both[0]), at(both[1]))
    found = chapters(pins(*sorted(given_pins, key=lambda pin: pin[0])), shown)
    assert found[0].from_at == shown.from_at
    assert found[-1].until_at == shown.until_at
    for one, after in itertools.pairwise(found):
        assert one.until_at == after.from_at
        assert one.product_id != after.product_id
    if len(found) > 1:
        assert min(one.until_at - one.from_at for one in found[1:]) >= SLIP


def test_a_clip_of_a_product_is_its_longest_moment() -> None:
    given = pins((10, "mug"), (20, "lamp"), (30, "mug"), (70, None))
    assert moment_of(ProductId("mug"), given, SHOWN) == Span(at(30), at(70))
    with pytest.raises(BadFile):
        moment_of(ProductId("chair"), given, SHOWN)
