"""Viewers over HTTP: come in, ask who one is, choose a name; and how a request shows who it is."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from liveshop.customers import wire
from liveshop.customers.model import BadSignOn, NameReserved, NameUnfit, SignOnNotConfigured
from liveshop.customers.service import CustomerService
from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import ViewerId
from liveshop.kernel.text import BadText
from liveshop.web import PUBLIC, SIGNED_IN, VIEWER, Call, Endpoint, Principal

_KEY_PREFIX = "lsk_"
"""Of API keys, which are bearer tokens too but not a viewer's."""


class ViewerAuthenticator:
    """Viewers by `Authorization: Bearer <token>`; None: no token, or an API key."""

    def __init__(self, service: CustomerService) -> None:
        self._service = service

    async def authenticate(self, request: web.Request) -> Principal | None:
        """Raises BadToken for a token that is forged, expired, or of a forgotten viewer."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return await self.by_token(token.strip()) if scheme.lower() == "bearer" else None

    async def by_token(self, token: str) -> Principal | None:
        """The principal of a viewer's token. Raises BadToken; None for an API key."""
        if token.startswith(_KEY_PREFIX):
            return None
        return await self._service.principal_of(token)


CarryOver = Callable[[ViewerId, ViewerId], Awaitable[None]]
"""What a guest had becomes the customer's: `(guest, customer)`. May be called twice."""


def endpoints(service: CustomerService, carry_over: CarryOver) -> list[Endpoint]:
    async def create_guest(call: Call) -> wire.GuestToken:
        return wire.GuestToken.of(service.new_guest(call.address))

    async def sign_on_customer(call: Call) -> wire.GuestToken:
        body: wire.SignOn = call.body
        admitted = await service.sign_on(body.token, call.address)
        if call.principal.kind == "guest":
            await carry_over(ViewerId(call.principal.id), admitted.viewer_id)
        return wire.GuestToken.of(admitted)

    async def get_me(call: Call) -> wire.Me:
        return wire.Me.of(call.principal)

    async def change_me(call: Call) -> wire.Me:
        body: wire.NameChange = call.body
        name = await service.rename(call.principal.id, body.name)
        return wire.Me.of(call.principal, name=name)

    return [
        Endpoint(
            "POST",
            "/api/guests",
            create_guest,
            PUBLIC,
            "Come in as a guest",
            "viewers",
            answer=wire.GuestToken,
            status=201,
        ),
        Endpoint(
            "POST",
            "/api/customers/sign-on",
            sign_on_customer,
            PUBLIC,
            "Come in as a customer the storefront vouches for; with a guest's token, his cart too",
            "viewers",
            body=wire.SignOn,
            answer=wire.GuestToken,
            errors=(BadSignOn, SignOnNotConfigured),
        ),
        Endpoint(
            "GET",
            "/api/me",
            get_me,
            SIGNED_IN,
            "Who this token or session speaks for",
            "viewers",
            answer=wire.Me,
        ),
        Endpoint(
            "PUT",
            "/api/me",
            change_me,
            VIEWER,
            "Choose the name shown in chat",
            "viewers",
            body=wire.NameChange,
            answer=wire.Me,
            errors=(NameReserved, NameUnfit, BadText, NotFound),
        ),
    ]
