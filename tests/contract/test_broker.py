"""What every broker keeps to. A new one subclasses `BrokerContract` and gives a `broker`."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from broker_builders import NOON, OTHER_ROOM, ROOM, Ear, notes, running
from redis_server import RedisServer, redis_server
from room_builders import Note, unframe, until

from liveshop.realtime import Broker, MemoryBroker, Position, frames
from liveshop.realtime.log import MAX_BYTES
from liveshop.realtime.redis_broker import RedisBroker

LOG_SIZE = 20


class BrokerContract:
    @pytest.fixture
    def broker(self) -> Broker:
        raise NotImplementedError

    async def test_offsets_count_from_one_without_gaps(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        first = await broker.append(ROOM, notes(1, 2))
        second = await broker.append(ROOM, notes(3))
        assert start.offset == 0
        assert (first.offset, second.offset) == (2, 3)
        assert first.epoch == second.epoch == start.epoch
        assert await broker.position(ROOM) == second

    async def test_an_event_carries_its_type_offset_time_and_data(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        await broker.append(ROOM, notes(7))
        known = await broker.since(ROOM, start, limit=10)
        assert known is not None
        assert unframe(known[0].frame) == [
            {"t": "note", "o": 1, "at": "2026-11-21T12:00:00.000Z", "d": {"n": 7, "pad": ""}}
        ]

    async def test_since_returns_exactly_what_came_after(self, broker: Broker) -> None:
        await broker.append(ROOM, notes(1, 2, 3, 4, 5))
        end = await broker.position(ROOM)
        after_two = await broker.since(ROOM, Position(end.epoch, 2), limit=10)
        assert after_two is not None
        assert [event.offset for event in after_two] == [3, 4, 5]
        assert await broker.since(ROOM, end, limit=10) == []

    async def test_since_keeps_to_its_limit_and_starts_at_the_oldest(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        await broker.append(ROOM, notes(*range(10)))
        known = await broker.since(ROOM, start, limit=4)
        assert known is not None
        assert [event.offset for event in known] == [1, 2, 3, 4]

    async def test_what_the_log_has_forgotten_is_not_known(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        for n in range(LOG_SIZE + 5):
            await broker.append(ROOM, notes(n))
        end = await broker.position(ROOM)
        assert await broker.since(ROOM, start, limit=10) is None
        edge = await broker.since(ROOM, Position(end.epoch, 5), limit=LOG_SIZE)
        assert edge is not None
        assert len(edge) == LOG_SIZE

    @pytest.mark.parametrize("offset", [-1, 3, 10**12])
    async def test_places_that_never_were_are_not_known(self, broker: Broker, offset: int) -> None:
        await broker.append(ROOM, notes(1, 2))
        end = await broker.position(ROOM)
        assert await broker.since(ROOM, Position(end.epoch, offset), limit=10) is None
        assert await broker.since(ROOM, Position("another", 1), limit=10) is None
        assert await broker.since(ROOM, Position("", 0), limit=10) is None

    async def test_a_receiver_hears_everything_after_it_subscribed(self, broker: Broker) -> None:
        ear = Ear()
        await broker.append(ROOM, notes(1))
        await broker.subscribe(ROOM, ear)
        await broker.append(ROOM, notes(2, 3))
        await broker.append(OTHER_ROOM, notes(1))
        await broker.append(ROOM, notes(4))
        await until(lambda: len(ear.heard) == 3)
        assert ear.heard == [(ROOM, 2), (ROOM, 3), (ROOM, 4)]

    async def test_subscribing_twice_is_hearing_once(self, broker: Broker) -> None:
        ear, control = Ear(), Ear()
        await broker.subscribe(ROOM, ear)
        await broker.subscribe(ROOM, ear)
        await broker.subscribe(ROOM, control)
        await broker.append(ROOM, notes(1))
        await until(lambda: bool(control.heard))
        assert ear.heard == [(ROOM, 1)]

    async def test_who_unsubscribed_hears_nothing_more(self, broker: Broker) -> None:
        gone, control = Ear(), Ear()
        await broker.subscribe(ROOM, gone)
        await broker.subscribe(ROOM, control)
        broker.unsubscribe(ROOM, gone)
        broker.unsubscribe(ROOM, gone)
        await broker.append(ROOM, notes(1))
        await until(lambda: bool(control.heard))
        assert gone.heard == []

    async def test_what_is_heard_and_what_is_read_are_the_same(self, broker: Broker) -> None:
        ear = Ear()
        start = await broker.position(ROOM)
        await broker.subscribe(ROOM, ear)
        await broker.append(ROOM, notes(1, 2, 3))
        await until(lambda: len(ear.heard) == 3)
        known = await broker.since(ROOM, start, limit=10)
        assert known is not None
        assert [event.frame for event in known] == ear.frames

    async def test_after_renewing_the_old_places_are_not_known(self, broker: Broker) -> None:
        ear = Ear()
        await broker.subscribe(ROOM, ear)
        before = await broker.append(ROOM, notes(1))
        await until(lambda: len(ear.heard) == 1)  # or it may be lost with its epoch
        fresh = await broker.renew(ROOM)
        await until(lambda: ear.lost == [ROOM])
        assert fresh.epoch != before.epoch
        assert await broker.since(ROOM, before, limit=10) is None
        assert (await broker.append(ROOM, notes(2))).epoch == fresh.epoch
        await until(lambda: len(ear.heard) == 2)

    async def test_a_room_looked_at_before_its_first_event_can_be_resumed(
        self, broker: Broker
    ) -> None:
        start = await broker.position(ROOM)
        await broker.append(ROOM, notes(1))
        known = await broker.since(ROOM, start, limit=10)
        assert known is not None
        assert [event.offset for event in known] == [1]

    async def test_a_log_is_bounded_by_its_bytes_too(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        large = frames.draft("note", Note(1, "x" * (MAX_BYTES // 4)), NOON)
        for _ in range(5):
            await broker.append(ROOM, [large])
        end = await broker.position(ROOM)
        assert await broker.since(ROOM, Position(start.epoch, 1), limit=1) is None
        assert await broker.since(ROOM, Position(start.epoch, 4), limit=1) is not None
        assert end == Position(start.epoch, 5)

    async def test_whose_an_event_is_arrives_with_it(self, broker: Broker) -> None:
        ear = Ear()
        await broker.subscribe(ROOM, ear)
        start = await broker.position(ROOM)
        await broker.append(
            ROOM, [frames.draft("note", Note(1), NOON, sampled_by="gst_1"), *notes(2)]
        )
        known = await broker.since(ROOM, start, limit=10)
        assert known is not None
        assert [(event.type, event.sampled_by) for event in known] == [
            ("note", "gst_1"),
            ("note", ""),
        ]
        await until(lambda: len(ear.heard) == 2)

    async def test_an_unlogged_frame_is_heard_in_its_room_and_leaves_the_log_alone(
        self, broker: Broker
    ) -> None:
        here, elsewhere = Ear(), Ear()
        await broker.subscribe(ROOM, here)
        await broker.subscribe(OTHER_ROOM, elsewhere)
        start = await broker.position(ROOM)
        await broker.tell(ROOM, b"\x81\x02{}")
        await until(lambda: bool(here.told))
        assert here.told == [(ROOM, b"\x81\x02{}")]
        assert elsewhere.told == []
        assert await broker.position(ROOM) == start

    async def test_viewers_are_counted_by_room(self, broker: Broker) -> None:
        assert await broker.presence({}) == {}
        assert await broker.presence({ROOM: 3, OTHER_ROOM: 0}) == {ROOM: 3, OTHER_ROOM: 0}
        assert await broker.presence({ROOM: 2}) == {ROOM: 2}

    async def test_a_renewal_with_a_name_is_done_once(self, broker: Broker) -> None:
        first = await broker.renew(ROOM, name="one")
        await broker.append(ROOM, notes(1))
        again = await broker.renew(ROOM, name="one")
        assert again == Position(first.epoch, 1)
        assert (await broker.renew(ROOM, name="two")).epoch != first.epoch

    async def test_what_was_intended_can_be_done_or_left_undone(self, broker: Broker) -> None:
        start = await broker.position(ROOM)
        await broker.intend([ROOM, OTHER_ROOM])
        await broker.append(ROOM, notes(1))
        await broker.forgo([OTHER_ROOM])
        assert await broker.position(ROOM) == Position(start.epoch, 1)
        await broker.ping()

    async def test_many_events_at_once_arrive_in_order_and_whole(self, broker: Broker) -> None:
        ear = Ear()
        await broker.subscribe(ROOM, ear)
        await asyncio.gather(*(broker.append(ROOM, notes(n)) for n in range(LOG_SIZE)))
        await until(lambda: len(ear.heard) == LOG_SIZE)
        assert ear.heard == [(ROOM, n) for n in range(1, LOG_SIZE + 1)]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


class TestRedisBroker(BrokerContract):
    @pytest.fixture
    async def broker(self, redis: RedisServer) -> AsyncIterator[RedisBroker]:
        redis.cli("FLUSHALL")
        async with running(RedisBroker(redis.url, prefix="test", log_size=LOG_SIZE)) as broker:
            yield broker


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker(log_size=LOG_SIZE)

    async def test_asking_after_rooms_keeps_nothing(self, broker: MemoryBroker) -> None:
        for n in range(100):
            place = await broker.position(f"shw_{n}")
            assert await broker.since(f"shw_{n}", place, limit=1) == []
        assert broker.rooms == 0

    async def test_rooms_left_alone_are_forgotten_and_come_back_under_another_epoch(self) -> None:
        now = 0.0
        broker = MemoryBroker(log_size=LOG_SIZE, monotonic=lambda: now)
        ear = Ear()
        await broker.subscribe(OTHER_ROOM, ear)
        old = await broker.append(ROOM, notes(1))
        now = 2 * 3600.0
        await broker.append("shw_three", notes(1))
        assert broker.rooms == 2
        assert await broker.since(ROOM, old, limit=10) is None
        assert (await broker.append(ROOM, notes(2))).epoch != old.epoch
