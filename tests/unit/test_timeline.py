"""Sound and picture stay together for hours, whatever an encoder does to its milliseconds."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.video.ingest.timeline import Timeline
from liveshop.video.model import AacConfig, BrokenTimestamps, H264Config, Sample, Track

VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
AAC_48 = AacConfig(b"\x11\x90")
AAC_44 = AacConfig(b"\x12\x10")
TWO_HOURS, HALF_AN_HOUR = 2 * 3600, 1800


def of_track(samples: list[Sample], track: Track) -> list[Sample]:
    return [sample for sample in samples if sample.track is track]


def is_seamless(samples: list[Sample]) -> bool:
    """No hole and no overlap: a fragment tells times by adding up durations."""
    return all(a.dts + a.duration == b.dts for a, b in pairwise(samples))


def show(
    timeline: Timeline,
    seconds: int,
    *,
    stamp: Callable[[int, int], int],
    pictures_per_1001_s: int = 30_030,
    base_ms: int = 0,
) -> Iterator[Sample]:
    """Both tracks in order of their true times; frame `n` of the sound holds `n` as its data.

    `stamp(a, b)` makes whole milliseconds of a fraction.
    """
    assert timeline.audio is not None
    rate = timeline.audio.sample_rate
    picture = sound = 0
    while picture * 1001 < seconds * pictures_per_1001_s:
        if picture * 1001 * rate <= sound * 1024 * pictures_per_1001_s:
            ms = base_ms + stamp(picture * 1001_000, pictures_per_1001_s)
            yield from timeline.picture(ms, 0, picture % 30 == 0, b"P")
            picture += 1
        else:
            ms = base_ms + stamp(sound * 1024_000, rate)
            yield from timeline.sound(ms, b"%d" % sound)
            sound += 1
    yield from timeline.flush()


def down(numerator: int, denominator: int) -> int:
    return numerator // denominator


def up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def nearest(numerator: int, denominator: int) -> int:
    return (numerator + denominator // 2) // denominator


def worst_offset_ms(samples: Iterator[Sample], rate: int) -> float:
    """Of the sound against the time its frame was really recorded at."""
    worst = 0.0
    for sample in samples:
        if sample.track is Track.AUDIO:
            true_ms = int(sample.data) * 1024_000 / rate
            worst = max(worst, abs(sample.dts * 1000 / rate - true_ms))
    return worst


@pytest.mark.parametrize(
    ("config", "stamp", "seconds"),
    [(AAC_48, down, TWO_HOURS), (AAC_44, up, TWO_HOURS), (AAC_48, nearest, HALF_AN_HOUR)],
    ids=["48-down", "44-up", "48-nearest"],
)
def test_rounded_milliseconds_never_add_up(
    config: AacConfig, stamp: Callable[[int, int], int], seconds: int
) -> None:
    timeline = Timeline(VIDEO, config)
    samples = show(timeline, seconds, stamp=stamp, pictures_per_1001_s=30_000)
    assert worst_offset_ms(samples, config.sample_rate) <= 2


def test_sound_of_an_encoder_that_counts_21_ms_a_frame_stays_with_the_picture() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    samples: list[Sample] = []
    for index in range(HALF_AN_HOUR * 375 // 8):
        if index % 2 == 0:  # 23.4 pictures a second, by a true clock
            samples += timeline.picture(index * 64 // 3, 0, index % 30 == 0, b"P")
        samples += timeline.sound(index * 21, b"%d" % index)
    sounds = of_track(samples, Track.AUDIO)
    assert is_seamless(sounds)
    assert worst_offset_ms(iter(sounds), 48_000) == 0


def test_an_encoder_that_puts_its_own_counting_right_is_followed() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"P")
    samples: list[Sample] = []
    for index in range(10_000):
        corrected = index // 640 * 640  # each 640 frames it is 213 ms late, and jumps
        ms = corrected * 64 // 3 + (index - corrected) * 21
        if index % 20 == 0:
            timeline.picture(index * 64 // 3, 0, True, b"P")
        samples += timeline.sound(ms, b"%d" % index)
    assert is_seamless(samples)
    assert worst_offset_ms(iter(samples), 48_000) <= 45


def test_a_sound_clock_that_runs_too_fast_is_held_to_its_timestamps() -> None:
    # 48,000 promised, 48,048 come: half an hour holds 1.8 s too much.
    timeline = Timeline(VIDEO, AAC_48)
    sounds: list[Sample] = []
    for index in range(round(HALF_AN_HOUR * 48_048 / 1024)):
        ms = index * 1024_000 // 48_048
        if index % 20 == 0:
            timeline.picture(ms, 0, True, b"P")
        sounds += timeline.sound(ms, str(ms).encode())
    assert is_seamless(sounds)
    assert max(abs(sound.dts / 48 - int(sound.data)) for sound in sounds) <= 45


def test_a_sound_clock_that_runs_too_slow_is_held_to_its_timestamps() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    sounds: list[Sample] = []
    for index in range(round(HALF_AN_HOUR * 47_952 / 1024)):
        ms = index * 1024_000 // 47_952
        if index % 20 == 0:
            timeline.picture(ms, 0, True, b"P")
        sounds += timeline.sound(ms, str(ms).encode())
    assert is_seamless(sounds)
    assert max(abs(sound.dts / 48 - int(sound.data)) for sound in sounds) <= 45


def test_pictures_come_one_late_with_their_true_length() -> None:
    timeline = Timeline(VIDEO, None)
    assert timeline.picture(1000, 0, True, b"a") == []
    [first] = timeline.picture(1033, 67, False, b"b")
    assert first == Sample(Track.VIDEO, 0, 0, 33 * 90, True, b"a")
    [second] = timeline.picture(1067, 0, False, b"c")
    assert second == Sample(Track.VIDEO, 33 * 90, 100 * 90, 34 * 90, False, b"b")
    [third] = timeline.flush()
    assert third == Sample(Track.VIDEO, 67 * 90, 67 * 90, 34 * 90, False, b"c")
    assert timeline.flush() == []


def test_zero_is_the_first_picture_and_sound_before_it_is_left_out() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    assert timeline.sound(1100, b"before") == []
    assert timeline.picture(1000, 0, True, b"a") == []
    sounds = [sample for ms in (981, 1003, 1024) for sample in timeline.sound(ms, b"%d" % ms)]
    sounds += of_track(timeline.flush(), Track.AUDIO)
    assert [sample.data for sample in sounds] == [b"1003", b"1024"]
    assert sounds[0].dts == 3 * 48
    assert timeline.zero_ms == 1000


def test_sound_for_which_no_track_was_announced_is_left_out() -> None:
    timeline = Timeline(VIDEO, None)
    assert timeline.sound(0, b"s") == []
    assert timeline.picture(0, 0, True, b"a") == []
    assert timeline.sound(21, b"s") == []


def test_a_gap_in_the_sound_lengthens_the_frame_before_it() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"a")
    sounds = [sample for ms in (0, 21, 343, 364) for sample in timeline.sound(ms, b"s")]
    sounds += of_track(timeline.flush(), Track.AUDIO)
    assert is_seamless(sounds)
    assert [sound.dts for sound in sounds] == [0, 1024, 343 * 48, 343 * 48 + 1024]


def test_sound_that_comes_early_is_dropped_until_it_fits_again() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"a")
    stamps = (0, 21, 43, 64, 0, 21, 43, 64, 85)
    sounds = [sample for ms in stamps for sample in timeline.sound(ms, b"%d" % ms)]
    sounds += of_track(timeline.flush(), Track.AUDIO)
    assert is_seamless(sounds)
    assert [sound.data for sound in sounds] == [b"0", b"21", b"43", b"64", b"64", b"85"]


@pytest.mark.parametrize("ms", [100 + 501, 100 - 11, 1_000_000, 0])
def test_pictures_that_jump_or_run_backwards_are_refused(ms: int) -> None:
    timeline = Timeline(VIDEO, None)
    for earlier in (0, 33, 67, 100):
        timeline.picture(earlier, 0, True, b"a")
    with pytest.raises(BrokenTimestamps):
        timeline.picture(ms, 0, True, b"a")
    assert len(timeline.flush()) == 1


@pytest.mark.parametrize("ms", [2600, 1000, 10_000_000, 0])
def test_sound_that_jumps_or_runs_backwards_is_refused(ms: int) -> None:
    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"a")
    for index in range(95):
        timeline.sound(index * 1024 // 48, b"s")
    with pytest.raises(BrokenTimestamps):
        timeline.sound(ms, b"s")
    assert len(of_track(timeline.flush(), Track.AUDIO)) == 1


def test_pictures_of_nearly_one_moment_are_nudged_apart() -> None:
    timeline = Timeline(VIDEO, None)
    stamps = (0, 33, 33, 30, 67, 100)
    pictures = [sample for ms in stamps for sample in timeline.picture(ms, 0, True, b"a")]
    pictures += timeline.flush()
    assert is_seamless(pictures)
    assert [picture.dts // 90 for picture in pictures] == [0, 33, 34, 35, 67, 100]
    assert all(picture.pts >= picture.dts for picture in pictures)


def test_pictures_whose_time_stands_still_are_refused() -> None:
    timeline = Timeline(VIDEO, None)
    with pytest.raises(BrokenTimestamps):
        for _ in range(1000):
            timeline.picture(5, 0, True, b"a")


def test_timestamps_beyond_32_bits_go_on() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    samples = list(show(timeline, 10, stamp=down, base_ms=2**32 - 5000))
    for track, count in ((Track.VIDEO, 300), (Track.AUDIO, 468)):
        found = of_track(samples, track)
        assert len(found) == count
        assert is_seamless(found)
        assert found[0].dts == 0


def test_sound_of_another_time_than_the_pictures_is_refused_once_it_stays_so() -> None:
    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"a")
    assert timeline.sound(100_000, b"old") == []
    timeline.picture(33, 0, False, b"a")
    assert timeline.sound(33, b"s") == []
    assert timeline.sound(54, b"s") != []

    timeline = Timeline(VIDEO, AAC_48)
    timeline.picture(0, 0, True, b"a")
    with pytest.raises(BrokenTimestamps):
        for index in range(1000):
            timeline.picture(index * 21, 0, False, b"a")
            timeline.sound(100_000 + index * 21, b"s")


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-700, 700), st.integers(-(2**23), 2**23)),
        max_size=200,
    )
)
def test_whatever_the_timestamps_both_tracks_are_seamless_and_near_them(
    steps: list[tuple[bool, int, int]],
) -> None:
    timeline = Timeline(VIDEO, AAC_48)
    samples: list[Sample] = []
    at = {True: 0, False: 0}
    try:
        samples += timeline.picture(0, 0, True, b"0")
        for is_picture, step_ms, composition_ms in steps:
            at[is_picture] += step_ms
            ms = at[is_picture]
            if is_picture:
                samples += timeline.picture(ms, composition_ms, False, b"%d" % ms)
            else:
                samples += timeline.sound(ms, b"%d" % ms)
    except BrokenTimestamps:
        pass
    samples += timeline.flush()
    for track, ticks in ((Track.VIDEO, 90), (Track.AUDIO, 48)):
        found = of_track(samples, track)
        assert is_seamless(found)
        for sample in found:
            assert 0 < sample.duration <= 1000 * ticks
            assert abs(sample.dts / ticks - int(sample.data)) <= 45
