"""Rooms of one node, on transports that a test can hold up."""

import asyncio
import gc
import weakref
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from room_builders import (
    CUSTOMER,
    GUEST,
    HOST,
    OTHER_GUEST,
    OTHER_SHOW,
    SHOW,
    FakeTransport,
    Note,
    SlowBroker,
    unframe,
    until,
)
from structlog.testing import capture_logs

from liveshop.kernel.errors import Unavailable
from liveshop.realtime import CloseCode, Hub, MemoryBroker, Position, RoomPublisher, frames
from liveshop.realtime.viewer import Viewer
from liveshop.storage import Published
from liveshop.web.access import ANONYMOUS, Principal
from liveshop.web.metrics import Metrics

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Stage:
    """A hub, its broker and a time that stands still."""

    def __init__(self, *, log_size: int = 1000, buffer_bytes: int = 100_000, **ports: Any) -> None:
        self.now = 0.0
        self.broker = MemoryBroker(log_size=log_size)
        self.metrics = Metrics()
        self.hub = Hub(
            self.broker,
            buffer_bytes=buffer_bytes,
            idle_seconds=45.0,
            metrics=self.metrics,
            monotonic=lambda: self.now,
            **ports,
        )
        self.publish = RoomPublisher(self.broker)

    async def say(self, *numbers: int, room: str = SHOW, pad: str = "") -> None:
        for n in numbers:
            await self.publish([Published(room, "note", Note(n, pad), NOON)])

    def viewer(self, who: Principal = ANONYMOUS, room: str = SHOW) -> tuple[Viewer, FakeTransport]:
        transport = FakeTransport()
        viewer = self.hub.viewer(room, who, transport, drain=transport.drain, on_close=lambda: None)
        return viewer, transport

    async def enter(
        self, who: Principal = ANONYMOUS, room: str = SHOW, resume: Position | None = None
    ) -> tuple[Viewer, FakeTransport]:
        viewer, transport = self.viewer(who, room)
        await self.hub.join(viewer, resume)
        await self.hub.catch_up(viewer)
        return viewer, transport


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_every_viewer_gets_the_same_bytes_made_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [await stage.enter() for _ in range(100)]
    encoded: list[object] = []
    monkeypatch.setattr(
        frames, "_encode", lambda what: (encoded.append(what), msgspec.json.encode(what))[1]
    )
    framed: list[bytes] = []
    text_frame = frames.text_frame
    monkeypatch.setattr(
        frames, "text_frame", lambda payload: (framed.append(payload), text_frame(payload))[1]
    )
    await stage.say(1)
    assert len([what for what in encoded if isinstance(what, Note)]) == 1
    assert len(framed) == 1
    assert len({id(transport.written[-1]) for _, transport in crowd}) == 1


async def test_several_events_of_one_transaction_are_one_write(stage: Stage) -> None:
    _, transport = await stage.enter()
    await stage.publish([Published(SHOW, "note", Note(n), NOON) for n in range(3)])
    assert len(transport.written) == 1
    assert transport.offsets == [1, 2, 3]


async def test_rooms_do_not_hear_each_other(stage: Stage) -> None:
    _, here = await stage.enter()
    _, there = await stage.enter(room=OTHER_SHOW)
    await stage.say(1)
    await stage.say(2, room=OTHER_SHOW)
    assert [event["d"]["n"] for event in here.events] == [1]
    assert [event["d"]["n"] for event in there.events] == [2]


async def test_a_reader_too_slow_is_closed_and_nobody_waits_for_it() -> None:
    stage = Stage(buffer_bytes=10_000)
    slow, slow_transport = await stage.enter()
    _, quick = await stage.enter()
    slow_transport.reads_at_once = False
    await stage.say(*range(30), pad="x" * 1000)
    assert slow.code is CloseCode.TOO_SLOW
    assert slow_transport.unread < 12_000
    assert quick.offsets == list(range(1, 31))


