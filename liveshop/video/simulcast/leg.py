"""What a leg is told, how long it waits, and what it says of itself."""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from liveshop.kernel.ids import ShowId
from liveshop.video.simulcast.address import Address
from liveshop.video.simulcast.queue import QueueLimits

LegState = Literal["waiting", "connecting", "live", "retrying", "refused"]
Reason = Literal[
    "unreachable",
    "no_answer",
    "certificate",
    "not_rtmp",
    "hangs",
    "cut",
    "key_refused",
    "busy",
    "address",
    "private",
    "connection",
    "customers",
    "other",
]
"""What is wrong, for programs with words of their own. `connection`: it does not say where to send
to. `customers`: the show is for customers only, and platforms show to everyone."""

_RATE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that is wanted. `address`: None where its connection is asked for it."""

    destination_id: str
    name: str
    address: Address | None = None
    connection_id: str | None = None

    def is_same_place(self, other: "Target") -> bool:
        return (self.address, self.connection_id) == (other.address, other.connection_id)


Ask = Callable[[ShowId, Target], Awaitable[Address]]
"""Address and key, for this show, of a target that has none of its own. Raises ConnectorError,
ShopError."""


@dataclass(frozen=True, slots=True)
class LegHealth:
    """`since`: when this state began."""

    destination_id: str
    name: str
    state: LegState
    since: datetime
    kbit_per_second: int | None
    left_out_seconds: float
    reconnects: int
    retry_at: datetime | None
    reason: Reason | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class LegLimits:
    connect_seconds: float = 5.0
    """For the name, TCP and TLS."""
    answer_seconds: float = 5.0
    """For each step from the handshake to the answer to publish, and for asking a connection."""
    stall_seconds: float = 3.0
    """Without the other side taking anything, a connection is given up."""
    look_seconds: float = 0.25
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0
    refused_wait_seconds: float = 60.0
    """A key that is mended on the platform, without a word to us, is found within that."""
    healthy_seconds: float = 30.0
    """After so long on air the next trouble counts as the first."""
    pause_seconds: float = 10.0
    """A publisher that is back by then finds the connections as they were."""
    goodbye_seconds: float = 2.0
    send_buffer_bytes: int = 256 << 10
    """Of the socket: with much more, a peer that hangs is found out late."""
    write_buffer_bytes: int = 256 << 10
    """Of ours, in front of it."""
    queue: QueueLimits = field(default_factory=QueueLimits)


class Backoff:
    """Waits that double, with jitter so that legs do not come back all at once."""

    def __init__(self, first: float, longest: float, draw: Callable[[], float] | None = None):
        self._first = first
        self._longest = longest
        self._draw = draw or random.random
        self._wait = first

    def next(self) -> float:
        wait = self._wait
        self._wait = min(self._wait * 2, self._longest)
        return wait * (0.75 + 0.5 * self._draw())

    def reset(self) -> None:
        self._wait = self._first


class Rate:
    """Bits per second over the last seconds, from a counter that only rises."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, total: int, now: float) -> None:
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()

    def kbit_per_second(self) -> int | None:
        if len(self._seen) < 2:
            return None
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return None if end - start < 0.2 else round((after - before) * 8 / (end - start) / 1000)
