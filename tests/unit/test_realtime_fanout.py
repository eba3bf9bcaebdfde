"""Laps round a room, on transports that a test can hold up and with costs that it sets."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from room_builders import GUEST, HOST, OTHER_GUEST, SHOW, FakeTransport, Note, unframe, until

from liveshop.realtime import CloseCode, Event, Hub, MemoryBroker, RoomPublisher, frames
from liveshop.realtime.fanout import (
    LAP_SECONDS,
    SLICE,
    WINDOW_SECONDS,
    Outbox,
    Pace,
    Savings,
    rest_after,
    spread,
)
from liveshop.realtime.sampling import Sampler
from liveshop.realtime.viewer import Viewer
from liveshop.realtime.wire import HeartsChanged, ViewersChanged
from liveshop.storage import Published
from liveshop.web.access import ANONYMOUS, Principal

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LARGE = 2 * SLICE + 88


class SetPace(Pace):
    """A visit costs what the test says."""

    def __init__(self, visit_seconds: float = 1e-6) -> None:
        super().__init__()
        self.visit_seconds = visit_seconds

    def learn(self, visits: int, seconds: float) -> None:
        pass


class Crowd:
    """Level viewers of one room."""

    def __init__(self, count: int, pace: Pace, sampler: Sampler | None = None) -> None:
        self.outbox = Outbox(pace, sampler)
        self.viewers: list[Viewer] = []
        self.transports: list[FakeTransport] = []
        for _ in range(count):
            self.add()

    def add(self, who: Principal = ANONYMOUS, *, offset: int = 0) -> FakeTransport:
        transport = FakeTransport()
        viewer = Viewer(
            SHOW,
            who,
            transport,
            buffer_bytes=10_000,
            drain=transport.drain,
            on_close=lambda: None,
            now=0.0,
        )
        viewer.offset = offset
        self.outbox.enter(viewer)
        self.viewers.append(viewer)
        self.transports.append(transport)
        return transport

    def have(self, *offsets: int) -> bool:
        return all(transport.offsets == list(offsets) for transport in self.transports)

    def all_have(self, offset: int) -> bool:
        return self.served(offset) == len(self.viewers)

    def served(self, offset: int) -> int:
        return sum(viewer.offset >= offset for viewer in self.viewers)


def event(offset: int, *, by: str = "") -> Event:
    draft = frames.draft("note", Note(offset), NOON, sampled_by=by)
    return frames.event(draft, offset)


def events(first: int, last: int, *, by: str = "") -> Sequence[Event]:
    return [event(offset, by=by) for offset in range(first, last + 1)]


async def test_a_lone_message_in_a_quiet_room_waits_for_nothing() -> None:
    small, large = Crowd(SLICE, SetPace(1.0)), Crowd(LARGE, SetPace(1.0))
    small.outbox.deliver(events(1, 1))
    assert small.have(1)  # before `deliver` returned
    large.outbox.deliver(events(1, 1))
    assert large.served(1) == SLICE
    for _ in range(LARGE // SLICE):
        await asyncio.sleep(0)
    assert large.have(1)
    small.outbox.clear()
    large.outbox.clear()


async def test_what_comes_within_a_window_is_one_write_of_shared_bytes() -> None:
    crowd = Crowd(SLICE, SetPace(1e-4))
    started = asyncio.get_running_loop().time()
    for offset in range(1, 7):
        crowd.outbox.deliver(events(offset, offset))
    assert crowd.have(1, 2)  # what is saved up lasts for two
    await until(lambda: crowd.have(1, 2, 3, 4, 5, 6))
    assert {len(transport.written) for transport in crowd.transports} == {3}
    assert len({id(transport.written[2]) for transport in crowd.transports}) == 1
    waited = asyncio.get_running_loop().time() - started
    assert waited >= WINDOW_SECONDS * 0.9
    crowd.outbox.clear()


async def test_a_small_room_never_waits() -> None:
    crowd = Crowd(20, SetPace(5e-6))
    for offset in range(1, 6):
        crowd.outbox.deliver(events(offset, offset))
    assert crowd.have(1, 2, 3, 4, 5)
    assert rest_after(1e-4) == 0.0


def test_rest_and_lap_grow_with_the_work_up_to_what_a_message_may_wait() -> None:
    assert rest_after(0.005) == pytest.approx(0.01)
    assert rest_after(0.5) == WINDOW_SECONDS
    assert spread(0.005) == pytest.approx(0.02)
    assert spread(0.05) == LAP_SECONDS
    assert spread(0.5) == pytest.approx(1.0)


def test_a_quiet_hour_saves_two_laps_up_and_a_second_under_load_none() -> None:
    savings, work = Savings(), 0.05
    for _ in range(2):
        assert savings.last(work, 3600.0)
        savings.spend()
    now = 3600.0
    for _ in range(20):
        assert not savings.last(work, now)
        savings.spend()
        now += spread(work) + rest_after(work)
    assert savings.last(work, now + 1.0)


def test_a_visit_costs_what_most_do_however_long_a_few_were_held_up() -> None:
    pace = Pace()
    for number in range(400):
        pace.learn(SLICE, SLICE * (8e-6 if number % 4 else 1e-3))
    assert pace.work(1000) == pytest.approx(8e-3, rel=0.1)


async def test_a_count_of_viewers_leaves_time_to_others_until_a_message_hurries_it_on() -> None:
    crowd = Crowd(LARGE, SetPace(1e-4))
    crowd.outbox.hear(frames.unlogged("viewers", ViewersChanged(count=9)))
    await asyncio.sleep(SLICE * 1e-4 / 2)
    assert sum(bool(transport.written) for transport in crowd.transports) == SLICE
    begun = asyncio.get_running_loop().time()
    crowd.outbox.deliver(events(1, 1))
    await until(lambda: crowd.have(1))
    assert asyncio.get_running_loop().time() - begun < WINDOW_SECONDS / 2
    crowd.outbox.clear()


async def test_unlogged_frames_ride_along_and_the_latest_wins() -> None:
    crowd = Crowd(SLICE, SetPace(1e-4))
    for offset in (1, 2):
        crowd.outbox.deliver(events(offset, offset))
    for number in (1, 2, 3):
        crowd.outbox.hear(frames.unlogged("viewers", ViewersChanged(count=number)))
    crowd.outbox.hear(frames.unlogged("hearts", HeartsChanged(total=9, added=1)))
    crowd.outbox.deliver(events(3, 3))
    await until(lambda: crowd.have(1, 2, 3))
    for transport in crowd.transports:
        assert len(transport.written) == 3
        said = [(frame["t"], frame["d"]) for frame in unframe(transport.written[2])]
        assert said == [
            ("note", {"n": 3, "pad": ""}),
            ("viewers", {"count": 3}),
            ("hearts", {"total": 9, "added": 1}),
        ]
    crowd.outbox.clear()


async def test_a_message_in_mid_lap_goes_along_with_those_not_visited_yet() -> None:
    crowd = Crowd(LARGE, SetPace(1e-5))
    crowd.outbox.deliver(events(1, 1))
    crowd.outbox.deliver(events(2, 2))
    await until(lambda: crowd.have(1, 2))
    writes = [len(transport.written) for transport in crowd.transports]
    assert writes == [2] * SLICE + [1] * (LARGE - SLICE)
    crowd.outbox.clear()


class Busy:
    """A room, through its hub, in which something is said all the time."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(log_size=1000)
        self.hub = Hub(self.broker, buffer_bytes=10**6, idle_seconds=45.0)
        self.publish = RoomPublisher(self.broker)
        self.chance = random.Random(8)
        self.inside: list[tuple[Viewer, FakeTransport, int]] = []
        self.gone: list[tuple[FakeTransport, int, int]] = []

    async def come(self) -> None:
        transport = FakeTransport()
        viewer = self.hub.viewer(
            SHOW, ANONYMOUS, transport, drain=transport.drain, on_close=lambda: None
        )
        joined = await self.hub.join(viewer)
        if self.chance.random() < 0.5:
            await asyncio.sleep(0)
        await self.hub.catch_up(viewer)
        self.inside.append((viewer, transport, joined.position.offset))

    def go(self) -> None:
        viewer, transport, start = self.inside.pop(self.chance.randrange(len(self.inside)))
        self.hub.leave(viewer)
        self.gone.append((transport, start, len(transport.written)))

    async def say(self, number: int) -> None:
        await self.publish([Published(SHOW, "note", Note(number), NOON)])
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(0)


