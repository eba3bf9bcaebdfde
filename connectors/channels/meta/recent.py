"""A few names and values that a connection keeps over restarts; the oldest make room."""

import msgspec

from liveshop.connect import Memory

_MOST = 200


class Recent:
    """One entry of a connection's memory, as a table of at most 200 rows."""

    def __init__(self, memory: Memory, key: str) -> None:
        self._memory = memory
        self._key = key

    async def all(self) -> dict[str, str]:
        stored = await self._memory.get(self._key)
        return msgspec.json.decode(stored, type=dict[str, str]) if stored else {}

    async def put(self, name: str, value: str) -> None:
        """Stored when this returns."""
        rows = await self.all()
        rows.pop(name, None)
        rows[name] = value
        latest = dict(list(rows.items())[-_MOST:])
        await self._memory.put(self._key, msgspec.json.encode(latest).decode())
