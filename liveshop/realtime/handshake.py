"""Who opens a WebSocket: its subprotocol, the page it comes from, and whom its token names.

Pages cannot set headers on a WebSocket, so a token travels as a second subprotocol, `bearer.…`.
"""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from liveshop.realtime.model import SUBPROTOCOL, UpgradeRequired, WrongSubprotocol
from liveshop.web.access import ANONYMOUS, Principal
from liveshop.web.server import WebKit

_BEARER = "bearer."

Bearer = Callable[[str], Awaitable[Principal]]
"""The principal of a guest, customer or API token. Raises BadToken."""


class Handshake:
    def __init__(self, kit: WebKit, bearer: Bearer) -> None:
        self._kit = kit
        self._bearer = bearer

    def is_welcome(self, request: web.Request) -> bool:
        """Whether the page it comes from may be shown anything; programs name no page."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return True
        return self._kit.is_own_origin(request, origin) or self._kit.may_embed(origin)

    async def authenticate(self, request: web.Request) -> Principal:
        """Raises BadToken."""
        for offered in _subprotocols(request):
            if offered.startswith(_BEARER):
                return await self._bearer(offered.removeprefix(_BEARER))
        who = await self._kit.authenticator.authenticate(request)
        origin = request.headers.get(hdrs.ORIGIN)
        if who.csrf_token is None or origin is None or self._kit.is_own_origin(request, origin):
            return who
        # A cookie that a storefront's page brought along unasked proves nothing about its reader.
        return ANONYMOUS


def check_handshake(request: web.Request) -> None:
    """Refused by status, before the upgrade: these callers are programs, not pages.

    The subprotocol is checked here also because aiohttp would log the ones it does not know,
    and one of them is the token. Raises UpgradeRequired, WrongSubprotocol.
    """
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise UpgradeRequired("This address speaks WebSocket only.")
    if SUBPROTOCOL not in _subprotocols(request):
        raise WrongSubprotocol(f"Offer the subprotocol {SUBPROTOCOL}.")


def _subprotocols(request: web.Request) -> list[str]:
    offered = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    return [name.strip() for name in offered.split(",") if name.strip()]
