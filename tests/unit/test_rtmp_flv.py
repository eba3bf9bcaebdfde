"""Bodies of tags: what encoders send is taken, what browsers cannot play is refused in words."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rtmp_client import (
    aac_config,
    aac_sound,
    avc_config,
    avc_end,
    avc_picture,
    enhanced_audio,
    enhanced_video,
)

from liveshop.video.ingest.access_units import BadMedia, Picture, Sound, VideoConfig
from liveshop.video.ingest.flv import (
    AudioConfig,
    EndOfSequence,
    parse_audio,
    parse_video,
)
from liveshop.video.model import AacConfig, H264Config, UnsupportedMedia

SPS = bytes.fromhex("6742c00bda0a37e48400000300040000030000f03c50aa80")
"""160x90, of x264."""
PPS = bytes.fromhex("68ce0fc8")
IDR, SLICE, SEI = b"\x65\x88\x84", b"\x41\x9a\x02\x03", b"\x06\x05\x01\x80"


def avcc_of(sps: bytes = SPS, *, length_size: int = 4) -> bytes:
    head = b"\1" + sps[1:4] + bytes((0xFC | length_size - 1, 0xE1))
    return head + struct.pack(">H", len(sps)) + sps + b"\1" + struct.pack(">H", len(PPS)) + PPS


def nal_units(*units: bytes, length_size: int = 4) -> bytes:
    return b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in units)


def test_classic_configuration_is_taken() -> None:
    parsed = parse_video(avc_config(avcc_of()))
    assert parsed == VideoConfig(H264Config(avcc_of(), 160, 90), 4)


def test_enhanced_configuration_is_taken() -> None:
    assert parse_video(enhanced_video(0, avcc_of())) == parse_video(avc_config(avcc_of()))


@pytest.mark.parametrize("composition_ms", [0, 66, -1, 8_388_607, -8_388_608])
def test_pictures_are_taken(composition_ms: int) -> None:
    data = nal_units(SEI, IDR)
    for is_keyframe in (True, False):
        units = data if is_keyframe else nal_units(SLICE, SLICE)
        body = avc_picture(units, is_keyframe=is_keyframe, composition_ms=composition_ms)
        assert parse_video(body) == Picture(composition_ms, is_keyframe, units)
        frame = 1 if is_keyframe else 2
        offset = composition_ms.to_bytes(3, "big", signed=True)
        assert parse_video(enhanced_video(1, offset + units, frame=frame)) == parse_video(body)


def test_pictures_without_an_offset_are_taken() -> None:
    picture = Picture(0, False, nal_units(SLICE))
    assert parse_video(enhanced_video(3, nal_units(SLICE), frame=2)) == picture


@pytest.mark.parametrize("length_size", [1, 2, 3])
def test_short_lengths_become_four_bytes(length_size: int) -> None:
    config = parse_video(avc_config(avcc_of(length_size=length_size)))
    assert config == VideoConfig(H264Config(avcc_of(), 160, 90), length_size)
    data = nal_units(SEI, IDR, SLICE, length_size=length_size)
    picture = parse_video(avc_picture(data, is_keyframe=True), length_size=length_size)
    assert picture == Picture(0, True, nal_units(SEI, IDR, SLICE))


def test_idr_picture_is_a_keyframe_whatever_the_tag_says() -> None:
    picture = parse_video(avc_picture(nal_units(SPS, PPS, IDR), is_keyframe=False))
    assert isinstance(picture, Picture)
    assert picture.is_keyframe


def test_recovery_points_are_keyframes_where_the_tag_says_so() -> None:
    picture = parse_video(avc_picture(nal_units(SEI, SLICE), is_keyframe=True))
    assert isinstance(picture, Picture)
    assert picture.is_keyframe


@pytest.mark.parametrize("body", [avc_end(), enhanced_video(2, b"")])
def test_end_of_the_sequence_is_heard(body: bytes) -> None:
    assert parse_video(body) == EndOfSequence()


@pytest.mark.parametrize(
    "body",
    [
        b"\x57\0",  # seek begins, for servers only
        b"\x57\1\0\0\0",
        avc_config(b""),
        avc_picture(b"", is_keyframe=False),
        avc_picture(nal_units(SPS, PPS), is_keyframe=True),  # no slice: no picture
        avc_picture(nal_units(SEI), is_keyframe=False),
        b"\x17\3\0\0\0",
        enhanced_video(4, b"\2\0\x09colorInfo"),
        enhanced_video(5, b"anything"),  # MPEG-2 TS start: AV1's
        enhanced_video(1, b"\0", frame=5),
        b"\xd1\0",  # an enhanced command, without a FourCC
    ],
)
def test_what_shows_nothing_is_passed_over(body: bytes) -> None:
    assert parse_video(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x17",
        b"\x17\1\0\0",
        avc_config(b"\1"),
        avc_config(avcc_of()[:-1]),
        avc_config(avcc_of(b"\x67\x42\xc0\x0b")),
        avc_picture(b"\0\0\0", is_keyframe=True),
        avc_picture(b"\0\0\0\0" + nal_units(IDR), is_keyframe=True),
        avc_picture(nal_units(IDR)[:-1], is_keyframe=True),
        avc_picture(nal_units(IDR) + b"\0", is_keyframe=True),
        avc_picture(b"\xff\xff\xff\xff" + IDR, is_keyframe=True),
        avc_picture(nal_units(b"\xe5\x88"), is_keyframe=True),  # forbidden_zero_bit
        avc_picture(b"\0\0\0\1" + IDR + b"\0\0\0\1" + SLICE, is_keyframe=True),  # start codes
        avc_picture(nal_units(SLICE) * 2049, is_keyframe=True),
        b"\x90",
        b"\x90avc",
        b"\x91avc1\0\0",
        b"\x97",
        b"\x97\xff\0",
        b"\x97\0\0",
        b"\x97" + b"\0\0\7" * 1000 + b"\0\0\1avc1\0\0\0",
    ],
)
def test_broken_pictures_are_refused(body: bytes) -> None:
    with pytest.raises(BadMedia):
        parse_video(body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\x1c\0\0\0\0\1", "HEVC"),
        (b"\x1d\0\0\0\0\1", "AV1"),
        (b"\x14", "VP6"),
        (b"\x12\0\0", "H.263"),
        (b"\x18\0\0", "not known"),
        (enhanced_video(0, b"\1", fourcc=b"hvc1"), "HEVC"),
        (enhanced_video(3, b"\1", fourcc=b"av01"), "AV1"),
        (enhanced_video(0, b"\1", fourcc=b"vp09"), "VP9"),
        (enhanced_video(0, b"\1", fourcc=b"xxxx"), "not known"),
    ],
)
def test_other_codecs_are_refused_in_words(body: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia, match=r"Choose H\.264") as raised:
        parse_video(body)
    assert name in raised.value.detail


@pytest.mark.parametrize(
    ("profile", "chroma", "depth", "said"),
    [(122, 2, 8, "4:2:2 in 8"), (110, 1, 10, "4:2:0 in 10"), (244, 3, 8, "4:4:4 in 8")],
)
def test_colours_browsers_cannot_show_are_refused_in_words(
    profile: int, chroma: int, depth: int, said: str
) -> None:
    def ue(value: int) -> str:
        digits = format(value + 1, "b")
        return "0" * (len(digits) - 1) + digits

    bits = ue(0) + ue(chroma) + ("0" if chroma == 3 else "") + ue(depth - 8) * 2 + "00"
    bits += ue(0) + ue(2) + ue(1) + "0" + ue(9) + ue(9) + "11001"
    bits += "0" * (-len(bits) % 8)
    tail = bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))
    sps = bytes((0x67, profile, 0, 30)) + tail
    with pytest.raises(UnsupportedMedia, match="NV12") as raised:
        parse_video(avc_config(avcc_of(sps)))
    assert said in raised.value.detail


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (parse_video, enhanced_video(6, b"")),
        (parse_video, b"\x97\0\0\x06\x01avc1"),
        (parse_audio, enhanced_audio(5, b"")),
    ],
)
def test_several_tracks_are_refused_in_words(parse: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="Turn that off"):
        parse(body)


@pytest.mark.parametrize("size", [1, 3, 255, 256, 300, 65536])
def test_modifiers_are_passed_over(size: int) -> None:
    length = bytes((size - 1,)) if size < 256 else b"\xff" + (size - 1).to_bytes(2, "big")
    modifier = length + bytes(size)
    plain = nal_units(SLICE)
    assert parse_video(b"\xa7" + modifier + b"\x03avc1" + plain) == Picture(0, False, plain)
    twice = modifier + b"\x17" + modifier + b"\x01mp4a"
    assert parse_audio(b"\x97" + twice + b"abc") == Sound(b"abc")


# Sound


@pytest.mark.parametrize("wrap", [aac_config, lambda data: enhanced_audio(0, data)])
@pytest.mark.parametrize("specific", ["1190", "1210", "119056e500", "2b920800", "eb09"])
def test_sound_configurations_are_taken(wrap: Callable[[bytes], bytes], specific: str) -> None:
    data = bytes.fromhex(specific)
    assert parse_audio(wrap(data)) == AudioConfig(AacConfig(data))


@pytest.mark.parametrize("body", [aac_sound(b"\x21\x10"), enhanced_audio(1, b"\x21\x10")])
def test_sound_is_taken(body: bytes) -> None:
    assert parse_audio(body) == Sound(b"\x21\x10")


@pytest.mark.parametrize(
    "body",
    [
        aac_config(b""),
        aac_sound(b""),
        b"\xaf\2abc",
        enhanced_audio(2, b""),
        enhanced_audio(4, b"\1\2\0\0\0\3"),  # names its channels
    ],
)
def test_what_sounds_like_nothing_is_passed_over(body: bytes) -> None:
    assert parse_audio(body) is None


@pytest.mark.parametrize("body", [b"", b"\xaf", b"\x90", b"\x91mp4", b"\x97\xff"])
def test_broken_sound_is_refused(body: bytes) -> None:
    with pytest.raises(BadMedia):
        parse_audio(body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\x2f\0", "MP3"),
        (b"\xb2\0", "Speex"),
        (b"\x3e\0", "uncompressed"),
        (b"\xf0\0", "not known"),
        (enhanced_audio(0, b"\0", fourcc=b"Opus"), "Opus"),
        (enhanced_audio(1, b"\0", fourcc=b".mp3"), "MP3"),
        (enhanced_audio(1, b"\0", fourcc=b"xxxx"), "not known"),
        (aac_config(b"\x09\x90"), "kind of AAC"),  # AAC Main
        (aac_config(b"\x11\x94"), "kind of AAC"),  # frames of 960 samples
        (aac_config(b"\x11\x80"), "channel layout"),
        (aac_config(b"\x17\x90"), "sample rate"),
        (aac_config(b"\x11"), "configuration"),
        (aac_config(b"\x11\x90" + bytes(200)), "configuration"),
    ],
)
def test_other_sound_is_refused_in_words(body: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia, match="Choose AAC") as raised:
        parse_audio(body)
    assert name in raised.value.detail


# Garbage


def _harmless(body: bytes, length_size: int) -> None:
    try:
        seen = parse_video(body, length_size=length_size)
    except (BadMedia, UnsupportedMedia):
        seen = None
    if isinstance(seen, Picture):
        position, count = 0, 0
        while position < len(seen.data):
            length = int.from_bytes(seen.data[position : position + 4], "big")
            assert length > 0
            position += 4 + length
            count += 1
        assert position == len(seen.data)
        assert count > 0
    try:
        parse_audio(body)
    except (BadMedia, UnsupportedMedia):
        return


heads = st.sampled_from(
    [b"", b"\x17\0\0\0\0", b"\x17\1\0\0\0", b"\x90avc1", b"\x93avc1", b"\x97", b"\xaf\0", b"\xaf\1"]
)


@settings(deadline=None)
@given(heads, st.binary(max_size=120), st.integers(1, 4))
@example(b"\x17\1\0\0\0", nal_units(IDR, SLICE), 4)
def test_garbage_is_refused_or_read(head: bytes, garbage: bytes, length_size: int) -> None:
    _harmless(head + garbage, length_size)


@settings(deadline=None)
@given(
    st.sampled_from(
        [
            avc_config(avcc_of()),
            enhanced_video(0, avcc_of()),
            avc_picture(nal_units(SEI, IDR, SLICE), is_keyframe=True),
            enhanced_video(1, b"\0\0\0" + nal_units(SEI, IDR)),
            aac_config(b"\x11\x90V\xe5\0"),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    st.integers(0, 60),
)
def test_damage_is_refused_or_read(
    body: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(body)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    _harmless(bytes(damaged[:length]), 4)
