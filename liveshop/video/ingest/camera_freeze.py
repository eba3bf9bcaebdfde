"""On a poor uplink sound goes first: until pictures come again, the last keyframe stands still.

Players take sound and picture together, and no picture lasts longer than a second. So the last
keyframe is shown again and again, late enough that pictures which are only slow still come in time.
What follows a repeated keyframe begins with another one. Pure.
"""

from collections.abc import Iterator
from typing import Final

from liveshop.video.ingest.access_units import Picture

_EVERY_US: Final = 333_333
"""Each is a part of its own then."""
_HOLE_US: Final = 900_000
"""Between two pictures, the timeline takes no more."""
_WAITED_US: Final = 2_500_000
"""Sound this far ahead waits no longer for its pictures."""
_GRACE_US: Final = 1_500_000
"""What is not older than the sound by more than this is still in time."""
_LONGEST_US: Final = 20_000_000
"""After that, or after a jump back, the host begins anew."""


class Freeze:
    """Give it what arrives. What it gives back is shown before."""

    def __init__(self) -> None:
        self._keyframe: Picture | None = None
        self._shown_us = 0
        self._heard_us: int | None = None
        self._is_frozen = False

    def sound(self, us: int) -> list[tuple[int, Picture]]:
        """Copies to be shown, when the sound is too far ahead."""
        self._heard_us = us
        if not _WAITED_US < us - self._shown_us <= _LONGEST_US:
            return []
        return list(self._copies_until(us - _GRACE_US))

    def picture(self, us: int, picture: Picture) -> tuple[list[tuple[int, Picture]], bool]:
        """Copies to be shown before it, and whether it is to be shown itself."""
        copies: list[tuple[int, Picture]] = []
        step = us - self._shown_us
        if self._keyframe is None or not -_LONGEST_US < step <= _LONGEST_US:
            self._is_frozen = False
        elif self._is_frozen and (step <= 0 or not picture.is_keyframe):
            return [], False
        elif step > _HOLE_US and self._was_heard_meanwhile(us):
            if not picture.is_keyframe:
                return [], False
            copies = list(self._copies_until(us))
        if picture.is_keyframe:
            self._keyframe = picture
            self._is_frozen = False
        self._shown_us = us
        return copies, True

    def _was_heard_meanwhile(self, us: int) -> bool:
        """Whether there is anything to be kept: after a silence a cut is better than a picture
        that stands still."""
        return self._heard_us is not None and self._heard_us > us - _HOLE_US

    def _copies_until(self, us: int) -> Iterator[tuple[int, Picture]]:
        if self._keyframe is None:
            return
        while us - self._shown_us > _EVERY_US:
            self._shown_us += _EVERY_US
            self._is_frozen = True
            yield self._shown_us, self._keyframe
