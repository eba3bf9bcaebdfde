"""What the MP4 writer writes, another demuxer reads back unchanged."""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_builders import (
    RATE,
    decode_pictures,
    decode_sound,
    demux,
    grey_of,
    make_film_file,
    of_track,
)

from liveshop.video.fmp4 import codecs, fragment, init_segment, segment_type
from liveshop.video.ingest.film import Film, load_film
from liveshop.video.model import AacConfig, BadTrack, H264Config, Sample, Track


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return load_film(make_film_file(tmp_path_factory.mktemp("film") / "film.mp4"))


def _media(film: Film, samples: list[Sample]) -> bytes:
    return init_segment(film.video, film.audio) + fragment(
        1, of_track(samples, Track.VIDEO), of_track(samples, Track.AUDIO)
    )


def test_every_sample_of_both_tracks_is_read_back_unchanged(film: Film) -> None:
    written = list(film.samples)
    read = demux(_media(film, written))
    for track in Track:
        assert of_track(read, track) == of_track(written, track)


def test_fragments_follow_each_other_in_one_stream(film: Film) -> None:
    media = init_segment(film.video, film.audio)
    for second in range(8):
        part = [s for s in of_track(list(film.samples), Track.VIDEO) if s.dts // 90_000 == second]
        media += segment_type() + fragment(second + 1, part, [])
    assert of_track(demux(media), Track.VIDEO) == of_track(list(film.samples), Track.VIDEO)


def test_pictures_decode_to_what_was_encoded(film: Film) -> None:
    pictures = decode_pictures(_media(film, list(film.samples)))
    assert len(pictures) == 8 * RATE
    for index, picture in enumerate(pictures):
        assert abs(picture.grey - grey_of(index)) <= 1
        assert picture.seconds == pytest.approx(index / RATE)


def test_decode_time_of_a_show_that_runs_for_a_month_is_kept(film: Film) -> None:
    start = 30 * 24 * 3600 * 90_000
    sample = film.samples[0]
    late = Sample(Track.VIDEO, start, start, sample.duration, True, sample.data)
    assert demux(_media(film, [late])) == [late]


def test_pictures_may_be_shown_before_and_after_their_decode_time(film: Film) -> None:
    data = film.samples[0].data
    written = [
        Sample(Track.VIDEO, dts, pts, 3000, dts == 9000, data)
        for dts, pts in ((9000, 12000), (12000, 21000), (15000, 15000), (18000, 17000))
    ]
    read = demux(_media(film, written))
    assert [sample.dts for sample in read] == [sample.dts for sample in written]
    # libav moves all of a track with negative offsets by the lowest one.
    assert [sample.pts - 1000 for sample in read] == [sample.pts for sample in written]


def test_picture_only_show_has_one_track(film: Film) -> None:
    media = init_segment(film.video, None) + fragment(1, [film.samples[0]], [])
    assert demux(media) == [film.samples[0]]
    assert codecs(film.video, None) == film.video.codec


def test_sound_alone_has_one_track_that_plays(film: Film) -> None:
    assert film.audio is not None
    sound = of_track(list(film.samples), Track.AUDIO)
    media = init_segment(None, film.audio) + fragment(1, [], sound)
    assert demux(media) == sound
    assert codecs(None, film.audio) == "mp4a.40.2"
    # A tone of 440 Hz for eight seconds, after the encoder's silence.
    waves = list(decode_sound(media))
    assert len(waves) > 7.9 * 48_000
    rises = sum(a < 0 <= b for a, b in pairwise(waves))
    assert rises == pytest.approx(8 * 440, rel=0.02)


def test_an_init_section_of_nothing_is_refused() -> None:
    with pytest.raises(BadTrack):
        init_segment(None, None)
    assert codecs(None, None) == ""


def test_fragments_may_be_numbered_without_end() -> None:
    [(_, moof), _] = boxes(fragment(2**32 + 7, [], [Sample(Track.AUDIO, 0, 0, 1, True, b"x")]))
    [(kind, mfhd), _] = boxes(moof)
    assert (kind, mfhd) == (b"mfhd", struct.pack(">II", 0, 7))


samples = st.builds(
    Sample,
    track=st.just(Track.VIDEO),
    dts=st.integers(0, 2**62),
    pts=st.integers(0, 2**62),
    duration=st.integers(1, 2**31),
    is_keyframe=st.booleans(),
    data=st.binary(max_size=50),
)


@settings(deadline=None)
@given(
    video=st.lists(samples, max_size=20),
    audio=st.lists(st.binary(max_size=70_000), max_size=5),
    number=st.integers(0, 2**64),
)
def test_any_samples_make_boxes_that_add_up(
    video: list[Sample], audio: list[bytes], number: int
) -> None:
    shown = [
        Sample(s.track, s.dts, s.dts + s.pts % 2**30, s.duration, s.is_keyframe, s.data)
        for s in video
    ]
    heard = [Sample(Track.AUDIO, 7, 7, 1024, True, data) for data in audio]
    made = fragment(number, shown, heard)
    [(moof_kind, moof), (mdat_kind, mdat)] = boxes(made)
    assert (moof_kind, mdat_kind) == (b"moof", b"mdat")
    assert mdat == b"".join(s.data for s in (*shown, *heard))
    read = [
        piece for kind, traf in boxes(moof) if kind == b"traf" for piece in samples_of(traf, made)
    ]
    assert read == [s.data for s in (*shown, *heard)]


@given(
    avcc=st.binary(max_size=300),
    specific=st.binary(max_size=120),
    width=st.integers(-1, 2**17),
    height=st.integers(-1, 2**17),
)
def test_any_configuration_is_refused_or_makes_boxes_that_add_up(
    avcc: bytes, specific: bytes, width: int, height: int
) -> None:
    video: H264Config | None = None
    audio: AacConfig | None = None
    for bytes_ in (avcc, b"\x01" + avcc[:4] + b"\x01" + avcc[5:]):
        with suppress(BadTrack):
            video = H264Config(bytes_, width, height)
    with suppress(BadTrack):
        audio = AacConfig(specific)
    if video is None and audio is None:
        return
    kinds = [kind for kind, _ in boxes(init_segment(video, audio))]
    assert kinds == [b"ftyp", b"moov"]
    [moov] = [body for kind, body in boxes(init_segment(video, audio)) if kind == b"moov"]
    traks = [body for kind, body in boxes(moov) if kind == b"trak"]
    assert len(traks) == (video is not None) + (audio is not None)


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and bodies; nothing may be left over."""
    found = []
    while data:
        size, kind = struct.unpack_from(">I4s", data)
        assert 8 <= size <= len(data)
        found.append((kind, data[8:size]))
        data = data[size:]
    return found


def samples_of(traf: bytes, made: bytes) -> Iterator[bytes]:
    """By the sizes and the offset of a `trun`, which counts from the `moof`."""
    [_, _, (kind, trun)] = boxes(traf)
    assert kind == b"trun"
    flags, count, position = struct.unpack_from(">IIi", trun)
    row = struct.Struct(">4I" if flags & 0x800 else ">2I")
    rows = [row.unpack_from(trun, 12 + index * row.size) for index in range(count)]
    assert 12 + count * row.size == len(trun)
    for _, size, *_ in rows:
        yield made[position : position + size]
        position += size


def test_codecs_string_names_profile_and_object_type(film: Film) -> None:
    assert re.fullmatch(r"avc1\.[0-9A-F]{6},mp4a\.40\.2", codecs(film.video, film.audio))
    video = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
    assert video.codec == "avc1.64001F"


def test_sound_configuration_is_read_from_its_bits() -> None:
    audio = AacConfig(bytes.fromhex("1190"))
    assert (audio.sample_rate, audio.channels, audio.codec) == (48_000, 2, "mp4a.40.2")
    assert AacConfig(bytes.fromhex("1210")).sample_rate == 44_100


@pytest.mark.parametrize(
    "avcc", [b"", b"\x00\x00\x00\x01\x67\x64\x00\x1f", b"\x01d\x00\x1f\xff\xe0\x00"]
)
def test_video_without_parameter_sets_is_refused(avcc: bytes) -> None:
    with pytest.raises(BadTrack):
        H264Config(avcc, 1280, 720)


@pytest.mark.parametrize("specific", [b"", b"\x11", b"\x17\x90", b"\x11\x80", bytes(200)])
def test_sound_without_rate_or_channels_is_refused(specific: bytes) -> None:
    with pytest.raises(BadTrack):
        AacConfig(specific)
