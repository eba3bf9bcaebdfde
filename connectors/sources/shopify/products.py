"""Shopify's products in the words of the SDK."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from liveshop.connect import (
    BadRow,
    BadValue,
    SourceProduct,
    SourceRow,
    SourceVariant,
    minor_digits,
)
from liveshop.kernel.money import Money

_MOST = 9_999_999
Node = Mapping[str, Any]


def row_of(line: int, node: Node, variants: Sequence[Node], currency: str) -> SourceRow | BadRow:
    """`variants`: all there are; the node itself may hold only the first ones."""
    source_id = str(node["id"])
    try:
        return SourceRow(line, _product(node, variants, currency))
    except BadValue as error:
        return BadRow(line, source_id, str(error), source_id)


def quantity_of(variant: Node) -> int | None:
    """Units that can be sold; None where Shopify does not count them, or not at our location."""
    item = variant["inventoryItem"]
    if not item["tracked"]:
        return None
    if "inventoryLevel" not in item:
        return _within(variant["sellableOnlineQuantity"])
    level = item["inventoryLevel"]
    if level is None:  # not stocked there
        return 0
    return _within(sum(one["quantity"] for one in level["quantities"]))


def _within(quantity: int) -> int:
    """Shopify counts below zero when it sells on after the last one."""
    return min(max(quantity, 0), _MOST)


def _product(node: Node, variants: Sequence[Node], currency: str) -> SourceProduct:
    if not variants:
        raise BadValue("the product has no variants")
    # A product without options has one option `Title` with the value `Default Title`.
    names = [] if node["hasOnlyDefaultVariant"] else [one["name"] for one in node["options"]]
    return SourceProduct(
        source_id=node["id"],
        title=node["title"],
        description_html=node["descriptionHtml"] or "",
        brand=node["vendor"] or None,
        category=(node["category"] or {}).get("fullName") or node["productType"] or None,
        url=node["onlineStoreUrl"],
        image_urls=tuple(_images(node)),
        option_names=tuple(names),
        is_active=node["status"] == "ACTIVE",
        variants=tuple(_variant(one, names, currency) for one in variants),
    )


def _variant(node: Node, names: Sequence[str], currency: str) -> SourceVariant:
    chosen = {one["name"]: one["value"] for one in node["selectedOptions"]}
    price = money_of(node["price"], currency)
    before = money_of(node["compareAtPrice"], currency) if node["compareAtPrice"] else None
    return SourceVariant(
        source_id=node["id"],
        sku=(node["sku"] or "").strip() or node["id"],
        gtin=_gtin(node["barcode"]),
        values=tuple(chosen.get(name, "") for name in names),
        price=price,
        # Shopify keeps a compare-at price of zero, or below the price, where it means none.
        compare_at=before if before is not None and before.amount > price.amount else None,
        quantity=quantity_of(node),
        image_url=next(_images(node), None),
    )


def money_of(text: str, currency: str) -> Money:
    """Raises BadValue."""
    try:
        amount = Decimal(text).scaleb(minor_digits(currency))
    except InvalidOperation:
        raise BadValue("the price is not a number") from None
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise BadValue(f"the price is not in whole units of {currency}")
    return Money(int(amount), currency)


def decimal_of(money: Money) -> str:
    """As Shopify writes it: `49.90`."""
    return str(Decimal(money.amount).scaleb(-minor_digits(money.currency)))


def _images(node: Node) -> Iterator[str]:
    """Media may be films or 3D models, or pictures that Shopify has not worked through yet."""
    for one in node["media"]["nodes"]:
        if one and (image := one.get("image")) and image.get("url"):
            yield image["url"]


def _gtin(barcode: str | None) -> str | None:
    """Shopify's barcode may be anything; the one of a house is no GTIN, and no mistake either."""
    digits = (barcode or "").strip().replace("-", "").replace(" ", "")
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdigit()):
        return None
    weighted = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits[-2::-1])
    )
    return digits if (10 - weighted % 10) % 10 == int(digits[-1]) else None
