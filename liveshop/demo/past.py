"""The demo's past show: yesterday evening's, to be seen again from the first moment on.

The film plays through the packager into a recording as it would have live, only faster, and what
becomes of it afterwards is the server's own work.
"""

import asyncio
import os
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from liveshop.app import Liveshop
from liveshop.chat import people_store as chat_people
from liveshop.chat import store as chat_store
from liveshop.chat.model import Role
from liveshop.demo.film import CHAPTER_SECONDS, FILM_SECONDS
from liveshop.demo.shop import HOST_NAME, PRODUCTS
from liveshop.kernel.ids import MessageId, ProductId, ShowId, ViewerId, new_id
from liveshop.shows import store as shows_store
from liveshop.shows.model import Pin, Show
from liveshop.shows.replay_wire import Keep
from liveshop.storage import Tx
from liveshop.video.ingest.film import FilmCursor, load_film
from liveshop.video.packager import Packager
from liveshop.video.recorded import Facts, facts
from liveshop.video.recording_files import RecordingFiles

TITLE = "Two minutes for winter: the whole season at a glance"
DESCRIPTION = (
    "A short evening at our atelier: all twelve pieces of the season, one after the other, and "
    "each of them once more. Go straight to the piece you like, see it up close, and buy it while "
    "you watch."
)
ROUNDS = 2
SECONDS = ROUNDS * FILM_SECONDS
_COVERED_BY = "lindholm-006"
"""The product whose second picture stands for the show: plates, a bowl and a teapot."""
_VIEWERS = 41
"""The most at once; the demo's, not those of whoever runs it."""

_HOST = HOST_NAME
CHAT: tuple[tuple[int, str, str], ...] = (
    (1, _HOST, "Good evening! Twelve pieces, one after the other. Ask anything, I read along."),
    (4, "Jonas", "Guten Abend aus Bremen!"),
    (9, "Lotte", "Is the throw warm enough for the balcony?"),
    (15, _HOST, "It is, Lotte: 520 grams of lambswool to the square metre."),
    (21, "Amira", "Does the sweater itch?"),
    (27, _HOST, "No, Amira: mostly merino, and there is room for a shirt underneath."),
    (33, "Henrik", "Sind die Teller spülmaschinenfest?"),
    (38, _HOST, "Ja, Henrik, alle vier und die Schale auch. Nur die Ränder bleiben unglasiert."),
    (44, "Jonas", "That lamp!"),
    (50, "Yara", "Wie oft muss man das Brett ölen?"),
    (56, _HOST, "Ab und zu, Yara, wenn es trocken aussieht. Nach dem Abspülen hochkant stellen."),
    (63, "Lotte", "A teapot and two mugs, please."),
    (68, _HOST, "There is a set of them, Lotte: Tea for two."),
    (74, _HOST, "And everything once more, in case you were still looking at the lamp."),
    (83, "Amira", "The throw is ordered. Danke!"),
    (97, "Henrik", "Brennt die Kerze wirklich vierzig Stunden?"),
    (104, _HOST, "Ungefähr vierzig, wenn der Docht vor dem Anzünden auf 5 mm gekürzt ist."),
    (119, "Jonas", "Lamp it is."),
    (131, "Yara", "Schöner Abend, gern wieder!"),
    (138, _HOST, "Thank you for coming! It all stays for sale in the replay. Bis bald!"),
)
"""Seconds into the show, who, and what. In the languages of the show."""


