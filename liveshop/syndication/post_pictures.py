"""The picture that goes with a post: the product's, or the share card of the show.

A card is named by what is on it: the same facts are drawn once, and its address never changes what
it shows. Channels that fetch pictures get it from here, without asking who they are.
"""

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from babel.dates import format_datetime

from liveshop.catalog.media import MediaService
from liveshop.catalog.model import UnknownMedia
from liveshop.catalog.pictures import widths_of
from liveshop.catalog.wire import Image, ImageLinks
from liveshop.connect import RENDITIONS, ImageLimit, PostImage, PostKind
from liveshop.connect.texts import cut
from liveshop.kernel.zones import time_zones
from liveshop.settings import Settings
from liveshop.shows.model import Show
from liveshop.syndication.cards import share_card

_JPEG = "image/jpeg"
_DESIGN = 1
"""Another number draws every card anew."""
_CARD = re.compile(r"[0-9a-f]{32}\.jpg", re.ASCII)
_ENOUGH_WIDTH = 1200
_DRAWN_AT_ONCE = 1  # a card takes 0.3 s of a processor, and nobody waits for it
_PATTERNS = {"en": "EEE, d MMM · HH:mm", "de": "EEE, d. MMM · HH:mm 'Uhr'"}
_PHRASES = {
    "en": {
        "live": "LIVE",
        "replay": "Replay",
        "upcoming": "Live show: {title}",
        "live_now": "Live now: {title}",
        "watch_again": "Replay of the live show: {title}",
        "with": "with {host}",
    },
    "de": {
        "live": "LIVE",
        "replay": "Replay",
        "upcoming": "Live-Show: {title}",
        "live_now": "Jetzt live: {title}",
        "watch_again": "Aufzeichnung der Live-Show: {title}",
        "with": "mit {host}",
    },
}
_SAID: dict[PostKind, tuple[str | None, str]] = {
    "live_now": ("live", "live_now"),
    "product_moment": ("live", "live_now"),
    "replay": ("replay", "watch_again"),
}
"""The badge of a card and what its text begins with; all others look forward to the show."""


@dataclass(frozen=True, slots=True)
class _Card:
    """What stands on a share card; with it, it has its name."""

    cover_id: str | None
    title: str
    when: str
    host_name: str
    badge: str | None
    width: int
    height: int

    @property
    def name(self) -> str:
        told = json.dumps([_DESIGN, asdict(self)], sort_keys=True)
        return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.jpg"

    def draw(self, cover: bytes | None) -> bytes:
        return share_card(
            cover,
            title=self.title,
            when=self.when,
            host_name=self.host_name,
            badge=self.badge,
            size=(self.width, self.height),
        )


class PostPictures:
    def __init__(self, media: MediaService, links: ImageLinks, settings: Settings) -> None:
        self._media = media
        self._links = links
        self._base = f"{settings.public_url}/media/cards"
        self._folder = settings.data_path / "cards"
        self._widths = settings.media.widths
        self._drawing = asyncio.Semaphore(_DRAWN_AT_ONCE)

    def of_product(self, picture: Image, limit: ImageLimit) -> PostImage:
        """A product's picture in the size of a channel; made when it is first read or fetched."""
        size = RENDITIONS[limit.rendition]

        async def read() -> bytes:
            path = await self._media.channel_picture(picture.id, size.name, limit.max_bytes)
            return await asyncio.to_thread(path.read_bytes)

        return PostImage(
            url=self._links.channel(picture.id, size.name, limit.max_bytes),
            media_type=_JPEG,
            alt=_fitting(picture.alt, limit),
            width=size.width,
            height=size.height,
            read=read,
        )

    async def of_show(
        self, show: Show, kind: PostKind, language: str, limit: ImageLimit
    ) -> PostImage:
        """The share card of a show as it stands. Raises MediaUnavailable."""
        size = RENDITIONS[limit.rendition]
        badge, opening = _SAID.get(kind, (None, "upcoming"))
        when = await asyncio.to_thread(when_in_words, show, language)
        card = _Card(
            cover_id=show.cover_id,
            title=show.title,
            when="" if badge == "live" else when,
            host_name=show.host_name,
            badge=None if badge is None else _say(language, badge),
            width=size.width,
            height=size.height,
        )
        path = self._folder / card.name
        if not await asyncio.to_thread(path.exists):
            cover = await self._cover(card.cover_id)
            async with self._drawing:
                await asyncio.to_thread(_draw, path, partial(card.draw, cover))
        parts = [_say(language, opening, title=show.title)]
        if show.host_name:
            parts.append(_say(language, "with", host=show.host_name))
        if card.when:
            parts.append(card.when)
        return PostImage(
            url=f"{self._base}/{card.name}",
            media_type=_JPEG,
            alt=_fitting(", ".join(parts), limit),
            width=size.width,
            height=size.height,
            read=partial(asyncio.to_thread, path.read_bytes),
        )

    async def card(self, name: str) -> Path:
        """The file of a card that was drawn. Raises UnknownMedia."""
        if not _CARD.fullmatch(name):
            raise UnknownMedia("There is no such card.")
        path = self._folder / name
        if not await asyncio.to_thread(path.exists):
            raise UnknownMedia("There is no such card.")
        return path

    async def _cover(self, media_id: str | None) -> bytes | None:
        if media_id is None:
            return None
        [picture] = (await self._media.pictures([media_id])).values()
        widths = widths_of(picture.width, self._widths)
        width = next((one for one in widths if one >= _ENOUGH_WIDTH), widths[-1])
        path = await self._media.rendition(media_id, width=width, extension="jpg")
        return await asyncio.to_thread(path.read_bytes)


def when_in_words(show: Show, language: str) -> str:
    """`Sat, 5 Dec · 19:00 CET`, as clocks show it where the show is. Blocking: reads files."""
    moment: datetime | None = show.starts_at or show.started_at
    if moment is None:
        return ""
    pattern = _PATTERNS.get(language.partition("-")[0], _PATTERNS["en"])
    locale = language.replace("-", "_") if language.partition("-")[0] in _PATTERNS else "en"
    local = moment.astimezone(time_zones()[show.time_zone])
    zone = f"{local:%Z}" if f"{local:%Z}".isalpha() else f"UTC{local:%Z}"  # some have no name
    return f"{format_datetime(local, pattern, locale=locale)} {zone}"


def _say(language: str, key: str, **params: str) -> str:
    phrases = _PHRASES.get(language.partition("-")[0], _PHRASES["en"])
    return phrases[key].format(**params)


def _fitting(alt: str, limit: ImageLimit) -> str:
    return alt if limit.alt is None else cut(alt, limit.alt)


def _draw(path: Path, draw: Callable[[], bytes]) -> None:
    """The whole file or none of it. Two that draw the same write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    part.write_bytes(draw())
    part.replace(path)
