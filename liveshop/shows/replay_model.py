"""Recordings and replays: what may be asked of them, and what happened in them; pure rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NewType

from liveshop.kernel.errors import Conflict, Invalid, NotFound
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows.model import Audience, Pin, ShowState

FileId = NewType("FileId", str)
FileKind = Literal["mp4", "poster", "sprites", "clip"]
FileState = Literal["waiting", "making", "ready", "failed"]
Access = Literal["everyone", "signed", "nobody"]
"""Whom a recording plays for: `signed` needs a signed address."""

LONGEST_CLIP: Final = timedelta(minutes=10)
"""An upright one is encoded anew, beside shows that are live."""
MAX_FILES: Final = 50
"""Of one show; each may be as large as the recording."""
SHORTEST: Final = timedelta(seconds=1)
SLIP: Final = timedelta(seconds=3)
"""A product that was in focus for less was a slip of the hand."""


class NoReplay(NotFound):
    """The show has no recording that the caller could play."""

    code = "no_replay"


class NothingRecorded(Conflict):
    """Nothing of this show was recorded, or it was deleted, or it is not over yet."""

    code = "nothing_recorded"


class StillRunning(Conflict):
    """A recording is changed after its show."""

    code = "show_still_running"


class BadTrim(Invalid):
    code = "bad_trim"


class BadFile(Invalid):
    code = "bad_file"


class BadKeep(Invalid):
    code = "bad_keep"


class UnknownFile(NotFound):
    code = "unknown_file"


class TooManyFiles(Conflict):
    code = "too_many_files"


@dataclass(frozen=True, slots=True)
class Span:
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """A show's recording after its end. `trim_from`, `trim_until`: what viewers see of it."""

    show_id: ShowId
    state: Literal["ended", "deleted"]
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float = 0.0
    byte_count: int = 0
    gaps: int = 0
    shortage: str | None = None
    trim_from: datetime | None = None
    trim_until: datetime | None = None
    expires_at: datetime | None = None
    loudness_lufs: float | None = None

    @property
    def span(self) -> Span | None:
        """All of it; None where nothing is left."""
        if self.state != "ended" or self.started_at is None or self.ended_at is None:
            return None
        return Span(self.started_at, self.ended_at)

    @property
    def shown(self) -> Span | None:
        """What viewers see of it."""
        if (span := self.span) is None:
            return None
        return Span(self.trim_from or span.from_at, self.trim_until or span.until_at)


@dataclass(frozen=True, slots=True)
class File:
    """Made of a recording. `from_at`, `until_at`: what of it was asked for; null: to its ends."""

    id: FileId
    show_id: ShowId
    kind: FileKind
    state: FileState
    created_at: datetime
    percent: int = 0
    product_id: ProductId | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    is_vertical: bool = False
    is_loudness_normal: bool = False
    byte_count: int | None = None
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    data: Mapping[str, Any] | None = None
    detail: str | None = None
    finished_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.id}.{'jpg' if self.kind in ('poster', 'sprites') else 'mp4'}"

    def is_within(self, shown: Span) -> bool:
        """Whether it shows nothing else; cuts are made at keyframes, both of them at the same."""
        is_after = self.from_at is not None and self.from_at >= shown.from_at
        return is_after and self.until_at is not None and self.until_at <= shown.until_at

    @property
    def made_of(self) -> tuple[Any, ...]:
        """Two files with the same are the same."""
        what = (self.kind, self.from_at, self.until_at)
        return (*what, self.is_vertical, self.is_loudness_normal)


@dataclass(frozen=True, slots=True)
class Window:
    """What of a recording plays, and for whom."""

    access: Access
    from_at: datetime | None = None
    until_at: datetime | None = None
    hidden: frozenset[str] = frozenset()
    """Names of files that show what does not play."""


NOTHING: Final = Window("nobody")


def access_of(
    state: ShowState, audience: Audience, recorded: Recorded | None, *, is_replaced: bool
) -> Window:
    """What viewers may play of a show's recording. `is_replaced`: another film is shown instead."""
    shown = None if recorded is None else recorded.shown
    if state != "replay" or is_replaced or recorded is None or shown is None:
        return NOTHING
    access: Access = "everyone" if audience == "everyone" else "signed"
    return Window(access, shown.from_at, recorded.trim_until)


def hidden_clips(files: Iterable[File], shown: Span) -> frozenset[str]:
    """Made of what is trimmed away by now."""
    return frozenset(one.name for one in files if one.kind == "clip" and not one.is_within(shown))


@dataclass(frozen=True, slots=True)
class Chapter:
    """`product_id` None: what lies between two products."""

    product_id: ProductId | None
    from_at: datetime
    until_at: datetime


def chapters(
    pins: Sequence[Pin], shown: Span, spans: Sequence[Span] | None = None
) -> list[Chapter]:
    """The moments of products in what is shown, and what lies between, without a hole.

    `pins` in order of time. `spans`: what is there of it; None: all. What is too short to be meant
    belongs to what was before it, and so does what nobody can see.
    """
    marks = [Pin(None, shown.from_at)]
    for pin in pins:
        if pin.at >= shown.until_at:
            break
        at = max(pin.at, shown.from_at)
        if _seconds_of(Span(marks[-1].at, at), spans) < SLIP.total_seconds():
            at = marks.pop().at
        if not marks or marks[-1].product_id != pin.product_id:
            marks.append(Pin(pin.product_id, at))
    last = Span(marks[-1].at, shown.until_at)
    if len(marks) > 1 and _seconds_of(last, spans) < SLIP.total_seconds():
        marks.pop()
    ends = [*(mark.at for mark in marks[1:]), shown.until_at]
    return [Chapter(mark.product_id, mark.at, end) for mark, end in zip(marks, ends, strict=True)]


def _seconds_of(part: Span, spans: Sequence[Span] | None) -> float:
    """How much of it can be seen."""
    if spans is None:
        return (part.until_at - part.from_at).total_seconds()
    seen = (
        (min(part.until_at, span.until_at) - max(part.from_at, span.from_at)).total_seconds()
        for span in spans
    )
    return sum(seconds for seconds in seen if seconds > 0)


def moment_of(product_id: ProductId, pins: Sequence[Pin], recorded: Span) -> Span:
    """The longest time that a product was in focus. Raises BadFile."""
    found = [one for one in chapters(pins, recorded) if one.product_id == product_id]
    if not found:
        raise BadFile(
            "This product was not in focus while the show was recorded. Give the times of the clip"
            " instead.",
            data={"field": "product_id"},
        )
    longest = max(found, key=lambda one: one.until_at - one.from_at)
    return Span(longest.from_at, longest.until_at)


def check_span(
    from_at: datetime | None,
    until_at: datetime | None,
    recorded: Span,
    wrong: type[Invalid],
) -> Span:
    """A part of a recording; null: from its beginning, to its end. Raises `wrong`."""
    for field, at in (("from_at", from_at), ("until_at", until_at)):
        if at is not None and not recorded.from_at <= at <= recorded.until_at:
            raise wrong(
                f"The recording lasts from {_clock(recorded.from_at)} until"
                f" {_clock(recorded.until_at)} (UTC). Choose a moment in between.",
                data={"field": field, "from_at": recorded.from_at, "until_at": recorded.until_at},
            )
    part = Span(from_at or recorded.from_at, until_at or recorded.until_at)
    if part.until_at - part.from_at < SHORTEST:
        raise wrong(
            "The end has to be at least one second after the beginning.",
            data={"field": "from_at" if until_at is None else "until_at"},
        )
    return part


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
