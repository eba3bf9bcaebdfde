"""The catalog as the API shows and takes it, and the ways to and from the model."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from liveshop.catalog import model
from liveshop.catalog.channel_pictures import step_kb
from liveshop.catalog.importer import ImportReport as Report
from liveshop.catalog.pictures import RENDITIONS, widths_of
from liveshop.kernel.ids import LocationId, MediaId, VariantId
from liveshop.web import MoneyOut, Wire

TaxClass = Literal["standard", "reduced", "zero"]
Count = Annotated[int, Meta(ge=0, le=model.MAX_QUANTITY)]
_Id = Annotated[str, Meta(min_length=1, max_length=40)]
_Label = Annotated[str, Meta(max_length=500)]
_USUAL_WIDTH = 640


class ImageSource(Wire):
    type: Literal["image/avif", "image/webp", "image/jpeg"]
    srcset: str


class Image(Wire):
    """A picture with its renditions, the best format first; `src` is for who knows no `srcset`."""

    id: str
    alt: str
    width: int
    height: int
    src: str
    sources: list[ImageSource]


class ProductOption(Wire):
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    values: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=100)]],
        Meta(min_length=1, max_length=model.MAX_VARIANTS),
    ]


class PriceTier(Wire):
    """From `min_quantity` units on, each costs `price`."""

    min_quantity: Annotated[int, Meta(ge=2, le=model.MAX_QUANTITY)]
    price: MoneyOut


class PromotionNote(Wire):
    """A promotion that is in a price. `is_offer`: it is one of this show only. `units_left`: how
    many units can still be had at this price; null: no limit. `texts`: its name by language."""

    id: str
    texts: dict[str, str]
    ends_at: datetime | None
    units_left: int | None
    is_offer: bool


class BundlePart(Wire):
    variant_id: str
    product_id: str
    title: str
    sku: str
    quantity: int


class Variant(Wire):
    """`values` in the order of the product's options; `image_index` counts from 0.

    `price` is what one unit costs here and now, `list_price` what it costs without promotions.
    `lowest_30_days` is given with every announced reduction: the lowest price of the 30 days
    before it (directive 98/6/EC, article 6a). `tiers` are prices now by quantity, `list_tiers`
    those without promotions.
    """

    id: str
    sku: str
    gtin: str | None
    values: list[str]
    price: MoneyOut
    list_price: MoneyOut
    compare_at: MoneyOut | None
    lowest_30_days: MoneyOut | None
    tiers: list[PriceTier]
    list_tiers: list[PriceTier]
    promotions: list[PromotionNote]
    tax_class: TaxClass
    weight_grams: int
    available: int
    image_index: int | None
    parts: list[BundlePart]


class Product(Wire):
    id: str
    source_id: str
    title: str
    description_html: str
    brand: str | None
    category: str | None
    url: str | None
    options: list[ProductOption]
    images: list[Image]
    variants: list[Variant]
    max_per_customer: int | None
    active: bool
    version: int
    fit: Annotated[
        Literal["runs_small", "runs_large"] | None,
        Meta(description="counted from returns; null where they say nothing clear"),
    ] = None


class Products(Wire):
    products: list[Product]
    next: str | None


class BundlePartInput(Wire):
    variant_id: _Id
    quantity: Annotated[int, Meta(ge=1, le=100)] = 1


class VariantInput(Wire):
    """`id` names a variant to keep when a product is replaced; without it the SKU does.

    `tiers` are list prices by quantity. A variant with `parts` is a bundle: it has no stock of its
    own and holds and sells its parts.
    """

    sku: Annotated[str, Meta(min_length=1, max_length=100)]
    list_price: MoneyOut
    values: Annotated[list[_Label], Meta(max_length=model.MAX_OPTIONS)] = field(
        default_factory=list
    )
    gtin: Annotated[str, Meta(max_length=20)] | None = None
    compare_at: MoneyOut | None = None
    tax_class: TaxClass = "standard"
    image_index: Annotated[int, Meta(ge=0, lt=model.MAX_PICTURES)] | None = None
    tiers: Annotated[list[PriceTier], Meta(max_length=model.MAX_TIERS)] = field(
        default_factory=list
    )
    weight_grams: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    parts: Annotated[list[BundlePartInput], Meta(max_length=model.MAX_PARTS)] = field(
        default_factory=list
    )
    id: _Id | None = None


class ProductInput(Wire):
    """`version` is the one that was read: the product is replaced only if it still is."""

    title: Annotated[str, Meta(min_length=1, max_length=300)]
    variants: Annotated[list[VariantInput], Meta(min_length=1, max_length=model.MAX_VARIANTS)]
    options: Annotated[list[ProductOption], Meta(max_length=model.MAX_OPTIONS)] = field(
        default_factory=list
    )
    description_html: Annotated[str, Meta(max_length=50_000)] = ""
    brand: _Label | None = None
    category: _Label | None = None
    url: Annotated[str, Meta(max_length=2000)] | None = None
    image_ids: Annotated[list[_Id], Meta(max_length=model.MAX_PICTURES)] = field(
        default_factory=list
    )
    max_per_customer: Annotated[int, Meta(ge=1, le=1000)] | None = None
    active: bool = True
    version: int | None = None


class LocationAddress(Wire):
    line1: _Label
    postal_code: Annotated[str, Meta(min_length=2, max_length=16)]
    city: _Label
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    line2: Annotated[str, Meta(max_length=120)] | None = None


_Clock = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
_Spans = Annotated[list[tuple[_Clock, _Clock]], Meta(max_length=5)]


class Hours(Wire):
    """When it is open, in local time: by ISO weekday (`1`: Monday) and, before that, by date."""

    weekly: dict[str, _Spans]
    exceptions: dict[str, _Spans] = field(default_factory=dict)


class Location(Wire):
    id: str
    name: str
    kind: Literal["warehouse", "store"]
    priority: int
    address: LocationAddress | None
    hours: Hours | None
    time_zone: Annotated[str | None, Meta(description="IANA; null: the shop's")]
    phone: str | None
    is_pickup: Annotated[bool, Meta(description="buyers may collect here")]
    is_shipping: Annotated[bool, Meta(description="parcels leave from here")]


class LocationInput(Wire):
    name: _Label
    kind: Literal["warehouse", "store"]
    priority: Annotated[int, Meta(ge=0, le=10_000)] = 0
    address: LocationAddress | None = None
    hours: Hours | None = None
    time_zone: Annotated[str, Meta(max_length=60)] | None = None
    phone: Annotated[str, Meta(max_length=60)] | None = None
    is_pickup: bool = False
    is_shipping: bool = True


class Locations(Wire):
    locations: list[Location]


class Store(Wire):
    """A store in which buyers collect."""

    id: str
    name: str
    address: LocationAddress
    hours: Hours
    time_zone: Annotated[str, Meta(description="IANA, of its hours")]
    phone: str | None


class Stores(Wire):
    stores: list[Store]


class StockAt(Wire):
    location_id: str
    on_hand: int
    held: int
    available: int


class Stock(Wire):
    stock: list[StockAt]


class StockInput(Wire):
    location_id: _Id
    on_hand: Count


class ImportProblem(Wire):
    line: int
    source_id: str | None
    reason: str


class ImportReport(Wire):
    """`rows` were read; `failed` of them did not land, `unchanged` said nothing new. `problems`
    are the first thousand of `problems_total`."""

    rows: int
    products_created: int
    products_updated: int
    unchanged: int
    failed: int
    problems: list[ImportProblem]
    problems_total: int


class ImageLinks:
    """Where pictures are found. Absolute addresses: embeds live on other origins."""

    def __init__(self, public_url: str, widths: tuple[int, ...]) -> None:
        self._base = f"{public_url}/media"
        self._widths = widths

    def image(self, picture: model.Picture, *, alt: str = "") -> Image:
        """`alt` stands in where the picture has no text of its own."""
        widths = widths_of(picture.width, self._widths)
        usual = max((width for width in widths if width <= _USUAL_WIDTH), default=widths[0])
        largest = widths[-1]
        return Image(
            id=picture.media_id,
            alt=picture.alt or alt,
            width=largest,
            height=max(1, round(picture.height * largest / picture.width)),
            src=self._url(picture, usual, "jpg"),
            sources=[
                ImageSource(
                    type=kind,  # type: ignore[arg-type]  # the table's values are the literals
                    srcset=", ".join(
                        f"{self._url(picture, width, extension)} {width}w" for width in widths
                    ),
                )
                for extension, kind in RENDITIONS.items()
            ],
        )

    def channel(self, media_id: str, rendition: str, max_bytes: int) -> str:
        """The picture as channels want it: one of `liveshop.connect.RENDITIONS`, a JPEG of at most
        `max_bytes`. Raises ValueError for a cap that no picture is made for."""
        return f"{self._base}/{media_id}/{rendition}-{step_kb(max_bytes)}.jpg"

    def _url(self, picture: model.Picture, width: int, extension: str) -> str:
        return f"{self._base}/{picture.media_id}/{width}.{extension}"


def draft_of(given: ProductInput) -> model.ProductDraft:
    return model.ProductDraft(
        title=given.title,
        description_html=given.description_html,
        brand=given.brand,
        category=given.category,
        url=given.url,
        options=tuple(model.Option(option.name, tuple(option.values)) for option in given.options),
        image_ids=tuple(MediaId(media_id) for media_id in given.image_ids),
        max_per_customer=given.max_per_customer,
        is_active=given.active,
        variants=tuple(_variant_draft(variant) for variant in given.variants),
    )


def _variant_draft(given: VariantInput) -> model.VariantDraft:
    return model.VariantDraft(
        sku=given.sku,
        gtin=given.gtin,
        values=tuple(given.values),
        price=given.list_price.to_money(),
        compare_at=None if given.compare_at is None else given.compare_at.to_money(),
        tax_class=given.tax_class,
        image_index=given.image_index,
        tiers=tuple((tier.min_quantity, tier.price.to_money()) for tier in given.tiers),
        weight_grams=given.weight_grams,
        parts=tuple((VariantId(part.variant_id), part.quantity) for part in given.parts),
        id=None if given.id is None else VariantId(given.id),
    )


def location_out(location: model.Location) -> Location:
    return Location(
        id=location.id,
        name=location.name,
        kind=location.kind,  # type: ignore[arg-type]  # checked on the way in
        priority=location.priority,
        address=_address_out(location.address) if location.address else None,
        hours=_hours_out(location.hours) if location.hours else None,
        time_zone=location.time_zone,
        phone=location.phone,
        is_pickup=location.is_pickup,
        is_shipping=location.is_shipping,
    )


def locations_out(locations: list[model.Location]) -> Locations:
    return Locations(locations=[location_out(location) for location in locations])


def stores_out(stores: list[model.Location], time_zone: str) -> Stores:
    """`time_zone`: of those that have none of their own."""
    return Stores(
        stores=[
            Store(
                id=store.id,
                name=store.name,
                address=_address_out(store.address),
                hours=_hours_out(store.hours),
                time_zone=store.time_zone or time_zone,
                phone=store.phone,
            )
            for store in stores
            if store.address is not None and store.hours is not None
        ]
    )


def _address_out(address: model.LocationAddress) -> LocationAddress:
    return msgspec.convert(address, LocationAddress, from_attributes=True)


def _hours_out(hours: model.Hours) -> Hours:
    return msgspec.convert(hours, Hours, from_attributes=True)


def location_of(location_id: str, given: LocationInput) -> model.Location:
    return model.Location(
        id=LocationId(location_id),
        name=given.name,
        kind=given.kind,
        priority=given.priority,
        address=(
            msgspec.convert(given.address, model.LocationAddress, from_attributes=True)
            if given.address
            else None
        ),
        hours=(
            msgspec.convert(given.hours, model.Hours, from_attributes=True) if given.hours else None
        ),
        time_zone=given.time_zone,
        phone=given.phone,
        is_pickup=given.is_pickup,
        is_shipping=given.is_shipping,
    )


def stock_out(levels: list[model.StockLevel]) -> Stock:
    return Stock(
        stock=[
            StockAt(
                location_id=level.location_id,
                on_hand=level.on_hand,
                held=level.held,
                available=level.available,
            )
            for level in levels
        ]
    )


def report_out(report: Report) -> ImportReport:
    return ImportReport(
        rows=report.rows,
        products_created=report.products_created,
        products_updated=report.products_updated,
        unchanged=report.unchanged,
        failed=report.failed,
        problems=[
            ImportProblem(line=problem.line, source_id=problem.source_id, reason=problem.reason)
            for problem in report.problems
        ],
        problems_total=report.problems_total,
    )
