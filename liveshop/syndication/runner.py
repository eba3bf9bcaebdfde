"""Gives each connection its turn, one at a time, and says what follows when it fails.

A lease in the database keeps two processes from working on one connection. What there is to do
stands in the rows of the rooms (listings, posts, marks): a turn that dies is simply taken again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import structlog

from liveshop.connect import ConnectorError, NeedsAttention, RetryLater, Role
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid, NotFound, ShopError
from liveshop.kernel.ids import new_secret
from liveshop.kernel.jitter import jittered
from liveshop.storage import Database
from liveshop.syndication import connection_store as store
from liveshop.syndication.model import Connection, ConnectionId

Turn = Callable[[Connection], Awaitable[datetime | None]]
"""Do what is due now; when there will be something again. Raises ConnectorError."""
Step = Callable[[], Awaitable[object]]

_log = structlog.get_logger("syndication")
_POLL_SECONDS = 1.0
_AT_ONCE = 4
_IDLE = timedelta(minutes=5)
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(minutes=15)
_TOLD_AFTER = 3
"""Failures in a row after which the merchant reads of them."""
_LONGEST_TURN = timedelta(minutes=30)
"""A turn that hangs must not keep the others waiting for ever; what it did stands in the rows."""
_GIVEN_UP_AFTER = 8
"""Faults of a connector in a row after which it waits for a person."""


class Runner:
    """`turns` by role, in the order in which a connection with several roles takes them. `before`
    runs once a round. Supervised by its owner."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        turns: Mapping[Role, Turn],
        *,
        before: Sequence[Step] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._turns = turns
        self._before = before
        self._owner = new_secret()
        self._failures: dict[ConnectionId, int] = {}
        self._busy: dict[ConnectionId, asyncio.Task[None]] = {}
        # One for each role: imports that take an hour keep no post waiting.
        self._rooms = {role: asyncio.Semaphore(_AT_ONCE) for role in turns}

    async def run(self) -> None:
        """Work until cancelled. A database that is away is waited for."""
        jobs = [*self._before, self._begin_due]
        tasks = [asyncio.create_task(self._for_ever(job)) for job in jobs]
        try:
            # Not gathered: that would cancel them a first time, and the end of this a second time,
            # in the middle of their rolling back.
            await asyncio.wait(tasks)
        finally:
            left = [*tasks, *self._busy.values()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _for_ever(self, job: Step) -> None:
        """Once a second. What fails, fails alone: the others go on."""
        while True:
            try:
                await job()
            except ShopError as error:
                _log.warning("syndication_waits", reason=error.detail)
            except Exception:
                _log.exception("syndication_step_broke")
            await asyncio.sleep(_POLL_SECONDS)

    async def run_due(self) -> int:
        """Everything that is due now, to its end; how many turns were taken."""
        for step in self._before:
            await step()
        due = await self._due()
        for one in due:
            await self._take(one)
        return len(due)

    async def _begin_due(self) -> None:
        for one in await self._due():
            if one.id not in self._busy:
                task = asyncio.create_task(self._take(one), name=f"turn of {one.id}")
                self._busy[one.id] = task
                task.add_done_callback(partial(self._ended, one.id))

    def _ended(self, id_: ConnectionId, _: object) -> None:
        self._busy.pop(id_, None)

    async def _due(self) -> list[Connection]:
        async with self._database.read() as conn:
            due = await store.due(conn, self._clock.now())
        return [one for one in due if one.roles & self._turns.keys()]

    async def _take(self, one: Connection) -> None:
        """One turn of one connection, whatever comes of it."""
        async with self._rooms[next(role for role in self._turns if role in one.roles)]:
            try:
                await self._take_leased(one)
            except ShopError as error:  # the database: the turn comes again
                _log.warning("turn_broke_off", connection=one.id, reason=error.detail)
            except Exception:  # a fault of ours must not stop the other connections
                _log.exception("turn_broke_off", connection=one.id)

    async def _take_leased(self, one: Connection) -> None:
        async with self._leased(one.id) as is_ours:
            if not is_ours:
                return
            async with self._database.write() as tx:
                # Whatever asks for a turn from now on sets an earlier time, and is not lost.
                later = self._clock.now() + timedelta(days=1)
                await store.set_turn(tx.conn, one.id, due_at=later)
            try:
                async with asyncio.timeout(_LONGEST_TURN.total_seconds()):
                    wanted = await self._turn(one)
            except Exception as error:
                await self._failed(one, error)
                return
            self._failures.pop(one.id, None)
            next_at = wanted or self._clock.now() + _IDLE
            await self._end(one, next_at, attention=None)

    async def _end(
        self,
        one: Connection,
        next_at: datetime,
        *,
        attention: str | None,
        not_before: datetime | None = None,
    ) -> None:
        async with self._database.write() as tx:
            await store.end_turn(
                tx.conn, one.id, next_at, attention=attention, not_before=not_before
            )
            await store.leave_lease(tx.conn, one.id, self._owner)

    async def _turn(self, one: Connection) -> datetime | None:
        times: list[datetime] = []
        for role, turn in self._turns.items():
            if role in one.roles:
                wanted = await turn(one)
                if wanted is not None:
                    times.append(wanted)
        return min(times, default=None)

    async def _failed(self, one: Connection, error: Exception) -> None:
        failures = self._failures[one.id] = self._failures.get(one.id, 0) + 1
        now = self._clock.now()
        again_at = now + _wait(failures, error)
        detail = error.detail if isinstance(error, ConnectorError | ShopError) else ""
        if isinstance(error, RetryLater):
            _log.info("turn_waits", connection=one.id, reason=detail, until=again_at.isoformat())
        elif not isinstance(error, ConnectorError):
            _log.warning(
                "turn_failed", connection=one.id, error=type(error).__name__, exc_info=True
            )
        if needs_person(error) or (
            failures >= _GIVEN_UP_AFTER and not isinstance(error, ConnectorError | ShopError)
        ):
            told = detail or "The connector has a fault; the server's log names it."
            async with self._database.write() as tx:
                await store.note_attention(tx.conn, one.id, told, now, version=one.version)
        attention = detail if failures >= _TOLD_AFTER else None
        await self._end(one, again_at, attention=attention or None, not_before=again_at)

    @asynccontextmanager
    async def _leased(self, id_: ConnectionId) -> AsyncIterator[bool]:
        """Whether it is ours to work on; then for as long as the block lasts."""
        async with self._database.write() as tx:
            is_ours = await store.take_lease(tx.conn, id_, self._owner, self._clock.now())
        if not is_ours:
            yield False
            return
        keeper = asyncio.create_task(self._keep(id_), name=f"lease of {id_}")
        try:
            yield True
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            # Left already, unless the turn broke off: then it comes again at once.
            async with self._database.write() as tx:
                await store.leave_lease(tx.conn, id_, self._owner, due_at=self._clock.now())

    async def _keep(self, id_: ConnectionId) -> None:
        while True:
            await asyncio.sleep(store.LEASE.total_seconds() / 3)
            try:
                async with self._database.write() as tx:
                    await store.take_lease(tx.conn, id_, self._owner, self._clock.now())
            except ShopError as error:
                _log.warning("lease_not_kept", connection=id_, reason=error.detail)


def needs_person(error: Exception) -> bool:
    """Whether nothing but a person can help: also a configuration that is not one, or an address
    that is not to be opened."""
    return isinstance(error, NeedsAttention | Invalid | NotFound)


def _wait(failures: int, error: Exception) -> timedelta:
    if isinstance(error, RetryLater) and error.after is not None:
        # With jitter on top only: nobody wants to be asked earlier than he said.
        return jittered(timedelta(seconds=max(1.0, error.after)), 1.0, 1.1)
    doubled: timedelta = min(_FIRST_WAIT * 2 ** min(failures - 1, 12), _LONGEST_WAIT)
    return jittered(doubled)
