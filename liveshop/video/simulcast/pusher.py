"""One leg: a supervised task that keeps one destination supplied, whatever becomes of it.

What the other side refuses (a bad key, a closed account) is tried again all the same, once a
minute: many platforms take a key only once the broadcast was made ready there, and a host in
mid-show has no hand free to press "again".
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from liveshop.connect import ConnectorError, NeedsAttention, RetryLater
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Conflict, Invalid, NotFound, ShopError
from liveshop.kernel.ids import ShowId
from liveshop.video.simulcast.address import Address, BadDestination
from liveshop.video.simulcast.connection import Connection, LegBroken, Reach, StartOver
from liveshop.video.simulcast.flv import Tag
from liveshop.video.simulcast.leg import (
    Ask,
    Backoff,
    LegHealth,
    LegLimits,
    LegState,
    Rate,
    Reason,
    Target,
)
from liveshop.video.simulcast.queue import TagQueue
from liveshop.video.simulcast.rtmp_publish import PublishEnded, PublishRefused
from liveshop.web.outgoing import AddressRefused

_log = structlog.get_logger("simulcast")


class Pusher:
    """`run` is its task. The rest is called on the loop, and returns at once."""

    def __init__(
        self,
        show_id: ShowId,
        target: Target,
        *,
        clock: Clock,
        limits: LegLimits,
        reach: Reach,
        ask: Ask,
        newest: Callable[[], Sequence[Tag]],
    ) -> None:
        """`newest`: what a new connection begins with, from the last keyframe until now."""
        self.target = target
        self._newest = newest
        self._show_id = show_id
        self._wall = clock
        self._limits = limits
        self._reach = reach
        self._ask = ask
        self._queue = TagQueue(limits.queue)
        self._wake = asyncio.Event()
        self._connection: Connection | None = None
        self._is_ended = False
        self._paused_at: float | None = 0.0
        """By the loop's clock; None: there is a picture."""
        self._backoff = Backoff(limits.first_wait_seconds, limits.longest_wait_seconds)
        self._state: LegState = "waiting"
        self._since = clock.now()
        self._reason: Reason | None = None
        self._detail: str | None = None
        self._retry_at: datetime | None = None
        self._live_since: float | None = None
        self._times_live = 0
        self._rate = Rate()

    # -- what it is told

    def begin(self) -> None:
        """There is a picture, or another one."""
        self._paused_at = None
        if self._live_since is not None and self._is_taking:
            self._say("live")
        self._wake.set()

    def offer(self, tags: Sequence[Tag]) -> None:
        """Keeps what there is room for."""
        if not self._is_taking:
            return  # what a connection begins with is asked for when it is there
        for tag in tags:
            self._queue.add(tag)
        self._wake.set()

    def pause(self) -> None:
        loop = asyncio.get_running_loop()
        self._paused_at = loop.time()
        self._queue.settle(self._paused_at)
        if self._state in {"live", "connecting"}:
            self._say("waiting")
        # A little later: a timer may be early by the clock's resolution, and there is no second.
        loop.call_later(self._limits.pause_seconds + 0.05, self._wake.set)

    def end(self) -> None:
        """What is in the queue is sent, then `run` returns."""
        self._is_ended = True
        self._wake.set()

    def tick(self) -> None:
        """Twice a second or so: its rate is measured."""
        if self._connection is not None:
            self._rate.note(self._connection.taken_bytes, asyncio.get_running_loop().time())

    @property
    def has_connection(self) -> bool:
        """Which should be told goodbye."""
        return self._connection is not None and self._connection.is_ready

    # -- what it says

    def health(self) -> LegHealth:
        now = asyncio.get_running_loop().time()
        return LegHealth(
            destination_id=self.target.destination_id,
            name=self.target.name,
            state=self._state,
            since=self._since,
            kbit_per_second=self._rate.kbit_per_second() if self._state == "live" else None,
            left_out_seconds=self._queue.left_out_until(now),
            reconnects=max(0, self._times_live - 1),
            retry_at=self._retry_at,
            reason=self._reason,
            detail=self._detail,
        )

    # -- its course

    async def run(self) -> None:
        """Until it has ended."""
        while not self._is_ended:
            if self._paused_at is not None:
                self._say("waiting")
                self._wake.clear()
                await self._wake.wait()
                continue
            wait = await self._attempt()
            if wait:
                await self._rest(wait)

    async def _attempt(self) -> float:
        """One connection, to its end. Returns how long to wait before the next."""
        if self._state == "waiting":
            self._say("connecting")
        self._retry_at = None
        try:
            await self._connect(await self._address())
        except StartOver:
            self._say("connecting")
            return 0.0
        except Exception as error:  # a leg's failure is that leg's alone
            return self._after(error)
        if not self._is_ended:
            self._say("waiting")
        return 0.0

    def _after(self, error: Exception) -> float:
        """What is said of it, and how long to wait before the next."""
        match error:
            case PublishRefused(reason="busy") | LegBroken():
                return self._retry(error.words, error.reason)
            case PublishRefused():
                return self._refused(error.words, error.reason)
            case PublishEnded():
                return self._retry(error.words, "cut")
            case AddressRefused():
                return self._refused(error.detail, "private")
            case BadDestination():
                return self._refused(error.detail, "address")
            case Invalid() | NotFound() | Conflict() | NeedsAttention():
                return self._refused(error.detail, "connection")
            case RetryLater():
                return self._retry(error.detail, "connection", after=error.after)
            case ConnectorError() | ShopError():
                return self._retry(error.detail, "connection")
        _log.error(
            "leg_broke",
            show_id=self._show_id,
            leg=self.target.destination_id,
            exc_info=error,
        )
        return self._retry("Something went wrong here; the log says more.", "other")

    async def _address(self) -> Address:
        if self.target.address is not None:
            return self.target.address
        try:
            async with asyncio.timeout(self._limits.answer_seconds * 3):
                return await self._ask(self._show_id, self.target)
        except TimeoutError:
            raise LegBroken("The platform does not say where to send to.", "connection") from None

    async def _connect(self, address: Address) -> None:
        self._rate = Rate()
        self._connection = Connection(
            address,
            self._queue,
            limits=self._limits,
            reach=self._reach,
            wake=self._wake,
            is_over=self._is_over,
            on_ready=self._on_ready,
            on_live=self._on_live,
        )
        try:
            await self._connection.run()
        finally:
            self._connection = None
            now = asyncio.get_running_loop().time()
            if self._live_since is not None:
                if self._paused_at is None and not self._is_ended:
                    self._queue.leave_out(now)
                if now - self._live_since >= self._limits.healthy_seconds:
                    self._backoff.reset()
            self._live_since = None

    @property
    def _is_taking(self) -> bool:
        return self._connection is not None and self._connection.is_taking

    def _is_over(self) -> bool:
        """Asked with nothing left to send."""
        if self._is_ended:
            return True
        if self._paused_at is None:
            return False
        return asyncio.get_running_loop().time() - self._paused_at >= self._limits.pause_seconds

    def _on_ready(self) -> None:
        self._queue.cut()
        for tag in self._newest():
            self._queue.add(tag)

    def _on_live(self) -> None:
        self._live_since = asyncio.get_running_loop().time()
        self._times_live += 1
        self._say("live")
        _log.info("leg_live", show_id=self._show_id, leg=self.target.destination_id)

    def _retry(self, words: str, reason: Reason, *, after: float | None = None) -> float:
        return self._trouble("retrying", words, reason, max(self._backoff.next(), after or 0.0))

    def _refused(self, words: str, reason: Reason) -> float:
        return self._trouble("refused", words, reason, self._limits.refused_wait_seconds)

    def _trouble(self, state: LegState, words: str, reason: Reason, wait: float) -> float:
        if (self._state, self._detail) != (state, words):
            _log.warning(
                "leg_trouble",
                show_id=self._show_id,
                leg=self.target.destination_id,
                state=state,
                reason=words,
            )
        self._say(state)
        self._reason, self._detail = reason, words
        self._retry_at = self._wall.now() + timedelta(seconds=wait)
        return wait

    def _say(self, state: LegState) -> None:
        if state != self._state:
            self._since = self._wall.now()
        self._state = state
        self._reason = self._detail = self._retry_at = None

    async def _rest(self, seconds: float) -> None:
        """Until it is time again, or it has ended."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while not self._is_ended:
                    self._wake.clear()
                    await self._wake.wait()
