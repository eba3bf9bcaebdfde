"""Share cards: the size asked for, words inside their margins, nothing that cannot be drawn."""

import io
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from liveshop.syndication.cards import share_card

SIZES = [(1200, 628), (1080, 1080), (1080, 1920)]
SMALL = (600, 314)


def card(
    title: str = "Bowls from Lisbon",
    *,
    cover: bytes | None = None,
    when: str = "Sat, 5 Dec · 19:00 CET",
    host_name: str = "Mara Lindqvist",
    badge: str | None = None,
    size: tuple[int, int] = SMALL,
) -> Image.Image:
    content = share_card(cover, title=title, when=when, host_name=host_name, badge=badge, size=size)
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def cover(image: Image.Image, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def are_alike(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is None


def written(one: Image.Image, other: Image.Image) -> tuple[int, int, int, int] | None:
    """Where two cards differ by more than JPEG makes them differ."""
    difference = ImageChops.difference(one, other).convert("L")
    return difference.point(lambda value: 255 if value > 60 else 0).getbbox()


@pytest.mark.parametrize("size", SIZES)
def test_a_card_has_the_size_asked_for_and_nothing_but_pixels(size: tuple[int, int]) -> None:
    for given_cover in (None, cover(Image.new("RGB", (700, 500), "teal"))):
        made = card(cover=given_cover, badge="LIVE", size=size)
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", size)
        assert not made.getexif()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "title",
    [
        "Bowls",
        "Keramik aus Lissabon: Schalen, Becher und Teller für den Herbst " * 4,
        "Donaudampfschifffahrtsgesellschaftskapitän" * 8,
        "W" * 300,
    ],
)
def test_words_stay_inside_the_margins(title: str, size: tuple[int, int]) -> None:
    box = written(card(title, host_name="W" * 150, size=size), card("", host_name="", size=size))
    assert box is not None
    left, top, right, bottom = box
    margin = 0.055 * min(size[0], size[1] * 1.2)
    assert left >= margin - 2
    assert right <= size[0] - margin + 2
    assert top >= margin
    assert bottom <= size[1] - margin + 2


def test_on_an_upright_card_nothing_stands_where_apps_put_their_buttons() -> None:
    size = (1080, 1920)
    box = written(card(badge="LIVE", size=size), card("", when="", host_name="", size=size))
    assert box is not None
    assert box[1] >= 240
    assert box[3] <= 1920 - 240


@pytest.mark.parametrize(("one", "other"), list(pairwise("üuöoäaßsÜUéełlжx€E")))
def test_letters_of_europe_are_drawn_as_themselves(one: str, other: str) -> None:
    assert not are_alike(card(f"M{one}n"), card(f"M{other}n"))
    assert not are_alike(card(f"M{one}n"), card("Mn"))


@pytest.mark.parametrize(
    "lost", ["🎉", "👩🏽\u200d🚀", "❤️", "日本", "\u200b", "\xad", "\U0010fffd", "\x85"]
)
def test_what_the_font_lacks_is_left_out(lost: str) -> None:
    plain = card("Bowls from Lisbon", host_name="Mara", badge="LIVE")
    assert are_alike(
        plain,
        card(f"Bowls {lost} from Lisbon{lost}", host_name=f"{lost} Mara", badge=f"LIVE {lost}"),
    )


def test_accents_are_drawn_however_they_are_written() -> None:
    assert are_alike(card("Gru\u0308n"), card("Grün"))


def test_white_words_can_be_read_on_a_white_cover() -> None:
    made = card("Bowls " * 12, cover=cover(Image.new("RGB", (600, 400), "white")))
    rows = made.convert("L")
    written_rows = 0
    for y in range(SMALL[1]):
        ground = rows.getpixel((595, y))
        assert isinstance(ground, int)
        letters = max(rows.crop((30, y, 560, y + 1)).tobytes())
        if letters > ground + 60:
            written_rows += 1
            assert ground <= 119, y  # a grey with a contrast of 4.5 to white
    assert written_rows > 60


def test_a_transparent_cover_lies_on_white() -> None:
    clear = cover(Image.new("RGBA", (600, 400), (0, 0, 0, 0)), "WEBP")
    white = cover(Image.new("RGB", (600, 400), "white"))
    assert written(card(cover=clear), card(cover=white)) is None


def test_live_is_red_and_has_its_dot_and_a_replay_is_calm() -> None:
    live, replay = card(badge="LIVE"), card(badge="Replay")
    assert count_of(live, lambda red, green, blue: red > 200 and green < 60 and blue < 90) > 750
    assert count_of(replay, lambda red, green, blue: red > 200 and green < 60 and blue < 90) < 350


def count_of(image: Image.Image, is_one: Callable[[int, int, int], bool]) -> int:
    pixels = image.tobytes()
    return sum(is_one(*pixels[at : at + 3]) for at in range(0, len(pixels), 3))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=30))
def test_any_words_make_a_card(title: str, when: str, badge: str) -> None:
    card(title, when=when, host_name=title, badge=badge)
