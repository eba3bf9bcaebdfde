"""Three nodes append to a room while their Redis is killed, paused, flushed, robbed and cut off, in
any order and at any moment: whatever a node misses, it is told that its log is lost."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from broker_builders import ROOM, running
from redis_server import Persistence, RedisServer, redis_server
from room_builders import Note, unframe

from liveshop.realtime import Event, RoomPublisher
from liveshop.realtime.redis_broker import RedisBroker
from liveshop.storage import Published

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FAULTS = 25
PAUSES = (0.0, 0.2, 0.6, 1.5)
Place = tuple[str, int]


class Truth:
    """What stands at each place, and what was seen to be wrong."""

    def __init__(self) -> None:
        self.placed: dict[Place, int] = {}
        self.wrong: list[str] = []


class Watching:
    """A node's hub: what came since its log was lost last."""

    def __init__(self, broker: RedisBroker, truth: Truth) -> None:
        self._broker, self._truth = broker, truth
        self.since_loss: list[tuple[Place, int]] = []
        self.losses = 0

    def deliver(self, room: str, events: Sequence[Event]) -> None:
        delivered = self._broker._places.get(room)
        assert delivered is not None
        for event in events:
            place = (delivered.epoch, event.offset)
            n: int = unframe(event.frame)[0]["d"]["n"]
            if self._truth.placed.setdefault(place, n) != n:
                self._truth.wrong.append(f"{place} is {n}, and another one too")
            if self.since_loss and self.since_loss[-1][0] != (place[0], place[1] - 1):
                self._truth.wrong.append(f"{place} came after {self.since_loss[-1][0]}")
            self.since_loss.append((place, n))

    def log_lost(self, room: str) -> None:
        self.since_loss.clear()
        self.losses += 1

    def hear(self, room: str, frame: bytes) -> None:
        return None


class Show:
    """Writers on several nodes; the lock stands for the database, which gives them their order."""

    def __init__(self, publishers: Sequence[RoomPublisher]) -> None:
        self._publishers = publishers
        self._order = asyncio.Lock()
        self.committed = 0
        self.is_over = False

    async def say(self, publisher: RoomPublisher) -> None:
        async with self._order:
            self.committed += 1
            await publisher([Published(ROOM, "note", Note(self.committed), NOON)])

    async def say_more(self, publisher: RoomPublisher) -> None:
        while not self.is_over:
            await self.say(publisher)
            await asyncio.sleep(random.random() * 0.02)


async def trouble(redis: RedisServer, kind: str, seconds: float) -> None:
    match kind:
        case "kill":
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(redis.start)
        case "pause":
            redis.pause()
            await asyncio.sleep(seconds)
            redis.resume()
        case "flush":
            redis.cli("FLUSHALL")
        case "rob":
            redis.cli("DEL", f"faults:room:{ROOM}")
        case "cut":
            redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.parametrize("persistence", ["none", "always"])
async def test_whatever_happens_to_redis_nobody_misses_an_event_unknowingly(
    persistence: Persistence,
) -> None:
    truth, chance = Truth(), random.Random()
    with redis_server(persistence) as redis:
        async with AsyncExitStack() as stack:
            brokers = [
                RedisBroker(
                    redis.url, prefix="faults", log_size=200, beat_seconds=0.2, answer_seconds=0.4
                )
                for _ in range(3)
            ]
            ears = [Watching(broker, truth) for broker in brokers]
            for broker, ear in zip(brokers, ears, strict=True):
                await stack.enter_async_context(running(broker))
                await broker.subscribe(ROOM, ear)
            publishers = [RoomPublisher(broker) for broker in brokers]
            show = Show(publishers)
            writing = [asyncio.create_task(show.say_more(one)) for one in publishers]
            done: list[str] = []
            for _ in range(FAULTS):
                await asyncio.sleep(chance.random() * 0.7)
                done.append(chance.choice(["kill", "pause", "flush", "rob", "cut"]))
                await trouble(redis, done[-1], chance.choice(PAUSES))
            show.is_over = True
            await asyncio.gather(*writing)
            async with asyncio.timeout(20):
                while any(broker._debts or broker._link.is_away for broker in brokers):
                    await asyncio.sleep(0.1)
            for publisher in publishers:
                await show.say(publisher)
            last = show.committed
            async with asyncio.timeout(20):
                while any(not ear.since_loss or ear.since_loss[-1][1] != last for ear in ears):
                    await asyncio.sleep(0.1)
            assert truth.wrong == [], done
            for ear in ears:
                numbers = [n for _, n in ear.since_loss]
                assert numbers == list(range(numbers[0], last + 1)), done
                assert ear.losses >= (done.count("flush") + done.count("rob")) / 2, done
