"""What Stripe posts to `/hooks/stripe`: whether it is Stripe's, how old, and what it is about.

Not by the official client: that one reads the time from the system, stumbles over signatures that
are not ASCII, and builds objects of which we need three fields.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from liveshop.payments.model import BadEvent, BadSignature, ProviderEvent

_HEADER = "stripe-signature"
TOLERANCE = timedelta(seconds=300)
"""How old a delivery may be; Stripe signs each attempt anew, with its own time."""
_Id = Annotated[str, Meta(min_length=1, max_length=120)]


class _Linked(msgspec.Struct):
    id: _Id


class _Subject(msgspec.Struct):
    id: _Id
    status: Annotated[str, Meta(max_length=40)] | None = None
    payment_intent: _Id | _Linked | None = None


class _Data(msgspec.Struct):
    object: dict[str, Any]


class _Event(msgspec.Struct):
    object: Literal["event"]
    id: _Id
    type: Annotated[str, Meta(min_length=1, max_length=80)]
    created: int
    data: _Data


def read(
    headers: Mapping[str, str], body: bytes, secrets: list[str], now: datetime
) -> ProviderEvent:
    """Any one of the secrets will do: two are in force while one is being replaced. Raises
    BadSignature, BadEvent.
    """
    header = next((told for name, told in headers.items() if name.lower() == _HEADER), "")
    verify(header, body, secrets, now)
    try:
        return _event(msgspec.json.decode(body, type=_Event))
    except (msgspec.DecodeError, ValueError, OverflowError, OSError):
        raise BadEvent("Stripe signed this, but it is no event that can be read here.") from None


def verify(header: str, body: bytes, secrets: list[str], now: datetime) -> None:
    """By docs.stripe.com/webhooks#verify-manually. Raises BadSignature."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    if len(stamps) != 1 or not given or not (stamps[0].isascii() and stamps[0].isdigit()):
        raise BadSignature("The Stripe-Signature header is missing or cannot be read.")
    expected = [signature_of(one, stamps[0], body) for one in secrets]
    fits = [hmac.compare_digest(one.encode(), other) for one in expected for other in given]
    if not any(fits):
        raise BadSignature("This was not signed with the secret of our webhook endpoint.")
    if int(now.timestamp()) - int(stamps[0][:20]) > TOLERANCE.total_seconds():
        raise BadSignature("This was signed more than five minutes ago. Deliver it anew.")


def signature_of(secret: str, stamp: int | str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()


def _event(event: _Event) -> ProviderEvent:
    about = _about(event.type)
    reference = dispute = None
    if about != "nothing":
        subject = msgspec.convert(event.data.object, _Subject)
        linked = subject.payment_intent
        reference = linked.id if isinstance(linked, _Linked) else linked
        if about == "payment":
            reference = subject.id
        if about == "dispute":
            dispute = subject.status
    return ProviderEvent(
        id=event.id,
        type=event.type,
        reference=reference,
        happened_at=datetime.fromtimestamp(event.created, UTC),
        about=about if reference else "nothing",
        dispute=dispute if reference else None,
    )


def _about(event_type: str) -> Literal["payment", "refund", "dispute", "nothing"]:
    if event_type.startswith("payment_intent."):
        return "payment"
    if event_type.startswith("charge.dispute."):
        return "dispute"
    if event_type == "charge.refunded" or event_type.startswith(("refund.", "charge.refund.")):
        return "refund"
    return "nothing"
