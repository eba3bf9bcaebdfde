"""Samples without a codec behind them: pictures and sound, as even or uneven as asked for."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from liveshop.video.model import AacConfig, H264Config, Sample, Track

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
VIDEO = H264Config(
    bytes.fromhex("0164001fffe100196764001facd9405005bb016a02020280000003008000001e478c18cb"
                  "01000568efbcb000"),
    1280,
    720,
)  # fmt: skip
SMALL_VIDEO = H264Config(VIDEO.avcc, 640, 360)
AUDIO = AacConfig(bytes.fromhex("1190"))
"""48 kHz, stereo."""


def pictures(
    seconds: float, *, rate: int = 30, keyframe_every: int = 30, size: int = 100, start: int = 0
) -> Iterator[Sample]:
    step = 90_000 // rate
    for index in range(start * rate, start * rate + round(seconds * rate)):
        dts = index * step
        is_keyframe = index % keyframe_every == 0
        yield Sample(Track.VIDEO, dts, dts, step, is_keyframe, bytes([index % 256]) * size)


def sounds(seconds: float, *, start: int = 0) -> Iterator[Sample]:
    first = -(-start * 48_000 // 1024)
    for index in range(first, -(-round((start + seconds) * 48_000) // 1024)):
        dts = index * 1024
        yield Sample(Track.AUDIO, dts, dts, 1024, True, index.to_bytes(4, "big"))


def interleaved(*tracks: Iterable[Sample]) -> list[Sample]:
    scales = {Track.VIDEO: 90_000, Track.AUDIO: 48_000}
    return sorted((s for track in tracks for s in track), key=lambda s: s.dts / scales[s.track])


@dataclass(frozen=True)
class Camera:
    """An encoder that is not a metronome. Times are whole milliseconds, as RTMP has them.

    `groups`: pictures from keyframe to keyframe, again and again. `jitter_ms`: either way.
    `drops`: the share of pictures that are missing.
    """

    rate: float
    groups: Sequence[int] = (30,)
    jitter_ms: int = 0
    drops: float = 0.0
    seed: int = 0

    def shoot(self, seconds: float, *, start_ms: int = 0) -> list[Sample]:
        chance = random.Random(self.seed)
        taken: list[tuple[int, bool]] = []
        keyframes = self._keyframes(int(seconds * self.rate) + 1)
        for index in range(int(seconds * self.rate)):
            is_keyframe = index in keyframes
            if chance.random() < self.drops and not is_keyframe:
                continue
            ms = round(index * 1000 / self.rate) + chance.randint(-self.jitter_ms, self.jitter_ms)
            least = taken[-1][0] + 1 if taken else 0
            taken.append((start_ms + max(ms, least - start_ms if taken else 0), is_keyframe))
        return [
            Sample(Track.VIDEO, ms * 90, ms * 90, (after - ms) * 90, is_keyframe, b"p%d" % ms)
            for (ms, is_keyframe), (after, _) in pairwise(taken)
        ]

    def _keyframes(self, count: int) -> set[int]:
        found: set[int] = set()
        position = 0
        while position <= count:
            for group in self.groups:
                found.add(position)
                position += group
        return found
