"""The size of a picture is what a decoder finds; garbage is refused in words."""

import io
from fractions import Fraction
from functools import cache

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveshop.video.h264 import Sps, parse_avcc, parse_sps, sps_of
from liveshop.video.ingest.access_units import Picture, video_config
from liveshop.video.model import BadTrack


@cache
def encoded_avcc(width: int, height: int, *, pix_fmt: str = "yuv420p", params: str = "") -> bytes:
    """By x264, wrapped by libav's muxer."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.options = {"preset": "ultrafast", "x264-params": params}
        frame = av.VideoFrame(width, height, pix_fmt)
        for plane in frame.planes:  # x264 aborts on what was in memory before
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return container.streams.video[0].codec_context.extradata or b""


@pytest.mark.parametrize(
    ("width", "height"),
    [(160, 90), (1280, 720), (1920, 1080), (640, 360), (720, 1280), (2, 2), (854, 480), (18, 34)],
)
def test_size_is_what_was_encoded(width: int, height: int) -> None:
    sps = sps_of(encoded_avcc(width, height))
    assert (sps.width, sps.height) == (width, height)
    assert (sps.chroma_format, sps.bit_depth) == (1, 8)


def test_interlaced_pictures_have_their_whole_height() -> None:
    sps = sps_of(encoded_avcc(720, 572, params="interlaced=1"))
    assert (sps.width, sps.height) == (720, 572)


@pytest.mark.parametrize(
    ("pix_fmt", "chroma_format", "bit_depth"),
    [("yuv422p", 2, 8), ("yuv444p", 3, 8), ("yuv420p10le", 1, 10), ("gray", 0, 8)],
)
def test_colours_are_told(pix_fmt: str, chroma_format: int, bit_depth: int) -> None:
    sps = sps_of(encoded_avcc(200, 100, pix_fmt=pix_fmt))
    assert (sps.width, sps.height) == (200, 100)
    assert (sps.chroma_format, sps.bit_depth) == (chroma_format, bit_depth)


def record_of(*records: bytes) -> bytes:
    """Their parameter sets in one, as Chromium's encoder leaves them after a change of size."""
    parsed = [parse_avcc(one) for one in records]
    sets = [one for each in parsed for one in each.sequence_sets]
    picture_sets = [one for each in parsed for one in each.picture_sets]

    def said(units: list[bytes]) -> bytes:
        return b"".join(len(one).to_bytes(2, "big") + one for one in units)

    head = records[0][:5] + bytes([0xE0 | len(sets)])
    return head + said(sets) + bytes([len(picture_sets)]) + said(picture_sets)


def test_of_several_sizes_the_one_counts_that_a_keyframe_names() -> None:
    small = encoded_avcc(320, 180, params="sps-id=0")
    large = encoded_avcc(640, 360, params="sps-id=1")
    # The id of the last picture parameter set is the newer one's in either order.
    assert (sps_of(record_of(small, large)).width, sps_of(record_of(large, small)).width) == (
        640,
        320,
    )
    config = video_config(record_of(small, large))
    assert (config.config.width, config.config.height) == (640, 360)
    # First macroblock 0, slice type 7, then the id: 1 0001000 1, 010 or 00110.
    of_small, of_large, of_none = (
        Picture(0, True, bytes.fromhex(f"00000002 0910 00000003 6588{last}"))
        for last in ("80", "40", "30")
    )
    assert (config.config_of(of_small).width, config.config_of(of_large).width) == (320, 640)
    assert config.config_of(of_none) == config.config
    for one in config.choices.values():
        parsed = parse_avcc(one.avcc)
        assert (len(parsed.sequence_sets), len(parsed.picture_sets)) == (1, 1)
        assert one.avcc[1:4] == parsed.sequence_sets[0][1:4]


def test_parts_of_the_record_are_found() -> None:
    avcc = parse_avcc(bytes.fromhex("01 64001f fe e2 0004 67640001 0003 670102 01 0002 68ee fd"))
    assert avcc.length_size == 3
    assert avcc.sequence_sets == (bytes.fromhex("67640001"), bytes.fromhex("670102"))
    assert avcc.picture_sets == (bytes.fromhex("68ee"),)


@pytest.mark.parametrize(
    "avcc",
    [
        "",
        "01 64001f ff",
        "00 64001f ff e1 0004 67640001 01 0002 68ee",
        "01 64001f ff e0 01 0002 68ee",  # no SPS
        "01 64001f ff e1 0004 67640001 00",  # no PPS
        "01 64001f ff e1 0004 67640001",
        "01 64001f ff e1 0004 67640001 01",
        "01 64001f ff e1 0004 67640001 01 0003 68ee",
        "01 64001f ff e1 ffff 67640001 01 0002 68ee",
        "01 64001f ff e1 0000 01 0002 68ee",
        "01 64001f ff e1 0004 68640001 01 0002 68ee",  # a PPS where an SPS is due
        "01 64001f ff e1 0004 67640001 01 0002 67ee",
        "01 64001f ff ff 0004 67640001 01 0002 68ee",
    ],
)
def test_broken_records_are_refused(avcc: str) -> None:
    with pytest.raises(BadTrack):
        parse_avcc(bytes.fromhex(avcc))


