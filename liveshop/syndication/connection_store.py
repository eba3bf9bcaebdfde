"""SQL for connections, their leases, what they remember, and the runs of work on them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.connect import Role
from liveshop.kernel.ids import new_id
from liveshop.storage import insert
from liveshop.syndication.model import (
    Connection,
    ConnectionId,
    ConnectionState,
    Run,
    RunId,
    RunKind,
)
from liveshop.syndication.tables import connection, connection_memory, sync_run

LEASE = timedelta(seconds=90)
_RUNS_KEPT = 50


async def add(conn: AsyncConnection, one: Connection, *, sealed: str) -> None:
    await conn.execute(
        sa.insert(connection).values(
            id=one.id,
            connector=one.connector,
            title=one.title,
            roles=sorted(one.roles),
            config=dict(one.config),
            sealed=sealed,
            state=one.state,
            attention=one.attention,
            language=one.language,
            version=one.version,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
    )


async def change(conn: AsyncConnection, id_: ConnectionId, now: datetime, **values: Any) -> None:
    """Set columns; its version goes up."""
    await conn.execute(
        sa.update(connection)
        .where(connection.c.id == id_)
        .values(version=connection.c.version + 1, updated_at=now, **values)
    )


async def by_id(conn: AsyncConnection, id_: str) -> Connection | None:
    """Also a removed one."""
    row = (await conn.execute(sa.select(connection).where(connection.c.id == id_))).one_or_none()
    return None if row is None else _connection(row)


async def all_of(
    conn: AsyncConnection,
    *,
    role: Role | None = None,
    states: Iterable[ConnectionState] = ("active", "paused", "attention"),
) -> list[Connection]:
    """In the order in which they were made."""
    rows = await conn.execute(_IN_STATES, {"states": list(states)})
    found = [_connection(row) for row in rows]
    return [one for one in found if role is None or role in one.roles]


_IN_STATES = (
    sa.select(connection)
    .where(connection.c.state.in_(sa.bindparam("states", expanding=True)))
    .order_by(connection.c.id)
)


async def due(conn: AsyncConnection, now: datetime) -> list[Connection]:
    """Active ones whose turn it is; also those whose turn broke off with its process."""
    return [_connection(row) for row in await conn.execute(_DUE, {"now": now})]


def _due() -> sa.Select[Any]:
    """Made once: it is asked every second."""
    now: sa.BindParameter[datetime] = sa.bindparam("now")
    return (
        sa.select(connection)
        .where(
            connection.c.state == "active",
            sa.or_(
                connection.c.due_at.is_(None),
                connection.c.due_at <= now,
                connection.c.lease_until <= now,
            ),
            sa.or_(connection.c.not_before.is_(None), connection.c.not_before <= now),
        )
        .order_by(connection.c.id)
    )


_DUE = _due()


async def is_active(conn: AsyncConnection, id_: str) -> bool:
    """Whether it is to be worked on, at this moment."""
    state = sa.select(connection.c.state).where(connection.c.id == id_)
    return (await conn.execute(state)).scalar_one_or_none() == "active"


async def sealed_of(conn: AsyncConnection, id_: ConnectionId) -> str | None:
    return (
        await conn.execute(sa.select(connection.c.sealed).where(connection.c.id == id_))
    ).scalar_one_or_none()


async def note_attention(
    conn: AsyncConnection,
    id_: ConnectionId,
    text: str,
    now: datetime,
    *,
    version: int | None = None,
) -> None:
    """It waits for a person; only an active one can come to that, and with `version` only one that
    nobody has changed since: he may just have mended it."""
    is_same = sa.true() if version is None else connection.c.version == version
    await conn.execute(
        sa.update(connection)
        .where(connection.c.id == id_, connection.c.state == "active", is_same)
        .values(state="attention", attention=text, updated_at=now)
    )


async def set_turn(conn: AsyncConnection, id_: ConnectionId, **values: Any) -> None:
    """Set `due_at`, `whole_at`, `cursor` or `mark`: where the work on it stands."""
    assert values.keys() <= {"due_at", "not_before", "whole_at", "cursor", "mark"}
    await conn.execute(sa.update(connection).where(connection.c.id == id_).values(**values))


async def end_turn(
    conn: AsyncConnection,
    id_: ConnectionId,
    due_at: datetime,
    *,
    attention: str | None,
    not_before: datetime | None = None,
) -> None:
    """Its next turn is then, unless somebody has asked for an earlier one meanwhile; and in no
    case before `not_before`. `attention`: what the merchant should know of one that goes on by
    itself."""
    # A bare moment inside `case` has no column's type: SQLite would store it in a form that sorts
    # before all others, and every turn would be due at once.
    given = sa.literal(due_at, connection.c.due_at.type)
    await conn.execute(
        sa.update(connection)
        .where(connection.c.id == id_)
        .values(
            due_at=sa.case(
                (
                    sa.or_(connection.c.due_at.is_(None), connection.c.due_at < given),
                    connection.c.due_at,
                ),
                else_=given,
            ),
            not_before=not_before,
            attention=sa.case(
                (connection.c.state == "active", attention), else_=connection.c.attention
            ),
        )
    )


# Leases


async def take_lease(conn: AsyncConnection, id_: str, owner: str, now: datetime) -> bool:
    """Whether the connection is now `owner`'s to work on, until `LEASE` from now."""
    result = await conn.execute(
        sa.update(connection)
        .where(
            connection.c.id == id_,
            sa.or_(
                connection.c.lease_owner.is_(None),
                connection.c.lease_owner == owner,
                connection.c.lease_until <= now,
            ),
        )
        .values(lease_owner=owner, lease_until=now + LEASE)
    )
    return result.rowcount == 1


