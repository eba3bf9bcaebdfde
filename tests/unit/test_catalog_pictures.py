"""Pictures: what is taken, what is refused before it is decoded, what of it is kept."""

import io
import struct
import zlib

import pytest
from catalog_builders import picture
from PIL import Image

from liveshop.catalog.import_merge import SeenIds
from liveshop.catalog.model import ImageTooLarge, NotAnImage
from liveshop.catalog.pictures import render, to_master, widths_of
from liveshop.web.outgoing import is_public

PIXELS = 1_000_000


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_the_four_formats_are_taken_by_what_they_are(kind: str) -> None:
    master = to_master(picture(kind=kind), max_pixels=PIXELS)
    assert (master.extension, master.width, master.height) == ("jpg", 320, 240)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"\0\0\0\x1cftypavif",
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        to_master(content, max_pixels=PIXELS)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(NotAnImage):
        to_master(picture(kind=kind), max_pixels=PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_cut_short_is_refused(kind: str) -> None:
    whole = picture(900, 900, kind=kind)
    with pytest.raises(NotAnImage, match="damaged"):
        to_master(whole[: len(whole) // 2], max_pixels=PIXELS)


@pytest.mark.parametrize(
    "size", [(2000, 2000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_refused_by_the_size_it_declares(size: tuple[int, int]) -> None:
    with pytest.raises((ImageTooLarge, NotAnImage)) as caught:
        to_master(png_header(*size), max_pixels=PIXELS)
    assert caught.type is ImageTooLarge or size[0] > 10**6


def test_the_camera_s_orientation_is_applied_and_its_data_are_gone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010F] = "Secret Camera"
    master = to_master(picture(400, 200, exif=exif), max_pixels=PIXELS)
    assert (master.width, master.height) == (200, 400)
    assert b"Secret" not in master.content
    assert not opened(master.content).getexif()


def test_bytes_behind_the_picture_are_gone() -> None:
    master = to_master(picture() + b"<script>alert(1)</script>", max_pixels=PIXELS)
    assert b"script" not in master.content


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_way_of_storing_colours_comes_out_plain(mode: str) -> None:
    master = to_master(picture(kind="PNG", mode=mode), max_pixels=PIXELS)
    assert (master.extension, opened(master.content).mode) == ("jpg", "RGB")


def test_transparency_is_kept() -> None:
    image = Image.new("RGBA", (40, 40), (200, 0, 0, 128))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    master = to_master(buffer.getvalue(), max_pixels=PIXELS)
    assert opened(master.content).getpixel((20, 20)) == (200, 0, 0, 128)
    for extension in ("avif", "webp"):
        made = opened(render(master.content, width=40, extension=extension))
        assert made.mode == "RGBA"


def test_a_cmyk_jpeg_comes_out_in_screen_colours() -> None:
    master = to_master(picture(mode="CMYK"), max_pixels=PIXELS)
    assert opened(master.content).mode == "RGB"


def test_sixteen_bits_a_pixel_are_scaled_not_cut_off() -> None:
    grey = Image.new("I;16", (8, 8), 32_768)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG")
    shade = opened(to_master(buffer.getvalue(), max_pixels=PIXELS).content).getpixel((4, 4))
    assert isinstance(shade, tuple)
    assert abs(shade[0] - 128) < 4


def test_a_large_picture_is_kept_at_a_size_that_screens_need() -> None:
    master = to_master(picture(4000, 2000), max_pixels=10_000_000)
    assert (master.width, master.height) == (2560, 1280)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (100, [100]),
        (160, [160]),
        (200, [160, 200]),
        (640, [160, 320, 640]),
        (700, [160, 320, 640, 700]),
        (1280, [160, 320, 640, 1280]),
        (2560, [160, 320, 640, 1280]),
    ],
)
def test_renditions_are_never_wider_than_the_picture(width: int, expected: list[int]) -> None:
    assert widths_of(width, (160, 320, 640, 1280)) == expected


@pytest.mark.parametrize(
    ("extension", "kind"), [("avif", "AVIF"), ("webp", "WEBP"), ("jpg", "JPEG")]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_rendition_has_the_width_asked_for(extension: str, kind: str, mode: str) -> None:
    master = to_master(picture(900, 600, kind="PNG", mode=mode), max_pixels=PIXELS)
    made = opened(render(master.content, width=300, extension=extension))
    assert (made.format, made.size) == (kind, (300, 200))


def test_what_is_transparent_becomes_white_where_the_format_knows_no_transparency() -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    master = to_master(buffer.getvalue(), max_pixels=PIXELS)
    made = opened(render(master.content, width=40, extension="jpg"))
    assert made.getpixel((20, 20)) == (255, 255, 255)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "192.0.2.1",
        "2001:db8::1",
        "localhost",
        "",
    ],
)
def test_addresses_inside_are_told_from_those_outside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_seen_ids_are_remembered_in_little_memory() -> None:
    seen = SeenIds()
    assert all(seen.add(f"id-{number}") for number in range(20_000))
    assert not any(seen.add(f"id-{number}") for number in range(20_000))
    assert "id-19999" in seen
    assert "id-20000" not in seen
