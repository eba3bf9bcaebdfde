"""Segments, parts, numbers, times and tags, from synthetic samples: no clock, network or codec."""

from collections.abc import Sequence
from datetime import timedelta

import hls_rules
import m3u8
import pytest
from hls_rules import Playlist, check_delta, check_next, checked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sample_builders import (
    AUDIO,
    ORIGIN,
    SMALL_VIDEO,
    VIDEO,
    Camera,
    interleaved,
    pictures,
    sounds,
)
from video_builders import demux, of_track

from liveshop.video.model import (
    AAC_FRAME_LENGTH,
    AacConfig,
    BadTrack,
    BrokenTimestamps,
    H264Config,
    NoSuchSegment,
    NoVideo,
    Rendition,
    Sample,
    Track,
)
from liveshop.video.packager import Packager, PackagerLimits, Segment

LONG = PackagerLimits(window_seconds=10_000)
"""Forgets nothing."""


def playing(seconds: float, *, limits: PackagerLimits | None = None) -> Packager:
    packager = Packager(first_number=100, limits=limits)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(interleaved(pictures(seconds), sounds(seconds)), origin=ORIGIN)
    return packager


def listed(packager: Packager) -> Playlist:
    m3u8.loads(packager.playlist())
    return checked(packager.playlist())


def segment_samples(packager: Packager, number: int) -> list[Sample]:
    [init] = [s.init for s in listed(packager).segments if s.uri == f"segment-{number}.m4s"]
    init_number = int(init.removeprefix("init-").removesuffix(".mp4"))
    return demux(packager.init(init_number) + packager.segment(number))


def everything(packager: Packager) -> list[Sample]:
    """Of one run, segment by segment."""
    return [
        sample
        for segment in listed(packager).complete
        for sample in segment_samples(packager, segment.msn)
    ]


def watch(packager: Packager, samples: Sequence[Sample]) -> list[Segment]:
    """Send samples one by one and hold every playlist on the way to the rules."""
    before: Playlist | None = None
    completed: list[Segment] = []
    version = packager.version
    for sample in samples:
        completed += packager.add([sample], origin=ORIGIN)
        if packager.version == version or not packager.has_segments:
            continue
        version = packager.version
        after = checked(packager.playlist())
        check_delta(after, checked(packager.playlist(skip=True)))
        if before is not None:
            check_next(before, after)
        before = after
    return completed


# -- what a playlist says


def test_segments_are_a_second_long_and_start_with_a_keyframe() -> None:
    packager = playing(5.1)
    assert [segment.seconds for segment in listed(packager).complete] == [1.0] * 5
    for number in range(100, 105):
        assert of_track(segment_samples(packager, number), Track.VIDEO)[0].is_keyframe


def test_playlist_names_every_segment_with_its_wall_time() -> None:
    playlist = listed(playing(5.1))
    assert playlist.target == 2
    assert playlist.first_msn == 100
    assert [segment.uri for segment in playlist.complete] == [
        f"segment-{number}.m4s" for number in range(100, 105)
    ]
    assert [segment.starts_at for segment in playlist.complete] == [
        ORIGIN + timedelta(seconds=second) for second in range(5)
    ]
    assert playlist.segments[0].init == "init-100.mp4"
    assert not playlist.is_ended


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [(15, 1 / 3), (20, 0.3), (24, 1 / 3), (25, 0.32), (30, 1 / 3), (50, 0.34), (60, 1 / 3)],
)
def test_parts_are_as_many_whole_pictures_as_fit(rate: int, seconds: float) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(2.5, rate=rate, keyframe_every=rate), origin=ORIGIN)
    first, *_ = listed(packager).complete[-1].parts
    assert first.seconds == pytest.approx(seconds, abs=1e-5)
    assert first.is_independent


def test_a_part_is_out_before_the_picture_after_it() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(1.1), origin=ORIGIN)
    before = packager.hint
    packager.add(list(pictures(1.4))[33:39], origin=ORIGIN)
    assert packager.hint == before
    packager.add(list(pictures(1.4))[39:40], origin=ORIGIN)
    assert packager.hint == before + 1
    assert packager.part(before)


