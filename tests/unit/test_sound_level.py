"""How loud sound is: a tone that was encoded comes back as what it was."""

import asyncio
import math
import os
import random
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import pytest

from liveshop.video import sound_level
from liveshop.video.model import AacConfig
from liveshop.video.sound_level import LOWEST_DBFS, Level, Sound, level_of, measure_sound

RATE = 48_000
Wave = Callable[[int], float]


def tone(amplitude: float, hertz: int = 440) -> Wave:
    return lambda n: amplitude * math.sin(2 * math.pi * hertz * n / RATE)


def encode(*waves: Wave, seconds: float = 3.0) -> Sound:
    """AAC at 128 kbit/s; one channel per wave."""
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = RATE
    encoder.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(waves)]
    encoder.format = "fltp"
    encoder.bit_rate = 128_000
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    frames: list[bytes] = []
    for start in range(0, round(seconds * RATE), 1024):
        frame = av.AudioFrame(format="fltp", layout=encoder.layout.name, samples=1024)
        for plane, wave in zip(frame.planes, waves, strict=True):
            values = struct.pack("1024f", *(wave(start + n) for n in range(1024)))
            plane.update(values + bytes(plane.buffer_size - len(values)))
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        frames.extend(bytes(packet) for packet in encoder.encode(frame))
    return Sound(AacConfig(encoder.extradata or b""), tuple(frames))


def measured(sound: Sound) -> Level:
    level = measure_sound(sound.frames, sound.config)
    assert level is not None
    return level


def test_a_tone_is_as_loud_as_it_was() -> None:
    level = measured(encode(tone(0.1), tone(0.1)))
    assert level.peak_dbfs == pytest.approx(-20, abs=0.3)
    assert level.mean_dbfs == pytest.approx(-23, abs=0.3)
    assert not level.is_silent
    assert not level.is_too_loud


def test_one_of_six_channels_is_heard() -> None:
    silence = tone(0.0)
    level = measured(encode(silence, silence, tone(0.1), silence, silence, silence, seconds=1.5))
    assert level.peak_dbfs == pytest.approx(-20, abs=0.5)
    assert not level.is_silent


def test_a_muted_microphone_is_silent() -> None:
    level = measured(encode(tone(0.0)))
    assert (level.mean_dbfs, level.peak_dbfs) == (LOWEST_DBFS, LOWEST_DBFS)
    assert level.is_silent


def test_a_quiet_room_is_not_silent() -> None:
    noise = random.Random(1)
    assert not measured(encode(lambda _: noise.uniform(-0.004, 0.004))).is_silent


def test_taking_a_breath_is_not_silence() -> None:
    sound = encode(lambda n: tone(0.1)(n) if n < 1.2 * RATE else 0.0)
    level = measured(sound)
    assert level.peak_dbfs < -60
    assert not level.is_silent


def test_clipping_is_too_loud() -> None:
    over = tone(3.0)
    level = measured(encode(lambda n: max(-1.0, min(1.0, over(n)))))
    assert level.peak_dbfs > -0.3
    assert level.is_too_loud


def test_a_single_knock_is_not_too_loud() -> None:
    def knock(n: int) -> float:
        return 1.0 if RATE * 2.5 < n < RATE * 2.5 + 20 else tone(0.1)(n)

    assert not measured(encode(knock)).is_too_loud


def test_nothing_is_said_of_nothing() -> None:
    sound = encode(tone(0.1), seconds=0.1)
    assert measure_sound((), sound.config) is None
    assert measure_sound(sound.frames[:1], sound.config) is None


def test_garbage_has_no_level() -> None:
    config = encode(tone(0.1), seconds=0.1).config
    assert measure_sound([b""] * 140, config) is None
    for _ in range(20):
        measure_sound([os.urandom(random.randrange(1, 400)) for _ in range(47)], config)


@pytest.mark.parametrize("broken", [b"\xff" * 300, b"", bytes(50), b"\x21\x1b\x8f"])
def test_one_broken_frame_is_passed_over(broken: bytes) -> None:
    sound = encode(tone(0.1))
    level = measure_sound([*sound.frames[:120], broken, *sound.frames[120:]], sound.config)
    assert level is not None
    assert level.peak_dbfs == pytest.approx(-20, abs=0.5)


async def test_it_is_measured_beside_the_loop() -> None:
    assert await level_of(None) is None
    sound = await asyncio.to_thread(encode, tone(0.1))
    level = await level_of(sound)
    assert level is not None
    assert level.peak_dbfs == pytest.approx(-20, abs=0.3)


async def test_what_takes_too_long_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_frames: Sequence[bytes], _config: AacConfig) -> Level | None:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result(10)
        return None

    monkeypatch.setattr(sound_level, "measure_sound", slow)
    monkeypatch.setattr(sound_level, "_MEASURE_SECONDS", 0.01)
    sound = Sound(AacConfig(b"\x11\x90"), (b"a",))
    assert await level_of(sound) is None
    held.set()
