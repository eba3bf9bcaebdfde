"""A listing in the words of `items_batch`, and what Meta tells of an item in our words.

`items_batch` takes the names of Meta's product feeds (`title`, `image_link`), reading gives those
of the node (`name`, `image_url`): developers.facebook.com, "Migrate to the /items_batch Endpoint".
Prices go out as `49.90 EUR` and come back as people read them, `€49.90`, beside their currency.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from liveshop.connect import Listing, Seen, format_price, minor_digits
from liveshop.kernel.money import Money

FIELDS = (
    "id,retailer_id,name,description,url,price,sale_price,currency,sale_price_start_date,"
    "sale_price_end_date,availability,visibility,review_status,review_rejection_reasons,"
    "image_fetch_status"
)
"""What to ask for so that `seen` has all it reads."""

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
_FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
"""An effective date has two ends; an open one goes this far."""
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
_NUMBER = re.compile(r"\d[\d.,' \u00a0\u202f]*")


def item_of(listing: Listing, *, condition: str) -> dict[str, Any]:
    """The `data` of an UPDATE. What is left out stays as it was on the channel; so all but the
    options is there, empty if need be."""
    first, *others = [image.url for image in listing.images] or [""]
    sale = listing.sale
    item: dict[str, Any] = {
        "id": listing.id,
        "item_group_id": listing.group_id,
        "title": listing.title,
        "description": listing.description or listing.title,
        "availability": _availability(listing),
        "condition": condition,
        "price": format_price(listing.price),
        "sale_price": format_price(sale.price) if sale else "",
        "sale_price_effective_date": "/".join(_effective(listing)),
        "link": listing.link,
        "image_link": first,
        "additional_image_link": others,
        "brand": listing.brand or "",
        "gtin": listing.gtin or "",
        "mpn": listing.sku,
        "product_type": listing.category or "",
        "quantity_to_sell_on_facebook": listing.quantity if listing.is_available else 0,
        "visibility": "published" if listing.is_visible else "staging",
    }
    more = []
    for name, value in listing.options:
        if (known := _OPTIONS.get(name.casefold())) is not None:
            item[known] = value
        else:
            more.append(f"{_bare(name)}:{_bare(value)}")
    if more:
        item["additional_variant_attribute"] = ",".join(more)
    return item


def shown_as(listing: Listing) -> dict[str, str]:
    """What people shall see, by the names that `seen` uses too."""
    starts, ends = _effective(listing) or ("", "")
    return {
        "title": _text(listing.title),
        "description": _text(listing.description or listing.title),
        "price": format_price(listing.price),
        "sale_price": format_price(listing.sale.price) if listing.sale else "",
        "sale_starts": starts,
        "sale_ends": ends,
        "availability": _availability(listing),
        "link": listing.link,
    }


def seen(item: Mapping[str, Any]) -> Seen:
    """One of the catalog's products, read with `FIELDS`."""
    has_sale = bool(item.get("sale_price"))
    currency = str(item.get("currency", ""))
    shown = {
        "title": _text(item.get("name", "")),
        "description": _text(item.get("description", "")),
        "price": price_as_sent(item.get("price", ""), currency),
        "sale_price": price_as_sent(item["sale_price"], currency) if has_sale else "",
        "sale_starts": _as_sent(item.get("sale_price_start_date")) if has_sale else "",
        "sale_ends": _as_sent(item.get("sale_price_end_date")) if has_sale else "",
        "availability": str(item.get("availability", "")),
        "link": str(item.get("url", "")),
    }
    id_, remote_id = str(item["retailer_id"]), str(item["id"])
    if item.get("visibility") == "staging":
        return Seen(id_, remote_id, status="hidden", shown=shown)
    review = item.get("review_status")
    if review == "rejected":
        reasons = [str(one) for one in item.get("review_rejection_reasons") or ()]
        told = ", ".join(reasons) or "Meta gives no reason; the Commerce Manager may"
        return Seen(id_, remote_id, status="rejected", reason=f"Rejected: {told}.", shown=shown)
    if item.get("image_fetch_status") == "FETCH_FAILED":
        reason = "Meta cannot load the picture. It must be open to anybody on the internet."
        return Seen(id_, remote_id, status="rejected", reason=reason, shown=shown)
    if review in {"pending", "outdated"}:
        return Seen(id_, remote_id, status="in_review", shown=shown)
    return Seen(id_, remote_id, shown=shown)


def price_as_sent(text: object, currency: str) -> str:
    """`€1,299.00` or `1.299,00 €` -> `1299.00 EUR`. What cannot be read stays as it is, so that
    it differs from ours and somebody looks."""
    found = _NUMBER.search(str(text))
    if found is None or len(currency) != 3:
        return str(text)
    number = found[0].rstrip(" \u00a0\u202f.,'")
    digits = minor_digits(currency)
    whole, mark, fraction = _parted(number)
    if mark and digits and len(fraction) == digits:
        amount = int(_only_digits(whole) + fraction)
    else:  # no decimals told: all marks are between thousands
        amount = int(_only_digits(number)) * 10**digits
    return format_price(Money(amount, currency))


def _parted(number: str) -> tuple[str, str, str]:
    last = max(number.rfind("."), number.rfind(","))
    return (number[:last], number[last], number[last + 1 :]) if last >= 0 else (number, "", "")


def _only_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _availability(listing: Listing) -> str:
    return "in stock" if listing.is_available else "out of stock"


def _effective(listing: Listing) -> Sequence[str]:
    """Both ends of the sale, or nothing where it is open at both."""
    sale = listing.sale
    if sale is None or (sale.starts_at is None and sale.ends_at is None):
        return ()
    return (_moment(sale.starts_at or _ALWAYS), _moment(sale.ends_at or _FOREVER))


def _moment(moment: datetime) -> str:
    """`2026-11-21T19:00+00:00`, as Meta's examples have it; seconds only where there are some."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="seconds" if utc.second else "minutes")


def _as_sent(text: object) -> str:
    if not isinstance(text, str) or not text:
        return ""
    try:
        return _moment(datetime.fromisoformat(text))
    except ValueError:
        return text


def _text(text: object) -> str:
    return " ".join(str(text).split())


def _bare(text: str) -> str:
    """Without the marks that the attribute is written with."""
    return _text(text.replace(":", " ").replace(",", " "))
