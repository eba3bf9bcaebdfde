"""Whatever happens, what a client has is a contiguous part of the room's log.

First the races are shown that a room and its broker guard against: where something is done in the
wrong order, the same players find out.
"""

from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from room_builders import SHOW, Note
from stateful.rooms import NOON, Line, LineStage, MemoryStage, Rooms, Stage, turns

from liveshop.realtime import Event, Hub, MemoryBroker, Position, Receiver, RoomPublisher
from liveshop.realtime.hub import Joined, Viewer
from liveshop.storage import Published

EXAMPLES = settings(max_examples=60, stateful_step_count=40, deadline=None)
UNTIL_FOUND = settings(
    EXAMPLES, max_examples=2000, phases=[Phase.generate], database=None, derandomize=True
)


class RoomsInOneProcess(Rooms):
    def stage(self, slow: bool, log_size: int) -> Stage:
        return MemoryStage(log_size=log_size)


class RoomsAcrossANetwork(Rooms):
    stage_type = LineStage

    def stage(self, slow: bool, log_size: int) -> Stage:
        stage = self.stage_type(log_size=log_size)
        stage.turns = 25 if slow else 2
        return stage


TestRoomsInOneProcess = RoomsInOneProcess.TestCase
TestRoomsInOneProcess.settings = EXAMPLES
TestRoomsAcrossANetwork = RoomsAcrossANetwork.TestCase
TestRoomsAcrossANetwork.settings = EXAMPLES


# -- the races


async def test_looking_first_and_entering_after_loses_events() -> None:
    """The race that `Hub.join` guards against by its order, shown with the order turned round."""
    broker = MemoryBroker(log_size=100)
    publish = RoomPublisher(broker)
    heard: list[int] = []

    class Ear:
        def deliver(self, _room: str, events: Sequence[Event]) -> None:
            heard.extend(event.offset for event in events)

        def log_lost(self, _room: str) -> None:
            raise AssertionError

        def hear(self, _room: str, _frame: bytes) -> None:
            raise AssertionError

    start = await broker.position(SHOW)
    await publish([Published(SHOW, "note", Note(1), NOON)])
    backlog = await broker.since(SHOW, start, limit=100)
    await publish([Published(SHOW, "note", Note(2), NOON)])  # while the backlog is on its way
    await broker.subscribe(SHOW, Ear())
    await publish([Published(SHOW, "note", Note(3), NOON)])
    assert backlog is not None
    assert [event.offset for event in backlog] + heard == [1, 3]


class HastyHub(Hub):
    """Looks first what there is, and enters the room when that has been sent."""

    async def join(self, viewer: Viewer, resume: Position | None = None) -> Joined:
        start = await self._broker.position(viewer.room)
        known = None if resume is None else await self._broker.since(SHOW, resume, limit=1)
        if resume is not None and known is not None:
            start = resume
        viewer.epoch, viewer.offset = start.epoch, start.offset
        return Joined(start, resume is not None and known is None)

    async def catch_up(self, viewer: Viewer) -> None:
        place = Position(viewer.epoch, viewer.offset)
        missing = await self._broker.since(SHOW, place, limit=1000)
        await self._send_all(viewer, deque(missing or ()))
        await super().join(viewer)
        viewer.epoch, viewer.offset = place.epoch, place.offset + len(missing or ())
        room = self._room(SHOW)
        room.catching_up.discard(viewer)
        viewer.waiting = None
        room.outbox.enter(viewer)


class LateEars(Line):
    """Says that it listens before it does."""

    async def subscribe(self, room: str, receiver: Receiver) -> None:
        async def later() -> None:
            await turns(30)
            await Line.subscribe(self, room, receiver)

        self._stage.loop.create_task(later())


class OldNews(Line):
    """Answers with a new epoch while events of the old one are still to be delivered."""

    def tell_what_is_over(self) -> None:
        return None


def stage_of(line: type[Line]) -> type[LineStage]:
    class Wrong(LineStage):
        line_type = line

    return Wrong


def rooms_with(**changed: object) -> type[Rooms]:
    return type("Changed", (RoomsAcrossANetwork,), changed)


WRONG = {
    "a hub that looks before it enters": {"hub_type": HastyHub},
    "a broker that forgets who is just coming": {"stage_type": stage_of(LateEars)},
    "a broker that mixes epochs": {"stage_type": stage_of(OldNews)},
}


def just_coming(rooms: Rooms) -> None:
    """Something happens while a viewer is at the door, and nothing after."""
    rooms.connect(index=1, at=0, reads=True, missed=2, steps=0, meanwhile=2)


def after_the_end(rooms: Rooms) -> None:
    """A viewer comes when the log is lost; where he is, the end of the old one still arrives."""
    rooms.connect(index=1, at=0, reads=True, missed=0, steps=100, meanwhile=0)
    rooms.happen(3, pad=0)
    rooms.lose_the_log()
    rooms.happen(2, pad=0)
    rooms.connect(index=2, at=0, reads=True, missed=0, steps=100, meanwhile=0)
    rooms.deliver(count=1)
    rooms.read(index=2)
    rooms.happen(1, pad=0)


@pytest.mark.parametrize(
    ("played", "wrong"),
    [
        (just_coming, "a hub that looks before it enters"),
        (just_coming, "a broker that forgets who is just coming"),
        (after_the_end, "a broker that mixes epochs"),
    ],
)
def test_the_race_that_is_guarded_against(played: Callable[[Rooms], None], wrong: str) -> None:
    def play(rooms: Rooms) -> None:
        rooms.open(slow=False, log_size=10_000, readable=0)
        try:
            played(rooms)
        finally:
            rooms.teardown()

    with pytest.raises(AssertionError):
        play(rooms_with(**WRONG[wrong])())
    play(RoomsAcrossANetwork())


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_the_players_find_it_themselves(wrong: str) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(rooms_with(**WRONG[wrong]), settings=UNTIL_FOUND)


@pytest.mark.slow
@pytest.mark.parametrize("rooms", [RoomsInOneProcess, RoomsAcrossANetwork])
def test_for_longer(rooms: type[Rooms]) -> None:
    run_state_machine_as_test(rooms, settings=settings(EXAMPLES, max_examples=2000))
