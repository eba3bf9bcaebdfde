"""What a browser host says and is told: frames of `WS /live/{show_id}/camera`, checked. Pure.

Text frames are JSON, binary ones media: a byte for the kind, eight for the timestamp in µs by the
host's clock, the rest as WebCodecs or MediaRecorder made it. Media is acknowledged, because what a
browser calls sent may lie in the buffers of its system for seconds.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, TypeAlias

import msgspec

from liveshop.video.ingest.access_units import VideoConfig
from liveshop.video.ingest.camera_refused import CameraRefused, broken
from liveshop.video.ingest.camera_tracks import (
    AudioTrack,
    SoundFormat,
    VideoTrack,
    sound_of,
    video_of,
)
from liveshop.video.ingest.rates import Rate

Format = Literal["webcodecs", "recorder"]
_HEADER_BYTES: Final = 9
_MOST_US: Final = 1 << 53
"""A number of JavaScript's; 285 years."""


@dataclass(frozen=True, slots=True)
class CameraLimits:
    begin_seconds: float = 20.0
    """From the handshake to `begin`, uplink test included."""
    probe_bytes: int = 4_000_000
    probe_seconds: float = 10.0
    frame_bytes: int = 4 << 20
    text_bytes: int = 16 << 10
    max_kbit_per_second: int = 12_000
    max_messages_per_second: int = 500
    """60 pictures and 100 packets of sound, three times over."""
    rate_seconds: int = 10
    ack_seconds: float = 0.2


class Kind(IntEnum):
    PICTURE = 0
    KEYFRAME = 1
    SOUND = 2
    CONTAINER = 3
    PROBE = 4


# -- what a host says


@dataclass(frozen=True, slots=True)
class Begun:
    """`video` and `sound` are None for a recorder, whose container tells them."""

    format: Format
    mime: str
    video: VideoConfig | None
    sound: SoundFormat | None
    resume: str


@dataclass(frozen=True, slots=True)
class Configured:
    """Holds from the next keyframe on. `video` None: as before."""

    video: VideoConfig | None
    sound: SoundFormat | None


@dataclass(frozen=True, slots=True)
class Media:
    kind: Kind
    us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Pinged:
    at: float


@dataclass(frozen=True, slots=True)
class Muted:
    is_on: bool


@dataclass(frozen=True, slots=True)
class Bye:
    """The host stops on purpose."""


Event: TypeAlias = Begun | Configured | Media | Pinged | Muted | Bye


class _Begin(msgspec.Struct, tag_field="t", tag="begin"):
    format: Format
    mime: str | None = None
    video: VideoTrack | None = None
    audio: AudioTrack | None = None
    resume: str | None = None


class _Config(msgspec.Struct, tag_field="t", tag="config"):
    video: VideoTrack | None = None
    audio: AudioTrack | None = None


class _Muted(msgspec.Struct, tag_field="t", tag="muted"):
    on: bool


class _Bye(msgspec.Struct, tag_field="t", tag="bye"):
    pass


class _Ping(msgspec.Struct, tag_field="t", tag="ping"):
    at: float


class _Probe(msgspec.Struct, tag_field="t", tag="probe"):
    pass


_decoder = msgspec.json.Decoder(_Begin | _Config | _Muted | _Bye | _Ping | _Probe)
_encode = msgspec.json.Encoder().encode


# -- what it is told


def ready(*, resume: str, state: str, max_kbit_per_second: int, transcodes: bool) -> str:
    """`transcodes`: whether a picture that is not H.264 would be taken now."""
    return _said(
        "ready",
        resume=resume,
        state=state,
        max_kbit_per_second=max_kbit_per_second,
        transcodes=transcodes,
    )


def refused(error: CameraRefused) -> str:
    return _said(
        "refused",
        code=error.code,
        message=error.message,
        retryable=error.is_retryable,
        retry_after=error.retry_after,
    )


def pong(at: float, now: str) -> str:
    return _said("pong", at=int(at) if at.is_integer() else at, now=now)


def state(name: str) -> str:
    return _said("state", state=name)


def _said(kind: str, **values: object) -> str:
    return _encode({"t": kind, **values}).decode()


