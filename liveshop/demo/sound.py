"""Ambient music for the demo film, computed: chords, soft plucks, a gentle bass, an echo.

Everything is laid on a ring as long as the film, so the loop has no seam. Computed at 24 kHz
(nothing in it lies higher) and doubled at the end: plain Python stays below ten seconds.
"""

from array import array
from math import exp, pi, sin, tau
from operator import add, mul
from random import Random
from typing import TypeAlias

Samples: TypeAlias = "array[float]"  # array takes no parameter when Python 3.11 runs

SAMPLE_RATE = 48_000
_RATE = SAMPLE_RATE // 2
_LOOP_SECONDS = 2  # a tone repeats after this; its pitch is rounded to half a hertz

# D major, warm and unhurried: bass note, then the chord's voices, as MIDI numbers
_CHORDS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (38, (57, 62, 66, 69)),
    (35, (57, 62, 66, 71)),
    (43, (59, 62, 66, 69)),
    (45, (57, 61, 64, 69)),
    (42, (57, 61, 66, 69)),
    (40, (55, 59, 62, 66)),
    (43, (55, 59, 62, 69)),
    (45, (57, 62, 64, 69)),
    (47, (57, 62, 66, 73)),
    (42, (57, 61, 64, 69)),
    (43, (59, 62, 66, 71)),
    (45, (57, 62, 64, 71)),
)
_MELODY = (74, 76, 78, 81, 83, 86)
_PLUCKS_PER_CHORD = 8


def music(chords: int, chord_seconds: float) -> tuple[Samples, Samples]:
    """Return left and right channel at 48 kHz, values within -1..1, as a ring without a seam."""
    length = round(chords * chord_seconds * _RATE)
    left, right = array("f", bytes(4 * length)), array("f", bytes(4 * length))
    for index in range(chords):
        start = round(index * chord_seconds * _RATE)
        bass, voices = _CHORDS[index % len(_CHORDS)]
        swell = _swell(chord_seconds)
        low = _shaped(_tone(bass, 0.0, (1.0, 0.35, 0.10)), swell, 0.30)
        for channel, detune in ((left, -0.5), (right, 0.5)):
            _lay(channel, low, start)
            pad = array("f", bytes(4 * len(swell)))
            for voice in voices:
                tone = _looped(_tone(voice, detune, (1.0, 0.42, 0.16, 0.07)), len(swell))
                pad = array("f", map(add, pad, tone))
            _lay(channel, array("f", map(mul, pad, [v * 0.085 for v in swell])), start)
    _pluck(left, right, chords, chord_seconds)
    peak = max(abs(extreme(c)) for c in (left, right) for extreme in (max, min))
    return _doubled(left, 0.7 / peak), _doubled(right, 0.7 / peak)


def _pluck(left: Samples, right: Samples, chords: int, chord_seconds: float) -> None:
    rng = Random(12)
    notes: dict[int, Samples] = {}
    near, far = array("f", bytes(4 * len(left))), array("f", bytes(4 * len(left)))
    beat = chord_seconds / _PLUCKS_PER_CHORD
    for index in range(chords):
        voices = _CHORDS[index % len(_CHORDS)][1]
        choice = sorted({*(v + 12 for v in voices), *rng.sample(_MELODY, 2)})
        at = rng.randrange(len(choice))
        for step in range(_PLUCKS_PER_CHORD):
            at = max(0, min(len(choice) - 1, at + rng.choice((-2, -1, 1, 1, 2))))
            if step and rng.random() < 0.34:
                continue
            note = choice[at]
            if note not in notes:
                notes[note] = _plucked(note)
            start = round((index * chord_seconds + step * beat) * _RATE)
            _lay(near if step % 2 else far, notes[note], start)
    # a ping-pong echo; the ring turns, so late echoes of the end sound at the beginning
    for channel, own, other in ((left, near, far), (right, far, near)):
        mixed = array("f", map(add, own, [v * 0.55 for v in other]))
        for delay, source, gain in ((0.375, other, 0.36), (0.75, own, 0.20), (1.125, other, 0.10)):
            turned = _turned(source, round(delay * _RATE))
            mixed = array("f", map(add, mixed, [v * gain for v in turned]))
        channel[:] = array("f", map(add, channel, mixed))


