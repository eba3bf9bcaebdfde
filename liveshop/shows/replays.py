"""A show becomes its replay: what becomes of recordings after their shows.

What the disk has is `Recordings`'; what was decided about it stands in the database, so that it
holds for every process and after a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock, bounded
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, ShowId, new_id
from liveshop.settings import Settings
from liveshop.shows import replay_store, replay_wire, store, wire
from liveshop.shows.model import AudienceChanged, Show, ShowEnded, UnknownShow
from liveshop.shows.replay_files import MAKE, REMOVE, MakeFile, Remove
from liveshop.shows.replay_model import (
    LONGEST_CLIP,
    MAX_FILES,
    BadFile,
    BadKeep,
    BadTrim,
    File,
    FileId,
    FileKind,
    NothingRecorded,
    Recorded,
    Span,
    StillRunning,
    TooManyFiles,
    UnknownFile,
    access_of,
    check_span,
    moment_of,
)
from liveshop.shows.replay_viewing import RecordedShows, ReplayViewing, Stretch
from liveshop.shows.service import ShowService, locked_show, room_of
from liveshop.storage import Database, StorageUnavailable, Tx
from liveshop.video.recorded import Facts

_log = structlog.get_logger("shows")

_LOOK_SECONDS: Final = 15.0
_PATIENCE: Final = timedelta(seconds=30)
"""After so long the process that recorded an ended show is gone: nobody else ends its recording."""
_CLOSING: Final = timedelta(minutes=2)
"""After the show, until all of it is on disk."""
_SWEEP_AFTER: Final = timedelta(minutes=15)
"""What was on its way to the archive when it was deleted has arrived by then."""
_MOST_DAYS: Final = 36_500
_MOST_UNTOLD: Final = 200
_MADE_AT_ONCE: Final[tuple[FileKind, ...]] = ("poster", "sprites", "mp4")
"""When a show has ended, in this order."""


class Replays(ReplayViewing):
    """`cancel` stops what is being made of files that are not wanted any more."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        shows: ShowService,
        recordings: RecordedShows,
    ) -> None:
        super().__init__(database, clock, settings, shows, recordings)
        self._days = min(settings.video.replay_days, _MOST_DAYS)
        self._at_once = settings.video.replay_at_once
        self._without: set[ShowId] = set()
        """Shows that are over and of which nothing was recorded here."""
        self._unreadable: set[ShowId] = set()
        """Shows whose trouble was told."""
        self.cancel: Callable[[Collection[FileId]], Awaitable[None]] = _nothing_to_cancel
        self._wake = asyncio.Event()
        database.listen(ShowEnded, lambda _: self._wake.set())
        database.listen(AudienceChanged, lambda new: self.forget_window(new.show_id))

    # -- how it begins and ends

    async def run(self) -> None:
        """Until cancelled: finds recordings whose end nobody told, such as those of shows that
        ended while the server was away. May be called again after it broke."""
        since = timedelta(days=max(self._days, 1))
        while True:
            self._wake.clear()
            try:
                await self.check(since)
                since = timedelta(days=1)
            except StorageUnavailable as error:
                _log.warning("replays_wait", reason=error.detail)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()

    async def check(self, since: timedelta = timedelta(days=1)) -> None:
        """Of the shows that ended so lately, whose recording is not known yet."""
        now = self._clock.now()
        async with self._database.read() as conn:
            shows = await replay_store.untold(conn, now - since, limit=_MOST_UNTOLD)
        for show_id, ended_at in shows:
            if show_id in self._without:
                continue
            try:
                await self._look_at(show_id, is_late=now - ended_at > _PATIENCE)
            except StorageUnavailable:
                raise
            except Exception as error:  # of one: the others are looked at all the same
                if show_id not in self._unreadable:
                    self._unreadable.add(show_id)
                    is_known = isinstance(error, ShopError)
                    _log.warning(
                        "replay_waits", show_id=show_id, reason=str(error), exc_info=not is_known
                    )

    async def _look_at(self, show_id: ShowId, *, is_late: bool) -> None:
        facts = await self._recordings.facts(show_id)
        if facts is None and is_late:
            self._without.add(show_id)
        elif facts is not None and facts.is_ended:
            await self.on_ended(show_id, facts)
        elif facts is not None and is_late:
            self._recordings.end(show_id)

    async def expire(self) -> None:
        """Housekeeping, hourly: recordings that are kept no longer."""
        async with self._database.read() as conn:
            shows = await replay_store.expired(conn, self._clock.now(), limit=_MOST_UNTOLD)
        for show_id in shows:
            await self._delete(show_id, only_expired=True)

    async def forget(self, show_ids: Collection[ShowId]) -> None:
        """Housekeeping: of these recordings, those that nobody wrote down within the days they are
        kept, as when replays were switched off meanwhile."""
        before = self._clock.now() - timedelta(days=max(self._days, 1)) - _SWEEP_AFTER
        async with self._database.read() as conn:
            shows = await replay_store.forgotten(conn, show_ids, before)
        for show_id in shows:
            _log.info("forgotten_recording_removed", show_id=show_id)
            await self._recordings.remove(show_id)

    async def on_ended(self, show_id: ShowId, facts: Facts) -> None:
        """What the show had is on disk. Told twice is once."""
        now = self._clock.now()
        if self._days == 0:
            return
        facts = await self._since_live(show_id, facts)
        is_empty = facts.started_at >= facts.ended_at
        async with self._database.write() as tx:
            show = await store.by_id(tx.conn, show_id, for_update=True)
            if show is None or not show.is_over:
                return
            if await replay_store.recording(tx.conn, show_id) is not None:
                return
            recorded = Recorded(
                show_id=show_id,
                state="ended",
                started_at=None if is_empty else facts.started_at,
                ended_at=None if is_empty else facts.ended_at,
                seconds=facts.seconds,
                byte_count=facts.byte_count,
                gaps=facts.gaps,
                shortage=facts.shortage,
                expires_at=(show.ended_at or now) + timedelta(days=self._days),
            )
            await replay_store.put(tx.conn, recorded)
            if is_empty:
                return
            state = "replay" if self._at_once and show.state == "ended" else show.state
            await self._save(tx, replace(show, state=state, is_recorded=True), now)
            files = [_file(show_id, kind, now, from_at=facts.started_at) for kind in _MADE_AT_ONCE]
            await self._make(tx, files, now)
        self.forget_window(show_id)

    async def _since_live(self, show_id: ShowId, facts: Facts) -> Facts:
        """Without what encoders sent in a burst when the show went live, which is of the time
        before: from the first keyframe after it on."""
        async with self._database.read() as conn:
            show = await store.by_id(conn, show_id)
        live_at = None if show is None else show.started_at
        if live_at is None or facts.started_at >= live_at:
            return facts
        starts_at = live_at
        seconds = (live_at - facts.started_at).total_seconds()
        before: Collection[Stretch] = ()
        try:
            before = (await self._recordings.replay(show_id, None, live_at)).shown.values()
        except ShopError as error:
            # It is cut by the clock then, to the keyframe before.
            _log.warning("replay_cut_by_clock", show_id=show_id, reason=error.detail)
        for one in before:
            starts_at = max(starts_at, one.starts_at + timedelta(seconds=one.seconds))
        if before:
            seconds = sum(one.seconds for one in before)
        return replace(facts, started_at=starts_at, seconds=max(0.0, facts.seconds - seconds))

    # -- for the show's staff

    async def recording(self, show_id: ShowId) -> replay_wire.Recording:
        """Raises UnknownShow."""
        now = self._clock.now()
        async with self._database.read() as conn:
            found = await _played(conn, show_id)
            files = await replay_store.files(conn, show_id)
            window = await self._whole_window(conn, found)
        recorded = found.recorded
        if recorded is None:
            return await self._unfinished(show_id, found.over_at, now)
        return replay_wire.Recording(
            show_id=show_id,
            state=recorded.state,
            started_at=recorded.started_at,
            ended_at=recorded.ended_at,
            seconds=recorded.seconds,
            bytes=recorded.byte_count,
            gaps=recorded.gaps,
            shortage=recorded.shortage,
            trim=replay_wire.Trim(from_at=recorded.trim_from, until_at=recorded.trim_until),
            expires_at=recorded.expires_at,
            is_archived=await self._recordings.is_archived(show_id),
            loudness_lufs=recorded.loudness_lufs,
            preview=None if recorded.span is None else self._links.preview(show_id, now),
            files=[self._links.file_out(one, window, now) for one in files],
        )

    async def trim(self, show_id: ShowId, to: replay_wire.Trim) -> replay_wire.Recording:
        """What viewers see of it; whole files and pictures of it are made anew.

        Raises UnknownShow, NothingRecorded, StillRunning, BadTrim.
        """
        now = self._clock.now()
        stale: list[File] = []
        async with self._database.write() as tx:
            show, recorded, span = await _ended(tx.conn, show_id)
            check_span(to.from_at, to.until_at, span, BadTrim)
            trimmed = replace(recorded, trim_from=to.from_at, trim_until=to.until_at)
            if trimmed != recorded:
                await replay_store.put(tx.conn, trimmed)
                await self._save(tx, show, now)
                stale = [
                    one
                    for one in await replay_store.files(tx.conn, show_id)
                    if one.kind in _MADE_AT_ONCE
                ]
                await self._drop(tx, show_id, stale, now)
                new = [
                    _file(
                        show_id,
                        one.kind,
                        now,
                        from_at=to.from_at or span.from_at,
                        until_at=to.until_at,
                        is_vertical=one.is_vertical,
                        is_loudness_normal=one.is_loudness_normal,
                    )
                    for one in stale
                ]
                await self._make(tx, new, now)
        self.forget_window(show_id)
        await self._clear(show_id, stale)
        return await self.recording(show_id)

    async def keep(self, show_id: ShowId, keep: replay_wire.Keep) -> replay_wire.Recording:
        """Raises UnknownShow, NothingRecorded, StillRunning, BadKeep."""
        now = self._clock.now()
        until = None if keep.until is None else bounded(keep.until)
        if until is not None and until <= now:
            raise BadKeep(
                "This moment has passed. To remove the recording now, delete it.",
                data={"field": "until"},
            )
        async with self._database.write() as tx:
            _, recorded, _ = await _ended(tx.conn, show_id)
            await replay_store.put(tx.conn, replace(recorded, expires_at=until))
        return await self.recording(show_id)

    async def delete(self, show_id: ShowId) -> None:
        """Everything of it, files too. May be repeated. Raises UnknownShow, StillRunning."""
        await self._delete(show_id)

    async def _delete(self, show_id: ShowId, *, only_expired: bool = False) -> None:
        now = self._clock.now()
        async with self._database.write() as tx:
            show = await locked_show(tx.conn, show_id)
            if not show.is_over:
                raise StillRunning("The show is not over: end it first.")
            recorded = await replay_store.recording(tx.conn, show_id)
            if only_expired and not (
                recorded is not None
                and recorded.expires_at is not None
                and recorded.expires_at <= now
            ):
                return  # somebody has kept it meanwhile
            files = await replay_store.remove_files(tx.conn, show_id)
            if recorded is None or recorded.state != "deleted":
                await replay_store.put(tx.conn, Recorded(show_id, "deleted", None, None))
                state = show.state
                if show.is_recorded and state == "replay" and not show.replay_url:
                    state = "ended"
                await self._save(tx, replace(show, state=state, is_recorded=False), now)
            await self._remove(tx, Remove(show_id, None), now)
        self.forget_window(show_id)
        await self._clear(show_id, files, is_all=True)

    async def request_file(
        self, show_id: ShowId, given: replay_wire.FileInput
    ) -> replay_wire.RecordingFile:
        """What is asked for twice is made once.

        Raises UnknownShow, NothingRecorded, StillRunning, BadFile, TooManyFiles.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            show, recorded, _ = await _ended(tx.conn, show_id)
            wanted = await self._wanted(tx.conn, recorded, given, now)
            files = await replay_store.files(tx.conn, show_id)
            known = next((one for one in files if one.made_of == wanted.made_of), None)
            if known is not None and known.state != "failed":
                wanted = known
            else:
                if known is not None:
                    await replay_store.remove_files(tx.conn, show_id, [known.id])
                elif len(files) >= MAX_FILES:
                    raise TooManyFiles(
                        f"There are {MAX_FILES} files of this show. Delete one first."
                    )
                await self._make(tx, [wanted], now)
            window = access_of(
                show.state, show.audience, recorded, is_replaced=bool(show.replay_url)
            )
        return self._links.file_out(wanted, window, now)

    async def _wanted(
        self,
        conn: AsyncConnection,
        recorded: Recorded,
        given: replay_wire.FileInput,
        now: datetime,
    ) -> File:
        shown = recorded.shown
        assert shown is not None, "it is one that ended"
        from_at, until_at = shown.from_at, recorded.trim_until
        product_id = None if given.product_id is None else ProductId(given.product_id)
        has_times = given.from_at is not None or given.until_at is not None
        if given.kind != "clip" and (product_id is not None or has_times):
            raise BadFile("This is made of the whole recording. For a part of it, ask for a clip.")
        if given.kind != "clip" and given.is_vertical:
            raise BadFile("Only clips can be cropped to 9:16.", data={"field": "is_vertical"})
        if given.kind in ("poster", "sprites") and given.is_loudness_normal:
            raise BadFile("Pictures have no sound.", data={"field": "is_loudness_normal"})
        if given.kind == "clip":
            if has_times:
                span = check_span(given.from_at, given.until_at, shown, BadFile)
                if product_id is not None and not await replay_store.titles(conn, [product_id]):
                    raise BadFile("There is no such product.", data={"field": "product_id"})
            elif product_id is not None:
                pins = await replay_store.pins(conn, recorded.show_id, until=shown.until_at)
                span = moment_of(product_id, pins, shown)
            else:
                raise BadFile("Say which product's moment, or from when until when.")
            if span.until_at - span.from_at > LONGEST_CLIP:
                minutes = LONGEST_CLIP // timedelta(minutes=1)
                raise BadFile(
                    f"A clip lasts {minutes} minutes at most: say from when until when.",
                    data={"field": "until_at", "most_seconds": 60 * minutes},
                )
            from_at, until_at = span.from_at, span.until_at
        return _file(
            recorded.show_id,
            given.kind,
            now,
            product_id=product_id,
            from_at=from_at,
            until_at=until_at,
            is_vertical=given.is_vertical,
            is_loudness_normal=given.is_loudness_normal,
        )

    async def remove_file(self, show_id: ShowId, file_id: FileId) -> None:
        """Raises UnknownShow, UnknownFile."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await locked_show(tx.conn, show_id)
            files = await replay_store.remove_files(tx.conn, show_id, [file_id])
            if not files:
                raise UnknownFile("There is no such file; it may have been deleted.")
            await self._drop(tx, show_id, files, now)
        await self._clear(show_id, files)

    # -- shared

    async def _save(self, tx: Tx, changed: Show, now: datetime) -> None:
        changed = replace(changed, version=changed.version + 1)
        await store.save(tx.conn, changed)
        await replay_store.set_recorded(tx.conn, changed.id, is_recorded=changed.is_recorded)
        out = await self._shows.show_out(tx.conn, changed)
        tx.publish(room_of(changed.id), "show.changed", wire.ShowChanged(out), at=now)

    async def _make(self, tx: Tx, files: Sequence[File], now: datetime) -> None:
        """One after the other, in this order."""
        if not files:
            return
        step = timedelta(microseconds=1)
        await replay_store.add_files(
            tx.conn,
            [replace(one, created_at=now + place * step) for place, one in enumerate(files)],
        )
        for place, one in enumerate(files):
            earlier = (len(files) - place) * step
            job = MakeFile(one.id, one.show_id, one.name)
            await tx.enqueue(MAKE, job, now=now, not_before=now - earlier)

    async def _drop(self, tx: Tx, show_id: ShowId, files: Sequence[File], now: datetime) -> None:
        if files:
            await replay_store.remove_files(tx.conn, show_id, [one.id for one in files])
            await self._remove(tx, Remove(show_id, [one.name for one in files]), now)

    async def _remove(self, tx: Tx, what: Remove, now: datetime) -> None:
        for at in (now, now + _SWEEP_AFTER):
            await tx.enqueue(REMOVE, what, now=now, not_before=at)

    async def _clear(self, show_id: ShowId, files: Sequence[File], *, is_all: bool = False) -> None:
        """At once what a job does too, which may have to wait for others."""
        await self.cancel([one.id for one in files])
        try:
            if is_all:
                await self._recordings.remove(show_id)
                return
            for one in files:
                await self._recordings.remove_file(show_id, one.name)
        except Exception:  # the job does it again, and tells what hinders it
            _log.warning("recorded_files_stay", show_id=show_id, exc_info=True)

    async def _unfinished(
        self, show_id: ShowId, over_at: datetime | None, now: datetime
    ) -> replay_wire.Recording:
        """Of a show that runs, or has ended just now, or of which nothing is kept."""
        facts = await self._recordings.facts(show_id)
        is_closed = over_at is not None and now - over_at > _CLOSING
        kept = None if self._days == 0 or is_closed else facts
        return replay_wire.Recording(
            show_id=show_id,
            state="none" if kept is None else "recording",
            started_at=None if kept is None else kept.started_at,
            ended_at=None,
            seconds=0.0 if kept is None else kept.seconds,
            bytes=0 if kept is None else kept.byte_count,
            gaps=0 if kept is None else kept.gaps,
            shortage=None if facts is None else facts.shortage,
            trim=replay_wire.Trim(from_at=None, until_at=None),
            expires_at=None,
            is_archived=False,
            loudness_lufs=None,
            preview=None,
            files=[],
        )


async def _nothing_to_cancel(_: Collection[FileId]) -> None:
    return None


async def _played(conn: AsyncConnection, show_id: ShowId) -> replay_store.Played:
    found = await replay_store.played(conn, show_id)
    if found is None:
        raise UnknownShow("There is no such show. Check the address.")
    return found


async def _ended(conn: AsyncConnection, show_id: ShowId) -> tuple[Show, Recorded, Span]:
    """A show's recording, whole. Raises UnknownShow, StillRunning, NothingRecorded."""
    show = await locked_show(conn, show_id)
    if not show.is_over:
        raise StillRunning("The show is not over: its recording can be changed afterwards.")
    recorded = await replay_store.recording(conn, show_id)
    if recorded is None or recorded.span is None:
        raise NothingRecorded("There is no recording of this show.")
    return show, recorded, recorded.span


def _file(show_id: ShowId, kind: FileKind, now: datetime, **values: Any) -> File:
    return File(FileId(new_id("rcf", now)), show_id, kind, "waiting", now, **values)
