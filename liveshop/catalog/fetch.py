"""Pictures from other people's addresses, without being led into our own network.

`web.outgoing` says which addresses are ours; each redirect is checked again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from liveshop.catalog.model import ImageTooLarge, NotAnImage
from liveshop.kernel.errors import Invalid, Unavailable
from liveshop.web.outgoing import AddressRefused, GuardedResolver, is_address, is_public

_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
_MAX_REDIRECTS = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchRefused(Invalid):
    """The other side answers, but not with a picture; asking again will not help."""

    code = "fetch_refused"


class FetchFailed(Unavailable):
    """The other side does not answer now."""

    code = "fetch_failed"


class Fetcher:
    """Open it with `async with fetcher(...)`; one for a few addresses, then closed."""

    def __init__(
        self, session: aiohttp.ClientSession, *, max_bytes: int, private_allowed: bool
    ) -> None:
        self._session = session
        self._max_bytes = max_bytes
        self._private_allowed = private_allowed

    async def fetch(self, url: str) -> bytes:
        """The bytes at an address. Raises AddressRefused, FetchRefused, FetchFailed,
        ImageTooLarge, NotAnImage."""
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                self._check(url)
                content, url = await self._get(url)
                if content is not None:
                    return content
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{_host(url)} is not an address to fetch from.") from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise FetchFailed(f"{_host(url)} does not answer: {type(error).__name__}.") from error
        raise FetchRefused(f"{_host(url)} redirects more than {_MAX_REDIRECTS} times.")

    def _check(self, url: str) -> None:
        refused = AddressRefused("Pictures are fetched from http and https addresses only.")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise refused from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise refused
        # A name is looked at by the resolver; an address given as such never gets there.
        is_private = is_address(parts.hostname) and not is_public(parts.hostname)
        if is_private and not self._private_allowed:
            raise AddressRefused(f"{parts.hostname} is a private address and is not fetched from.")

    async def _get(self, url: str) -> tuple[bytes | None, str]:
        """The content, or None and where to look instead."""
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return None, urljoin(url, response.headers["Location"])
            if response.status >= 500 or response.status in (408, 425, 429):
                raise FetchFailed(f"{_host(url)} answers {response.status}.")
            if response.status != 200:
                raise FetchRefused(f"{_host(url)} answers {response.status}.")
            if response.content_type.startswith("text/"):
                raise NotAnImage(f"{_host(url)} answers with a page, not with a picture.")
            return await self._read(response), url

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for piece in response.content.iter_chunked(64 * 1024):
            content += piece
            if len(content) > self._max_bytes:
                raise ImageTooLarge(
                    f"The picture is larger than {self._max_bytes} bytes.",
                    data={"max_bytes": self._max_bytes},
                )
        return bytes(content)


@asynccontextmanager
async def fetcher(*, max_bytes: int, private_allowed: bool) -> AsyncIterator[Fetcher]:
    resolver: AbstractResolver = aiohttp.ThreadedResolver()
    if not private_allowed:
        resolver = GuardedResolver(resolver)
    connector = aiohttp.TCPConnector(resolver=resolver, limit=8, use_dns_cache=False)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "Liveshop (picture import)", "Accept": "image/*"},
    ) as session:
        yield Fetcher(session, max_bytes=max_bytes, private_allowed=private_allowed)
    # Sockets of TLS connections close a moment later; leave them that moment.
    await asyncio.sleep(0)


def _host(url: str) -> str:
    """Enough to know whose fault it was; a whole address may hold a secret."""
    try:
        return urlsplit(url).hostname or "the address"
    except ValueError:
        return "the address"
