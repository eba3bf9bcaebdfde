"""Pictures kept and served: checked on the way in, stored by content, rendered when first asked.

Renditions are made lazily: an upload costs one decode, and nobody waits for sizes never shown.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from liveshop.catalog import media_store, writing
from liveshop.catalog.channel_pictures import pad, step_kb
from liveshop.catalog.fetch import Fetcher, FetchFailed, fetcher
from liveshop.catalog.import_rows import picture_key
from liveshop.catalog.media_store import StoredImage
from liveshop.catalog.model import (
    ImageTooLarge,
    MediaUnavailable,
    Picture,
    ProductsTouched,
    UnknownMedia,
)
from liveshop.catalog.pictures import RENDITIONS, Master, render, to_master, widths_of
from liveshop.connect import RENDITIONS as CHANNEL_RENDITIONS
from liveshop.connect import Rendition
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import MediaId, ProductId, has_prefix, new_id
from liveshop.kernel.text import clean_line
from liveshop.settings import MediaSettings
from liveshop.storage import Database

_log = structlog.get_logger("media")
_T = TypeVar("_T")
_THREADS = 2  # a decode may take 400 MB (WebP 620); more at a time would take the machine


class MediaService:
    """`folder` is the data folder; pictures lie in its `media`, unless the settings name another
    one. Close it with `close()`."""

    def __init__(
        self, database: Database, clock: Clock, folder: Path, settings: MediaSettings
    ) -> None:
        self._database = database
        self._clock = clock
        self._folder = Path(settings.folder) if settings.folder else folder / "media"
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def close(self) -> None:
        # Not waited for: a half-made file is under another name until it is whole.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def store_image(self, content: bytes, *, alt: str = "") -> Picture:
        """Keep a picture; the same bytes with the same `alt` are kept once.

        Raises NotAnImage, ImageTooLarge, BadText, MediaUnavailable.
        """
        if len(content) > self._settings.max_bytes:
            raise ImageTooLarge(
                f"The picture is larger than {self._settings.max_bytes} bytes.",
                data={"max_bytes": self._settings.max_bytes},
            )
        text = clean_line(alt, max_length=500, field="alt", empty=True)
        digest = hashlib.sha256(content).hexdigest()
        async with self._database.read() as conn:
            known = await media_store.media_by_digest(conn, digest, alt=text)
        if known is not None and await asyncio.to_thread(self._path(known).exists):
            return known.picture
        master = await self._run(lambda: self._keep(content, digest))
        now = self._clock.now()
        async with self._database.write() as tx:
            known = await media_store.media_by_digest(tx.conn, digest, alt=text)
            if known is not None:
                return known.picture
            media_id = MediaId(new_id("med", now))
            picture = Picture(media_id, media_id, master.width, master.height, text)
            await media_store.add_media(
                tx.conn, StoredImage(picture, digest, master.extension), now=now
            )
        return picture

    async def pictures(self, media_ids: Iterable[str]) -> dict[MediaId, Picture]:
        """Those that exist."""
        async with self._database.read() as conn:
            found = await media_store.media_by_ids(conn, media_ids)
        return {media_id: image.picture for media_id, image in found.items()}

    async def rendition(self, media_id: str, *, width: int, extension: str) -> Path:
        """The file of a rendition, made now if nobody asked before.

        Raises UnknownMedia for a picture, width or format that there is not, MediaUnavailable.
        """
        unknown = UnknownMedia("There is no such picture, or not in this size.")
        if not has_prefix(media_id, "med") or extension not in RENDITIONS:
            raise unknown
        async with self._database.read() as conn:
            image = await media_store.media_by_id(conn, media_id)
        if image is None or width not in widths_of(image.picture.width, self._settings.widths):
            raise unknown
        master = self._path(image)
        path = master.with_name(f"{image.digest}-{width}.{extension}")
        return await self._made(path, lambda: _render_file(master, path, width, extension))

    async def channel_picture(self, media_id: str, rendition: str, max_bytes: int) -> Path:
        """The file of a JPEG as channels want it, made now if nobody asked before. `rendition` is
        one of `liveshop.connect.RENDITIONS`; it has at most `max_bytes`.

        Raises UnknownMedia for a picture or rendition that there is not, MediaUnavailable, and
        ValueError for a cap under the smallest of `STEPS_KB`.
        """
        unknown = UnknownMedia("There is no such picture, or not in this size.")
        if not has_prefix(media_id, "med") or rendition not in CHANNEL_RENDITIONS:
            raise unknown
        kb = step_kb(max_bytes)
        async with self._database.read() as conn:
            image = await media_store.media_by_id(conn, media_id)
        if image is None:
            raise unknown
        master = self._path(image)
        path = master.with_name(f"{image.digest}-{rendition}-{kb}.jpg")
        size = CHANNEL_RENDITIONS[rendition]
        return await self._made(path, lambda: _pad_file(master, path, size, kb * 1000))

    async def _made(self, path: Path, make: Callable[[], None]) -> Path:
        """The file, made by one of those who want it at a time."""
        lock = self._locks.setdefault(path.name, asyncio.Lock())
        async with lock:
            if not await asyncio.to_thread(path.exists):
                await self._run(make)
        return path

    async def fetch_images(self, urls: Sequence[str]) -> None:
        """Get the pictures that products wait for; may be run again.

        What will never work is noted beside the picture; raises FetchFailed at the end when
        something may work later.
        """
        async with fetcher(
            max_bytes=self._settings.max_bytes,
            private_allowed=self._settings.fetch_private_addresses,
        ) as session:
            outcomes = await asyncio.gather(
                *(self._fetch(session, url) for url in urls), return_exceptions=True
            )
        later = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if later:
            raise later[0]

    async def _fetch(self, session: Fetcher, url: str) -> None:
        key = picture_key(url)
        async with self._database.read() as conn:
            if not await media_store.is_wanted(conn, key):
                return
        try:
            picture = await self.store_image(await session.fetch(url))
        except FetchFailed as error:
            await self._note(key, error.detail)
            raise
        except Invalid as error:
            await self._note(key, error.detail)
            _log.warning("picture_refused", code=error.code, reason=error.detail)
            return
        async with self._database.write() as tx:
            product_ids = await media_store.attach_media(tx.conn, key, picture.media_id)
            await writing.touch_products(tx.conn, product_ids, now=self._clock.now())
            tx.notify(ProductsTouched(tuple(ProductId(id_) for id_ in product_ids)))

    async def _note(self, key: str, problem: str) -> None:
        async with self._database.write() as tx:
            await media_store.note_problem(tx.conn, key, problem)

    def _path(self, image: StoredImage) -> Path:
        return self._folder / image.digest[:2] / f"{image.digest}.{image.extension}"

    def _keep(self, content: bytes, digest: str) -> Master:
        master = to_master(content, max_pixels=self._settings.max_pixels)
        folder = self._folder / digest[:2]
        _write(folder / f"{digest}.{master.extension}", master.content, must_last=True)
        return master

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Heavy work in a thread of ours; faults of the disk become one answer."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work)
        except OSError as error:
            raise _unavailable(error) from error


def _render_file(master: Path, path: Path, width: int, extension: str) -> None:
    _write(path, render(master.read_bytes(), width=width, extension=extension), must_last=False)


def _pad_file(master: Path, path: Path, rendition: Rendition, max_bytes: int) -> None:
    _write(path, pad(master.read_bytes(), rendition, max_bytes), must_last=False)


def _write(path: Path, content: bytes, *, must_last: bool) -> None:
    """The whole file or none of it. `must_last`: also after a power cut; what can be made again
    need not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with part.open("wb") as file:
            file.write(content)
            if must_last:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _unavailable(error: OSError) -> MediaUnavailable:
    _log.error("media_unavailable", error=str(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "The disk is full, so pictures cannot be saved. Free some space and try again."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        reason = "The data folder cannot be written. Check its owner and permissions."
    else:
        reason = "Pictures cannot be read or saved at the moment. Try again."
    return MediaUnavailable(reason, retry_after=5.0)
