"""Rooms on a real Redis: over several nodes, and when it is killed, paused, flushed or away.

What is lost is said, and nothing else is. `Ear` stands for a node's hub.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from broker_builders import OTHER_ROOM, ROOM, Ear, notes, running
from redis_server import RedisServer, redis_server
from room_builders import unframe, until

from liveshop.realtime import Position
from liveshop.realtime import redis_scripts as scripts
from liveshop.realtime.brokers import broker_of, problems_of
from liveshop.realtime.model import BrokerAway
from liveshop.realtime.redis_broker import RedisBroker
from liveshop.realtime.redis_link import Reading
from liveshop.settings import BadSettings, RealtimeSettings


def broker_on(redis: RedisServer, log_size: int = 100) -> RedisBroker:
    """It is quicker than others, so that tests need not wait for it."""
    return RedisBroker(
        redis.url, prefix="test", log_size=log_size, beat_seconds=0.25, answer_seconds=1.0
    )


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """It keeps nothing."""
    with redis_server() as server:
        yield server


@pytest.fixture
def lasting() -> Iterator[RedisServer]:
    """It keeps whatever it answered."""
    with redis_server("always") as server:
        yield server


@asynccontextmanager
async def nodes(redis: RedisServer, count: int) -> AsyncIterator[list[RedisBroker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(broker_on(redis))) for _ in range(count)]


async def blocking(act: Callable[[], None]) -> None:
    """So that the nodes go on meanwhile."""
    await asyncio.to_thread(act)


async def appended(broker: RedisBroker, *numbers: int, room: str = ROOM) -> Position:
    """As soon as it can be."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await broker.append(room, notes(*numbers))
            except BrokerAway:
                await asyncio.sleep(0.05)