def test_a_part_waits_for_its_sound() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(list(pictures(0.34))[:10], origin=ORIGIN)
    packager.add(list(sounds(0.31))[:15], origin=ORIGIN)
    assert packager.hint == 0
    packager.add(list(sounds(0.4))[15:16], origin=ORIGIN)
    assert packager.hint == 1


def _late_sound(seconds: float, late: float) -> list[Sample]:
    arrivals = [(sample.dts / 90_000, sample) for sample in pictures(seconds)]
    arrivals += [(sample.dts / 48_000 + late, sample) for sample in sounds(seconds)]
    return [sample for _, sample in sorted(arrivals, key=lambda arrival: arrival[0])]


@pytest.mark.parametrize("late", [0.02, 0.04, 0.1, 0.25])
def test_parts_hold_their_sound_to_the_end_when_it_comes_after_the_picture(late: float) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(_late_sound(6, late), origin=ORIGIN)
    for segment in listed(packager).complete:
        samples = segment_samples(packager, segment.msn)
        picture, sound = (of_track(samples, track)[-1] for track in Track)
        assert (sound.dts + 1024) / 48_000 >= (picture.dts + 3000) / 90_000


@pytest.mark.parametrize("late", [0.5, 2.0, 60.0])
def test_sound_that_does_not_come_is_not_waited_for(late: float) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    arrived = [s for s in _late_sound(60.5, late) if s.track is Track.VIDEO or late < 60]
    packager.add(arrived, origin=ORIGIN)
    assert listed(packager).segments[-1].msn == 60
    packager.finish_run()
    shown = of_track(everything(packager), Track.VIDEO)
    assert [s.dts for s in shown] == [shown[0].dts + n * 3000 for n in range(len(shown))]
    assert shown[-1].dts == 1814 * 3000


@pytest.mark.parametrize("late", [0.0, 0.04, 0.25])
@pytest.mark.parametrize("count", [5, 9, 100, 151])
def test_a_run_ends_with_its_sound(late: float, count: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(_late_sound(6, late)[:count], origin=ORIGIN)
    packager.finish_run()
    if not packager.has_segments:
        assert late > 0.2
        assert not packager.is_under_way
        return
    assert _late_sound(6, late)[0].data == everything(packager)[0].data
    last = listed(packager).complete[-1].msn
    picture, sound = (of_track(segment_samples(packager, last), track)[-1] for track in Track)
    assert (sound.dts + 2 * 1024) / 48_000 >= (picture.dts + picture.duration) / 90_000
    assert picture.duration == 3000


def test_parts_are_the_segment_in_pieces() -> None:
    packager = playing(3.1)
    for segment in listed(packager).complete[-2:]:
        parts = [
            packager.part(int(part.uri.removeprefix("part-").removesuffix(".m4s")))
            for part in segment.parts
        ]
        assert len(parts) == 3
        assert b"".join(parts) == packager.segment(segment.msn)


def test_hint_is_right_where_a_keyframe_opens_a_segment_early() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    watch(packager, Camera(30, groups=(33, 41, 50, 29)).shoot(20))


def test_no_sample_is_lost_or_repeated_over_segments() -> None:
    packager = playing(6.1)
    sent = interleaved(pictures(6), sounds(6))
    read = everything(packager)
    for track in Track:
        assert of_track(read, track) == of_track(sent, track)


def test_sound_of_a_segment_never_starts_before_its_picture() -> None:
    packager = playing(6.1)
    for number in range(100, 106):
        samples = segment_samples(packager, number)
        picture, sound = (of_track(samples, track)[0] for track in Track)
        assert 0 <= sound.dts / 48_000 - picture.dts / 90_000 < 1024 / 48_000


def test_wall_time_is_that_of_decoding_where_pictures_are_reordered() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    shown_later = [
        Sample(s.track, s.dts, s.dts + 6000, s.duration, s.is_keyframe, s.data)
        for s in pictures(2.1)
    ]
    packager.add(shown_later, origin=ORIGIN)
    assert [segment.starts_at for segment in listed(packager).complete] == [
        ORIGIN,
        ORIGIN + timedelta(seconds=1),
    ]


def test_short_groups_of_pictures_are_gathered_to_a_second() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(4.1, keyframe_every=10), origin=ORIGIN)
    playlist = listed(packager)
    assert [segment.seconds for segment in playlist.complete] == [1.0] * 4
    assert all(part.is_independent for part in playlist.parts)


