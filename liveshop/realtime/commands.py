"""Commands as data: enough for dispatch, access, documentation and the access table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from liveshop.web.access import Access, Principal
from liveshop.web.wire import Wire


@dataclass(slots=True)
class Session:
    """One connection to a room. `principal` is proved anew for each command."""

    show_id: str
    principal: Principal
    address: str
    """The viewer's network address, as far as the configured proxies can be trusted."""


Handler = Callable[[Session, Any], Awaitable[msgspec.Struct | None]]


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """`handler` gets the session and an instance of `args`; None is answered as `{}`."""

    name: str
    args: type[Wire]
    access: Access
    handler: Handler
    summary: str
    answer: type[Wire] | None = None
