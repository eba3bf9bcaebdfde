"""What a browser host says and is told: frames of `WS /live/{show_id}/camera`, checked. Pure.

Text frames are JSON, binary ones media: a byte for the kind, eight for the timestamp in µs by the
host's clock, the rest as WebCodecs or MediaRecorder made it. Media is acknowledged, because what a
browser calls sent may lie in the buffers of its system for seconds.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal, TypeAlias

import msgspec

from liveshop.realtime.model import CloseCode
from liveshop.video.ingest.access_units import BadMedia, VideoConfig, aac_config, video_config
from liveshop.video.ingest.rates import Rate
from liveshop.video.model import AacConfig, UnsupportedMedia

Format = Literal["webcodecs", "recorder"]
Code = Literal[
    "not_signed_in",
    "forbidden",
    "unknown_show",
    "show_over",
    "video_unsupported",
    "no_transcoder_free",
    "too_much",
    "broken_media",
    "replaced",
    "idle",
    "unavailable",
    "going_down",
]
_CLOSE_CODES: Final[dict[Code, int]] = {
    "not_signed_in": CloseCode.BAD_TOKEN,
    "forbidden": CloseCode.NO_SUCH_SHOW,
    "unknown_show": CloseCode.NO_SUCH_SHOW,
    "show_over": CloseCode.NO_SUCH_SHOW,
    "video_unsupported": CloseCode.PROTOCOL_VIOLATED,
    "no_transcoder_free": CloseCode.UNAVAILABLE,
    "too_much": CloseCode.PROTOCOL_VIOLATED,
    "broken_media": CloseCode.PROTOCOL_VIOLATED,
    "replaced": 4505,
    "idle": CloseCode.IDLE,
    "unavailable": CloseCode.UNAVAILABLE,
    "going_down": CloseCode.GOING_DOWN,
}
"""Below 4500: come back."""

_HEADER_BYTES: Final = 9
_MOST_US: Final = 1 << 53
"""A number of JavaScript's; 285 years."""
_OPUS_LOOKAHEAD: Final = 312
"""What libopus, which every browser has, puts before the first sample of 48 kHz."""
_MOST_CHANNELS: Final = 2
_PCM_RATES: Final = range(8_000, 96_001)

_CODECS: Final = {
    "avc3": "H.264 with its parameters in the stream",
    "hev1": "HEVC (H.265)",
    "hvc1": "HEVC (H.265)",
    "av01": "AV1",
    "vp8": "VP8",
    "vp09": "VP9",
}
_SOUND_CODECS: Final = {"mp3": "MP3", "flac": "FLAC", "vorbis": "Vorbis", "ulaw": "G.711"}


