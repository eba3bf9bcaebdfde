"""What waits to be sent to one destination: bounded, and cut at keyframes when it gets too long."""

from collections import deque
from dataclasses import dataclass

from liveshop.video.simulcast.flv import Tag


@dataclass(frozen=True, slots=True)
class QueueLimits:
    max_bytes: int = 4 << 20
    max_seconds: float = 4.0
    """What is older than that when it is sent, viewers there would see late for ever."""


class TagQueue:
    """Begins at a keyframe, and after each gap again."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._tags: deque[Tag] = deque()
        self._bytes = 0
        self._is_cut = True
        """What comes is left out until a keyframe does."""
        self._left_out_since: float | None = None
        self.left_out_seconds = 0.0

    def __len__(self) -> int:
        return len(self._tags)

    @property
    def buffered_bytes(self) -> int:
        return self._bytes

    def add(self, tag: Tag) -> None:
        if self._is_cut:
            if not tag.is_keyframe:
                return
            self._is_cut = False
            self._count_left_out(tag.arrived)
        self._tags.append(tag)
        self._bytes += len(tag.body)
        self._shorten(tag.arrived)

    def first(self) -> Tag | None:
        return self._tags[0] if self._tags else None

    def drop_first(self) -> None:
        """It is sent."""
        self._bytes -= len(self._tags.popleft().body)

    def cut(self) -> None:
        """Drop everything and wait for a keyframe: nothing of that is held against the other
        side, such as a new run."""
        self._tags.clear()
        self._bytes = 0
        self._is_cut = True

    def is_too_long(self, now: float) -> bool:
        if not self._tags:
            return False
        return (
            self._bytes > self._limits.max_bytes
            or now - self._tags[0].arrived > self._limits.max_seconds
        )

    def leave_out(self, now: float) -> None:
        """Nothing can be sent from now until a keyframe is added."""
        self.cut()
        if self._left_out_since is None:
            self._left_out_since = now

    def settle(self, now: float) -> None:
        """There is nothing to send, so nothing is left out."""
        self._count_left_out(now)

    def left_out_until(self, now: float) -> float:
        """Seconds left out so far, those of now included."""
        since = self._left_out_since
        return self.left_out_seconds + (0.0 if since is None else max(0.0, now - since))

    def _shorten(self, now: float) -> None:
        """Go on at the newest keyframe where that is soon enough, else at the next."""
        if not self.is_too_long(now):
            return
        if self._left_out_since is None:
            self._left_out_since = self._tags[0].arrived
        newest = next((tag for tag in reversed(self._tags) if tag.is_keyframe), None)
        if newest is not None:
            while self._tags[0] is not newest:
                self._bytes -= len(self._tags.popleft().body)
        if newest is None or self.is_too_long(now) or self._bytes > self._limits.max_bytes // 2:
            self.cut()
        else:
            self._count_left_out(newest.arrived)

    def _count_left_out(self, until: float) -> None:
        if self._left_out_since is not None:
            self.left_out_seconds += max(0.0, until - self._left_out_since)
            self._left_out_since = None
