"""The picture that goes with a link to a show: while it runs a card with what it shows now, after
it the poster of its replay, else its cover.

Cards are drawn when somebody asks for one, and once for each new picture.
"""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web
from PIL import Image, ImageFilter

from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import ShowId
from liveshop.shows import wire as shows_wire
from liveshop.shows.model import Show
from liveshop.shows.replays import Replays
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.syndication.cards import share_card
from liveshop.video.thumbnail import Thumbnail
from liveshop.web import ANONYMOUS, PUBLIC, Call, Endpoint

SIZE: Final = (1200, 630)
_MOST_CARDS: Final = 64
_CACHE: Final = "public, max-age=30"

_Key = tuple[datetime, str, str]


class NoCard(NotFound):
    """The show does not run, shows nothing yet, or is not for everyone."""

    code = "no_card"


class LiveCards:
    """`newest`: what a running show shows now."""

    def __init__(self, newest: Callable[[ShowId], Thumbnail | None], shop_name: str) -> None:
        self._newest = newest
        self._shop_name = shop_name
        self._drawn: OrderedDict[ShowId, tuple[_Key, bytes]] = OrderedDict()
        self._pen = asyncio.Lock()
        """One at a time: half a second of a core each, and a crowd asks for the same one."""

    def path(self, show: Show) -> str | None:
        """Its address, another one for each picture; None: there is no card."""
        newest = self._picture(show)
        if newest is None:
            return None
        return f"/s/{show.id}/card.jpg?v={int(newest.at.timestamp())}"

    async def card(self, show: Show) -> bytes:
        """A JPEG. Raises NoCard."""
        newest = self._picture(show)
        if newest is None:
            raise NoCard("There is no picture of this show now.")
        key = (newest.at, show.title, show.host_name)
        async with self._pen:
            known = self._drawn.get(show.id)
            if known is None or known[0] != key:
                known = (
                    key,
                    await asyncio.to_thread(
                        draw, newest.large, show.title, show.host_name, self._shop_name
                    ),
                )
                self._drawn[show.id] = known
            self._drawn.move_to_end(show.id)
            while len(self._drawn) > _MOST_CARDS:
                self._drawn.popitem(last=False)
            return known[1]

    def _picture(self, show: Show) -> Thumbnail | None:
        if show.state != "live" or show.audience != "everyone":
            return None
        return self._newest(show.id)


@dataclass(frozen=True, slots=True)
class SharePicture:
    url: str
    alt: str
    width: int
    height: int


class SharePictures:
    def __init__(self, cards: LiveCards, replays: Replays, public_url: str) -> None:
        self._cards = cards
        self._replays = replays
        self._public_url = public_url

    async def of(self, show: Show, told: shows_wire.Show) -> SharePicture | None:
        """`told`: the same show on the wire. The address is absolute, and anybody may load it."""
        card = self._cards.path(show)
        if card is not None:
            return SharePicture(f"{self._public_url}{card}", show.title, *SIZE)
        poster = await self._replays.poster(show)
        if poster is not None:
            return SharePicture(poster.url, show.title, poster.width, poster.height)
        cover = told.cover
        if cover is None:
            return None
        url = cover.src if "://" in cover.src else f"{self._public_url}{cover.src}"
        return SharePicture(url, cover.alt, cover.width, cover.height)


def draw(picture: bytes, title: str, host_name: str, shop_name: str) -> bytes:
    """Blocks."""

    def card(ground: bytes, size: tuple[int, int]) -> bytes:
        return share_card(
            ground, title=title, when=shop_name, host_name=host_name, badge="LIVE", size=size
        )

    with Image.open(io.BytesIO(picture), formats=["JPEG"]) as image:
        if image.width >= image.height:
            return card(picture, SIZE)
        # An upright picture stands whole at the right, the words on a blurred ground beside it.
        width, height = SIZE
        whole = image.resize(
            (image.width * height // image.height, height), Image.Resampling.LANCZOS
        )
        beside = (width - whole.width, height)
        blurred = image.filter(ImageFilter.GaussianBlur(image.width / 24))
        words = Image.open(io.BytesIO(card(_jpeg(blurred), beside)))
        both = Image.new("RGB", SIZE)
        both.paste(words, (0, 0))
        both.paste(whole, (beside[0], 0))
        return _jpeg(both)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, progressive=True, optimize=True)
    return buffer.getvalue()


def endpoints(cards: LiveCards, shows: ShowService, database: Database) -> list[Endpoint]:
    async def card(call: Call) -> web.Response:
        async with database.read() as conn:
            show = await shows.visible(conn, ShowId(call.params["show_id"]), ANONYMOUS)
        return web.Response(
            body=await cards.card(show),
            content_type="image/jpeg",
            headers={"Cache-Control": _CACHE},
        )

    return [
        Endpoint(
            "GET",
            "/s/{show_id}/card.jpg",
            card,
            PUBLIC,
            "The share card of a running show",
            "pages",
            errors=(NoCard,),
            raw=True,
            produces=("image/jpeg",),
            documented=False,
            any_origin=True,
        )
    ]
