"""The catalog as the API shows and takes it, and the ways to and from the model."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from liveshop.catalog import model
from liveshop.catalog.importer import ImportReport as Report
from liveshop.catalog.pictures import RENDITIONS, widths_of
from liveshop.kernel.ids import MediaId, VariantId
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


class Variant(Wire):
    """`values` in the order of the product's options; `image_index` counts from 0."""

    id: str
    sku: str
    gtin: str | None
    values: list[str]
    price: MoneyOut
    compare_at: MoneyOut | None
    tax_class: TaxClass
    available: int
    image_index: int | None


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
    active: bool
    version: int


class Products(Wire):
    products: list[Product]
    next: str | None


class VariantInput(Wire):
    """`id` names a variant to keep when a product is replaced; without it the SKU does."""

    sku: Annotated[str, Meta(min_length=1, max_length=100)]
    price: MoneyOut
    values: Annotated[list[_Label], Meta(max_length=model.MAX_OPTIONS)] = field(
        default_factory=list
    )
    gtin: Annotated[str, Meta(max_length=20)] | None = None
    compare_at: MoneyOut | None = None
    tax_class: TaxClass = "standard"
    image_index: Annotated[int, Meta(ge=0, lt=model.MAX_PICTURES)] | None = None
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
    active: bool = True
    version: int | None = None


class Location(Wire):
    id: str
    name: str
    kind: Literal["warehouse", "store"]
    priority: int


class Locations(Wire):
    locations: list[Location]


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

    def _url(self, picture: model.Picture, width: int, extension: str) -> str:
        return f"{self._base}/{picture.media_id}/{width}.{extension}"


def product_out(stocked: model.StockedProduct, links: ImageLinks) -> Product:
    product = stocked.product
    places = {picture.key: place for place, picture in enumerate(product.pictures)}
    return Product(
        id=product.id,
        source_id=product.source_id,
        title=product.title,
        description_html=product.description_html,
        brand=product.brand,
        category=product.category,
        url=product.url,
        options=[
            ProductOption(name=option.name, values=list(option.values))
            for option in product.options
        ],
        images=[links.image(picture, alt=product.title) for picture in product.pictures],
        variants=[_variant_out(variant, stocked.available, places) for variant in product.variants],
        active=product.is_active,
        version=product.version,
    )


def _variant_out(
    variant: model.Variant, available: Mapping[VariantId, int], places: Mapping[str, int]
) -> Variant:
    return Variant(
        id=variant.id,
        sku=variant.sku,
        gtin=variant.gtin,
        values=list(variant.values),
        price=MoneyOut.of(variant.price),
        compare_at=None if variant.compare_at is None else MoneyOut.of(variant.compare_at),
        tax_class=variant.tax_class,  # type: ignore[arg-type]  # checked on the way in
        available=available.get(variant.id, 0),
        image_index=places.get(variant.picture_key or ""),
    )


def draft_of(given: ProductInput) -> model.ProductDraft:
    return model.ProductDraft(
        title=given.title,
        description_html=given.description_html,
        brand=given.brand,
        category=given.category,
        url=given.url,
        options=tuple(model.Option(option.name, tuple(option.values)) for option in given.options),
        image_ids=tuple(MediaId(media_id) for media_id in given.image_ids),
        is_active=given.active,
        variants=tuple(_variant_draft(variant) for variant in given.variants),
    )


def _variant_draft(given: VariantInput) -> model.VariantDraft:
    return model.VariantDraft(
        sku=given.sku,
        gtin=given.gtin,
        values=tuple(given.values),
        price=given.price.to_money(),
        compare_at=None if given.compare_at is None else given.compare_at.to_money(),
        tax_class=given.tax_class,
        image_index=given.image_index,
        id=None if given.id is None else VariantId(given.id),
    )


def locations_out(locations: list[model.Location]) -> Locations:
    return Locations(
        locations=[
            Location(
                id=location.id,
                name=location.name,
                kind=location.kind,  # type: ignore[arg-type]  # checked on the way in
                priority=location.priority,
            )
            for location in locations
        ]
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