async def add_past_show(
    shop: Liveshop, film: Path, product_ids: Mapping[str, str]
) -> ShowId | None:
    """The show, with its replay. None where it cannot be had: the settings keep no recordings, or
    the disk is short. `product_ids` by the ids of the demo's data."""
    if not shop.settings.video.replay_days:
        return None
    began_at = _yesterday_evening(shop.clock.now())
    show_id = ShowId(new_id("shw", began_at))
    root = shop.settings.recordings_path
    least_free_bytes = int(shop.settings.video.least_free_gib * 2**30)
    try:
        recorded = await asyncio.to_thread(
            _record, film, root / show_id, began_at, least_free_bytes
        )
    except OSError:
        return None
    host_id = (await shop.accounts.list_staff())[0].id
    cover_id = await _cover(shop, product_ids)
    lineup = [product_ids.get(product.source_id) for product in PRODUCTS]
    async with shop.database.write() as tx:
        show = Show(
            id=show_id,
            title=TITLE,
            description=DESCRIPTION,
            state="ended",
            languages=("en", "de"),
            time_zone="Europe/Berlin",
            starts_at=began_at,
            started_at=began_at,
            ended_at=recorded.ended_at,
            host_name=HOST_NAME,
            cover_id=cover_id,
            replay_url=None,
            lineup=tuple(ProductId(one) for one in lineup if one is not None),
            version=1,
            created_at=began_at - timedelta(days=7),
        )
        await shows_store.add(tx.conn, show)
        await shows_store.raise_peak(tx.conn, show_id, _VIEWERS)
        await _pin(tx, show_id, began_at, [*lineup] * ROUNDS)
        await _talk(tx, show_id, began_at, ViewerId(host_id))
    await shop.stage.replays.on_ended(show_id, recorded)
    # As long as there is the demo.
    await shop.stage.replays.keep(show_id, Keep(until=None))
    return show_id


def _yesterday_evening(now: datetime) -> datetime:
    """Seven in Berlin's winter."""
    return (now - timedelta(days=1)).replace(hour=18, minute=0, second=0, microsecond=0)


def _record(film: Path, folder: Path, began_at: datetime, least_free_bytes: int) -> Facts:
    """Blocking. All of it or nothing; raises OSError."""
    played = load_film(film)
    part = folder.parent.parent / "past-show.part"  # an earlier start may have left one
    shutil.rmtree(part, ignore_errors=True)
    try:
        files = RecordingFiles(
            part, keep_seconds=SECONDS, least_free_bytes=least_free_bytes, is_kept=True
        )
        packager = Packager(first_number=1)
        packager.begin_run(played.video, played.audio)
        cursor = FilmCursor(played)
        for second in range(1, SECONDS + 1):
            segments = packager.add(cursor.take_until(second - 1e-6), origin=began_at)
            if second == SECONDS:
                segments += packager.finish_run()
            for segment in segments:
                files.add(segment, packager.init(segment.entry.init_number))
        files.end()
        recorded = facts(part)
        assert recorded is not None, "what was added without an error is there"
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return recorded


async def _cover(shop: Liveshop, product_ids: Mapping[str, str]) -> str | None:
    found = await shop.catalog.products_by_ids([product_ids.get(_COVERED_BY, "")])
    pictures = found[0].product.pictures if found else ()
    return pictures[-1].media_id if pictures else None


async def _pin(tx: Tx, show_id: ShowId, began_at: datetime, shown: list[str | None]) -> None:
    """Each product as the film shows it, without those that are not there any more."""
    for place, product_id in enumerate(shown):
        at = began_at + timedelta(seconds=place * CHAPTER_SECONDS)
        pin = Pin(None if product_id is None else ProductId(product_id), at)
        await shows_store.add_pin(tx.conn, show_id, pin)


async def _talk(tx: Tx, show_id: ShowId, began_at: datetime, host_id: ViewerId) -> None:
    authors = {HOST_NAME: host_id}
    for seconds, name, text in CHAT:
        at = began_at + timedelta(seconds=seconds)
        author_id = authors.setdefault(name, ViewerId(new_id("gst", at)))
        role: Role = "host" if name == HOST_NAME else "guest"
        await chat_people.touch_authors(
            tx.conn, show_id, [chat_people.Author(author_id, name, address_mark=None)], now=at
        )
        message = chat_store.Message(
            id=MessageId(new_id("msg", at)),
            show_id=show_id,
            author_id=author_id,
            name=name,
            role=role,
            text=text,
            at=at,
        )
        await chat_store.add_messages(tx.conn, [message])
