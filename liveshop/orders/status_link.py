"""The address of the buyer's page of an order: the order's id and a signature of it.

The link is in mails, so it is the permission: whoever has it sees this one order. Nothing about it
is stored, and a new `server.secret` makes all links given out before unreadable.
"""

import hashlib
import hmac

from liveshop.kernel.ids import OrderId, has_prefix
from liveshop.kernel.rehearsals import ORDER

_PURPOSE = b"liveshop order status page 1"
"""Part of the key, so that no other signature made with the same secret passes here."""
_SIGNATURE_BYTES = 16


def token_of(order_id: OrderId, secret: str) -> str:
    """The id without its prefix and 128 bits of HMAC-SHA256; nothing in it that a reader of mail
    would take for the end of a link."""
    return f"{order_id[4:]}-{_signature(order_id, secret)}"


def order_id_of(token: str, secret: str) -> OrderId | None:
    """The order this token was made for; None for one that was made up or cut short."""
    body, dash, signature = token.partition("-")
    for prefix in ("ord", ORDER):
        order_id = OrderId(f"{prefix}_{body}")
        if not dash or not has_prefix(order_id, prefix):
            return None
        expected = _signature(order_id, secret)
        if hmac.compare_digest(signature.encode(), expected.encode()):
            return order_id
    return None


def status_url(order_id: OrderId, *, secret: str, public_url: str) -> str:
    """Where the buyer sees what became of the order."""
    return f"{public_url}/o/{token_of(order_id, secret)}"


def _signature(order_id: OrderId, secret: str) -> str:
    key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return hmac.digest(key, order_id.encode(), hashlib.sha256)[:_SIGNATURE_BYTES].hex()
