"""The rules of the chat: who may say what, when. Pure; the facts are read by the service."""

import hashlib
import hmac
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from liveshop.chat.links import holds_link
from liveshop.kernel.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited, ShopError
from liveshop.kernel.text import clean_line

Role = Literal["guest", "customer", "host", "moderator"]
SanctionKind = Literal["mute", "ban"]

OPEN_STATES = frozenset({"scheduled", "rehearsal", "live"})
SHOP_WIDE = "*"
"""The scope of a sanction that holds in every show."""
ADDRESS_BAN = timedelta(hours=24)
RATE_WINDOW = timedelta(seconds=10)
REPEAT_WINDOW = timedelta(seconds=30)
_SHORT = 4  # "yes", "+1" and a single emoji may be said twice


class NotDuringThisShow(Conflict):
    code = "not_during_this_show"


class Banned(Forbidden):
    code = "banned"


class Muted(Forbidden):
    code = "muted"


class ChatPaused(Conflict):
    code = "chat_paused"


class SlowMode(RateLimited):
    code = "slow_mode"


class TooManyMessages(RateLimited):
    code = "too_many_messages"


class LinkRefused(Invalid):
    code = "link_refused"


class RepeatedMessage(Conflict):
    code = "repeated_message"


class NotAChatter(Forbidden):
    """Signed in, but with no part in the chat."""

    code = "not_a_chatter"


class NotYourMessage(Forbidden):
    code = "not_your_message"


class NoSuchMessage(NotFound):
    code = "no_such_message"


class NoSuchViewer(NotFound):
    code = "no_such_viewer"


MESSAGE_ERRORS: tuple[type[ShopError], ...] = (
    NotDuringThisShow,
    Banned,
    Muted,
    ChatPaused,
    SlowMode,
    TooManyMessages,
    LinkRefused,
    RepeatedMessage,
    NotAChatter,
)


@dataclass(frozen=True, slots=True)
class Limits:
    max_length: int
    rate_per_10_seconds: int


@dataclass(frozen=True, slots=True)
class RoomRules:
    slow_mode_seconds: int
    links_allowed: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class InForce:
    """A sanction that applies to whoever is asking now. `until` None: until it is lifted."""

    kind: SanctionKind
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Said:
    """A message the same author wrote a moment ago."""

    text: str
    at: datetime


def judge_message(
    text: str,
    *,
    role: Role,
    state: str,
    rules: RoomRules,
    limits: Limits,
    sanctions: Sequence[InForce],
    recent: Sequence[Said],
    now: datetime,
) -> str:
    """The text as it may be said; `recent` holds the author's last messages in this show.

    Raises one of MESSAGE_ERRORS, or BadText.
    """
    if state not in OPEN_STATES:
        raise NotDuringThisShow("The chat is open before and during the show.")
    _judge_sanctions(sanctions, now)
    is_staff = role in ("host", "moderator")
    if rules.paused and not is_staff:
        raise ChatPaused("The host has paused the chat.")
    clean = clean_line(text, max_length=limits.max_length)
    if is_staff:
        return clean
    if role == "guest" and not rules.links_allowed and holds_link(clean):
        raise LinkRefused("Links are not allowed here.", data={"field": "text"})
    _judge_pace(recent, rules, limits, now)
    if len(clean) >= _SHORT and any(
        _same(clean, said.text) and now - said.at < REPEAT_WINDOW for said in recent
    ):
        raise RepeatedMessage("You have just said that.")
    return clean


def _judge_sanctions(sanctions: Sequence[InForce], now: datetime) -> None:
    """A ban weighs more than a mute, whichever came first."""
    for sanction in sorted(sanctions, key=lambda item: item.kind):
        if sanction.until is not None and sanction.until <= now:
            continue
        if sanction.kind == "ban":
            raise Banned("You cannot write in this chat any more.")
        left = None if sanction.until is None else _seconds(sanction.until - now)
        raise Muted("You cannot write in this chat for a while.", retry_after=left)


def _judge_pace(recent: Sequence[Said], rules: RoomRules, limits: Limits, now: datetime) -> None:
    last = max((said.at for said in recent), default=None)
    if last is not None and rules.slow_mode_seconds:
        left = last + timedelta(seconds=rules.slow_mode_seconds) - now
        if left > timedelta(0):
            raise SlowMode(
                f"Slow mode: one message every {rules.slow_mode_seconds} seconds.",
                retry_after=_seconds(left),
            )
    lately = sorted(said.at for said in recent if now - said.at < RATE_WINDOW)
    if len(lately) >= limits.rate_per_10_seconds:
        freed = lately[-limits.rate_per_10_seconds] + RATE_WINDOW
        raise TooManyMessages("Slow down a little.", retry_after=_seconds(freed - now))


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _seconds(span: timedelta) -> float:
    """Rounded up, so that trying again after them succeeds."""
    return math.ceil(span.total_seconds() * 10) / 10


def address_mark(address: str, key: bytes) -> str | None:
    """What is kept of a network address so that it can be recognised, never read.

    None for addresses that tell nobody apart: behind a proxy that is not configured every viewer
    has a private one, and a ban must not hit them all. IPv6: the first 64 bits, one household.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return address_mark(str(parsed.ipv4_mapped), key)
        whole = ipaddress.ip_network((parsed, 64), strict=False).network_address
    else:
        whole = parsed
    if not parsed.is_global:
        return None
    return hmac.new(key, b"chat address " + whole.packed, hashlib.sha256).hexdigest()[:32]
