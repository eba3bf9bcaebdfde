"""The demo's film and shop, made through the real code at reduced length."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from liveshop.demo import art, film, shop, sound

CHAPTER_SECONDS = 4
PRODUCTS = (shop.PRODUCTS[0], shop.PRODUCTS[7])
SECONDS = CHAPTER_SECONDS * len(PRODUCTS)


@pytest.fixture(scope="module")
def short_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    seen: list[tuple[int, int]] = []
    film.make_film(
        path,
        PRODUCTS,
        lambda done, total: seen.append((done, total)),
        chapter_seconds=CHAPTER_SECONDS,
    )
    assert seen[-1] == (SECONDS * 30, SECONDS * 30)
    assert [entry.name for entry in path.parent.iterdir()] == ["film.mp4"]
    return path


def _pictures(path: Path) -> list[Image.Image]:
    with av.open(str(path)) as container:
        small = (frame.reformat(320, 180, "rgb24") for frame in container.decode(video=0))
        return [
            Image.frombytes("RGB", (320, 180), bytes(plane), "raw", "RGB", plane.line_size)
            for plane in (frame.planes[0] for frame in small)
        ]


def _difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def test_film_has_a_keyframe_at_each_second_and_nowhere_else(short_film: Path) -> None:
    with av.open(str(short_film)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (1280, 720)
        assert video.average_rate == Fraction(30)
        assert video.codec_context.name == "h264"
        packets = [p for p in container.demux(video) if p.pts is not None and p.time_base]
        times = [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.time_base]
        keys = [i for i, p in enumerate(packets) if p.is_keyframe]
    assert len(packets) == SECONDS * 30
    assert keys == list(range(0, SECONDS * 30, 30))
    # no picture waits for a later one, so times are exact from 0
    assert [p.dts for p in packets] == [p.pts for p in packets]
    assert times == pytest.approx([i / 30 for i in range(SECONDS * 30)])


def test_sound_fills_the_loop_with_whole_aac_frames_from_zero(short_film: Path) -> None:
    with av.open(str(short_film)) as container:
        audio = container.streams.audio[0]
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 48_000, 2)
        times = [p.pts for p in container.demux(audio) if p.pts is not None]
    assert times == [i * 1024 for i in range(SECONDS * 48_000 // 1024)]


def test_sound_is_heard_and_does_not_click_at_the_seam(short_film: Path) -> None:
    with av.open(str(short_film)) as container:
        left: list[float] = []
        for frame in container.decode(audio=0):
            # a plane is longer than its samples
            plane = bytes(frame.planes[0])[: frame.samples * 4]
            left += memoryview(plane).cast("f").tolist()
    assert 0.2 < max(left) <= 1.0
    steps = [abs(a - b) for a, b in pairwise(left)]
    # the decoder has no frame before the first; from the second on the ring is complete
    assert max(steps[1024:]) < 0.2


def test_music_is_a_ring() -> None:
    left, right = sound.music(2, 4.0)
    assert len(left) == len(right) == 8 * 48_000
    for channel in (left, right):
        usual = max(abs(a - b) for a, b in pairwise(channel))
        assert abs(channel[-1] - channel[0]) <= usual
        assert max(channel) <= 1.0


def test_pictures_are_bright_move_and_differ_between_chapters(short_film: Path) -> None:
    pictures = _pictures(short_film)
    assert len(pictures) == SECONDS * 30
    for picture in pictures[::15]:
        assert min(ImageStat.Stat(picture).mean) > 60
        assert max(ImageStat.Stat(picture).stddev) > 25
    middle = CHAPTER_SECONDS * 30 // 2
    first, second = pictures[middle], pictures[middle + CHAPTER_SECONDS * 30]
    assert _difference(first, second) > 6
    for start in range(30, SECONDS * 30 - 30, 30):
        assert _difference(pictures[start], pictures[start + 10]) > 0.15


def test_last_frame_leads_into_the_first(short_film: Path) -> None:
    pictures = _pictures(short_film)
    within = max(_difference(a, b) for a, b in pairwise(pictures))
    assert _difference(pictures[-1], pictures[0]) <= within * 1.25


def test_film_of_a_length_that_cannot_loop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whole number of AAC frames"):
        film.make_film(tmp_path / "film.mp4", PRODUCTS[:1], chapter_seconds=3)
    assert list(tmp_path.iterdir()) == []


def test_broken_off_film_leaves_nothing_behind(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        film.make_film(tmp_path / "film.mp4", PRODUCTS, stop, chapter_seconds=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "chapter"),
    [(0.0, 0), (5.99, 0), (6.0, 1), (71.9, 11), (72.0, 0), (72.0 * 40 + 13, 2)],
)
def test_chapter_follows_the_loop(seconds: float, chapter: int) -> None:
    assert film.chapter_at(seconds) == chapter


def test_film_has_a_chapter_for_every_product_of_the_live_show() -> None:
    live = next(show for show in shop.SHOWS if show.state == "live")
    filmed = tuple(product.source_id for product in shop.PRODUCTS)
    assert live.lineup[: len(filmed)] == filmed
    assert len(filmed) * film.CHAPTER_SECONDS == film.FILM_SECONDS == 72
    assert film.FILM_SECONDS * 48_000 % 1024 == 0


def test_shop_has_believable_data() -> None:
    products = [*shop.PRODUCTS, *shop.SETS]
    variants = [variant for product in products for variant in product.variants]
    assert len({product.source_id for product in products}) == len(products) == 13
    assert len({variant.sku for variant in variants}) == len(variants)
    assert len({variant.gtin for variant in variants}) == len(variants)
    for variant in variants:
        digits = [int(digit) for digit in variant.gtin]
        assert len(digits) == 13
        assert digits[0] == 2
        assert sum(d * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0
        assert variant.compare_at is None or variant.compare_at > variant.price
    stock = {variant.sku: sum(variant.stock) for variant in variants if not variant.parts}
    for variant in variants:
        assert all(stock[sku] >= count for sku, count in variant.parts)
        assert all(price < variant.price for _, price in variant.tiers)
    assert list(stock.values()).count(0) == 1
    assert 3 in stock.values()
    for product in products:
        for variant in product.variants:
            assert len(variant.values) == len(product.options)
            for value, (_, allowed) in zip(variant.values, product.options, strict=True):
                assert value in allowed
            assert product.pictures[variant.picture_index].angle == "front"
    for show in shop.SHOWS:
        assert set(show.lineup) <= {product.source_id for product in products}


def test_catalogue_picture_shows_an_object_on_a_light_ground() -> None:
    picture = art.draw("mug", "Oat", "front")
    other = art.draw("mug", "Ink", "front")
    art.forget()
    assert picture.size == other.size == (1600, 1600)
    assert picture.mode == "RGB"
    assert min(ImageStat.Stat(picture).mean) > 120
    assert _difference(picture, other) > 4
