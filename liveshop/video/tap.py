"""Whoever takes a running show's samples beside its viewers: destinations, pictures of it.

Called in the publisher's write, on the event loop: take what is needed and return at once. What a
tap raises ends the tap, not the show.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from liveshop.kernel.ids import ShowId
from liveshop.video.model import AacConfig, H264Config, Sample


class Tap(Protocol):
    """One show's, from the moment it is on air; nothing of a rehearsal comes here."""

    def begin(self, video: H264Config, audio: AacConfig | None) -> None:
        """A run begins: other parameters, another origin of time, or the first of all. Samples of
        it follow, from a keyframe on."""
        ...

    def add(self, samples: Sequence[Sample], *, origin: datetime) -> None:
        """`origin`: the wall time of timestamp zero, as known now."""
        ...

    def pause(self) -> None:
        """The publisher is gone; `begin` follows, or `end`."""
        ...

    def end(self) -> None:
        """The show is over."""
        ...


NewTap = Callable[[ShowId], Tap]
