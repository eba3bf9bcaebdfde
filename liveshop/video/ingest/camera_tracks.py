"""What a browser host announces to send: H.264; Opus, AAC or PCM. Others are named. Pure."""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from liveshop.video.ingest.access_units import BadMedia, VideoConfig, aac_config, video_config
from liveshop.video.ingest.camera_refused import CameraRefused, broken
from liveshop.video.model import AacConfig, UnsupportedMedia

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


class VideoTrack(msgspec.Struct):
    """`description`: an avcC in base64."""

    codec: str
    description: str | None = None


class AudioTrack(msgspec.Struct):
    """`description`: an AudioSpecificConfig or OpusHead in base64."""

    codec: str
    description: str | None = None
    sample_rate: int = 48_000
    channels: int = 1


def video_of(track: VideoTrack) -> VideoConfig:
    """Raises CameraRefused."""
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
        raise broken(str(error)) from None


def sound_of(track: AudioTrack | None) -> SoundFormat | None:
    """Raises CameraRefused."""
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
            raise broken("sound has no such sample rate")
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
        raise broken("a description is not base64") from None
