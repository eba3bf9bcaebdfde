"""What a host is told of its encoder: rates, keyframes, drops, lateness, and the advice."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.video.arrivals import Arrivals, Report
from liveshop.video.model import AacConfig, H264Config, Sample, Track
from liveshop.video.sound_level import Level

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
VIDEO = H264Config(b"\x01\x64\x00\x1f\xff\xe1\x00\x00", 1280, 720)
AUDIO = AacConfig(b"\x11\x90")  # 48 kHz, stereo
NORMAL = Level(mean_dbfs=-20.0, peak_dbfs=-6.0, is_silent=False, is_too_loud=False)


@dataclass
class Encoder:
    """Sends in time unless told otherwise; `seconds` is its media time."""

    rate: float = 30
    gop_seconds: float = 1.0
    picture_bytes: int = 10_000
    audio: AacConfig | None = AUDIO
    video: H264Config = VIDEO
    has_sound: bool = True
    delay_seconds: float = 0.0
    started_at: datetime = START
    arrivals: Arrivals = field(default_factory=Arrivals)
    pictures: int = 0
    sounds: int = 0
    zero: float = 0.0
    """Seconds after `started_at` at which the timestamps of this run start."""

    def __post_init__(self) -> None:
        self.begin()

    @property
    def seconds(self) -> float:
        return self.zero + self.pictures / self.rate

    @property
    def now(self) -> datetime:
        return self.started_at + timedelta(seconds=self.seconds + self.delay_seconds)

    def begin(self) -> None:
        self.zero = self.seconds
        self.pictures = self.sounds = 0
        self.arrivals.begin(self.video, self.audio, self.now)

    def send(self, seconds: float, *, delay_grows: float = 0.0) -> None:
        for _ in range(round(seconds * self.rate)):
            self.send_picture()
            self.delay_seconds += delay_grows / self.rate

    def send_picture(self, *, missing: int = 0) -> None:
        """`missing`: so many of its successors are never sent."""
        dts = round(self.pictures * 90_000 / self.rate)
        gop = max(1, round(self.gop_seconds * self.rate))
        is_keyframe = self.pictures % gop == 0
        self.pictures += 1 + missing
        duration = round(self.pictures * 90_000 / self.rate) - dts
        picture = Sample(Track.VIDEO, dts, dts, duration, is_keyframe, bytes(self.picture_bytes))
        self.arrivals.add([picture, *self._sound_until(self.pictures / self.rate)], self.now)

    def _sound_until(self, seconds: float) -> Iterator[Sample]:
        while self.has_sound and self.audio and self.sounds * 1024 / 48_000 < seconds:
            dts = self.sounds * 1024
            self.sounds += 1
            yield Sample(Track.AUDIO, dts, dts, 1024, True, bytes(340))

    def report(self, level: Level | None = NORMAL) -> Report:
        return self.arrivals.report(self.now, level)


def test_a_good_stream_needs_no_advice() -> None:
    encoder = Encoder()
    encoder.send(10)
    report = encoder.report()
    assert report.advice == []
    assert (report.width, report.height) == (1280, 720)
    assert (report.video_codec, report.audio_codec) == ("avc1.64001F", "mp4a.40.2")
    assert (report.channels, report.sample_rate) == (2, 48_000)
    assert report.frame_rate == pytest.approx(30, abs=0.01)
    assert report.kbit_per_second == pytest.approx(30 * 80 + 127, abs=5)
    assert report.keyframe_seconds == pytest.approx(1.0)
    assert (report.dropped_frames, report.dropped_last_minute) == (0, 0)
    assert report.jitter_ms == 0
    assert report.behind_seconds < 0.1
    assert report.since == START
    assert (report.level_dbfs, report.peak_dbfs, report.is_silent) == (-20.0, -6.0, False)


def test_nothing_is_claimed_before_it_is_known() -> None:
    encoder = Encoder()
    report = encoder.report(None)
    assert (report.frame_rate, report.kbit_per_second, report.keyframe_seconds) == (None,) * 3
    assert (report.level_dbfs, report.peak_dbfs, report.is_silent) == (None,) * 3
    assert report.jitter_ms is None
    assert report.advice == []
    encoder.send(0.5)
    assert encoder.report().advice == []


@pytest.mark.parametrize("rate", [15, 23.976, 24, 25, 29.97, 50, 60])
def test_the_frame_rate_is_measured(rate: float) -> None:
    encoder = Encoder(rate=rate, picture_bytes=5_000)
    encoder.send(12)
    report = encoder.report()
    assert report.frame_rate == pytest.approx(rate, abs=0.05)
    assert report.dropped_frames == 0
    assert report.advice == []


def test_millisecond_timestamps_drop_nothing() -> None:
    arrivals = Arrivals()
    arrivals.begin(VIDEO, None, START)
    times = [n * 1000 // 30 for n in range(600)]  # 33, 33, 34 ms
    for ms, following in pairwise(times):
        picture = Sample(Track.VIDEO, ms * 90, ms * 90, (following - ms) * 90, ms == 0, b"p")
        arrivals.add([picture], START + timedelta(milliseconds=ms))
    report = arrivals.report(START + timedelta(milliseconds=times[-1]))
    assert report.dropped_frames == 0
    assert report.frame_rate == pytest.approx(30, abs=0.1)


def test_rates_are_of_the_last_seconds() -> None:
    encoder = Encoder()
    encoder.send(30)
    encoder.picture_bytes = 30_000
    encoder.send(7)
    report = encoder.report()
    assert report.kbit_per_second == pytest.approx(30 * 240 + 127, abs=10)
    assert report.advice == ["bitrate_high"]


# keyframes


def test_rare_keyframes_are_told_by_the_longest_distance() -> None:
    encoder = Encoder(gop_seconds=4)
    encoder.send(9)
    report = encoder.report()
    assert report.keyframe_seconds == pytest.approx(4)
    assert report.advice == ["keyframes_rare"]


def test_keyframes_that_do_not_come_are_told_while_waiting() -> None:
    """OBS sends one every 8.3 s by default: a host hears of it after three."""
    encoder = Encoder(gop_seconds=8.3)
    encoder.send(2.4)
    assert encoder.report().keyframe_seconds is None
    encoder.send(0.6)
    report = encoder.report()
    assert report.keyframe_seconds == pytest.approx(3.0)
    assert report.advice == ["keyframes_rare"]


def test_one_early_keyframe_does_not_hide_rare_ones() -> None:
    encoder = Encoder(gop_seconds=4)
    encoder.send(8.1)
    encoder.gop_seconds = 0.1  # a change of scene
    encoder.send(0.2)
    assert encoder.report().keyframe_seconds == pytest.approx(4)


# drops


def test_missing_pictures_are_counted() -> None:
    encoder = Encoder()
    encoder.send(5)
    encoder.send_picture(missing=3)
    encoder.send(2)
    encoder.send_picture(missing=1)
    encoder.send(2)
    report = encoder.report()
    assert (report.dropped_frames, report.dropped_last_minute) == (4, 4)
    assert report.advice == []  # five are seen by nobody
    encoder.send_picture(missing=9)
    encoder.send(2)
    report = encoder.report()
    assert report.dropped_frames == 13
    assert report.advice == ["dropping"]


def test_drops_of_a_minute_ago_are_history() -> None:
    encoder = Encoder()
    encoder.send(5)
    for _ in range(4):
        encoder.send_picture(missing=10)
    encoder.send(30)
    assert encoder.report().dropped_last_minute == 40
    encoder.send(40)
    report = encoder.report()
    assert (report.dropped_frames, report.dropped_last_minute) == (40, 0)
    assert report.advice == []


def test_every_other_picture_missing_for_seconds_is_not_the_usual_rate() -> None:
    encoder = Encoder()
    encoder.send(10)
    for _ in range(45):
        encoder.send_picture(missing=1)
    report = encoder.report()
    assert report.dropped_last_minute == 45
    assert "dropping" in report.advice


def test_another_rate_becomes_the_usual_one() -> None:
    encoder = Encoder(rate=30)
    encoder.send(10)
    encoder.zero, encoder.rate = 0.0, 15
    encoder.pictures //= 2
    encoder.send(80)
    before = encoder.report().dropped_frames
    encoder.send(20)
    report = encoder.report()
    assert report.frame_rate == pytest.approx(15)
    assert report.dropped_frames == before
    assert report.dropped_last_minute == 0


def test_pictures_missing_between_two_runs_count_by_the_clock() -> None:
    """An encoder that drops more than half a second starts over with its timestamps."""
    encoder = Encoder()
    encoder.send(5)
    encoder.zero += 2
    encoder.begin()
    encoder.send(3)
    report = encoder.report()
    assert report.dropped_frames == pytest.approx(60, abs=1)
    assert report.dropped_last_minute == report.dropped_frames
    assert report.since == START
    assert "dropping" in report.advice
    encoder.send(61)
    assert encoder.report().dropped_last_minute == 0


def test_drops_before_a_change_are_kept_for_their_minute() -> None:
    encoder = Encoder()
    encoder.send(5)
    encoder.send_picture(missing=8)
    encoder.send(1)
    encoder.begin()
    encoder.send(1)
    report = encoder.report()
    assert (report.dropped_frames, report.dropped_last_minute) == (8, 8)


def test_an_encoder_that_was_away_dropped_nothing() -> None:
    encoder = Encoder()
    encoder.send(5)
    encoder.zero += 30
    encoder.begin()
    encoder.send(3)
    assert encoder.report().dropped_frames == 0


# the network


def test_an_uplink_slower_than_the_stream_is_told() -> None:
    encoder = Encoder()
    encoder.send(10)
    encoder.send(10, delay_grows=0.2)
    report = encoder.report()
    assert report.behind_seconds == pytest.approx(1.8, abs=0.4)
    assert report.advice == ["uplink_slow"]
    # What is late stays late, though it does not get later.
    encoder.send(120)
    assert encoder.report().advice == ["uplink_slow"]


def test_silence_counts_as_late() -> None:
    encoder = Encoder()
    encoder.send(10)
    encoder.delay_seconds += 4
    report = encoder.report()
    assert report.behind_seconds == pytest.approx(4, abs=0.1)
    assert report.advice == ["uplink_slow"]


def test_a_burst_at_the_start_is_no_delay() -> None:
    encoder = Encoder(delay_seconds=1.5)
    encoder.send(0.5, delay_grows=-3.0)
    encoder.send(5)
    assert encoder.report().behind_seconds < 0.1


def test_a_clock_that_runs_away_slowly_is_no_slow_uplink() -> None:
    encoder = Encoder(rate=15, picture_bytes=10, has_sound=False, audio=None)
    encoder.send(7200, delay_grows=100e-6)
    report = encoder.report()
    assert report.behind_seconds < 0.2
    assert "uplink_slow" not in report.advice


def test_a_clock_that_was_set_is_no_slow_uplink() -> None:
    encoder = Encoder()
    encoder.send(10)
    encoder.delay_seconds += 3600
    encoder.send(3)
    assert encoder.report().advice == []


def test_jitter_is_how_unevenly_it_arrives() -> None:
    encoder = Encoder()
    noise = random.Random(1)
    for _ in range(300):
        encoder.delay_seconds = noise.uniform(0, 0.08)
        encoder.send_picture()
    assert encoder.report().jitter_ms == pytest.approx(75, abs=8)
    encoder.delay_seconds = 0.0
    encoder.send(7)
    assert encoder.report().jitter_ms == 0


# sound and size


def test_no_sound() -> None:
    assert Encoder(audio=None).report(None).advice == ["no_sound"]


def test_sound_that_was_promised_and_does_not_come() -> None:
    encoder = Encoder(has_sound=False)
    encoder.send(2)
    assert encoder.report(None).advice == []
    encoder.send(2)
    assert encoder.report(None).advice == ["no_sound"]
    assert encoder.arrivals.recent_sound() is None


def test_sound_that_stops() -> None:
    encoder = Encoder()
    encoder.send(5)
    encoder.has_sound = False
    encoder.send(2)
    assert encoder.report().advice == []
    encoder.send(2)
    assert encoder.report().advice == ["no_sound"]


def test_the_last_three_seconds_of_sound_are_kept() -> None:
    encoder = Encoder()
    encoder.send(1)
    sound = encoder.arrivals.recent_sound()
    assert sound is not None
    assert len(sound.frames) == 47
    encoder.send(20)
    sound = encoder.arrivals.recent_sound()
    assert sound is not None
    assert len(sound.frames) == 141
    assert sound.config == AUDIO


def test_sound_of_another_kind_is_not_mixed_with_the_old() -> None:
    encoder = Encoder()
    encoder.send(5)
    encoder.audio = AacConfig(b"\x12\x08")  # 44.1 kHz, mono
    encoder.begin()
    assert encoder.arrivals.recent_sound() is None


@pytest.mark.parametrize(
    ("level", "advice"),
    [
        (Level(-100.0, -100.0, is_silent=True, is_too_loud=False), "silent"),
        (Level(-4.0, 0.0, is_silent=False, is_too_loud=True), "too_loud"),
    ],
)
def test_the_level_makes_advice(level: Level, advice: str) -> None:
    encoder = Encoder()
    encoder.send(2)
    assert encoder.report(level).advice == [advice]


@pytest.mark.parametrize(
    ("width", "height", "is_small"),
    [(640, 360, True), (854, 480, False), (720, 1280, False), (360, 640, True)],
)
def test_a_small_picture(width: int, height: int, is_small: bool) -> None:
    encoder = Encoder(video=H264Config(VIDEO.avcc, width, height))
    assert ("picture_small" in encoder.report().advice) is is_small


def test_few_pictures_a_second() -> None:
    encoder = Encoder(rate=10)
    encoder.send(5)
    assert encoder.report().advice == ["frame_rate_low"]


# whatever comes


@given(
    samples=st.lists(
        st.builds(
            Sample,
            st.sampled_from(Track),
            st.integers(0, 2**48),
            st.integers(0, 2**48),
            st.integers(0, 2**40),
            st.booleans(),
            st.sampled_from([b"", b"x" * 10, b"y" * 20_000]),
        ),
        max_size=60,
    ),
    seconds=st.floats(-10_000, 10_000),
)
def test_any_samples_make_a_report(samples: list[Sample], seconds: float) -> None:
    arrivals = Arrivals()
    arrivals.begin(VIDEO, AUDIO, START)
    arrivals.add(samples, START)
    arrivals.begin(VIDEO, AUDIO, START)
    arrivals.add(samples, START + timedelta(seconds=seconds))
    report = arrivals.report(START + timedelta(seconds=seconds))
    assert report.dropped_frames >= report.dropped_last_minute >= 0
    assert report.behind_seconds >= 0


def test_memory_is_bounded() -> None:
    """Timestamps that hardly move, frames of a megabyte, and a run after the other."""
    arrivals = Arrivals()
    huge = bytes(1_000_000)
    for run in range(300):
        arrivals.begin(VIDEO, AUDIO, START)
        for n in range(300):
            picture = Sample(Track.VIDEO, n * 30, n * 30, 30, n == 0, b"p")
            late = Sample(Track.VIDEO, 90_000 * n, 90_000 * n, 90_000, True, b"p")
            sound = Sample(Track.AUDIO, n * 1024, n * 1024, 1024, True, huge if n % 2 else b"s")
            arrivals.add([picture, sound, late], START + timedelta(seconds=run))
    sound_kept = arrivals.recent_sound()
    assert sound_kept is not None
    assert len(sound_kept.frames) <= 141
    assert set(sound_kept.frames) == {b"s"}
    kept = [*arrivals._seconds, arrivals._now]
    assert len(kept) <= 61
    assert all(second is not None and len(second.durations) <= 240 for second in kept)
    assert len(arrivals._dropped_before) <= 100
