"""When a browser's pictures were taken, by this server's clock, whatever its uplink does."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.access_units import video_config
from liveshop.video.ingest.camera_intake import CameraIntake
from liveshop.video.ingest.camera_protocol import Begun, Kind, Media
from liveshop.video.ingest.camera_transcode import Transcoders
from liveshop.video.model import AacConfig, H264Config, Publishing, Sample
from liveshop.video.service import VideoService

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
AVCC = bytes.fromhex("0142c00bffe100176742c00bda0a37e484000003000400000300f03c50aa8001000468ce0fc8")
KEY, DELTA = b"\0\0\0\2\x65\x88", b"\0\0\0\2\x41\x9a"


class Recorder:
    """A VideoService and its Publisher that write down when a picture was taken."""

    def __init__(self) -> None:
        self.is_current = True
        self.runs = 0
        self.origins: list[datetime] = []
        self.zero: timedelta | None = None

    def publish(self, _by: Publishing, video: H264Config, audio: AacConfig | None) -> "Recorder":
        self.runs += 1
        return self

    def change(self, video: H264Config, audio: AacConfig | None) -> None:
        self.runs += 1

    def write(self, samples: list[Sample], *, origin: datetime) -> None:
        self.origins.append(origin)

    def close(self, *, reason: str) -> None:
        self.is_current = False


def test_an_uplink_that_is_slow_for_minutes_makes_nothing_later() -> None:
    """The window is as long as that; the usual one would take the delay for the picture's."""
    chance = random.Random(1)
    recorder = Recorder()
    begun = Begun("webcodecs", "", video_config(AVCC), None, "")
    intake = CameraIntake(
        cast(VideoService, cast(Any, recorder)),
        Publishing(ShowId("shw_1")),
        begun,
        0.0,
        clock_seconds=lambda: 0.0,
        wake=lambda: None,
        transcoders=Transcoders(0),
    )
    page_open_us = 77_000_000
    for index in range(30 * 150):
        if 2000 <= index < 2060:  # a hole: another run, and the same clock
            continue
        taken = index / 30
        delay = 0.04 + chance.random() * 0.05
        if index > 600:
            delay += 0.8 + chance.random()
        arrived = START + timedelta(seconds=taken + delay)
        media = Media(
            Kind.PICTURE if index % 30 else Kind.KEYFRAME,
            page_open_us + round(taken * 1e6),
            DELTA if index % 30 else KEY,
        )
        intake.media(media, arrived, taken + delay)
    assert recorder.runs == 2
    # Of the first run's zero, which is START, and of the second's.
    zeros = [START, START + timedelta(seconds=2070 / 30)]
    off = [min(abs(origin - zero) for zero in zeros) for origin in recorder.origins[60:]]
    assert max(off) < timedelta(milliseconds=60)
    intake.close("stopped")
    assert not recorder.is_current
