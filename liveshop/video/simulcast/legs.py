"""All legs of all shows: what is on the air goes to each destination that is wanted.

A leg has its own task, queue and connection. What is shared is read only: the tags, and the
pictures since the last keyframe that a new connection begins with.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId
from liveshop.video.model import AacConfig, H264Config, Sample
from liveshop.video.simulcast.address import Address
from liveshop.video.simulcast.connection import Reach
from liveshop.video.simulcast.flv import Run, Tag, tags_of
from liveshop.video.simulcast.leg import Ask, LegHealth, LegLimits, Target
from liveshop.video.simulcast.pusher import Pusher

_log = structlog.get_logger("simulcast")

_TICK_SECONDS: Final = 0.5
_NEWEST_BYTES: Final = 8 << 20
"""Of the pictures since the last keyframe: with longer distances a leg waits for the next."""


class Simulcasts:
    """`tap` is for VideoService; `run` belongs to the background work. Legs start with the picture,
    whether or not `run` does."""

    def __init__(
        self,
        clock: Clock,
        *,
        most_legs: int,
        reach: Reach,
        ask: Ask | None = None,
        limits: LegLimits | None = None,
    ) -> None:
        self._clock = clock
        self._most_legs = most_legs
        self._reach = reach
        self.ask = ask or _nobody_to_ask
        self._limits = limits or LegLimits()
        self._targets: dict[ShowId, tuple[Target, ...]] = {}
        self._shows: dict[ShowId, ShowLegs] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def tap(self, show_id: ShowId) -> "ShowLegs":
        """A show is on air; see `video.tap`."""
        show = self._shows.get(show_id)
        if show is not None:
            show.end()
        show = self._shows[show_id] = ShowLegs(self, show_id)
        return show

    def set_targets(self, show_id: ShowId, targets: Sequence[Target]) -> None:
        """What is wanted from now on; the same again changes nothing. May come before the show is
        on air."""
        wanted = tuple(targets[: self._most_legs])
        if wanted:
            self._targets[show_id] = wanted
        else:
            self._targets.pop(show_id, None)
        show = self._shows.get(show_id)
        if show is not None:
            show.follow(wanted)

    def targets(self, show_id: ShowId) -> tuple[Target, ...]:
        return self._targets.get(show_id, ())

    def shows(self) -> list[ShowId]:
        """Those on air, and those with targets."""
        return list(self._shows.keys() | self._targets.keys())

    def legs(self, show_id: ShowId) -> list[LegHealth]:
        """Of a show on air: one for each target."""
        show = self._shows.get(show_id)
        return [] if show is None else show.health()

    def forget(self, show_id: ShowId) -> None:
        """The show is over."""
        show = self._shows.pop(show_id, None)
        if show is not None:
            show.end()
        self._targets.pop(show_id, None)

    async def run(self) -> None:
        """Until cancelled; then everybody is told goodbye."""
        self._is_closed = False
        try:
            while True:
                await asyncio.sleep(_TICK_SECONDS)
                for show in self._shows.values():
                    show.tick()
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """May be repeated."""
        self._is_closed = True
        for show in list(self._shows.values()):
            show.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- for the shows

    @property
    def task_count(self) -> int:
        return len(self._tasks)

    def new_pusher(self, show: "ShowLegs", target: Target) -> "tuple[Pusher, asyncio.Task[None]]":
        pusher = Pusher(
            show.show_id,
            target,
            clock=self._clock,
            limits=self._limits,
            reach=self._reach,
            ask=self.ask,
            newest=show.newest,
        )
        if self._is_closed:
            pusher.end()
        task = asyncio.get_running_loop().create_task(pusher.run(), name="simulcast leg")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return pusher, task

    def see_off(self, pusher: Pusher, task: "asyncio.Task[None]") -> None:
        """What it has is sent and goodbye is said, if that is a matter of seconds."""
        pusher.end()
        if not pusher.has_connection:
            task.cancel()
            return
        timer = asyncio.get_running_loop().call_later(2 * self._limits.goodbye_seconds, task.cancel)
        task.add_done_callback(lambda _: timer.cancel())

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("leg_ended", exc_info=task.exception())


class ShowLegs:
    """One show's; a `video.tap.Tap`."""

    def __init__(self, simulcasts: Simulcasts, show_id: ShowId) -> None:
        self.show_id = show_id
        self._all = simulcasts
        self._legs: dict[str, tuple[Pusher, asyncio.Task[None]]] = {}
        self._run: Run | None = None
        """None: nobody sends."""
        self._newest: list[Tag] = []
        self._newest_bytes = 0
        self._is_ended = False
        self.follow(simulcasts.targets(show_id))

    def begin(self, video: H264Config, audio: AacConfig | None) -> None:
        self._run = Run(video, audio)
        self._forget_newest()
        for pusher, _ in self._legs.values():
            pusher.begin()

    def add(self, samples: Sequence[Sample], *, origin: datetime) -> None:
        if self._run is None or not samples:
            return
        tags = tags_of(samples, self._run, asyncio.get_running_loop().time())
        for tag in tags:
            self._remember(tag)
        for pusher, _ in self._legs.values():
            pusher.offer(tags)

    def pause(self) -> None:
        self._run = None
        self._forget_newest()
        for pusher, _ in self._legs.values():
            pusher.pause()

    def end(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self._run = None
        self._forget_newest()
        for pusher, task in self._legs.values():
            self._all.see_off(pusher, task)
        self._legs.clear()

    def follow(self, targets: Sequence[Target]) -> None:
        """Start and stop legs; one whose address changed starts anew."""
        if self._is_ended:
            return
        wanted = {target.destination_id: target for target in targets}
        for leg_id, (pusher, task) in list(self._legs.items()):
            target = wanted.get(leg_id)
            if target is not None and target.is_same_place(pusher.target):
                pusher.target = target  # it may have another name
            else:
                self._all.see_off(pusher, task)
                del self._legs[leg_id]
        for leg_id, target in wanted.items():
            if leg_id not in self._legs:
                pusher, task = self._legs[leg_id] = self._all.new_pusher(self, target)
                if self._run is not None:
                    pusher.begin()

    def health(self) -> list[LegHealth]:
        return [pusher.health() for pusher, _ in self._legs.values()]

    def newest(self) -> Sequence[Tag]:
        """From the last keyframe until now; nothing where that is too much."""
        return self._newest

    def tick(self) -> None:
        for pusher, _ in self._legs.values():
            pusher.tick()

    def _remember(self, tag: Tag) -> None:
        if tag.is_keyframe:
            self._forget_newest()
        elif not self._newest:
            return
        self._newest.append(tag)
        self._newest_bytes += len(tag.body)
        if self._newest_bytes > _NEWEST_BYTES:
            self._forget_newest()

    def _forget_newest(self) -> None:
        self._newest = []
        self._newest_bytes = 0


async def _nobody_to_ask(show_id: ShowId, target: Target) -> Address:
    raise ShopError("Connections cannot be asked for addresses here.")
