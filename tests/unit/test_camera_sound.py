"""Sound of a browser keeps to its timestamps: holes, drift, jitter, other rates."""

import random
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

import av
import pytest
from camera_builders import Chunk, opus, pcm, pcm_at

from liveshop.video.ingest.access_units import BadMedia
from liveshop.video.ingest.camera_sound import AacFrame, SoundDecoder, SoundMaker, aac_of
from liveshop.video.ingest.camera_tracks import OpusSound, PcmSound

FRAME_US = 1024 * 1_000_000 / 48_000
MS = 1000


def made_of(pieces: Iterable[tuple[int, bytes]]) -> list[AacFrame]:
    maker = SoundMaker(1)
    return [frame for us, data in pieces for frame in maker.add(us, data)]


def beeps(frames: Sequence[AacFrame]) -> list[float]:
    """When a tone begins, in ms of the browser's clock."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.extradata = aac_of(1).specific
    found: list[float] = []
    last_loud = -1e9
    for frame in frames:
        for decoded in decoder.decode(av.Packet(frame.data)):
            size = decoded.samples
            values = struct.unpack(f"{size}f", bytes(decoded.planes[0])[: 4 * size])
            for index, value in enumerate(values):
                if abs(value) < 0.15:
                    continue
                at = (frame.us + index * 1e6 / 48_000) / 1000
                if at - last_loud > 300:
                    found.append(at)
                last_loud = at
    return found


def is_gapless(frames: Sequence[AacFrame]) -> bool:
    return all(abs(b.us - a.us - FRAME_US) <= 2 for a, b in pairwise(frames))


@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_pcm_stays_where_it_was_heard(rate: int) -> None:
    _, chunks = pcm(2.2, rate=rate)
    decoder = SoundDecoder(PcmSound(rate, 1), 1)
    frames = made_of((one.us, decoder.decode(one.data)) for one in chunks)
    assert is_gapless(frames)
    assert beeps(frames) == pytest.approx([5000, 6000, 7000], abs=3)


def test_opus_stays_where_it_was_heard() -> None:
    _, chunks = opus(2.2)
    decoder = SoundDecoder(OpusSound(1), 1)
    frames = made_of((one.us - decoder.delay_us, decoder.decode(one.data)) for one in chunks)
    assert is_gapless(frames)
    assert beeps(frames) == pytest.approx([5000, 6000, 7000], abs=3)


def test_one_microphone_follows_another() -> None:
    """Two channels after one, at another rate: players need not begin anew."""
    _, chunks = pcm(1.0)
    mono = SoundDecoder(PcmSound(48_000, 1), 1)
    frames = SoundDecoder(PcmSound(44_100, 2), 1)
    data = pcm_at(0, 882, rate=44_100)
    doubled = b"".join(data[at : at + 2] * 2 for at in range(0, len(data), 2))
    pieces = [(one.us, mono.decode(one.data)) for one in chunks]
    pieces += [(6_000_000 + n * 20_000, frames.decode(doubled)) for n in range(50)]
    made = made_of(pieces)
    assert is_gapless(made)
    assert beeps(made)[0] == pytest.approx(5000, abs=3)


def test_a_hole_is_filled_with_silence() -> None:
    _, chunks = pcm(4.2)
    left = [one for one in chunks if not 5_500_000 <= one.us < 7_300_000]
    frames = made_of((one.us, one.data) for one in left)
    assert is_gapless(frames)
    assert beeps(frames) == pytest.approx([5000, 6800 + 500 + 700, 9000], abs=3)


def test_silence_may_be_put_before_it_is_known_what_follows() -> None:
    maker = SoundMaker(1)
    _, chunks = pcm(3.2)
    frames: list[AacFrame] = []
    for one in chunks:
        if one.us == 6_500_000:
            frames += maker.silence_until(7_900_000)
        # What comes too late for it is left out, as far as silence has taken its place.
        if not 6_500_000 <= one.us < 7_600_000:
            frames += maker.add(one.us, one.data)
    assert is_gapless(frames)
    assert beeps(frames) == pytest.approx([5000, 6000, 8000], abs=3)


def test_silence_alone_is_sound_too() -> None:
    maker = SoundMaker(2)
    frames = maker.silence_until(1_000_000) + maker.silence_until(2_000_000)
    assert len(frames) >= 45
    assert is_gapless(frames)
    assert maker.silence_until(1_500_000) == []


@pytest.mark.parametrize("ppm", [300, -300])
def test_a_drift_is_taken_up(ppm: int) -> None:
    """Ten times what a poor clock does: it would be 6 ms now, and more and more."""
    _, chunks = pcm(20.2)
    stamped = [
        (round(5_000_000 + (one.us - 5_000_000) * (1 + ppm / 1e6)), one.data) for one in chunks
    ]
    frames = made_of(stamped)
    assert is_gapless(frames)
    off = [at - (5000 + n * 1000 * (1 + ppm / 1e6)) for n, at in enumerate(beeps(frames))]
    assert len(off) == 21
    assert max(map(abs, off)) < 8


def test_jitter_is_left_alone() -> None:
    chance = random.Random(7)
    _, chunks = pcm(5.2)
    frames = made_of((one.us + chance.randint(-15 * MS, 15 * MS), one.data) for one in chunks)
    assert is_gapless(frames)
    assert beeps(frames) == pytest.approx([5000 + n * 1000 for n in range(6)], abs=25)
    between = [b - a for a, b in pairwise(beeps(frames))]
    assert between == pytest.approx([1000] * 5, abs=4)


def test_what_lasts_is_put_right_though_it_is_small() -> None:
    _, chunks = pcm(6.2)
    frames = made_of((one.us + (50 * MS if one.us >= 6_500_000 else 0), one.data) for one in chunks)
    assert is_gapless(frames)
    assert beeps(frames)[2:] == pytest.approx([7050, 8050, 9050, 10050, 11050], abs=3)


def test_a_clock_that_was_set_is_a_new_beginning() -> None:
    _, chunks = pcm(1.0)
    frames = made_of(
        [(one.us, one.data) for one in chunks]
        + [(one.us + 3_600_000_000, one.data) for one in chunks]
    )
    assert frames[-1].us > 3_600_000_000
    assert beeps(frames) == pytest.approx([5000, 3_605_000], abs=3)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\0" * 3])
def test_half_samples_are_none(data: bytes) -> None:
    with pytest.raises(BadMedia):
        SoundDecoder(PcmSound(48_000, 1), 1).decode(data)


def test_packets_that_are_none_are_told() -> None:
    chunk = Chunk(2, 0, b"\xff" * 3)
    with pytest.raises(BadMedia):
        SoundDecoder(OpusSound(1), 1).decode(chunk.data)
