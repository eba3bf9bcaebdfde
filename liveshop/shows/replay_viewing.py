"""What viewers play of a show's recording: whether they may, from where, with which chapters."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId
from liveshop.settings import Settings
from liveshop.shows import replay_store, replay_wire
from liveshop.shows.model import Show
from liveshop.shows.replay_links import ReplayLinks
from liveshop.shows.replay_model import (
    NOTHING,
    Access,
    File,
    FileKind,
    NoReplay,
    Recorded,
    Span,
    Window,
    access_of,
    chapters,
    hidden_clips,
)
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.video.recorded import Facts
from liveshop.web import Principal

_WINDOW_SECONDS: Final = 3.0
_MAX_WINDOWS: Final = 2000


class Stretch(Protocol):
    """Some seconds without a gap."""

    @property
    def starts_at(self) -> datetime: ...

    @property
    def seconds(self) -> float: ...


class Played(Protocol):
    @property
    def shown(self) -> Mapping[int, Stretch]: ...


class RecordedShows(Protocol):
    """What is on disk or in the archive; `video.recording.Recordings` is that."""

    async def facts(self, show_id: ShowId) -> Facts | None: ...

    async def is_archived(self, show_id: ShowId) -> bool: ...

    async def replay(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None
    ) -> Played: ...

    def end(self, show_id: ShowId) -> None: ...

    async def remove_file(self, show_id: ShowId, name: str) -> None: ...

    async def remove(self, show_id: ShowId) -> None: ...


@dataclass(frozen=True, slots=True)
class _Cached:
    window: Window
    until: float


@dataclass(frozen=True, slots=True)
class Film:
    """What plays without a player of ours; addresses under the public one."""

    mp4: str
    seconds: float
    poster: str | None


@dataclass(frozen=True, slots=True)
class Poster:
    url: str
    width: int
    height: int


class ReplayViewing:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        shows: ShowService,
        recordings: RecordedShows,
    ) -> None:
        self._database = database
        self._clock = clock
        self._shows = shows
        self._recordings = recordings
        self._links = ReplayLinks(settings)
        self._windows: dict[ShowId, _Cached] = {}

    async def replay(self, show_id: ShowId, who: Principal) -> replay_wire.Replay:
        """Raises UnknownShow, CustomersOnly, NoReplay."""
        now = self._clock.now()
        async with self._database.read() as conn:
            show = await self._shows.visible(conn, show_id, who)
            recorded = await replay_store.recording(conn, show_id)
            shown = None if recorded is None else recorded.shown
            window = access_of(
                show.state, show.audience, recorded, is_replaced=bool(show.replay_url)
            )
            is_open = window.access != "nobody"
            if recorded is None or shown is None or not (is_open or who.may("shows:read")):
                raise NoReplay("There is no recording of this show to play.")
            files = await replay_store.files(conn, show_id)
            pins = await replay_store.pins(conn, show_id, until=shown.until_at)
            wanted = {pin.product_id for pin in pins if pin.product_id is not None}
            titles = await replay_store.titles(conn, wanted)
        parts = [
            replay_wire.Chapter(
                product_id=one.product_id,
                title=show.title if one.product_id is None else titles.get(one.product_id, ""),
                from_at=one.from_at,
                until_at=one.until_at,
            )
            for one in chapters(pins, shown, await self._spans(recorded))
        ]
        named = self._links.named(show_id, window.access, now)
        poster = ready(files, "poster")
        sprites = ready(files, "sprites")
        return replay_wire.Replay(
            show_id=show_id,
            hls=self._links.hls(named),
            started_at=shown.from_at,
            ended_at=shown.until_at,
            seconds=min(recorded.seconds, (shown.until_at - shown.from_at).total_seconds()),
            poster=None if poster is None else self._links.file(poster, window.access, now),
            sprites=None if sprites is None else self._links.sprites(sprites, window.access, now),
            chapters=parts,
        )

    async def film(self, conn: AsyncConnection, show: Show) -> Film | None:
        """For pages that show it to everybody who may see them; None until it is made."""
        if show.state != "replay" or show.replay_url or not show.is_recorded:
            return None
        files = await replay_store.files(conn, show.id)
        mp4, poster = ready(files, "mp4"), ready(files, "poster")
        if mp4 is None or mp4.seconds is None:
            return None
        access: Access = "everyone" if show.audience == "everyone" else "signed"
        now = self._clock.now()
        picture = None if poster is None else self._links.file(poster, access, now)
        return Film(self._links.file(mp4, access, now), mp4.seconds, picture)

    async def poster(self, show: Show) -> Poster | None:
        """Of a replay that everybody may see; None until it is made."""
        is_public = show.state == "replay" and show.audience == "everyone"
        if not (is_public and show.is_recorded) or show.replay_url:
            return None
        async with self._database.read() as conn:
            one = ready(await replay_store.files(conn, show.id), "poster")
        if one is None or one.width is None or one.height is None:
            return None
        return Poster(self._links.file(one, "everyone", self._clock.now()), one.width, one.height)

    async def chat_span(
        self, show_id: ShowId, who: Principal
    ) -> tuple[datetime | None, datetime | None]:
        """From when until when they may read what was said, beside what they may see of it. None:
        without a limit. Raises UnknownShow, CustomersOnly, NoReplay."""
        async with self._database.read() as conn:
            show = await self._shows.visible(conn, show_id, who)
            recorded = await replay_store.recording(conn, show_id)
        if who.may("shows:read"):
            return None, None
        if show.state == "replay" and show.replay_url and show.started_at is not None:
            return show.started_at, show.ended_at
        window = access_of(show.state, show.audience, recorded, is_replaced=bool(show.replay_url))
        if recorded is None or recorded.shown is None or window.access == "nobody":
            raise NoReplay("There is no recording of this show to play.")
        # What was said before the first picture belongs to the show as long as nobody trims.
        return recorded.trim_from, recorded.shown.until_at

    async def window(self, show_id: ShowId) -> Window:
        """What of its recording plays, and for whom, as of a few seconds ago."""
        at = asyncio.get_running_loop().time()
        cached = self._windows.get(show_id)
        if cached is not None and cached.until > at:
            return cached.window
        async with self._database.read() as conn:
            found = await replay_store.played(conn, show_id)
            if found is None:
                return NOTHING
            window = await self._whole_window(conn, found)
        if len(self._windows) >= _MAX_WINDOWS:
            self._windows.clear()
        self._windows[show_id] = _Cached(window, at + _WINDOW_SECONDS)
        return window

    async def _whole_window(self, conn: AsyncConnection, found: replay_store.Played) -> Window:
        """With the files that are not to be seen."""
        shown = None if found.recorded is None else found.recorded.shown
        if found.recorded is None or shown is None or found.window.access == "nobody":
            return found.window
        files = await replay_store.files(conn, found.recorded.show_id)
        return replace(found.window, hidden=hidden_clips(files, shown))

    def forget_window(self, show_id: ShowId) -> None:
        """Who may play it has changed."""
        self._windows.pop(show_id, None)

    async def _spans(self, recorded: Recorded) -> Sequence[Span] | None:
        """What is there between the gaps; None: there are none, or nobody knows."""
        if not recorded.gaps:
            return None
        try:
            played = await self._recordings.replay(recorded.show_id, None, None)
        except ShopError:
            return None
        return [
            Span(one.starts_at, one.starts_at + timedelta(seconds=one.seconds))
            for one in played.shown.values()
        ]


def ready(files: Sequence[File], kind: FileKind) -> File | None:
    """The first one of this kind, as every show gets it."""
    return next((one for one in files if one.kind == kind and one.state == "ready"), None)
