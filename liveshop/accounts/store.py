"""All SQL of staff, sessions and keys. Secrets come in as hashes; see `tables`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.accounts.model import ApiKey, Staff
from liveshop.accounts.tables import api_key, staff, staff_session
from liveshop.kernel.ids import KeyId, StaffId
from liveshop.storage import insert

_STAFF = (
    staff.c.id,
    staff.c.email,
    staff.c.name,
    staff.c.roles,
    staff.c.active,
    staff.c.created_at,
)


@dataclass(frozen=True, slots=True)
class WithPassword:
    staff: Staff
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenSession:
    staff: Staff
    created_at: datetime
    expires_at: datetime


def _staff(row: Any) -> Staff:
    return Staff(
        id=StaffId(row.id),
        email=row.email,
        name=row.name,
        roles=tuple(row.roles),
        active=row.active,
        created_at=row.created_at,
    )


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=KeyId(row.key_id),
        name=row.key_name,
        permissions=tuple(row.permissions),
        created_by=StaffId(row.created_by),
        created_at=row.key_created_at,
        expires_at=row.expires_at,
    )


async def add_staff(conn: AsyncConnection, member: Staff, *, password_hash: str) -> bool:
    """False when the e-mail is taken."""
    result = await conn.execute(
        insert(conn, staff)
        .values(
            id=member.id,
            email=member.email,
            name=member.name,
            roles=list(member.roles),
            password_hash=password_hash,
            active=member.active,
            created_at=member.created_at,
        )
        .on_conflict_do_nothing(index_elements=["email"])
    )
    return bool(result.rowcount)


async def staff_by_email(conn: AsyncConnection, email: str) -> WithPassword | None:
    row = (
        await conn.execute(sa.select(*_STAFF, staff.c.password_hash).where(staff.c.email == email))
    ).one_or_none()
    return None if row is None else WithPassword(_staff(row), row.password_hash)


async def lock_password(conn: AsyncConnection, staff_id: str) -> WithPassword | None:
    """The row as it is now, kept from changing until this transaction ends."""
    row = (
        await conn.execute(
            sa.select(*_STAFF, staff.c.password_hash)
            .where(staff.c.id == staff_id)
            .with_for_update()
        )
    ).one_or_none()
    return None if row is None else WithPassword(_staff(row), row.password_hash)


async def lock_everybody(conn: AsyncConnection) -> list[Staff]:
    """All staff, locked in one order: "an admin remains" is a claim about all rows together."""
    rows = await conn.execute(sa.select(*_STAFF).order_by(staff.c.id).with_for_update())
    return [_staff(row) for row in rows]


async def all_staff(conn: AsyncConnection) -> list[Staff]:
    return [_staff(row) for row in await conn.execute(sa.select(*_STAFF).order_by(staff.c.id))]


async def change_staff(conn: AsyncConnection, member: Staff, *, password_hash: str | None) -> None:
    values: dict[str, Any] = {
        "name": member.name,
        "roles": list(member.roles),
        "active": member.active,
    }
    if password_hash is not None:
        values["password_hash"] = password_hash
    await conn.execute(sa.update(staff).where(staff.c.id == member.id).values(**values))


async def change_hash(conn: AsyncConnection, staff_id: str, password_hash: str) -> None:
    await conn.execute(
        sa.update(staff).where(staff.c.id == staff_id).values(password_hash=password_hash)
    )


async def add_session(
    conn: AsyncConnection, secret_hash: str, staff_id: str, *, now: datetime, expires_at: datetime
) -> None:
    await conn.execute(
        sa.insert(staff_session).values(
            secret_hash=secret_hash, staff_id=staff_id, created_at=now, expires_at=expires_at
        )
    )


async def session_by_hash(
    conn: AsyncConnection, secret_hash: str, now: datetime
) -> OpenSession | None:
    """An unexpired session of active staff."""
    row = (
        await conn.execute(
            sa.select(
                *_STAFF,
                staff_session.c.created_at.label("session_created_at"),
                staff_session.c.expires_at,
            )
            .join_from(staff_session, staff)
            .where(
                staff_session.c.secret_hash == secret_hash,
                staff_session.c.expires_at > now,
                staff.c.active,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    return OpenSession(_staff(row), row.session_created_at, row.expires_at)


async def prolong_session(conn: AsyncConnection, secret_hash: str, expires_at: datetime) -> None:
    await conn.execute(
        sa.update(staff_session)
        .where(staff_session.c.secret_hash == secret_hash)
        .values(expires_at=expires_at)
    )


async def end_session(conn: AsyncConnection, secret_hash: str) -> None:
    await conn.execute(sa.delete(staff_session).where(staff_session.c.secret_hash == secret_hash))


async def end_sessions_of(conn: AsyncConnection, staff_id: str) -> None:
    await conn.execute(sa.delete(staff_session).where(staff_session.c.staff_id == staff_id))


async def end_expired_sessions(conn: AsyncConnection, now: datetime) -> None:
    await conn.execute(sa.delete(staff_session).where(staff_session.c.expires_at <= now))


async def add_key(conn: AsyncConnection, key: ApiKey, *, secret_hash: str) -> None:
    await conn.execute(
        sa.insert(api_key).values(
            id=key.id,
            secret_hash=secret_hash,
            name=key.name,
            permissions=list(key.permissions),
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


_KEY = (
    api_key.c.id.label("key_id"),
    api_key.c.name.label("key_name"),
    api_key.c.permissions,
    api_key.c.created_by,
    api_key.c.created_at.label("key_created_at"),
    api_key.c.expires_at,
)


async def key_by_hash(
    conn: AsyncConnection, secret_hash: str, now: datetime
) -> tuple[ApiKey, Staff] | None:
    """A key that is neither revoked nor expired, with the staff member it acts for."""
    row = (await conn.execute(_KEY_BY_HASH, {"secret_hash": secret_hash, "now": now})).one_or_none()
    return None if row is None else (_key(row), _staff(row))


_KEY_BY_HASH = (
    sa.select(*_KEY, *_STAFF)
    .join_from(api_key, staff)
    .where(
        api_key.c.secret_hash == sa.bindparam("secret_hash"),
        api_key.c.revoked_at.is_(None),
        sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > sa.bindparam("now")),
        staff.c.active,
    )
)
"""Made once: every command of an API key asks this, and making it costs more than its answer."""


async def key_by_id(conn: AsyncConnection, key_id: str) -> ApiKey | None:
    row = (await conn.execute(sa.select(*_KEY).where(api_key.c.id == key_id))).one_or_none()
    return None if row is None else _key(row)


async def rights_of(conn: AsyncConnection, person_id: str, now: datetime) -> frozenset[str]:
    """What a member of staff or an API key may do now; nothing for whoever is not one any more."""
    found = await conn.execute(sa.select(*_STAFF).where(staff.c.id == person_id, staff.c.active))
    row = found.one_or_none()
    if row is not None:
        return _staff(row).permissions
    found = await conn.execute(
        sa.select(*_KEY, *_STAFF)
        .join_from(api_key, staff)
        .where(
            api_key.c.id == person_id,
            api_key.c.revoked_at.is_(None),
            sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now),
            staff.c.active,
        )
    )
    row = found.one_or_none()
    return frozenset() if row is None else _key(row).permissions_now(_staff(row))


async def all_keys(conn: AsyncConnection) -> list[ApiKey]:
    """Keys that were not revoked; expired ones are listed, so that they can be seen as such."""
    rows = await conn.execute(
        sa.select(*_KEY).where(api_key.c.revoked_at.is_(None)).order_by(api_key.c.id)
    )
    return [_key(row) for row in rows]


async def revoke_key(conn: AsyncConnection, key_id: str, now: datetime) -> bool:
    """False when there is no such key, or it was revoked before."""
    result = await conn.execute(
        sa.update(api_key)
        .where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return bool(result.rowcount)
