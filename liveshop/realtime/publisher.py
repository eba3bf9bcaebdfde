"""The bridge from committed transactions to rooms; set as `Database.publish` by `app.py`.

It never raises: the transaction is committed, and telling its caller otherwise would be a lie.
"""

import structlog

from liveshop.realtime import frames
from liveshop.realtime.broker import Broker
from liveshop.realtime.model import Draft
from liveshop.storage import Published
from liveshop.web.metrics import Metrics

_log = structlog.get_logger("realtime")


class RoomPublisher:
    def __init__(self, broker: Broker, metrics: Metrics | None = None) -> None:
        self._broker = broker
        self._metrics = metrics

    async def __call__(self, published: list[Published]) -> None:
        by_room: dict[str, list[Published]] = {}
        for item in published:
            by_room.setdefault(item.room, []).append(item)
        for room, items in by_room.items():
            await self._append(room, items)

    async def _append(self, room: str, items: list[Published]) -> None:
        try:
            drafts: list[Draft] = [
                frames.draft(item.type, item.data, item.at, sampled_by=item.sampled_by)
                for item in items
            ]
            await self._broker.append(room, drafts)
        except Exception:  # whatever it was, the log now misses an event, and viewers must know
            _log.exception("publish_failed", room=room)
            await self.renew(room)
            return
        if self._metrics is not None:
            for item in items:
                self._metrics.events.labels(item.type).inc()

    async def renew(self, room: str) -> None:
        """Everybody in the room comes back anew, as far as he still may."""
        try:
            await self._broker.renew(room)
        except Exception:  # the broker is away; it starts a new epoch when it comes back
            _log.exception("renew_failed", room=room)
