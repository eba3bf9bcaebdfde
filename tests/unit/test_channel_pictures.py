"""Pictures in the sizes of channels: whole, padded, plain, and never over the cap."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_builders import picture
from PIL import Image

from liveshop.catalog.channel_pictures import STEPS_KB, pad, step_kb
from liveshop.catalog.pictures import to_master
from liveshop.catalog.wire import ImageLinks
from liveshop.connect import RENDITIONS, Rendition

SQUARE = RENDITIONS["square"]
ROOMY = 8_000_000


def master_of(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return to_master(buffer.getvalue(), max_pixels=50_000_000).content


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def colour(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def is_near(one: tuple[int, ...], other: tuple[int, ...], *, within: int = 6) -> bool:
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), os.urandom(width * height * 3))


@pytest.mark.parametrize("name", RENDITIONS)
@pytest.mark.parametrize("size", [(2000, 500), (500, 2000), (900, 900), (3, 2), (2500, 1)])
def test_every_rendition_has_exactly_its_size_and_nothing_but_pixels(
    name: str, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    source = to_master(picture(*size, exif=exif), max_pixels=50_000_000).content
    made = opened(pad(source, RENDITIONS[name], ROOMY))
    assert (made.format, made.mode) == ("JPEG", "RGB")
    assert made.size == (RENDITIONS[name].width, RENDITIONS[name].height)
    assert made.info.get("progressive") == 1
    assert not made.getexif()
    assert "icc_profile" not in made.info


def test_the_whole_picture_is_seen() -> None:
    image = Image.new("RGB", (1600, 800), "white")
    for number, corner in enumerate([(0, 0), (1400, 0), (0, 600), (1400, 600)]):
        image.paste(
            ["red", "green", "blue", "black"][number], (*corner, corner[0] + 200, corner[1] + 200)
        )
    made = opened(pad(master_of(image), SQUARE, ROOMY))
    assert is_near(colour(made, 20, 290), (255, 0, 0))
    assert is_near(colour(made, 1060, 290), (0, 128, 0))
    assert is_near(colour(made, 20, 790), (0, 0, 255))
    assert is_near(colour(made, 1060, 790), (0, 0, 0))
    assert is_near(colour(made, 540, 20), (255, 255, 255))


def test_a_studio_ground_goes_on_and_a_busy_edge_is_set_on_white() -> None:
    studio = Image.new("RGB", (1000, 500), (214, 205, 196))
    studio.paste("navy", (300, 100, 700, 400))
    made = opened(pad(master_of(studio), SQUARE, ROOMY))
    assert is_near(colour(made, 5, 5), (214, 205, 196))
    assert is_near(colour(made, 540, 1070), (214, 205, 196))
    busy = opened(pad(master_of(noise(1000, 500)), SQUARE, ROOMY))
    assert is_near(colour(busy, 5, 5), (255, 255, 255))


def test_only_the_edges_that_meet_the_filling_count() -> None:
    image = Image.new("RGB", (500, 1000), (214, 205, 196))
    image.paste("black", (100, 800, 400, 1000))  # stands on the lower edge
    made = opened(pad(master_of(image), SQUARE, ROOMY))
    assert is_near(colour(made, 5, 540), (214, 205, 196))
    image.paste("black", (400, 200, 500, 600))  # touches the right one
    made = opened(pad(master_of(image), SQUARE, ROOMY))
    assert is_near(colour(made, 5, 540), (255, 255, 255))


def test_what_is_transparent_becomes_white() -> None:
    image = Image.new("RGBA", (900, 600), (0, 0, 0, 0))
    image.paste((200, 30, 30, 255), (300, 200, 600, 400))
    made = opened(pad(master_of(image), SQUARE, ROOMY))
    assert is_near(colour(made, 5, 5), (255, 255, 255))
    assert is_near(colour(made, 200, 540), (255, 255, 255))
    assert is_near(colour(made, 540, 540), (200, 30, 30))


def test_a_small_picture_is_enlarged_twofold_at_most() -> None:
    made = opened(
        pad(master_of(Image.new("RGB", (100, 80), "red")), Rendition("any", 600, 600), ROOMY)
    )
    assert made.getcolors(maxcolors=2**24) is not None
    red = made.convert("L").point(lambda value: 255 if value < 200 else 0).getbbox()
    assert red == (0, 0, 600, 600)  # one colour to the edge, so the ground has it too
    framed = Image.new("RGB", (100, 80), "white")
    framed.paste("red", (2, 2, 98, 78))
    made = opened(pad(master_of(framed), Rendition("any", 600, 600), ROOMY))
    box = made.getchannel("G").point(lambda value: 255 if value < 128 else 0).getbbox()
    assert box is not None
    assert (box[2] - box[0], box[3] - box[1]) == (192, 152)


@pytest.fixture(scope="module")
def all_noise() -> bytes:
    return master_of(noise(1080, 1920))


@pytest.mark.parametrize("kb", STEPS_KB)
def test_a_picture_of_pure_noise_stays_under_every_cap(kb: int, all_noise: bytes) -> None:
    made = pad(all_noise, RENDITIONS["vertical"], kb * 1000)
    assert len(made) <= kb * 1000
    assert opened(made).size == (1080, 1920)


def test_quality_is_given_up_only_as_far_as_needed(all_noise: bytes) -> None:
    plain = to_master(picture(1200, 1200), max_pixels=50_000_000).content
    assert pad(plain, SQUARE, 250_000) == pad(plain, SQUARE, ROOMY)
    assert len(pad(all_noise, SQUARE, 950_000)) > len(pad(all_noise, SQUARE, 250_000))


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [(250_000, 250), (1_000_000, 950), (4_000_000, 2000), (5_000_000, 5000), (10**9, 8000)],
)
def test_of_the_caps_the_largest_that_fits_is_taken(max_bytes: int, expected: int) -> None:
    assert step_kb(max_bytes) == expected
    links = ImageLinks("https://shop.example", (640,))
    assert links.channel("med_1", "pin", max_bytes) == (
        f"https://shop.example/media/med_1/pin-{expected}.jpg"
    )


def test_a_cap_too_small_for_any_picture_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cap of 1000"):
        step_kb(1000)


_MEASURED = """
import sys
from pathlib import Path
from liveshop.catalog.channel_pictures import pad
from liveshop.catalog.pictures import to_master
from liveshop.connect import RENDITIONS

def most_mb():
    [line] = [one for one in open("/proc/self/status") if one.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

content = Path(sys.argv[1]).read_bytes()
before = most_mb()
master = to_master(content, max_pixels=50_000_000)
for name in ("square", "vertical", "landscape"):
    pad(master.content, RENDITIONS[name], 950_000)
print(master.width, master.height, most_mb() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured on Linux")
@pytest.mark.parametrize(("kind", "most_mb"), [("JPEG", 200), ("PNG", 400)])
def test_a_picture_of_forty_megapixels_becomes_renditions_in_little_memory(
    kind: str, most_mb: int, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    large = noise(80, 50).resize((8000, 5000), Image.Resampling.NEAREST)
    large.save(path, kind, **({"compress_level": 1} if kind == "PNG" else {}))
    told = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(path)], check=True, capture_output=True, text=True
    )
    width, height, grown_mb = map(int, told.stdout.split())
    assert (width, height) == (2560, 1600)
    assert grown_mb < most_mb