def _hertz(note: int) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _tone(note: int, detune: float, harmonics: tuple[float, ...]) -> Samples:
    """Return a steady tone whose end meets its beginning."""
    cycles = round((_hertz(note) + detune) * _LOOP_SECONDS)
    count = _RATE * _LOOP_SECONDS
    step = tau * cycles / count
    # the shape of one cycle, looked up: cheaper than a sine per harmonic and sample
    size = 2048
    table = [
        sum(a * sin(tau * (n + 1) * i / size) for n, a in enumerate(harmonics)) for i in range(size)
    ]
    turn = size * step / tau
    return array("f", [table[int(i * turn) % size] for i in range(count)])


def _looped(tone: Samples, count: int) -> Samples:
    return (tone * (count // len(tone) + 1))[:count]


def _swell(chord_seconds: float) -> list[float]:
    """Return a chord's loudness: it rises, stays, and fades under the next chord."""
    rise, fall = 0.28 * chord_seconds, 0.42 * chord_seconds
    count = round((chord_seconds + fall) * _RATE)
    up, down = round(rise * _RATE), round(fall * _RATE)
    rising = [0.5 - 0.5 * sin(pi / 2 + pi * i / up) for i in range(up)]
    falling = [0.5 + 0.5 * sin(pi / 2 + pi * i / down) for i in range(down)]
    return [*rising, *([1.0] * (count - up - down)), *falling]


def _shaped(tone: Samples, envelope: list[float], gain: float) -> Samples:
    return array("f", map(mul, _looped(tone, len(envelope)), [v * gain for v in envelope]))


def _plucked(note: int) -> Samples:
    """Return a struck bar, felt mallet: a pure tone with short-lived overtones."""
    hertz = _hertz(note)
    count = round(1.9 * _RATE)
    w = tau * hertz / _RATE
    out = array("f", bytes(4 * count))
    body, bright, attack = 0.17, 0.05, 0.006 * _RATE
    decay, quick = exp(-3.0 / _RATE), exp(-14.0 / _RATE)
    for i in range(count):
        value = body * sin(w * i) + bright * sin(2 * w * i) * 0.6
        if bright > 0.0002:
            value += bright * 0.5 * sin(4 * w * i)
        out[i] = value * min(1.0, i / attack) * min(1.0, (count - i) / 1200)
        body *= decay
        bright *= quick
    return out


def _lay(ring: Samples, part: Samples, start: int) -> None:
    """Add a part to the ring; what reaches past its end goes on at its beginning."""
    length = len(ring)
    at, taken = start % length, 0
    while taken < len(part):
        count = min(length - at, len(part) - taken)
        ring[at : at + count] = array(
            "f", map(add, ring[at : at + count], part[taken : taken + count])
        )
        taken += count
        at = 0


def _turned(ring: Samples, count: int) -> Samples:
    count %= len(ring)
    return ring[-count:] + ring[:-count] if count else ring


def _doubled(ring: Samples, gain: float) -> Samples:
    """Return the ring at twice the rate: between two samples lies a cubic through four."""
    before, after, later = _turned(ring, 1), _turned(ring, -1), _turned(ring, -2)
    near, far = 0.5625 * gain, -0.0625 * gain
    between = [
        near * (b + c) + far * (a + d)
        for a, b, c, d in zip(before, ring, after, later, strict=True)
    ]
    out = array("f", bytes(8 * len(ring)))
    out[0::2] = array("f", [v * gain for v in ring])
    out[1::2] = array("f", between)
    return out
