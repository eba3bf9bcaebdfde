"""The sound of a film that is made: copied where it can be, and else decoded and encoded again.

A film has one sound track with one set of parameters. What comes in others is made like the first,
what is missing is filled with silence, and where all is to be equally loud nothing is copied.
"""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Final

import av
from av.audio.resampler import AudioResampler
from av.filter import Graph

from liveshop.video.making.joining import Stretch
from liveshop.video.model import AAC_FRAME_LENGTH, AacConfig, Sample, Track

TARGET_LUFS: Final = -16.0
"""What phones and social channels play at."""
_MOST_GAIN_DB: Final = 24.0
"""More would only bring up the noise of a room where nobody speaks."""
_CEILING: Final = 10 ** (-2.0 / 20)
"""Of samples; between them, and by encoding, it comes to about -1 dB."""
_NOTHING_LUFS: Final = -69.0
"""EBU R 128 counts nothing below -70."""
_KBIT_PER_CHANNEL: Final = 80
_LAYOUTS: Final = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "7.1"}
"""By channelConfiguration (ISO/IEC 14496-3 table 1.19)."""
_AAC_LC: Final = 2
_PARAMETRIC_STEREO: Final = 29
_HIGH_EFFICIENCY: Final = b"\x56\xe5"
"""What announces it behind a configuration of AAC-LC (ISO/IEC 14496-3 1.6.5)."""
_MEASURED_RATE: Final = 48_000
_BROKEN_FRAMES: Final = 50
"""In a row: then it is not the line that broke them."""


class UnreadableSound(Exception):
    """It cannot be decoded."""


class Silence:
    """Frames that can stand anywhere between frames of this configuration."""

    @staticmethod
    @lru_cache(maxsize=4)
    def frame(config: AacConfig) -> bytes:
        encoder = encoder_for(config)
        found = b""
        for number in range(4):  # the first ones prime the encoder
            frame = av.AudioFrame("fltp", _layout(config), AAC_FRAME_LENGTH)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = config.sample_rate
            frame.pts, frame.time_base = number * AAC_FRAME_LENGTH, Fraction(1, config.sample_rate)
            for packet in encoder.encode(frame):
                found = bytes(packet)
        return found


