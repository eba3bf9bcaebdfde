"""Staff, roles and API keys: who may do what, as pure rules.

Roles are fixed sets of permissions in code, not rows: a permission is only worth something where
code asks for it, and shops this size never edited theirs.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from liveshop.kernel.errors import Conflict, Forbidden, Invalid, ShopError
from liveshop.kernel.ids import KeyId, StaffId
from liveshop.kernel.text import clean_line
from liveshop.web import PERMISSIONS, Principal

Role = Literal["host", "moderator", "merchant", "admin"]

ROLES: dict[str, frozenset[str]] = {
    "host": frozenset(
        {
            "shows:read",
            "shows:write",
            "chat:moderate",
            "catalog:read",
            "media:write",
            "promotions:read",
            "orders:read",
        }
    ),
    "moderator": frozenset({"shows:read", "chat:moderate"}),
    "merchant": frozenset(
        {
            "catalog:read",
            "catalog:write",
            "media:write",
            "promotions:read",
            "promotions:write",
            "channels:read",
            "channels:write",
            "orders:read",
            "orders:write",
            "shows:read",
        }
    ),
    "admin": frozenset(PERMISSIONS),
}

KEY_PREFIX = "lsk_"
MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 200
LONGEST_KEY_LIFE = timedelta(days=3660)

SESSION_LIFE = timedelta(days=14)
SESSION_RENEWED_AFTER = timedelta(days=1)
LONGEST_SESSION = timedelta(days=90)

_EMAIL = re.compile(r"[^\s@,;<>()\[\]\"\\]+@[^\s@,;<>()\[\]\"\\.]+(\.[^\s@,;<>()\[\]\"\\.]+)*")


class BadCredentials(ShopError):
    """Unknown e-mail, wrong password or switched-off account: deliberately one answer."""

    code = "bad_credentials"
    status = 401


class NoSession(Forbidden):
    """An API key asked for what only a browser session has."""

    code = "no_session"


class TooManyRights(Forbidden):
    """Somebody tried to give away, or act over, more than they may do themselves."""

    code = "too_many_rights"


class LastAdmin(Conflict):
    code = "last_admin"


class EmailTaken(Conflict):
    code = "email_taken"


class BadEmail(Invalid):
    code = "bad_email"


class BadPassword(Invalid):
    code = "bad_password"


class UnknownRole(Invalid):
    code = "unknown_role"


class UnknownPermission(Invalid):
    code = "unknown_permission"


class BadExpiry(Invalid):
    code = "bad_expiry"


@dataclass(frozen=True, slots=True)
class Staff:
    id: StaffId
    email: str
    name: str
    roles: tuple[str, ...]
    active: bool
    created_at: datetime

    @property
    def permissions(self) -> frozenset[str]:
        return permissions_of(self.roles) if self.active else frozenset()

    def as_principal(self, *, csrf_token: str | None = None) -> Principal:
        return Principal(
            kind="staff",
            id=self.id,
            name=self.name,
            permissions=self.permissions,
            csrf_token=csrf_token,
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program's way in. It never may more than `created_by` may at the moment it is used.

    Otherwise somebody who was let go, or lost a role, would keep it through a key made before.
    """

    id: KeyId
    name: str
    permissions: tuple[str, ...]
    created_by: StaffId
    created_at: datetime
    expires_at: datetime | None

    def permissions_now(self, owner: Staff) -> frozenset[str]:
        return frozenset(self.permissions) & owner.permissions


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


def in_order(permissions: Iterable[str]) -> list[str]:
    """Permissions once each, in the order they are documented in."""
    wanted = set(permissions)
    return [name for name in PERMISSIONS if name in wanted]


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Known roles, each once, at least one. Raises UnknownRole."""
    wanted = set(roles)
    unknown = sorted(wanted - ROLES.keys())
    if unknown or not wanted:
        raise UnknownRole(f"Give at least one role of {', '.join(ROLES)}.", data={"field": "roles"})
    return tuple(role for role in ROLES if role in wanted)


def checked_permissions(permissions: Iterable[str]) -> tuple[str, ...]:
    """Known permissions, each once, at least one. Raises UnknownPermission."""
    wanted = set(permissions)
    if wanted - PERMISSIONS.keys() or not wanted:
        raise UnknownPermission(
            f"Give at least one permission of {', '.join(PERMISSIONS)}.",
            data={"field": "permissions"},
        )
    return tuple(in_order(wanted))


def checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Raises BadExpiry for the past, and for so far a future that it means `never`."""
    if expires_at is None:
        return None
    if not now < expires_at <= now + LONGEST_KEY_LIFE:
        raise BadExpiry(
            "expires_at must lie in the next ten years; leave it out for a key that stays.",
            data={"field": "expires_at"},
        )
    return expires_at


def check_reach(by: Principal | None, permissions: Iterable[str]) -> None:
    """Nobody grants, or acts over, rights they lack. `None` is the operator at the machine.

    Without this a key that may only manage staff could make itself an admin.
    """
    if by is None:
        return
    beyond = in_order(set(permissions) - by.permissions)
    if beyond:
        raise TooManyRights(
            f"This goes beyond your own rights: {', '.join(beyond)}.",
            data={"permissions": beyond},
        )


def normal_email(text: str) -> str:
    """The form an e-mail is stored and looked up in. Raises BadEmail or BadText."""
    email = clean_line(text, max_length=254, field="email").lower()
    if not _EMAIL.fullmatch(email):
        raise BadEmail("This is not an e-mail address.", data={"field": "email"})
    return email


def normal_password(text: str) -> str:
    """NFC (RFC 8265, OpaqueString): one password, whatever keyboard it is typed on."""
    return unicodedata.normalize("NFC", text)


def checked_password(text: str) -> str:
    """A password good enough to be set. Raises BadPassword."""
    password = normal_password(text)
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise BadPassword(
            f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.",
            data={"field": "password"},
        )
    if len(set(password)) < 4:
        raise BadPassword(
            "A password of so few different characters is guessed at once.",
            data={"field": "password"},
        )
    return password


def check_admin_remains(everybody: Iterable[Staff]) -> None:
    """Raises LastAdmin when nobody of `everybody`, after the change, could manage staff."""
    if not any(staff.active and "admin" in staff.roles for staff in everybody):
        raise LastAdmin("This is the last active admin. Make somebody else an admin first.")
