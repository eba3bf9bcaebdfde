"""Whatever happens, what a client has is a contiguous part of the room's log.

Clients connect, lag, drop and resume on two nodes that share a broker, at random.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from room_builders import SHOW, FakeTransport, Note, SlowBroker

from liveshop.realtime import CloseCode, Hub, MemoryBroker, Position, RoomPublisher, frames
from liveshop.realtime.hub import Viewer
from liveshop.storage import Published
from liveshop.web.access import ANONYMOUS

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Client:
    """What a browser keeps: where it is, and what it was given since its last snapshot."""

    epoch: str = ""
    offset: int = 0
    seen: list[int] = field(default_factory=list)
    viewer: Viewer | None = None
    transport: FakeTransport | None = None
    hub: Hub | None = None
    catching_up: "asyncio.Task[None] | None" = None
    was_slow: bool = False

    def take(self) -> None:
        """Read what arrived. Never more than one behind: that would be a gap."""
        assert self.transport is not None
        for event in self.transport.events:
            assert event["o"] == self.offset + 1, (self.offset, event)
            assert event["d"]["n"] == event["o"]
            self.offset = event["o"]
            self.seen.append(event["o"])
        self.transport.written.clear()


which = st.integers(0, 2)


class Rooms(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.everyone = [Client() for _ in range(3)]

    @initialize(slow=st.booleans(), log_size=st.sampled_from([12, 10_000]))
    def open(self, slow: bool, log_size: int) -> None:
        self.log_size = log_size
        self.broker = SlowBroker(log_size=log_size) if slow else MemoryBroker(log_size=log_size)
        self.hubs = [Hub(self.broker, buffer_bytes=2000, idle_seconds=45.0) for _ in range(2)]
        self.publish = RoomPublisher(self.broker)
        self.count = 0

    def turn(self, steps: int = 120) -> None:
        """Let waiting tasks run on; by default until nothing is on the way any more."""

        async def turn() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)

        self.deliver()
        self.loop.run_until_complete(turn())

    @rule()
    def deliver(self) -> None:
        if isinstance(self.broker, SlowBroker):
            self.broker.deliver_late()

    @rule(count=st.integers(1, 6), pad=st.integers(0, 400))
    def events_happen(self, count: int, pad: int) -> None:
        self.happen(count, pad=pad)

    def happen(self, count: int, *, pad: int) -> None:
        items = []
        for _ in range(count):
            self.count += 1
            items.append(Published(SHOW, "note", Note(self.count, "x" * pad), NOON))
        self.loop.run_until_complete(self.publish(items))

    @rule(
        index=which,
        node=st.integers(0, 1),
        reads=st.booleans(),
        missed=st.integers(0, 8),
        steps=st.integers(0, 40),
        meanwhile=st.integers(0, 3),
    )
    def connect(
        self, index: int, node: int, reads: bool, missed: int, steps: int, meanwhile: int
    ) -> None:
        """Come (back) after missing some events; more happen in the middle of catching up."""
        client = self.everyone[index]
        self.leave(client)
        self.happen(missed, pad=300)
        hub = self.hubs[node]
        transport = FakeTransport()
        transport.reads_at_once = reads
        viewer = hub.viewer(
            SHOW, ANONYMOUS, transport, drain=transport.drain, on_close=lambda: None
        )
        resume = Position(client.epoch, client.offset) if client.epoch else None
        joined = self.loop.run_until_complete(hub.join(viewer, resume))
        if joined.resume_failed or resume is None:
            client.seen.clear()  # a snapshot is taken instead
        else:
            assert joined.position == resume
        client.epoch, client.offset = joined.position.epoch, joined.position.offset
        client.viewer, client.transport, client.hub = viewer, transport, hub
        client.was_slow = not reads
        client.catching_up = self.loop.create_task(hub.catch_up(viewer))
        self.turn(steps)
        self.happen(meanwhile, pad=10)
        self.deliver()

    @rule(index=which)
    def read(self, index: int) -> None:
        client = self.everyone[index]
        if client.transport is not None:
            client.transport.read_all()
            self.turn()
            client.take()

    @rule(index=which)
    def stop_reading(self, index: int) -> None:
        client = self.everyone[index]
        if client.transport is not None:
            client.transport.reads_at_once = False
            client.was_slow = True

    @rule(index=which)
    def drop(self, index: int) -> None:
        self.leave(self.everyone[index])

    def leave(self, client: Client) -> None:
        if client.viewer is None or client.hub is None or client.catching_up is None:
            return
        client.take()
        self.check_reason(client)
        client.catching_up.cancel()
        self.turn()
        client.hub.leave(client.viewer)
        client.viewer = client.transport = client.hub = None

    def check_reason(self, client: Client) -> None:
        """Nobody is sent away without a reason: being slow, or a log that really is gone."""
        assert client.viewer is not None
        if client.viewer.code is CloseCode.TOO_SLOW:
            assert client.was_slow
        elif client.viewer.code is CloseCode.LOG_LOST:
            position = self.loop.run_until_complete(self.broker.position(SHOW))
            is_forgotten = position.offset - client.viewer.offset > self.log_size
            assert position.epoch != client.epoch or is_forgotten
        else:
            assert client.viewer.code is None

    @rule()
    def lose_the_log(self) -> None:
        self.loop.run_until_complete(self.broker.renew(SHOW))
        self.count = 0

    @rule(steps=st.integers(1, 40))
    def time_passes(self, steps: int) -> None:
        self.turn(steps)

    @invariant()
    def what_is_seen_is_contiguous(self) -> None:
        for client in self.everyone:
            if client.seen:
                first, last = client.seen[0], client.seen[-1]
                assert client.seen == list(range(first, last + 1))

    def teardown(self) -> None:
        """In the end all who still read are level with the log; nobody else is kept."""
        for client in self.everyone:
            if client.transport is not None:
                client.transport.reads_at_once = True
        for _ in range(40):
            for client in self.everyone:
                if client.transport is not None:
                    client.transport.read_all()
            self.turn()
        for client in self.everyone:
            if client.viewer is not None and client.viewer.code is None:
                client.take()
                assert client.viewer.waiting is None
                assert client.offset == self.count
            self.leave(client)
        if hasattr(self, "hubs"):
            assert [hub.rooms for hub in self.hubs] == [0, 0]
        self.loop.close()


TestRooms = Rooms.TestCase
TestRooms.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


async def test_looking_first_and_entering_after_loses_events() -> None:
    """The race that `Hub.join` guards against by its order, shown with the order turned round."""
    broker = MemoryBroker(log_size=100)
    publish = RoomPublisher(broker)
    heard: list[int] = []

    class Ear:
        def deliver(self, _room: str, events: list[frames.Event]) -> None:
            heard.extend(event.offset for event in events)

        def log_lost(self, _room: str) -> None:
            raise AssertionError

    start = await broker.position(SHOW)
    await publish([Published(SHOW, "note", Note(1), NOON)])
    backlog = await broker.since(SHOW, start, limit=100)
    await publish([Published(SHOW, "note", Note(2), NOON)])  # while the backlog is on its way
    await broker.subscribe(SHOW, Ear())
    await publish([Published(SHOW, "note", Note(3), NOON)])
    assert backlog is not None
    assert [event.offset for event in backlog] + heard == [1, 3]