async def leave_lease(
    conn: AsyncConnection, id_: str, owner: str, *, due_at: datetime | None = None
) -> None:
    """`due_at`: when its turn comes again, where this one did not come to its end."""
    values: dict[str, Any] = {"lease_owner": None, "lease_until": None}
    if due_at is not None:
        values["due_at"] = due_at
    await conn.execute(
        sa.update(connection)
        .where(connection.c.id == id_, connection.c.lease_owner == owner)
        .values(**values)
    )


# Memory


async def recall(conn: AsyncConnection, id_: str, key: str) -> str | None:
    return (
        await conn.execute(
            sa.select(connection_memory.c.value).where(
                connection_memory.c.connection_id == id_, connection_memory.c.key == key
            )
        )
    ).scalar_one_or_none()


async def remember(conn: AsyncConnection, id_: str, key: str, value: str) -> None:
    statement = insert(conn, connection_memory).values(connection_id=id_, key=key, value=value)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["connection_id", "key"], set_={"value": statement.excluded.value}
        )
    )


async def forget(conn: AsyncConnection, id_: str, key: str) -> None:
    await conn.execute(
        sa.delete(connection_memory).where(
            connection_memory.c.connection_id == id_, connection_memory.c.key == key
        )
    )


async def forget_all(conn: AsyncConnection, id_: str, *, prefix: str) -> None:
    await conn.execute(
        sa.delete(connection_memory).where(
            connection_memory.c.connection_id == id_,
            connection_memory.c.key.startswith(prefix, autoescape=True),
        )
    )


# Runs


async def begin_run(
    conn: AsyncConnection,
    connection_id: ConnectionId,
    kind: RunKind,
    now: datetime,
    *,
    total: int | None = None,
) -> RunId:
    """A run of this kind that was left running by a process that died ends as failed."""
    await conn.execute(
        sa.update(sync_run)
        .where(
            sync_run.c.connection_id == connection_id,
            sync_run.c.kind == kind,
            sync_run.c.state == "running",
        )
        .values(state="failed", ended_at=now, problem="It was broken off and began again.")
    )
    id_ = RunId(new_id("run", now))
    await conn.execute(
        sa.insert(sync_run).values(
            id=id_,
            connection_id=connection_id,
            kind=kind,
            started_at=now,
            state="running",
            total=total,
            done=0,
            counts={},
        )
    )
    await _drop_old_runs(conn, connection_id)
    return id_


async def progress_run(
    conn: AsyncConnection,
    run_id: RunId,
    *,
    done: int,
    counts: Mapping[str, int],
    total: int | None = None,
) -> None:
    values: dict[str, Any] = {"done": done, "counts": dict(counts)}
    if total is not None:
        values["total"] = total
    await conn.execute(sa.update(sync_run).where(sync_run.c.id == run_id).values(**values))


async def end_run(
    conn: AsyncConnection,
    run_id: RunId,
    now: datetime,
    *,
    problem: str | None = None,
    has_failed: bool | None = None,
) -> None:
    """One with a problem has failed, unless it is said that it came to its end all the same."""
    failed = problem is not None if has_failed is None else has_failed
    await conn.execute(
        sa.update(sync_run)
        .where(sync_run.c.id == run_id)
        .values(
            state="failed" if failed else "done",
            ended_at=now,
            problem=problem,
        )
    )


async def runs_of(
    conn: AsyncConnection, connection_ids: Sequence[str], *, limit: int = 20
) -> list[Run]:
    """Newest first."""
    rows = await conn.execute(
        sa.select(sync_run)
        .where(sync_run.c.connection_id.in_(connection_ids))
        .order_by(sync_run.c.id.desc())
        .limit(limit)
    )
    return [_run(row) for row in rows]


async def run_by_id(conn: AsyncConnection, run_id: str) -> Run | None:
    row = (await conn.execute(sa.select(sync_run).where(sync_run.c.id == run_id))).one_or_none()
    return None if row is None else _run(row)


async def latest_runs(conn: AsyncConnection, connection_ids: Sequence[str]) -> dict[str, Run]:
    """The last run of each connection that has had one."""
    newest = (
        sa.select(sa.func.max(sync_run.c.id))
        .where(sync_run.c.connection_id.in_(connection_ids))
        .group_by(sync_run.c.connection_id)
    )
    rows = await conn.execute(sa.select(sync_run).where(sync_run.c.id.in_(newest)))
    return {row.connection_id: _run(row) for row in rows}


async def _drop_old_runs(conn: AsyncConnection, connection_id: ConnectionId) -> None:
    kept = (
        sa.select(sync_run.c.id)
        .where(sync_run.c.connection_id == connection_id)
        .order_by(sync_run.c.id.desc())
        .limit(_RUNS_KEPT)
        .subquery()
    )
    await conn.execute(
        sa.delete(sync_run).where(
            sync_run.c.connection_id == connection_id,
            sync_run.c.id.not_in(sa.select(kept.c.id)),
        )
    )


def _connection(row: Any) -> Connection:
    return Connection(
        id=ConnectionId(row.id),
        connector=row.connector,
        title=row.title,
        roles=frozenset(row.roles),
        config=row.config,
        state=row.state,
        attention=row.attention,
        language=row.language,
        version=row.version,
        mark=row.mark,
        cursor=row.cursor,
        due_at=row.due_at,
        whole_at=row.whole_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _run(row: Any) -> Run:
    return Run(
        id=RunId(row.id),
        connection_id=ConnectionId(row.connection_id),
        kind=row.kind,
        state=row.state,
        started_at=row.started_at,
        ended_at=row.ended_at,
        total=row.total,
        done=row.done,
        counts=row.counts,
        problem=row.problem,
    )