def test_first_segment_waits_for_a_keyframe_and_takes_the_sound_from_there() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    late = interleaved(list(pictures(3.2))[10:], list(sounds(3.2))[16:])
    packager.add(late, origin=ORIGIN)
    assert listed(packager).segments[0].starts_at == ORIGIN + timedelta(seconds=1)
    picture, sound = (of_track(segment_samples(packager, 0), track)[0] for track in Track)
    assert picture.dts == 90_000
    assert sound.dts >= 48_000


def test_completed_segments_are_handed_over_once() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    assert [s.entry.number for s in packager.add(pictures(2.1), origin=ORIGIN)] == [0, 1]
    packager.begin_run(SMALL_VIDEO, None)
    handed = packager.add(pictures(1.5), origin=ORIGIN)
    assert [(s.entry.number, s.entry.init_number) for s in handed] == [(2, 0), (3, 1)]
    assert [s.entry.number for s in packager.finish_run()] == [4]
    assert packager.end() == []


def test_segments_completed_before_broken_samples_are_not_lost() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    with pytest.raises(BrokenTimestamps):
        packager.add([*pictures(2.1), *pictures(1, start=9)], origin=ORIGIN)
    assert [s.entry.number for s in packager.finish_run()] == [0, 1, 2]


def test_playlist_of_one_version_is_made_once() -> None:
    packager = playing(5.1)
    assert packager.playlist() is packager.playlist()
    other = playing(4.1)
    assert other.report is not None
    first = packager.playlist(reports=[other.report])
    assert packager.playlist(reports=[other.report]) is first
    assert packager.playlist(reports=[other.report]) != packager.playlist()
    for number in range(100):
        report = type(other.report)(Rendition.LOW, number, 0)
        assert f"LAST-MSN={number}," in packager.playlist(reports=[report])


def test_other_renditions_are_reported() -> None:
    packager, other = playing(5.1), Packager(first_number=100, rendition=Rendition.AUDIO)
    assert other.report is None
    other.begin_run(None, AUDIO)
    other.add(sounds(2.4), origin=ORIGIN)
    assert other.report is not None
    text = packager.playlist(skip=True, reports=[other.report])
    assert checked(text).reports == [("../audio/live.m3u8", 102, 0)]


# -- any encoder


