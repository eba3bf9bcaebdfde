"""What is sent and seen agrees with the database, also where the news of a change was lost.

Changes of shows and keys are told by signals after their commit. A commit that goes unanswered may
have been done all the same, and then nobody hears of it; and an API key expires without any commit.
So the database is asked every few seconds what holds, and all of it is said again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.shows import key_store, store
from liveshop.shows.model import (
    Audience,
    AudienceChanged,
    RehearsalEnded,
    RehearsalStarted,
    ShowEnded,
    ShowStarted,
)
from liveshop.shows.service import SendAway, room_of
from liveshop.shows.stream_keys import PERMISSION, PermissionsOf, StreamKeyStopped
from liveshop.storage import Database, StorageUnavailable
from liveshop.video.model import Publishing
from liveshop.video.service import VideoService

_log = structlog.get_logger("shows")

_CHECK_SECONDS: Final = 5.0

Sending = Callable[[], Sequence[Publishing]]
"""What is allowed to the encoders that are connected now."""
Drop = Callable[[Publishing], None]
"""Cut off what this person sends to this show, with such a key or from a browser."""


class VideoGuard:
    """`run()` belongs to the application's background work."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        video: VideoService,
        *,
        sending: Sending,
        drop: Drop,
        permissions_of: PermissionsOf,
        send_away: SendAway,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._video = video
        self._sending = sending
        self._drop = drop
        self._permissions_of = permissions_of
        self._send_away = send_away
        self._check_seconds = check_seconds
        self._audiences: dict[ShowId, Audience] = {}
        """Of the shows that are announced or live, as they were last heard of."""
        self._news = 0
        for kind in (ShowStarted, ShowEnded, RehearsalStarted, RehearsalEnded, StreamKeyStopped):
            database.listen(kind, self._heard)
        database.listen(AudienceChanged, self._heard_of_audience)

    async def run(self) -> None:
        """Until cancelled. May be called again after it broke."""
        while True:
            try:
                await self.check()
            except StorageUnavailable as error:
                _log.warning("video_guard_waits", reason=error.detail)
            await asyncio.sleep(self._check_seconds)

    async def check(self) -> None:
        """Say once more what the database says."""
        news = self._news
        sending = [one for one in self._sending() if one.person_id is not None]
        known = self._audiences.keys() | {one.show_id for one in sending}
        async with self._database.read() as conn:
            shows = await store.on_stage(conn, known)
            stopped = await self._stopped(conn, sending)
        if news != self._news:
            return  # what was read may be older than what was said meanwhile; the next look tells
        self._cut_off(stopped)
        narrowed = [
            one.id
            for one in shows
            if (self._audiences.get(one.id), one.audience) == ("everyone", "customers")
        ]
        self._audiences = {one.id: one.audience for one in shows if not one.is_over}
        for one in shows:
            if one.rehearsal is not None:
                self._video.rehearse(one.id, one.rehearsal.id, one.rehearsal.started_at)
                continue
            for_customers = one.audience == "customers"
            self._video.end_rehearsal(one.id, for_customers=for_customers, at=self._clock.now())
            self._video.restrict(one.id, for_customers=for_customers)
            if one.state == "live":
                self._video.open(one.id, one.started_at)
            elif one.is_over:
                self._video.end(one.id)
        for show_id in narrowed:
            _log.warning("show_narrowed_unheard", show_id=show_id)
            await self._send_away(room_of(show_id))

    async def _stopped(
        self, conn: AsyncConnection, sending: Sequence[Publishing]
    ) -> list[Publishing]:
        """Those whose key was replaced or revoked, or whose person may not send any more. Who sends
        from a browser has no key."""
        if not sending:
            return []
        keys = {
            (key.show_id, key.person_id, key.hint)
            for show_id in {one.show_id for one in sending}
            for key in await key_store.working(conn, show_id)
        }
        now = self._clock.now()
        entitled = {
            person_id
            for person_id in {one.person_id for one in sending}
            if person_id and PERMISSION in await self._permissions_of(conn, person_id, now)
        }
        return [
            one
            for one in sending
            if one.person_id not in entitled
            or (one.key_id and (one.show_id, one.person_id, one.key_id) not in keys)
        ]

    def _cut_off(self, stopped: Iterable[Publishing]) -> None:
        # Who has gone by himself meanwhile may have come again with a key that works.
        still = {_who(one) for one in self._sending()}
        for who, one in {_who(one): one for one in stopped}.items():
            if who in still:
                _log.warning("sender_may_no_longer", show_id=one.show_id)
                self._drop(one)

    def _heard(self, _: object) -> None:
        self._news += 1

    def _heard_of_audience(self, changed: AudienceChanged) -> None:
        self._news += 1
        self._audiences[changed.show_id] = changed.audience


def _who(one: Publishing) -> tuple[ShowId, str, str]:
    return one.show_id, one.person_id or "", one.key_id
