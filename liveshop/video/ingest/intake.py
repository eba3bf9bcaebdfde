"""What one encoder sends, tag by tag, becomes runs of samples at its `Publisher`. No sockets here.

A run begins at a keyframe, so parameters that change in mid-stream take effect at the next one, and
what cannot be shown until then is left out: late sound costs no picture.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from liveshop.video.ingest.amf0 import Value
from liveshop.video.ingest.flv import (
    AudioConfig,
    BadTag,
    EndOfSequence,
    Picture,
    Sound,
    VideoConfig,
    parse_audio,
    parse_video,
)
from liveshop.video.ingest.rtmp import AudioTag, Event, Metadata, VideoTag
from liveshop.video.ingest.timeline import Timeline
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    Publishing,
    Sample,
    UnsupportedMedia,
)
from liveshop.video.origin import ArrivalOrigin
from liveshop.video.service import Publisher, VideoService

_log = structlog.get_logger("rtmp")


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    sound_wait_seconds: float = 1.0
    """How long the first picture waits for the sound's parameters."""
    held_bytes: int = 4 << 20
    """Pictures held that long; more and they go on without sound."""
    first_picture_seconds: float = 10.0
    idle_seconds: float = 15.0
    """Without any picture, whatever else comes."""
    changes_per_minute: int = 20
    broken_tags_per_minute: int = 60


class Idle(Exception):
    """Pictures have stopped coming."""


class Intake:
    """Call `feed` with what arrives and `check` by `deadline`; both raise what ends the stream:

    UnsupportedMedia (tell the host), PublisherGone (somebody else sends now), Idle. `close` after.
    `seconds` are of a monotonic clock, `now` is the wall time of the arrival.
    """

    def __init__(
        self,
        video: VideoService,
        publishing: Publishing,
        seconds: float,
        limits: IntakeLimits | None = None,
    ) -> None:
        self._video = video
        self._publishing = publishing
        self._limits = limits or IntakeLimits()
        self._publisher: Publisher | None = None
        self._run: _Run | None = None
        self._tracks = _Tracks()
        self._ready: list[Sample] = []
        self._held = _Held()
        self._since = self._last_picture = seconds
        self._has_pictures = False
        self._changes = _Frequency(self._limits.changes_per_minute)
        self._broken_tags = _Frequency(self._limits.broken_tags_per_minute)

    @property
    def publisher(self) -> Publisher | None:
        """None until the first picture has come."""
        return self._publisher

    @property
    def deadline(self) -> float:
        if self._held:
            return self._held.since + self._limits.sound_wait_seconds
        if self._publisher is None:
            return self._since + self._limits.first_picture_seconds
        return self._last_picture + self._limits.idle_seconds

    @property
    def last_picture(self) -> float:
        """When one arrived, in `seconds`."""
        return self._last_picture

    def check(self, seconds: float) -> None:
        if self._held or seconds < self.deadline:
            return
        if self._publisher is not None:
            raise Idle
        if self._has_pictures:
            raise UnsupportedMedia(
                "The encoder sends pictures, but no keyframe to begin with."
                " Set the keyframe interval to 1 or 2 seconds."
            )
        raise UnsupportedMedia(
            "The encoder is connected, but no picture arrives. Add a picture source to its scene."
        )

    def feed(self, events: Iterable[Event], now: datetime, seconds: float) -> None:
        for event in events:
            try:
                match event:
                    case VideoTag():
                        self._video_tag(event, now, seconds)
                    case AudioTag():
                        self._audio_tag(event, now, seconds)
                    case Metadata():
                        self._tracks.metadata = event.values
                    case _:
                        pass
            except BadTag as error:
                _log.info("broken_tag", show_id=self._publishing.show_id, problem=str(error))
                if self._broken_tags.is_over(seconds):
                    raise UnsupportedMedia(
                        "The encoder sends broken pictures or sound. Restart it."
                    ) from error
        if self._held.is_over(seconds, self._limits):
            self._release(seconds)
        self._write()
        self.check(seconds)

    def close(self, reason: str) -> None:
        """Nothing follows. May be repeated."""
        if self._publisher is None:
            return
        if self._publisher.is_current:
            self._finish_run()
        self._publisher.close(reason=reason)

    # -- tags

    def _video_tag(self, tag: VideoTag, now: datetime, seconds: float) -> None:
        content = parse_video(tag.body, length_size=self._tracks.length_size)
        match content:
            case VideoConfig():
                if content.config != self._tracks.video:
                    self._held.clear()
                self._tracks.video = content.config
                self._tracks.length_size = content.length_size
            case Picture():
                self._last_picture = seconds
                self._has_pictures = True
                self._picture(_Unit(tag.timestamp_ms, content, now), content, seconds)
            case EndOfSequence():
                self._finish_run()
            case None:
                pass

    def _audio_tag(self, tag: AudioTag, now: datetime, seconds: float) -> None:
        content = parse_audio(tag.body)
        match content:
            case AudioConfig():
                self._tracks.audio = content.config
                if self._held:
                    self._release(seconds)
            case Sound():
                unit = _Unit(tag.timestamp_ms, content, now)
                if self._held:
                    self._held.add(unit)
                elif self._run is not None and self._run.audio == self._tracks.audio:
                    self._add(unit, seconds)
            case None:
                pass

    def _picture(self, unit: "_Unit", picture: Picture, seconds: float) -> None:
        if self._held:
            self._held.add(unit)
            return
        video = self._tracks.video
        if video is None:
            return
        run = self._run
        if picture.is_keyframe and (run is None or not run.is_of(self._tracks)):
            if self._publisher is None and self._tracks.may_have_sound:
                self._held.begin(unit, seconds)
                return
            self._begin_run(video, seconds)
        elif run is None or run.video != video:
            return
        self._add(unit, seconds)

    # -- runs

    def _release(self, seconds: float) -> None:
        """Whether there is sound is known, or has been waited for long enough."""
        units = self._held.clear()
        video = self._tracks.video
        if video is None:
            return
        self._begin_run(video, seconds)
        for unit in units:
            self._add(unit, seconds)

    def _begin_run(self, video: H264Config, seconds: float) -> None:
        self._finish_run()
        audio = self._tracks.audio
        if self._publisher is None:
            self._publisher = self._video.publish(self._publishing, video, audio)
        else:
            if self._changes.is_over(seconds):
                raise UnsupportedMedia(
                    "The encoder's timestamps or settings change again and again. Restart it, or"
                    " lower its bit rate if it drops many pictures."
                )
            self._publisher.change(video, audio)
        self._run = _Run(video, audio)

    def _finish_run(self) -> None:
        run = self._run
        if run is not None:
            self._ready += run.timeline.flush()
            self._write()
        self._run = None

    def _add(self, unit: "_Unit", seconds: float) -> None:
        run = self._run
        if run is None:
            return
        try:
            self._ready += run.add(unit)
        except BrokenTimestamps as error:
            self._tell(error)
            self._finish_run()
            if isinstance(unit.content, Picture) and unit.content.is_keyframe:
                self._begin_run(run.video, seconds)
                self._add(unit, seconds)

    def _write(self) -> None:
        samples, self._ready = self._ready, []
        run = self._run
        if not samples or run is None or run.media_zero is None or self._publisher is None:
            return
        try:
            self._publisher.write(samples, origin=run.media_zero)
        except BrokenTimestamps as error:
            self._tell(error)
            self._run = None

    def _tell(self, error: BrokenTimestamps) -> None:
        _log.info("timestamps_jump", show_id=self._publishing.show_id, problem=error.detail)


