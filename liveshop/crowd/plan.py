"""What a crowd is to be and to do, and who of it does what. Pure."""

import math
from random import Random

import msgspec

from liveshop.crowd.arrivals import ARRIVALS, Arrival

MOST_SAID = 28.0
"""Messages a minute: the shortest pause between two is 2.1 seconds, which keeps to the chat's
default of 5 in 10 seconds."""
SHORTEST_PAUSE_SECONDS = 2.1
PER_ADDRESS = 1000
"""Viewers from one source address: fewer than a server lets in from one by default."""
BUYERS_PER_ADDRESS = 60
"""Half of what a server takes in a minute from one address by default."""
PER_PROCESS = 2500


class BadPlan(Exception):
    """The text says what is wrong with it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses`: base URLs of the server, the first of which is asked about the show; viewers
    are spread over all of them.

    Chatters and buyers are among the viewers. `share` is (which, of how many) where several
    processes share the crowd. `backoff_…` is how long a viewer waits before he comes back, as the
    player does; `settle_seconds`: how long the end of the log and open orders are waited for.
    """

    addresses: tuple[str, ...]
    show_id: str = ""
    viewers: int = 100
    chatters: int = 0
    buyers: int = 0
    seconds: float = 60.0
    arrival: Arrival = "show"
    chat_per_minute: float = 2.0
    hearts_per_minute: float = 4.0
    orders_each: int = 1
    buy: bool = False
    invitation: str = ""
    seed: int = 1
    backoff_first_seconds: float = 0.5
    backoff_max_seconds: float = 20.0
    settle_seconds: float = 15.0
    tick_seconds: float = 1.0
    expected_closes: frozenset[int] = frozenset()
    within_ms: float | None = None
    share: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Raises BadPlan."""
        if self.viewers < 1:
            raise BadPlan("a crowd has at least one viewer")
        if self.chatters > self.viewers or self.buyers > self.viewers:
            raise BadPlan("chatters and buyers are viewers too: there cannot be more of them")
        if min(self.chatters, self.buyers) < 0:
            raise BadPlan("there cannot be fewer than no chatters or buyers")
        if not 1 <= self.seconds <= 24 * 3600:
            raise BadPlan("a crowd stays between a second and a day")
        if not 0 < self.chat_per_minute <= MOST_SAID:
            raise BadPlan(
                f"a chatter says at most {MOST_SAID:g} messages a minute: faster is not human, "
                "and the chat's rules refuse it. Send more chatters"
            )
        if not 0 <= self.hearts_per_minute <= 300:
            raise BadPlan("a thumb taps at most 300 hearts a minute")
        if not 1 <= self.orders_each <= 100:
            raise BadPlan("a buyer orders between once and 100 times")
        if self.arrival not in ARRIVALS:
            raise BadPlan(f"people arrive {', '.join(ARRIVALS)}")

    @property
    def mine(self) -> range:
        """The numbers of the people of this share."""
        which, of = self.share
        return range(which, self.viewers, of)

    def chatting(self) -> frozenset[int]:
        return self._some("chatters", self.chatters)

    def buying(self) -> frozenset[int]:
        return self._some("buyers", self.buyers)

    def sources(self) -> int:
        """How many source addresses this many people should come from."""
        return max(
            1, math.ceil(self.viewers / PER_ADDRESS), math.ceil(self.buyers / BUYERS_PER_ADDRESS)
        )

    def _some(self, who: str, count: int) -> frozenset[int]:
        return frozenset(Random(f"{who} {self.seed}").sample(range(self.viewers), count))


def processes_for(viewers: int, cores: int) -> int:
    """How many processes a crowd of this size needs, one of `cores` being left to others."""
    return max(1, min(math.ceil(viewers / PER_PROCESS), max(1, cores - 1)))


def counted(text: str, viewers: int) -> int:
    """`12` or `5%` of the viewers, rounded up. Raises BadPlan."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) if text.strip().endswith("%") else int(number)
    except ValueError:
        raise BadPlan(f"{text!r} is neither a number nor a percentage such as 5%") from None
    if not text.strip().endswith("%"):
        return int(value)
    if not 0 <= value <= 100:
        raise BadPlan(f"{text} is no share of the viewers: 0% to 100%")
    return math.ceil(viewers * value / 100)
