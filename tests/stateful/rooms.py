"""Viewers of one room on several nodes, at random: they come, lag, drop, resume and move about.

What one of them has is compared with what was published: a contiguous part of the room's log, each
event in its own place. `Rooms` plays it on whatever `Stage` it is given.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from room_builders import HOST, SHOW, FakeTransport, Note, unframe

from liveshop.realtime import (
    Broker,
    CloseCode,
    Event,
    Hub,
    MemoryBroker,
    Position,
    Receiver,
    RoomPublisher,
)
from liveshop.realtime.hub import Viewer
from liveshop.realtime.model import BrokerAway, Draft
from liveshop.storage import Published
from liveshop.web.access import Principal

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NODES = 3
CLIENTS = 4
BUFFER_BYTES = 2000


class Truth:
    """What each place of the log holds, by epoch: written down once, never to be another."""

    def __init__(self) -> None:
        self._placed: dict[tuple[str, int], int] = {}
        self.authors: dict[int, str] = {}
        """Whose an event is, by its number, if it is one of a crowd's."""

    def place(self, epoch: str, offset: int, n: int) -> None:
        assert self._placed.setdefault((epoch, offset), n) == n, (
            f"{offset} of {epoch} is {self._placed[epoch, offset]}, and {n} as well"
        )

    def may_be_left_out(self, epoch: str, offset: int, viewer: Principal) -> bool:
        author = self.authors.get(self._placed[epoch, offset])
        return author is not None and author != viewer.id


class Noting:
    """The broker of a publisher; remembers which place an event was given."""

    is_shared = False  # no transactions here, so nothing is intended

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.placed: list[tuple[str, int, int]] = []

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        end = await self._broker.append(room, drafts)
        for offset, item in enumerate(drafts, start=end.offset - len(drafts) + 1):
            n = msgspec.json.decode(item.data, type=Note).n
            self.placed.append((end.epoch, offset, n))
        return end

    async def renew(self, room: str, *, name: str = "") -> Position:
        return await self._broker.renew(room, name=name)


class FastLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to the next timer as soon as there is nothing else to do."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None) -> Any:
            assert timeout is not None, "everybody waits for ever"
            self._ahead += max(0.0, timeout)
            return select(0)

        selector.select = jump

    def time(self) -> float:
        return super().time() + self._ahead


class Stage(Protocol):
    """Nodes that share logs."""

    loop: asyncio.AbstractEventLoop
    log_size: int
    broker: Broker
    """For whoever only publishes and asks."""

    def node(self) -> Broker:
        """A new node's end."""

    def dies(self, node: Broker) -> None:
        """Without a word to anybody."""

    def is_behind(self, node: Broker) -> bool:
        """Whether a lost log is news that has not reached it yet."""

    async def deliver(self, count: int) -> None:
        """Let some of what is on its way arrive."""

    async def settle(self) -> None:
        """Until nothing is on its way."""

    async def lose(self) -> None:
        """An event is missing from the log."""

    async def close(self) -> None: ...


class MemoryStage:
    """One broker in one process, whatever the number of hubs."""

    def __init__(self, *, log_size: int) -> None:
        self.loop: asyncio.AbstractEventLoop = FastLoop()
        self.log_size = log_size
        self.broker: Broker = MemoryBroker(log_size=log_size)

    def node(self) -> Broker:
        return self.broker

    def dies(self, node: Broker) -> None:
        """Its hub is told to forget its rooms by whoever plays it."""

    def is_behind(self, node: Broker) -> bool:
        return False

    async def deliver(self, count: int) -> None:
        """It is there already."""

    async def settle(self) -> None:
        await turns(40)
        await asyncio.sleep(0.3)

    async def lose(self) -> None:
        await self.broker.renew(SHOW)

    async def close(self) -> None:
        return None


