"""An encoder's millisecond timestamps become samples of two tracks that stay together. Pure.

Pictures follow their timestamps, sound is counted: 1024 PCM samples do not last whole milliseconds,
and a player hears every wrong one. The timestamps overrule the count only beyond what an ear or
eye notices, so nothing adds up over hours.
"""

from dataclasses import replace
from typing import Final

from liveshop.video.model import (
    AAC_FRAME_LENGTH,
    VIDEO_TIMESCALE,
    AacConfig,
    BrokenTimestamps,
    H264Config,
    Sample,
    Track,
)

_TICKS_PER_MS: Final = VIDEO_TIMESCALE // 1000
_JUMP_MS: Final = 500
"""What the packager takes for a jump as well."""
LONGEST_PICTURE_MS: Final = _JUMP_MS
"""Between two pictures; the packager takes one of a second."""
_PICTURE_JITTER_MS: Final = 10
"""Pictures up to this much early are nudged: two threads of an encoder, or rounding."""
_NUDGED_MS: Final = 45
_SOUND_TOLERANCE_MS: Final = 30
_APART_MS: Final = 5_000
"""Sound and picture of one moment never arrive this far apart."""
_APART_FRAMES: Final = 150
"""About three seconds of sound: after a jump the other track takes a moment to follow."""
_FIRST_GUESS: Final = VIDEO_TIMESCALE // 30
_EVEN_FRAMES: Final = 60


class Timeline:
    """One run: from a keyframe to a change of parameters or a jump.

    Zero is the first picture; sound before it is left out. Everything comes out one access unit
    late, because only the next one tells how long it lasts. After BrokenTimestamps the caller
    flushes, and goes on with a new timeline at a keyframe.
    """

    def __init__(
        self,
        video: H264Config,
        audio: AacConfig | None,
        *,
        longest_picture_ms: int = LONGEST_PICTURE_MS,
    ) -> None:
        self.video = video
        self.audio = audio
        self._longest_picture_ms = longest_picture_ms
        self._zero_ms: int | None = None
        self._picture: Sample | None = None
        self._picture_ms = 0
        self._picture_duration = _FIRST_GUESS
        self._sounds = _SoundCounter(audio) if audio else None

    @property
    def zero_ms(self) -> int:
        """The first picture's timestamp."""
        return self._zero_ms or 0

    def picture(self, ms: int, composition_ms: int, is_keyframe: bool, data: bytes) -> list[Sample]:
        """`composition_ms`: how much later it is shown than decoded. Raises BrokenTimestamps."""
        if self._zero_ms is None:
            self._zero_ms = self._picture_ms = ms
        step_ms = ms - self._picture_ms
        if not -_PICTURE_JITTER_MS <= step_ms <= self._longest_picture_ms:
            raise _jump("video", step_ms)
        self._picture_ms = max(ms, self._picture_ms)
        stamp = (ms - self._zero_ms) * _TICKS_PER_MS
        dts = stamp
        finished: list[Sample] = []
        last = self._picture
        if last is not None:
            dts = max(stamp, last.dts + _TICKS_PER_MS)
            if dts - stamp > _NUDGED_MS * _TICKS_PER_MS:
                raise BrokenTimestamps(
                    "The video timestamps do not advance.", data={"track": "video"}
                )
            self._picture_duration = dts - last.dts
            finished.append(replace(last, duration=self._picture_duration))
        pts = stamp + composition_ms * _TICKS_PER_MS
        if dts != stamp:
            pts = max(pts, dts)
        self._picture = Sample(Track.VIDEO, dts, pts, 0, is_keyframe, data)
        return finished

    def sound(self, ms: int, data: bytes) -> list[Sample]:
        """One AAC frame. Raises BrokenTimestamps."""
        if self._sounds is None or self._zero_ms is None:
            return []
        return self._sounds.add(ms - self._zero_ms, self._picture_ms - self._zero_ms, data)

    def flush(self) -> list[Sample]:
        """The last ones; nothing may follow."""
        finished: list[Sample] = []
        if self._picture is not None:
            finished.append(replace(self._picture, duration=self._picture_duration))
            self._picture = None
        if self._sounds is not None:
            finished += self._sounds.flush()
        return finished


