"""Products from NDJSON: one JSON object a line, a product with all its variants.

    {"source_id": "4711", "title": "Linen shirt", "description_html": "<p>Soft.</p>",
     "brand": "Nord", "category": "Shirts", "url": "https://shop.example/4711",
     "images": ["https://shop.example/4711.jpg"], "active": true,
     "options": ["Colour", "Size"],
     "variants": [{"source_id": "4711-s", "sku": "LS-S", "gtin": "4006381333931",
                   "values": ["Sand", "S"], "price": {"amount": 4990, "currency": "EUR"},
                   "compare_at": null, "tax_class": "standard", "quantity": 12,
                   "image": "https://shop.example/4711-sand.jpg"}]}

Required: `source_id`, `title`, `variants` with `source_id`, `price` and, where there are options,
`values`. Prices are in minor units. A line is the whole product: a variant not in it is withdrawn.
Unknown fields are refused, because a misspelt `compare_at` would otherwise vanish silently.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import msgspec

from liveshop.connect import (
    BadFile,
    BadRow,
    FileAddress,
    FileByUrl,
    Kit,
    Line,
    Role,
    SourceProduct,
    SourceRow,
    SourceVariant,
    file_by_url,
    split_lines,
)
from liveshop.kernel.money import Money

_MAX_LINE = 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class _Price(msgspec.Struct, forbid_unknown_fields=True):
    amount: int
    currency: str


class _Variant(msgspec.Struct, forbid_unknown_fields=True):
    source_id: str
    price: _Price
    sku: str = ""
    gtin: str | None = None
    values: list[str] = []
    compare_at: _Price | None = None
    tax_class: str = "standard"
    quantity: int | None = None
    image: str | None = None


class _Product(msgspec.Struct, forbid_unknown_fields=True):
    source_id: str
    title: str
    variants: list[_Variant]
    description_html: str = ""
    brand: str | None = None
    category: str | None = None
    url: str | None = None
    images: list[str] = []
    active: bool = True
    options: list[str] = []


class _Id(msgspec.Struct):
    source_id: str


class Ndjson:
    name = "ndjson"
    title = "Products as NDJSON"
    media_type = "application/x-ndjson"
    roles: frozenset[Role] = frozenset({"file_source", "source"})
    config = FileAddress
    oauth = None

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Product)

    def open(self, config: FileAddress, kit: Kit) -> AbstractAsyncContextManager[FileByUrl]:
        return file_by_url(self, config, kit)

    async def rows(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[SourceRow | BadRow]:
        is_empty = True
        async for line in split_lines(chunks, max_bytes=_MAX_LINE):
            data = line.data.removeprefix(_BOM) if line.number == 1 else line.data
            if not data.strip() and not line.is_too_long:
                continue
            is_empty = False
            yield self._row(Line(line.number, data, line.is_too_long))
        if is_empty:
            raise BadFile("The file is empty.")

    def _row(self, line: Line) -> SourceRow | BadRow:
        if line.is_too_long:
            return BadRow(line.number, None, f"the line is longer than {_MAX_LINE} bytes")
        try:
            return SourceRow(line.number, _to_product(self._decoder.decode(line.data)))
        except UnicodeDecodeError as error:
            reason = f"the line is not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
            return BadRow(line.number, None, reason)
        except msgspec.ValidationError as error:
            source_id = _id_of(line.data)
            return BadRow(line.number, source_id, str(error), source_id)
        except (msgspec.DecodeError, RecursionError) as error:
            return BadRow(line.number, None, f"the line is not JSON: {error}")


def _id_of(data: bytes) -> str | None:
    """The id of a product that is wrong elsewhere, so that the report can name it."""
    try:
        return msgspec.json.decode(data, type=_Id).source_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _to_product(given: _Product) -> SourceProduct:
    return SourceProduct(
        source_id=given.source_id,
        title=given.title,
        description_html=given.description_html,
        brand=given.brand,
        category=given.category,
        url=given.url,
        image_urls=tuple(given.images),
        is_active=given.active,
        option_names=tuple(given.options),
        variants=tuple(_to_variant(variant) for variant in given.variants),
    )


def _to_variant(given: _Variant) -> SourceVariant:
    return SourceVariant(
        source_id=given.source_id,
        sku=given.sku or given.source_id,
        gtin=given.gtin,
        values=tuple(given.values),
        price=_money(given.price),
        compare_at=_money(given.compare_at) if given.compare_at else None,
        tax_class=given.tax_class,
        quantity=given.quantity,
        image_url=given.image,
    )


def _money(price: _Price) -> Money:
    return Money(price.amount, price.currency)
