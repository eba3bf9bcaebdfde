"""A product feed in Meta's CSV, for a catalog that fetches it on a schedule.

https://www.facebook.com/business/help/120325381656392
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from connectors.channels import merchant_fields
from connectors.limits import row
from liveshop.connect import (
    FeedInfo,
    FeedLimits,
    ImageLimit,
    Kit,
    Listing,
    OAuth,
    Problem,
    Role,
    TextLimit,
)

_COLUMNS = (
    "id",
    "item_group_id",
    "title",
    "description",
    "availability",
    "condition",
    "price",
    "sale_price",
    "sale_price_effective_date",
    "link",
    "image_link",
    "additional_image_link",
    "brand",
    "gtin",
    "mpn",
    "product_type",
    "color",
    "size",
    "material",
    "pattern",
    "quantity_to_sell_on_facebook",
)
_AVAILABILITY = {"in_stock": "in stock", "out_of_stock": "out of stock"}


class Config(msgspec.Struct, frozen=True):
    """Nothing to configure: the address is all that Meta needs."""


class MetaFeed:
    name = "meta_feed"
    title = "Meta catalog feed (CSV)"
    roles: frozenset[Role] = frozenset({"feed"})
    config = Config
    oauth: OAuth | None = None
    file_name = "meta.csv"
    media_type = "text/csv"
    feed_limits = FeedLimits(
        title=TextLimit(row("meta_catalog.title").value),
        description=TextLimit(row("meta_catalog.description").value),
        images=ImageLimit(
            rendition="square", most=1 + row("meta_catalog.extra_images").value, max_bytes=2_000_000
        ),
        fetched_every_seconds=merchant_fields.FETCHED_EVERY_SECONDS,
    )

    @asynccontextmanager
    async def open(self, config: Config, kit: Kit) -> AsyncIterator["MetaFeed"]:
        yield self

    async def diagnose(self) -> Sequence[str]:
        return ()

    def check(self, listing: Listing) -> Sequence[Problem]:
        return merchant_fields.problems(listing)

    def head(self, info: FeedInfo) -> bytes:
        return _line(_COLUMNS)

    def item(self, listing: Listing, *, is_first: bool) -> bytes:
        fields = merchant_fields.fields(listing)
        fields["availability"] = _AVAILABILITY[fields["availability"]]
        fields["quantity_to_sell_on_facebook"] = str(listing.quantity)
        if "sale_price_effective_date" in fields:
            # Meta writes the zone with a colon where Google has none.
            dates = fields["sale_price_effective_date"]
            fields["sale_price_effective_date"] = dates.replace("+0000", "+00:00")
        return _line([fields.get(column, "") for column in _COLUMNS])

    def tail(self) -> bytes:
        return b""


def _line(values: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(
        [value.replace("\x00", "") for value in values]
    )
    return buffer.getvalue().encode()
