"""Which connectors are installed, by entry point. A broken one is named, and spoils no other."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from liveshop.connect.connector import Connector
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
        self._loaded: dict[str, Any] = {}

    @classmethod
    def installed(cls) -> "Connectors":
        return cls(entry_points(group=GROUP))

    @classmethod
    def of(cls, *connectors: Any) -> "Connectors":
        """These objects, without entry points. For tests, and for trying one out."""
        made = cls(())
        made._loaded = {connector.name: connector for connector in connectors}
        return made

    @property
    def names(self) -> list[str]:
        return sorted({*self._entries, *self._loaded})

    def connector(self, name: str) -> Connector:
        """Loads it when first asked for, which reads files: keep it off the event loop. Raises
        UnknownConnector, BrokenConnector."""
        loaded = self._get(name)
        if not isinstance(loaded, Connector):
            raise BrokenConnector(
                f"The connector {name} is not complete: it needs name, title, roles, config, "
                "oauth and open."
            )
        if loaded.name != name:
            raise BrokenConnector(
                f"The connector {name} calls itself {loaded.name!r}; its name has to be that of "
                "its entry point."
            )
        return loaded

    def file_source(self, name: str) -> FileSource:
        """The file source of that name. Raises UnknownConnector, BrokenConnector."""
        connector = self._get(name)
        if not isinstance(connector, FileSource):
            raise UnknownConnector(f"The connector {name} does not read files.")
        return connector

    def _get(self, name: str) -> Any:
        if name in self._loaded:
            return self._loaded[name]
        if name not in self._entries:
            known = ", ".join(self.names) or "none"
            raise UnknownConnector(
                f"There is no connector called {name!r}. Installed: {known}.",
                data={"installed": self.names},
            )
        entry = self._entries[name]
        try:
            loaded = entry.load()()
        except Exception as error:  # a plugin may fail in any way; the server goes on
            raise BrokenConnector(
                f"The connector {name} ({entry.value}) cannot be loaded: {error}"
            ) from error
        self._loaded[name] = loaded
        return loaded
