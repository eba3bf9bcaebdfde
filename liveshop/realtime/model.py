"""What a room is made of: events, positions in its log, and why a connection is closed."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from liveshop.kernel.errors import Conflict, Invalid, NotFound, ShopError, Unavailable

SUBPROTOCOL = "liveshop.v1"


class CloseCode(IntEnum):
    """Codes below 4500 ask the client to come back, with jitter; the others ask it not to."""

    GOING_DOWN = 4001
    TOO_SLOW = 4008
    LOG_LOST = 4009
    """The room's log broke off: what was missed cannot be replayed, reload the snapshot."""
    IDLE = 4010
    FAULT = 4011
    UNAVAILABLE = 4013
    CROWDED = 4014
    """Too many connections from one network address."""
    BANNED = 4500
    BAD_TOKEN = 4501
    PROTOCOL_VIOLATED = 4502
    FOREIGN_ORIGIN = 4503
    NO_SUCH_SHOW = 4504

    @property
    def comes_back(self) -> bool:
        return self < 4500

    @property
    def reason(self) -> str:
        return _REASONS[self]


_REASONS = {
    CloseCode.GOING_DOWN: "the server is going down, come back",
    CloseCode.TOO_SLOW: "too slow to read, come back",
    CloseCode.LOG_LOST: "events were lost, reload",
    CloseCode.IDLE: "no sign of life",
    CloseCode.FAULT: "something broke here, come back",
    CloseCode.UNAVAILABLE: "not available at the moment, come back",
    CloseCode.CROWDED: "too many connections from this network address, come back",
    CloseCode.BANNED: "banned",
    CloseCode.BAD_TOKEN: "the token is forged, expired or revoked",
    CloseCode.PROTOCOL_VIOLATED: "protocol violated",
    CloseCode.FOREIGN_ORIGIN: "this page may not embed shows",
    CloseCode.NO_SUCH_SHOW: "no such show",
}


@dataclass(frozen=True, slots=True)
class Position:
    """A place in one log. An offset without the epoch of its log means nothing."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An event whose data is encoded already and whose offset only the log can give."""

    type: str
    at: datetime
    data: bytes
    sampled_by: str = ""
    """Whose it is, where a crowd's events are sampled for viewers; empty: it is always shown."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event in its place. `frame` is the finished WebSocket frame, shared by all viewers."""

    offset: int
    type: str
    frame: bytes
    sampled_by: str = ""
    """As in `Draft`."""


class BrokerAway(Unavailable):
    """The rooms' logs cannot be reached now; viewers stay and are told what they missed."""

    code = "rooms_unavailable"


class UnknownCommand(NotFound):
    code = "unknown_command"


class BadCommand(Invalid):
    """A command whose shape is wrong."""

    code = "bad_command"


class DuplicateId(Conflict):
    code = "duplicate_id"


class UpgradeRequired(ShopError):
    code = "upgrade_required"
    status = 426


class WrongSubprotocol(ShopError):
    code = "wrong_subprotocol"
    status = 400
