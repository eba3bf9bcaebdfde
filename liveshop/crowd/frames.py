"""What comes over a viewer's socket, read once for all viewers of this process.

Logged frames are the same bytes for everybody in the room, so what was read of one is kept for
the next hundred viewers: reading JSON anew for each would take most of a core from the crowd.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, field

_KEPT = 1024
_MARK = re.compile(r"#([a-z0-9]{3})-([a-z0-9]+-([a-z0-9]+))\s*$")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TICKS = 10_000
"""A mark tells the time in tenths of a millisecond."""


class Refusal(msgspec.Struct):
    code: str
    message: str = ""
    retryable: bool = False
    retry_after: float | None = None


class Own(msgspec.Struct):
    """A frame for one connection: its greeting, or the answer to a command."""

    t: str = ""
    id: int | None = None
    epoch: str = ""
    offset: int = 0
    error: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """Of the room's log. `mark` names a message of this crowd, sent at `sent_at` by the clock of
    `Marks`; `omitted`: how many events it only stands for."""

    first: int
    last: int
    type: str
    omitted: int = 0
    mark: str = ""
    sent_at: float = 0.0


class _Frame(msgspec.Struct):
    t: str = ""
    o: int | UnsetType = UNSET
    from_: int | UnsetType = field(name="from", default=UNSET)
    d: msgspec.Raw | UnsetType = UNSET


class _Message(msgspec.Struct):
    text: str


class _Posted(msgspec.Struct):
    message: _Message


_frame = msgspec.json.Decoder(_Frame)
_own = msgspec.json.Decoder(Own)
_posted = msgspec.json.Decoder(_Posted)


class Marks:
    """The marks by which messages of one crowd are told from others', and their times.

    `began_at` is of the monotonic clock, which on one machine all processes share.
    """

    def __init__(self, tag: str, began_at: float) -> None:
        self.tag = tag
        self._began_at = began_at

    def new(self, person: int, now: float) -> str:
        """As it is put at the end of a text, after ` #…-`; see `text`."""
        return f"{_base36(person)}-{_base36(max(0, int((now - self._began_at) * _TICKS)))}"

    def text(self, words: str, mark: str) -> str:
        return f"{words} #{self.tag}-{mark}"

    def read(self, text: str) -> tuple[str, float] | None:
        """The mark of a text and when it was sent; None: somebody else wrote it."""
        found = _MARK.search(text)
        if found is None or found[1] != self.tag:
            return None
        return found[2], self._began_at + int(found[3], 36) / _TICKS


class Frames:
    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._kept: dict[bytes, Logged] = {}

    def read(self, raw: bytes) -> Logged | Own | None:
        """None: an event outside the log. Raises msgspec.DecodeError."""
        known = self._kept.get(raw)
        if known is not None:
            return known
        if raw.startswith(b'{"id"'):
            return _own.decode(raw)
        frame = _frame.decode(raw)
        if frame.o is UNSET:
            return None if frame.d is not UNSET else _own.decode(raw)
        logged = self._logged(frame, frame.o)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[raw] = logged
        return logged

    def _logged(self, frame: _Frame, offset: int) -> Logged:
        if frame.t == "more" and frame.from_ is not UNSET:
            return Logged(frame.from_, offset, frame.t, omitted=offset - frame.from_ + 1)
        if frame.t == "chat.message" and frame.d is not UNSET:
            own = self._marks.read(_posted.decode(frame.d).message.text)
            if own is not None:
                return Logged(offset, offset, frame.t, mark=own[0], sent_at=own[1])
        return Logged(offset, offset, frame.t)


def command(id_: int, type_: str, **given: Any) -> str:
    return msgspec.json.encode({"id": id_, "t": type_, **given}).decode()


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
