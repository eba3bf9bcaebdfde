"""What a connector is: a name, a typed configuration, and something that opens with it."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, runtime_checkable

import aiohttp
from aiolimiter import AsyncLimiter

from liveshop.connect.credentials import AccessTokens, Secret
from liveshop.connect.errors import NeedsAttention, RetryLater
from liveshop.connect.limits import Limit
from liveshop.connect.oauth import OAuth
from liveshop.kernel.clock import Clock

__all__ = ["AccessTokens", "Connector", "Kit", "Memory", "Opened", "Role", "Secret"]

Role = Literal["file_source", "source", "channel", "feed", "poster", "stage"]


class Memory(Protocol):
    """A few texts that a connection keeps over restarts, such as the id of a draft order."""

    async def get(self, key: str) -> str | None: ...

    async def put(self, key: str, value: str) -> None:
        """Stored when this returns."""
        ...

    async def forget(self, key: str) -> None: ...


class _Budget:
    """A leaky bucket. The limiter makes callers wait; beside it stands when the bucket will be
    empty once all who wait were served, for that tells how long the next would have to."""

    def __init__(self, most: int, per_seconds: float) -> None:
        self._limiter = AsyncLimiter(most, per_seconds)
        self._most = most
        self._per_unit = per_seconds / most
        self._empty_at = 0.0

    def wait_seconds(self, amount: float) -> float:
        now = asyncio.get_running_loop().time()
        backlog = max(self._empty_at - now, 0.0)
        room = self._most - min(amount, self._most)
        return max(backlog - room * self._per_unit, 0.0)

    async def take(self, amount: float) -> None:
        """More than fits at all costs a whole bucket."""
        amount = min(amount, self._most)
        took = amount * self._per_unit
        self._empty_at = max(self._empty_at, asyncio.get_running_loop().time()) + took
        try:
            await self._limiter.acquire(amount)
        except asyncio.CancelledError:
            self._empty_at -= took
            raise


Budgets = dict[tuple[str, float], _Budget]
"""Of one account at a vendor, by name and seconds: shared by all kits that spend from it."""


class Kit:
    """What the engine lends a connection; it lives as long as the connection is open.

    `http` is one session for all requests: no cookies, a total time-out of 30 s unless a request
    says otherwise, redirects not followed.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        http: aiohttp.ClientSession,
        tokens: AccessTokens,
        memory: Memory,
        limits: Mapping[str, int] | None = None,
        max_wait_seconds: float = 10.0,
        budgets: Budgets | None = None,
    ) -> None:
        self.clock = clock
        self.http = http
        self.tokens = tokens
        self.memory = memory
        self._limits = dict(limits or {})
        self._max_wait_seconds = max_wait_seconds
        self._budgets: Budgets = {} if budgets is None else budgets

    def limit(self, row: Limit) -> int:
        """The figure to use: the operator's, or else the vendor's."""
        return self._limits.get(row.name, row.value)

    async def spend(self, row: Limit, *, per_seconds: float, amount: float = 1) -> None:
        """Take from a rate budget: at once, or after a wait of at most `max_wait_seconds`. Raises
        RetryLater with the time until there is enough, when that is longer."""
        most = self.limit(row)
        if most <= 0:
            raise NeedsAttention(f"The limit {row.name} is set to {most}: nothing may be sent.")
        budget = self._budgets.get((row.name, per_seconds))
        if budget is None:
            budget = self._budgets[row.name, per_seconds] = _Budget(most, per_seconds)
        wait = budget.wait_seconds(amount)
        if wait > self._max_wait_seconds:
            raise RetryLater(f"The budget {row.name} is used up for now.", after=wait)
        await budget.take(amount)


class Opened(Protocol):
    """What `open` yields: it is a Source, Channel, Feed, Poster or Stage, or several
    of them."""

    async def diagnose(self) -> Iterable[str]:
        """What is missing, in plain words for the merchant, one sentence each; nothing when it
        works. Asks the other side, changes nothing. Raises as any other call."""
        ...


@runtime_checkable
class Connector(Protocol):
    """A plugin; the class named by an entry point of the group `liveshop.connectors`, made without
    arguments, once.

    `config` is a frozen `msgspec.Struct` of `str`, `int`, `bool`, `Literal` and `Secret` fields;
    `msgspec.Meta(title=..., description=...)` on them words the form in the desk.
    """

    @property
    def name(self) -> str:
        """The same as the entry point's."""
        ...

    @property
    def title(self) -> str:
        """What people call it: `X`, `Instagram`."""
        ...

    @property
    def roles(self) -> frozenset[Role]: ...

    @property
    def config(self) -> type[Any]: ...

    @property
    def oauth(self) -> OAuth | None:
        """How it is authorised, where that is by OAuth."""
        ...

    def open(self, config: Any, kit: Kit) -> AbstractAsyncContextManager[Any]:
        """Yields an object with the protocols of its roles, and `diagnose()` of `Opened`. Sends
        nothing: the other side may be down, and that is for the first call to say."""
        ...
