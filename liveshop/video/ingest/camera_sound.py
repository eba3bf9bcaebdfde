"""Opus and PCM of a browser become AAC, in step with their timestamps. Blocks: for a thread.

A browser counts its microphone's samples by one clock and stamps them by another, and it leaves
out what it cannot send. So sound is placed by its timestamps: a hole is filled with silence, a slow
drift is taken up a sample at a time, and jitter is left alone.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av

from liveshop.video.ingest.access_units import BadMedia
from liveshop.video.ingest.camera_tracks import OpusSound, PcmSound
from liveshop.video.model import AAC_FRAME_LENGTH, AacConfig

SAMPLE_RATE: Final = 48_000
_BITS_PER_CHANNEL: Final = 80_000
_SAMPLE_BYTES: Final = 2

_HOLE: Final = SAMPLE_RATE * 100 // 1000
"""Sound this much late, or early, is put right at once."""
_OFF: Final = SAMPLE_RATE * 30 // 1000
"""This much, when it lasts. The packager's tolerance is the same."""
_OFF_CHUNKS: Final = 5
_DRIFT: Final = SAMPLE_RATE * 4 // 1000
_IN_STEP: Final = SAMPLE_RATE // 1000
_WEIGHT: Final = Fraction(1, 16)
"""Of the newest in the average of the lateness: a third of a second of 20 ms packets."""
_NUDGE: Final = 1_000
"""One sample in so many is left out or doubled, which nobody hears."""
_START_OVER: Final = 10 * SAMPLE_RATE
"""A hole that is too long to be filled, or a clock that was set: a new beginning."""


@dataclass(frozen=True, slots=True)
class AacFrame:
    us: int
    data: bytes


def aac_of(channels: int) -> AacConfig:
    """What a SoundMaker makes: AAC-LC, 48 kHz (ISO/IEC 14496-3 1.6.2.1)."""
    return AacConfig((2 << 11 | 3 << 7 | channels << 3).to_bytes(2, "big"))


