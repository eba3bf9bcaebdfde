"""Which recordings lie on the disk, and which of them are old enough to go. Blocking, and little
work for each: there may be hundreds, and running shows wait for the same thread."""

import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from liveshop.kernel.ids import ShowId
from liveshop.video.recording_index import INDEX, State, is_kept_there, read_end

Remove = Callable[[Path, datetime, Collection[str]], list[str]]
"""Under which folder, what did not change since then, and not these; names of those removed."""


def folders(root: Path) -> list[tuple[ShowId, State]]:
    """All recordings that can be read, and how far they are; without their chunks."""
    found: list[tuple[ShowId, State]] = []
    for folder in _inside(root):
        with suppress(OSError):
            found.append((ShowId(folder.name), read_end(folder)))
    return found


def kept_and_over(root: Path, since: datetime) -> list[ShowId]:
    """Recordings that ended and are kept, unchanged since then, oldest first."""
    return [
        ShowId(folder.name)
        for folder in _unchanged(root, since, ())
        if _is_over(folder) and _is_kept(folder)
    ]


def remove_old(root: Path, since: datetime, busy: Collection[str]) -> list[str]:
    removed: list[str] = []
    for folder in _unchanged(root, since, busy):
        if not _is_kept(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


def remove_ended(root: Path, since: datetime, busy: Collection[str]) -> list[str]:
    """Only the one that ended first: it may be enough."""
    for folder in _unchanged(root, since, busy):
        if _is_over(folder) and not _is_kept(folder):
            shutil.rmtree(folder, ignore_errors=True)
            return [folder.name]
    return []


def _inside(root: Path) -> list[Path]:
    """Empty where it cannot be read, which is found out by whoever writes."""
    try:
        return [folder for folder in root.iterdir() if _is_folder(folder)]
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_kept(folder: Path) -> bool:
    """Also where nobody can tell."""
    try:
        return is_kept_there(folder)
    except OSError:
        return True


def _is_over(folder: Path) -> bool:
    try:
        return read_end(folder).is_ended
    except OSError:
        return False


def _unchanged(root: Path, since: datetime, busy: Collection[str]) -> list[Path]:
    """Folders of recordings, oldest first."""
    found: list[tuple[datetime, Path]] = []
    for folder in _inside(root):
        try:
            changed_at = datetime.fromtimestamp((folder / INDEX).stat().st_mtime, UTC)
        except OSError:
            continue
        if changed_at < since and folder.name not in busy:
            found.append((changed_at, folder))
    return [folder for _, folder in sorted(found)]
