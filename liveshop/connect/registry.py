"""Which connectors are installed, by entry point. A broken one is named, and spoils no other."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from liveshop.connect.model import FileSource, UnknownConnector
from liveshop.kernel.errors import Unavailable

GROUP = "liveshop.connectors"


class BrokenConnector(Unavailable):
    """A connector that is installed but cannot be loaded."""

    code = "broken_connector"


class Connectors:
    """The installed connectors; loaded when first asked for."""

    def __init__(self, entries: Iterable[EntryPoint]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._loaded: dict[str, object] = {}

    @classmethod
    def installed(cls) -> "Connectors":
        return cls(entry_points(group=GROUP))

    @property
    def names(self) -> list[str]:
        return sorted(self._entries)

    def file_source(self, name: str) -> FileSource:
        """The file source of that name. Raises UnknownConnector, BrokenConnector."""
        if name not in self._entries:
            known = ", ".join(self.names) or "none"
            raise UnknownConnector(
                f"There is no connector called {name!r}. Installed: {known}.",
                data={"installed": self.names},
            )
        connector = self._load(name)
        if not isinstance(connector, FileSource):
            raise UnknownConnector(f"The connector {name} does not read files.")
        return connector

    def _load(self, name: str) -> object:
        if name not in self._loaded:
            entry = self._entries[name]
            try:
                self._loaded[name] = entry.load()()
            except Exception as error:  # a plugin may fail in any way; the server goes on
                raise BrokenConnector(
                    f"The connector {name} ({entry.value}) cannot be loaded: {error}"
                ) from error
        return self._loaded[name]