async def position(broker: RedisBroker, room: str = ROOM) -> Position:
    """As soon as it can be told."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await broker.position(room)
            except BrokerAway:
                await asyncio.sleep(0.05)


async def test_two_nodes_hear_the_same_bytes_in_the_same_order(redis: RedisServer) -> None:
    async with nodes(redis, 2) as (one, two):
        here, there = Ear(), Ear()
        await one.subscribe(ROOM, here)
        await two.subscribe(ROOM, there)
        await asyncio.gather(
            *(broker.append(ROOM, notes(n)) for n in range(20) for broker in (one, two))
        )
        await until(lambda: len(here.heard) == len(there.heard) == 40)
        assert here.heard == [(ROOM, n) for n in range(1, 41)]
        assert here.frames == there.frames
        await one.tell(ROOM, b"frame")
        await until(lambda: bool(here.told and there.told))
        assert await one.position(ROOM) == await two.position(ROOM)


async def test_a_killed_redis_that_kept_nothing_begins_new_epochs(redis: RedisServer) -> None:
    async with nodes(redis, 2) as (one, two):
        here, there = Ear(), Ear()
        await one.subscribe(ROOM, here)
        await two.subscribe(ROOM, there)
        before = await one.append(ROOM, notes(1, 2, 3))
        await until(lambda: len(there.heard) == 3)
        await blocking(redis.restart)
        await until(lambda: here.lost == there.lost == [ROOM])
        after = await position(two)
        assert after.epoch != before.epoch
        assert after.offset == 0
        assert await one.since(ROOM, before, limit=10) is None
        assert await appended(one, 4) == Position(after.epoch, 1)
        await until(lambda: here.heard[3:] == there.heard[3:] == [(ROOM, 1)])


async def test_a_killed_redis_that_keeps_everything_goes_on(lasting: RedisServer) -> None:
    async with nodes(lasting, 2) as (one, two):
        here, there = Ear(), Ear()
        await one.subscribe(ROOM, here)
        await two.subscribe(ROOM, there)
        start = await one.position(ROOM)
        await one.append(ROOM, notes(1, 2))
        await until(lambda: len(there.heard) == 2)
        await blocking(lasting.restart)
        await position(one)  # whoever appends into the middle of it owes a renewal
        await position(two)
        end = await appended(two, 3)
        assert end == Position(start.epoch, 3)
        await until(lambda: len(here.heard) == len(there.heard) == 3)
        known = await one.since(ROOM, start, limit=10)
        assert known is not None
        assert [event.frame for event in known] == here.frames == there.frames
        assert here.lost == there.lost == []


async def test_only_a_redis_that_was_known_to_keep_everything_is_believed(
    lasting: RedisServer,
) -> None:
    async with nodes(lasting, 1) as (node,):
        before = await node.append(ROOM, notes(1))
        lasting.cli("CONFIG", "SET", "appendfsync", "everysec")
        await node._link.settle()
        await blocking(lasting.restart)  # as configured at its start: always
        assert (await position(node)).epoch != before.epoch


async def test_a_redis_that_comes_back_with_an_old_copy_begins_new_epochs(
    redis: RedisServer,
) -> None:
    """Nobody needs to remember more than it does."""
    before = broker_on(redis)
    await before.append(ROOM, notes(1))
    redis.cli("SAVE")
    seen = await before.append(ROOM, notes(2))
    await before.close()
    redis.restart()
    assert redis.cli("HGET", f"test:room:{ROOM}", "offset") == "$1"  # one character long: it is 1
    after = broker_on(redis)
    assert await after.since(ROOM, seen, limit=1) is None
    place = await after.append(ROOM, notes(3))
    assert place.epoch != seen.epoch
    assert place.offset == 1
    await after.close()


async def test_a_pause_ends_an_epoch_only_where_an_append_is_in_doubt(redis: RedisServer) -> None:
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        await node.subscribe(OTHER_ROOM, ear)
        before = await node.append(ROOM, notes(1))
        other = await node.append(OTHER_ROOM, notes(1))
        redis.pause()
        with pytest.raises(BrokerAway) as refused:
            await node.append(ROOM, notes(2))  # Redis does it, in the end
        assert refused.value.retryable
        assert refused.value.retry_after
        hurried = time.monotonic()
        for _ in range(50):  # it does not answer, and yet nobody waits for it any more
            with pytest.raises(BrokerAway):
                await node.position(OTHER_ROOM)
            await asyncio.sleep(0.01)
        assert time.monotonic() - hurried < 10  # not fifty timeouts
        redis.resume()
        await until(lambda: ear.lost == [ROOM])
        after = await appended(node, 3)
        assert after.epoch != before.epoch
        assert after.offset == 1
        assert await appended(node, 2, room=OTHER_ROOM) == Position(other.epoch, 2)
        assert ear.lost == [ROOM]


async def test_while_redis_is_away_calls_fail_at_once_and_viewers_hear_nothing(
    redis: RedisServer,
) -> None:
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        await node.append(ROOM, notes(1))
        await until(lambda: len(ear.heard) == 1)
        await blocking(redis.kill)
        for _ in range(200):  # in sum less than a single timeout
            with pytest.raises(BrokerAway):
                await node.intend([ROOM])
        assert ear.lost == []
        await blocking(redis.start)
        await until(lambda: ear.lost == [ROOM])
        await appended(node, 2)
        await until(lambda: ear.heard == [(ROOM, 1), (ROOM, 1)])


async def test_a_flushed_redis_ends_epochs_within_a_moment(redis: RedisServer) -> None:
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        before = await node.append(ROOM, notes(1, 2))
        await until(lambda: len(ear.heard) == 2)
        redis.cli("FLUSHALL")
        await until(lambda: ear.lost == [ROOM])
        after = await node.append(ROOM, notes(3))
        assert after.epoch != before.epoch
        assert after.offset == 1
        await until(lambda: ear.heard[2:] == [(ROOM, 1)])


async def test_an_evicted_log_is_not_taken_for_a_short_one(redis: RedisServer) -> None:
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        start = await node.position(ROOM)
        await node.append(ROOM, notes(1, 2))
        await node.subscribe(ROOM, ear)
        redis.cli("DEL", f"test:log:{ROOM}:{start.epoch}")
        assert await node.since(ROOM, start, limit=10) is None
        assert (await node.append(ROOM, notes(3))).offset == 3
        await until(lambda: ear.heard == [(ROOM, 3)])
        redis.cli("DEL", f"test:room:{ROOM}")
        await until(lambda: ear.lost == [ROOM])
        assert (await node.position(ROOM)).epoch != start.epoch


async def test_what_was_evicted_before_it_was_delivered_is_told_as_a_loss(
    redis: RedisServer,
) -> None:
    node, ear = broker_on(redis), Ear()
    await node.subscribe(ROOM, ear)
    place = await node.append(ROOM, notes(1, 2))
    redis.cli("DEL", f"test:log:{ROOM}:{place.epoch}")
    await node.append(ROOM, notes(3))
    async with running(node):  # it begins to read only now
        await until(lambda: bool(ear.heard))
    assert ear.heard == [(ROOM, 3)]
    assert ear.lost == [ROOM]


async def test_an_append_that_arrives_after_its_renewal_is_not_done(redis: RedisServer) -> None:
    node = broker_on(redis)
    late = f"{node.node}.1"
    await node._link.call(scripts.RENEW, ROOM, "new", node.node, 0, 1, 0, late)
    assert await node.append(ROOM, notes(1)) == Position("new", 0)
    assert await node.append(ROOM, notes(2)) == Position("new", 1)
    await node.close()


async def test_a_log_set_back_behind_what_was_seen_ends_its_epoch(redis: RedisServer) -> None:
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        before = await node.append(ROOM, notes(1, 2, 3))
        await until(lambda: len(ear.heard) == 3)
        redis.cli("HSET", f"test:room:{ROOM}", "offset", "1")
        await until(lambda: ear.lost == [ROOM])
        assert (await node.position(ROOM)).epoch != before.epoch


async def test_a_node_that_dies_is_not_counted_for_long(redis: RedisServer) -> None:
    async with nodes(redis, 1) as (one,):
        async with nodes(redis, 1) as (leaving,):
            await leaving.presence({ROOM: 40})
            assert await one.presence({ROOM: 2}) == {ROOM: 42}
        assert await one.presence({ROOM: 2}) == {ROOM: 2}
        dying = broker_on(redis)
        await dying.presence({ROOM: 40, OTHER_ROOM: 1})
        assert await one.presence({ROOM: 2}) == {ROOM: 42}
        totals = {ROOM: 42}
        async with asyncio.timeout(10):
            while totals != {ROOM: 2}:
                await asyncio.sleep(0.1)
                totals = dict(await one.presence({ROOM: 2}))
        await dying.close()


async def test_what_a_dead_node_intended_is_renewed_once_and_nothing_else(
    redis: RedisServer,
) -> None:
    async with nodes(redis, 3) as survivors:
        ears = [Ear() for _ in survivors]
        for broker, ear in zip(survivors, ears, strict=True):
            for room in (ROOM, OTHER_ROOM, "shw_three"):
                await broker.subscribe(room, ear)
        dying = broker_on(redis)
        await dying.intend([ROOM, OTHER_ROOM, "shw_three"])
        await dying.append(OTHER_ROOM, notes(1))
        await dying.forgo(["shw_three"])
        before = await survivors[0].position(ROOM)
        await until(lambda: all(ear.lost for ear in ears))
        after = await survivors[1].position(ROOM)
        await asyncio.sleep(0.6)  # every survivor has looked again
        assert [ear.lost for ear in ears] == [[ROOM]] * 3
        assert await survivors[2].position(ROOM) == after
        assert after.epoch != before.epoch
        # It was only slow: what it commits now comes in the new epoch.
        assert await dying.append(ROOM, notes(2)) == Position(after.epoch, 1)
        await dying.close()


async def test_a_node_without_background_work_pays_what_it_owes(redis: RedisServer) -> None:
    worker = broker_on(redis)
    async with nodes(redis, 1) as (node,):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        before = await worker.append(ROOM, notes(1))
        redis.pause()
        with pytest.raises(BrokerAway):
            await worker.append(ROOM, notes(2))
        with pytest.raises(BrokerAway):
            await worker.renew(OTHER_ROOM, name="once")
        redis.resume()
        await until(lambda: ear.lost == [ROOM])
        assert (await position(worker)).epoch != before.epoch
        known = await position(node, OTHER_ROOM)
        assert (await worker.renew(OTHER_ROOM, name="once")).epoch == known.epoch
        await worker.close()


async def test_rooms_left_alone_are_forgotten_and_those_with_viewers_are_not(
    redis: RedisServer,
) -> None:
    async with nodes(redis, 1) as (node,):
        old = await node.append(ROOM, notes(1))
        kept = await node.append(OTHER_ROOM, notes(1))
        await node.subscribe(OTHER_ROOM, Ear())
        for room, place in ((ROOM, old), (OTHER_ROOM, kept)):
            for key in (f"test:room:{room}", f"test:log:{room}:{place.epoch}"):
                assert int(redis.cli("PTTL", key)[1:]) > 3_500_000
                redis.cli("PEXPIRE", key, "700")
        async with asyncio.timeout(5):
            while redis.cli("EXISTS", f"test:room:{ROOM}") != ":0":
                await asyncio.sleep(0.05)
        assert await node.since(ROOM, old, limit=10) is None
        assert (await node.position(ROOM)).epoch != old.epoch
        assert await node.position(OTHER_ROOM) == kept


async def test_what_was_read_for_who_left_is_not_for_him_once_he_is_back(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be an event of the old epoch under a number of the new one."""
    read = Reading.read
    has_read, is_back = asyncio.Event(), asyncio.Event()

    async def held_up(self: Reading, after: dict[bytes, bytes], **how: Any) -> Any:
        found = await read(self, after, **how)
        if any(b":log:" in key for key, _ in found):
            has_read.set()
            await is_back.wait()
        return found

    monkeypatch.setattr(Reading, "read", held_up)
    async with nodes(redis, 1) as (node,), asyncio.timeout(10):
        ear = Ear()
        await node.subscribe(ROOM, ear)
        await node.append(ROOM, notes(1))
        await has_read.wait()
        node.unsubscribe(ROOM, ear)
        await node.renew(ROOM)
        await node.subscribe(ROOM, ear)
        assert (await node.position(ROOM)).offset == 0
        is_back.set()
        await node.append(ROOM, notes(2))
        await until(lambda: bool(ear.frames))
        assert [event["d"]["n"] for event in unframe(b"".join(ear.frames))] == [2]


