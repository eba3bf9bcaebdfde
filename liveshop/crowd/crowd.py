"""A crowd, or one process's share of it, from its first viewer to its last count."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Sequence

import msgspec

from liveshop.crowd.arrivals import visits_of
from liveshop.crowd.buyer import Buyer
from liveshop.crowd.chatter import Chatter
from liveshop.crowd.frames import Own
from liveshop.crowd.line import NotOpened, open_line
from liveshop.crowd.looking import Target
from liveshop.crowd.plan import Plan
from liveshop.crowd.tally import Tally, Tick
from liveshop.crowd.viewer import Viewer
from liveshop.crowd.world import World

Progress = Callable[[Tick], None]

_SWEEP_SECONDS = 5.0
_LOOK_SECONDS = 0.05
"""How often it is looked whether everybody has come to the end of the log, and how late this
process is at looking: its own slowness, which is in all it measures."""

_GREETING_SECONDS = 5.0
_ASK_SECONDS = 2.0
"""After which the end of the log is asked for again: it may have been begun anew."""


def nobody_looks(_: Tick) -> None:
    return None


async def attend(
    plan: Plan,
    target: Target,
    *,
    tag: str,
    began_at: float,
    sources: Sequence[str] = (),
    progress: Progress = nobody_looks,
    stop: asyncio.Event | None = None,
) -> Tally:
    """The share of the crowd that `plan.share` names; `began_at` by the monotonic clock, which is
    the same in all processes. It ends early when `stop` is set.
    """
    tls = None
    if any(address.startswith("https:") for address in plan.addresses):
        tls = await asyncio.to_thread(ssl.create_default_context)
    world = World(plan, target, tag=tag, began_at=began_at, sources=sources, tls=tls)
    try:
        return await _Crowd(world, progress).run(stop or asyncio.Event())
    finally:
        await world.close()


class _Crowd:
    def __init__(self, world: World, progress: Progress) -> None:
        self._world = world
        self._progress = progress
        plan = world.plan
        chatting, buying = plan.chatting(), plan.buying()
        visits = visits_of(
            plan.arrival, plan.viewers, seconds=plan.seconds, seed=plan.seed, staying=buying
        )
        self._viewers: list[Viewer] = []
        self._chatters: list[Chatter] = []
        self._buyers: list[Buyer] = []
        for person in plan.mine:
            takes_part = person in chatting or person in buying
            viewer = Viewer(world, person, visits[person], takes_part=takes_part)
            self._viewers.append(viewer)
            if person in chatting:
                self._chatters.append(Chatter(world, viewer))
            if person in buying:
                self._buyers.append(Buyer(world, viewer))
        world.tally.planned = len(self._viewers)

    async def run(self, stop: asyncio.Event) -> Tally:
        world = self._world
        await asyncio.sleep(world.began_at - world.now())
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(viewer.run()) for viewer in self._viewers]
            around = [
                group.create_task(work) for work in (self._sweep(), self._tick(), self._notice())
            ]
            acting = [group.create_task(one.chat()) for one in self._chatters]
            acting += [group.create_task(one.tap()) for one in self._chatters]
            acting += [group.create_task(one.buy()) for one in self._buyers]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(world.plan.seconds - world.elapsed()):
                    await stop.wait()
            world.closing.set()
            await asyncio.gather(*acting)
            await asyncio.gather(*(buyer.look() for buyer in self._buyers))
            await self._settle()
            for task in (*watching, *around):
                task.cancel()
        self._progress(self.tick())
        return self._counted()

    # -- the end

    async def _settle(self) -> None:
        """Until everybody is in, or back, and has come to the end of the log, or there was time
        enough for that. What is missing then is noted."""
        world = self._world
        end = world.elapsed() + world.plan.settle_seconds
        position: tuple[str, int] | None = None
        asked_at = 0.0
        while world.elapsed() < end:
            if world.here == world.expected:
                if position is None or world.now() - asked_at > _ASK_SECONDS:
                    position, asked_at = await self._position() or position, world.now()
                if position is not None and not self._behind(*position):
                    break
            await asyncio.sleep(_LOOK_SECONDS)
        world.tally.away_at_end = world.away
        position = position or await self._position()
        if position is None:
            world.tally.faults["the end of the log could not be asked for"] = 1
            return
        behind = [
            (viewer.person, span)
            for viewer in self._behind(*position)
            if (span := viewer.sequence.missing_until(*position)) is not None
        ]
        world.tally.behind = behind

    def _behind(self, epoch: str, offset: int) -> list[Viewer]:
        """Of those who are in."""
        return [
            viewer
            for viewer in self._viewers
            if viewer.line is not None and viewer.sequence.missing_until(epoch, offset) is not None
        ]

    async def _position(self) -> tuple[str, int] | None:
        """Where the log is now, as the first address greets somebody who comes in. A snapshot may
        be some time old."""
        world = self._world
        token = next((viewer.token for viewer in self._viewers if viewer.token), "")
        for base in world.plan.addresses:
            try:
                line = await open_line(
                    base,
                    world.target.show_id,
                    token=token,
                    place=None,
                    tls=world.tls,
                    source=world.source_of(0),
                )
            except NotOpened:
                continue
            try:
                async with asyncio.timeout(_GREETING_SECONDS):
                    raw = await line.receive()
                hello = world.frames.read(raw) if raw is not None else None
            except (TimeoutError, msgspec.MsgspecError):
                continue
            finally:
                await line.leave()
            if isinstance(hello, Own) and hello.t == "hello":
                return hello.epoch, hello.offset
        return None

    def _counted(self) -> Tally:
        tally = self._world.tally
        for viewer in self._viewers:
            tally.records.append(viewer.sequence.end(viewer.person))
            tally.never_in += viewer.was_expected and not viewer.has_been_in
        return tally

    # -- around the people

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._world.now()
            for line in tuple(self._world.lines):
                await line.check_alive(now)

    async def _notice(self) -> None:
        """How late this process is."""
        late = self._world.tally.late
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
            late.record(time.monotonic() - asked - _LOOK_SECONDS)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._world.plan.tick_seconds)
            self._progress(self.tick())

    def tick(self) -> Tick:
        world = self._world
        tally = world.tally
        return Tick(
            elapsed=world.elapsed(),
            expected=world.expected,
            here=world.here,
            away=world.away,
            came_in=tally.came_in,
            failed_tries=sum(tally.tries.values()),
            reconnects=tally.reconnects,
            events=tally.events,
            sent=tally.chat.sent,
            acknowledged=len(tally.chat.acknowledged),
            refused=sum(tally.chat.refused.values()),
            gaps=sum(len(viewer.sequence.gaps) for viewer in self._viewers),
            repeats=sum(viewer.sequence.repeats for viewer in self._viewers),
            orders_placed=tally.orders.placed,
            orders_refused=sum(tally.orders.refused.values()),
            orders_failed=sum(tally.orders.failed.values()),
            is_settling=world.closing.is_set(),
            delivery=tally.delivery,
        )
