"""What an encoder sends, tag by tag: when a run begins, what waits, what is left out, what ends."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
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

from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.intake import Intake, IntakeLimits
from liveshop.video.ingest.rtmp import AudioTag, Event, Metadata, VideoTag
from liveshop.video.ingest.runs import Idle
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    PublisherGone,
    Publishing,
    Sample,
    Track,
    UnsupportedMedia,
)
from liveshop.video.service import VideoService

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
AVCC = bytes.fromhex("0142c00bffe100176742c00bda0a37e484000003000400000300f03c50aa8001000468ce0fc8")
"""By x264: baseline, 160x90."""
STEREO, MONO = b"\x11\x90", b"\x11\x88"
KEY = VideoTag(0, avc_picture(b"\0\0\0\2\x65\x88", is_keyframe=True))


@dataclass
class Run:
    video: H264Config
    audio: AacConfig | None
    samples: list[Sample] = field(default_factory=list)
    origins: list[datetime] = field(default_factory=list)

    def count(self, track: Track) -> int:
        return sum(sample.track is track for sample in self.samples)


class Recorder:
    """A VideoService and its Publisher that write down what they are told."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.closed: str | None = None
        self.is_current = True
        self.refuses: Exception | None = None

    def publish(
        self, publishing: Publishing, video: H264Config, audio: AacConfig | None
    ) -> "Recorder":
        self.runs.append(Run(video, audio))
        return self

    def change(self, video: H264Config, audio: AacConfig | None) -> None:
        self.runs.append(Run(video, audio))

    def write(self, samples: Iterable[Sample], *, origin: datetime) -> None:
        error, self.refuses = self.refuses, None
        if error is not None:
            raise error
        self.runs[-1].samples += samples
        self.runs[-1].origins.append(origin)

    def close(self, reason: str = "closed") -> None:
        self.closed = reason


class Sender:
    """Feeds an intake in step with a clock: each event arrives at its own timestamp."""

    def __init__(self, limits: IntakeLimits | None = None) -> None:
        self.recorder = Recorder()
        self.intake = Intake(
            cast("VideoService", self.recorder), Publishing(ShowId("shw_1")), 0.0, limits
        )
        self.seconds = 0.0

    @property
    def runs(self) -> list[Run]:
        return self.recorder.runs

    def send(self, *events: Event) -> None:
        for event in events:
            self.intake.feed([event], START + timedelta(seconds=self.seconds), self.seconds)

    def config(self, *, avcc: bytes = AVCC, audio: bytes | None = STEREO) -> None:
        self.send(VideoTag(0, avc_config(avcc)))
        if audio is not None:
            self.send(AudioTag(0, aac_config(audio)))

    def play(self, seconds: float, *, gop: int = 30, with_sound: bool = True) -> None:
        """Thirty pictures a second and a sound for each."""
        first = round(self.seconds * 30)
        for number in range(first, first + round(seconds * 30)):
            self.seconds = number / 30
            ms = number * 1000 // 30
            self.send(picture(ms, is_keyframe=(number - first) % gop == 0))
            if with_sound:
                self.send(AudioTag(ms, aac_sound(b"s")))
        self.seconds = (first + round(seconds * 30)) / 30


def picture(ms: int, *, is_keyframe: bool) -> VideoTag:
    data = b"\0\0\0\2\x65\x88" if is_keyframe else b"\0\0\0\2\x41\x9a"
    return VideoTag(ms, avc_picture(data, is_keyframe=is_keyframe))


def test_a_stream_begins_at_its_first_keyframe() -> None:
    sender = Sender()
    sender.config()
    sender.send(picture(0, is_keyframe=False))
    assert sender.runs == []
    sender.play(1)
    [run] = sender.runs
    assert (run.video.width, run.video.height) == (160, 90)
    assert run.audio == AacConfig(STEREO)
    assert run.samples[0].is_keyframe
    assert run.count(Track.VIDEO) == 29


def test_the_first_keyframe_waits_a_moment_for_the_parameters_of_the_sound() -> None:
    sender = Sender()
    sender.config(audio=None)
    sender.play(0.5)
    assert sender.runs == []
    sender.send(AudioTag(500, aac_config(STEREO)))
    [run] = sender.runs
    assert run.audio == AacConfig(STEREO)
    assert run.count(Track.VIDEO) == 14  # nothing of the wait is lost
    assert run.count(Track.AUDIO) == 14
    # and time zero is the arrival of the first, not the end of the wait
    assert run.origins[-1] - START == timedelta(seconds=0)


