"""What the attributes of a Google product feed mean, whichever way the file writes them.

A sale price with an effective date is left out: a feed is read now and then, and a price whose end
nobody watches would be a promise past its time. `out_of_stock` means a quantity of 0; a product
that says neither `quantity` nor `out_of_stock` leaves the stock alone.

Attributes: https://support.google.com/merchants/answer/7052112
"""

import html
import re
from collections.abc import Mapping, Sequence

from liveshop.connect import (
    BadValue,
    SourceProduct,
    SourceVariant,
    parse_price,
    parse_quantity,
)

REQUIRED = ("id", "title", "price")
_OPTIONS = {"color": "Color", "size": "Size", "material": "Material", "pattern": "Pattern"}
KNOWN = frozenset(
    {
        *REQUIRED,
        *_OPTIONS,
        "item_group_id",
        "description",
        "link",
        "image_link",
        "additional_image_link",
        "availability",
        "sale_price",
        "sale_price_effective_date",
        "gtin",
        "mpn",
        "brand",
        "google_product_category",
        "product_type",
        "quantity",
        "sell_on_google_quantity",
        "tax_class",
        "condition",
        "custom_label_0",
    }
)
MAX_FIELD = 64 * 1024
_AVAILABLE = frozenset({"in_stock", "limited_availability", "preorder", "backorder", ""})
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_PARAGRAPHS = re.compile(r"\n\s*\n")


def attribute_name(text: str) -> str:
    """`g:Image Link` -> `image_link`."""
    return re.sub(r"[\s_]+", "_", text.strip().lower()).removeprefix("g:")


def check_field(name: str, text: str) -> None:
    """Raises BadValue."""
    if len(text) > MAX_FIELD:
        raise BadValue(f"{name} is longer than {MAX_FIELD} characters")
    if "\x00" in text:
        raise BadValue(f"{name} holds a NUL character")


def ids_of(row: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The ids of the variant and of its product, of a row that may be wrong elsewhere."""
    source_id = row.get("id", "")[:200] or None
    return source_id, row.get("item_group_id", "")[:200] or source_id


def product_of(row: Mapping[str, str], more_images: Sequence[str]) -> SourceProduct:
    """One row: a product with one of its variants; those of one `item_group_id` belong together.

    `row`: attributes by name, stripped; `more_images`: those beside `image_link`. Raises BadValue.
    """

    def text(name: str) -> str:
        return row.get(name, "")

    source_id = text("id")
    if not source_id:
        raise BadValue("id is empty")
    group = text("item_group_id")
    price = parse_price(text("price"))
    compare_at = None
    if text("sale_price") and not text("sale_price_effective_date"):
        sale = parse_price(text("sale_price"), field="sale_price")
        if sale.currency != price.currency or sale.amount > price.amount:
            raise BadValue("sale_price is above price or in another currency")
        if sale != price:
            price, compare_at = sale, price
    # Without a group there is nothing to choose between, so a colour is not a choice.
    options = {name: text(name) for name in _OPTIONS if group and text(name)}
    image = text("image_link") or None
    return SourceProduct(
        source_id=group or source_id,
        title=text("title"),
        description_html=_as_html(text("description")),
        brand=text("brand") or None,
        category=text("product_type") or text("google_product_category") or None,
        url=text("link") or None,
        image_urls=tuple([image, *more_images] if image else more_images),
        option_names=tuple(_OPTIONS[name] for name in options),
        is_whole=False,
        variants=(
            SourceVariant(
                source_id=source_id,
                sku=source_id,
                gtin=text("gtin") or None,
                values=tuple(options.values()),
                price=price,
                compare_at=compare_at,
                tax_class=text("tax_class").lower() or "standard",
                quantity=_quantity(
                    text("availability"), text("quantity") or text("sell_on_google_quantity")
                ),
                image_url=image,
            ),
        ),
    )


def _quantity(availability: str, quantity: str) -> int | None:
    state = re.sub(r"\s+", "_", availability.lower())
    if state == "out_of_stock":
        return 0
    if state not in _AVAILABLE:
        raise BadValue(f"availability '{availability[:40]}' is not one that Google feeds know")
    return parse_quantity(quantity) if quantity else None


def _as_html(text: str) -> str:
    """Feeds hold plain text or simple HTML; plain text keeps its paragraphs and line ends."""
    if _TAG.search(text):
        return text
    paragraphs = [part.strip() for part in _PARAGRAPHS.split(text) if part.strip()]
    return "".join(
        f"<p>{html.escape(part, quote=False).replace(chr(10), '<br>')}</p>" for part in paragraphs
    )
