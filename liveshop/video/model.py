"""Tracks and samples, and what can be wrong with them.

H.264 and AAC only: every browser plays them, and what arrives is copied, never transcoded.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, Literal

from liveshop.kernel.errors import Conflict, Forbidden, Invalid, NotFound, ShopError, Unavailable
from liveshop.kernel.ids import ShowId

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


class NoRewind(NotFound):
    """Shows are not recorded here: asking again is no use."""

    code = "video_no_rewind"


class NoRecording(NotFound):
    """Nothing of this show was recorded, or it is not kept any more."""

    code = "video_no_recording"


class RecordingAway(Unavailable):
    """What is kept of a show cannot be read now: the disk is full, or slow; try again."""

    code = "video_recording_away"


class NothingNew(ShopError):
    """What a player waits for did not come in time (draft-pantos-hls-rfc8216bis 6.2.5.2)."""

    code = "video_nothing_new"
    status = 503
    retryable = True


class BadReload(Invalid):
    """A blocking reload of a playlist that asks for what is far in the future, or cannot be read
    (draft-pantos-hls-rfc8216bis 6.2.5.2)."""

    code = "video_bad_reload"
    status = 400


class BadPlaybackLink(Forbidden):
    """The address is not signed, or no longer: load the show again for a fresh one."""

    code = "video_bad_link"


class KeyRefused(Forbidden):
    """There is no such stream key, it was revoked, or its show is over. `reason` is for the log."""

    code = "video_key_refused"


class ShowOver(Conflict):
    """Nothing can be sent to it any more."""

    code = "show_over"


class UnsupportedMedia(Invalid):
    """An encoder sends what is not taken: `detail` says what, and what to choose instead."""

    code = "video_unsupported"


State = Literal["none", "preview", "on_air", "away"]
"""Of a show's video. `preview`: it arrives, but the show is not live, so only its staff sees it.
`away`: the show is live and its encoder is gone."""

Advice = Literal[
    "keyframes_rare",
    "frame_rate_low",
    "no_sound",
    "silent",
    "too_loud",
    "dropping",
    "uplink_slow",
    "picture_small",
    "bitrate_high",
]
"""What a host should know about what arrives; the studio has words for it."""


class Rendition(StrEnum):
    """What a viewer can choose; the value is its folder under `/hls/{show_id}/`."""

    VIDEO = "video"
    LOW = "low"
    """360 lines, where the operator has it made."""
    AUDIO = "audio"


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


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a stream key allows: to send video to one show, as one person.

    `is_on_air`: the show is live, so viewers may see it; before, only its staff does.
    `capture_delay`: how long this person's camera and encoder take before a picture is sent; it is
    taken off the arrival time so that cues meet the picture.
    """

    show_id: ShowId
    is_on_air: bool = True
    for_customers: bool = False
    """Playback addresses have to be signed."""
    person_id: str | None = None
    """A member of staff or an API key."""
    person_name: str = ""
    key_id: str = ""
    """Of the stream key; empty: none is needed, as for a browser whose host is signed in."""
    capture_delay: timedelta = timedelta()
    has_capture_times: bool = False
    """Timestamps are those of the camera: what was measured of an encoder does not hold."""
    started_at: datetime | None = None
    """When the show went live; None: it has not, or nobody knows."""
    rehearsal: str | None = None
    """The rehearsal that the show is in, with which playback addresses are signed."""


# What happens to a show's video, in order; `shows.broadcast` writes it down and tells the room.


@dataclass(frozen=True, slots=True)
class VideoEvent:
    show_id: ShowId
    at: datetime
    data: dict[str, object] = field(default_factory=dict)
    """For people: sizes, codecs, reasons. No key, no address."""


class VideoStarted(VideoEvent):
    """The first picture of a publisher; `data`: width, height, video, audio, person_id."""


class VideoChanged(VideoEvent):
    """New parameters in mid-stream, or a jump of the timestamps: `data` as for VideoStarted."""


class VideoReplaced(VideoEvent):
    """A newer publisher took over; VideoStarted follows with its first picture."""


class VideoLost(VideoEvent):
    """The publisher is gone and nobody took over; `data`: reason (`closed`, `timeout`, `error`,
    `stopped`: the encoder said goodbye, `revoked`, `server_restarted`)."""


class VideoRefused(VideoEvent):
    """Somebody with a good key sent what is not taken; `data`: code, detail."""
