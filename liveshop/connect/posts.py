"""Posts: messages about shows and products. What the engine hands over and what a channel answers.

A post is ready made: its text is exactly what people will read, and fits.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from liveshop.connect.limits import ImageLimit, TextLimit

PostKind = Literal["announce", "reminder", "live_now", "product_moment", "replay"]


@dataclass(frozen=True, slots=True)
class PostImage:
    """`url` is public; `read` gives the bytes, for channels that want them uploaded."""

    url: str
    media_type: str
    alt: str
    width: int
    height: int
    read: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Post:
    """`key` is ours and unique: with it the engine recognises its own post after a time-out."""

    key: str
    kind: PostKind
    text: str
    """Complete, the link included where the channel has no other place for it."""
    language: str
    created_at: datetime
    """Nothing older than this can be this post."""
    link: str | None = None
    """For channels that take it beside the text (`PostLimits.link`)."""
    images: tuple[PostImage, ...] = ()
    is_paid_partnership: bool = False


@dataclass(frozen=True, slots=True)
class PostReceipt:
    remote_id: str
    url: str | None = None
    """Where people see it."""


@dataclass(frozen=True, slots=True)
class PostLimits:
    """What a channel takes.

    `link`: whether it stands in the text and counts there, goes in a field beside it, or cannot
    be followed (`none`: the text says where to look instead).
    """

    text: TextLimit
    images: ImageLimit
    link: Literal["in_text", "beside", "none"] = "in_text"
    max_hashtags: int | None = None
    needs_image: bool = False


@dataclass(frozen=True, slots=True)
class PostCost:
    """What one post costs, in thousandths of a US cent and in words for the merchant."""

    milli_cents: int
    words: str


@runtime_checkable
class Poster(Protocol):
    """Where posts go. Every call may raise RetryLater, OutcomeUnknown, SkipListing,
    NeedsAttention."""

    @property
    def post_limits(self) -> PostLimits: ...

    def cost(self, post: Post) -> PostCost | None:
        """None where posting is free. Pure."""
        ...

    async def publish(self, post: Post) -> PostReceipt:
        """Send it once. Raise OutcomeUnknown when no answer came, never repeat by yourself."""
        ...

    async def find(self, post: Post) -> PostReceipt | None:
        """Look among our own recent posts for this one; None when it is certainly not there."""
        ...

    async def delete(self, remote_id: str) -> None:
        """Take it off; what is not there is no error."""
        ...

    async def exists(self, remote_ids: Sequence[str]) -> Sequence[str]:
        """Those of these posts that people can still see."""
        ...
