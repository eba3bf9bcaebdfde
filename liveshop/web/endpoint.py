"""An endpoint as data: enough for routing, access, decoding, documentation and the access table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from liveshop.kernel.errors import ShopError
from liveshop.web.access import Access, Principal

REQUEST_ID = web.RequestKey("request_id", str)
CLIENT_ADDRESS = web.RequestKey("client_address", str)


@dataclass(slots=True)
class Call:
    """One request, decoded. `body` and `query` are of the endpoint's types (None without one)."""

    request: web.Request
    principal: Principal
    now: datetime
    request_id: str
    params: dict[str, str]
    body: Any = None
    query: Any = None
    headers_out: dict[str, str] = field(default_factory=dict)
    cookies_out: list[Callable[[web.StreamResponse], None]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The caller's network address, as far as the configured proxies can be trusted."""
        return self.request[CLIENT_ADDRESS]


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`handler` returns a struct of type `answer` (or None with status 204).

    With `raw=True` it returns an aiohttp response, of the media type(s) in `produces`.
    `consumes` other than JSON hands the handler the unread body (`call.request.content`).
    """

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    tag: str
    body: type | None = None
    query: type | None = None
    answer: Any = None
    status: int = 200
    errors: tuple[type[ShopError], ...] = ()
    headers: tuple[str, ...] = ()
    """Request headers that must be sent, such as Idempotency-Key."""
    raw: bool = False
    produces: tuple[str, ...] = ("application/json",)
    consumes: tuple[str, ...] = ("application/json",)
    max_body_bytes: int | None = None
    any_origin: bool = False
    """Readable by pages of every origin: media, playlists, assets."""
    documented: bool = True
    is_by_link: bool = False
    """Its address is the permission: whoever calls is nobody, whatever cookie or token he sends."""
