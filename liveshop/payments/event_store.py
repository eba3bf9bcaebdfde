"""All SQL about the inbox of webhooks."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.payments.model import ProviderEvent
from liveshop.payments.tables import payment_event
from liveshop.storage import insert


async def keep(
    conn: AsyncConnection, provider: str, event: ProviderEvent, outcome: str, now: datetime
) -> bool:
    """Write an event down; False when it is there already."""
    result = await conn.execute(
        insert(conn, payment_event)
        .values(
            provider=provider,
            event_id=event.id,
            type=event.type,
            reference=event.reference,
            happened_at=event.happened_at,
            received_at=now,
            outcome=outcome,
        )
        .on_conflict_do_nothing(index_elements=["provider", "event_id"])
    )
    return result.rowcount == 1


async def drop_before(conn: AsyncConnection, before: datetime) -> None:
    await conn.execute(sa.delete(payment_event).where(payment_event.c.received_at < before))


async def is_newest_dispute(conn: AsyncConnection, provider: str, event: ProviderEvent) -> bool:
    """Whether no later event about a dispute of the same payment has been heard."""
    later = await conn.scalar(
        sa.select(payment_event.c.event_id)
        .where(
            payment_event.c.provider == provider,
            payment_event.c.reference == event.reference,
            payment_event.c.outcome == "dispute",
            payment_event.c.happened_at > event.happened_at,
        )
        .limit(1)
    )
    return later is None
