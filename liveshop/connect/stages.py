"""Stages: platforms that a show's video is sent on to, and that give an address and a key for it.

The engine sends the video itself (RTMP or RTMPS); a connector only says where to.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class StageShow:
    """`key` is ours and unique: what was made for this show before is found by it."""

    key: str
    title: str
    description: str
    language: str
    starts_at: datetime | None
    link: str
    """The show's own page."""


@dataclass(frozen=True, slots=True)
class StageTarget:
    """`url`: rtmp:// or rtmps://, without the key."""

    url: str
    key: str = field(repr=False)


@runtime_checkable
class Stage(Protocol):
    """Where video goes. Every call may raise RetryLater, NeedsAttention."""

    async def target(self, show: StageShow) -> StageTarget:
        """Where to send this show now. Called each time a connection is made, so again after each
        that broke: give the same broadcast again, make no second."""
        ...
