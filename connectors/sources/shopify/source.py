"""The connector: products, changes, stock and orders of one Shopify shop.

Changes are found by `updated_at` in Shopify's search, which lags behind. So a run's mark is the
time by Shopify's clock when the run began, and the next run looks from a little before it: some
products come twice and none is missed.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.limits import row
from connectors.sources.shopify.admin import Admin, ShopifyConfig, TooCostly
from connectors.sources.shopify.orders import Orders
from connectors.sources.shopify.products import quantity_of, row_of
from connectors.sources.shopify.queries import (
    INSTALLATION,
    LOCATION,
    LOCATIONS,
    PRODUCT_IDS,
    Queries,
)
from connectors.sources.shopify.stock import set_quantities
from liveshop.connect import (
    Accepted,
    BadRow,
    Kit,
    NeedsAttention,
    Refused,
    Role,
    SourceOrder,
    SourcePage,
    SourceRow,
    StockWrite,
    Verdict,
)

_PAGE = row("shopify.page")
_PRODUCTS_AT_ONCE = 25
_VARIANTS_AT_ONCE = 50
_STOCK_AT_ONCE = 100
_OVERLAP = timedelta(minutes=2)
_SCOPES = {
    "read_products": "to read products",
    "read_inventory": "to read stock",
    "write_inventory": "to write stock",
    "read_locations": "to find the location of the stock",
    "read_orders": "to find orders that were sent already",
    "write_orders": "to send and cancel orders",
}


class Shopify:
    name = "shopify"
    title = "Shopify"
    roles: frozenset[Role] = frozenset({"source"})
    config = ShopifyConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: ShopifyConfig, kit: Kit) -> AsyncIterator["ShopifySource"]:
        yield ShopifySource(config, kit)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a walk through the products stands: after which id, and the mark it will end with."""

    after: int
    mark: str | None

    def __str__(self) -> str:
        return f"{self.after}|{self.mark}"

    @classmethod
    def of(cls, cursor: str | None) -> "_Place":
        """The beginning, for no cursor and for one that is none of ours."""
        after, _, mark = (cursor or "").partition("|")
        return cls(int(after), mark) if after.isdecimal() and mark else cls(0, None)


