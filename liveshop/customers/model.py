"""Viewers: a guest known by a signed token only, or a customer a storefront vouches for.

A guest has no row until something must be kept (a name, being forgotten): most guests only watch,
and a visit should not cost a write.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from liveshop.customers.names import is_fit_for_chat
from liveshop.kernel.errors import Invalid, NotFound, ShopError
from liveshop.kernel.ids import ConsentId, ViewerId, has_prefix
from liveshop.kernel.rehearsals import is_rehearsing
from liveshop.kernel.text import BadText, clean_line

GUEST_PREFIX = "gst"
CUSTOMER_PREFIX = "cus"

CUSTOMER_TOKEN_LIFE = timedelta(hours=24)
"""The storefront vouches for today: its page signs on again at the next visit."""

SIGN_ON_LEEWAY = timedelta(seconds=30)
"""Clocks of two servers differ a little."""

MAX_NAME_LENGTH = 40
_MAX_CLAIM_LENGTH = 200
_MAX_ID_LENGTH = 255
_MAX_SEGMENTS = 20
_MAX_SEGMENT_LENGTH = 60
_EMAIL = re.compile(r"[^\s@,;<>()\[\]\"\\]+@[^\s@,;<>()\[\]\"\\]+")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


class BadSignOn(ShopError):
    """The storefront's token does not hold; `data.reason` says why, for its developers."""

    code = "bad_sign_on"
    status = 401


class SignOnNotConfigured(NotFound):
    code = "sign_on_not_configured"


class NameReserved(Invalid):
    """A display name that would pass for the shop, its staff or another guest."""

    code = "name_reserved"


class NameUnfit(Invalid):
    """A display name without a letter, or one that carries a link or an address."""

    code = "name_unfit"


@dataclass(frozen=True, slots=True)
class Viewer:
    id: ViewerId
    display_name: str | None
    external_id: str | None
    issuer: str | None
    email: str | None
    full_name: str | None
    locale: str | None
    created_at: datetime
    deleted_at: datetime | None

    @property
    def shown_name(self) -> str:
        return self.display_name or default_name(self.id)


@dataclass(frozen=True, slots=True)
class Consent:
    """That somebody allowed something, when, and the words they saw. Kept after a withdrawal."""

    id: ConsentId
    subject: str
    """A viewer id or an e-mail address: whoever the permission is about."""
    purpose: str
    wording: str
    granted_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a storefront says about its customer, cleaned."""

    issuer: str
    external_id: str
    full_name: str | None
    email: str | None
    locale: str | None
    segments: tuple[str, ...]

    def display_name(self, shop_name: str) -> str | None:
        """The first name only: who buys in a shop did not agree to stand in chat by full name."""
        first = (self.full_name or "").split(" ")[0][:MAX_NAME_LENGTH]
        return first if is_fit_for_chat(first, shop_name) else None


def is_guest(viewer_id: str) -> bool:
    return has_prefix(viewer_id, GUEST_PREFIX) or is_rehearsing(viewer_id)


def is_viewer_id(text: str) -> bool:
    return is_guest(text) or has_prefix(text, CUSTOMER_PREFIX)


def default_name(viewer_id: str) -> str:
    """`Guest 4821`: always the same for one id; others may share it, ids tell them apart."""
    digest = hashlib.sha256(viewer_id.encode()).digest()
    number = 1000 + int.from_bytes(digest[:4], "big") % 9000
    return f"{'Guest' if is_guest(viewer_id) else 'Customer'} {number}"


def vouched_from(claims: Mapping[str, Any]) -> Vouched:
    """The claims of a token whose signature holds. Raises BadSignOn without a usable `sub`.

    A strange name, e-mail or segment is left out rather than refused: it must not keep a customer
    outside.
    """
    issuer = claims.get("iss")
    return Vouched(
        issuer=_identifier(issuer, "iss") if issuer is not None else "",
        external_id=_identifier(claims.get("sub"), "sub"),
        full_name=_line_or_none(claims.get("name")),
        email=_matching_or_none(claims.get("email"), _EMAIL, lower=True),
        locale=_matching_or_none(claims.get("locale"), _LOCALE),
        segments=_segments(claims.get("segments")),
    )


def _segments(value: object) -> tuple[str, ...]:
    """The labels of a list, each once; those past the twentieth are left out."""
    if not isinstance(value, list):
        return ()
    lines = (_line_or_none(one, max_length=_MAX_SEGMENT_LENGTH) for one in value)
    return tuple(dict.fromkeys(line for line in lines if line))[:_MAX_SEGMENTS]


def _identifier(value: object, claim: str) -> str:
    """Taken letter by letter: folding two spellings into one would join two people."""
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _MAX_ID_LENGTH
        or not value.isprintable()
    ):
        raise BadSignOn(
            f"The storefront's token has no usable {claim} (1 to {_MAX_ID_LENGTH} characters).",
            data={"reason": f"bad_{claim}"},
        )
    return value


def _line_or_none(value: object, *, max_length: int = _MAX_CLAIM_LENGTH) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return clean_line(value, max_length=max_length)
    except BadText:
        return None


def _matching_or_none(
    value: object, pattern: re.Pattern[str], *, lower: bool = False
) -> str | None:
    line = _line_or_none(value)
    if line is None or not pattern.fullmatch(line):
        return None
    return line.lower() if lower else line