@dataclass(frozen=True, slots=True)
class _Unit:
    ms: int
    content: Picture | Sound
    arrived_at: datetime


@dataclass(slots=True)
class _Tracks:
    """What the encoder has announced, whether or not it is in force."""

    video: H264Config | None = None
    length_size: int = 4
    audio: AacConfig | None = None
    metadata: dict[str, Value] | None = None

    @property
    def may_have_sound(self) -> bool:
        """Sound whose parameters have not come yet: promised, or nothing was said."""
        if self.audio is not None:
            return False
        return self.metadata is None or self.metadata.get("audiocodecid") not in {None, 0, ""}


class _Run:
    """From a keyframe on, with parameters and a timeline that do not change."""

    def __init__(self, video: H264Config, audio: AacConfig | None) -> None:
        self.video = video
        self.audio = audio
        self.timeline = Timeline(video, audio)
        self.media_zero: datetime | None = None
        """The wall time of timestamp zero as known now; None before the first picture."""
        self._origin = ArrivalOrigin()

    def is_of(self, tracks: _Tracks) -> bool:
        return (self.video, self.audio) == (tracks.video, tracks.audio)

    def add(self, unit: _Unit) -> list[Sample]:
        """Raises BrokenTimestamps."""
        content = unit.content
        if isinstance(content, Sound):
            return self.timeline.sound(unit.ms, content.data)
        samples = self.timeline.picture(
            unit.ms, content.composition_ms, content.is_keyframe, content.data
        )
        self.media_zero = self._origin.heard(unit.arrived_at, self.timeline.seconds_at(unit.ms))
        return samples


@dataclass(slots=True)
class _Held:
    """The first pictures, while it is not known whether there is sound."""

    units: list[_Unit] = field(default_factory=list)
    byte_count: int = 0
    since: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.units)

    def begin(self, unit: _Unit, seconds: float) -> None:
        self.since = seconds
        self.add(unit)

    def add(self, unit: _Unit) -> None:
        self.units.append(unit)
        self.byte_count += len(unit.content.data)

    def is_over(self, seconds: float, limits: IntakeLimits) -> bool:
        if not self.units:
            return False
        waited = seconds - self.since
        return waited >= limits.sound_wait_seconds or self.byte_count > limits.held_bytes

    def clear(self) -> list[_Unit]:
        units, self.units = self.units, []
        self.byte_count = 0
        return units


_MINUTE: Final = 60.0


class _Frequency:
    """At most so many a minute."""

    def __init__(self, limit: int) -> None:
        self._times: deque[float] = deque(maxlen=limit + 1)
        self._limit = limit

    def is_over(self, seconds: float) -> bool:
        """Count one more."""
        self._times.append(seconds)
        return len(self._times) > self._limit and seconds - self._times[0] < _MINUTE
