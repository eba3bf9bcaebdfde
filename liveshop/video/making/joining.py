"""One timeline out of a recording's pieces: without its gaps, sound beside its picture. Pure.

Each run of a publisher is moved as a whole, so that what was together stays together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from liveshop.video.making.reading import configs_in, samples_in
from liveshop.video.model import VIDEO_TIMESCALE, AacConfig, H264Config, Sample
from liveshop.video.recorded import Piece

_STEP_BACK_TICKS: Final = -90
_JUMP_TICKS: Final = VIDEO_TIMESCALE // 2
"""A hole as long as this begins a run, though nobody told of it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of the film that is made. Zero is where its first picture is shown; pictures
    count in 90 kHz and sounds in their own rate. Decode times may be a little below zero.

    `sounds` may overlap with those before where a run begins. `starts_at`: the wall time of the
    first picture's decode time.
    """

    video: H264Config
    audio: AacConfig | None
    pictures: list[Sample]
    sounds: list[Sample]
    begins_run: bool
    starts_at: datetime

    def wall_time(self, picture: Sample) -> datetime:
        ticks = picture.dts - self.pictures[0].dts
        return self.starts_at + timedelta(seconds=ticks / VIDEO_TIMESCALE)


class Joiner:
    def __init__(self) -> None:
        self.from_at: datetime | None = None
        self.until_at: datetime | None = None
        self._init = b""
        self._shift = 0
        """From the publisher's time to the film's, in 90 kHz."""
        self._expected_dts: int | None = None
        """By the publisher's time."""
        self._decoded_until = 0
        self._shown_until = 0

    @property
    def seconds(self) -> float:
        """How long the film is by now."""
        return self._shown_until / VIDEO_TIMESCALE

    def joined(self, pieces: Iterable[Piece]) -> Iterator[Stretch]:
        """Raises BrokenPiece."""
        for piece in pieces:
            pictures, sounds = samples_in(piece.data)
            if not pictures:
                continue
            video, audio = configs_in(piece.init)
            begins_run = self._begins_run(piece, pictures[0])
            if begins_run:
                self._init = piece.init
                self._shift = self._shift_for(pictures)
            self._expected_dts = pictures[-1].dts + pictures[-1].duration
            moved = [_moved(picture, self._shift) for picture in pictures]
            starts = min(picture.pts for picture in moved) if begins_run else 0
            shown_until = max(picture.pts + picture.duration for picture in moved)
            self._decoded_until = moved[-1].dts + moved[-1].duration
            self._shown_until = max(self._shown_until, shown_until)
            heard: list[Sample] = []
            if audio is not None:
                heard = self._heard(sounds, audio.timescale, starts)
            self.from_at = self.from_at or piece.starts_at
            self.until_at = piece.starts_at + timedelta(seconds=piece.seconds)
            yield Stretch(video, audio, moved, heard, begins_run, piece.starts_at)

    def _begins_run(self, piece: Piece, first: Sample) -> bool:
        if self._expected_dts is None or piece.is_discontinuous or piece.init != self._init:
            return True
        return not _STEP_BACK_TICKS <= first.dts - self._expected_dts <= _JUMP_TICKS

    def _shift_for(self, pictures: list[Sample]) -> int:
        """So that a run's first picture follows the last one before: neither shown nor decoded
        earlier."""
        first_shown = min(picture.pts for picture in pictures)
        if self._expected_dts is None:
            return -first_shown
        return max(self._shown_until - first_shown, self._decoded_until - pictures[0].dts)

    def _heard(self, sounds: list[Sample], rate: int, starts: int) -> list[Sample]:
        """Without what is heard before the run's picture is seen, or after it: another run's sound
        is heard then. `starts`, in 90 kHz: 0 where the run goes on."""
        shift = round(Fraction(self._shift * rate, VIDEO_TIMESCALE))
        first = -(-starts * rate // VIDEO_TIMESCALE) - shift
        last = self._shown_until * rate // VIDEO_TIMESCALE - shift
        return [
            _moved(sound, shift)
            for sound in sounds
            if sound.dts + sound.duration > first and sound.dts < last
        ]


def _moved(sample: Sample, shift: int) -> Sample:
    return Sample(
        sample.track,
        sample.dts + shift,
        sample.pts + shift,
        sample.duration,
        sample.is_keyframe,
        sample.data,
    )
