"""What a variant shall say on a channel: catalog, announced price, stock and pictures made into a
listing that fits, or the reasons why it cannot go there.

The digest is of all that goes into a listing, not of what comes out: that nothing has changed can
then be told without making it, which takes ten times as long.

Quantities are told up to 20: whether there are 300 or 299 changes nothing for a buyer, and a sale
in a busy show would otherwise touch a listing on every channel.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from liveshop.catalog.model import Picture, Product, Variant
from liveshop.connect import (
    RENDITIONS,
    FeedLimits,
    ImageLimit,
    Listing,
    ListingImage,
    ListingLimits,
    Problem,
    TextLimit,
)
from liveshop.connect.texts import cut, measure, plain_text
from liveshop.syndication.captions import tracked
from liveshop.syndication.says import PriceSchedule

RULES = "1"
"""Goes into every digest: raise it when listings are made by other rules, and all are sent anew."""
MOST_TOLD = 20
_LEAST_TITLE = 12
_encoder = msgspec.json.Encoder()

NO_LINK = Problem("link", "It needs a link: give the product an address in the shop.")
NO_IMAGE = Problem("images", "It needs a picture: add one to the product.")
NO_PRICE = Problem(
    "price", "Its price is in another currency than the shop sells in. Change the price."
)


class ChannelImages(Protocol):
    def channel(self, media_id: str, rendition: str, max_bytes: int) -> str:
        """The public address of a picture in this size."""
        ...


class ListingChecks(Protocol):
    """A channel or feed, as far as making listings goes."""

    def check(self, listing: Listing) -> Sequence[Problem]: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What a connection's listings look like. `channel` goes into links."""

    channel: str
    language: str
    title: TextLimit
    description: TextLimit
    images: ImageLimit
    is_feed: bool = False


@dataclass(frozen=True, slots=True)
class _Texts:
    """What the variants of a product share, kept while it is worked on."""

    product: Product
    description: str
    link: str


@dataclass(frozen=True, slots=True)
class _Shared:
    """What goes into all listings of a product, hashed."""

    product: Product
    hashed: "hashlib.blake2b"


class Described:
    """A product's description without its markup, made once for all channels."""

    def __init__(self) -> None:
        self._known: tuple[str, str] = ("", "")

    def of(self, product: Product) -> str:
        if self._known[0] != product.description_html:
            self._known = (product.description_html, plain_text(product.description_html))
        return self._known[1]


class ListingMaker:
    """Makes the listings of one connection; quickest product by product."""

    def __init__(
        self, shape: Shape, checks: ListingChecks, images: ChannelImages, described: Described
    ) -> None:
        self._shape = shape
        self._checks = checks
        self._images = images
        self._described = described
        self._texts: _Texts | None = None
        self._shared: _Shared | None = None
        self._prefix = _encoder.encode((RULES, shape))

    def digest(
        self, product: Product, variant: Variant, says: PriceSchedule, available: int
    ) -> str:
        """Two listings with the same digest say the same; 32 hexadecimal digits."""
        shared = self._shared
        if shared is None or shared.product is not product:
            shared = self._shared = _Shared(product, self._hashed(product))
        whole = shared.hashed.copy()
        whole.update(
            _encoder.encode(
                (
                    variant.id,
                    variant.sku,
                    variant.gtin,
                    variant.values,
                    variant.picture_key,
                    says,
                    _told(available),
                    available > 0,
                )
            )
        )
        return whole.hexdigest()

    def _hashed(self, product: Product) -> "hashlib.blake2b":
        hashed = hashlib.blake2b(self._prefix, digest_size=16)
        hashed.update(
            _encoder.encode(
                (
                    product.id,
                    product.title,
                    product.description_html,
                    product.brand,
                    product.category,
                    product.url,
                    [one.name for one in product.options],
                    product.pictures,
                )
            )
        )
        return hashed

    def make(
        self, product: Product, variant: Variant, says: PriceSchedule, available: int
    ) -> Listing | list[Problem]:
        """Visible. The problems are all there are, ours before the channel's."""
        problems = []
        if not product.url:
            problems.append(NO_LINK)
        pictures = _pictures(product, variant)
        if not pictures:
            problems.append(NO_IMAGE)
        if problems:
            return problems
        shape, texts = self._shape, self._texts_of(product)
        listing = Listing(
            id=variant.id,
            group_id=product.id,
            sku=variant.sku,
            title=_title(product.title, variant.values, shape.title),
            description=texts.description,
            link=texts.link,
            language=shape.language,
            price=says.price,
            sale=says.sale,
            lowest_30_days=says.lowest,
            is_available=available > 0,
            quantity=_told(available),
            gtin=variant.gtin,
            brand=product.brand,
            category=product.category,
            options=tuple(
                (option.name, value)
                for option, value in zip(product.options, variant.values, strict=False)
            ),
            images=tuple(self._image(one, product.title) for one in pictures[: shape.images.most]),
        )
        return list(self._checks.check(listing)) or listing

    def _texts_of(self, product: Product) -> _Texts:
        known = self._texts
        if known is not None and known.product is product:
            return known
        shape = self._shape
        link = product.url or ""
        made = _Texts(
            product,
            cut(self._described.of(product) or product.title, shape.description),
            tracked(
                link,
                channel=shape.channel,
                campaign=None,
                content=None,
                medium="feed" if shape.is_feed else "social",
            ),
        )
        self._texts = made
        return made

    def _image(self, picture: Picture, title: str) -> ListingImage:
        limit = self._shape.images
        size = RENDITIONS[limit.rendition]
        alt = picture.alt or title
        return ListingImage(
            url=self._images.channel(picture.media_id, limit.rendition, limit.max_bytes),
            alt="" if limit.alt is None else cut(alt, limit.alt),
            width=size.width,
            height=size.height,
        )


def hidden(listing: Listing) -> Listing:
    return replace(listing, is_visible=False)


def in_words(problems: Sequence[Problem]) -> str:
    return " ".join(dict.fromkeys(one.reason for one in problems))


def shape_of(channel: str, language: str, limits: ListingLimits | FeedLimits) -> Shape:
    is_feed = isinstance(limits, FeedLimits)
    return Shape(channel, language, limits.title, limits.description, limits.images, is_feed)


def _told(available: int) -> int:
    return max(0, min(available, MOST_TOLD))


def _pictures(product: Product, variant: Variant) -> list[Picture]:
    """The variant's own first."""
    return sorted(product.pictures, key=lambda one: one.key != variant.picture_key)


def _title(title: str, values: Sequence[str], limit: TextLimit) -> str:
    """`Linen shirt, M`. What tells variants apart is not what is cut, if it can be helped."""
    if not values:
        return cut(title, limit)
    told = ", ".join(values)
    whole = f"{title}, {told}"
    rest = limit.most - measure(f", {told}", limit.unit)
    if rest < _LEAST_TITLE:
        return cut(whole, limit)
    return f"{cut(title, TextLimit(rest, limit.unit))}, {told}"
