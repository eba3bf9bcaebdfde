"""What a crowd needs of this machine: open files, ports, source addresses."""

import resource
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from liveshop.crowd.looking import CannotStart
from liveshop.crowd.plan import Plan

_FILES_BESIDE = 400
"""Open files of a process beside its viewers' sockets: HTTP connections, libraries."""
_PORTS = 28_000
"""Where the system does not say how many a connection may start from."""
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def sources_for(plan: Plan) -> list[str]:
    """Source addresses to spread the people over; none: whichever the system takes.

    On loopback every 127.… address is this machine, and a server takes each for another visitor's.
    Blocking: names are looked up. Raises CannotStart.
    """
    hosts = [urlsplit(address).hostname or "" for address in plan.addresses]
    if not sys.platform.startswith("linux") or not all(_is_loopback(host) for host in hosts):
        return []
    count = plan.sources()
    return [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(count)]


def check_ports(plan: Plan, sources: list[str]) -> None:
    """Raises CannotStart when more connections to one port are wanted than can be had. Blocking:
    the system's settings are read."""
    ports = _ports() * max(1, len(sources)) * len(plan.addresses)
    if plan.viewers > ports:
        raise CannotStart(
            f"From one address at most {ports:,} connections to one port can be had, so not "
            f"{plan.viewers:,} viewers. Send part of the crowd from another machine, or name "
            "further addresses of the server with --node."
        )


def allow_files(viewers: int) -> None:
    """Raises CannotStart when this process and those it starts may not open as many files."""
    needed = viewers + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotStart(
                f"A process may open {hard:,} files here, and {needed:,} are needed. Raise the "
                "limit (ulimit -n), or use more --processes."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _is_loopback(host: str) -> bool:
    """By every address the name has: one that is ::1 too cannot be reached from 127.0.0.2."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return all(str(address).startswith("127.") for address in found)


def _ports() -> int:
    try:
        first, last = _PORT_RANGE.read_text().split()
    except (OSError, ValueError):
        return _PORTS
    return int(last) - int(first) + 1
