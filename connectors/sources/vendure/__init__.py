"""Vendure: products, prices and stock by its Admin API; orders back as paid draft orders.

Verified with Vendure 3.7. Its changes are found by `updatedAt` of products and variants, and by the
orders placed since, for selling something there changes neither.
"""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from connectors.sources.vendure import reading
from connectors.sources.vendure.api import Account, AdminApi, Place, Refused
from connectors.sources.vendure.ordering import Ordering
from connectors.sources.vendure.reading import Reading, Shop
from liveshop.connect import (
    Accepted,
    Kit,
    NeedsAttention,
    Role,
    Secret,
    SourceOrder,
    SourcePage,
    StockWrite,
    Verdict,
)
from liveshop.connect import Refused as RefusedWrite

_T = TypeVar("_T")
_OVERLAP = timedelta(minutes=2)
"""Read again with each look for changes: what was written before it but committed after it."""
_IDS_AT_ONCE = 500
_VARIANTS_AT_ONCE = 100
_NEEDED = {
    "ReadCatalog": ("ReadCatalog", "ReadProduct"),
    "ReadStockLocation": (),
    "ReadOrder": (),
    "CreateOrder": (),
    "UpdateOrder": (),
    "DeleteOrder": (),
    "ReadCustomer": (),
    "ReadShippingMethod": ("ReadSettings", "ReadShippingMethod"),
    "ReadPromotion": (),
    "CreatePromotion": (),
    "DeletePromotion": (),
}
"""Permissions of the account, and what stands for one; UpdateCatalog where stock is written."""
_CHANNEL = """
query {
  activeChannel { token defaultCurrencyCode }
  shippingMethods(options: { take: 100 }) { items { code } }
}
"""
_GRANTED = "query { me { channels { token permissions } } }"
_READABLE = """
query {
  products(options: { take: 1 }) { totalItems }
  stockLocations(options: { take: 1 }) { totalItems }
  orders(options: { take: 1 }) { totalItems }
  customers(options: { take: 1 }) { totalItems }
  promotions(options: { take: 1 }) { totalItems }
}
"""
_WRITE_STOCK = """
mutation($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id } }
"""


class VendureConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    api_url: Annotated[
        str,
        msgspec.Meta(
            title="Address of the Admin API",
            description="Such as https://vendure.example/admin-api",
            pattern="^https?://",
        ),
    ]
    api_key: Annotated[
        Secret,
        msgspec.Meta(
            title="API key", description="From Vendure 3.6 on; or else a user name and a password"
        ),
    ] = Secret("")
    username: Annotated[str, msgspec.Meta(title="User name")] = ""
    password: Annotated[Secret, msgspec.Meta(title="Password")] = Secret("")
    channel_token: Annotated[
        str,
        msgspec.Meta(title="Channel token", description="Empty for the default channel"),
    ] = ""
    language: Annotated[
        str,
        msgspec.Meta(title="Language", description="Of texts, such as de; empty for the channel's"),
    ] = ""
    prices: Annotated[
        Literal["with_tax", "without_tax"],
        msgspec.Meta(title="Prices", description="As the prices of this shop are"),
    ] = "with_tax"
    product_url: Annotated[
        str,
        msgspec.Meta(
            title="Address of a product",
            description="In the storefront, such as https://shop.example/product/{slug}",
        ),
    ] = ""
    shipping_method: Annotated[
        str,
        msgspec.Meta(
            title="Shipping method",
            description="Its code, for orders; empty for the one that costs what was paid",
        ),
    ] = ""
    brand_facet: Annotated[
        str, msgspec.Meta(title="Facet with the brand", description="Its code")
    ] = "brand"
    category_facet: Annotated[
        str, msgspec.Meta(title="Facet with the category", description="Its code")
    ] = "category"
    gtin_field: Annotated[
        str,
        msgspec.Meta(
            title="Field with the GTIN",
            description="A custom field of variants; empty where there is none",
            pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        ),
    ] = ""
    untracked_quantity: Annotated[
        int,
        msgspec.Meta(
            title="Units where Vendure counts none",
            description="How many of a product without tracked inventory can be sold here; "
            "0: set the stock by hand",
            ge=0,
        ),
    ] = 0
    page_size: Annotated[int, msgspec.Meta(title="Products in one request", ge=2, le=1000)] = 50