class CameraProtocol:
    """One connection. Give `receive` every frame; `seconds` are of a monotonic clock."""

    def __init__(self, limits: CameraLimits, seconds: float) -> None:
        self._limits = limits
        self._since = seconds
        self._format: Format | None = None
        self._probed_since: float | None = None
        self._byte_rate = Rate(limits.max_kbit_per_second * 125, limits.rate_seconds)
        self._message_rate = Rate(limits.max_messages_per_second, limits.rate_seconds)
        self._taken_bytes = 0
        self._taken_us = 0
        self._acked_bytes = 0
        self._acked_at = seconds - limits.ack_seconds

    @property
    def has_begun(self) -> bool:
        return self._format is not None

    @property
    def begin_by(self) -> float:
        return self._since + self._limits.begin_seconds

    def receive(self, frame: str | bytes, seconds: float) -> Event | None:
        """What a frame says; None: nothing more is to be done. Raises CameraRefused."""
        if self._message_rate.is_over(1, seconds) or self._byte_rate.is_over(len(frame), seconds):
            raise CameraRefused(
                "too_much",
                f"This browser sends more than {self._limits.max_kbit_per_second} kbit/s."
                " Choose a lower quality.",
            )
        if isinstance(frame, str):
            return self._text(frame, seconds)
        return self._binary(frame, seconds)

    # -- acknowledgements

    @property
    def ack_at(self) -> float | None:
        """When to ask for `ack`; None: there is nothing to acknowledge."""
        if self._acked_bytes == self._taken_bytes:
            return None
        return self._acked_at + self._limits.ack_seconds

    def ack(self, seconds: float) -> str | None:
        """The frame to send if it is time to."""
        ack_at = self.ack_at
        if ack_at is None or seconds < ack_at:
            return None
        self._acked_at = seconds
        self._acked_bytes = self._taken_bytes
        return _said("ack", bytes=self._taken_bytes, timestamp=self._taken_us)

    # -- frames

    def _text(self, text: str, seconds: float) -> Event | None:
        if len(text) > self._limits.text_bytes:
            raise broken("a text frame is too long")
        try:
            said = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise broken("a text frame is not of this protocol") from None
        match said:
            case _Begin():
                return self._begin(said)
            case _Config():
                return self._config(said)
            case _Ping():
                return Pinged(said.at)
            case _Probe():
                if self.has_begun or self._probed_since is not None:
                    raise broken("an uplink is tested once, and before anything is sent")
                self._probed_since = seconds
                return None
            case _Muted():
                return Muted(said.on)
        return Bye()

    def _begin(self, said: _Begin) -> Begun:
        if self.has_begun:
            raise broken("it has begun already")
        self._format = said.format
        self._taken_bytes = self._acked_bytes = 0
        resume = (said.resume or "")[:100]
        mime = (said.mime or "")[:200]
        if said.format == "recorder":
            return Begun(said.format, mime, None, None, resume)
        if said.video is None:
            raise CameraRefused("video_unsupported", "There is no picture. Choose a camera.")
        return Begun(said.format, mime, video_of(said.video), sound_of(said.audio), resume)

    def _config(self, said: _Config) -> Configured:
        if self._format != "webcodecs":
            raise broken("a configuration came where none belongs")
        video = None if said.video is None else video_of(said.video)
        return Configured(video, sound_of(said.audio))

    def _binary(self, frame: bytes, seconds: float) -> Media | None:
        if not _HEADER_BYTES < len(frame) <= self._limits.frame_bytes:
            raise broken(f"a frame has {len(frame)} bytes")
        kind = _kind_of(frame[0])
        us = int.from_bytes(frame[1:_HEADER_BYTES], "big", signed=True)
        if abs(us) > _MOST_US:
            raise broken("a timestamp is not one")
        if kind is Kind.PROBE:
            self._probe(len(frame), seconds)
        elif self._format is None:
            raise broken("media came before its description")
        elif (kind is Kind.CONTAINER) != (self._format == "recorder"):
            raise broken("media came that was not announced")
        self._taken_bytes += len(frame)
        self._taken_us = us
        return None if kind is Kind.PROBE else Media(kind, us, frame[_HEADER_BYTES:])

    def _probe(self, count: int, seconds: float) -> None:
        if self.has_begun or self._probed_since is None:
            raise broken("a test frame came where none belongs")
        is_late = seconds - self._probed_since > self._limits.probe_seconds
        if is_late or self._taken_bytes + count > self._limits.probe_bytes:
            raise CameraRefused("too_much", "The test of the connection takes too long. Try again.")


def _kind_of(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise broken("a frame is of a kind that is not known") from None
