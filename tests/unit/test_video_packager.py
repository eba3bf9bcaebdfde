"""Segments, numbers, times and tags, from synthetic samples: no clock, no network, no codec."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_builders import demux, of_track

from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    NoSuchSegment,
    NoVideo,
    Sample,
    Track,
)
from liveshop.video.packager import Packager, PackagerLimits

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
VIDEO = H264Config(
    bytes.fromhex("0164001fffe100196764001facd9405005bb016a02020280000003008000001e478c18cb"
                  "01000568efbcb000"),
    1280,
    720,
)  # fmt: skip
SMALL_VIDEO = H264Config(VIDEO.avcc, 640, 360)
AUDIO = AacConfig(bytes.fromhex("1190"))


def pictures(
    seconds: float, *, rate: int = 30, keyframe_every: int = 30, size: int = 100, start: int = 0
) -> Iterator[Sample]:
    step = 90_000 // rate
    for index in range(start * rate, start * rate + round(seconds * rate)):
        dts = index * step
        is_keyframe = index % keyframe_every == 0
        yield Sample(Track.VIDEO, dts, dts, step, is_keyframe, bytes([index % 256]) * size)


def sounds(seconds: float, *, start: int = 0) -> Iterator[Sample]:
    first = -(-start * 48_000 // 1024)
    for index in range(first, -(-round((start + seconds) * 48_000) // 1024)):
        dts = index * 1024
        yield Sample(Track.AUDIO, dts, dts, 1024, True, index.to_bytes(4, "big"))


def interleaved(*tracks: Iterable[Sample]) -> list[Sample]:
    scales = {Track.VIDEO: 90_000, Track.AUDIO: 48_000}
    return sorted((s for track in tracks for s in track), key=lambda s: s.dts / scales[s.track])


def playing(seconds: float, *, limits: PackagerLimits | None = None) -> Packager:
    packager = Packager(first_number=100, limits=limits)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(interleaved(pictures(seconds), sounds(seconds)), origin=ORIGIN)
    return packager


def listed(packager: Packager) -> m3u8.M3U8:
    return m3u8.loads(packager.playlist())


def segment_samples(packager: Packager, number: int) -> list[Sample]:
    init_number = packager.segment(number).entry.init_number
    return demux(packager.init(init_number) + packager.segment(number).data)


def test_segments_are_a_second_long_and_start_with_a_keyframe() -> None:
    packager = playing(5.1)
    playlist = listed(packager)
    assert [segment.duration for segment in playlist.segments] == [1.0] * 5
    for number in range(100, 105):
        assert of_track(segment_samples(packager, number), Track.VIDEO)[0].is_keyframe


def test_playlist_names_every_segment_with_its_wall_time() -> None:
    playlist = listed(playing(5.1))
    assert playlist.target_duration == 1
    assert playlist.media_sequence == 100
    assert [segment.uri for segment in playlist.segments] == [
        f"segment-{number}.m4s" for number in range(100, 105)
    ]
    assert [segment.program_date_time for segment in playlist.segments] == [
        ORIGIN + timedelta(seconds=second) for second in range(5)
    ]
    assert playlist.segments[0].init_section.uri == "init-100.mp4"
    assert not playlist.is_endlist


def test_no_sample_is_lost_or_repeated_over_segments() -> None:
    packager = playing(6.1)
    sent = interleaved(pictures(6), sounds(6))
    read = [sample for number in range(100, 106) for sample in segment_samples(packager, number)]
    for track in Track:
        assert of_track(read, track) == of_track(sent, track)


def test_sound_of_a_segment_never_starts_before_its_picture() -> None:
    packager = playing(6.1)
    for number in range(100, 106):
        samples = segment_samples(packager, number)
        picture, sound = (of_track(samples, track)[0] for track in Track)
        assert 0 <= sound.dts / 48_000 - picture.dts / 90_000 < 1024 / 48_000


def test_short_groups_of_pictures_are_gathered_to_a_second() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(4.1, keyframe_every=10), origin=ORIGIN)
    assert [segment.duration for segment in listed(packager).segments] == [1.0] * 4


@given(
    groups=st.lists(st.integers(1, 90), min_size=1, max_size=20),
    rate=st.sampled_from([15, 24, 25, 30, 50, 60]),
)
def test_whatever_the_keyframes_no_segment_is_longer_than_promised(
    groups: list[int], rate: int
) -> None:
    packager = Packager(first_number=0, limits=PackagerLimits(window=10_000))
    packager.begin_run(VIDEO, None)
    step = 90_000 // rate
    sent: list[Sample] = []
    for group in groups:
        for index in range(group):
            dts = len(sent) * step
            sent.append(Sample(Track.VIDEO, dts, dts, step, index == 0, b"x"))
    packager.add(sent, origin=ORIGIN)
    packager.end()
    playlist = listed(packager)
    assert all(round(segment.duration) <= playlist.target_duration for segment in playlist.segments)
    read = [
        sample
        for number in range(len(playlist.segments))
        for sample in segment_samples(packager, number)
    ]
    assert read == sent


def test_first_segment_waits_for_a_keyframe_and_takes_the_sound_from_there() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    late = interleaved(list(pictures(3.2))[10:], list(sounds(3.2))[16:])
    packager.add(late, origin=ORIGIN)
    assert listed(packager).segments[0].program_date_time == ORIGIN + timedelta(seconds=1)
    picture, sound = (of_track(segment_samples(packager, 0), track)[0] for track in Track)
    assert picture.dts == 90_000
    assert sound.dts >= 48_000


def test_new_publisher_makes_a_discontinuity_and_a_new_init_section() -> None:
    packager = playing(2.5)
    packager.begin_run(SMALL_VIDEO, None)
    taken_over_at = ORIGIN + timedelta(seconds=2.5)
    packager.add(pictures(2.1), origin=taken_over_at)
    playlist = listed(packager)
    assert [segment.discontinuity for segment in playlist.segments] == [
        False, False, False, True, False,
    ]  # fmt: skip
    assert [segment.duration for segment in playlist.segments] == [1.0, 1.0, 0.5, 1.0, 1.0]
    assert [segment.init_section.uri for segment in playlist.segments] == (
        ["init-100.mp4"] * 3 + ["init-101.mp4"] * 2
    )
    assert playlist.segments[3].program_date_time == taken_over_at
    assert b"\x02\x80\x01\x68" in packager.init(101)  # 640 x 360
    assert segment_samples(packager, 103) == list(pictures(1))


def test_discontinuities_that_left_the_playlist_are_counted() -> None:
    packager = playing(2.1, limits=PackagerLimits(window=4, retained=3))
    seen: dict[int, int] = {}
    for run in range(5):
        packager.begin_run(VIDEO, None)
        packager.add(pictures(3.1), origin=ORIGIN + timedelta(seconds=10 * run))
        playlist = listed(packager)
        discontinuity = playlist.discontinuity_sequence
        for segment in playlist.segments:
            number = int(segment.uri.removeprefix("segment-").removesuffix(".m4s"))
            discontinuity += segment.discontinuity
            assert seen.setdefault(number, discontinuity) == discontinuity


def test_memory_and_playlist_stay_bounded_over_an_hour() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    highest = 0
    for second in range(3600):
        packager.add(pictures(1, start=second, size=10_000), origin=ORIGIN)
        highest = max(highest, packager.byte_count)
    playlist = listed(packager)
    assert len(playlist.segments) == 8
    assert playlist.media_sequence == 3599 - 8
    assert highest < (8 + 9 + 1) * 31 * 10_000


def test_segments_outlive_the_playlist_for_its_length_and_then_go() -> None:
    packager = playing(20.1)
    assert listed(packager).media_sequence == 112
    assert packager.segment(103).entry.number == 103
    for number in (102, 120, -1, 10**12):
        with pytest.raises(NoSuchSegment):
            packager.segment(number)


def test_init_sections_go_with_their_last_segment() -> None:
    packager = playing(3.1)
    packager.begin_run(SMALL_VIDEO, None)
    packager.add(pictures(16.1), origin=ORIGIN)
    assert packager.init(100)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(18.1), origin=ORIGIN)
    for number in (100, 101, 103):
        with pytest.raises(NoSuchSegment):
            packager.init(number)
    assert packager.init(102)


def test_publishers_that_send_nothing_leave_nothing() -> None:
    packager = playing(2.1)
    for _ in range(100):
        packager.begin_run(VIDEO, None)
    packager.add(pictures(1.1), origin=ORIGIN)
    assert [segment.discontinuity for segment in listed(packager).segments] == [
        False, False, False, True,
    ]  # fmt: skip
    with pytest.raises(NoSuchSegment):
        packager.init(150)


def test_end_of_the_show_closes_the_playlist() -> None:
    packager = playing(2.5)
    packager.end()
    playlist = listed(packager)
    assert playlist.is_endlist
    assert playlist.segments[-1].duration == pytest.approx(0.5)


def test_nothing_to_play_is_said_so() -> None:
    with pytest.raises(NoVideo):
        playing(0.5).playlist()


def test_wall_time_follows_the_origin_known_when_a_segment_starts() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(2), origin=ORIGIN)
    corrected = ORIGIN - timedelta(milliseconds=246)
    packager.add(pictures(2.1, start=2), origin=corrected)
    assert [segment.program_date_time for segment in listed(packager).segments] == [
        ORIGIN,
        ORIGIN + timedelta(seconds=1),
        corrected + timedelta(seconds=2),
        corrected + timedelta(seconds=3),
    ]


@pytest.mark.parametrize("start", [0, 1, 5])
def test_timestamps_that_jump_or_run_backwards_are_refused(start: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(pictures(2), origin=ORIGIN)
    with pytest.raises(BrokenTimestamps):
        packager.add(pictures(1, start=start), origin=ORIGIN)
    packager.finish_run()
    assert len(listed(packager).segments) == 2


def test_sound_without_picture_is_refused_before_it_fills_the_memory() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(pictures(1), origin=ORIGIN)
    with pytest.raises(BrokenTimestamps):
        packager.add(sounds(60), origin=ORIGIN)


def test_sound_that_was_not_announced_is_refused() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    with pytest.raises(BrokenTimestamps):
        packager.add(sounds(1), origin=ORIGIN)


def test_hole_in_the_picture_does_not_stretch_a_segment_past_the_target() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    step = 40_000  # pictures of a third of a second, then 0.44 s of nothing
    packager.add(
        [
            Sample(Track.VIDEO, dts, dts, step - 10_000, dts == 0, b"x")
            for dts in (0, step, 2 * step, 3 * step + 30_000, 4 * step + 30_000)
        ],
        origin=ORIGIN,
    )
    packager.end()
    durations = [segment.duration for segment in listed(packager).segments]
    assert len(durations) > 1
    assert max(durations) < 1.5


@pytest.mark.parametrize("duration", [0, -1, 90_001])
def test_sample_of_no_or_endless_duration_is_refused(duration: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    with pytest.raises(BrokenTimestamps):
        packager.add([Sample(Track.VIDEO, 0, 0, duration, True, b"x")], origin=ORIGIN)