async def test_comings_and_goings_in_mid_lap_make_neither_gap_nor_repeat() -> None:
    room = Busy()
    for _ in range(LARGE):
        await room.come()
    for number in range(1, 200):
        await room.say(number)
        if room.chance.random() < 0.5:
            await room.come()
        if room.chance.random() < 0.5:
            room.go()
    await until(lambda: all(viewer.offset == 199 for viewer, _, _ in room.inside))
    for viewer, transport, start in room.inside:
        assert viewer.code is None
        assert transport.offsets == list(range(start + 1, 200))
    for transport, start, writes in room.gone:
        assert transport.offsets == list(range(start + 1, start + 1 + len(transport.offsets)))
        assert len(transport.written) == writes, "it was written to after it had left"
    for viewer, _, _ in room.inside:
        room.hub.leave(viewer)
    assert room.hub.rooms == 0


async def test_nothing_of_a_lost_log_is_given_to_anybody_after_the_news() -> None:
    crowd = Crowd(LARGE, SetPace())
    crowd.outbox.deliver(events(1, 3))
    assert crowd.served(3) == SLICE
    crowd.outbox.clear()
    for viewer in crowd.viewers:
        viewer.close(CloseCode.LOG_LOST)
    newcomer = crowd.add()
    for _ in range(5):
        await asyncio.sleep(0)
    assert newcomer.offsets == []
    assert [t.offsets for t in crowd.transports[SLICE:-1]] == [[]] * (LARGE - SLICE)
    crowd.outbox.deliver(events(1, 1))  # of the new log
    await until(lambda: newcomer.offsets == [1])
    assert crowd.transports[0].offsets == [1, 2, 3]


