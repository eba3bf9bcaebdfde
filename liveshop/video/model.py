"""Tracks and samples, and what can be wrong with them.

H.264 and AAC only: every browser plays them, and what arrives is copied, never transcoded.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from liveshop.kernel.errors import Conflict, Invalid, NotFound

VIDEO_TIMESCALE: Final = 90_000
AAC_FRAME_LENGTH: Final = 1024
"""PCM samples in one AAC-LC frame."""

_AAC_SAMPLE_RATES: Final = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
"""By samplingFrequencyIndex, ISO/IEC 14496-3 table 1.18."""


class BadTrack(Invalid):
    """A track's decoder configuration cannot be used."""

    code = "video_bad_track"


class BrokenTimestamps(Invalid):
    """Samples that run backwards or jump; the publisher must start anew to go on."""

    code = "video_broken_timestamps"


class BadFilm(Invalid):
    """A file that cannot be played as an endless loop."""

    code = "video_bad_film"


class PublisherGone(Conflict):
    """This publisher was replaced by a newer one, or the show was ended."""

    code = "video_publisher_gone"


class NoVideo(NotFound):
    """The show sends no video now. It may soon."""

    code = "video_not_on_air"
    retryable = True


class NoSuchSegment(NotFound):
    """Never made, or no longer kept."""

    code = "video_no_such_segment"


class Track(IntEnum):
    """The value is the track_ID in the MP4."""

    VIDEO = 1
    AUDIO = 2


@dataclass(frozen=True, slots=True)
class H264Config:
    """`avcc`: an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) with SPS and PPS.

    Raises BadTrack when it is not one.
    """

    avcc: bytes
    width: int
    height: int

    def __post_init__(self) -> None:
        if len(self.avcc) < 7 or self.avcc[0] != 1:
            raise BadTrack("the video has no H.264 decoder configuration (avcC)")
        if self.avcc[5] & 0x1F == 0:
            raise BadTrack("the video's avcC holds no sequence parameter set")
        if not (0 < self.width < 65536 and 0 < self.height < 65536):
            raise BadTrack(f"a picture of {self.width}x{self.height} cannot be shown")

    @property
    def timescale(self) -> int:
        return VIDEO_TIMESCALE

    @property
    def codec(self) -> str:
        """By RFC 6381: `avc1.` and profile, constraints, level in hex."""
        return f"avc1.{self.avcc[1:4].hex().upper()}"


@dataclass(frozen=True, slots=True)
class AacConfig:
    """`specific`: an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).

    Raises BadTrack when its sample rate or channels cannot be told from it.
    """

    specific: bytes

    def __post_init__(self) -> None:
        if not 2 <= len(self.specific) < 100:
            raise BadTrack("the sound has no AAC decoder configuration (AudioSpecificConfig)")
        if self._rate_index >= len(_AAC_SAMPLE_RATES):
            raise BadTrack("the sound's sample rate is not one of AAC's table")
        if not 1 <= self.channels <= 7:
            raise BadTrack("the sound's channel layout is not one of AAC's table")

    @property
    def _rate_index(self) -> int:
        return (self.specific[0] & 7) << 1 | self.specific[1] >> 7

    @property
    def sample_rate(self) -> int:
        return _AAC_SAMPLE_RATES[self._rate_index]

    @property
    def timescale(self) -> int:
        return self.sample_rate

    @property
    def channels(self) -> int:
        """channelConfiguration; 7 stands for eight speakers."""
        return self.specific[1] >> 3 & 15

    @property
    def codec(self) -> str:
        return f"mp4a.40.{self.specific[0] >> 3}"


TrackConfig = H264Config | AacConfig


@dataclass(frozen=True, slots=True)
class Sample:
    """One access unit: a picture in length-prefixed NAL units, or one raw AAC frame.

    `dts`, `pts` and `duration` count in the track's timescale. Zero is the publisher's origin,
    the same moment for both tracks.
    """

    track: Track
    dts: int
    pts: int
    duration: int
    is_keyframe: bool
    data: bytes
