"""Products, variants and stock as plain facts. No I/O, no clock; `checks` has their rules.

A variant that is gone is withdrawn, never deleted: orders and carts still point at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from liveshop.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from liveshop.kernel.ids import LocationId, MediaId, ProductId, VariantId
from liveshop.kernel.money import Money

TAX_CLASSES = ("standard", "reduced", "zero")
LOCATION_KINDS = ("warehouse", "store")
MAX_VARIANTS = 500
MAX_OPTIONS = 8
MAX_PICTURES = 30
MAX_TIERS = 20
MAX_PARTS = 20
MAX_QUANTITY = 10_000_000


class UnknownProduct(NotFound):
    code = "unknown_product"


class UnknownVariant(NotFound):
    code = "unknown_variant"


class UnknownLocation(NotFound):
    code = "unknown_location"


class UnknownMedia(NotFound):
    code = "unknown_media"


class BadProduct(Invalid):
    """A product or variant that breaks a rule; `data.field` names where."""

    code = "bad_product"


class BadLocation(Invalid):
    """A location that breaks a rule; `data.field` names where."""

    code = "bad_location"


class StockHeld(Conflict):
    """The stock cannot go below what carts hold; `data.held` says how much that is."""

    code = "stock_held"


class BundleHasNoStock(Conflict):
    """A bundle is as available as its parts; stock is set on them."""

    code = "bundle_has_no_stock"


class ProductChanged(Conflict):
    """Somebody else changed the product in the meantime; `data.version` is the present one."""

    code = "product_changed"


class NotAnImage(Invalid):
    code = "not_an_image"


class ImageTooLarge(Invalid):
    """More bytes or more pixels than allowed, by what the file declares."""

    code = "image_too_large"


class MediaUnavailable(Unavailable):
    """Pictures cannot be stored or read now: the disk is full or the data folder read-only."""

    code = "media_unavailable"


@dataclass(frozen=True, slots=True)
class Option:
    """A dimension to choose in, such as Size, with its values in the order to show them."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture. `key` names it within a product; variants point at it by that."""

    key: str
    media_id: MediaId
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True)
class Variant:
    id: VariantId
    product_id: ProductId
    sku: str
    gtin: str | None
    values: tuple[str, ...]
    price: Money
    compare_at: Money | None
    tax_class: str
    picture_key: str | None
    is_active: bool
    tiers: tuple[tuple[int, Money], ...] = ()
    """(from so many units, price each)"""
    weight_grams: int = 0
    parts: tuple["BundlePart", ...] = ()

    @property
    def pieces(self) -> int:
        """Units of stock behind one unit sold."""
        return sum(part.quantity for part in self.parts) or 1


@dataclass(frozen=True, slots=True)
class BundlePart:
    """So many units of another variant that are sold with each unit of a bundle."""

    variant_id: VariantId
    product_id: ProductId
    title: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PricePoint:
    """From `at` on a variant costs `amount` before promotions, announced beside `compare_at`."""

    at: datetime
    amount: Money
    compare_at: Money | None


@dataclass(frozen=True, slots=True)
class Product:
    """`variants` are those on sale, in order; `pictures` those that are stored."""

    id: ProductId
    source: str | None
    source_id: str
    title: str
    description_html: str
    brand: str | None
    category: str | None
    url: str | None
    options: tuple[Option, ...]
    pictures: tuple[Picture, ...]
    variants: tuple[Variant, ...]
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    max_per_customer: int | None = None
    fit: str | None = None
    """`runs_small` or `runs_large`: what returns say of its size."""


@dataclass(frozen=True, slots=True)
class StockedProduct:
    """A product with what of it can be sold now."""

    product: Product
    available: Mapping[VariantId, int]


@dataclass(frozen=True, slots=True)
class LocationAddress:
    line1: str
    postal_code: str
    city: str
    country: str
    line2: str | None = None


Span = tuple[str, str]
"""From and until, as `("09:00", "18:30")`; the end may be `24:00`."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a place is open, in its local time: by ISO weekday (`"1"`: Monday), and by ISO date,
    which counts before the weekday. No span: closed.
    """

    weekly: Mapping[str, tuple[Span, ...]]
    exceptions: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Location:
    """Where stock lies. The lowest `priority` is asked first, and imports put their stock there."""

    id: LocationId
    name: str
    kind: str
    priority: int
    address: LocationAddress | None = None
    hours: Hours | None = None
    time_zone: str | None = None
    phone: str | None = None
    is_pickup: bool = False
    is_shipping: bool = True


@dataclass(frozen=True, slots=True)
class StockLevel:
    """`0 <= held <= on_hand`, always."""

    variant_id: VariantId
    location_id: LocationId
    on_hand: int
    held: int

    @property
    def available(self) -> int:
        return self.on_hand - self.held


@dataclass(frozen=True, slots=True)
class VariantDraft:
    sku: str
    price: Money
    values: tuple[str, ...] = ()
    gtin: str | None = None
    compare_at: Money | None = None
    tax_class: str = "standard"
    image_index: int | None = None
    id: VariantId | None = None
    tiers: tuple[tuple[int, Money], ...] = ()
    weight_grams: int = 0
    parts: tuple[tuple[VariantId, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """What somebody wants a product to be; `checks.checked` says whether it can."""

    title: str
    variants: tuple[VariantDraft, ...]
    options: tuple[Option, ...] = ()
    description_html: str = ""
    brand: str | None = None
    category: str | None = None
    url: str | None = None
    image_ids: tuple[MediaId, ...] = ()
    is_active: bool = True
    max_per_customer: int | None = None


# Signals, sent in this process after the commit.


@dataclass(frozen=True, slots=True)
class StockTouched:
    """The stock of these variants may have changed."""

    variant_ids: tuple[VariantId, ...]


@dataclass(frozen=True, slots=True)
class ProductsTouched:
    """These products changed in anything but stock."""

    product_ids: tuple[ProductId, ...]