cameras = st.builds(
    Camera,
    rate=st.one_of(st.sampled_from([15, 20, 24, 25, 29.97, 30, 50, 59.94, 60]), st.floats(15, 60)),
    groups=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    jitter_ms=st.integers(0, 30),
    drops=st.sampled_from([0.0, 0.0, 0.02, 0.3]),
    seed=st.integers(0, 1000),
)
# Each example is hundreds of playlists: nobody waits for a smaller one.
slow_test = settings(
    deadline=None,
    max_examples=15,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@slow_test
@given(camera=cameras, has_sound=st.booleans())
def test_whatever_the_encoder_every_playlist_keeps_the_rules(
    camera: Camera, has_sound: bool
) -> None:
    shot = camera.shoot(16)
    packager = Packager(first_number=0, limits=LONG)
    packager.begin_run(VIDEO, AUDIO if has_sound else None)
    sent = interleaved(shot, sounds(16)) if has_sound else shot
    completed = watch(packager, sent)
    completed += packager.end()
    playlist = listed(packager)
    assert [s.entry.number for s in completed] == [s.msn for s in playlist.complete]
    read = everything(packager)
    assert of_track(read, Track.VIDEO) == shot
    if has_sound:
        heard = of_track(read, Track.AUDIO)
        first = heard[0].dts // 1024
        assert heard == list(sounds(16))[first : first + len(heard)]
        # Without what came before the first picture, or after the last part.
        assert len(heard) > 15 * 46


@slow_test
@given(
    runs=st.lists(st.tuples(cameras, st.floats(0.01, 5)), min_size=2, max_size=5),
    window_seconds=st.sampled_from([6.0, 20.0]),
)
def test_rules_are_kept_over_publishers_that_come_and_go(
    runs: list[tuple[Camera, float]], window_seconds: float
) -> None:
    packager = Packager(
        first_number=7, first_discontinuity=5, limits=PackagerLimits(window_seconds=window_seconds)
    )
    sound = Packager(first_number=7, rendition=Rendition.AUDIO)
    before = None
    for camera, seconds in runs:
        packager.begin_run(VIDEO, AUDIO)
        sound.begin_run(None, AUDIO)
        sent = interleaved(camera.shoot(seconds), sounds(seconds))
        watch(packager, sent)
        watch(sound, sent)
        packager.finish_run()
        if packager.has_segments:
            after = listed(packager)
            if before is not None:
                check_next(before, after)
            before = after


@slow_test
@given(index=st.integers(0, 12), seconds=st.floats(1.5, 8), lost=st.sets(st.integers(0, 300)))
def test_sound_alone_keeps_the_rules_at_every_sample_rate(
    index: int, seconds: float, lost: set[int]
) -> None:
    audio = AacConfig(bytes([0x10 | index >> 1, (index & 1) << 7 | 0x10]))
    packager = Packager(first_number=0, limits=LONG, rendition=Rendition.AUDIO)
    packager.begin_run(None, audio)
    step = AAC_FRAME_LENGTH
    sent: list[Sample] = []
    for number in range(int(seconds * audio.sample_rate / step)):
        if number in lost and sent and sent[-1].duration < audio.sample_rate // 3:
            last = sent.pop()  # a gap lengthens the frame before it
            sent.append(
                Sample(last.track, last.dts, last.pts, last.duration + step, True, last.data)
            )
        else:
            dts = number * step
            sent.append(Sample(Track.AUDIO, dts, dts, step, True, b"s%d" % number))
    watch(packager, sent)
    packager.end()
    assert everything(packager) == sent


@slow_test
@given(
    groups=st.lists(st.integers(1, 90), min_size=1, max_size=20),
    rate=st.sampled_from([1, 5, 8, 10, 12, 15, 24, 25, 30, 50, 60, 120]),
)
def test_whatever_the_keyframes_no_segment_is_longer_than_promised(
    groups: list[int], rate: int
) -> None:
    packager = Packager(first_number=0, limits=LONG)
    packager.begin_run(VIDEO, None)
    step = 90_000 // rate
    sent: list[Sample] = []
    for group in groups:
        for index in range(group):
            dts = len(sent) * step
            sent.append(Sample(Track.VIDEO, dts, dts, step, index == 0, b"x"))
    del sent[180:]
    watch(packager, sent[:60])
    packager.add(sent[60:], origin=ORIGIN)
    packager.end()
    listed(packager)
    assert everything(packager) == sent


def test_keyframes_eight_seconds_apart_are_packaged_in_parts_all_the_same() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    watch(packager, list(pictures(40, keyframe_every=240)))
    playlist = listed(packager)
    assert max(segment.seconds for segment in playlist.complete) < 2.5
    assert packager.report is not None
    assert packager.hint >= 40 * 3 - 1


@pytest.mark.parametrize("even", [4, 10, 12, 20])
def test_a_picture_that_stands_longer_than_a_part_is_a_segment_of_its_own(even: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    step, frozen = 3000, 40_000
    sent = [
        Sample(Track.VIDEO, dts, dts, duration, dts == 0, b"x")
        for index in range(150)
        for dts in [index * step + (frozen - step if index > even + 30 else 0)]
        for duration in [frozen if index == even + 30 else step]
    ]
    watch(packager, sent)
    packager.end()
    assert everything(packager) == sent
    [alone] = [s for s in listed(packager).complete if s.seconds == 0.44444]
    assert packager.segment(alone.msn)


def test_delta_update_leaves_out_all_that_it_may() -> None:
    packager = playing(30.5)
    assert checked(packager.playlist(skip=True)).skipped == 8
    early = playing(11.5)
    assert early.playlist(skip=True) == early.playlist()


# -- publishers that come and go


def test_new_publisher_makes_a_discontinuity_and_a_new_init_section() -> None:
    packager = playing(2.5)
    packager.begin_run(SMALL_VIDEO, None)
    taken_over_at = ORIGIN + timedelta(seconds=2.5)
    packager.add(pictures(2.1), origin=taken_over_at)
    complete = listed(packager).complete
    assert [segment.discontinuity for segment in complete] == [0, 0, 0, 1, 1]
    assert [segment.seconds for segment in complete] == [1.0, 1.0, 0.5, 1.0, 1.0]
    assert [segment.init for segment in complete] == ["init-100.mp4"] * 3 + ["init-101.mp4"] * 2
    assert complete[3].starts_at == taken_over_at
    assert b"\x02\x80\x01\x68" in packager.init(101)  # 640 x 360
    assert (packager.width, packager.height, packager.codecs) == (640, 360, VIDEO.codec)
    assert segment_samples(packager, 103) == list(pictures(1))


def test_discontinuities_that_left_the_playlist_are_counted() -> None:
    packager = playing(2.1, limits=PackagerLimits(window_seconds=4))
    seen: dict[int, int] = {}
    for run in range(15):
        packager.begin_run(VIDEO, None)
        packager.add(pictures(3.1), origin=ORIGIN + timedelta(seconds=10 * run))
        for segment in checked(packager.playlist()).complete:
            assert seen.setdefault(segment.msn, segment.discontinuity) == segment.discontinuity
    assert max(seen.values()) == 15


def test_runs_are_numbered_as_the_caller_says() -> None:
    packager = Packager(first_number=100, first_discontinuity=3)
    packager.begin_run(VIDEO, None, timeline=7)
    packager.add(pictures(1.1), origin=ORIGIN)
    assert not packager.can_go_on(6)
    assert not packager.can_go_on(9)
    packager.begin_run(VIDEO, None, timeline=7)
    packager.add(pictures(1.1), origin=ORIGIN + timedelta(seconds=4))
    packager.begin_run(VIDEO, None, timeline=8)
    packager.add(pictures(1.1), origin=ORIGIN + timedelta(seconds=6))
    # A hole in a run is no other timeline, but its pictures may need another init section.
    complete = listed(packager).complete
    assert [segment.discontinuity for segment in complete] == [7, 7, 7, 7, 8]
    assert [segment.init for segment in complete[1:4]] == ["init-100.mp4"] + ["init-101.mp4"] * 2
    assert packager.next_timeline == 9


def test_init_sections_go_with_their_last_segment() -> None:
    packager = playing(3.1)
    packager.begin_run(SMALL_VIDEO, None)
    packager.add(pictures(41.1), origin=ORIGIN)
    assert packager.init(100)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(46.1), origin=ORIGIN)
    for number in (100, 101, 103):
        with pytest.raises(NoSuchSegment):
            packager.init(number)
    assert packager.init(102)


def test_publishers_that_send_nothing_leave_nothing() -> None:
    packager = playing(2.1)
    for _ in range(100):
        packager.begin_run(VIDEO, None)
    packager.add(pictures(1.1), origin=ORIGIN)
    assert [segment.discontinuity for segment in listed(packager).complete] == [0, 0, 0, 1]
    with pytest.raises(NoSuchSegment):
        packager.init(150)


def test_end_of_the_show_closes_the_playlist() -> None:
    packager = playing(2.5)
    packager.end()
    playlist = listed(packager)
    assert playlist.is_ended
    assert playlist.parts == []
    assert playlist.complete[-1].seconds == pytest.approx(0.5)
    text, version = packager.playlist(), packager.version
    packager.end()
    assert (packager.playlist(), packager.version) == (text, version)


def test_nothing_to_play_is_said_so() -> None:
    with pytest.raises(NoVideo):
        playing(0.5).playlist()


def test_wall_time_follows_the_origin_known_when_a_segment_starts() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(2), origin=ORIGIN)
    corrected = ORIGIN - timedelta(milliseconds=246)
    packager.add(pictures(2.1, start=2), origin=corrected)
    assert [segment.starts_at for segment in listed(packager).complete] == [
        ORIGIN,
        ORIGIN + timedelta(seconds=1),
        corrected + timedelta(seconds=2),
        corrected + timedelta(seconds=3),
    ]


