"""What a product must be to be stored; forms and imports keep the same rules. No I/O.

Each check gives back what it was given, cleaned, or raises BadProduct or BadText with `data.field`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import nh3

from liveshop.catalog.model import (
    MAX_OPTIONS,
    MAX_PARTS,
    MAX_PICTURES,
    MAX_QUANTITY,
    MAX_TIERS,
    MAX_VARIANTS,
    TAX_CLASSES,
    BadProduct,
    Option,
    ProductDraft,
    VariantDraft,
)
from liveshop.kernel.ids import VariantId
from liveshop.kernel.money import Money
from liveshop.kernel.text import clean_line, clean_text

_MAX_AMOUNT = 100_000_000_000
_MAX_GRAMS = 10_000_000
_MAX_PART_QUANTITY = 100
_MAX_PER_CUSTOMER = 1000
_MAX_DESCRIPTION = 50_000
_TAGS = {
    "p",
    "br",
    "ul",
    "ol",
    "li",
    "strong",
    "b",
    "em",
    "i",
    "u",
    "s",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "sub",
    "sup",
    "hr",
    "span",
}
_CURRENCY = re.compile(r"[A-Z]{3}")


def checked(draft: ProductDraft, currency: str) -> ProductDraft:
    """The draft with its texts cleaned. Raises BadProduct or BadText naming the field."""
    option_names = check_option_names([option.name for option in draft.options])
    options = tuple(
        Option(name, _check_option_values(name, option.values))
        for name, option in zip(option_names, draft.options, strict=True)
    )
    if len(draft.image_ids) > MAX_PICTURES:
        raise _bad("image_ids", f"a product has at most {MAX_PICTURES} pictures")
    if len(set(draft.image_ids)) < len(draft.image_ids):
        raise _bad("image_ids", "a picture occurs twice")
    variants = tuple(
        _checked_variant(variant, draft, options, currency) for variant in draft.variants
    )
    check_variant_count(len(variants))
    _refuse_repeats("sku", [variant.sku for variant in variants])
    _refuse_repeats("id", [variant.id for variant in variants if variant.id is not None])
    _refuse_repeats("values", [variant.values for variant in variants])
    return replace(
        draft,
        title=check_title(draft.title),
        description_html=clean_html(draft.description_html),
        brand=check_label(draft.brand, "brand", 200),
        category=check_label(draft.category, "category", 500),
        url=check_url(draft.url, "url"),
        options=options,
        variants=variants,
        max_per_customer=(
            None
            if draft.max_per_customer is None
            else _check_range("max_per_customer", draft.max_per_customer, 1, _MAX_PER_CUSTOMER)
        ),
    )


def _checked_variant(
    draft: VariantDraft, product: ProductDraft, options: Sequence[Option], currency: str
) -> VariantDraft:
    values = check_values(draft.values, len(options))
    for option, value in zip(options, values, strict=True):
        if value not in option.values:
            raise _bad("values", f"{value!r} is not among the values of {option.name}")
    if draft.image_index is not None and not 0 <= draft.image_index < len(product.image_ids):
        raise _bad("image_index", f"there is no picture number {draft.image_index}")
    return replace(
        draft,
        sku=check_key(draft.sku, "sku", 100),
        gtin=check_gtin(draft.gtin),
        values=values,
        price=check_price(draft.price, currency),
        compare_at=check_compare_at(draft.compare_at, draft.price),
        tax_class=check_tax_class(draft.tax_class),
        tiers=check_tiers(draft.tiers, draft.price),
        weight_grams=_check_range("weight_grams", draft.weight_grams, 0, _MAX_GRAMS),
        parts=_check_parts(draft.parts),
    )


def _check_option_values(name: str, values: Sequence[str]) -> tuple[str, ...]:
    cleaned = tuple(
        clean_line(value, max_length=100, field=f"a value of {name}") for value in values
    )
    _refuse_repeats(f"values of {name}", cleaned)
    return cleaned


def check_title(title: str) -> str:
    return clean_line(title, max_length=300, field="title")


def check_label(text: str | None, field: str, max_length: int) -> str | None:
    if text is None:
        return None
    return clean_line(text, max_length=max_length, field=field, empty=True) or None


def check_key(text: str, field: str, max_length: int) -> str:
    """A key is taken as it is or refused: a cleaned key would be another key."""
    stripped = text.strip()
    if not stripped:
        raise _bad(field, f"{field} must not be empty")
    if len(stripped) > max_length:
        raise _bad(field, f"{field} is longer than {max_length} characters")
    if not stripped.isprintable():
        raise _bad(field, f"{field} holds a character that cannot be printed")
    return stripped


def check_option_names(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > MAX_OPTIONS:
        raise _bad("options", f"a product has at most {MAX_OPTIONS} options")
    cleaned = tuple(
        clean_line(name, max_length=60, field="the name of an option") for name in names
    )
    _refuse_repeats("options", cleaned)
    return cleaned


def check_values(values: Sequence[str], option_count: int) -> tuple[str, ...]:
    if len(values) != option_count:
        raise _bad(
            "values", f"a variant has {len(values)} values, the product {option_count} options"
        )
    return tuple(clean_line(value, max_length=100, field="values") for value in values)


def check_variant_count(count: int) -> None:
    if count == 0:
        raise _bad("variants", "a product needs at least one variant")
    if count > MAX_VARIANTS:
        raise _bad("variants", f"a product has at most {MAX_VARIANTS} variants")


def check_price(price: Money, currency: str) -> Money:
    if price.currency != currency:
        shown = price.currency if _CURRENCY.fullmatch(price.currency) else "no known currency"
        raise _bad("price", f"the price is in {shown}, the shop sells in {currency}")
    if not 0 < price.amount <= _MAX_AMOUNT:
        raise _bad("price", "the price must be above zero and below a thousand million")
    return price


def check_compare_at(compare_at: Money | None, price: Money) -> Money | None:
    if compare_at is None:
        return None
    if compare_at.currency != price.currency:
        raise _bad("compare_at", "compare_at and price are in different currencies")
    if not price.amount < compare_at.amount <= _MAX_AMOUNT:
        raise _bad("compare_at", "compare_at must be above the price")
    return compare_at


def check_tiers(tiers: Sequence[tuple[int, Money]], price: Money) -> tuple[tuple[int, Money], ...]:
    """By quantity; each from two units on and cheaper than the one before."""
    ordered = tuple(sorted(tiers, key=lambda tier: tier[0]))
    if len(ordered) > MAX_TIERS:
        raise _bad("tiers", f"a variant has at most {MAX_TIERS} tiers")
    quantity_before, price_before = 1, price
    for quantity, each in ordered:
        if each.currency != price.currency:
            raise _bad("tiers", "a tier is in another currency than the price")
        if not quantity_before < quantity <= MAX_QUANTITY:
            raise _bad("tiers", "tiers start at two units, each at another quantity")
        if not 0 < each.amount < price_before.amount:
            raise _bad("tiers", "each tier costs less than the one before and than the price")
        quantity_before, price_before = quantity, each
    return ordered


def _check_parts(parts: Sequence[tuple[VariantId, int]]) -> tuple[tuple[VariantId, int], ...]:
    """Whether the parts exist is for the store to say."""
    if len(parts) > MAX_PARTS:
        raise _bad("parts", f"a bundle has at most {MAX_PARTS} parts")
    _refuse_repeats("parts", [variant_id for variant_id, _ in parts])
    for _, quantity in parts:
        _check_range("parts", quantity, 1, _MAX_PART_QUANTITY)
    return tuple(sorted(parts))


def _check_range(field: str, value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        raise _bad(field, f"{field}: a number from {lowest} to {highest}")
    return value


def check_tax_class(tax_class: str) -> str:
    if tax_class not in TAX_CLASSES:
        raise _bad("tax_class", f"tax_class must be one of {', '.join(TAX_CLASSES)}")
    return tax_class


def check_quantity(quantity: int) -> int:
    if not 0 <= quantity <= MAX_QUANTITY:
        raise _bad("quantity", f"a quantity is between 0 and {MAX_QUANTITY}")
    return quantity


def check_gtin(gtin: str | None) -> str | None:
    """GTIN-8, -12, -13 or -14 with its check digit (GS1 General Specifications, 7.9)."""
    if gtin is None or not gtin.strip():
        return None
    digits = gtin.strip().replace("-", "").replace(" ", "")
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdigit()):
        raise _bad("gtin", "a GTIN has 8, 12, 13 or 14 digits")
    weighted = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits[-2::-1])
    )
    if (10 - weighted % 10) % 10 != int(digits[-1]):
        raise _bad("gtin", f"the check digit of the GTIN {digits} is wrong")
    return digits


def check_url(url: str | None, field: str) -> str | None:
    if url is None or not url.strip():
        return None
    stripped = check_key(url, field, 2000)
    try:
        parts = urlsplit(stripped)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web or any(character.isspace() for character in stripped):
        raise _bad(field, f"{field} is not a web address")
    if parts.username is not None or parts.password is not None:
        raise _bad(field, f"{field} holds a user name or password; leave it out")
    return stripped


def clean_html(text: str) -> str:
    """Simple HTML that may stand in any page: no scripts, styles, frames, images or handlers."""
    cleaned = clean_text(text, max_length=_MAX_DESCRIPTION, field="description_html", empty=True)
    return nh3.clean(
        cleaned,
        tags=_TAGS,
        attributes={"a": {"href"}, "td": {"colspan"}, "th": {"colspan"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow",
    )


def _refuse_repeats(field: str, found: Sequence[object]) -> None:
    seen: set[object] = set()
    for item in found:
        if item in seen:
            shown = " / ".join(item) if isinstance(item, tuple) else item
            shown = shown or "no options"
            raise _bad(field, f"{field}: {shown} occurs twice")
        seen.add(item)


def _bad(field: str, detail: str) -> BadProduct:
    return BadProduct(detail, data={"field": field})