class Line:
    """One node's end of a broker across a network: answers take a while, and what is delivered
    arrives late, though in order."""

    def __init__(self, stage: "LineStage") -> None:
        self._stage = stage
        self._core = stage.core
        self._inbox: deque[Callable[[], None]] = deque()
        self._receivers: dict[str, list[Receiver]] = {}
        self.is_dead = False
        self.losses = 0
        """How often the log was lost, as far as it is on its way."""

    # -- a broker, as the hub sees it

    is_shared = True

    async def close(self) -> None:
        return None

    async def run(self) -> None:
        return None

    async def ping(self) -> None:
        await self._travel()

    async def intend(self, rooms: Collection[str]) -> None:
        await self._travel()

    async def forgo(self, rooms: Collection[str]) -> None:
        await self._travel()

    async def tell(self, room: str, frame: bytes) -> None:
        await self._travel()
        await self._core.tell(room, frame)

    async def presence(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        await self._travel()
        return counts

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        await self._travel()
        return await self._core.append(room, drafts)

    async def position(self, room: str) -> Position:
        await self._travel()
        answer = await self._core.position(room)
        await self._travel()
        self.tell_what_is_over()
        return answer

    async def since(self, room: str, position: Position, *, limit: int) -> list[Event] | None:
        await self._travel()
        answer = await self._core.since(room, position, limit=limit)
        await self._travel()
        self.tell_what_is_over()
        return answer

    def tell_what_is_over(self) -> None:
        """Nobody learns of a new epoch here while events of the old one are still to arrive."""
        while self.losses:
            self.arrive(1)

    async def renew(self, room: str, *, name: str = "") -> Position:
        await self._travel()
        return await self._core.renew(room, name=name)

    async def subscribe(self, room: str, receiver: Receiver) -> None:
        await self._travel()
        if room not in self._receivers:
            await self._core.subscribe(room, self)
        receivers = self._receivers.setdefault(room, [])
        if receiver not in receivers:
            receivers.append(receiver)
        await self._travel()

    def unsubscribe(self, room: str, receiver: Receiver) -> None:
        receivers = self._receivers.get(room, [])
        if receiver in receivers:
            receivers.remove(receiver)
        if not receivers and self._receivers.pop(room, None) is not None:
            self._core.unsubscribe(room, self)

    async def _travel(self) -> None:
        await turns(self._stage.turns)
        if self._stage.is_away:
            raise BrokerAway("The line is dead.")

    # -- a receiver, as the core sees it

    def deliver(self, room: str, events: Sequence[Event]) -> None:
        self._put(room, lambda one: one.deliver(room, events))

    def log_lost(self, room: str) -> None:
        self._put(room, lambda one: one.log_lost(room), is_loss=True)

    def hear(self, room: str, frame: bytes) -> None:
        self._put(room, lambda one: one.hear(room, frame))

    def _put(self, room: str, tell: Callable[[Receiver], None], *, is_loss: bool = False) -> None:
        receivers = self._receivers.get(room, [])

        def arrive() -> None:
            self.losses -= is_loss
            for receiver in tuple(receivers):  # nobody who has left since, even if he is back
                tell(receiver)

        if not self.is_dead:
            self.losses += is_loss
            self._inbox.append(arrive)

    @property
    def is_expecting(self) -> bool:
        return bool(self._inbox)

    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self._inbox))):
            self._inbox.popleft()()


class LineStage(MemoryStage):
    """A broker of its own, and a line from each node to it."""

    turns = 5
    """Of the loop, that a message takes."""
    line_type = Line

    def __init__(self, *, log_size: int) -> None:
        super().__init__(log_size=log_size)
        self.core = MemoryBroker(log_size=log_size)
        self.is_away = False
        self.lines: list[Line] = []
        self.broker = self.node()

    def node(self) -> Line:
        self.lines.append(self.line_type(self))
        return self.lines[-1]

    def dies(self, node: Broker) -> None:
        assert isinstance(node, Line)
        node.is_dead = True
        self.core.unsubscribe(SHOW, node)
        self.lines.remove(node)

    def is_behind(self, node: Broker) -> bool:
        assert isinstance(node, Line)
        return node.losses > 0

    async def deliver(self, count: int) -> None:
        for line in self.lines:
            line.arrive(count)

    async def settle(self) -> None:
        await turns(4 * self.turns)
        while any(line.is_expecting for line in self.lines):
            await self.deliver(1000)
            await turns(4 * self.turns)
        await asyncio.sleep(0.3)

    async def lose(self) -> None:
        await self.core.renew(SHOW)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Client:
    """What a browser keeps: where it is, and what it was given since its last snapshot."""

    principal: Principal
    truth: Truth
    epoch: str = ""
    offset: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)
    """From where to where each frame reached."""
    viewer: Viewer | None = None
    transport: FakeTransport | None = None
    hub: Hub | None = None
    catching_up: "asyncio.Task[None] | None" = None
    was_slow: bool = False
    expects: set[CloseCode] = field(default_factory=set)
    """Codes it may be closed with at any time."""

    def take(self, share: float = 1.0) -> None:
        """Read what arrived, or the first part of it. Never past the next one: that would be a
        gap."""
        assert self.transport is not None
        frames = unframe(b"".join(self.transport.written))
        for frame in frames[: round(len(frames) * share)]:
            if "o" in frame:
                self._take(frame)
        self.transport.written.clear()

    def _take(self, frame: Mapping[str, Any]) -> None:
        first, last = frame.get("from", frame["o"]), frame["o"]
        assert first == self.offset + 1, f"after {self.offset} comes {frame}"
        if frame["t"] == "more":
            assert self.principal.kind != "staff", "hosts and moderators get everything"
            assert frame["d"]["count"] == last - first + 1
            for offset in range(first, last + 1):
                assert self.truth.may_be_left_out(self.epoch, offset, self.principal), frame
        else:
            assert first == last
            self.truth.place(self.epoch, last, frame["d"]["n"])
        self.offset = last
        self.seen.append((first, last))