# -- waiting for what comes


def test_a_request_for_a_part_or_segment_waits_until_it_is_there() -> None:
    packager = playing(1.5)  # one segment, and a part of the next
    assert packager.has_reached(100, None)
    assert packager.has_reached(100, 2)
    assert packager.has_reached(101, 0)
    assert not packager.has_reached(101, 1)
    assert not packager.has_reached(101, None)
    assert not packager.has_reached(102, 0)
    rest = interleaved(list(pictures(2.5))[45:], list(sounds(2.5))[71:])
    packager.add(rest, origin=ORIGIN)
    assert packager.has_reached(101, 1)
    assert packager.has_reached(101, None)
    assert packager.has_reached(3, 7)


def test_a_part_after_the_last_of_a_segment_means_the_first_of_the_next() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(list(pictures(1.1)), origin=ORIGIN)
    assert not packager.has_reached(0, 3)
    assert packager.has_reached(0, 2)
    packager.add(list(pictures(1.4))[33:40], origin=ORIGIN)
    assert packager.has_reached(0, 3)


def test_what_has_no_part_answers_nobody() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    packager.add(pictures(1.35), origin=ORIGIN)
    asked = (1, 1)
    assert not packager.has_reached(*asked)
    version = packager.version
    frozen = [Sample(Track.VIDEO, dts, dts, 40_000, False, b"x") for dts in (120_000, 160_000)]
    packager.add(frozen, origin=ORIGIN)
    assert packager.version > version
    assert not packager.has_reached(*asked)
    shown = [
        Sample(Track.VIDEO, dts, dts, 3000, False, b"x") for dts in range(200_000, 230_000, 3000)
    ]
    packager.add(shown, origin=ORIGIN)
    assert packager.has_reached(*asked)


