"""What happens to shows' video, written down and told to their rooms, in order.

The log is kept in the database and not beside the streams in memory: hosts look at it afterwards,
and a server that was killed knows from it which pictures its viewers are waiting for. Of several
nodes the one that is the show's origin writes; when it has died, one of the others says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.shows import key_store, log_store, origin_store, store, wire
from liveshop.shows.log_store import Kind, Picture
from liveshop.shows.model import Show, UnknownShow
from liveshop.shows.on_air import video_state
from liveshop.shows.service import room_of
from liveshop.storage import Database, StorageUnavailable, Tx
from liveshop.video.model import (
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoRefused,
    VideoReplaced,
    VideoStarted,
)
from liveshop.video.origins import Origin

_log = structlog.get_logger("shows")

_KINDS: Final[Mapping[type[VideoEvent], Kind]] = {
    VideoStarted: "started",
    VideoChanged: "changed",
    VideoReplaced: "replaced",
    VideoLost: "lost",
    VideoRefused: "refused",
}

NextEvent = Callable[[], Awaitable[VideoEvent]]


class Nodes(Protocol):
    """This node among several."""

    @property
    def node(self) -> str: ...

    async def settle(self) -> None:
        """See `Origins.settle`."""


class Broadcasts:
    """`run()` belongs to the application's background work. `nodes`: None where there is but one.

    Made when the server starts: that moment is when video is gone that a former one had.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        next_event: NextEvent,
        grace_seconds: int,
        again_seconds: float = 1.0,
        nodes: Nodes | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._next_event = next_event
        self._grace = timedelta(seconds=grace_seconds)
        self._again_seconds = again_seconds
        """How long to wait for a database that is away."""
        self._nodes = nodes
        self._started_at = clock.now()
        self._has_taken_stock = False
        self._pending: VideoEvent | None = None

    async def run(self) -> None:
        """Until cancelled. May be called again after it broke."""
        if not self._has_taken_stock:
            await self._patiently(self._note_restart)
            self._has_taken_stock = True
        while True:
            if self._pending is None:
                self._pending = await self._next_event()
            event = self._pending
            try:
                await self._patiently(partial(self.note, event))
            except Exception:  # one event that cannot be written must not hold up those after it
                _log.exception("video_event_not_noted", show=event.show_id)
            self._pending = None

    async def _patiently(self, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await do()
                return
            except StorageUnavailable as error:
                _log.warning("video_log_waits", reason=error.detail)
                await asyncio.sleep(self._again_seconds)

    async def _note_restart(self) -> None:
        """Whatever was on air here is not any more: nobody sends video to a server that was
        away."""
        async with self._database.read() as conn:
            show_ids = await log_store.shows_with_picture(conn)
        for show_id in show_ids:
            lost = VideoLost(show_id, self._started_at, {"reason": "server_restarted"})
            await self._patiently(partial(self.note, lost))

    async def note_gone(self, origin: Origin) -> None:
        """A node has died that had a show's video; each of the others may say so. Raises
        StorageUnavailable."""
        lost = VideoLost(origin.show_id, self._clock.now(), {"reason": "server_restarted"})
        await self.note(lost, gone=origin)

    async def note(self, event: VideoEvent, *, gone: Origin | None = None) -> None:
        """Write one down and tell the room. The same event twice is one entry. `gone`: the node
        that it is said of; None: this one."""
        if self._nodes is not None and gone is None:
            await self._nodes.settle()
        now = self._clock.now()
        async with self._database.write() as tx:
            show = await store.by_id(tx.conn, event.show_id, for_update=True)
            if show is None or _is_after_the_end(show, event.at):
                return
            if not await self._is_told_by(tx, event, gone):
                return
            before = await video_state(tx.conn, show, self._grace)
            is_repeat = not await self._add(tx, show, event)
            seen = await video_state(tx.conn, show, self._grace)
            if is_repeat or seen != before:
                tx.publish(room_of(show.id), "video.changed", seen, at=now)

    async def _is_told_by(self, tx: Tx, event: VideoEvent, gone: Origin | None) -> bool:
        """Whether the node that this is said of is still the show's origin: when another one has
        taken over, what becomes of the former one's picture is no news."""
        if self._nodes is None or isinstance(event, VideoRefused):
            return True
        origin = await origin_store.of_show(tx.conn, event.show_id)
        if gone is not None:
            return origin == gone
        return origin is None or origin.node == self._nodes.node

    async def _add(self, tx: Tx, show: Show, event: VideoEvent) -> bool:
        """False when it is there: the commit before went through, and only its answer was lost."""
        kind = _KINDS[type(event)]
        data: dict[str, Any] = {
            name: value for name, value in event.data.items() if name != "person_id"
        }
        last = await log_store.last(tx.conn, show.id)
        was = await log_store.picture(tx.conn, show.id)
        if last is not None and last.at == event.at:
            kinds: tuple[Kind, ...] = ("started", "back") if kind == "started" else (kind,)
            if last.kind in kinds:
                return False
        if kind == "started" and was is not None and _was_missed(show, was):
            kind = "back"
            data["seconds"] = max(0, round((event.at - was.since).total_seconds()))
        if kind == "lost" and (was is None or not was.is_there):
            return True
        person_id = event.data.get("person_id")
        if isinstance(person_id, str) and person_id:
            name = await key_store.name_of(tx.conn, show.id, person_id)
            if name is not None:
                data["person_name"] = name
        if show.state != "live":
            data["is_preview"] = True
        await log_store.add(tx.conn, show.id, event.at, kind, data)
        return True

    async def log(self, show_id: ShowId) -> wire.ShowLog:
        """Raises UnknownShow."""
        async with self._database.read() as conn:
            if await store.state_of(conn, show_id) is None:
                raise UnknownShow("There is no such show. Check the address.")
            found = await log_store.entries(conn, show_id)
        return wire.ShowLog(
            entries=[wire.LogEntry(at=one.at, kind=one.kind, data=one.data) for one in found]
        )


def _is_after_the_end(show: Show, at: datetime) -> bool:
    """The picture goes with the show; that is no drop."""
    return show.is_over and show.ended_at is not None and at >= show.ended_at


def _was_missed(show: Show, was: Picture) -> bool:
    """Whether viewers were waiting; a test at noon does not make the evening a return."""
    return (
        not was.is_there
        and show.state == "live"
        and (show.started_at is None or was.since >= show.started_at)
    )