def test_who_says_that_there_is_no_sound_does_not_wait() -> None:
    sender = Sender()
    sender.send(Metadata({"width": 160.0, "videocodecid": 7.0}))
    sender.config(audio=None)
    sender.play(0.1, with_sound=False)
    [run] = sender.runs
    assert run.audio is None


@pytest.mark.parametrize("said", [None, {"audiocodecid": 10.0}, {"audiocodecid": "mp4a"}])
def test_sound_that_was_promised_and_never_comes_is_done_without(
    said: dict[str, float | str] | None,
) -> None:
    sender = Sender()
    if said is not None:
        sender.send(Metadata(dict(said)))
    sender.config(audio=None)
    sender.play(0.9, with_sound=False)
    assert sender.runs == []
    sender.play(0.5, with_sound=False)
    [run] = sender.runs
    assert run.audio is None
    assert run.count(Track.VIDEO) >= 41


def test_what_waits_is_bounded() -> None:
    sender = Sender(IntakeLimits(held_bytes=1000))
    sender.config(audio=None)
    sender.send(KEY)
    for ms in range(1, 200):
        sender.send(picture(ms * 10, is_keyframe=False))
    assert len(sender.runs) == 1


def test_sound_that_comes_later_joins_at_the_next_keyframe_and_costs_no_picture() -> None:
    sender = Sender()
    sender.send(Metadata({}))
    sender.config(audio=None)
    sender.play(1.5, with_sound=False)
    sender.send(AudioTag(1500, aac_config(STEREO)))
    for number in range(45, 60):
        sender.send(picture(number * 1000 // 30, is_keyframe=False))
    assert len(sender.runs) == 1
    sender.send(picture(2000, is_keyframe=True))
    before, after = sender.runs
    assert (before.audio, after.audio) == (None, AacConfig(STEREO))
    assert before.count(Track.VIDEO) == 60


def test_repeated_parameters_change_nothing() -> None:
    sender = Sender()
    for _ in range(5):
        sender.config()
        sender.play(1)
    assert len(sender.runs) == 1


def test_other_parameters_are_a_new_run_at_the_next_keyframe() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.config(audio=MONO)
    sender.send(AudioTag(1000, aac_sound(b"mono")))
    sender.play(1)
    before, after = sender.runs
    assert before.audio == AacConfig(STEREO)
    assert after.audio == AacConfig(MONO)
    assert before.count(Track.VIDEO) == after.count(Track.VIDEO) + 1 == 30
    assert b"mono" not in [sample.data for run in sender.runs for sample in run.samples]


def test_pictures_that_need_other_parameters_wait_for_their_keyframe() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.config(avcc=AVCC + b"\0")
    sender.send(picture(1000, is_keyframe=False))
    assert len(sender.runs) == 1
    sender.send(picture(1033, is_keyframe=True))
    assert len(sender.runs) == 2
    assert sender.runs[0].count(Track.VIDEO) == 30


def test_enhanced_tags_are_the_same() -> None:
    sender = Sender()
    sender.send(VideoTag(0, enhanced_video(0, AVCC)), AudioTag(0, enhanced_audio(0, STEREO)))
    for number in range(30):
        data, frame = (b"\0\0\0\2\x65\x88", 1) if number == 0 else (b"\0\0\0\2\x41\x9a", 2)
        sender.send(
            VideoTag(number * 33, enhanced_video(3, data, frame=frame)),
            AudioTag(number * 33, enhanced_audio(1, b"s")),
        )
    [run] = sender.runs
    assert run.count(Track.VIDEO) == run.count(Track.AUDIO) == 29


def test_a_jump_begins_a_new_run_with_the_very_keyframe_that_jumped() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.send(picture(100_000, is_keyframe=True), picture(100_033, is_keyframe=False))
    before, after = sender.runs
    assert before.count(Track.VIDEO) == 30
    assert [sample.dts for sample in after.samples] == [0]


def test_a_jump_in_mid_group_waits_for_a_keyframe() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.send(picture(100_000, is_keyframe=False), picture(100_033, is_keyframe=False))
    assert len(sender.runs) == 1
    sender.send(picture(100_067, is_keyframe=True))
    assert len(sender.runs) == 2


def test_a_jump_that_only_the_packager_sees_begins_a_new_run_too() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.recorder.refuses = BrokenTimestamps("no")
    sender.play(2)
    assert len(sender.runs) == 2


def test_the_end_of_a_sequence_gives_its_last_picture_away() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.send(VideoTag(1000, avc_end()))
    assert sender.runs[0].count(Track.VIDEO) == 30
    sender.play(1)
    assert len(sender.runs) == 2


def test_closing_gives_the_last_picture_away() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.intake.close("stopped")
    assert sender.runs[0].count(Track.VIDEO) == 30
    assert sender.recorder.closed == "stopped"
    sender.intake.close("stopped")


def test_a_broken_picture_now_and_then_is_left_out_and_a_stream_of_them_ends() -> None:
    sender = Sender(IntakeLimits(broken_tags_per_minute=3))
    sender.config()
    sender.play(1)
    broken = VideoTag(500, avc_picture(b"\xff" * 20, is_keyframe=False))
    for _ in range(3):
        sender.send(broken)
        sender.play(1)
    with pytest.raises(UnsupportedMedia, match="broken"):
        for _ in range(4):
            sender.send(broken)


def test_changes_again_and_again_end_the_stream_and_a_few_do_not() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    for index in range(20):
        sender.send(picture(10_000 * (index + 1), is_keyframe=True))
    with pytest.raises(UnsupportedMedia, match="again and again"):
        sender.send(picture(10_000_000, is_keyframe=True))


def test_without_any_picture_the_host_is_told_what_is_missing() -> None:
    sender = Sender()
    sender.config()
    sender.seconds = sender.intake.deadline
    with pytest.raises(UnsupportedMedia, match="no picture arrives"):
        sender.send(AudioTag(0, aac_sound(b"s")))

    sender = Sender()
    sender.config()
    sender.send(picture(0, is_keyframe=False))
    sender.seconds = sender.intake.deadline
    with pytest.raises(UnsupportedMedia, match="no keyframe"):
        sender.send(AudioTag(0, aac_sound(b"s")))


def test_sound_alone_does_not_keep_a_stream() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    with pytest.raises(Idle):
        for _ in range(1000):
            sender.seconds += 0.021
            sender.send(AudioTag(round(sender.seconds * 1000), aac_sound(b"s")))
    assert 15 < sender.seconds < 17


def test_a_replaced_publisher_says_so_and_closes_nothing() -> None:
    sender = Sender()
    sender.config()
    sender.play(1)
    sender.recorder.is_current = False
    sender.recorder.refuses = PublisherGone("another one")
    with pytest.raises(PublisherGone):
        sender.play(1)
    samples = len(sender.runs[0].samples)
    sender.intake.close("replaced")
    assert len(sender.runs[0].samples) == samples


BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            avc_config(AVCC),
            avc_config(AVCC + b"\0"),
            avc_picture(b"\0\0\0\2\x65\x88", is_keyframe=True),
            avc_picture(b"\0\0\0\2\x41\x9a", is_keyframe=False, composition_ms=-80),
            avc_end(),
            aac_config(STEREO),
            aac_config(MONO),
            aac_sound(b"s"),
        ]
    ),
)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-800, 800), st.floats(0, 3), BODIES), max_size=150
    )
)
def test_whatever_is_sent_only_ends_in_one_of_the_known_ways(
    steps: list[tuple[bool, int, float, bytes]],
) -> None:
    sender = Sender()
    ms = 0
    try:
        for is_video, step_ms, wait, body in steps:
            ms += step_ms
            sender.seconds += wait
            sender.send(VideoTag(ms, body) if is_video else AudioTag(ms, body))
    except (UnsupportedMedia, Idle):
        pass
    sender.intake.close("closed")
    for run in sender.runs:
        pictures = [sample for sample in run.samples if sample.track is Track.VIDEO]
        assert all(picture.is_keyframe for picture in pictures[:1])
        assert run.audio is not None or run.count(Track.AUDIO) == 0
