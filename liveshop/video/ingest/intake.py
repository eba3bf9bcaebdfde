"""What one encoder sends, tag by tag, becomes runs of samples at its `Publisher`. No sockets here.

A run begins at a keyframe, so parameters that change in mid-stream take effect at the next one, and
what cannot be shown until then is left out: late sound costs no picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from liveshop.video.ingest.access_units import BadMedia, Picture, Sound, VideoConfig
from liveshop.video.ingest.amf0 import Value
from liveshop.video.ingest.flv import (
    AudioConfig,
    EndOfSequence,
    parse_audio,
    parse_video,
)
from liveshop.video.ingest.rates import Frequency
from liveshop.video.ingest.rtmp import AudioTag, Event, Metadata, VideoTag
from liveshop.video.ingest.runs import Idle, Runs, Unit
from liveshop.video.model import AacConfig, H264Config, Publishing, UnsupportedMedia
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
        self._publishing = publishing
        self._limits = limits or IntakeLimits()
        self._runs = Runs(video, publishing, changes_per_minute=self._limits.changes_per_minute)
        self._tracks = _Tracks()
        self._held = _Held()
        self._since = self._last_picture = seconds
        self._has_pictures = False
        self._broken_tags = Frequency(self._limits.broken_tags_per_minute)

    @property
    def publisher(self) -> Publisher | None:
        """None until the first picture has come."""
        return self._runs.publisher

    @property
    def deadline(self) -> float:
        if self._held:
            return self._held.since + self._limits.sound_wait_seconds
        if self.publisher is None:
            return self._since + self._limits.first_picture_seconds
        return self._last_picture + self._limits.idle_seconds

    @property
    def last_picture(self) -> float:
        """When one arrived, in `seconds`."""
        return self._last_picture

    def check(self, seconds: float) -> None:
        if self._held or seconds < self.deadline:
            return
        if self.publisher is not None:
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
            except BadMedia as error:
                _log.info("broken_tag", show_id=self._publishing.show_id, problem=str(error))
                if self._broken_tags.is_over(seconds):
                    raise UnsupportedMedia(
                        "The encoder sends broken pictures or sound. Restart it."
                    ) from error
        if self._held.is_over(seconds, self._limits):
            self._release(seconds)
        self._runs.write()
        self.check(seconds)

    def close(self, reason: str) -> None:
        """Nothing follows. May be repeated."""
        self._runs.close(reason)

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
                self._picture(Unit(tag.timestamp_ms, content, now), content, seconds)
            case EndOfSequence():
                self._runs.finish()
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
                unit = Unit(tag.timestamp_ms, content, now)
                if self._held:
                    self._held.add(unit)
                elif (tracks := self._runs.tracks) and tracks[1] == self._tracks.audio:
                    self._runs.add(unit, seconds)
            case None:
                pass

    def _picture(self, unit: Unit, picture: Picture, seconds: float) -> None:
        if self._held:
            self._held.add(unit)
            return
        video = self._tracks.video
        if video is None:
            return
        tracks = self._runs.tracks
        if picture.is_keyframe and tracks != (video, self._tracks.audio):
            if self.publisher is None and self._tracks.may_have_sound:
                self._held.begin(unit, seconds)
                return
            self._runs.begin(video, self._tracks.audio, seconds)
        elif tracks is None or tracks[0] != video:
            return
        self._runs.add(unit, seconds)

    def _release(self, seconds: float) -> None:
        """Whether there is sound is known, or has been waited for long enough."""
        units = self._held.clear()
        video = self._tracks.video
        if video is None:
            return
        self._runs.begin(video, self._tracks.audio, seconds)
        for unit in units:
            self._runs.add(unit, seconds)


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


@dataclass(slots=True)
class _Held:
    """The first pictures, while it is not known whether there is sound."""

    units: list[Unit] = field(default_factory=list)
    byte_count: int = 0
    since: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.units)

    def begin(self, unit: Unit, seconds: float) -> None:
        self.since = seconds
        self.add(unit)

    def add(self, unit: Unit) -> None:
        self.units.append(unit)
        self.byte_count += len(unit.content.data)

    def is_over(self, seconds: float, limits: IntakeLimits) -> bool:
        if not self.units:
            return False
        waited = seconds - self.since
        return waited >= limits.sound_wait_seconds or self.byte_count > limits.held_bytes

    def clear(self) -> list[Unit]:
        units, self.units = self.units, []
        self.byte_count = 0
        return units
