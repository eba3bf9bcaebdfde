"""Rooms on Redis Streams: log, offset and epoch live there, and each node reads what others append.

One blocking read per node carries all its rooms, so an idle node costs nothing and an event is
delivered once, in log order, wherever it was appended. What is promised beyond that:

- An append that was not answered may have been done. The room's debt is to begin a new epoch
  before anything else happens in it; viewers reload, nobody misses anything unknowingly.
- An epoch ends whenever Redis may have lost events of it: after a restart that does not keep
  everything (`redis_facts.keeps_everything`), when keys were flushed or evicted, when a node has
  seen more events than there are.
- A node says before a commit which rooms it is about (`intend`). Where it dies, another one renews
  them. Whoever only seemed dead finds his intents gone and appends to the new epoch.

Redis Cluster is not supported: one step here touches several keys.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from liveshop.kernel.clock import rfc3339
from liveshop.kernel.ids import new_secret
from liveshop.realtime import redis_scripts as scripts
from liveshop.realtime.broker import Receiver
from liveshop.realtime.log import MAX_BYTES
from liveshop.realtime.model import BrokerAway, Draft, Event, Position
from liveshop.realtime.redis_debts import Debt, Debts
from liveshop.realtime.redis_link import Link, Reading
from liveshop.realtime.redis_rooms import Places, Question, event_of

_log = structlog.get_logger("realtime")

_SETTLE_EVERY_BEATS = 5
_WAIT_SECONDS = 2.0
_MOST_ENTRIES = 256


class RedisBroker:
    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        log_size: int,
        beat_seconds: float = 1.0,
        answer_seconds: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A node that misses four beats is taken for dead. Raises ValueError for an address that is
        none. Connects to nothing yet."""
        self.node = new_secret(9)
        """Another one each time, so that nobody is taken for his predecessor."""
        self._prefix = prefix
        self._log_size = log_size
        self._beat_seconds = beat_seconds
        self._alive_ms = round(4000 * beat_seconds)
        self._link = Link(url, prefix, answer_seconds=answer_seconds, monotonic=monotonic)
        self._places = Places()
        self._read_version = 0
        """What is being read now, see `Places.version`."""
        self._intents: Counter[str] = Counter()
        self._is_stated = True
        """Whether Redis knows of these, and of no others."""
        self._debts = Debts()
        self._paying: asyncio.Task[None] | None = None
        self._is_closed = False
        self._appends = 0
        self._notices_key = f"{prefix}:notices".encode()
        self._wake_key = f"{prefix}:wake:{self.node}".encode()

    # -- all the time

    async def run(self) -> None:
        self._link.is_watched = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._again_and_again(self._read_on))
                tasks.create_task(self._again_and_again(self._beat))
        finally:
            self._link.is_watched = False

    async def ping(self) -> None:
        await self._link.call(scripts.NEWEST, self.node)

    async def close(self) -> None:
        """Leave, so that nobody waits for this node. Debts that cannot be paid are left to those
        who find its intents."""
        self._is_closed = True
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.wait({self._paying})
        with suppress(BrokerAway):
            await self._pay_all()
            await self._link.call_now(scripts.LEAVE, self.node)
        await self._link.close()

    async def _again_and_again(self, work: Callable[[], Any]) -> None:
        """Whatever is wrong with Redis, this node goes on trying."""
        while True:
            try:
                await work()
            except BrokerAway:
                pass
            except Exception:
                _log.exception("rooms_broke")
            await asyncio.sleep(_uneven(0.3, 1.0) * self._beat_seconds)

    async def _beat(self) -> None:
        beats = 0
        while True:
            beats += 1
            if beats % _SETTLE_EVERY_BEATS == 0:
                await self._link.settle()  # how its log is written can be changed while it runs
            dead = await self._link.call_now(scripts.BEAT, self.node, new_secret(6), self._alive_ms)
            if not self._is_stated:
                await self._state()
            if dead:
                _log.warning("nodes_died", nodes=dead)
            await self._look([place.room for place in self._places])
            await asyncio.sleep(self._beat_seconds)

    async def _read_on(self) -> None:
        """Deliver until Redis goes away."""
        async with self._link.reading() as reading:
            await self._link.settle()
            await self._pay_all()
            await self._state()
            notices, wake = await self._link.call_now(scripts.NEWEST, self.node)
            after = {self._notices_key: notices, self._wake_key: wake}
            await self._look([place.room for place in self._places])
            while True:
                await self._read(reading, after)

    async def _read(self, reading: Reading, after: dict[bytes, bytes]) -> None:
        """One round; `after` is what was read last of the streams that are not rooms'."""
        self._read_version = self._places.version
        by_key = {self._log_key(place.room, place.epoch): place for place in self._places}
        wanted = {key: b"%d-0" % place.offset for key, place in by_key.items()}
        epochs = {key: place.epoch for key, place in by_key.items()}
        found = await reading.read(after | wanted, most=_MOST_ENTRIES, wait_seconds=_WAIT_SECONDS)
        renewed: set[str] = set()
        for key, entries in found:
            if key in after:
                after[key] = entries[-1][0]
                if key == self._notices_key:
                    renewed |= self._take_notice([fields for _, fields in entries])
                continue
            place = by_key[key]
            # Both may have changed while Redis was waited for.
            if self._places.get(place.room) is place and place.epoch == epochs[key]:
                place.deliver([event_of(entry_id, fields) for entry_id, fields in entries])
        await self._look(list(renewed))

    def _take_notice(self, notices: Sequence[Sequence[bytes]]) -> set[str]:
        """Which rooms of this node were renewed."""
        renewed = set()
        for fields in notices:
            kind, room, frame = fields[1], fields[3].decode(), fields[5]
            place = self._places.get(room)
            if place is None:
                continue
            if kind == b"renewed":
                renewed.add(room)
            else:
                for receiver in tuple(place.receivers):
                    receiver.hear(room, frame)
        return renewed

    async def _look(self, rooms: Collection[str]) -> None:
        """Find rooms whose epoch is over."""
        if rooms:
            questions = [self._places.question(room) for room in rooms]
            answers = await self._link.call_now(scripts.LOOK, *_known(questions))
            for asked, (epoch, _) in zip(questions, answers, strict=True):
                self._places.settles(asked, epoch.decode())
            await self._read_anew()

    # -- between nodes

    async def intend(self, rooms: Collection[str]) -> None:
        self._intents.update(rooms)
        try:
            await self._link.call(scripts.INTEND, self.node, *rooms)
        except BaseException:
            self._is_stated = False
            self._take_back_all(rooms)
            raise

    async def forgo(self, rooms: Collection[str]) -> None:
        self._take_back_all(rooms)
        try:
            await self._link.call(scripts.FORGO, self.node, *rooms)
        except BaseException:
            self._is_stated = False
            raise

    async def _state(self) -> None:
        """Say anew what is intended here, after something was said that may not have been heard."""
        self._is_stated = True
        given = [text for room, count in self._intents.items() for text in (room, count)]
        try:
            await self._link.call_now(scripts.RESTATE, self.node, *given)
        except BaseException:
            self._is_stated = False
            raise

    def _take_back_all(self, rooms: Collection[str]) -> None:
        for room in rooms:
            self._take_back(room, 1)

    def _take_back(self, room: str, count: int) -> None:
        self._intents[room] -= count
        if self._intents[room] <= 0:
            del self._intents[room]

    async def tell(self, room: str, frame: bytes) -> None:
        await self._link.call(scripts.TELL, room, frame)

    async def presence(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        given = [text for room, count in counts.items() for text in (room, count)]
        totals = await self._link.call_now(scripts.PRESENCE, self.node, self._alive_ms, *given)
        return dict(zip(counts, totals, strict=True))

    # -- logs

    async def append(self, room: str, drafts: Sequence[Draft]) -> Position:
        self._appends += 1
        name = f"{self.node}.{self._appends}"
        events: list[str | bytes] = []
        for draft in drafts:
            events += [draft.type, rfc3339(draft.at), draft.data, draft.sampled_by]
        try:
            if room in self._debts:
                await self._renew(room)
            asked = self._places.question(room)
            epoch, offset = await self._link.call(
                scripts.APPEND,
                *(room, new_secret(6), self.node, name, self._log_size, MAX_BYTES),
                *events,
            )
        except BaseException:  # whether it was done nobody knows, also when this task is cancelled
            self._owe(room, Debt(is_due=True, intents=1, doubtful=[name]))
            raise
        self._take_back(room, 1)
        position = Position(epoch.decode(), offset)
        self._places.settles(asked, position.epoch)
        await self._read_anew()
        return position

    async def renew(self, room: str, *, name: str = "") -> Position:
        self._owe(room, Debt(names=[name]) if name else Debt(is_due=True))
        return await self._renew(room)

    async def _renew(self, room: str) -> Position:
        self._link.refuse_while_away()
        return await self._pay(room)

    async def position(self, room: str) -> Position:
        position = await self._position(room)
        await self._read_anew()
        return position

    async def _position(self, room: str) -> Position:
        """In the epoch that is delivered here from now on."""
        while True:
            asked = self._places.question(room)
            ((epoch, offset),) = await self._link.call(scripts.LOOK, *_known([asked]))
            position = Position(epoch.decode(), offset)
            if self._places.settles(asked, position.epoch):
                return position

    async def since(self, room: str, position: Position, *, limit: int) -> list[Event] | None:
        entries = await self._link.call(scripts.SINCE, room, position.epoch, position.offset, limit)
        if entries is None:
            return None
        return [event_of(entry_id, fields) for entry_id, fields in entries]

    async def subscribe(self, room: str, receiver: Receiver) -> None:
        position = await self._position(room)
        self._places.add(receiver, room, position.epoch, position.offset)
        await self._read_anew()

    def unsubscribe(self, room: str, receiver: Receiver) -> None:
        self._places.remove(receiver, room)

    async def _read_anew(self) -> None:
        """Where the blocking read goes on with rooms or epochs that are not those of now."""
        if self._places.version != self._read_version:
            # Where this fails the read fails too, and begins anew by itself.
            with suppress(BrokerAway):
                await self._link.call_now(scripts.WAKE, self.node)

    def _log_key(self, room: str, epoch: str) -> bytes:
        return f"{self._prefix}:log:{room}:{epoch}".encode()

    # -- debts

    def _owe(self, room: str, debt: Debt) -> None:
        self._debts.add(room, debt)
        if self._paying is None and not self._is_closed:
            self._paying = asyncio.create_task(self._pay_in_time())

    async def _pay_in_time(self) -> None:
        """Also where nothing else runs, as in a worker."""
        try:
            while self._debts:
                await asyncio.sleep(_uneven(0.2, 0.6))
                with suppress(BrokerAway):
                    await self._pay_all()
        finally:
            self._paying = None

    async def _pay_all(self) -> None:
        for room in self._debts:
            await self._pay(room)

    async def _pay(self, room: str) -> Position:
        debt = self._debts.take(room)
        asked = self._places.question(room)
        given: list[str | int] = [room, new_secret(6), self.node, debt.intents, int(debt.is_due)]
        given += [len(debt.names), *debt.names, *debt.doubtful]
        try:
            epoch, offset = await self._link.call_now(scripts.RENEW, *given)
        except BaseException:
            self._owe(room, debt)
            raise
        self._take_back(room, debt.intents)
        position = Position(epoch.decode(), offset)
        self._places.settles(asked, position.epoch)
        await self._read_anew()
        return position


def _known(questions: Sequence[Question]) -> list[str | int]:
    """What `LOOK` is asked."""
    rooms = [text for asked in questions for text in (asked.room, asked.epoch, asked.offset)]
    return [new_secret(6), *rooms]


def _uneven(least: float, most: float) -> float:
    """So that nodes do not come back all at once."""
    return random.uniform(least, most)
