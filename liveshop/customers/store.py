"""All SQL of viewers and consent."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.customers.model import (
    CUSTOMER_PREFIX,
    Consent,
    Viewer,
    Vouched,
    default_name,
    is_guest,
)
from liveshop.customers.tables import consent, viewer
from liveshop.kernel.ids import ConsentId, RehearsalId, ViewerId, new_id
from liveshop.kernel.rehearsals import guests_pattern
from liveshop.storage import Rows, insert


def _viewer(row: Any) -> Viewer:
    return Viewer(
        id=ViewerId(row.id),
        display_name=row.display_name,
        external_id=row.external_id,
        issuer=row.issuer,
        email=row.email,
        full_name=row.full_name,
        locale=row.locale,
        created_at=row.created_at,
        deleted_at=row.deleted_at,
    )


async def viewers_by_ids(conn: AsyncConnection, viewer_ids: Collection[str]) -> dict[str, Viewer]:
    """The rows, also of forgotten viewers; guests about whom nothing is kept have none."""
    rows = await conn.execute(sa.select(viewer).where(viewer.c.id.in_(viewer_ids)))
    return {row.id: _viewer(row) for row in rows}


async def display_names(
    conn: AsyncConnection, viewer_ids: Collection[ViewerId]
) -> dict[ViewerId, str]:
    """The name each has chosen, or the default one that follows from the id."""
    rows = await _CHOSEN_NAMES(conn, [[viewer_id] for viewer_id in viewer_ids])
    chosen = {row.id: row.display_name for row in rows}
    return {one: chosen.get(one) or default_name(one) for one in viewer_ids}


_CHOSEN_NAMES = Rows(
    {"id": sa.String},
    lambda given: sa.select(viewer.c.id, viewer.c.display_name).where(viewer.c.id == given["id"]),
)


async def segments_of(conn: AsyncConnection, viewer_id: str) -> frozenset[str]:
    """What the storefront last said this customer belongs to; nothing for guests."""
    if is_guest(viewer_id):
        return frozenset()
    found = await conn.scalar(sa.select(viewer.c.segments).where(viewer.c.id == viewer_id))
    return frozenset(found or ())


async def save_customer(
    conn: AsyncConnection, vouched: Vouched, *, display_name: str | None, now: datetime
) -> Viewer:
    """The one row of this customer, with what the storefront says today.

    One statement, so that two sign-ons at once end at one row. The id and the display name are set
    once: the name is the customer's own after that.
    """
    said = {
        "email": vouched.email,
        "full_name": vouched.full_name,
        "locale": vouched.locale,
        "segments": list(vouched.segments),
    }
    statement = insert(conn, viewer).values(
        id=new_id(CUSTOMER_PREFIX, now),
        kind="customer",
        display_name=display_name,
        issuer=vouched.issuer,
        external_id=vouched.external_id,
        created_at=now,
        **said,
    )
    result = await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["issuer", "external_id"], set_=said
        ).returning(*viewer.c)
    )
    return _viewer(result.one())


async def rename(conn: AsyncConnection, viewer_id: str, name: str, now: datetime) -> bool:
    """Keep a display name, making a guest's row. False for the forgotten and the unknown."""
    return await _keep(conn, viewer_id, {"display_name": name}, now)


async def forget(conn: AsyncConnection, viewer_id: str, now: datetime) -> bool:
    """Erase what is known and leave the id behind as deleted. False when there is nobody left."""
    nothing = {
        "display_name": None,
        "issuer": None,
        "external_id": None,
        "email": None,
        "full_name": None,
        "locale": None,
        "segments": None,
        "deleted_at": now,
    }
    return await _keep(conn, viewer_id, nothing, now)


async def forget_rehearsed(conn: AsyncConnection, rehearsal_id: RehearsalId) -> None:
    """The names its guests chose."""
    await conn.execute(
        sa.delete(viewer).where(viewer.c.id.like(guests_pattern(rehearsal_id), escape="\\"))
    )


async def _keep(
    conn: AsyncConnection, viewer_id: str, values: Mapping[str, Any], now: datetime
) -> bool:
    if not is_guest(viewer_id):
        result = await conn.execute(
            sa.update(viewer)
            .where(viewer.c.id == viewer_id, viewer.c.deleted_at.is_(None))
            .values(**values)
        )
        return bool(result.rowcount)
    statement = insert(conn, viewer).values(id=viewer_id, kind="guest", created_at=now, **values)
    result = await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_=dict(values), where=viewer.c.deleted_at.is_(None)
        )
    )
    return bool(result.rowcount)


async def add_consent(
    conn: AsyncConnection, *, subject: str, purpose: str, wording: str, now: datetime
) -> Consent:
    """Record that `subject` agreed, in the caller's transaction. The same words twice: once."""
    same = sa.and_(_open(subject, purpose), consent.c.wording == wording)
    row = (await conn.execute(sa.select(consent).where(same).limit(1))).one_or_none()
    if row is not None:
        return _consent(row)
    given = Consent(
        id=ConsentId(new_id("cns", now)),
        subject=subject,
        purpose=purpose,
        wording=wording,
        granted_at=now,
        withdrawn_at=None,
    )
    await conn.execute(
        sa.insert(consent).values(
            id=given.id, subject=subject, purpose=purpose, wording=wording, granted_at=now
        )
    )
    return given


async def withdraw_consent(
    conn: AsyncConnection, *, subject: str, purpose: str, now: datetime
) -> bool:
    """False when there was none to withdraw."""
    result = await conn.execute(
        sa.update(consent).where(_open(subject, purpose)).values(withdrawn_at=now)
    )
    return bool(result.rowcount)


async def has_consent(conn: AsyncConnection, *, subject: str, purpose: str) -> bool:
    """Whether it was given and not withdrawn. Ask at the moment of use, not before."""
    found = await conn.execute(sa.select(consent.c.id).where(_open(subject, purpose)).limit(1))
    return found.one_or_none() is not None


def _open(subject: str, purpose: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        consent.c.subject == subject,
        consent.c.purpose == purpose,
        consent.c.withdrawn_at.is_(None),
    )


def _consent(row: Any) -> Consent:
    return Consent(
        id=ConsentId(row.id),
        subject=row.subject,
        purpose=row.purpose,
        wording=row.wording,
        granted_at=row.granted_at,
        withdrawn_at=row.withdrawn_at,
    )
