"""How many connections each network address has open here."""

import ipaddress
from collections import Counter

_IPV6_HOME = 64
"""A household gets a network of so many bits, and can change the rest at will."""


class Addresses:
    """`at_most`: connections of one address; 0: no limit."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection; False: there are too many. `leave` must follow in any case."""
        origin = _origin(address)
        self._open[origin] += 1
        return not origin or not self._at_most or self._open[origin] <= self._at_most

    def leave(self, address: str) -> None:
        origin = _origin(address)
        self._open[origin] -= 1
        if not self._open[origin]:
            del self._open[origin]


def _origin(address: str) -> str:
    """Whose connections are counted together; empty: this machine's own, which have no limit."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            network = ipaddress.ip_network((found, _IPV6_HOME), strict=False)
            return "" if found.is_loopback else str(network)
        found = found.ipv4_mapped
    return "" if found.is_loopback else str(found)
