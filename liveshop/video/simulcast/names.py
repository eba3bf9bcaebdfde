"""Names of servers looked up, in threads of their own: a lookup cannot be cancelled, and one that
hangs would keep a thread from everything else this process does in threads.

One lookup a name at a time, so that a dead name costs one thread however many legs lead there.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

Lookup = Callable[[str, int], Sequence[str]]
"""The addresses of a host. Blocks; raises OSError, UnicodeError."""

_MOST: Final = 16
"""Names that are looked up at once."""


def addresses_of(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Names:
    """For one event loop at a time."""

    def __init__(self, lookup: Lookup = addresses_of, *, most: int = _MOST) -> None:
        self._lookup = lookup
        self._most = most
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """To be given a timeout; the lookup goes on without whoever asked. Raises what the lookup
        raises, and TimeoutError where too many hang."""
        found = self._asked.get((host, port))
        if found is None:
            if len(self._asked) >= self._most:
                raise TimeoutError
            found = self._begin(host, port)
        return await asyncio.shield(found)

    def _begin(self, host: str, port: int) -> "asyncio.Future[Sequence[str]]":
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()
        found.add_done_callback(lambda done: done.cancelled() or done.exception())

        def look() -> None:
            result: Any
            try:
                result = self._lookup(host, port)
            except Exception as error:
                result = error
            # A loop that is closed has nobody left to tell.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._told, (host, port), found, result)

        # No pool: the interpreter would wait for its threads when it ends.
        threading.Thread(target=look, name="name lookup", daemon=True).start()
        self._asked[host, port] = found
        return found

    def _told(
        self, asked: tuple[str, int], found: "asyncio.Future[Sequence[str]]", result: Any
    ) -> None:
        self._asked.pop(asked, None)
        if found.cancelled():
            return
        if isinstance(result, Exception):
            found.set_exception(result)
        else:
            found.set_result(result)