async def test_resuming_gives_exactly_what_was_missed(stage: Stage) -> None:
    viewer, _ = await stage.enter()
    await stage.say(1, 2)
    stage.hub.leave(viewer)
    await stage.say(3, 4)
    _, back = await stage.enter(resume=Position(viewer.epoch, viewer.offset))
    await stage.say(5)
    assert back.offsets == [3, 4, 5]


async def test_events_that_arrive_while_the_backlog_is_sent_come_after_it_once() -> None:
    stage = Stage(buffer_bytes=8_000)
    start = await stage.broker.position(SHOW)
    await stage.say(*range(20), pad="x" * 1000)
    viewer, transport = stage.viewer()
    transport.reads_at_once = False
    await stage.hub.join(viewer, start)
    catching_up = asyncio.create_task(stage.hub.catch_up(viewer))
    await until(lambda: transport.unread > 0)
    while not catching_up.done():
        await stage.say(99, pad="x" * 100)
        transport.read_all()
        await asyncio.sleep(0)
        if len(transport.offsets) > 40:
            transport.reads_at_once = True
    await stage.say(100)
    assert viewer.code is None
    assert viewer.waiting is None
    assert transport.offsets == list(range(1, stage_offset(await stage.broker.position(SHOW)) + 1))


def stage_offset(position: Position) -> int:
    return position.offset


async def test_a_backlog_that_outruns_the_log_ends_in_a_reload_not_in_a_gap() -> None:
    stage = Stage(log_size=10, buffer_bytes=8_000)
    start = await stage.broker.position(SHOW)
    await stage.say(*range(10), pad="x" * 1000)
    viewer, transport = stage.viewer()
    transport.reads_at_once = False
    joined = await stage.hub.join(viewer, start)
    assert not joined.resume_failed
    await stage.say(*range(50))  # before it read a single event
    await stage.hub.catch_up(viewer)
    assert viewer.code is CloseCode.LOG_LOST
    assert transport.offsets == []


@pytest.mark.parametrize(
    "resume",
    [Position("another", 1), Position("", -1), Position("EPOCH", 99), Position("EPOCH", -1)],
)
async def test_an_unknown_place_fails_and_goes_on_from_now(stage: Stage, resume: Position) -> None:
    await stage.say(1, 2)
    end = await stage.broker.position(SHOW)
    viewer, transport = stage.viewer()
    epoch = end.epoch if resume.epoch == "EPOCH" else resume.epoch
    joined = await stage.hub.join(viewer, Position(epoch, resume.offset))
    await stage.hub.catch_up(viewer)
    await stage.say(3)
    assert joined.resume_failed
    assert joined.position == end
    assert transport.offsets == [3]


async def test_a_client_that_stops_reading_its_backlog_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("liveshop.realtime.viewer.DRAIN_SECONDS", 0.0)
    stage = Stage(buffer_bytes=8_000)
    start = await stage.broker.position(SHOW)
    await stage.say(*range(20), pad="x" * 1000)
    viewer, transport = stage.viewer()
    transport.reads_at_once = False
    await stage.hub.join(viewer, start)
    await stage.hub.catch_up(viewer)
    assert viewer.code is CloseCode.TOO_SLOW


async def test_a_lost_log_sends_everybody_back(stage: Stage) -> None:
    viewer, _ = await stage.enter()
    elsewhere, _ = await stage.enter(room=OTHER_SHOW)
    await stage.broker.renew(SHOW)
    assert viewer.code is CloseCode.LOG_LOST
    assert elsewhere.code is None


async def test_an_event_that_cannot_be_published_is_admitted(stage: Stage) -> None:
    """The transaction is committed, so publishing must not raise; but a gap must not be hidden."""
    viewer, _ = await stage.enter()
    broken = Published(SHOW, "note", Note(object()), NOON)  # type: ignore[arg-type]
    with capture_logs() as logged:
        await stage.publish([broken])
    assert [entry["event"] for entry in logged] == ["publish_failed"]
    assert viewer.code is CloseCode.LOG_LOST
    assert (await stage.broker.position(SHOW)).epoch != viewer.epoch