async def test_a_loud_room_leaves_its_turn_to_others_after_each_slice() -> None:
    loud, quiet = Crowd(20 * SLICE, SetPace(1e-5)), Crowd(20, SetPace(1e-5))
    loud.outbox.deliver(events(1, 1))
    seen: list[int] = []
    for _ in range(5):
        await asyncio.sleep(0)
        seen.append(loud.served(1))
        quiet.outbox.deliver(events(len(seen), len(seen)))
        assert quiet.have(*range(1, len(seen) + 1))
    steps = [after - before for before, after in zip([SLICE, *seen], seen, strict=False)]
    assert max(steps) <= SLICE
    loud.outbox.clear()
    quiet.outbox.clear()


async def test_a_lap_under_load_takes_a_quarter_of_the_time_it_could() -> None:
    cost = 2e-5
    crowd = Crowd(4 * SLICE, SetPace(cost))
    for offset in (1, 2):
        crowd.outbox.deliver(events(offset, offset))
        await until(partial(crowd.all_have, offset))
    crowd.outbox.deliver(events(3, 3))
    loop = asyncio.get_running_loop()
    await until(lambda: crowd.served(3) > 0)
    begun = loop.time()
    await until(lambda: crowd.have(1, 2, 3))
    # The first of four slices is at its beginning.
    assert loop.time() - begun >= 0.9 * 4 * 3 * SLICE * cost
    crowd.outbox.clear()


async def test_who_does_not_read_is_closed_in_mid_lap_and_nobody_waits_for_him() -> None:
    crowd = Crowd(LARGE, SetPace())
    stuck, transport = crowd.viewers[SLICE + 1], crowd.transports[SLICE + 1]
    transport.reads_at_once = False
    for offset in range(1, 21):
        draft = frames.draft("note", Note(offset, "x" * 2000), NOON)
        crowd.outbox.deliver([frames.event(draft, offset)])
        await asyncio.sleep(0)
    await until(lambda: crowd.served(offset) >= LARGE - 1)
    assert stuck.code is CloseCode.TOO_SLOW
    others = [viewer for viewer in crowd.viewers if viewer is not stuck]
    await until(lambda: all(viewer.offset == offset for viewer in others))
    assert {viewer.code for viewer in others} == {None}
    written = len(transport.written)
    crowd.outbox.deliver([event(offset + 1)])
    await until(lambda: crowd.served(offset + 1) == len(others))
    assert len(transport.written) == written
    crowd.outbox.clear()


async def test_who_would_have_a_gap_is_sent_to_reload_and_who_is_ahead_is_passed_over() -> None:
    crowd = Crowd(2, SetPace())
    ahead = crowd.add(offset=5)
    crowd.outbox.deliver(events(1, 2))
    crowd.outbox.hear(frames.unlogged("viewers", ViewersChanged(count=3)))
    crowd.outbox.deliver(events(2, 3))  # one of them again
    crowd.outbox.deliver(events(5, 6))
    assert [viewer.code for viewer in crowd.viewers] == [
        CloseCode.LOG_LOST,
        CloseCode.LOG_LOST,
        None,
    ]
    assert crowd.transports[0].offsets == [1, 2, 3]
    assert ahead.offsets == [6]


async def test_above_what_one_can_read_viewers_get_a_choice_and_hosts_everything() -> None:
    crowd = Crowd(30, SetPace(), Sampler(2))
    host, author = crowd.add(HOST), crowd.add(GUEST)
    crowd.outbox.deliver([event(1, by=GUEST.id), event(2, by=OTHER_GUEST.id)])
    assert crowd.have(1, 2)
    for offset in range(3, 9):
        crowd.outbox.deliver([event(offset, by=GUEST.id if offset == 6 else OTHER_GUEST.id)])
    crowd.outbox.deliver([event(9)])  # of the shop itself: always shown
    await until(lambda: crowd.served(9) == len(crowd.viewers))
    assert host.offsets == list(range(1, 10))

    def covered(transport: FakeTransport) -> list[tuple[int, int]]:
        return [(frame.get("from", frame["o"]), frame["o"]) for frame in transport.events]

    assert covered(crowd.transports[0]) == [(1, 1), (2, 2), (3, 8), (9, 9)]
    assert crowd.transports[0].events[2]["d"] == {"count": 6}
    assert covered(author) == [(1, 1), (2, 2), (3, 5), (6, 6), (7, 8), (9, 9)]
    assert len({id(t.written[-1]) for t in crowd.transports[:30]}) == 1
    crowd.outbox.clear()


async def test_below_that_nothing_is_left_out() -> None:
    crowd = Crowd(10, SetPace(), Sampler(25))
    for offset in range(1, 21):
        crowd.outbox.deliver([event(offset, by=f"gst_{offset % 3}")])
    assert crowd.have(*range(1, 21))