which = st.integers(0, CLIENTS - 1)
node = st.integers(0, NODES - 1)
crowd = st.sampled_from(["", "gst_1", "gst_2", "gst_9"])
"""Who says something; nobody for an event that everybody gets."""


class Rooms(RuleBasedStateMachine):
    """A subclass says how to open a stage."""

    hub_type = Hub

    def stage(self, slow: bool, log_size: int) -> Stage:
        raise NotImplementedError

    @initialize(
        slow=st.booleans(),
        log_size=st.sampled_from([12, 10_000]),
        readable=st.sampled_from([0, 2, 10]),
    )
    def open(self, slow: bool, log_size: int, readable: int) -> None:
        self.on: Stage = self.stage(slow, log_size)
        self.readable = readable
        self.truth = Truth()
        self.count = 0
        self.noted = Noting(self.on.broker)
        self.publish = RoomPublisher(self.noted)  # type: ignore[arg-type]
        self.brokers = [self.on.node() for _ in range(NODES)]
        self.hubs = [self.hub(broker) for broker in self.brokers]
        self.everyone = [
            Client(HOST if i == 0 else Principal("guest", f"gst_{i}", "Ada"), self.truth)
            for i in range(CLIENTS)
        ]

    def hub(self, broker: Broker) -> Hub:
        return self.hub_type(
            broker,
            buffer_bytes=BUFFER_BYTES,
            idle_seconds=1e9,
            readable_per_second=self.readable,
            monotonic=self.on.loop.time,
        )

    def do(self, what: Any) -> Any:
        return self.on.loop.run_until_complete(what)

    # -- what happens in the room

    @rule(count=st.integers(1, 6), pad=st.integers(0, 400), by=crowd)
    def events_happen(self, count: int, pad: int, by: str) -> None:
        self.happen(count, pad=pad, by=by)

    def happen(self, count: int, *, pad: int, by: str = "") -> None:
        """In one transaction."""
        items = []
        for _ in range(count):
            self.count += 1
            if by:
                self.truth.authors[self.count] = by
            items.append(Published(SHOW, "note", Note(self.count, "x" * pad), NOON, sampled_by=by))
        if items:
            self.do(self.publish(items))
            for epoch, offset, n in self.noted.placed:
                self.truth.place(epoch, offset, n)
            self.noted.placed.clear()

    @rule(at=node, count=st.integers(1, 5))
    def somebody_reacts(self, at: int, count: int) -> None:
        self.hubs[at].react(SHOW, count)

    @rule(at=node)
    def a_second_ends(self, at: int) -> None:
        self.do(self.hubs[at].tick())

    @rule()
    def lose_the_log(self) -> None:
        self.do(self.on.lose())

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        self.do(self.on.deliver(count))

    @rule(steps=st.integers(1, 40))
    def time_passes(self, steps: int) -> None:
        self.do(turns(steps))

    @rule()
    def it_is_quiet_for_a_while(self) -> None:
        self.do(self.on.settle())

    # -- what viewers do

    @rule(
        index=which,
        at=node,
        reads=st.booleans(),
        missed=st.integers(0, 8),
        steps=st.integers(0, 60),
        meanwhile=st.integers(0, 3),
    )
    def connect(
        self, index: int, at: int, reads: bool, missed: int, steps: int, meanwhile: int
    ) -> None:
        """Come (back) after missing some events; more happen in the middle of catching up."""
        client = self.everyone[index]
        self.leave(client)
        self.happen(missed, pad=300)
        hub = self.hubs[at]
        transport = FakeTransport()
        transport.reads_at_once = reads
        viewer = hub.viewer(
            SHOW, client.principal, transport, drain=transport.drain, on_close=lambda: None
        )
        resume = Position(client.epoch, client.offset) if client.epoch else None
        # Whoever comes in before the news that the log was lost may be sent away by it.
        client.expects = {CloseCode.LOG_LOST} if self.on.is_behind(self.brokers[at]) else set()
        try:
            joined = self.do(hub.join(viewer, resume))
        except BrokerAway:
            hub.leave(viewer)
            return
        if joined.resume_failed or resume is None:
            client.seen.clear()  # a snapshot is taken instead
        else:
            assert joined.position == resume
        client.epoch, client.offset = joined.position.epoch, joined.position.offset
        client.viewer, client.transport, client.hub = viewer, transport, hub
        client.was_slow = not reads
        client.catching_up = self.on.loop.create_task(hub.catch_up(viewer))
        self.do(turns(steps))
        self.happen(meanwhile, pad=10)

    @rule(index=which)
    def read(self, index: int) -> None:
        client = self.everyone[index]
        if client.transport is not None:
            client.transport.read_all()
            self.do(turns(5))
            client.take()

    @rule(index=which)
    def stop_reading(self, index: int) -> None:
        client = self.everyone[index]
        if client.transport is not None:
            client.transport.reads_at_once = False
            client.was_slow = True

    @rule(index=which, share=st.sampled_from([0.0, 0.5, 1.0]))
    def drop(self, index: int, share: float) -> None:
        """What was on the way to the client is lost, from some frame on."""
        self.leave(self.everyone[index], share)

    @rule(index=which)
    def ban(self, index: int) -> None:
        client = self.everyone[index]
        if client.hub is None or client.viewer is None or client.transport is None:
            return
        client.expects.add(CloseCode.BANNED)
        assert client.hub.disconnect(client.principal.id, CloseCode.BANNED) == 1
        client.take()
        self.happen(2, pad=0)
        self.do(self.on.settle())
        assert not client.transport.written
        self.leave(client)

    # -- what becomes of nodes

    @rule(at=node)
    def a_node_goes_down(self, at: int) -> None:
        self.hubs[at].close_all(CloseCode.GOING_DOWN)
        for client in self.everyone:
            if client.hub is self.hubs[at]:
                client.expects.add(CloseCode.GOING_DOWN)
                self.leave(client)
        self.replace(at)

    @rule(at=node, share=st.sampled_from([0.0, 0.5, 1.0]))
    def a_node_dies(self, at: int, share: float) -> None:
        """With all it has not written yet."""
        for client in self.everyone:
            if client.hub is self.hubs[at]:
                self.leave(client, share)
        self.replace(at)

    def replace(self, at: int) -> None:
        self.brokers[at].unsubscribe(SHOW, self.hubs[at])
        self.on.dies(self.brokers[at])
        self.brokers[at] = self.on.node()
        self.hubs[at] = self.hub(self.brokers[at])

    # -- what must hold

    def leave(self, client: Client, share: float = 1.0) -> None:
        if client.viewer is None or client.hub is None or client.catching_up is None:
            return
        client.take(share)
        self.check_reason(client)
        client.catching_up.cancel()
        self.do(turns(1))
        if client.catching_up.done() and not client.catching_up.cancelled():
            error = client.catching_up.exception()
            assert error is None or isinstance(error, BrokerAway), error
        client.hub.leave(client.viewer)
        client.viewer = client.transport = client.hub = None

    def check_reason(self, client: Client) -> None:
        """Nobody is sent away without a reason: being slow, or a log that really is gone."""
        assert client.viewer is not None
        code = client.viewer.code
        if code is CloseCode.TOO_SLOW:
            assert client.was_slow
        elif code is CloseCode.LOG_LOST:
            try:
                position = self.do(self.on.broker.position(SHOW))
            except BrokerAway:
                return
            is_forgotten = position.offset - client.offset > self.on.log_size
            is_old = position.epoch != client.epoch
            assert is_old or is_forgotten or client.was_slow or code in client.expects
        else:
            assert code is None or code in client.expects

    @invariant()
    def what_is_seen_is_contiguous(self) -> None:
        for client in self.everyone if hasattr(self, "everyone") else ():
            for (_, before), (first, _) in zip(client.seen, client.seen[1:], strict=False):
                assert first == before + 1

    def teardown(self) -> None:
        """In the end all who still read are level with the log; nobody else is kept."""
        if not hasattr(self, "hubs"):
            return
        try:
            self.all_end_level()
        finally:
            for client in self.everyone:
                if client.catching_up is not None:
                    client.catching_up.cancel()
            self.do(turns(3))
            self.do(self.on.close())
            self.on.loop.close()

    def all_end_level(self) -> None:
        for client in self.everyone:
            if client.transport is not None:
                client.transport.reads_at_once = True
        for _ in range(8):
            for client in self.everyone:
                if client.transport is not None:
                    client.transport.read_all()
            self.do(self.on.settle())
            end = self.do(self.on.broker.position(SHOW))
            here = [one for one in self.everyone if one.viewer and one.viewer.code is None]
            for client in here:
                client.take()
            if all((one.epoch, one.offset) == (end.epoch, end.offset) for one in here):
                break
        else:
            raise AssertionError(f"the log ends at {end}, and somebody is elsewhere: {here}")
        for client in self.everyone:
            self.leave(client)
        for hub in self.hubs:
            self.do(hub.tick())  # hearts are kept until they are told
        self.do(self.on.settle())
        assert [hub.rooms for hub in self.hubs] == [0] * NODES
