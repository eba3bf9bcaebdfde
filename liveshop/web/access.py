"""Who is asking, and what a route asks for. Every route states its access; there is no default."""

from dataclasses import dataclass
from typing import Literal, Protocol

from aiohttp import web

from liveshop.kernel.errors import Forbidden, ShopError

PERMISSIONS = {
    "shows:read": "see drafts and the numbers of shows",
    "shows:write": "create, change, start and end shows; pin products",
    "chat:moderate": "delete messages, mute and ban",
    "catalog:read": "see stock by location",
    "catalog:write": "change products and stock, import",
    "media:write": "upload pictures",
    "promotions:read": "see promotions and preview them",
    "promotions:write": "create, change, pause and end promotions",
    "channels:read": "see connections, listings and posts",
    "channels:write": "connect channels and shop systems, sync, post",
    "orders:read": "see orders",
    "orders:write": "change orders",
    "staff:admin": "manage staff and API keys",
}

Kind = Literal["anonymous", "guest", "customer", "staff", "api_key"]


class NotSignedIn(ShopError):
    code = "not_signed_in"
    status = 401


class BadToken(ShopError):
    """A token or session was sent that is forged, expired or revoked."""

    code = "bad_token"
    status = 401


class BadCsrf(ShopError):
    code = "bad_csrf_token"
    status = 403


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody asking. `id` is a viewer, staff or key id; empty for nobody."""

    kind: Kind
    id: str = ""
    name: str = ""
    permissions: frozenset[str] = frozenset()
    csrf_token: str | None = None
    """Set when a cookie, which browsers send by themselves, is what vouched for the caller."""

    @property
    def is_viewer(self) -> bool:
        return self.kind in ("guest", "customer")

    @property
    def is_staff(self) -> bool:
        return self.kind in ("staff", "api_key")

    def may(self, permission_: str) -> bool:
        return permission_ in self.permissions


ANONYMOUS = Principal(kind="anonymous")


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks for: `any` one, a `viewer`, anybody `signed_in`, `staff`, a permission."""

    rule: Literal["public", "viewer", "signed_in", "staff", "permission"]
    permission: str = ""

    def allows(self, who: Principal) -> bool:
        if self.rule == "public":
            return True
        if self.rule == "viewer":
            return who.is_viewer
        if self.rule == "signed_in":
            return who.kind != "anonymous"
        if self.rule == "staff":
            return who.is_staff
        return who.may(self.permission)

    def check(self, who: Principal) -> None:
        """Raises NotSignedIn (nobody asked) or Forbidden (the wrong one did)."""
        if self.allows(who):
            return
        if who.kind == "anonymous":
            raise NotSignedIn("Sign in first, or send a token.", data={"access": str(self)})
        raise Forbidden(f"This needs {self.in_words()}.", data={"access": str(self)})

    def in_words(self) -> str:
        return {
            "public": "nothing",
            "viewer": "a guest or customer token",
            "signed_in": "any token or session",
            "staff": "a staff session or an API key",
            "permission": f"the permission {self.permission}",
        }[self.rule]

    def __str__(self) -> str:
        return self.permission or self.rule


PUBLIC = Access("public")
VIEWER = Access("viewer")
SIGNED_IN = Access("signed_in")
STAFF = Access("staff")


def permission(name: str) -> Access:
    """Access for whoever holds this permission; the name must be a known one."""
    if name not in PERMISSIONS:
        raise ValueError(f"unknown permission {name}; known are {', '.join(PERMISSIONS)}")
    return Access("permission", name)


class Authenticator(Protocol):
    async def authenticate(self, request: web.Request) -> Principal:
        """The principal of a request; ANONYMOUS without credentials. Raises BadToken."""
