"""A row of a source, checked and cleaned, with the digests that tell whether it says anything new.

The digest is of the cleaned facts, so another way of writing the same thing changes nothing.
"""

import hashlib
from dataclasses import dataclass

import msgspec

from liveshop.catalog.checks import (
    check_compare_at,
    check_gtin,
    check_key,
    check_label,
    check_option_names,
    check_price,
    check_quantity,
    check_tax_class,
    check_title,
    check_url,
    check_values,
    check_variant_count,
    clean_html,
)
from liveshop.catalog.model import MAX_PICTURES, BadProduct
from liveshop.connect import SourceRow, SourceVariant
from liveshop.kernel.money import Money

_RULES = 1  # of cleaning; a new number makes every product look changed once


@dataclass(frozen=True, slots=True)
class Facts:
    title: str
    description_html: str
    brand: str | None
    category: str | None
    url: str | None
    gallery: tuple[str, ...]
    is_active: bool
    option_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VariantFacts:
    source_id: str
    sku: str
    gtin: str | None
    values: tuple[str, ...]
    price: Money
    compare_at: Money | None
    tax_class: str
    picture_url: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row that keeps the rules."""

    line: int
    source_id: str
    facts: Facts
    digest: str
    variants: tuple[tuple[VariantFacts, str, int | None], ...]
    """Facts, their digest, quantity."""
    is_whole: bool


def prepare(row: SourceRow, currency: str) -> Prepared:
    """Raises BadProduct or BadText, in words for the row's problem."""
    given = row.product
    option_names = check_option_names(given.option_names)
    check_variant_count(len(given.variants))
    variants = tuple(
        _prepare_variant(variant, len(option_names), currency) for variant in given.variants
    )
    if len({facts.source_id for facts, _, _ in variants}) < len(variants):
        raise BadProduct("two variants of the product have the same source_id")
    if len({facts.values for facts, _, _ in variants}) < len(variants):
        raise BadProduct("two variants of the product have the same option values")
    urls = [check_url(url, "image") for url in given.image_urls[:MAX_PICTURES]]
    facts = Facts(
        title=check_title(given.title),
        description_html=clean_html(given.description_html),
        brand=check_label(given.brand, "brand", 200),
        category=check_label(given.category, "category", 500),
        url=check_url(given.url, "url"),
        gallery=tuple(dict.fromkeys(url for url in urls if url)),
        is_active=given.is_active,
        option_names=option_names,
    )
    return Prepared(
        line=row.line,
        source_id=check_key(given.source_id, "source_id", 200),
        facts=facts,
        digest=_digest(facts),
        variants=variants,
        is_whole=given.is_whole,
    )


def _prepare_variant(
    given: SourceVariant, option_count: int, currency: str
) -> tuple[VariantFacts, str, int | None]:
    price = check_price(given.price, currency)
    facts = VariantFacts(
        source_id=check_key(given.source_id, "id", 200),
        sku=check_key(given.sku, "sku", 200),
        gtin=check_gtin(given.gtin),
        values=check_values(given.values, option_count),
        price=price,
        compare_at=check_compare_at(given.compare_at, price),
        tax_class=check_tax_class(given.tax_class),
        picture_url=check_url(given.image_url, "image"),
    )
    quantity = None if given.quantity is None else check_quantity(given.quantity)
    return facts, _digest(facts), quantity


def _digest(facts: Facts | VariantFacts) -> str:
    encoded = msgspec.json.encode((_RULES, facts))
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def picture_key(url: str) -> str:
    """How a product names the picture of an address."""
    return hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
