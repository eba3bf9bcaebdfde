"""Requests of ours to other people's servers, without being led into our own network.

Addresses are checked where the connection is made, after the name is resolved, so that a name
which resolves differently the second time gains nothing.
"""

import ipaddress
import socket
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from liveshop.kernel.errors import Invalid

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(Invalid):
    """The address leads into a private network, or is none to fetch from at all."""

    code = "address_refused"


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet, also when it hides inside another."""
    try:
        address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def is_address(host: str) -> bool:
    """Whether a host is taken for an address, so that no resolver is asked. Odd spellings of
    addresses (127.1, 2130706433) count, and are then not public."""
    return ":" in host or host.replace(".", "").isdigit()


class GuardedResolver(AbstractResolver):
    """Gives only addresses of the open internet. Raises AddressRefused where there are none."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise AddressRefused(f"{host} leads into a private network and is not fetched from.")
        return public

    async def close(self) -> None:
        await self._inner.close()


def session(
    *, private_allowed: bool, timeout_seconds: float, user_agent: str
) -> aiohttp.ClientSession:
    """A session that keeps no cookies and, unless allowed, opens no private address."""
    resolver: AbstractResolver = aiohttp.ThreadedResolver()
    trace = aiohttp.TraceConfig()
    if not private_allowed:
        resolver = GuardedResolver(resolver)
        trace.on_request_start.append(_refuse_private)
        trace.on_request_redirect.append(_refuse_private_hop)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, limit=16),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds, connect=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": user_agent},
        trace_configs=[trace],
    )


async def _refuse_private(
    _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestStartParams
) -> None:
    """An address given as such is never shown to the resolver."""
    _check(params.url)


async def _refuse_private_hop(
    _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    """Of those who follow redirects: each leads where it likes."""
    location = params.response.headers.get("Location", "")
    try:
        _check(params.url.join(URL(location)))
    except ValueError:
        raise AddressRefused("A redirect leads to no address.") from None


def _check(url: URL) -> None:
    host = url.host or ""
    if is_address(host) and not is_public(host):
        raise AddressRefused(f"{host} is a private address and is not fetched from.")
