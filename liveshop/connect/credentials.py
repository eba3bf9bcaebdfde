"""What opens other people's doors: secrets of a configuration, and access tokens."""

import hmac
from typing import Protocol


class Secret:
    """A text that no log, error or `repr` shows. Use it for a field of a configuration that must
    be stored sealed; `reveal()` it only where it is sent."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


class AccessTokens(Protocol):
    """The token of a connection that was authorised by OAuth."""

    async def access_token(self) -> str:
        """One that is valid now; refreshed when it runs out. Raises NeedsAttention when the
        connection has to be authorised (again), RetryLater."""
        ...

    async def renewed(self, rejected: str) -> str:
        """Another one, after the other side refused this one. Raises NeedsAttention."""
        ...
