"""The built browser files, read once into memory with their gzip, and where to find the templates.

In an installed wheel they lie inside the package; in a checkout they lie in `widgets/`.
"""

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path

import msgspec

_PACKAGE = Path(__file__).resolve().parent.parent


class AssetsMissing(Exception):
    """The browser code was not built; the message says how to build it."""


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    gzipped: bytes
    media_type: str
    is_hashed: bool
    """Its name holds a hash of its content, so it may be cached for ever."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Files by name, and the hashed name of each plain one."""

    files: dict[str, Asset]
    names: dict[str, str]

    def url(self, name: str) -> str:
        """The address of a built file, such as `/assets/studio-X1.js` for `studio.js`."""
        return f"/assets/{self.names.get(name, name)}"


def folder(name: str) -> Path:
    """A folder of browser files: `dist`, `pages`, `locales` or `storefront`."""
    installed = _PACKAGE / "_widgets" / name
    if installed.is_dir():
        return installed
    if name == "storefront":
        return _PACKAGE.parent / "examples" / "storefront"
    return _PACKAGE.parent / "widgets" / name


def load() -> Assets:
    """Read the built files. Blocking: call it before the loop runs. Raises AssetsMissing."""
    dist = folder("dist")
    manifest = dist / "manifest.json"
    if not manifest.is_file():
        raise AssetsMissing(
            "The browser code has not been built. In a checkout run `make demo`, "
            "or `python widgets/build_hook.py`."
        )
    names = msgspec.json.decode(manifest.read_bytes(), type=dict[str, str])
    hashed = {value for key, value in names.items() if key != value}
    files: dict[str, Asset] = {}
    for path in sorted([*dist.iterdir(), folder("pages") / "icon.svg"]):
        if path.name == "manifest.json" or not path.is_file():
            continue
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        files[path.name] = Asset(
            body=body,
            gzipped=gzip.compress(body, 9, mtime=0),
            media_type="text/javascript" if path.suffix == ".js" else kind,
            is_hashed=path.name in hashed or "-" in path.stem,
        )
    return Assets(files, names)
