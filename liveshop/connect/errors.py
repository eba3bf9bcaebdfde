"""What a connector raises: each error says what the engine does next.

The text is read by merchants: it says what happened and what to do. It never holds a secret.
Anything else that a connector raises is a bug of it; the engine waits, tries again a few times and
then asks for attention.
"""


class ConnectorError(Exception):
    """Base of the three; raise one of them, not this."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RetryLater(ConnectorError):
    """The other side cannot answer now. The engine repeats the same call, with growing waits.

    `after`: seconds the other side asked for; None where it did not say. Raise it only when the
    call had no effect or may be repeated without harm.
    """

    def __init__(self, detail: str, *, after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after


class OutcomeUnknown(RetryLater):
    """The request was sent and no answer came: it may have been carried out.

    The engine looks (`Poster.find`, `Channel.read_back`) before it repeats anything.
    """


class SkipListing(ConnectorError):
    """This one cannot be taken as it is, and repeating will not help; the others go on.

    `field`: the part of the listing or post that has to change, where that is known.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field


class NeedsAttention(ConnectorError):
    """Nothing more can be done on this connection until a person acts; `detail` says how.

    Such as a revoked token, a missing permission, an account that was closed.
    """