async def test_viewers_are_people_not_connections(stage: Stage) -> None:
    for who in (GUEST, GUEST, OTHER_GUEST, CUSTOMER, HOST, ANONYMOUS, ANONYMOUS):
        await stage.enter(who)
    assert stage.hub.viewers(SHOW) == 5
    assert stage.hub.connections == 7
    assert stage.hub.viewers(OTHER_SHOW) == 0


async def test_viewers_are_announced_when_they_change_and_once_a_tick() -> None:
    told: list[tuple[str, int]] = []

    async def on_viewers(show_id: str, count: int) -> None:
        told.append((show_id, count))

    stage = Stage(on_viewers=on_viewers)
    _, transport = await stage.enter(GUEST)
    leaver, _ = await stage.enter(OTHER_GUEST)
    await stage.hub.tick()
    await stage.hub.tick()
    stage.hub.leave(leaver)
    await stage.hub.tick()
    announced = [f for f in unframe(b"".join(transport.written)) if f["t"] == "viewers"]
    assert announced == [{"t": "viewers", "d": {"count": 2}}, {"t": "viewers", "d": {"count": 1}}]
    assert told == [(SHOW, 2), (SHOW, 1)]


async def test_hearts_are_counted_together_and_announced_as_kept() -> None:
    kept: list[int] = [1000]

    async def on_hearts(_show_id: str, added: int) -> int:
        kept.append(added)
        return sum(kept)

    stage = Stage(on_hearts=on_hearts)
    _, transport = await stage.enter()
    for _ in range(50):
        stage.hub.react(SHOW, 3)
    await stage.hub.tick()
    await stage.hub.tick()
    assert kept == [1000, 150]
    hearts = [f for f in unframe(b"".join(transport.written)) if f["t"] == "hearts"]
    assert hearts == [{"t": "hearts", "d": {"total": 1150, "added": 150}}]


async def test_hearts_wait_while_the_database_is_away() -> None:
    answers: list[int] = []
    away = True

    async def on_hearts(_show_id: str, added: int) -> int:
        if away:
            raise Unavailable("The database does not answer.")
        answers.append(added)
        return added

    stage = Stage(on_hearts=on_hearts)
    stage.hub.react(SHOW, 5)
    await stage.hub.tick()
    stage.hub.react(SHOW, 2)
    away = False
    await stage.hub.tick()
    assert answers == [7]
    assert stage.hub.rooms == 0


async def test_a_faulty_port_does_not_stop_the_ticks() -> None:
    async def broken(_show_id: str, _count: int) -> int:
        raise ZeroDivisionError

    stage = Stage(on_hearts=broken, on_viewers=broken)
    _, transport = await stage.enter()
    stage.hub.react(SHOW, 5)
    stage.hub.react(OTHER_SHOW, 5)
    with capture_logs() as logged:
        await stage.hub.tick()
    assert {entry["event"] for entry in logged} == {"viewers_not_kept", "hearts_not_kept"}
    assert unframe(b"".join(transport.written)) == [{"t": "viewers", "d": {"count": 1}}]
    assert stage.hub.rooms == 1


async def test_the_silent_are_pinged_and_the_dead_are_closed(stage: Stage) -> None:
    alive, alive_transport = await stage.enter()
    dead, dead_transport = await stage.enter()
    stage.now = 16.0
    await stage.hub.tick()
    await stage.hub.tick()
    assert alive_transport.written.count(frames.PING) == 1
    assert dead_transport.written.count(frames.PING) == 1
    alive.heard(stage.now)
    stage.now = 46.0
    await stage.hub.tick()
    assert dead.code is CloseCode.IDLE
    assert alive.code is None


async def test_a_crowd_that_came_at_once_is_not_pinged_at_once(stage: Stage) -> None:
    transports = [(await stage.enter())[1] for _ in range(200)]
    pinged = []
    for second in range(1, 16):
        stage.now = second + 0.01
        await stage.hub.tick()
        pinged.append(sum(frames.PING in transport.written for transport in transports))
    most_in_a_second = max(after - before for before, after in pairwise(pinged))
    assert pinged[9] < 20
    assert most_in_a_second < 100
    assert pinged[-1] == 200