async def test_two_shops_share_a_redis(redis: RedisServer) -> None:
    other = RedisBroker(redis.url, prefix="other", log_size=10)
    async with nodes(redis, 1) as (node,), running(other):
        ear = Ear()
        await other.subscribe(ROOM, ear)
        await node.append(ROOM, notes(1))
        await node.presence({ROOM: 5})
        await other.append(ROOM, notes(1))
        await until(lambda: bool(ear.heard))
        assert ear.heard == [(ROOM, 1)]
        assert await other.presence({ROOM: 1}) == {ROOM: 1}


async def test_a_node_that_stops_leaves_nothing_open(redis: RedisServer) -> None:
    async with nodes(redis, 2) as (one, two):
        await one.subscribe(ROOM, Ear())
        await asyncio.gather(*(two.append(ROOM, notes(n)) for n in range(50)))
    async with asyncio.timeout(5):
        while redis.clients() > 1:
            await asyncio.sleep(0.02)


async def test_a_redis_that_is_not_there_is_said_so(redis: RedisServer) -> None:
    redis.kill()
    node = broker_on(redis)
    with pytest.raises(BrokerAway):
        await node.ping()
    await node.close()
    settings = RealtimeSettings(broker="redis", redis_url=redis.url)
    assert any("cannot be reached" in problem for problem in await problems_of(settings))
    with pytest.raises(BadSettings, match=r"realtime\.redis_url"):
        broker_of(RealtimeSettings(broker="redis", redis_url="nonsense"))


async def test_the_doctor_says_what_a_redis_forgets(
    redis: RedisServer, lasting: RedisServer
) -> None:
    forgetful = RealtimeSettings(broker="redis", redis_url=redis.url)
    assert ["appendfsync always" in problem for problem in await problems_of(forgetful)] == [True]
    good = RealtimeSettings(broker="redis", redis_url=lasting.url)
    assert await problems_of(good) == []
    lasting.cli("CONFIG", "SET", "maxmemory", "100mb")
    lasting.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert ["allkeys-lru" in problem for problem in await problems_of(good)] == [True]
    assert await problems_of(RealtimeSettings()) == []
