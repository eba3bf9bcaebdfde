"""Samples as the FLV tags that RTMP carries: made once, sent to every destination.

By Adobe's "Video File Format Specification" 10.1, annex E.4. Plain H.264 and AAC, which every
platform takes; of Enhanced RTMP nothing is needed for them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from liveshop.video.ingest.amf0 import Value
from liveshop.video.model import AacConfig, H264Config, Sample, Track

_KEY_PICTURE: Final = 0x17
_PICTURE: Final = 0x27
_SOUND: Final = 0xAF
"""AAC, and for the rest what E.4.2.1 says to write for AAC whatever it really is."""
_MAX_COMPOSITION_MS: Final = (1 << 23) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples with the same parameters and one origin of time."""

    video: H264Config
    audio: AacConfig | None

    @property
    def video_header(self) -> bytes:
        return bytes((_KEY_PICTURE, 0, 0, 0, 0)) + self.video.avcc

    @property
    def audio_header(self) -> bytes | None:
        return None if self.audio is None else bytes((_SOUND, 0)) + self.audio.specific

    @property
    def metadata(self) -> dict[str, Value]:
        told: dict[str, Value] = {
            "width": float(self.video.width),
            "height": float(self.video.height),
            "videocodecid": 7.0,
            "encoder": "Liveshop",
        }
        if self.audio is not None:
            told |= {
                "audiocodecid": 10.0,
                "audiosamplerate": float(self.audio.sample_rate),
                "audiosamplesize": 16.0,
                "audiochannels": float(self.audio.channels),
                "stereo": self.audio.channels == 2,
            }
        return told

    def can_follow(self, earlier: "Run") -> bool:
        """Whether one stream may go on with it by new sequence headers alone. Another size or
        another sound is where platforms fail: their transcoders are set up once."""
        return (
            (self.video.width, self.video.height) == (earlier.video.width, earlier.video.height)
            and (self.audio is None) == (earlier.audio is None)
            and (
                self.audio is None
                or earlier.audio is None
                or (self.audio.sample_rate, self.audio.channels, self.audio.codec)
                == (earlier.audio.sample_rate, earlier.audio.channels, earlier.audio.codec)
            )
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """`ms` counts from the run's origin. `arrived`: by the loop's clock, in seconds."""

    run: Run
    is_video: bool
    is_keyframe: bool
    ms: int
    arrived: float
    body: bytes = field(repr=False)


def tags_of(samples: Iterable[Sample], run: Run, arrived: float) -> list[Tag]:
    """Both tracks by time, as players read them."""
    tags: list[Tag] = []
    for sample in samples:
        if sample.track is Track.VIDEO:
            tags.append(_picture(sample, run, arrived))
        elif run.audio is not None:
            ms = sample.dts * 1000 // run.audio.timescale
            body = bytes((_SOUND, 1)) + sample.data
            tags.append(Tag(run, False, False, ms, arrived, body))
    tags.sort(key=lambda tag: tag.ms)  # stable: each track stays in its order
    return tags


def _picture(sample: Sample, run: Run, arrived: float) -> Tag:
    ms = sample.dts * 1000 // run.video.timescale
    composition_ms = sample.pts * 1000 // run.video.timescale - ms
    composition_ms = max(-_MAX_COMPOSITION_MS, min(_MAX_COMPOSITION_MS, composition_ms))
    first = _KEY_PICTURE if sample.is_keyframe else _PICTURE
    head = bytes((first, 1)) + composition_ms.to_bytes(3, "big", signed=True)
    return Tag(run, True, sample.is_keyframe, ms, arrived, head + sample.data)
