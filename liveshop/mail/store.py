"""All SQL about mails."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import MailId
from liveshop.mail.model import Letter, Mail
from liveshop.mail.tables import mail
from liveshop.storage import insert


async def add(conn: AsyncConnection, new: Mail, key: str) -> bool:
    """False when a mail with this key was written before; nothing is added then."""
    letter = new.letter
    statement = insert(conn, mail).values(
        id=new.id,
        key=key,
        kind=letter.kind,
        order_id=letter.order_id,
        recipient=letter.recipient,
        language=letter.language,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        code=letter.code,
        state=new.state,
        problem=new.problem,
        created_at=new.created_at,
        sent_at=new.sent_at,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["key"])
    return (await conn.execute(statement)).rowcount == 1


async def by_id(conn: AsyncConnection, mail_id: MailId) -> Mail | None:
    row = (await conn.execute(sa.select(mail).where(mail.c.id == mail_id))).one_or_none()
    return None if row is None else _mail(row)


async def page(
    conn: AsyncConnection, *, order_id: str | None, before: MailId | None, limit: int
) -> list[Mail]:
    """Newest first, without what they say. Ids sort by time, so the id is the cursor."""
    bodies = {"text": sa.literal(""), "html": sa.null(), "code": sa.null()}
    columns = [
        bodies[column.name].label(column.name) if column.name in bodies else column
        for column in mail.c
    ]
    query = sa.select(*columns).order_by(mail.c.id.desc()).limit(limit)
    if order_id is not None:
        query = query.where(mail.c.order_id == order_id)
    if before is not None:
        query = query.where(mail.c.id < before)
    return [_mail(row) for row in await conn.execute(query)]


async def record(
    conn: AsyncConnection,
    mail_id: MailId,
    state: str,
    *,
    problem: str | None = None,
    sent_at: datetime | None = None,
) -> bool:
    """What became of a mail that waited; False when that was known."""
    result = await conn.execute(
        sa.update(mail)
        .where(mail.c.id == mail_id, mail.c.state == "queued")
        .values(state=state, problem=problem, sent_at=sent_at)
    )
    return result.rowcount == 1


async def with_old_bodies(conn: AsyncConnection, before: datetime, limit: int) -> list[MailId]:
    """Mails written before this that still say something and need not be sent any more."""
    found = await conn.scalars(
        sa.select(mail.c.id)
        .where(mail.c.created_at < before, mail.c.state != "queued", mail.c.text != "")
        .order_by(mail.c.created_at)
        .limit(limit)
    )
    return [MailId(id_) for id_ in found]


async def drop_bodies(conn: AsyncConnection, mail_ids: Collection[MailId]) -> None:
    await conn.execute(
        sa.update(mail).where(mail.c.id.in_(mail_ids)).values(text="", html=None, code=None)
    )


async def delete_of_orders(conn: AsyncConnection, order_ids: Collection[str]) -> None:
    await conn.execute(sa.delete(mail).where(mail.c.order_id.in_(order_ids)))


def _mail(row: sa.Row[Any]) -> Mail:
    return Mail(
        id=MailId(row.id),
        letter=Letter(
            kind=row.kind,
            recipient=row.recipient,
            language=row.language,
            subject=row.subject,
            text=row.text,
            html=row.html,
            order_id=row.order_id,
            code=row.code,
        ),
        state=row.state,
        problem=row.problem,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