class _SoundCounter:
    """`ms` count from the timeline's zero here."""

    def __init__(self, audio: AacConfig) -> None:
        self._rate = audio.sample_rate
        self._tolerance = _SOUND_TOLERANCE_MS * self._rate // 1000
        self._jump = _JUMP_MS * self._rate // 1000
        self._last: Sample | None = None
        self._apart = 0
        self._even = _EvenSteps(self._rate)
        self._shift = 0
        """What an encoder's own counting has lost by rounding; see _EvenSteps."""

    def add(self, ms: int, picture_ms: int, data: bytes) -> list[Sample]:
        stamp = ms * self._rate // 1000
        last = self._last
        if last is None:
            if self._is_apart(ms, picture_ms) or ms < 0:
                return []
            self._last = self._frame(stamp, data)
            self._even.add(ms)
            return []
        due = last.dts + AAC_FRAME_LENGTH
        late = self._lateness(stamp, due)
        if abs(late) > self._jump:
            raise _jump("audio", late * 1000 // self._rate)
        is_even = self._even.add(ms)
        if abs(late) > self._tolerance and is_even:
            self._shift -= late
            late = 0
        if late < -self._tolerance:
            self._even.start_over()
            return []
        if late > self._tolerance:
            self._even.start_over()
            due += late
        self._last = self._frame(due, data)
        return [replace(last, duration=due - last.dts)]

    def flush(self) -> list[Sample]:
        last, self._last = self._last, None
        return [last] if last is not None else []

    def _lateness(self, stamp: int, due: int) -> int:
        """How much later than counted the frame says it is."""
        shifted = stamp + self._shift - due
        plain = stamp - due
        if abs(plain) < abs(shifted):  # the encoder has put its own counting right
            self._shift = 0
            return plain
        return shifted

    def _is_apart(self, ms: int, picture_ms: int) -> bool:
        apart_ms = ms - picture_ms
        if abs(apart_ms) <= _APART_MS:
            self._apart = 0
            return False
        self._apart += 1
        if self._apart >= _APART_FRAMES:
            raise BrokenTimestamps(
                f"Sound and picture are {abs(apart_ms) / 1000:.1f} s apart.",
                data={"track": "audio", "jump_seconds": apart_ms / 1000},
            )
        return True

    @staticmethod
    def _frame(dts: int, data: bytes) -> Sample:
        return Sample(Track.AUDIO, dts, dts, AAC_FRAME_LENGTH, True, data)


class _EvenSteps:
    """Tells encoders that add a rounded frame length again and again (21, 21, 21 ms for 21⅓).

    Their sound lags its own timestamps by 16 ms every second, while in truth it is in step: such
    timestamps are a count, and a worse one than ours.
    """

    def __init__(self, rate: int) -> None:
        milliseconds, rest = divmod(AAC_FRAME_LENGTH * 1000, rate)
        self._rounded = {milliseconds, milliseconds + 1} if rest else set()
        self._last_ms: int | None = None
        self._step_ms = 0
        self._count = 0

    def add(self, ms: int) -> bool:
        """Whether all steps up to this one were the same, and many."""
        last_ms, self._last_ms = self._last_ms, ms
        step_ms = 0 if last_ms is None else ms - last_ms
        if step_ms != self._step_ms:
            self._step_ms = step_ms
            self._count = 0
        self._count += 1
        return self._count >= _EVEN_FRAMES and step_ms in self._rounded

    def start_over(self) -> None:
        self._count = 0


def _jump(track: str, jump_ms: int) -> BrokenTimestamps:
    seconds = jump_ms / 1000
    return BrokenTimestamps(
        f"The {track} timestamps jump by {seconds:.3f} s.",
        data={"track": track, "jump_seconds": seconds},
    )