class ShopifySource:
    """A `Source` and an `OrderTarget`."""

    def __init__(self, config: ShopifyConfig, kit: Kit) -> None:
        self._config = config
        self._kit = kit
        self._admin = Admin(config, kit)
        self._orders = Orders(self._admin, kit)
        self._chosen = _gid("Location", config.location_id) if config.location_id.strip() else None
        self._only: str | None = None
        self._queries = Queries(at_location=self._chosen is not None)
        self._at_location = {"location": self._chosen} if self._chosen is not None else {}

    # Products

    async def products(self, cursor: str | None = None) -> AsyncIterator[SourcePage]:
        async for page in self._walk(cursor, None):
            yield page

    async def changes(self, mark: str) -> AsyncIterator[SourcePage]:
        async for page in self._walk(None, _updated_since(mark)):
            yield page

    async def _walk(self, cursor: str | None, only: str | None) -> AsyncIterator[SourcePage]:
        place = _Place.of(cursor)
        first = min(_PRODUCTS_AT_ONCE, self._kit.limit(_PAGE))
        number = 0
        while True:
            try:
                data = await self._admin.ask(
                    self._queries.products,
                    {
                        "first": first,
                        "query": _filter(place.after, only),
                        "variants": min(_VARIANTS_AT_ONCE, self._kit.limit(_PAGE)),
                        **self._at_location,
                    },
                )
            except TooCostly:
                if first == 1:
                    raise
                first //= 2
                continue
            mark = place.mark or (self._admin.server_time or self._kit.clock.now()).isoformat()
            rows: list[SourceRow | BadRow] = []
            nodes = data["products"]["nodes"]
            for node in nodes:
                number += 1
                variants = await self._all_variants(node)
                rows.append(row_of(number, node, variants, data["shop"]["currencyCode"]))
            if not nodes or not data["products"]["pageInfo"]["hasNextPage"]:
                yield SourcePage(rows, mark=mark)
                return
            place = _Place(_number(nodes[-1]["id"]), mark)
            yield SourcePage(rows, cursor=str(place))

    async def _all_variants(self, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        page = node["variants"]
        variants = list(page["nodes"])
        while page["pageInfo"]["hasNextPage"]:
            product = (
                await self._admin.ask(
                    self._queries.variants,
                    {
                        "id": node["id"],
                        "first": min(_VARIANTS_AT_ONCE, self._kit.limit(_PAGE)),
                        "after": page["pageInfo"]["endCursor"],
                        **self._at_location,
                    },
                )
            )["product"]
            if product is None:  # deleted meanwhile; the next look at the ids will tell
                break
            page = product["variants"]
            variants += page["nodes"]
        return variants

    async def product_ids(self) -> AsyncIterator[Sequence[str]]:
        after = 0
        while True:
            data = await self._admin.ask(
                PRODUCT_IDS, {"first": self._kit.limit(_PAGE), "query": _filter(after, None)}
            )
            ids = [str(node["id"]) for node in data["products"]["nodes"]]
            if ids:
                yield ids
                after = _number(ids[-1])
            if not ids or not data["products"]["pageInfo"]["hasNextPage"]:
                return

    # Stock

    async def quantities(self, source_ids: Collection[str]) -> Mapping[str, int]:
        counted = {
            id_: quantity_of(node) for id_, node in (await self._variants(source_ids)).items()
        }
        return {id_: quantity for id_, quantity in counted.items() if quantity is not None}

    async def write_stock(self, writes: Sequence[StockWrite]) -> Sequence[Verdict]:
        location = self._chosen or await self._only_location()
        verdicts: dict[str, Verdict] = {}
        for batch in _batches(list(writes), self._kit.limit(_PAGE)):
            variants = await self._variants([write.source_id for write in batch])
            verdicts |= await set_quantities(self._admin, location, batch, variants)
        refused = [write for write in writes if isinstance(verdicts[write.source_id], Refused)]
        # After a time-out the first try may have set it: what is there already is no conflict.
        present = await self.quantities([write.source_id for write in refused]) if refused else {}
        for write in refused:
            if present.get(write.source_id) == write.quantity:
                verdicts[write.source_id] = Accepted(write.source_id)
        return [verdicts[write.source_id] for write in writes]

    async def _variants(self, source_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """What there is of these variants, by id."""
        known = [id_ for id_ in dict.fromkeys(source_ids) if _is_gid("ProductVariant", id_)]
        found: dict[str, Mapping[str, Any]] = {}
        for batch in _batches(known, min(_STOCK_AT_ONCE, self._kit.limit(_PAGE))):
            data = await self._admin.ask(self._queries.stock, {"ids": batch, **self._at_location})
            found |= {str(node["id"]): node for node in data["nodes"] if node is not None}
        return found

    async def _only_location(self) -> str:
        if self._only is None:
            nodes = (await self._admin.ask(LOCATIONS, {}))["locations"]["nodes"]
            if len(nodes) != 1:
                raise NeedsAttention(
                    "The shop has several locations, or none. Enter in the connection the location "
                    "whose stock is to be written."
                )
            self._only = str(nodes[0]["id"])
        return self._only

    # Orders

    async def place_order(self, order: SourceOrder) -> str:
        return await self._orders.place(order)

    async def cancel_order(self, reference: str, *, reason: str) -> None:
        await self._orders.cancel(reference, reason)

    # Diagnosis

    async def diagnose(self) -> list[str]:
        data = await self._admin.ask(INSTALLATION, {})
        granted = {one["handle"] for one in data["currentAppInstallation"]["accessScopes"]}
        # Writing includes reading.
        granted |= {name.replace("write_", "read_", 1) for name in granted}
        missing = [
            f"The app lacks the access scope {scope} {purpose}. Add it in Shopify and install the "
            "app again."
            for scope, purpose in _SCOPES.items()
            if scope not in granted
        ]
        served = self._admin.version_served
        if served is not None and served != self._config.api_version:
            missing.append(
                f"Shopify no longer has version {self._config.api_version} of its API and answers "
                f"by {served}. Set a newer one in the connection."
            )
        if self._chosen is not None and "read_locations" in granted:
            location = (await self._admin.ask(LOCATION, {"id": self._chosen}))["location"]
            if location is None or not location["isActive"]:
                missing.append("The location is not one of the shop, or is not active there.")
        return missing


def _updated_since(mark: str) -> str | None:
    """None for a mark that another version wrote: everything is then read again."""
    try:
        since = datetime.fromisoformat(mark) - _OVERLAP
    except ValueError:
        return None
    return f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def _filter(after: int, only: str | None) -> str | None:
    parts = [f"id:>{after}" if after else "", only or ""]
    return " AND ".join(part for part in parts if part) or None


def _batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _gid(kind: str, id_: str) -> str:
    """`4711` -> `gid://shopify/Location/4711`."""
    id_ = id_.strip()
    return id_ if id_.startswith("gid://") else f"gid://shopify/{kind}/{id_}"


def _is_gid(kind: str, id_: str) -> bool:
    prefix = f"gid://shopify/{kind}/"
    return id_.startswith(prefix) and id_.removeprefix(prefix).isdecimal()


def _number(gid: str) -> int:
    return int(gid.rpartition("/")[2])
