"""What was committed here is heard on the other nodes: `tx.notify`, over a channel of PostgreSQL.

Not over Redis: a revoked key or the end of a show has to arrive while that is away too. Sent after
the commit and gathered for a moment, because a NOTIFY inside a transaction makes all that have one
commit one after another. So a signal is lost where a node dies within that moment: whoever hears
signals looks at the database by himself from time to time, or is told that something was missed.

A connection of its own listens; behind PgBouncer it needs session pooling.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import new_secret
from liveshop.storage.engine import Database
from liveshop.storage.postgres import Notify

_CHANNEL = "liveshop_signals"
_GATHER_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_MOST_IDS = 100
"""In one: PostgreSQL takes fewer than 8000 bytes."""
_MOST_AT_ONCE = 100
_MOST_WAITING = 10_000
_MISSED = "missed"
_log = structlog.get_logger("nodes")


class _Said(msgspec.Struct, array_like=True):
    by: str
    type: str
    data: Any


class Signals:
    """`kinds`: frozen dataclasses that other nodes are told of. `on_missed`: something was not
    heard. `run()` belongs to the application's background work.

    `database`: the one requests use, whose listeners are told. `own`: one with a connection to
    keep.
    """

    def __init__(
        self,
        database: Database,
        own: Database,
        kinds: Sequence[type],
        *,
        on_missed: Callable[[], None],
    ) -> None:
        self._database = database
        self._own = own
        self._kinds = {kind.__name__: kind for kind in kinds}
        self._on_missed = on_missed
        self._me = new_secret(6)
        self._waiting: list[object] = []
        self._has_heard = False
        self._wake = asyncio.Event()
        for kind in kinds:
            database.listen(kind, self._gather, only_here=True)

    def _gather(self, signal: object) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(signal)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A database that is away is waited for."""
        while True:
            try:
                await self._exchange()
            except (ShopError, SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("signals_wait", reason=type(error).__name__)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _exchange(self) -> None:
        """Until the connection is gone."""
        async with self._own.hearing(_CHANNEL, self._hear) as notify:
            if self._has_heard:
                self._on_missed()
            self._has_heard = True
            while True:
                self._wake.clear()
                await self._send(notify)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._wake.wait()
                await asyncio.sleep(_GATHER_SECONDS)

    async def _send(self, notify: Notify) -> None:
        """What waits, or else nothing, which finds out whether the connection still hears."""
        if len(self._waiting) == _MOST_WAITING:
            await notify(_MISSED)
        sent = self._waiting[:_MOST_AT_ONCE]
        for payload in self._payloads(sent) or [""]:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await notify(payload)
        del self._waiting[: len(sent)]
        if self._waiting:
            self._wake.set()

    def _payloads(self, signals: Sequence[object]) -> list[str]:
        """The same signal twice is said once."""
        parts = [part for signal in signals for part in _parts(signal)]
        said = [msgspec.json.encode(_Said(self._me, type(one).__name__, one)) for one in parts]
        return [one.decode() for one in dict.fromkeys(said)]

    def _hear(self, payload: str) -> None:
        if not payload:
            return
        if payload == _MISSED:
            self._on_missed()
            return
        try:
            said = msgspec.json.decode(payload, type=_Said)
            if said.by == self._me:
                return
            signal: object = msgspec.convert(said.data, self._kinds[said.type])
        except (msgspec.MsgspecError, KeyError):
            _log.warning("signal_not_understood")  # of a newer or older version
            self._on_missed()
            return
        self._database.tell(signal)


def _parts(signal: Any) -> list[Any]:
    """Of a long list of ids several short ones."""
    values = [getattr(signal, one.name) for one in dataclasses.fields(signal)]
    if len(values) != 1 or not isinstance(values[0], tuple):
        return [signal]
    ids = values[0]
    return [type(signal)(ids[at : at + _MOST_IDS]) for at in range(0, len(ids), _MOST_IDS)]
