"""A product feed as JSON, for a storefront, an app or anybody's own programs.

One object with `shop` and `items`; amounts are whole minor units, times are RFC 3339.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from connectors.channels import merchant_fields
from liveshop.connect import FeedInfo, FeedLimits, Kit, Listing, OAuth, Problem, Role, TextLimit
from liveshop.kernel.clock import rfc3339
from liveshop.kernel.money import Money


class Config(msgspec.Struct, frozen=True):
    """Nothing to configure."""


class JsonFeed:
    name = "json_feed"
    title = "JSON feed"
    roles: frozenset[Role] = frozenset({"feed"})
    config = Config
    oauth: OAuth | None = None
    file_name = "products.json"
    media_type = "application/json"
    feed_limits: FeedLimits = replace(
        merchant_fields.LIMITS,
        images=replace(merchant_fields.LIMITS.images, alt=TextLimit(500)),
    )

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["JsonFeed"]:
        yield self

    async def diagnose(self) -> Sequence[str]:
        return ()

    def check(self, listing: Listing) -> Sequence[Problem]:
        return ()

    def head(self, info: FeedInfo) -> bytes:
        shop = {"title": info.title, "link": info.link, "language": info.language}
        return b'{"shop":' + msgspec.json.encode(shop) + b',"items":['

    def item(self, listing: Listing, *, is_first: bool) -> bytes:
        separator = b"\n" if is_first else b",\n"
        return separator + msgspec.json.encode(_item(listing))

    def tail(self) -> bytes:
        return b"\n]}\n"


def _item(listing: Listing) -> dict[str, Any]:
    sale = listing.sale
    return {
        "id": listing.id,
        "group_id": listing.group_id,
        "sku": listing.sku,
        "gtin": listing.gtin,
        "title": merchant_fields.plain(listing.title),
        "description": merchant_fields.plain(listing.description),
        "brand": listing.brand,
        "category": listing.category,
        "link": listing.link,
        "options": [{"name": name, "value": value} for name, value in listing.options],
        "images": [
            {"url": one.url, "alt": one.alt, "width": one.width, "height": one.height}
            for one in listing.images
        ],
        "price": _money(listing.price),
        "sale": None
        if sale is None
        else {
            "price": _money(sale.price),
            "starts_at": None if sale.starts_at is None else rfc3339(sale.starts_at),
            "ends_at": None if sale.ends_at is None else rfc3339(sale.ends_at),
        },
        "lowest_30_days": None
        if listing.lowest_30_days is None
        else _money(listing.lowest_30_days),
        "is_available": listing.is_available,
        "quantity": listing.quantity,
    }


def _money(money: Money) -> dict[str, Any]:
    return {"amount": money.amount, "currency": money.currency}