async def test_a_person_is_disconnected_everywhere_or_in_one_room(stage: Stage) -> None:
    here, _ = await stage.enter(GUEST)
    there, _ = await stage.enter(GUEST, room=OTHER_SHOW)
    other, _ = await stage.enter(OTHER_GUEST)
    assert stage.hub.disconnect(GUEST.id, CloseCode.BANNED, room=SHOW) == 1
    assert (here.code, there.code, other.code) == (CloseCode.BANNED, None, None)
    assert stage.hub.disconnect(GUEST.id, CloseCode.BANNED) == 2
    assert there.code is CloseCode.BANNED


async def test_nothing_is_written_after_closing(stage: Stage) -> None:
    viewer, transport = await stage.enter()
    viewer.close(CloseCode.GOING_DOWN)
    viewer.close(CloseCode.IDLE)
    await stage.say(1)
    assert transport.written == []
    assert viewer.code is CloseCode.GOING_DOWN


async def test_nothing_is_kept_of_viewers_who_left(stage: Stage) -> None:
    gone = []
    for n in range(20):
        viewer, transport = await stage.enter(room=f"shw_{n}")
        await stage.say(1, room=f"shw_{n}")
        stage.hub.leave(viewer)
        stage.hub.leave(viewer)
        gone.append(weakref.ref(transport))
    del viewer, transport
    gc.collect()
    assert stage.hub.rooms == 0
    assert stage.hub.connections == 0
    assert [ref() for ref in gone] == [None] * 20
    assert stage.metrics.registry.get_sample_value("liveshop_viewers") == 0


async def test_a_backlog_read_ahead_of_its_deliveries_is_not_repeated() -> None:
    broker = SlowBroker(log_size=1000)
    hub = Hub(broker, buffer_bytes=100_000, idle_seconds=45.0)
    publish = RoomPublisher(broker)
    start = await broker.position(SHOW)
    first = FakeTransport()
    witness = hub.viewer(SHOW, ANONYMOUS, first, drain=first.drain, on_close=lambda: None)
    await hub.join(witness)
    await hub.catch_up(witness)
    await publish([Published(SHOW, "note", Note(n), NOON) for n in (1, 2)])
    second = FakeTransport()
    viewer = hub.viewer(SHOW, ANONYMOUS, second, drain=second.drain, on_close=lambda: None)
    await hub.join(viewer, start)
    await hub.catch_up(viewer)
    assert second.offsets == [1, 2]  # read from the log before they were delivered
    broker.deliver_late()
    await publish([Published(SHOW, "note", Note(3), NOON)])
    broker.deliver_late()
    assert first.offsets == second.offsets == [1, 2, 3]


async def test_an_event_that_comes_while_the_log_says_there_is_nothing_more_is_not_lost() -> None:
    broker = SlowBroker(log_size=1000)
    hub = Hub(broker, buffer_bytes=100_000, idle_seconds=45.0)
    publish = RoomPublisher(broker)
    transport = FakeTransport()
    viewer = hub.viewer(SHOW, ANONYMOUS, transport, drain=transport.drain, on_close=lambda: None)
    await hub.join(viewer)
    catching_up = asyncio.create_task(hub.catch_up(viewer))
    await until(lambda: broker.on_the_way == 1)
    await publish([Published(SHOW, "note", Note(n), NOON) for n in (1, 2)])
    broker.deliver_late()
    assert transport.offsets == []
    await catching_up
    assert transport.offsets == [1, 2]
    assert viewer.waiting is None


async def test_a_delivery_that_skips_an_event_is_noticed(stage: Stage) -> None:
    viewer, transport = await stage.enter()
    events = [frames.event(frames.draft("note", Note(n), NOON), n) for n in (1, 2, 3)]
    stage.hub.deliver(SHOW, events[:1])
    stage.hub.deliver(SHOW, events[2:])
    assert transport.offsets == [1]
    assert viewer.code is CloseCode.LOG_LOST
