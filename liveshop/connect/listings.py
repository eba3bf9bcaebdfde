"""Listings: products on a channel. What the engine hands over and what a channel answers.

A listing is one variant; those of one product share `group_id`. A channel gets it ready made: texts
have the channel's length, pictures its size, prices are final. It passes them on and never computes
one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from liveshop.connect.limits import ImageLimit, TextLimit
from liveshop.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Sale:
    """From `starts_at` to before `ends_at` it costs `price` instead; None is open."""

    price: Money
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListingImage:
    """A picture in the size the channel asked for, at a public address."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One variant as it shall stand on a channel."""

    id: str
    """Ours, stable for ever: the retailer id, offer id or key on the channel."""
    group_id: str
    """The product; variants of one product share it."""
    sku: str
    title: str
    description: str
    """Plain text."""
    link: str
    language: str
    price: Money
    """Before a sale."""
    sale: Sale | None = None
    lowest_30_days: Money | None = None
    """Goes with a sale where the channel has a place for it."""
    is_available: bool = True
    quantity: int = 0
    gtin: str | None = None
    brand: str | None = None
    category: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    """(Size, M), (Colour, Red)."""
    images: tuple[ListingImage, ...] = ()
    is_visible: bool = True
    """False: known to the channel, but shown to nobody (see `ListingLimits.can_hide`)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a listing cannot go to a channel, in words for the merchant; `field` of the listing."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The channel took it. That is not yet `live`: what it shows is read back."""

    id: str
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The channel does not take this one as it is; `reason` in words for the merchant."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not decided now; the engine sends it again."""

    id: str
    reason: str
    after: float | None = None


Verdict = Accepted | Refused | Deferred


@dataclass(frozen=True, slots=True)
class Seen:
    """A listing as the channel has it now.

    `shown` holds fields in the words of `Channel.shown`; those a channel does not tell are left
    out. `status`: whether people can see it; `in_review` is not yet.
    """

    id: str
    remote_id: str | None = None
    status: Literal["live", "in_review", "rejected", "hidden"] = "live"
    reason: str | None = None
    shown: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ListingLimits:
    """What a channel takes. `batch`: listings in one `publish` or `withdraw`."""

    batch: int
    read_batch: int
    title: TextLimit
    description: TextLimit
    images: ImageLimit
    can_hide: bool = False
    """Whether `is_visible=False` keeps a listing but shows it to nobody."""
    can_schedule_sales: bool = False
    """Whether a sale starts and ends by itself at the times given."""
    requests_per_batch: int = 1
    """For the plan: how many requests one batch costs."""
    requests_per_minute: float | None = None
    """For the plan: how long it will take."""


@runtime_checkable
class Channel(Protocol):
    """Where listings are pushed to. Every call may raise RetryLater, NeedsAttention."""

    @property
    def listing_limits(self) -> ListingLimits: ...

    def check(self, listing: Listing) -> Sequence[Problem]:
        """What stands in the way before anything is sent. Pure."""
        ...

    def shown(self, listing: Listing) -> Mapping[str, str]:
        """The fields as this channel would show them, to compare with what it does show. Pure.

        Holds at least `title` and `price`.
        """
        ...

    async def publish(self, listings: Sequence[Listing]) -> Sequence[Verdict]:
        """Create or replace, at most a batch; one verdict for each. May be repeated without harm
        and must not make a second listing for the same id."""
        ...

    async def withdraw(self, ids: Sequence[str]) -> Sequence[Verdict]:
        """Take off the channel; what is not there counts as accepted."""
        ...

    async def read_back(self, ids: Collection[str]) -> Mapping[str, Seen]:
        """What the channel has of these, at most `read_batch`; left out: it has nothing."""
        ...


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """What stands at the head of a feed. `link`: the shop's address."""

    title: str
    link: str
    language: str
    currency: str


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """Of those who fetch it. `fetched_every_seconds`: how old what they show may be."""

    title: TextLimit
    description: TextLimit
    images: ImageLimit
    fetched_every_seconds: int
    can_schedule_sales: bool = True


@runtime_checkable
class Feed(Protocol):
    """A format that we serve and others fetch. Pure: bytes for the head, each item, the tail."""

    @property
    def feed_limits(self) -> FeedLimits: ...

    @property
    def media_type(self) -> str: ...

    @property
    def file_name(self) -> str:
        """Such as `google.xml`."""
        ...

    def check(self, listing: Listing) -> Sequence[Problem]: ...

    def head(self, info: FeedInfo) -> bytes: ...

    def item(self, listing: Listing, *, is_first: bool) -> bytes: ...

    def tail(self) -> bytes: ...
