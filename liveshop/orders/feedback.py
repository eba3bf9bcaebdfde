"""Two questions after an order: how easy was it, and how satisfied are you. One answer per order,
which may be changed; a question left out keeps the answer it had.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import OrderId
from liveshop.kernel.text import clean_text
from liveshop.orders import wire
from liveshop.orders.acting import known
from liveshop.orders.model import Actor, Feedback, NotNow, UnknownOrder
from liveshop.orders.tables import order_feedback
from liveshop.storage import Database, insert

COMMENT_LENGTH = 1000
EFFORT_VALUES = range(1, 8)
SATISFACTION_VALUES = range(1, 6)
SATISFIED = (4, 5)
"""CSAT counts those who are satisfied or very satisfied."""


class FeedbackService:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def give(self, order_id: OrderId, given: wire.FeedbackInput, actor: Actor) -> Feedback:
        """Note the buyer's answers; an empty comment takes the one there was away.

        Raises UnknownOrder (also for what is not this buyer's), NotNow before the order is
        confirmed, Invalid for no answer at all, BadText.
        """
        comment = None
        if given.comment is not None:
            comment = clean_text(
                given.comment, max_length=COMMENT_LENGTH, field="comment", empty=True
            )
        if given.effort is None and given.satisfaction is None and comment is None:
            raise Invalid("Answer one of the questions.", data={"field": "effort"})
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await known(tx, order_id)
            if order.viewer_id != actor.id:
                raise UnknownOrder("There is no such order of yours.")
            if order.state != "confirmed":
                raise NotNow(
                    "This can be answered once the order is confirmed.", data={"state": order.state}
                )
            statement = insert(tx.conn, order_feedback).values(
                order_id=order_id,
                effort=given.effort,
                satisfaction=given.satisfaction,
                comment=comment,
                at=now,
            )
            answered = {
                name: value
                for name, value in (
                    ("effort", given.effort),
                    ("satisfaction", given.satisfaction),
                    ("comment", comment),
                )
                if value is not None
            }
            await tx.conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["order_id"], set_=answered | {"at": now}
                )
            )
            found = await of_order(tx.conn, order_id)
        assert found is not None
        return found

    async def summary(self, since: datetime | None) -> wire.FeedbackSummary:
        """What buyers answered at or after that moment, or ever."""
        async with self._database.read() as conn:
            efforts = await _counted(conn, order_feedback.c.effort, EFFORT_VALUES, since)
            satisfactions = await _counted(
                conn, order_feedback.c.satisfaction, SATISFACTION_VALUES, since
            )
            has_comment = sa.case((order_feedback.c.comment != "", 1))
            both = sa.select(sa.func.count(order_feedback.c.order_id), sa.func.count(has_comment))
            count, comments = (await conn.execute(both.where(_since(since)))).one()
        happy = sum(satisfactions[value - 1] for value in SATISFIED)
        answers = sum(satisfactions)
        return wire.FeedbackSummary(
            count=count,
            effort=_numbers(efforts),
            satisfaction=_numbers(satisfactions),
            satisfied=round(happy / answers, 3) if answers else None,
            comments=comments,
        )


async def of_order(conn: AsyncConnection, order_id: OrderId) -> Feedback | None:
    found = await conn.execute(
        sa.select(order_feedback).where(order_feedback.c.order_id == order_id)
    )
    row = found.one_or_none()
    if row is None:
        return None
    return Feedback(row.effort, row.satisfaction, row.comment or None, row.at)


async def _counted(
    conn: AsyncConnection, column: sa.Column[int], values: range, since: datetime | None
) -> list[int]:
    """Answers by value, zeros included."""
    query = sa.select(column, sa.func.count()).where(column.is_not(None), _since(since))
    found = {row[0]: row[1] for row in await conn.execute(query.group_by(column))}
    return [found.get(value, 0) for value in values]


def _since(since: datetime | None) -> sa.ColumnElement[bool]:
    return sa.true() if since is None else order_feedback.c.at >= since


def _numbers(distribution: Sequence[int]) -> wire.FeedbackNumbers:
    count = sum(distribution)
    whole = sum(value * answers for value, answers in enumerate(distribution, start=1))
    return wire.FeedbackNumbers(
        count=count,
        mean=round(whole / count, 2) if count else None,
        distribution=list(distribution),
    )