class SoundDecoder:
    """Packets of one format become interleaved PCM of 16 bits and 48 kHz."""

    def __init__(self, sound: OpusSound | PcmSound, channels: int) -> None:
        self._sound = sound
        layout = "mono" if channels == 1 else "stereo"
        self._resampler = av.AudioResampler("s16", layout, SAMPLE_RATE)
        self._resampled = 0
        self._decoder: av.AudioCodecContext | None = None
        if isinstance(sound, OpusSound):
            decoder = av.CodecContext.create("libopus", "r")
            assert isinstance(decoder, av.AudioCodecContext)
            decoder.sample_rate = SAMPLE_RATE
            decoder.layout = "mono" if sound.channels == 1 else "stereo"
            self._decoder = decoder

    @property
    def delay_us(self) -> int:
        """How much earlier what it gives belongs than the packet says."""
        delay = self._sound.delay if isinstance(self._sound, OpusSound) else 0
        return delay * 1_000_000 // SAMPLE_RATE

    def decode(self, data: bytes) -> bytes:
        """Raises BadMedia."""
        try:
            return b"".join(
                pcm_bytes(made)
                for frame in self._frames(data)
                for made in self._resampler.resample(frame)
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise BadMedia("a packet of sound cannot be decoded") from error

    def _frames(self, data: bytes) -> list[av.AudioFrame]:
        if self._decoder is not None:
            frames = self._decoder.decode(av.Packet(data))
        else:
            frames = [self._pcm_frame(data)]
        for frame in frames:
            # Timestamps are kept apart: the resampler would fill holes by its own rules.
            frame.pts = None
        return frames

    def _pcm_frame(self, data: bytes) -> av.AudioFrame:
        assert isinstance(self._sound, PcmSound)
        channels = self._sound.channels
        count, rest = divmod(len(data), _SAMPLE_BYTES * channels)
        if rest or not count:
            raise BadMedia("a packet of sound does not hold whole samples")
        frame = audio_frame(data, channels)
        frame.sample_rate = self._sound.sample_rate
        return frame


class SoundMaker:
    """PCM by its timestamps in, AAC out. The encoder's priming is taken off by its timestamps."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._width = _SAMPLE_BYTES * channels
        self._pcm = bytearray()
        """Not yet encoded, less than a frame."""
        self._end = 0
        """Where that ends, in samples since the clock's zero."""
        self._encoder: av.AudioCodecContext | None = None
        self._to_float = av.AudioResampler("fltp", self._layout, SAMPLE_RATE)
        self._lateness = Fraction(0)
        self._off_count = 0
        self._is_drifting = False
        self._is_placed = True
        """Not after silence: what follows has to find its place."""

    @property
    def _layout(self) -> str:
        return "mono" if self.channels == 1 else "stereo"

    def add(self, us: int, pcm: bytes) -> list[AacFrame]:
        """`us`: when its first sample was heard. Raises BadMedia."""
        start = us * SAMPLE_RATE // 1_000_000
        count = len(pcm) // self._width
        if not count:
            return []
        late = start - self._end
        if self._encoder is None or abs(late) > _START_OVER:
            self._begin(start)
        elif not self._is_placed or self._is_off(late):
            if late < 0:
                pcm = pcm[-late * self._width :]
            else:
                self._append(bytes(late * self._width))
            self._is_placed = bool(pcm)
        else:
            pcm = self._nudged(pcm, late)
        self._append(pcm)
        return self._encode()

    def silence_until(self, us: int) -> list[AacFrame]:
        """Nothing more comes for the time before this one, or too late. Raises BadMedia."""
        end = us * SAMPLE_RATE // 1_000_000
        if self._encoder is None or end - self._end > _START_OVER:
            self._begin(end)
        if end <= self._end:
            return []
        self._append(bytes((end - self._end) * self._width))
        self._is_placed = False
        return self._encode()

    def _begin(self, start: int) -> None:
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate = SAMPLE_RATE
        encoder.layout = self._layout
        encoder.format = "fltp"
        encoder.bit_rate = _BITS_PER_CHANNEL * self.channels
        encoder.time_base = Fraction(1, SAMPLE_RATE)
        encoder.open()
        self._encoder = encoder
        self._pcm.clear()
        self._end = start
        self._is_placed = True
        self._in_step()

    def _in_step(self) -> None:
        self._lateness = Fraction(0)
        self._off_count = 0
        self._is_drifting = False

    def _is_off(self, late: int) -> bool:
        """Whether this is no jitter."""
        self._off_count = self._off_count + 1 if abs(late) > _OFF else 0
        if abs(late) <= _HOLE and self._off_count < _OFF_CHUNKS:
            return False
        self._in_step()
        return True

    def _nudged(self, pcm: bytes, late: int) -> bytes:
        """Against a drift: with some samples more or less."""
        self._lateness += (late - self._lateness) * _WEIGHT
        # Bounded, or the fraction grows with every packet.
        self._lateness = Fraction(round(self._lateness * 1024), 1024)
        if abs(self._lateness) > _DRIFT:
            self._is_drifting = True
        elif abs(self._lateness) < _IN_STEP:
            self._is_drifting = False
        if not self._is_drifting:
            return pcm
        count = len(pcm) // self._width
        steps = max(1, count // _NUDGE)
        every = count // (steps + 1) * self._width
        pieces: list[bytes] = []
        position = 0
        for _ in range(steps):
            cut = position + every
            pieces.append(pcm[position:cut])
            if self._lateness > 0:
                pieces.append(pcm[cut - self._width : cut])
                position = cut
            else:
                position = cut + self._width
        pieces.append(pcm[position:])
        return b"".join(pieces)

    def _append(self, pcm: bytes) -> None:
        self._pcm += pcm
        self._end += len(pcm) // self._width

    def _encode(self) -> list[AacFrame]:
        assert self._encoder is not None
        made: list[AacFrame] = []
        size = AAC_FRAME_LENGTH * self._width
        while len(self._pcm) >= size:
            first = self._end - len(self._pcm) // self._width
            frame = audio_frame(bytes(self._pcm[:size]), self.channels)
            frame.sample_rate = SAMPLE_RATE
            del self._pcm[:size]
            try:
                for whole in self._to_float.resample(frame):
                    whole.pts, whole.time_base = first, Fraction(1, SAMPLE_RATE)
                    for packet in self._encoder.encode(whole):
                        assert packet.pts is not None
                        us = packet.pts * 1_000_000 // SAMPLE_RATE
                        made.append(AacFrame(us, bytes(packet)))
            except (av.error.FFmpegError, ValueError) as error:
                raise BadMedia("sound cannot be encoded") from error
        return made


def audio_frame(pcm: bytes, channels: int) -> av.AudioFrame:
    """Interleaved 16 bits; its sample rate is the caller's to set."""
    count = len(pcm) // (_SAMPLE_BYTES * channels)
    layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame(format="s16", layout=layout, samples=count)
    plane = frame.planes[0]
    plane.update(pcm + bytes(plane.buffer_size - len(pcm)))
    return frame


def pcm_bytes(frame: av.AudioFrame) -> bytes:
    """Of an interleaved frame of 16 bits; planes are longer than what they hold."""
    return bytes(frame.planes[0])[: frame.samples * _SAMPLE_BYTES * frame.layout.nb_channels]
