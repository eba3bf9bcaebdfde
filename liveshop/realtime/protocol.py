"""What a client may say, judged without sockets: shape, size, order and rate of its frames.

Nothing here waits or raises. A client that does not speak the protocol at all is closed; one that
speaks it wrongly is told what is wrong, because a developer sits behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from liveshop.kernel.errors import RateLimited, ShopError
from liveshop.realtime.commands import CommandSpec
from liveshop.realtime.model import BadCommand, CloseCode, DuplicateId, UnknownCommand
from liveshop.web.wire import Wire

BURST = 30.0
PER_SECOND = 10.0
MAX_REFUSED = 100
"""A client that goes on after so many refusals for its rate is not listening. They are forgotten as
fast as commands are allowed, so that nobody can send at any rate for ever by being heard at times.
"""
_MAX_ID = 2**53 - 1  # the largest integer a browser keeps exactly


@dataclass(frozen=True, slots=True)
class Command:
    id: int
    spec: CommandSpec
    args: Wire


@dataclass(frozen=True, slots=True)
class Refusal:
    """`id` is None when no command can be named without risk of naming another one."""

    id: int | None
    error: ShopError


@dataclass(frozen=True, slots=True)
class CloseWith:
    code: CloseCode
    reason: str


class Peer:
    """The client's end of one connection. `now` is in seconds of a clock that never runs back."""

    def __init__(
        self, commands: Mapping[str, CommandSpec], *, max_frame_bytes: int, now: float
    ) -> None:
        self._commands = commands
        self._max_frame_bytes = max_frame_bytes
        self._last_id = -1
        self._tokens = BURST
        self._filled_at = now
        self._refused = 0.0

    def receive(
        self, frame: str | bytes, now: float, *, binary: bool = False
    ) -> Command | Refusal | CloseWith:
        """Judge a data frame. Text may come as `str` or as the bytes that were sent."""
        if binary:
            return _violated("send JSON in text frames")
        raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
        if len(raw) > self._max_frame_bytes:
            return _violated(f"a frame is at most {self._max_frame_bytes} bytes")
        wait = self._take(now)
        if self._refused > MAX_REFUSED:
            return _violated("too many frames")
        fields = _decode(raw)
        if fields is None:
            return _violated("send one JSON object in each frame")
        command_id = self._take_id(fields.pop("id", None))
        if isinstance(command_id, ShopError):
            return Refusal(None, command_id)
        if wait:
            return Refusal(command_id, RateLimited("Slow down a little.", retry_after=wait))
        return self._command(command_id, fields)

    def receive_control(self, now: float) -> CloseWith | None:
        """Judge a ping or pong: they cost as much as commands, or they could be a flood."""
        self._take(now)
        return _violated("too many frames") if self._refused > MAX_REFUSED else None

    def _take(self, now: float) -> float:
        """Take a token; 0.0 when there was one, else the seconds until there is."""
        grown = max(0.0, now - self._filled_at) * PER_SECOND
        self._tokens = min(BURST, self._tokens + grown)
        self._refused = max(0.0, self._refused - grown)
        self._filled_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        self._refused += 1.0
        return round((1.0 - self._tokens) / PER_SECOND + 0.05, 1)

    def _take_id(self, given: Any) -> int | ShopError:
        if type(given) is not int or not 0 <= given <= _MAX_ID:
            return BadCommand("id must be a whole number from 0 on", data={"field": "id"})
        if given <= self._last_id:
            # Answered under no id: under this one it would settle the earlier command.
            return DuplicateId(
                f"id {given} was used before; each id must be larger than the last",
                data={"id": given},
            )
        self._last_id = given
        return given

    def _command(self, command_id: int, fields: dict[str, Any]) -> Command | Refusal:
        name = fields.pop("t", None)
        if not isinstance(name, str):
            return Refusal(command_id, BadCommand("t must name a command", data={"field": "t"}))
        spec = self._commands.get(name)
        if spec is None:
            known = sorted(self._commands)
            return Refusal(
                command_id,
                UnknownCommand(f"There is no such command; known are {', '.join(known)}."),
            )
        try:
            return Command(command_id, spec, msgspec.convert(fields, spec.args))
        except msgspec.ValidationError as error:
            return Refusal(command_id, BadCommand(f"The command is wrong: {error}."))


def _decode(raw: bytes) -> dict[str, Any] | None:
    try:
        fields = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _violated(reason: str) -> CloseWith:
    return CloseWith(CloseCode.PROTOCOL_VIOLATED, reason)