class Bits:
    """Writes what an SPS is made of."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> "Bits":
        self.text += format(value, f"0{count}b") if count else ""
        return self

    def ue(self, *values: int) -> "Bits":
        for value in values:
            digits = format(value + 1, "b")
            self.text += "0" * (len(digits) - 1) + digits
        return self

    def se(self, *values: int) -> "Bits":
        return self.ue(*(2 * v - 1 if v > 0 else -2 * v for v in values))

    def nal_unit(self) -> bytes:
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        return b"\x67" + bytes(int(text[n : n + 8], 2) for n in range(0, len(text), 8))


def test_picture_order_of_type_one_is_passed_over() -> None:
    bits = Bits().u(8, 66).u(8, 0).u(8, 30).ue(0, 4)
    bits.ue(1).u(1, 0).se(-3, 7).ue(3).se(1, -2, 300)
    bits.ue(1).u(1, 0).ue(19, 10).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    assert parse_sps(bits.nal_unit()) == Sps(66, 30, 320, 176, 1, 8)


@pytest.mark.parametrize("chroma", [1, 3])
def test_scaling_lists_are_passed_over(chroma: int) -> None:
    bits = Bits().u(8, 244).u(8, 0).u(8, 40).ue(0, chroma)
    if chroma == 3:
        bits.u(1, 0)  # not in planes apart
    bits.ue(2, 0).u(1, 0).u(1, 1)
    count = 12 if chroma == 3 else 8
    bits.u(1, 1).se(*[1] * 16)  # a whole list
    bits.u(1, 1).se(-8)  # one that falls back to the default
    bits.u(1, 1).se(4, -12)  # one that goes on with what it has
    bits.u(3, 0)
    bits.u(1, 1).se(*[1, -1] * 32)
    bits.u(count - 7, 0)
    bits.ue(0, 0, 4, 1).u(1, 0).ue(19, 10).u(1, 1).u(1, 1).u(1, 1).ue(1, 2, 3, 4).u(1, 0)
    unit = 2 if chroma == 1 else 1
    expected = Sps(244, 40, 320 - 3 * unit, 176 - 7 * unit, chroma, 10)
    assert parse_sps(bits.nal_unit()) == expected


def test_planes_apart_are_cropped_by_single_samples() -> None:
    bits = Bits().u(8, 244).u(8, 0).u(8, 40).ue(0, 3).u(1, 1).ue(0, 0).u(1, 0).u(1, 0)
    bits.ue(0, 2, 1).u(1, 0).ue(1, 1).u(1, 1).u(1, 1).u(1, 1).ue(0, 1, 0, 1).u(1, 0)
    sps = parse_sps(bits.nal_unit())
    assert (sps.width, sps.height) == (31, 31)


def test_bytes_put_in_against_start_codes_are_taken_out() -> None:
    # 00 00 01 may not stand in a NAL unit: 00 00 03 01 does.
    plain = Bits().u(8, 66).u(8, 0).u(8, 0).ue(127, 0, 2, 1).u(1, 0).ue(3, 3)
    plain.u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    unit = plain.nal_unit()
    assert unit[2:5] == b"\0\0\1"
    escaped = unit[:4] + b"\3" + unit[4:]
    assert parse_sps(escaped) == parse_sps(unit) == Sps(66, 0, 64, 64, 1, 8)


@pytest.mark.parametrize(
    "bits",
    [
        Bits(),
        Bits().u(8, 66).u(8, 0).u(8, 30),
        Bits().u(8, 66).u(8, 0).u(8, 30).u(40, 0),  # a number without an end
        Bits().u(8, 66).u(8, 0).u(8, 30).ue(0, 13),  # log2_max_frame_num
        Bits().u(8, 66).u(8, 0).u(8, 30).ue(0, 0, 3),  # pic_order_cnt_type
        Bits().u(8, 100).u(8, 0).u(8, 30).ue(0, 4),  # chroma_format_idc
        Bits().u(8, 66).u(8, 0).u(8, 30).ue(0, 0, 2, 1).u(1, 0).ue(5000, 3),
        # Cropped to nothing
        Bits().u(8, 66).u(8, 0).u(8, 30).ue(0, 0, 2, 1).u(1, 0).ue(0, 0).u(3, 7).ue(4, 4, 0, 0),
    ],
)
def test_broken_parameter_sets_are_refused(bits: Bits) -> None:
    with pytest.raises(BadTrack):
        parse_sps(bits.nal_unit())


@pytest.mark.parametrize("nal_unit", [b"", b"\x67", b"\x68\x42\0\x1e\xff", b"\x67" + bytes(5000)])
def test_other_units_are_refused(nal_unit: bytes) -> None:
    with pytest.raises(BadTrack):
        parse_sps(nal_unit)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_refused_or_read(garbage: bytes) -> None:
    for parse, data in ((parse_sps, b"\x67" + garbage), (sps_of, b"\1" + garbage)):
        try:
            sps = parse(data)
        except BadTrack:
            continue
        assert sps.width > 0
        assert sps.height > 0


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 255), st.integers(0, 80))
def test_damage_is_refused_or_read(position: int, value: int, length: int) -> None:
    damaged = bytearray(encoded_avcc(1920, 1080))
    damaged[position % len(damaged)] = value
    try:
        sps = sps_of(bytes(damaged[:length]))
    except BadTrack:
        return
    assert 0 < sps.width <= 65536
    assert 0 < sps.height <= 2 * 65536
