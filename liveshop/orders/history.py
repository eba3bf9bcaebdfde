"""What happened to an order: who, when, why. Rows are only ever added, each in the transaction of
what it tells of, so nothing happens without a trace and no trace is of what did not happen.

What a buyer has to be told of leaves a job for the letter in the same transaction.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, new_id
from liveshop.orders.model import Actor, OrderEvent, is_rehearsed
from liveshop.orders.tables import order_event
from liveshop.storage import Tx

TOPIC = "orders.letter"

TOLD: frozenset[str] = frozenset(
    {
        "order.confirmed",
        "order.cancelled",
        "fulfilment.ready",
        "fulfilment.shipped",
        "fulfilment.delivered",
        "fulfilment.collected",
        "fulfilment.released",
        "return.received",
        "return.refused",
        "refund.done",
    }
)
"""Kinds of events that the buyer hears of."""

_SUBJECTS = ("order", "payment", "fulfilment", "return", "refund")
_NAME_LENGTH = 120


class LetterJob(msgspec.Struct):
    event_id: str


async def note(tx: Tx, *events: OrderEvent) -> None:
    """Write these down, which happen at one moment, in one statement, and leave the letters there
    have to be to the worker, in another. What happens in a rehearsal is told to nobody by mail.

    `data` is flat, of what JSON can hold, and without personal data: it is never forgotten.
    """
    if not events:
        return
    # Ids of one millisecond come in any order: sorted, they keep that of the events.
    ids = sorted(new_id("evt", event.at) for event in events)
    rows = [_row(id_, event) for id_, event in zip(ids, events, strict=True)]
    await tx.conn.execute(sa.insert(order_event), rows)
    told = [
        id_
        for id_, event in zip(ids, events, strict=True)
        if event.kind in TOLD and not is_rehearsed(event.order_id)
    ]
    await tx.enqueue_all(TOPIC, {id_: LetterJob(id_) for id_ in told}, now=events[-1].at)


async def of_order(conn: AsyncConnection, order_id: OrderId) -> list[OrderEvent]:
    """All that happened to it, the first first; of one moment, the order's own before what follows
    from it."""
    rows = await conn.execute(
        sa.select(order_event)
        .where(order_event.c.order_id == order_id)
        .order_by(order_event.c.at, order_event.c.id)
    )
    return sorted(map(_event, rows), key=lambda event: (event.at, _rank(event.kind)))


async def by_id(conn: AsyncConnection, event_id: str) -> OrderEvent | None:
    found = await conn.execute(sa.select(order_event).where(order_event.c.id == event_id))
    row = found.one_or_none()
    return None if row is None else _event(row)


def _rank(kind: str) -> int:
    subject = kind.partition(".")[0]
    return _SUBJECTS.index(subject) if subject in _SUBJECTS else len(_SUBJECTS)


def _row(id_: str, event: OrderEvent) -> dict[str, Any]:
    name = event.actor.name
    return {
        "id": id_,
        "order_id": event.order_id,
        "at": event.at,
        "actor_kind": event.actor.kind,
        "actor_id": event.actor.id,
        "actor_name": name[:_NAME_LENGTH] if name else None,
        "kind": event.kind,
        "data": dict(event.data),
        "note": event.note,
    }


def _event(row: sa.Row[Any]) -> OrderEvent:
    return OrderEvent(
        order_id=OrderId(row.order_id),
        at=row.at,
        actor=Actor(row.actor_kind, row.actor_id, row.actor_name),
        kind=row.kind,
        data=row.data,
        note=row.note,
    )
