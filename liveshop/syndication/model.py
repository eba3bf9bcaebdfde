"""Connections, listings and posts as plain facts: states, rules, errors. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from liveshop.connect import Role
from liveshop.kernel.errors import Conflict, Invalid, NotFound
from liveshop.kernel.ids import ProductId, VariantId

ConnectionId = NewType("ConnectionId", str)
"""`con_...`; also the catalog's name for a source."""
RunId = NewType("RunId", str)
PostId = NewType("PostId", str)

ConnectionState = Literal["active", "paused", "attention", "removed"]
ListingState = Literal["pending", "sent", "live", "rejected", "drifted", "paused", "withdrawn"]
PostState = Literal[
    "scheduled",
    "sending",
    "unclear",
    "sent",
    "live",
    "refused",
    "cancelled",
    "removed",
]
RunKind = Literal["plan", "push", "read_back", "import"]


class UnknownConnection(NotFound):
    code = "unknown_connection"


class UnknownListing(NotFound):
    code = "unknown_listing"


class UnknownPost(NotFound):
    code = "unknown_post"


class UnknownRun(NotFound):
    code = "unknown_run"


class UnknownExport(NotFound):
    """No such order at that source, or not one that was refused."""

    code = "unknown_export"


class BadConfiguration(Invalid):
    """A configuration that its connector cannot use; `data.fields` says what is wrong where."""

    code = "bad_configuration"


class ConnectionChanged(Conflict):
    """Somebody else changed the connection in the meantime; `data.version` is the present one."""

    code = "connection_changed"


class ConnectionBusy(Conflict):
    """Something else works on this connection now; it will be done in a moment."""

    code = "connection_busy"


class NotAuthorised(Conflict):
    """The connection has to be authorised at the vendor first."""

    code = "not_authorised"


class WrongRole(Conflict):
    """The connection cannot do this, such as posting on a product catalog."""

    code = "wrong_role"


class BadAuthorisation(Invalid):
    """An answer to an authorisation that was not begun here, is too old or was refused."""

    code = "bad_authorisation"


class BadTemplate(Invalid):
    """A caption template that cannot be rendered; `data.line` says where."""

    code = "bad_template"


class TooLong(Invalid):
    """What must not be shortened does not fit: price, legal note, `#ad` mark and link."""

    code = "too_long"


class PostSent(Conflict):
    """The post has been sent, or is being sent, and cannot be changed any more."""

    code = "post_sent"


@dataclass(frozen=True, slots=True)
class Connection:
    """A configured connector. Its secrets are not in here."""

    id: ConnectionId
    connector: str
    title: str
    roles: frozenset[Role]
    config: Mapping[str, object]
    """Without secrets."""
    state: ConnectionState
    attention: str | None
    language: str
    version: int
    mark: str | None
    cursor: str | None
    due_at: datetime | None
    whole_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_active(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class Drift:
    """What a channel shows that is not what we sent."""

    field: str
    ours: str
    theirs: str
    times: int = 1
    """How often in a row it was found so."""


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One variant on one channel, as far as we know. See `tables.listing`."""

    connection_id: ConnectionId
    variant_id: VariantId
    product_id: ProductId
    state: ListingState
    since: datetime
    reason: str | None = None
    drift: Drift | None = None
    wanted: str | None = None
    accepted: str | None = None
    may_show: bool = False
    remote_id: str | None = None
    attempts: int = 0
    due_at: datetime | None = None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work on a connection, with its progress."""

    id: RunId
    connection_id: ConnectionId
    kind: RunKind
    state: Literal["running", "done", "failed"]
    started_at: datetime
    ended_at: datetime | None
    total: int | None
    done: int
    counts: Mapping[str, int]
    problem: str | None


# Signals, sent in this process after the commit.


@dataclass(frozen=True, slots=True)
class ConnectionsTouched:
    """These connections are new or were changed, paused or removed."""

    connection_ids: tuple[ConnectionId, ...]
