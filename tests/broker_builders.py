"""Ears for brokers, and nodes that share a Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from room_builders import Note

from liveshop.realtime import Event, frames
from liveshop.realtime.redis_broker import RedisBroker

ROOM, OTHER_ROOM = "shw_one", "shw_two"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Ear:
    """A node that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.frames: list[bytes] = []
        self.lost: list[str] = []
        self.told: list[tuple[str, bytes]] = []

    def deliver(self, room: str, events: Sequence[Event]) -> None:
        self.heard += [(room, event.offset) for event in events]
        self.frames += [event.frame for event in events]

    def log_lost(self, room: str) -> None:
        self.lost.append(room)

    def hear(self, room: str, frame: bytes) -> None:
        self.told.append((room, frame))


def notes(*numbers: int) -> list[frames.Draft]:
    return [frames.draft("note", Note(n), NOON) for n in numbers]


@asynccontextmanager
async def running(broker: RedisBroker) -> AsyncIterator[RedisBroker]:
    task = asyncio.create_task(broker.run())
    try:
        yield broker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.close()
