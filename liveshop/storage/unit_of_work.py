"""One use case, one transaction: what it writes, and what it tells others once that is safe.

`publish` may be lost (viewers reload a snapshot); `enqueue` may not (it commits with the rest).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.storage.outbox import Jobs


@dataclass(frozen=True, slots=True)
class Published:
    """An event of a room, not yet in the room's log."""

    room: str
    type: str
    data: msgspec.Struct
    at: datetime
    sampled_by: str = ""
    """Whose it is, if viewers may get a fair choice of a crowd's events; empty: they get it."""
    needs_room: bool = False
    """Whether the transaction is refused (retryable) while rooms' logs cannot be reached."""


@dataclass(slots=True)
class Tx:
    conn: AsyncConnection
    published: list[Published] = field(default_factory=list)
    signals: list[object] = field(default_factory=list)
    enqueued: bool = False

    def publish(
        self,
        room: str,
        type_: str,
        data: msgspec.Struct,
        *,
        at: datetime,
        sampled_by: str = "",
        needs_room: bool = False,
    ) -> None:
        """Send an event to a room after this transaction has committed; see `Published`."""
        self.published.append(Published(room, type_, data, at, sampled_by, needs_room))

    def notify(self, signal: object) -> None:
        """Tell listeners in this process (`Database.listen`) after the commit."""
        self.signals.append(signal)

    async def enqueue(
        self,
        topic: str,
        payload: msgspec.Struct,
        *,
        now: datetime,
        key: str | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Leave work for the worker, in this transaction. A `key` already queued is kept once."""
        await Jobs.add(self.conn, topic, payload, now=now, key=key, not_before=not_before or now)
        self.enqueued = True

    async def enqueue_all(
        self, topic: str, payloads: Mapping[str, msgspec.Struct], *, now: datetime
    ) -> None:
        """The same for several by their keys, in one statement."""
        if payloads:
            await Jobs.add_all(self.conn, topic, payloads, now=now)
            self.enqueued = True
