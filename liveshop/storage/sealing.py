"""Texts sealed at rest, with keys derived from the server's secret: the one place that does.

A database that is copied or leaked opens nothing; whoever has the secret too could run the server.
Each purpose has a key of its own, so that what was sealed for one opens for no other.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SealedOtherwise(Exception):
    """It was sealed under another secret or for another purpose, or is not what was sealed."""


class TextSealer:
    """`secret` is the server's. `purpose` is part of the key: it must never change."""

    def __init__(self, secret: str, *, purpose: str) -> None:
        key = HKDF(SHA256(), length=32, salt=None, info=purpose.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(key.derive(secret.encode())))

    def seal(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises SealedOtherwise."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise SealedOtherwise from None
