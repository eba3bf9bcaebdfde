"""Credentials of connections, sealed at rest with a key derived from the server's secret.

A database that is copied or leaked opens nothing; whoever has the secret too could run the server.
"""

import base64
from dataclasses import dataclass, field

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from liveshop.connect import NeedsAttention
from liveshop.connect.oauth import Tokens


@dataclass(frozen=True)
class Credentials:
    """What a connection keeps secret: fields of its configuration, its OAuth tokens, and the token
    in the address of its feed."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    feed_token: str | None = field(default=None, repr=False)


class Sealer:
    """Seals and opens. `secret` is the server's."""

    def __init__(self, secret: str) -> None:
        key = HKDF(SHA256(), length=32, salt=None, info=b"liveshop connections 1")
        self._fernet = Fernet(base64.urlsafe_b64encode(key.derive(secret.encode())))

    def seal(self, credentials: Credentials) -> str:
        return self._fernet.encrypt(msgspec.json.encode(credentials)).decode()

    def open(self, sealed: str) -> Credentials:
        """Raises NeedsAttention when it was sealed with another secret."""
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed.encode()), type=Credentials)
        except (InvalidToken, msgspec.DecodeError):
            raise NeedsAttention(
                "The credentials were stored under another server secret. Enter them again."
            ) from None
