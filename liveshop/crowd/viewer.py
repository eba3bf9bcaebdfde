"""One viewer: comes in as the player does, follows the room, comes back when the line is lost.

Lean on purpose, for there are thousands in a process: one task each, and nothing of the WebSocket
library's that would cost one more.
"""

import asyncio

import msgspec

from liveshop.crowd.arrivals import Visit, Visits
from liveshop.crowd.frames import Logged, Own
from liveshop.crowd.line import BROKEN_OFF, Line, NotOpened, open_line
from liveshop.crowd.sequence import Sequence
from liveshop.crowd.shop import NoAnswer, Refused, Snapshot
from liveshop.crowd.tally import count
from liveshop.crowd.world import World

_BAD_TOKEN = 4501
_NO_SUCH_SHOW = 4504
_LAST_THAT_COMES_BACK = 4499
_NODE_GONE = frozenset({1001, BROKEN_OFF, 4001, 4011, 4013})
"""Close codes after which another node may be the better one."""
_HELLO_SECONDS = 10.0


class _NotIn(Exception):
    """An attempt failed; `str()` is a short reason."""

    def __init__(self, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class _TurnedAway(Exception):
    """For good; `str()` is a short reason."""


class Viewer:
    """`takes_part`: comes as a guest, to write or to buy; others do not say who they are."""

    __slots__ = (
        "_address",
        "_came_at",
        "_failures",
        "_has_been_in",
        "_has_renewed",
        "_is_new",
        "_lost_at",
        "_older",
        "_reload",
        "_takes_part",
        "_visits",
        "_world",
        "line",
        "person",
        "products",
        "sequence",
        "slow_mode_seconds",
        "token",
        "was_expected",
    )

    def __init__(self, world: World, person: int, visits: Visits, *, takes_part: bool) -> None:
        self._world = world
        self._visits = visits
        self._takes_part = takes_part or bool(world.plan.invitation)
        self._address = person
        self._failures = 0
        self._came_at = 0.0
        self._lost_at: float | None = None
        self._has_been_in = False
        self._has_renewed = False
        self._is_new = True
        """The page was just opened: it knows nothing of the room."""
        self._reload: asyncio.Task[None] | None = None
        self._older: tuple[str, int] | None = None
        self.person = person
        self.token = ""
        self.was_expected = False
        """His first visit has begun."""
        self.line: Line | None = None
        """While he is in."""
        self.sequence = Sequence()
        self.slow_mode_seconds = 0
        self.products: msgspec.Raw | None = None

    @property
    def base(self) -> str:
        return self._world.base(self._address)

    @property
    def has_been_in(self) -> bool:
        return self._has_been_in

    async def run(self) -> None:
        """Through all visits. The last one ends with the task, unless it has an end."""
        for visit in self._visits:
            await self._world.until(visit.comes)
            if self._world.closing.is_set():
                return
            try:
                await self._stay(visit)
            except _TurnedAway as error:
                count(self._world.tally.turned_away, str(error))
                return

    async def _stay(self, visit: Visit) -> None:
        world = self._world
        seconds = None if visit.leaves is None else visit.leaves - world.elapsed()
        self._is_new = self.was_expected = True
        world.expected += 1
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._once()
        except TimeoutError:
            return
        finally:
            world.expected -= 1
            self._found_again()

    async def _once(self) -> None:
        """Come in, or fail to; then follow the room for as long as the line holds."""
        try:
            async with self._world.opening:
                line, hello = await self._come_in()
        except _NotIn as error:
            count(self._world.tally.tries, str(error))
            self._address += 1
            await self._wait(error.retry_after)
            return
        try:
            self._is_in(line)
            self._greeted(line, hello)
            code = await self._follow(line, hello)
        finally:
            self._is_out()
            await line.leave()
        if self._older is not None:
            self.sequence.open(*self._older)
            self._older = None
            self._world.tally.reopened += 1
            await self._wait(None)
            return
        count(self._world.tally.closes, str(code))
        self._lost_at = self._world.now()
        self._world.away += 1
        await self._judge(code)

    async def _come_in(self) -> tuple[Line, Own]:
        """Raises _NotIn, _TurnedAway."""
        world = self._world
        started = world.now()
        try:
            if self._takes_part and not self.token:
                shop = world.shop_of(self.person)
                self.token = (await shop.guest(self.base, world.plan.invitation)).token
            if self._is_new:
                snapshot = await self._load()
                self.sequence.open(snapshot.epoch, snapshot.offset)
                self._is_new = False
            line = await open_line(
                self.base,
                world.target.show_id,
                token=self.token,
                place=(self.sequence.epoch, self.sequence.last),
                tls=world.tls,
                source=world.source_of(self.person),
            )
        except NoAnswer as error:
            raise _NotIn(f"page: {error}", retry_after=error.retry_after) from error
        except Refused as error:
            raise _TurnedAway(error.code) from error
        except NotOpened as error:
            raise _NotIn(str(error)) from error
        hello = await self._hello(line)
        if not self._has_been_in:
            second = int(world.elapsed())
            world.tally.joins[second] = world.tally.joins.get(second, 0) + 1
            world.tally.joining.record(world.now() - started)
            world.tally.came_in += 1
            self._has_been_in = True
        return line, hello

    async def _hello(self, line: Line) -> Own:
        """The greeting. Raises _NotIn, _TurnedAway."""
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                raw = await line.receive()
        except TimeoutError:
            line.lose()
            raise _NotIn("socket: no greeting in time") from None
        except asyncio.CancelledError:
            line.lose()
            raise
        if raw is None:
            self._refuse(line.close_code)
            raise _NotIn(f"socket: {line.close_words}")
        hello = self._world.frames.read(raw)
        if not isinstance(hello, Own) or hello.t != "hello":
            line.lose()
            raise _NotIn("socket: something else than a greeting")
        return hello

    def _is_in(self, line: Line) -> None:
        world = self._world
        self._failures = 0
        self._came_at = world.now()
        self.line = line
        world.lines.add(line)
        world.here += 1
        world.tally.most_at_once = max(world.tally.most_at_once, world.here)
        if self._lost_at is not None:
            world.tally.reconnects += 1
            world.tally.away.record(self._came_at - self._lost_at)
        self._found_again()

    def _is_out(self) -> None:
        world = self._world
        world.here -= 1
        if self.line is not None:
            world.lines.discard(self.line)
        self.line = None
        if self._reload is not None:
            self._reload.cancel()
            self._reload = None

    def _found_again(self) -> None:
        if self._lost_at is not None:
            self._world.away -= 1
            self._lost_at = None

    # -- the room

    def _greeted(self, line: Line, hello: Own) -> None:
        self._has_renewed = False
        if hello.epoch != self.sequence.epoch:
            self._begin_anew(line, hello)

    def _begin_anew(self, line: Line, hello: Own) -> None:
        """The server cannot go on where we were: what came in between is in the snapshot."""
        self.sequence.begin(hello.epoch, hello.offset)
        self._world.tally.reloads += 1
        self._reload = asyncio.create_task(self._load_again(line, hello))

    async def _load_again(self, line: Line, hello: Own) -> None:
        """Beside the reading, as what comes meanwhile must not pile up."""
        try:
            snapshot = await self._load()
        except (NoAnswer, Refused) as error:
            count(self._world.tally.tries, f"page: {error}")
            line.lose()
            return
        if snapshot.epoch != hello.epoch or snapshot.offset < hello.offset:
            # It is older than where this line begins; what lies between comes to who resumes there.
            self._older = (snapshot.epoch, snapshot.offset)
            line.lose()

    async def _load(self) -> Snapshot:
        world = self._world
        snapshot = await world.shop_of(self.person).snapshot(
            self.base, world.target.show_id, self.token
        )
        self.slow_mode_seconds = snapshot.chat.settings.slow_mode_seconds
        if self._takes_part:
            self.products = snapshot.products
        for message in snapshot.chat.messages:
            mark = world.marks.read(message.text)
            if mark is not None:
                world.tally.chat.told.add(mark[0])
        return snapshot

    async def _follow(self, line: Line, hello: Own) -> int:
        """Until the line is lost; the close code."""
        frames, tally = self._world.frames, self._world.tally
        while (raw := await line.receive()) is not None:
            try:
                frame = frames.read(raw)
            except msgspec.MsgspecError:
                count(tally.faults, "a frame that is not what it should be")
                continue
            if isinstance(frame, Logged):
                self._hear(frame)
            elif frame is None:
                continue
            elif frame.t != "resume_failed":
                line.answered(frame)
            elif self._reload is None:
                self._begin_anew(line, hello)
            else:
                line.answered(frame)
        return line.close_code

    def _hear(self, frame: Logged) -> None:
        world, sequence = self._world, self.sequence
        tally = world.tally
        is_new = frame.last > sequence.last
        sequence.hear(frame.first, frame.last)
        tally.events += 1
        tally.omitted += frame.omitted
        if not frame.mark or not is_new:
            return
        tally.chat.see(frame.mark, sequence.epoch, frame.last)
        if frame.sent_at >= self._came_at:
            tally.delivery.record(world.now() - frame.sent_at)
        else:
            tally.caught_up += 1

    # -- losing the line

    async def _judge(self, code: int) -> None:
        """Whether and when to come back. Raises _TurnedAway."""
        self._refuse(code)
        if code in _NODE_GONE:
            self._address += 1
        await self._wait(None)

    def _refuse(self, code: int) -> None:
        """Raises _TurnedAway when this code asks not to come back, and there is no way to."""
        if code == _NO_SUCH_SHOW and not self._is_new:
            self._is_new = True  # the snapshot says why
            return
        if code == _BAD_TOKEN and self.token and not self._has_renewed:
            self._has_renewed = True
            self.token = ""
            return
        if _LAST_THAT_COMES_BACK < code <= 4999:
            raise _TurnedAway(f"closed with {code}")

    async def _wait(self, retry_after: float | None) -> None:
        """As the player does: twice as long each time, and never all in the same second. With
        several addresses each is tried before the pause grows."""
        plan = self._world.plan
        tries = self._failures // len(plan.addresses)
        ceiling = min(plan.backoff_max_seconds, plan.backoff_first_seconds * 2 ** min(tries, 16))
        self._failures += 1
        await asyncio.sleep((retry_after or 0.0) + ceiling * self._world.random.uniform(0.5, 1.0))