class CameraRefused(Exception):
    """The host is told so, then the connection is closed. `message` is shown to people."""

    def __init__(self, code: Code, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code: Code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def close_code(self) -> int:
        return _CLOSE_CODES[self.code]

    @property
    def is_retryable(self) -> bool:
        return self.close_code < CloseCode.BANNED


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
class OpusSound:
    """`delay`: samples of 48 kHz that a decoder gives before what the timestamp means."""

    channels: int
    delay: int = _OPUS_LOOKAHEAD


@dataclass(frozen=True, slots=True)
class PcmSound:
    """16 bits, little-endian, interleaved."""

    sample_rate: int
    channels: int


SoundFormat: TypeAlias = AacConfig | OpusSound | PcmSound


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


class _VideoTrack(msgspec.Struct):
    codec: str
    description: str | None = None


class _AudioTrack(msgspec.Struct):
    codec: str
    description: str | None = None
    sample_rate: int = 48_000
    channels: int = 1


class _Begin(msgspec.Struct, tag_field="t", tag="begin"):
    format: Format
    mime: str | None = None
    video: _VideoTrack | None = None
    audio: _AudioTrack | None = None
    resume: str | None = None


class _Config(msgspec.Struct, tag_field="t", tag="config"):
    video: _VideoTrack | None = None
    audio: _AudioTrack | None = None


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


def notice(code: str, message: str) -> str:
    return _said("notice", code=code, message=message)


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
            raise _broken("a text frame is too long")
        try:
            said = _decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise _broken("a text frame is not of this protocol") from None
        match said:
            case _Begin():
                return self._begin(said)
            case _Config():
                return self._config(said)
            case _Ping():
                return Pinged(said.at)
            case _Probe():
                if self.has_begun or self._probed_since is not None:
                    raise _broken("an uplink is tested once, and before anything is sent")
                self._probed_since = seconds
                return None
            case _Muted():
                return Muted(said.on)
        return Bye()

    def _begin(self, said: _Begin) -> Begun:
        if self.has_begun:
            raise _broken("it has begun already")
        self._format = said.format
        self._taken_bytes = self._acked_bytes = 0
        resume = (said.resume or "")[:100]
        mime = (said.mime or "")[:200]
        if said.format == "recorder":
            return Begun(said.format, mime, None, None, resume)
        if said.video is None:
            raise CameraRefused("video_unsupported", "There is no picture. Choose a camera.")
        return Begun(said.format, mime, _video(said.video), _sound(said.audio), resume)

    def _config(self, said: _Config) -> Configured:
        if self._format != "webcodecs":
            raise _broken("a configuration came where none belongs")
        video = None if said.video is None else _video(said.video)
        return Configured(video, _sound(said.audio))

    def _binary(self, frame: bytes, seconds: float) -> Media | None:
        if not _HEADER_BYTES < len(frame) <= self._limits.frame_bytes:
            raise _broken(f"a frame has {len(frame)} bytes")
        kind = _kind_of(frame[0])
        us = int.from_bytes(frame[1:_HEADER_BYTES], "big", signed=True)
        if abs(us) > _MOST_US:
            raise _broken("a timestamp is not one")
        if kind is Kind.PROBE:
            self._probe(len(frame), seconds)
        elif self._format is None:
            raise _broken("media came before its description")
        elif (kind is Kind.CONTAINER) != (self._format == "recorder"):
            raise _broken("media came that was not announced")
        self._taken_bytes += len(frame)
        self._taken_us = us
        return None if kind is Kind.PROBE else Media(kind, us, frame[_HEADER_BYTES:])

    def _probe(self, count: int, seconds: float) -> None:
        if self.has_begun or self._probed_since is None:
            raise _broken("a test frame came where none belongs")
        is_late = seconds - self._probed_since > self._limits.probe_seconds
        if is_late or self._taken_bytes + count > self._limits.probe_bytes:
            raise CameraRefused("too_much", "The test of the connection takes too long. Try again.")


def _kind_of(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise _broken("a frame is of a kind that is not known") from None


def _video(track: _VideoTrack) -> VideoConfig:
    name = track.codec.split(".", 1)[0].lower()
    if name != "avc1":
        raise CameraRefused(
            "video_unsupported",
            f"This browser sends {_CODECS.get(name, 'a kind of video that is not known here')};"
            " only H.264 is taken this way. Choose the other way of sending, or another browser.",
        )
    if not track.description:
        raise CameraRefused(
            "video_unsupported",
            "The browser did not say how its H.264 is to be decoded (avcC). Use another browser.",
        )
    try:
        return video_config(_bytes(track.description))
    except UnsupportedMedia as error:
        raise CameraRefused("video_unsupported", error.detail) from None
    except BadMedia as error:
        raise _broken(str(error)) from None


def _sound(track: _AudioTrack | None) -> SoundFormat | None:
    if track is None:
        return None
    name = track.codec.split(".", 1)[0].lower()
    if name not in {"opus", "mp4a", "pcm"}:
        raise CameraRefused(
            "video_unsupported",
            f"This browser sends {_SOUND_CODECS.get(name, 'a kind of sound not known here')};"
            " Opus, AAC and PCM are taken. Use another browser.",
        )
    if not 1 <= track.channels <= _MOST_CHANNELS:
        raise CameraRefused(
            "video_unsupported",
            f"The microphone has {track.channels} channels; one or two are taken.",
        )
    if name == "opus":
        return OpusSound(track.channels, _opus_delay(track.description))
    if name == "pcm":
        if track.sample_rate not in _PCM_RATES:
            raise _broken("sound has no such sample rate")
        return PcmSound(track.sample_rate, track.channels)
    if not track.description:
        raise CameraRefused(
            "video_unsupported",
            "The browser did not say how its AAC is to be decoded. Use another browser.",
        )
    try:
        return aac_config(_bytes(track.description))
    except UnsupportedMedia as error:
        raise CameraRefused("video_unsupported", error.detail) from None


def _opus_delay(description: str | None) -> int:
    """From an OpusHead (RFC 7845 5.1), where the browser gives one."""
    head = _bytes(description) if description else b""
    if len(head) < 12 or not head.startswith(b"OpusHead"):
        return _OPUS_LOOKAHEAD
    return min(int.from_bytes(head[10:12], "little"), 4_800)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _broken("a description is not base64") from None


def _broken(what: str) -> CameraRefused:
    return CameraRefused("broken_media", f"This browser sends what is not understood: {what}.")