class SoundTrack:
    """`config`: of the track that is made. `gain_db`: None where nothing is made louder or quieter,
    so that what has this configuration is copied."""

    def __init__(self, config: AacConfig, *, gain_db: float | None = None) -> None:
        self.config = config
        self._gain_db = gain_db
        self._converter: _Converter | None = None
        self._source: AacConfig | None = None
        self._ends = 0

    def take(self, stretch: Stretch) -> list[Sample]:
        """In the track's own rate: one after the other, without holes. Raises UnreadableSound."""
        made: list[Sample] = []
        if stretch.begins_run or stretch.audio != self._source:
            made = self._flushed()
            self._source = stretch.audio
        if stretch.audio is None:
            return made
        if self._gain_db is None and _is_alike(stretch.audio, self.config):
            return self._placed(made, stretch.sounds)
        for sound in stretch.sounds:
            if self._converter is None or self._converter.misses(sound):
                self._placed(made, self._flushed())
                self._converter = _Converter(stretch.audio, self.config, self._gain_db)
            self._placed(made, self._converter.converted(sound))
        return made

    def finish(self) -> list[Sample]:
        return self._flushed()

    def _flushed(self) -> list[Sample]:
        converter, self._converter = self._converter, None
        return [] if converter is None else self._placed([], converter.rest())

    def _placed(self, made: list[Sample], sounds: Iterable[Sample]) -> list[Sample]:
        """Added to `made`, without overlaps and holes of a frame."""
        for sound in sounds:
            missing = sound.dts - self._ends
            if missing < -AAC_FRAME_LENGTH // 2:
                continue
            for _ in range(missing // AAC_FRAME_LENGTH):
                made.append(_frame(self._ends, Silence.frame(self.config)))
                self._ends += AAC_FRAME_LENGTH
            made.append(sound)
            self._ends = sound.dts + AAC_FRAME_LENGTH
        return made


def encoded_config(like: AacConfig) -> AacConfig:
    """AAC-LC with the rate and the speakers that are heard of this one: of a track of which nothing
    is copied."""
    kind, channels = like.specific[0] >> 3, like.channels
    index = (like.specific[0] & 7) << 1 | like.specific[1] >> 7
    if kind != _AAC_LC:  # what is told is half of the rate, and of two speakers one
        index = max(0, index - 3)
        channels = 2 if kind == _PARAMETRIC_STEREO else channels
    return AacConfig((_AAC_LC << 11 | index << 7 | channels << 3).to_bytes(2, "big"))


def _is_alike(one: AacConfig, other: AacConfig) -> bool:
    """Whether frames of both can stand in one track. Some encoders spell out that plain AAC-LC is
    not high-efficiency AAC."""
    if one == other:
        return True
    is_plain = all(
        config.specific[0] >> 3 == _AAC_LC
        and (config.specific[2:4] != _HIGH_EFFICIENCY or config.specific[4:5] < b"\x80")
        for config in (one, other)
    )
    return is_plain and one.specific[:2] == other.specific[:2]


def encoder_for(config: AacConfig) -> av.AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = config.sample_rate
    encoder.layout = _layout(config)
    encoder.format = "fltp"
    encoder.time_base = Fraction(1, config.sample_rate)
    encoder.bit_rate = _KBIT_PER_CHANNEL * 1000 * encoder.layout.nb_channels
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    return encoder


class _Converter:
    """One run of sound, decoded, made like the track, and encoded."""

    def __init__(self, source: AacConfig, target: AacConfig, gain_db: float | None) -> None:
        self._decoder = Decoder(source)
        self._encoder = encoder_for(target)
        self._target = target
        self._levels = None if gain_db is None else _Levels(target, gain_db)
        self._resampler = _resampler(target, AAC_FRAME_LENGTH)
        self._expected: int | None = None

    def misses(self, sound: Sample) -> bool:
        """Whether there is a hole before this one, which the encoder would not notice."""
        return self._expected is not None and sound.dts - self._expected > sound.duration

    def converted(self, sound: Sample) -> Iterator[Sample]:
        self._expected = sound.dts + sound.duration
        for frame in self._decoder.decoded(sound):
            yield from self._encoded(self._resampler.resample(frame))

    def rest(self) -> Iterator[Sample]:
        for frame in self._decoder.rest():
            yield from self._encoded(self._resampler.resample(frame))
        yield from self._encoded(self._resampler.resample(None))
        if self._levels is not None:
            for frame in self._levels.rest():
                yield from self._samples(self._encoder.encode(frame))
        yield from self._samples(self._encoder.encode(None))

    def _encoded(self, frames: Iterable[av.AudioFrame]) -> Iterator[Sample]:
        for frame in frames:
            for levelled in [frame] if self._levels is None else self._levels.levelled(frame):
                yield from self._samples(self._encoder.encode(levelled))

    def _samples(self, packets: Iterable["av.Packet[av.AudioStream]"]) -> Iterator[Sample]:
        for packet in packets:
            assert packet.pts is not None
            yield _frame(packet.pts, bytes(packet))


class Decoder:
    """Frames with the times of the samples they come from; a few broken ones are left out."""

    def __init__(self, config: AacConfig) -> None:
        self._config = config
        self._decoder = _decoder(config)
        self._broken = 0

    def decoded(self, sound: Sample) -> list[av.AudioFrame]:
        """Raises UnreadableSound."""
        if not sound.data:  # to a decoder, nothing is the end
            return []
        packet = av.Packet(sound.data)
        packet.pts = packet.dts = sound.dts
        packet.time_base = Fraction(1, self._config.sample_rate)
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            self._broken += 1
            if self._broken > _BROKEN_FRAMES:
                raise UnreadableSound("its sound cannot be decoded") from error
            self._decoder = _decoder(self._config)
            return []
        self._broken = 0
        return [frame for frame in frames if frame.samples]

    def rest(self) -> list[av.AudioFrame]:
        try:
            return self._decoder.decode(None)
        except av.error.FFmpegError:
            return []


class _Levels:
    """Louder or quieter, and never above the ceiling."""

    def __init__(self, config: AacConfig, gain_db: float) -> None:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=config.sample_rate,
            format="fltp",
            layout=_layout(config),
            time_base=Fraction(1, config.sample_rate),
        )
        volume = graph.add("volume", f"{gain_db:.2f}dB:precision=float")
        limiter = graph.add("alimiter", f"limit={_CEILING:.4f}:level=0:attack=5:latency=1")
        form = graph.add(
            "aformat",
            f"sample_fmts=fltp:sample_rates={config.sample_rate}:channel_layouts={_layout(config)}",
        )
        sink = graph.add("abuffersink")
        graph.link_nodes(source, volume, limiter, form, sink).configure()
        graph.set_audio_frame_size(AAC_FRAME_LENGTH)
        self._graph = graph

    def levelled(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        self._graph.push(frame)
        return _pulled(self._graph)

    def rest(self) -> Iterator[av.AudioFrame]:
        self._graph.push(None)
        return _pulled(self._graph)


class Loudness:
    """Integrated loudness by EBU R 128 of all that is taken."""

    def __init__(self) -> None:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=_MEASURED_RATE,
            format="fltp",
            layout="stereo",
            time_base=Fraction(1, _MEASURED_RATE),
        )
        meter = graph.add("ebur128", "metadata=1:framelog=quiet")
        graph.link_nodes(source, meter, graph.add("abuffersink")).configure()
        self._graph = graph
        self._measured = AacConfig(bytes.fromhex("1190"))  # 48 kHz, stereo
        self._decoder: Decoder | None = None
        self._resampler = _resampler(self._measured)
        self._lufs = -math.inf
        self._pts = 0

    def take(self, stretch: Stretch) -> None:
        """Raises UnreadableSound."""
        if stretch.audio is None:
            return
        if stretch.begins_run or self._decoder is None:
            self._decoder = Decoder(stretch.audio)
            self._resampler = _resampler(self._measured)
        for sound in stretch.sounds:
            for frame in self._decoder.decoded(sound):
                for even in self._resampler.resample(frame):
                    even.pts = self._pts  # holes do not count
                    self._pts += even.samples
                    self._graph.push(even)
                    self._read()

    @property
    def lufs(self) -> float | None:
        """None: silence, or no sound at all."""
        return round(self._lufs, 1) if self._lufs > _NOTHING_LUFS else None

    @property
    def gain_db(self) -> float:
        """What brings it to the target."""
        lufs = self.lufs
        return 0.0 if lufs is None else min(_MOST_GAIN_DB, TARGET_LUFS - lufs)

    def _read(self) -> None:
        for frame in _pulled(self._graph):
            told = frame.metadata.get("lavfi.r128.I")
            if told is not None:
                self._lufs = float(told)


def _resampler(config: AacConfig, frame_size: int | None = None) -> AudioResampler:
    return AudioResampler("fltp", _layout(config), config.sample_rate, frame_size)


def _pulled(graph: Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame


def _decoder(config: AacConfig) -> av.AudioCodecContext:
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = config.specific
    return decoder


def _layout(config: AacConfig) -> str:
    return _LAYOUTS[config.channels]


def _frame(dts: int, data: bytes) -> Sample:
    return Sample(Track.AUDIO, dts, dts, AAC_FRAME_LENGTH, True, data)
