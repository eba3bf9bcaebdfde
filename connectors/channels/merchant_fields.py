"""A listing in the words of the Google product data specification, which Meta's feed shares.

https://support.google.com/merchants/answer/7052112
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.limits import row
from liveshop.connect import FeedLimits, ImageLimit, Listing, Problem, TextLimit, format_price

_OPTIONS = {
    "color": "color",
    "colour": "color",
    "farbe": "color",
    "size": "size",
    "größe": "size",
    "material": "material",
    "pattern": "pattern",
    "muster": "pattern",
}
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""
_NO_END = datetime(2100, 1, 1, tzinfo=UTC)
_NO_START = datetime(2000, 1, 1, tzinfo=UTC)
_EXTRA_IMAGES = row("google.extra_images").value
FETCHED_EVERY_SECONDS = 24 * 3600
"""Google and Meta fetch a feed once a day unless they are told otherwise."""

LIMITS = FeedLimits(
    title=TextLimit(row("google.title").value),
    description=TextLimit(row("google.description").value),
    images=ImageLimit(
        rendition="clean",
        most=1 + _EXTRA_IMAGES,
        max_bytes=2_000_000,
        alt=None,
    ),
    fetched_every_seconds=FETCHED_EVERY_SECONDS,
)


def plain(text: str) -> str:
    """Without what no reader can be sent: control characters and halves of characters."""
    return _FORBIDDEN.sub("", text)


def problems(listing: Listing) -> Sequence[Problem]:
    """What the specification requires and the listing lacks."""
    found = []
    if not listing.images:
        found.append(Problem("images", "It has no picture."))
    if len(listing.link) > row("google.link").value:
        found.append(Problem("link", "Its address is too long."))
    return found


def fields(listing: Listing) -> dict[str, str]:
    """By name, in the order in which feeds write them; empty ones are left out."""
    first, *others = listing.images
    pairs = {
        "id": listing.id,
        "item_group_id": listing.group_id,
        "title": listing.title,
        "description": listing.description or listing.title,
        "link": listing.link,
        "image_link": first.url,
        "additional_image_link": ",".join(one.url for one in others[:_EXTRA_IMAGES]),
        "availability": "in_stock" if listing.is_available else "out_of_stock",
        "price": format_price(listing.price),
        "sale_price": "",
        "sale_price_effective_date": "",
        "brand": listing.brand or "",
        "gtin": listing.gtin or "",
        "mpn": listing.sku,
        "condition": "new",
        "product_type": listing.category or "",
        "identifier_exists": "" if listing.gtin or listing.brand else "no",
    }
    if listing.sale is not None:
        pairs["sale_price"] = format_price(listing.sale.price)
        if listing.sale.starts_at is not None or listing.sale.ends_at is not None:
            starts = listing.sale.starts_at or _NO_START
            ends = listing.sale.ends_at or _NO_END
            pairs["sale_price_effective_date"] = f"{_moment(starts)}/{_moment(ends)}"
    for name, value in listing.options:
        if (known := _OPTIONS.get(name.casefold())) is not None:
            pairs[known] = value
    return {name: plain(value) for name, value in pairs.items() if value}


def _moment(moment: datetime) -> str:
    """ISO 8601; to the minute, as the specification shows it, where that is exact."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}+0000" if utc.second else f"{utc:%Y-%m-%dT%H:%M}+0000"
