"""How loud the sound is that arrives: decoded only when somebody asks, and only seconds of it.

Level and peak are of the last second, as a meter shows them; silence is said of all that is kept,
because a host may take a breath.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import av

from liveshop.video.model import AAC_FRAME_LENGTH, AacConfig

LOWEST_DBFS: Final = -100.0
"""What digital silence is called; its logarithm has no number."""
SILENT_DBFS: Final = -55.0
"""No sample louder than this: a muted microphone. A quiet room already hisses more."""
_LOUD_DBFS: Final = -8.0
"""A mean above this is speech driven into a limiter."""
_CLIPPED: Final = 0.985
_CLIPPED_SHARE: Final = 0.001
_MEASURE_SECONDS: Final = 2.0
_BROKEN_FRAMES: Final = 3
"""A decoder that refuses more of a few seconds has nothing to tell."""


@dataclass(frozen=True, slots=True)
class Sound:
    """AAC frames in the order they came, oldest first."""

    config: AacConfig
    frames: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """Against full scale: 0 dBFS is the loudest that can be sent. Mean and peak of a second."""

    mean_dbfs: float
    peak_dbfs: float
    is_silent: bool
    is_too_loud: bool


@dataclass(slots=True)
class _Frame:
    square_sum: float
    count: int
    peak: float
    clipped: int


async def level_of(sound: Sound | None) -> Level | None:
    """`measure_sound` in a thread. None: no sound, or not measured in time."""
    if sound is None:
        return None
    try:
        async with asyncio.timeout(_MEASURE_SECONDS):
            return await asyncio.to_thread(measure_sound, sound.frames, sound.config)
    except TimeoutError:
        return None


def measure_sound(frames: Sequence[bytes], config: AacConfig) -> Level | None:
    """Decode and measure, about 10 ms for a second of stereo: call it in a thread.

    None when the frames cannot be decoded, or there are too few to say anything.
    """
    try:
        decoded = _decode(frames, config)
    except (av.error.FFmpegError, ValueError):
        return None
    if not decoded:
        return None
    last = decoded[-max(1, config.sample_rate // AAC_FRAME_LENGTH) :]
    count = sum(frame.count for frame in last)
    mean = _dbfs(math.sqrt(sum(frame.square_sum for frame in last) / count))
    clipped = sum(frame.clipped for frame in last)
    return Level(
        mean_dbfs=mean,
        peak_dbfs=_dbfs(max(frame.peak for frame in last)),
        is_silent=_dbfs(max(frame.peak for frame in decoded)) < SILENT_DBFS,
        is_too_loud=mean > _LOUD_DBFS or clipped > _CLIPPED_SHARE * count,
    )


def _decode(frames: Sequence[bytes], config: AacConfig) -> list[_Frame]:
    decoder = _decoder(config)
    fades_in = True  # what the first frame overlaps with (ISO/IEC 14496-3 4.6.11) is not there
    found: list[_Frame] = []
    broken = 0
    for data in filter(None, frames):  # to a decoder, nothing is the end
        try:
            decoded = decoder.decode(av.Packet(data))
        except av.error.FFmpegError:
            broken += 1
            if broken > _BROKEN_FRAMES:
                raise
            # A broken frame can have told the decoder of other parameters.
            decoder, fades_in = _decoder(config), True
            continue
        measured = [_measure(frame) for frame in decoded if frame.samples]
        found.extend(measured[1:] if fades_in else measured)
        fades_in = fades_in and not measured
    return found


def _decoder(config: AacConfig) -> av.AudioCodecContext:
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = config.specific
    return decoder


def _measure(frame: av.AudioFrame) -> _Frame:
    """`aac` decodes to planes of 32-bit floats, full scale 1.0."""
    square_sum = peak = 0.0
    clipped = 0
    for plane in frame.planes:
        values = memoryview(plane).cast("B").cast("f")[: frame.samples].tolist()
        square_sum += math.hypot(*values) ** 2
        highest, lowest = max(values), min(values)
        peak = max(peak, highest, -lowest)
        if max(highest, -lowest) >= _CLIPPED:
            clipped += sum(1 for value in values if abs(value) >= _CLIPPED)
    return _Frame(square_sum, frame.samples * len(frame.planes), peak, clipped)


def _dbfs(amplitude: float) -> float:
    """Rounded to a tenth; NaN and infinity, which a broken stream decodes to, count as silence."""
    if not 0 < amplitude < math.inf:
        return LOWEST_DBFS
    return max(LOWEST_DBFS, round(20 * math.log10(amplitude), 1))