def test_nobody_waits_for_the_distant_future_or_after_the_end() -> None:
    packager = playing(1.5)
    for msn, part in ((100, 99), (101, None), (101, 8), (102, 0), (102, None)):
        assert not packager.is_too_far(msn, part)
    for msn, part in ((101, 99), (102, 9), (103, None), (103, 0), (10**12, 0)):
        assert packager.is_too_far(msn, part)
    assert packager.is_part_coming(packager.hint)
    assert not packager.is_part_coming(packager.hint + 1)
    packager.end()
    assert packager.has_reached(10**12, 0)
    assert not packager.is_too_far(10**12, 0)
    assert not packager.is_part_coming(packager.hint)


@given(msn=st.integers(-5, 120), part=st.one_of(st.none(), st.integers(0, 40)))
def test_what_is_there_is_never_too_far_and_what_comes_next_may_be_asked_for(
    msn: int, part: int | None
) -> None:
    packager = playing(2.8)
    assert not (packager.has_reached(msn, part) and packager.is_too_far(msn, part))
    assert packager.report is not None
    coming = (packager.report.last_msn, packager.report.last_part + 1)
    assert not packager.has_reached(*coming)
    assert not packager.is_too_far(*coming)


def test_version_rises_when_and_only_when_the_playlist_changes() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    text, version = "", packager.version
    for sample in interleaved(pictures(5), sounds(5)):
        packager.add([sample], origin=ORIGIN)
        if not packager.has_segments:
            version = packager.version
            continue
        assert (packager.playlist() != text) == (packager.version > version)
        text, version = packager.playlist(), packager.version


# -- bounds


def test_memory_and_playlist_stay_bounded_over_an_hour() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    highest = 0
    for second in range(3600):
        packager.add(pictures(1, start=second, size=10_000), origin=ORIGIN)
        highest = max(highest, packager.byte_count)
    playlist = listed(packager)
    assert playlist.first_msn == 3599 - 20
    assert highest < (2 * 20 + 8) * 31 * 10_000
    assert packager.peak_bits_per_second == pytest.approx(30 * 8 * 10_000, rel=0.05)


