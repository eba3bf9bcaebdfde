"""The demo's pictures and film: drawn and encoded once per machine, kept in the user's cache.

Two processes at a time: one encodes the film while the other draws. Nothing here runs on an event
loop.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any

from liveshop.demo import art
from liveshop.demo.film import make_film
from liveshop.demo.shop import PRODUCTS, SHOWS

FILM = "film.mp4"
_JPEG_QUALITY = 92
_FORGET_AFTER_SECONDS = 30 * 24 * 3600  # other versions' pictures; a demo may still be using them

Progress = Callable[[str, int, int], None]
"""(what, done, of)"""


def picture_name(art_key: str, colour: str, angle: str) -> str:
    """The file of a product picture; colours have spaces and signs, file names here do not."""
    plain = "".join(sign if sign.isalnum() else "-" for sign in colour.lower())
    return f"{art_key}-{plain}-{angle}.jpg"


def cover_name(index: int) -> str:
    return f"cover-{index}.jpg"


def cache_folder() -> Path:
    """Where this version's pictures and film are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveshop"
    return base / f"demo-{_version()}"


def prepare(folder: Path, progress: Progress) -> None:
    """Make what is missing in `folder`. Blocking: about a minute and a half on two slow cores."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.touch()
    for old in folder.parent.glob("demo-*"):
        if time.time() - old.stat().st_mtime > _FORGET_AFTER_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    jobs = _missing_pictures(folder)
    needs_film = not (folder / FILM).is_file()
    if not jobs and not needs_film:
        return
    context = get_context("spawn")
    with context.Manager() as manager:
        reports = manager.Queue()
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            running: list[Future[Any]] = []
            if needs_film:
                running.append(pool.submit(_film, folder, reports))
            if jobs:
                running.append(pool.submit(_draw, folder, jobs, reports))
            while not all(future.done() for future in running):
                try:
                    progress(*reports.get(timeout=0.2))
                except Empty:
                    continue
            for future in running:
                future.result()


_NOT_DRAWING = (
    "run.py",
    "seed.py",
    "past.py",
    "deals.py",
    "autopilot.py",
    "__init__.py",
    "media.py",
)
_Job = tuple[str, str, str] | tuple[int]


def _missing_pictures(folder: Path) -> list[_Job]:
    jobs: list[_Job] = [(index,) for index in range(len(SHOWS))]
    jobs += [
        (picture.art_key, picture.colour, picture.angle)
        for product in PRODUCTS
        for picture in product.pictures
    ]
    return [job for job in jobs if not (folder / _name(job)).is_file()]


def _name(job: _Job) -> str:
    return cover_name(job[0]) if len(job) == 1 else picture_name(*job)


def _draw(folder: Path, jobs: list[_Job], reports: Any) -> None:
    for done, job in enumerate(jobs, start=1):
        picture = art.cover(job[0]) if len(job) == 1 else art.draw(job[0], job[1], job[2])  # type: ignore[arg-type]
        part = folder / f"{_name(job)}.part"
        picture.convert("RGB").save(part, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        part.replace(folder / _name(job))
        reports.put(("pictures", done, len(jobs)))


def _film(folder: Path, reports: Any) -> None:
    make_film(
        folder / FILM,
        PRODUCTS,
        progress=lambda done, whole: reports.put(("film", done, whole)),
    )


def _version() -> str:
    """Changes with the code that draws."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *(here / "art").glob("*.py")]):
        if path.name not in _NOT_DRAWING:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
