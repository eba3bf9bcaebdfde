"""Pictures and sound of one source become runs of samples at its `Publisher`.

A run begins at a keyframe, with parameters and a timeline that do not change. What comes after a
jump of the timestamps waits for the next keyframe: late sound costs no picture.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from liveshop.video.ingest.access_units import Picture, Sound
from liveshop.video.ingest.rates import Frequency
from liveshop.video.ingest.timeline import LONGEST_PICTURE_MS, Timeline
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    PublisherGone,
    Publishing,
    Sample,
    UnsupportedMedia,
)
from liveshop.video.origin import ArrivalOrigin
from liveshop.video.service import Publisher, VideoService

_log = structlog.get_logger("ingest")

_CHANGES_PER_MINUTE: Final = 20


class Idle(Exception):
    """Pictures have stopped coming."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit. `ms` by the source's clock, the same for pictures and sound.

    `arrived_at`: nobody asks it of sound.
    """

    ms: int
    content: Picture | Sound
    arrived_at: datetime | None = None


class Runs:
    """`origin`: for a source whose timestamps are of one clock throughout; without one each run is
    placed by its own arrivals."""

    def __init__(
        self,
        video: VideoService,
        publishing: Publishing,
        *,
        changes_per_minute: int = _CHANGES_PER_MINUTE,
        longest_picture_ms: int = LONGEST_PICTURE_MS,
        origin: ArrivalOrigin | None = None,
    ) -> None:
        self._video = video
        self._publishing = publishing
        self._longest_picture_ms = longest_picture_ms
        self._origin = origin
        self._publisher: Publisher | None = None
        self._is_paused = False
        self._run: _Run | None = None
        self._ready: list[Sample] = []
        self._changes = Frequency(changes_per_minute)

    @property
    def publisher(self) -> Publisher | None:
        """None until the first picture has come."""
        return self._publisher

    @property
    def is_paused(self) -> bool:
        """Viewers were told that its source is away; it goes on with `begin`."""
        return self._is_paused

    @property
    def is_replaced(self) -> bool:
        """Whether somebody else sends, or the show is over."""
        if self._is_paused:
            show_id = self._publishing.show_id
            return self._video.has_publisher(show_id) or self._video.has_ended(show_id)
        return self._publisher is not None and not self._publisher.is_current

    @property
    def tracks(self) -> tuple[H264Config, AacConfig | None] | None:
        """Of the run of now; None: a keyframe is waited for."""
        return None if self._run is None else (self._run.video, self._run.audio)

    def begin(self, video: H264Config, audio: AacConfig | None, seconds: float) -> None:
        """The next picture added is a keyframe with these parameters.

        Raises UnsupportedMedia when this happens again and again, PublisherGone.
        """
        self.finish()
        if self._publisher is None:
            if self.is_replaced:
                raise PublisherGone("somebody else sends now")
            self._publisher = self._video.publish(self._publishing, video, audio)
            self._is_paused = False
        else:
            if self._changes.is_over(seconds):
                raise UnsupportedMedia(
                    "The encoder's timestamps or settings change again and again. Restart it, or"
                    " lower its bit rate if it drops many pictures."
                )
            self._publisher.change(video, audio)
        timeline = Timeline(video, audio, longest_picture_ms=self._longest_picture_ms)
        self._run = _Run(video, audio, timeline, self._origin or ArrivalOrigin())

    def add(self, unit: Unit, seconds: float) -> None:
        """Left out between runs. Raises what `begin` raises."""
        run = self._run
        if run is None:
            return
        try:
            self._ready += run.add(unit)
        except BrokenTimestamps as error:
            self._tell(error)
            self.finish()
            if isinstance(unit.content, Picture) and unit.content.is_keyframe:
                self.begin(run.video, run.audio, seconds)
                self.add(unit, seconds)

    def write(self) -> None:
        """Send what was added. Raises PublisherGone."""
        samples, self._ready = self._ready, []
        run = self._run
        if not samples or run is None or run.media_zero is None or self._publisher is None:
            return
        try:
            self._publisher.write(samples, origin=run.media_zero)
        except BrokenTimestamps as error:
            self._tell(error)
            self._run = None

    def finish(self) -> None:
        """What follows waits for `begin`. Raises PublisherGone."""
        run = self._run
        if run is not None:
            self._ready += run.timeline.flush()
            self.write()
        self._run = None

    def pause(self, reason: str) -> None:
        """Nothing comes for now. What follows waits for `begin`, and is another publisher's: not
        in the place of one who sends by then."""
        publisher = self._publisher
        if publisher is None or not publisher.is_current:
            return
        self.finish()
        publisher.close(reason=reason)
        self._publisher = None
        self._is_paused = True

    def close(self, reason: str) -> None:
        """Nothing follows. May be repeated."""
        if self._publisher is None:
            return
        if self._publisher.is_current:
            self.finish()
        self._publisher.close(reason=reason)

    def _tell(self, error: BrokenTimestamps) -> None:
        _log.info("timestamps_jump", show_id=self._publishing.show_id, problem=error.detail)


class _Run:
    def __init__(
        self,
        video: H264Config,
        audio: AacConfig | None,
        timeline: Timeline,
        origin: ArrivalOrigin,
    ) -> None:
        self.video = video
        self.audio = audio
        self.timeline = timeline
        self.media_zero: datetime | None = None
        """The wall time of timestamp zero as known now; None before the first picture."""
        self._origin = origin

    def add(self, unit: Unit) -> list[Sample]:
        """Raises BrokenTimestamps."""
        content = unit.content
        if isinstance(content, Sound):
            return self.timeline.sound(unit.ms, content.data)
        samples = self.timeline.picture(
            unit.ms, content.composition_ms, content.is_keyframe, content.data
        )
        assert unit.arrived_at is not None
        source_zero = self._origin.heard(unit.arrived_at, unit.ms / 1000)
        self.media_zero = source_zero + timedelta(milliseconds=self.timeline.zero_ms)
        return samples
