"""Programs that are not Python packages: `make counterparts` installs Debian's."""

import os
import shutil
from pathlib import Path

import pytest


def need(*programs: str, files: tuple[Path, ...] = ()) -> None:
    """Skip aloud where one is missing; in CI that is an error."""
    missing = [name for name in programs if shutil.which(name) is None]
    missing += [path.name for path in files if not path.exists()]
    if not missing:
        return
    said = f"missing: {', '.join(missing)}; `make counterparts` installs it"
    if os.environ.get("CI"):
        raise AssertionError(said)
    pytest.skip(said)
