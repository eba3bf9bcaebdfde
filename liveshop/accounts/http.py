"""Sign-in, staff and API keys over HTTP, and how a request shows that it comes from staff.

The session is a cookie and not a token for scripts: a script that got into a page cannot read it.
"""

from collections.abc import Callable

from aiohttp import web
from msgspec import UNSET

from liveshop.accounts import wire
from liveshop.accounts.model import (
    KEY_PREFIX,
    BadCredentials,
    BadEmail,
    BadExpiry,
    BadPassword,
    EmailTaken,
    LastAdmin,
    NoSession,
    TooManyRights,
    UnknownPermission,
    UnknownRole,
)
from liveshop.accounts.service import AccountService, SignedIn
from liveshop.kernel.clock import rfc3339
from liveshop.kernel.errors import NotFound
from liveshop.kernel.text import BadText
from liveshop.web import PUBLIC, STAFF, BadToken, Call, Endpoint, Principal, permission

COOKIE = "liveshop_session"


class StaffAuthenticator:
    """Staff by session cookie or `Authorization: Bearer lsk_...`; None: no such credentials."""

    def __init__(self, service: AccountService) -> None:
        self._service = service

    async def authenticate(self, request: web.Request) -> Principal | None:
        """Raises BadToken for an API key that is not valid.

        A bearer token, which somebody chose to send, goes before the cookie, which browsers send
        unasked. For the same reason a stale cookie is no error but nobody: it must not stand in
        the way of public pages, or of signing in again.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.by_token(token.strip())
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        try:
            return await self._service.session_of(cookie)
        except BadToken:
            return None

    async def by_token(self, token: str) -> Principal | None:
        """The principal of an API key. Raises BadToken; None for tokens that are not ours."""
        if not token.startswith(KEY_PREFIX):
            return None
        return await self._service.principal_of_key(token)


def endpoints(service: AccountService) -> list[Endpoint]:
    return _session_endpoints(service) + _staff_endpoints(service) + _key_endpoints(service)


def _session_endpoints(service: AccountService) -> list[Endpoint]:
    def answer(call: Call, signed_in: SignedIn) -> wire.Session:
        seconds = int((signed_in.expires_at - call.now).total_seconds())
        call.cookies_out.append(_cookie(signed_in.token, seconds, secure=service.secure_cookies))
        return wire.Session(
            staff=wire.Staff.of(signed_in.staff),
            csrf_token=signed_in.csrf_token,
            expires_at=rfc3339(signed_in.expires_at),
        )

    async def sign_in(call: Call) -> wire.Session:
        body: wire.SignIn = call.body
        return answer(call, await service.sign_in(body.email, body.password, call.address))

    async def get_session(call: Call) -> wire.Session:
        return answer(call, await service.continue_session(_session_token(call)))

    async def sign_out(call: Call) -> None:
        await service.sign_out(_session_token(call))
        call.cookies_out.append(_cookie("", 0, secure=service.secure_cookies))

    return [
        Endpoint(
            "POST",
            "/api/session",
            sign_in,
            PUBLIC,
            "Sign in as staff",
            "accounts",
            body=wire.SignIn,
            answer=wire.Session,
            errors=(BadCredentials,),
        ),
        Endpoint(
            "GET",
            "/api/session",
            get_session,
            STAFF,
            "Who is signed in, and the CSRF token",
            "accounts",
            answer=wire.Session,
            errors=(NoSession,),
        ),
        Endpoint(
            "DELETE",
            "/api/session",
            sign_out,
            STAFF,
            "Sign out",
            "accounts",
            status=204,
            errors=(NoSession,),
        ),
    ]


def _staff_endpoints(service: AccountService) -> list[Endpoint]:
    admin = permission("staff:admin")

    async def list_staff(_: Call) -> wire.StaffList:
        return wire.StaffList(staff=[wire.Staff.of(one) for one in await service.list_staff()])

    async def create_staff(call: Call) -> wire.Staff:
        body: wire.StaffInput = call.body
        member = await service.create_staff(
            email=body.email,
            name=body.name,
            password=body.password,
            roles=body.roles,
            by=call.principal,
        )
        return wire.Staff.of(member)

    async def change_staff(call: Call) -> wire.Staff:
        body: wire.StaffChange = call.body
        member = await service.change_staff(
            call.params["staff_id"],
            by=call.principal,
            name=None if body.name is UNSET else body.name,
            roles=None if body.roles is UNSET else body.roles,
            active=None if body.active is UNSET else body.active,
            password=None if body.password is UNSET else body.password,
        )
        return wire.Staff.of(member)

    return [
        Endpoint(
            "GET",
            "/api/staff",
            list_staff,
            admin,
            "All members of staff",
            "accounts",
            answer=wire.StaffList,
        ),
        Endpoint(
            "POST",
            "/api/staff",
            create_staff,
            admin,
            "Add a member of staff",
            "accounts",
            body=wire.StaffInput,
            answer=wire.Staff,
            status=201,
            errors=(EmailTaken, TooManyRights, BadEmail, BadPassword, UnknownRole, BadText),
        ),
        Endpoint(
            "PATCH",
            "/api/staff/{staff_id}",
            change_staff,
            admin,
            "Change a member of staff, or switch the account off",
            "accounts",
            body=wire.StaffChange,
            answer=wire.Staff,
            errors=(NotFound, LastAdmin, TooManyRights, BadPassword, UnknownRole, BadText),
        ),
    ]


def _key_endpoints(service: AccountService) -> list[Endpoint]:
    admin = permission("staff:admin")

    async def list_keys(_: Call) -> wire.ApiKeyList:
        return wire.ApiKeyList(keys=[wire.ApiKey.of(key) for key in await service.list_keys()])

    async def create_key(call: Call) -> wire.NewApiKey:
        body: wire.ApiKeyInput = call.body
        key, secret = await service.create_key(
            name=body.name,
            permissions=body.permissions,
            by=call.principal,
            expires_at=body.expires_at,
        )
        return wire.NewApiKey(key=wire.ApiKey.of(key), secret=secret)

    async def revoke_key(call: Call) -> None:
        await service.revoke_key(call.params["key_id"])

    return [
        Endpoint(
            "GET",
            "/api/keys",
            list_keys,
            admin,
            "All API keys that were not revoked",
            "accounts",
            answer=wire.ApiKeyList,
        ),
        Endpoint(
            "POST",
            "/api/keys",
            create_key,
            admin,
            "Make an API key; its secret is shown once",
            "accounts",
            body=wire.ApiKeyInput,
            answer=wire.NewApiKey,
            status=201,
            errors=(TooManyRights, UnknownPermission, BadExpiry, BadText),
        ),
        Endpoint(
            "DELETE",
            "/api/keys/{key_id}",
            revoke_key,
            admin,
            "Revoke an API key",
            "accounts",
            status=204,
            errors=(NotFound,),
        ),
    ]


def _session_token(call: Call) -> str:
    if call.principal.csrf_token is None:
        raise NoSession("This is for a browser session; an API key has none.")
    return call.request.cookies[COOKIE]


def _cookie(token: str, seconds: int, *, secure: bool) -> Callable[[web.StreamResponse], None]:
    """Lax: the cookie comes along when staff follow a link here, not with foreign requests."""

    def put(response: web.StreamResponse) -> None:
        response.set_cookie(
            COOKIE,
            token,
            max_age=seconds,
            path="/",
            httponly=True,
            secure=secure,
            samesite="Lax",
        )

    return put
