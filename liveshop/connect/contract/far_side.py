"""The far side: what a suite needs of a fake, or of a real server, to look and to make trouble.

Subclass the one of your role. Everything is `async`, because looking at a real server is. What
cannot be played is left as it is: the base raises NotImplementedError and the test is skipped
aloud.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from liveshop.connect.connector import AccessTokens
from liveshop.connect.stages import StageTarget
from liveshop.kernel.money import Money

Fault = Literal[
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
]
"""What goes wrong, on every request from `fault()` until `heal()`:

- `expired`: the tokens used so far are refused, by 401 or the vendor's way; renewed ones work
- `revoked`: every token is refused, renewed ones too
- `forbidden`: a permission or scope is missing, by 403 or the vendor's way
- `too_many`: 429 or the vendor's way, without a word on when to come back
- `too_many_until`: the same, asking in the vendor's way to come back after `WAIT_SECONDS`
- `unavailable`: 500, 502, 503 or 504; nothing is carried out
- `half_sent`: the answer breaks off in mid-body; whether the request is carried out is left open
- `lost_answer`: the request that makes the post, the listing or the order is carried out and its
  connection closed without an answer; the steps before it are answered
"""

WAIT_SECONDS = 120
"""Two minutes, since some vendors count in minutes."""

TOKEN_PREFIX = "contract-token-"  # noqa: S105  # what a test's token begins with
"""A far side of an OAuth connector takes every access token that begins so."""


class ContractTokens(AccessTokens):
    """`contract-token-1`, and after each renewal the next number."""

    def __init__(self) -> None:
        self.number = 1

    @property
    def current(self) -> str:
        return f"{TOKEN_PREFIX}{self.number}"

    async def access_token(self) -> str:
        return self.current

    async def renewed(self, rejected: str) -> str:
        if rejected == self.current:
            self.number += 1
        return self.current


class FarSide(ABC):
    """The other system. One per test, empty at the start.

    `config`: the connector's configuration that leads here, secrets as plain text. Make pages and
    batches small with it, or with `limits`, so that the tests see several of them.
    """

    @property
    @abstractmethod
    def config(self) -> Mapping[str, object]: ...

    @property
    def limits(self) -> Mapping[str, int]:
        """An operator's figures in place of the vendor's, by `Limit.name`."""
        return {}

    @property
    def faults(self) -> Collection[Fault]:
        """Those it can play."""
        return ()

    async def fault(self, kind: Fault) -> None:
        """From the next request on, until `heal`."""
        raise NotImplementedError

    async def heal(self) -> None:
        """All faults are over."""
        raise NotImplementedError


# Channels


@dataclass(frozen=True, slots=True)
class SeenListing:
    """What people see. `fields` in the words and the format of the connector's `shown`, such as
    `{"title": "Mug", "price": "12.00 EUR"}`; read from the far side, not through the connector."""

    id: str
    fields: Mapping[str, str]


class ChannelFarSide(FarSide):
    @abstractmethod
    async def listings(self) -> Sequence[SeenListing]:
        """Everything that people can see now; what is hidden or deleted is not among it. One that
        was made twice is there twice."""
        ...

    async def refuse(self, listing_id: str) -> None:
        """From now on this listing is not taken, for a reason of the channel; others are."""
        raise NotImplementedError


# Posters


@dataclass(frozen=True, slots=True)
class SeenPost:
    """`alts`: the alt text of each picture, in order; `link`: the one beside the text."""

    remote_id: str
    text: str
    alts: tuple[str, ...] = ()
    link: str | None = None


class PosterFarSide(FarSide):
    @abstractmethod
    async def posts(self) -> Sequence[SeenPost]:
        """All posts that people can see now."""
        ...


# Stages


class StageFarSide(FarSide):
    @abstractmethod
    async def targets(self) -> Sequence[StageTarget]:
        """Everywhere that it waits for video now."""
        ...


# Sources


@dataclass(frozen=True, slots=True)
class FarProduct:
    """A product with one variant, by the source's own ids, as the connector reports them."""

    product_id: str
    variant_id: str


@dataclass(frozen=True, slots=True)
class FarOrder:
    """`reference`: what `place_order` returned for it."""

    reference: str
    is_paid: bool
    is_cancelled: bool
    total: Money
    quantities: Mapping[str, int] = field(default_factory=dict)
    """Units by variant id."""


class SourceFarSide(FarSide):
    """Where the shop system assigns ids itself, `add_product` tells them."""

    currency: str = "EUR"
    """The prices are put there in this one; tax included, as buyers pay them."""

    @abstractmethod
    async def add_product(self, *, title: str, price: Money, quantity: int) -> FarProduct: ...

    @abstractmethod
    async def change_product(
        self,
        product: FarProduct,
        *,
        title: str | None = None,
        price: Money | None = None,
        quantity: int | None = None,
    ) -> None:
        """None: as it was."""
        ...

    @abstractmethod
    async def remove_product(self, product: FarProduct) -> None: ...

    async def spoil_product(self, product: FarProduct) -> None:
        """Make it one that cannot be read: a price that is none, a missing field."""
        raise NotImplementedError

    async def orders(self) -> Sequence[FarOrder]:
        """Of a source that takes orders: all there are, cancelled ones too."""
        raise NotImplementedError


# Feeds


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One item as a reader that is not ours understands it."""

    id: str
    title: str
    description: str
    link: str
    price: Money
    sale_price: Money | None = None
