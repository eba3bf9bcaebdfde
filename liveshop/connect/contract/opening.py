"""A connector opened as the engine opens it, without the engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from liveshop.connect.config import decode_config, split_config
from liveshop.connect.connector import AccessTokens, Connector, Kit, Memory
from liveshop.connect.errors import NeedsAttention
from liveshop.connect.registry import Connectors
from liveshop.kernel.clock import Clock, SystemClock


class DictMemory(Memory):
    """Keeps for as long as it lives."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.texts.get(key)

    async def put(self, key: str, value: str) -> None:
        self.texts[key] = value

    async def forget(self, key: str) -> None:
        self.texts.pop(key, None)


class NoTokens(AccessTokens):
    """Of a connector without OAuth."""

    async def access_token(self) -> str:
        raise NeedsAttention("This connection was never authorised. Authorise it in the desk.")

    async def renewed(self, rejected: str) -> str:
        return await self.access_token()


@asynccontextmanager
async def kit_for(
    *,
    clock: Clock | None = None,
    tokens: AccessTokens | None = None,
    memory: Memory | None = None,
    limits: Mapping[str, int] | None = None,
) -> AsyncIterator[Kit]:
    """A kit with a session of its own: no cookies, redirects are the connector's to refuse."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Kit(
            clock=clock or SystemClock(),
            http=session,
            tokens=tokens or NoTokens(),
            memory=memory or DictMemory(),
            limits=limits,
        )


@asynccontextmanager
async def open_connector(
    connector: str | Connector,
    config: Mapping[str, object],
    *,
    clock: Clock | None = None,
    tokens: AccessTokens | None = None,
    memory: Memory | None = None,
    limits: Mapping[str, int] | None = None,
) -> AsyncIterator[Any]:
    """What `open` yields: by the entry point's name, or of an object. `config` holds secrets as
    plain text. Raises BadConfig, UnknownConnector, BrokenConnector."""
    if isinstance(connector, str):
        connector = await asyncio.to_thread(_installed, connector)
    plain, secrets = split_config(connector.config, config)
    decoded = decode_config(connector.config, plain, secrets)
    async with (
        kit_for(clock=clock, tokens=tokens, memory=memory, limits=limits) as kit,
        connector.open(decoded, kit) as opened,
    ):
        yield opened


def _installed(name: str) -> Connector:
    return Connectors.installed().connector(name)
