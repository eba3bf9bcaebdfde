"""What the room itself says to its viewers; what features say is in their own `wire.py`."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from liveshop.web.wire import Wire

When = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339, UTC, milliseconds."""


class You(Wire):
    """Whom the server takes the connection for. `viewer_id` is also the author id in chat."""

    kind: str
    viewer_id: str | None
    name: str | None
    permissions: list[str]


class Hello(Wire):
    """The first frame. Logged events of this connection begin after `offset`."""

    t: str
    epoch: str
    offset: int
    at: When
    you: You


class ErrorOut(msgspec.Struct):
    """Why a command was refused, and whether sending it again can help."""

    code: str
    message: str
    retryable: bool
    retry_after: float | None
    data: dict[str, Any]


class ViewersChanged(Wire):
    count: int


class HeartsChanged(Wire):
    total: int
    added: int


class MessagesOmitted(Wire):
    """So many messages of a crowd are not shown to this viewer; the record has them."""

    count: int


class Ping(Wire):
    """Nothing to say: asks for the server's time."""


class Pong(Wire):
    at: When


EVENTS: dict[str, type[Wire]] = {"viewers": ViewersChanged, "hearts": HeartsChanged}
"""Unlogged events by type, for the generator of the widgets' types."""