class VendureSource:
    """A Source and OrderTarget."""

    def __init__(self, config: VendureConfig, kit: Kit) -> None:
        params = {"languageCode": config.language} if config.language else {}
        account = Account(config.api_key, config.username, config.password, config.channel_token)
        self._api = AdminApi(kit, config.api_url, account, params=params)
        self._kit = kit
        self._config = config
        self._products = reading.products_query(config.gtin_field)
        self._reading = Reading(
            base_url=config.api_url,
            prices=config.prices,
            product_url=config.product_url,
            brand_facet=config.brand_facet,
            category_facet=config.category_facet,
            untracked_quantity=config.untracked_quantity,
        )
        self._ordering = Ordering(self._api, kit, method=config.shipping_method)

    # Reading

    async def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        start: dict[str, Any] = json.loads(cursor) if cursor else {"skip": 0, "tail": []}
        mark: str | None = start.get("mark")
        walk = self._api.walk(
            "products",
            self._products,
            take=self._config.page_size,
            place=Place(start["skip"], tuple(start["tail"])),
        )
        with _explained():
            async for data, items, place in walk:
                # Of the first page: what changes while the others are read, changes after it.
                mark = mark or self._now()
                rows = self._rows(data, items)
                if place is None:
                    yield SourcePage(rows, mark=mark)
                    return
                on = {"skip": place.skip, "tail": list(place.tail), "mark": mark}
                yield SourcePage(rows, cursor=json.dumps(on))

    async def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        since = (datetime.fromisoformat(mark) - _OVERLAP).isoformat()
        after = {"updatedAt": {"after": since}}
        with _explained():
            found: dict[str, None] = {}
            next_mark = None
            lists = (
                ("products", reading.PRODUCT_IDS, after),
                ("productVariants", reading.CHANGED_VARIANTS, after),
                ("orders", reading.SOLD_VARIANTS, after | {"orderPlacedAt": {"isNull": False}}),
            )
            for name, document, where in lists:
                take = _IDS_AT_ONCE if name != "orders" else _VARIANTS_AT_ONCE
                async for _, items, _ in self._api.walk(name, document, where=where, take=take):
                    next_mark = next_mark or self._now()
                    found.update(dict.fromkeys(_product_ids(name, items)))
            for ids in _batches(found, self._config.page_size):
                data = await self._of_ids(self._products, ids)
                yield SourcePage(self._rows(data, data["products"]["items"]))
            yield SourcePage((), mark=next_mark)

    async def product_ids(self) -> AsyncIterator[Sequence[str]]:
        with _explained():
            walk = self._api.walk("products", reading.PRODUCT_IDS, take=_IDS_AT_ONCE)
            async for _, items, _ in walk:
                yield [item["id"] for item in items]

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        found = dict.fromkeys(source_ids, 0)
        with _explained():
            for ids in _batches(source_ids, _VARIANTS_AT_ONCE):
                data = await self._of_ids(reading.STOCK_OF_VARIANTS, ids)
                shop = Shop.of(data)
                for variant in data["productVariants"]["items"]:
                    quantity = shop.saleable(variant)
                    if quantity is None:
                        quantity = self._config.untracked_quantity or None
                    if quantity is None:
                        del found[variant["id"]]
                    else:
                        found[variant["id"]] = quantity
        return found

    # Writing

    async def place_order(self, order: SourceOrder) -> str:
        with _explained():
            return await self._ordering.place(order)

    async def cancel_order(self, reference: str, *, reason: str) -> None:
        with _explained():
            await self._ordering.cancel(reference, reason=reason)

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Verdict]:
        """Vendure has no compare-and-set: between our look and our write lie some milliseconds."""
        verdicts: list[Verdict] = []
        with _explained():
            for part in _batches(writes, _VARIANTS_AT_ONCE):
                data = await self._of_ids(
                    reading.STOCK_OF_VARIANTS, [write.source_id for write in part]
                )
                verdicts += await self._write(data, part)
        return verdicts

    async def _write(self, data: Any, writes: Sequence[StockWrite]) -> list[Verdict]:
        shop = Shop.of(data)
        variants = {one["id"]: one for one in data["productVariants"]["items"]}
        verdicts: list[Verdict] = []
        changes: list[dict[str, Any]] = []
        for write in writes:
            change = _stock_change(shop, variants.get(write.source_id), write)
            if isinstance(change, str):
                verdicts.append(RefusedWrite(write.source_id, change))
            else:
                changes.append(change)
                verdicts.append(Accepted(write.source_id))
        if changes:
            await self._api.change(_WRITE_STOCK, input=changes)
        return verdicts

    # Health

    async def diagnose(self) -> Iterable[str]:
        config = self._config
        if not (config.api_key or (config.username and config.password)):
            return ["An API key is missing, or else a user name and a password."]
        try:
            with _explained():
                data = await self._api.ask(_CHANNEL)
                lacking = await self._lacking(data["activeChannel"]["token"])
        except NeedsAttention as error:
            return [error.detail]
        missing: list[str] = []
        if lacking:
            missing.append(
                f"The role of the account lacks permissions on this channel: {', '.join(lacking)}."
            )
        codes = [one["code"] for one in data["shippingMethods"]["items"]]
        if config.shipping_method and config.shipping_method not in codes:
            missing.append(
                f"Vendure has no shipping method {config.shipping_method} on this channel; there "
                f"are: {', '.join(codes) or 'none'}."
            )
        elif not codes:
            missing.append("Vendure has no shipping method on this channel: orders need one.")
        return missing

    async def _lacking(self, channel_token: str) -> list[str]:
        """Permissions that are missing. Vendure does not tell those of an API key; with one, what
        has to be read is read."""
        if self._api.has_key:
            await self._api.ask(_READABLE)
            return []
        channels = (await self._api.ask(_GRANTED))["me"]["channels"]
        granted = {
            permission
            for channel in channels
            if channel["token"] == channel_token
            for permission in channel["permissions"]
        }
        return [one for one, others in _NEEDED.items() if granted.isdisjoint({one, *others})]

    # Helpers

    def _rows(self, data: Any, items: Sequence[Any]) -> list[Any]:
        shop = Shop.of(data)
        return [self._reading.row(item, shop) for item in items]

    async def _of_ids(self, document: str, ids: Sequence[str]) -> Any:
        options = {"filter": {"id": {"in": list(ids)}}, "take": len(ids)}
        return await self._api.ask(document, options=options)

    def _now(self) -> str:
        return (self._api.answered_at or self._kit.clock.now()).astimezone(UTC).isoformat()


