"""Where recordings move after their show, so that the disk is free for the next: a small port,
since what storages offer differs and what is needed is little."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from liveshop.kernel.errors import NotFound, Unavailable
from liveshop.settings import BadSettings, VideoSettings


class ArchiveAway(Unavailable):
    """The storage of recordings does not answer, or refuses; nothing is lost, try again."""

    code = "video_archive_away"


class NotArchived(NotFound):
    """There is nothing under this key."""

    code = "video_not_archived"


class Archive(Protocol):
    """Files under keys such as `shw_1/chunk-7.m4s`. All of it raises ArchiveAway, soon rather than
    late: only `put` may take hours, as long as the storage takes something of the file."""

    async def put(self, key: str, path: Path) -> None:
        """As a whole or not at all, and keeps nobody from reading. Raises OSError where the file
        cannot be read."""
        ...

    async def read(self, key: str, start: int, stop: int) -> bytes:
        """Raises NotArchived."""
        ...

    async def size(self, key: str) -> int:
        """Raises NotArchived."""
        ...

    async def sizes(self, folder: str) -> Mapping[str, int]:
        """Of all keys that begin with `folder` and a slash."""
        ...

    async def remove(self, key: str) -> None:
        """May be repeated."""
        ...

    async def remove_folder(self, folder: str) -> None:
        """May be repeated."""
        ...


def archive_of(settings: VideoSettings) -> Archive | None:
    """What the operator has chosen; None: recordings stay on the disk. Raises BadSettings."""
    if not settings.archive_url:
        return None
    try:
        # Here, not above: a shop without an archive needs no client of it.
        from liveshop.video.archive_s3 import S3Archive  # noqa: PLC0415
    except ImportError as error:
        raise BadSettings(["video.archive_url: it needs a client; install liveshop[s3]"]) from error
    return S3Archive(settings)