@pytest.mark.parametrize("rate", [1, 2, 5, 10])
def test_memory_and_playlist_stay_bounded_for_slow_pictures(rate: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    for second in range(300):
        samples = pictures(1, rate=rate, keyframe_every=8 * rate, start=second, size=1000)
        packager.add(samples, origin=ORIGIN)
    assert len(listed(packager).segments) < 120
    assert packager.byte_count < 50 * rate * 2000


def test_sound_alone_stays_bounded() -> None:
    packager = Packager(first_number=0, rendition=Rendition.AUDIO)
    packager.begin_run(None, AUDIO)
    for second in range(300):
        packager.add(sounds(1, start=second), origin=ORIGIN)
    assert packager.byte_count < 50 * 50 * 50
    assert (packager.codecs, packager.width) == ("mp4a.40.2", 0)


def test_pictures_for_the_sound_rendition_are_left_out() -> None:
    packager = Packager(first_number=0, rendition=Rendition.AUDIO)
    packager.begin_run(None, AUDIO)
    packager.add(interleaved(pictures(3), sounds(3)), origin=ORIGIN)
    packager.end()
    assert everything(packager) == list(sounds(3))


def test_data_without_time_is_refused_before_it_fills_the_memory() -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, AUDIO)
    data = bytes(1024 * 1024)
    with pytest.raises(BrokenTimestamps):
        for tick in range(40):
            packager.add([Sample(Track.VIDEO, tick, tick, 1, tick == 0, data)], origin=ORIGIN)
    packager.begin_run(VIDEO, AUDIO)
    packager.add(pictures(0.1), origin=ORIGIN)
    with pytest.raises(BrokenTimestamps):
        for tick in range(40):
            packager.add([Sample(Track.AUDIO, tick, tick, 1, True, data)], origin=ORIGIN)


def test_segments_outlive_the_playlist_for_its_length_and_then_go() -> None:
    packager = playing(60.1)
    assert listed(packager).first_msn == 140
    assert packager.segment(119)
    for number in (113, 160, -1, 10**12):
        with pytest.raises(NoSuchSegment):
            packager.segment(number)
    for number in (100, packager.hint, -1, 10**12):
        with pytest.raises(NoSuchSegment):
            packager.part(number)


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


def test_a_run_of_nothing_is_refused_and_leaves_the_one_before() -> None:
    packager = playing(2.1)
    with pytest.raises(BadTrack):
        packager.begin_run(None, None)
    rest = interleaved(list(pictures(4.1))[63:], list(sounds(4.1))[99:])
    packager.add(rest, origin=ORIGIN)
    assert len(listed(packager).complete) == 4


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
    playlist = listed(packager)
    assert len(playlist.complete) > 1
    assert max(segment.seconds for segment in playlist.complete) < 1.5


@pytest.mark.parametrize(
    ("dts", "pts", "duration"),
    [(0, 0, 0), (0, 0, -1), (0, 0, 90_001), (-1, 0, 3000), (2**62, 2**62, 3000), (0, 2**40, 3000)],
)
def test_sample_with_impossible_times_is_refused(dts: int, pts: int, duration: int) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(VIDEO, None)
    with pytest.raises(BrokenTimestamps):
        packager.add([Sample(Track.VIDEO, dts, pts, duration, True, b"x")], origin=ORIGIN)
    assert packager.end() == []


samples = st.builds(
    Sample,
    track=st.sampled_from(Track),
    dts=st.one_of(st.integers(0, 400_000), st.integers()),
    pts=st.integers(0, 400_000),
    duration=st.one_of(st.integers(1, 40_000), st.integers()),
    is_keyframe=st.booleans(),
    data=st.binary(max_size=20),
)


@slow_test
@given(rows=st.lists(samples, max_size=60), video=st.sampled_from([VIDEO, None]))
def test_no_samples_at_all_crash_it(rows: list[Sample], video: H264Config | None) -> None:
    packager = Packager(first_number=0)
    packager.begin_run(video, AUDIO)
    for sample in rows:
        try:
            packager.add([sample], origin=ORIGIN)
        except BrokenTimestamps:
            packager.begin_run(video, AUDIO)
        if packager.has_segments:
            hls_rules.checked(packager.playlist())
    packager.end()
