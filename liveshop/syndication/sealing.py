"""Credentials of connections, sealed at rest."""

from dataclasses import dataclass, field

import msgspec

from liveshop.connect import NeedsAttention
from liveshop.connect.oauth import Tokens
from liveshop.storage.sealing import SealedOtherwise, TextSealer


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
        self._texts = TextSealer(secret, purpose="liveshop connections 1")

    def seal(self, credentials: Credentials) -> str:
        return self._texts.seal(msgspec.json.encode(credentials).decode())

    def open(self, sealed: str) -> Credentials:
        """Raises NeedsAttention when it was sealed with another secret."""
        try:
            return msgspec.json.decode(self._texts.open(sealed), type=Credentials)
        except (SealedOtherwise, msgspec.DecodeError):
            raise NeedsAttention(
                "The credentials were stored under another server secret. Enter them again."
            ) from None
