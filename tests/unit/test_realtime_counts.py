"""Viewers of a room over several nodes, as one node hears and tells of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from room_builders import SHOW

from liveshop.realtime import MemoryBroker
from liveshop.realtime.counts import Counts, no_hearts
from liveshop.realtime.model import BrokerAway


@dataclass
class Here:
    """A room on this node."""

    count: int
    hearts: int = 0
    announced: int = 0


class Shared(MemoryBroker):
    """A broker with viewers of other nodes."""

    def __init__(self, elsewhere: dict[str, int]) -> None:
        super().__init__(log_size=10)
        self.elsewhere = elsewhere
        self.asked = 0
        self.is_away = False

    async def presence(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        self.asked += 1
        if self.is_away:
            raise BrokerAway("Away.")
        return {room: count + self.elsewhere.get(room, 0) for room, count in counts.items()}


@dataclass
class Stage:
    broker: Shared
    counts: Counts
    said: list[int]
    kept: list[int]
    now: float = 0.0


def stage(elsewhere: int) -> Stage:
    said: list[int] = []
    kept: list[int] = []

    def say(_room: str, frame: bytes) -> None:
        said.append(json.loads(frame[frame.index(b"{") :])["d"]["count"])

    async def on_viewers(_show: str, count: int) -> None:
        kept.append(count)

    broker = Shared({SHOW: elsewhere})
    made = Stage(broker, None, said, kept)  # type: ignore[arg-type]
    made.counts = Counts(
        broker, say, on_hearts=no_hearts, on_viewers=on_viewers, monotonic=lambda: made.now
    )
    return made


async def test_what_is_told_and_kept_is_the_sum_of_all_nodes() -> None:
    given = stage(elsewhere=4)
    rooms = {SHOW: Here(3)}
    await given.counts.tick(rooms)
    given.broker.elsewhere[SHOW] = 0  # they died
    await given.counts.tick(rooms)
    await given.counts.tick(rooms)
    assert given.said == given.kept == [7, 3]


async def test_a_room_without_viewers_here_has_those_of_the_other_nodes() -> None:
    given = stage(elsewhere=4)
    assert await given.counts.of(SHOW, {}) == 4
    given.broker.elsewhere[SHOW] = 6
    await given.counts.tick({})
    assert await given.counts.of(SHOW, {}) == 6
    assert await given.counts.of(SHOW, {SHOW: Here(1)}) == 7
    assert given.broker.asked == 2, "at the first time, and with the tick"
    given.now += 1000
    await given.counts.tick({})
    given.broker.elsewhere[SHOW] = 0
    assert await given.counts.of(SHOW, {}) == 0, "forgotten after a while, and asked for again"


async def test_with_the_broker_away_what_was_heard_last_holds_and_not_everybody_asks() -> None:
    given = stage(elsewhere=4)
    rooms = {SHOW: Here(3)}
    await given.counts.tick(rooms)
    given.broker.is_away = True
    rooms[SHOW].count = 2
    await given.counts.tick(rooms)
    assert given.said == [7, 6]
    before = given.broker.asked
    for _ in range(5):
        assert await given.counts.of("shw_another", {}) == 0
    assert given.broker.asked == before + 1