class Vendure:
    name = "vendure"
    title = "Vendure"
    roles: frozenset[Role] = frozenset({"source"})
    config = VendureConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: VendureConfig, kit: Kit) -> AsyncIterator[VendureSource]:
        yield VendureSource(config, kit)


@contextmanager
def _explained() -> Iterator[None]:
    """What Vendure refuses where nothing can be left out needs a person."""
    try:
        yield
    except Refused as error:
        raise error.for_merchant() from None


def _product_ids(name: str, items: Iterable[Any]) -> Iterator[str]:
    for item in items:
        if name == "products":
            yield item["id"]
        elif name == "productVariants":
            yield item["productId"]
        else:
            yield from (line["productVariant"]["productId"] for line in item["lines"])


def _stock_change(
    shop: Shop, variant: Mapping[str, Any] | None, write: StockWrite
) -> dict[str, Any] | str:
    """The change to make, or why there is none."""
    if variant is None:
        return "Vendure has no such variant any more."
    saleable = shop.saleable(variant)
    if saleable is None:
        return "Vendure does not count the stock of it."
    if write.expected is not None and saleable != write.expected:
        return f"Vendure has {saleable} of it now, and {write.expected} were expected."
    here = [one for one in variant["stockLevels"] if one["stockLocationId"] in shop.location_ids]
    if not here:
        return "It lies at no stock location of this channel."
    # By what is there, which may be less than nothing, not by what can be sold.
    more = write.quantity + shop.threshold_of(variant) - shop.in_stock(variant)
    level = max(here, key=lambda one: int(one["stockOnHand"]))
    if level["stockOnHand"] + more < 0:
        return "Its stock is spread over several locations; change it there."
    given = {
        "stockLocationId": level["stockLocationId"],
        "stockOnHand": level["stockOnHand"] + more,
    }
    return {"id": variant["id"], "stockLevels": [given]}


def _batches(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(things)
    while batch := list(islice(rest, size)):
        yield batch
