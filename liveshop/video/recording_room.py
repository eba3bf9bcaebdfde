"""Whether the disk has room for a recording, since orders are written to it too. Blocking."""

import shutil
from pathlib import Path


class Room:
    """Where `folder` lies. `least_free_bytes` are left of the disk for others."""

    def __init__(self, folder: Path, least_free_bytes: int) -> None:
        self.least_free_bytes = least_free_bytes
        self.is_short = False
        self._folder = folder

    def look(self, byte_count: int) -> int:
        """How much is missing for so much more; 0 or less: nothing. Raises OSError."""
        least = self.least_free_bytes
        short = least + byte_count - shutil.disk_usage(self._folder).free
        # Said until there is clearly more, not anew with each segment.
        self.is_short = short > 0 or (self.is_short and short > -least // 8)
        return short

    def shortage(self, *, is_kept: bool) -> str | None:
        """In words, when it was looked last; None: there is room."""
        if not self.is_short:
            return None
        short = (
            f"less than {self.least_free_bytes / 2**30:.3g} GiB (video.least_free_gib) would stay "
            "free on the disk of data_dir: "
            if self.least_free_bytes
            else "the disk of data_dir is full: "
        )
        if is_kept:
            return short + "the recording stands still until there is room"
        return short + "viewers cannot go back so far"
