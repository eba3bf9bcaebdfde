"""Ids that sort by time and say what they name; secrets are made elsewhere than ids.

An id is `prefix_` and 26 characters of Crockford base 32: 48 bits of milliseconds, 80 random bits
(the ULID layout). An id is public: nothing may be allowed because somebody knows one.
"""

import secrets
from datetime import datetime
from typing import NewType

ShowId = NewType("ShowId", str)
RehearsalId = NewType("RehearsalId", str)
ProductId = NewType("ProductId", str)
VariantId = NewType("VariantId", str)
LocationId = NewType("LocationId", str)
MediaId = NewType("MediaId", str)
CartId = NewType("CartId", str)
LineId = NewType("LineId", str)
HoldId = NewType("HoldId", str)
OrderId = NewType("OrderId", str)
PaymentId = NewType("PaymentId", str)
RefundId = NewType("RefundId", str)
FulfilmentId = NewType("FulfilmentId", str)
ReturnId = NewType("ReturnId", str)
MailId = NewType("MailId", str)
MessageId = NewType("MessageId", str)
ViewerId = NewType("ViewerId", str)
StaffId = NewType("StaffId", str)
KeyId = NewType("KeyId", str)
JobId = NewType("JobId", str)
ReminderId = NewType("ReminderId", str)
ConsentId = NewType("ConsentId", str)
PlaceId = NewType("PlaceId", str)
"""A place in a waitlist."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BODY_LENGTH = 26
LENGTH = 4 + _BODY_LENGTH
"""Characters of an id: three of prefix, an underscore, the body."""


def new_id(prefix: str, now: datetime) -> str:
    """A fresh id such as `ord_01K...`; ids made later sort later, to the millisecond."""
    return _id(prefix, now, secrets.randbits(80))


def first_id(prefix: str, moment: datetime) -> str:
    """The least id that could be made in the millisecond of `moment`."""
    return _id(prefix, moment, 0)


def _id(prefix: str, moment: datetime, random_bits: int) -> str:
    value = (int(moment.timestamp() * 1000) << 80) | random_bits
    body = ""
    for _ in range(_BODY_LENGTH):
        body = _ALPHABET[value & 31] + body
        value >>= 5
    return f"{prefix}_{body}"


def has_prefix(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id with that prefix (not whether the thing exists)."""
    return (
        len(text) == LENGTH
        and text.startswith(prefix + "_")
        and all(character in _ALPHABET for character in text[4:])
    )


def new_code(length: int = 10) -> str:
    """A secret that people can read out and type, of 5 bits a character: capital letters and
    digits without I, L, O and U."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_secret(byte_count: int = 16) -> str:
    """An unguessable token, URL-safe; 16 bytes are 128 bits."""
    return secrets.token_urlsafe(byte_count)
