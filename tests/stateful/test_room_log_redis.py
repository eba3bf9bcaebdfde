"""The same players as in `test_room_log.py`, on nodes that share a real Redis."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from redis_server import RedisServer, redis_server
from room_builders import SHOW
from stateful.rooms import Rooms, Stage

from liveshop.kernel.ids import new_secret
from liveshop.realtime import Broker
from liveshop.realtime.model import BrokerAway
from liveshop.realtime.redis_broker import RedisBroker

_PATIENCE_SECONDS = 10.0


class RedisStage:
    """Each node has a connection of its own; the keys are of this stage alone."""

    def __init__(self, server: RedisServer, *, log_size: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.log_size = log_size
        self._server = server
        self._prefix = new_secret(6)
        self._running: dict[RedisBroker, asyncio.Task[None]] = {}
        self._dead: list[RedisBroker] = []
        self._is_losing = False
        self.broker: Broker = self.node()

    def node(self) -> RedisBroker:
        made = RedisBroker(self._server.url, prefix=self._prefix, log_size=self.log_size)
        self._running[made] = self.loop.create_task(made.run())
        return made

    def dies(self, node: Any) -> None:
        self._running.pop(node).cancel()
        self._dead.append(node)

    def is_behind(self, _node: Broker) -> bool:
        return self._is_losing

    async def deliver(self, count: int) -> None:
        await asyncio.sleep(count / 2000)

    async def settle(self) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for node in self._running:
                while not await self._is_level(node):
                    await asyncio.sleep(0.002)
        self._is_losing = False
        await asyncio.sleep(0.06)  # the longest that a room collects before it writes

    @staticmethod
    async def _is_level(node: RedisBroker) -> bool:
        try:
            end = await node.position(SHOW)
        except BrokerAway:
            return False
        place = node._places.get(SHOW)
        return place is None or (place.epoch, place.offset) == (end.epoch, end.offset)

    async def lose(self) -> None:
        self._is_losing = True
        with contextlib.suppress(BrokerAway):  # then it is done as soon as it can be
            await self.broker.renew(SHOW)

    def lose_everything(self) -> None:
        self._is_losing = True
        self._server.cli("FLUSHALL")

    def restart(self) -> None:
        """Killed with all it knew."""
        self._is_losing = True
        self._server.restart()

    def cut(self) -> None:
        """Every connection there is."""
        self._server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        for node in [*self._running, *self._dead]:
            await node.close()


class RoomsOnRedis(Rooms):
    server: RedisServer

    def stage(self, slow: bool, log_size: int) -> Stage:
        return RedisStage(self.server, log_size=log_size)

    @property
    def redis(self) -> RedisStage:
        assert isinstance(self.on, RedisStage)
        return self.on

    @rule()
    def redis_forgets_everything(self) -> None:
        self.redis.lose_everything()

    @rule()
    def connections_are_cut(self) -> None:
        self.redis.cut()


class RoomsOnMortalRedis(RoomsOnRedis):
    @rule(settles=st.booleans())
    def redis_dies(self, settles: bool) -> None:
        self.redis.restart()
        if settles:
            self.do(self.on.settle())


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def play(rooms: type[RoomsOnRedis], server: RedisServer, **how: Any) -> None:
    playing = type("Playing", (rooms,), {"server": server})
    profile = settings(deadline=None, stateful_step_count=30, print_blob=True, **how)
    run_state_machine_as_test(playing, settings=profile)


def test_whatever_happens_what_a_client_has_is_a_part_of_the_log(server: RedisServer) -> None:
    play(RoomsOnRedis, server, max_examples=8, phases=[Phase.generate])


@pytest.mark.slow
def test_for_longer(server: RedisServer) -> None:
    play(RoomsOnMortalRedis, server, max_examples=150, phases=[Phase.generate])
