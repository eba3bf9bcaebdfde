"""The transactional outbox: work that commits with its cause and is done at least once.

A job is claimed for a while, not for ever, so the work of a worker that died is taken up again.
Handlers must therefore bear being run twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import new_id
from liveshop.kernel.jitter import jittered
from liveshop.storage.sql import insert, metadata
from liveshop.storage.types import Json, UtcDateTime

job = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("key", sa.String(120), unique=True),
    sa.Column("payload", Json, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Index("ix_job_state_not_before", "state", "not_before"),
)

Handler = Callable[[dict[str, Any]], Awaitable[None]]

_CLAIM = timedelta(seconds=60)
_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(hours=1)
MAX_ATTEMPTS = 20


_DUE = (
    sa.select(job)
    .where(job.c.state == "queued", job.c.not_before <= sa.bindparam("now"))
    .order_by(job.c.not_before)
    .limit(sa.bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
"""Made once: each worker asks every second."""
_DUE_OF_TOPICS = _DUE.where(job.c.topic.in_(sa.bindparam("topics", expanding=True)))


class Jobs:
    """Statements on the job table."""

    @staticmethod
    async def add(
        conn: AsyncConnection,
        topic: str,
        payload: msgspec.Struct,
        *,
        now: datetime,
        key: str | None,
        not_before: datetime,
    ) -> None:
        row = _row(topic, payload, now=now, key=key, not_before=not_before)
        statement = insert(conn, job).on_conflict_do_nothing(index_elements=["key"])
        await conn.execute(statement, [row])

    @staticmethod
    async def add_all(
        conn: AsyncConnection, topic: str, payloads: Mapping[str, msgspec.Struct], *, now: datetime
    ) -> None:
        """Several at once, by their keys."""
        rows = [
            _row(topic, payload, now=now, key=key, not_before=now)
            for key, payload in payloads.items()
        ]
        statement = insert(conn, job).on_conflict_do_nothing(index_elements=["key"])
        await conn.execute(statement, rows)

    @staticmethod
    async def claim(
        conn: AsyncConnection, now: datetime, limit: int, topics: Collection[str] | None = None
    ) -> list[sa.Row[Any]]:
        """Take due jobs; they come back by themselves if they are not finished in time."""
        due = _DUE if topics is None else _DUE_OF_TOPICS
        asked = {"now": now, "at_most": limit, "topics": topics}
        rows = list((await conn.execute(due, asked)).all())
        if rows:
            await conn.execute(
                sa.update(job)
                .where(job.c.id.in_([row.id for row in rows]))
                .values(attempts=job.c.attempts + 1, not_before=now + _CLAIM)
            )
        return rows

    @staticmethod
    async def keep(conn: AsyncConnection, job_id: str, now: datetime) -> None:
        """Claim a job for longer."""
        await conn.execute(
            sa.update(job)
            .where(job.c.id == job_id, job.c.state == "queued")
            .values(not_before=now + _CLAIM)
        )

    @staticmethod
    async def finish(conn: AsyncConnection, job_ids: Collection[str]) -> None:
        await conn.execute(sa.delete(job).where(job.c.id.in_(job_ids)))

    @staticmethod
    async def fail(
        conn: AsyncConnection, job_id: str, *, error: str, again_at: datetime | None
    ) -> None:
        values: dict[str, Any] = {"last_error": error[:2000]}
        if again_at is None:
            values["state"] = "dead"
        else:
            values["not_before"] = again_at
        await conn.execute(sa.update(job).where(job.c.id == job_id).values(**values))

    @staticmethod
    async def dead(conn: AsyncConnection) -> list[tuple[str, int, str | None]]:
        """(topic, count, one of the last errors) of the jobs that were given up."""
        rows = await conn.execute(
            sa.select(job.c.topic, sa.func.count(), sa.func.max(job.c.last_error))
            .where(job.c.state == "dead")
            .group_by(job.c.topic)
        )
        return [(row[0], row[1], row[2]) for row in rows.all()]

    @staticmethod
    async def counts(conn: AsyncConnection) -> dict[str, int]:
        rows = await conn.execute(sa.select(job.c.state, sa.func.count()).group_by(job.c.state))
        return {row[0]: row[1] for row in rows}


def _row(
    topic: str, payload: msgspec.Struct, *, now: datetime, key: str | None, not_before: datetime
) -> dict[str, Any]:
    return {
        "id": new_id("job", now),
        "topic": topic,
        "key": key,
        "payload": msgspec.to_builtins(payload),
        "state": "queued",
        "attempts": 0,
        "not_before": not_before,
        "created_at": now,
    }


class _Transaction(Protocol):
    @property
    def conn(self) -> AsyncConnection: ...


class _Writes(Protocol):
    """What the worker needs of the database; `engine.Database` is one."""

    def write(self) -> AbstractAsyncContextManager[_Transaction]: ...


class Worker:
    """Runs the jobs it has handlers for, one after another, woken by commits and by the clock.

    Work that must not wait for slow work gets a worker of its own. `never_given_up` names topics
    whose jobs are tried for ever. `at_once`: so many are claimed together, for work so quick that
    none outlives its claim waiting for the others. `is_lasting`: for work of minutes, which nobody
    else takes up while it goes on here. Supervised by its owner.
    """

    def __init__(
        self,
        database: _Writes,
        handlers: Mapping[str, Handler],
        clock: Clock,
        *,
        never_given_up: Collection[str] = (),
        at_once: int = 1,
        is_lasting: bool = False,
        keep_seconds: float = _CLAIM.total_seconds() / 3,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._never_given_up = frozenset(never_given_up)
        self._at_once = at_once
        self._is_lasting = is_lasting
        self._keep_seconds = keep_seconds
        """How often the claim on lasting work is made longer."""
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("worker")

    def wake(self) -> None:
        self._wake.set()

    async def run(self, *, poll_seconds: float = 1.0) -> None:
        """Work until cancelled. A database that is away is waited for."""
        while True:
            self._wake.clear()
            try:
                busy = await self.run_due()
            except ShopError as error:
                self._log.warning("worker_waits", reason=error.detail)
                busy = False
            if not busy:
                # Not wait_for, which on Python 3.11 loses a cancellation that comes with the wake.
                with suppress(TimeoutError):
                    async with asyncio.timeout(poll_seconds):
                        await self._wake.wait()

    async def run_due(self) -> bool:
        """Run what is due now; True when there was something."""
        async with self._database.write() as tx:
            rows = await Jobs.claim(tx.conn, self._clock.now(), self._at_once, list(self._handlers))
        done = [row.id for row in rows if await self._is_done(row)]
        if done:
            async with self._database.write() as tx:
                await Jobs.finish(tx.conn, done)
        return bool(rows)

    async def _is_done(self, row: sa.Row[Any]) -> bool:
        """Run a job; False when it failed, which is written down then."""
        try:
            await self._handle(row)
        except Exception as error:
            again_at = self._next_try(row.topic, row.attempts + 1)
            self._log.warning(
                "job_failed", topic=row.topic, job=row.id, error=repr(error), dead=again_at is None
            )
            async with self._database.write() as tx:
                await Jobs.fail(tx.conn, row.id, error=repr(error), again_at=again_at)
            return False
        return True

    async def _handle(self, row: sa.Row[Any]) -> None:
        if not self._is_lasting:
            await self._handlers[row.topic](row.payload)
            return
        keeping = asyncio.create_task(self._keep(row.id))
        try:
            await self._handlers[row.topic](row.payload)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def _keep(self, job_id: str) -> None:
        while True:
            await asyncio.sleep(self._keep_seconds)
            try:
                async with self._database.write() as tx:
                    await Jobs.keep(tx.conn, job_id, self._clock.now())
            except ShopError as error:
                self._log.warning("claim_not_kept", job=job_id, reason=error.detail)

    def _next_try(self, topic: str, attempts: int) -> datetime | None:
        if attempts >= MAX_ATTEMPTS and topic not in self._never_given_up:
            return None
        doublings = min(attempts - 1, 20)
        delay: timedelta = min(_FIRST_DELAY * 2**doublings, _LONGEST_DELAY)
        return self._clock.now() + jittered(delay)
