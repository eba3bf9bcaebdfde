"""Listings in a Meta catalog, which feeds the shops on Facebook and Instagram, and ads.

Sent by `items_batch` (see `batches`), read back from the catalog's products.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import msgspec

from connectors.channels.meta import items
from connectors.channels.meta.batches import Batches, Entry, entry
from connectors.channels.meta.errors import NotThere
from connectors.channels.meta.graph import (
    OFFICIAL_URL,
    UNPROVEN,
    VERSION,
    AccessToken,
    ApiUrl,
    ApiVersion,
    AppSecret,
    Graph,
)
from connectors.limits import row
from liveshop.connect import (
    Accepted,
    ImageLimit,
    Kit,
    Listing,
    ListingLimits,
    Problem,
    Refused,
    Role,
    Secret,
    Seen,
    TextLimit,
    Verdict,
)

_BATCH = row("meta_catalog.batch")
_BATCHES_PER_MINUTE = row("meta_catalog.batches_per_minute")
_TITLE = row("meta_catalog.title")
_DESCRIPTION = row("meta_catalog.description")
_IMAGE_BYTES = row("meta_catalog.image_bytes")
_IMAGE_SIDE = row("meta_catalog.image_side_least")
_EXTRA_IMAGES = row("meta_catalog.extra_images")
_ID = row("meta_catalog.id")
_LINK = row("meta_catalog.link")
_PERMISSIONS = ("catalog_management",)
_READ_BATCH = 100
"""Ours: so many ids still make an address of ordinary length."""


class CatalogConfig(msgspec.Struct, frozen=True, kw_only=True):
    catalog_id: Annotated[
        str,
        msgspec.Meta(
            title="Catalog id",
            description="The number of the catalog: Commerce Manager, Settings.",
            pattern=r"^\d{1,30}$",
        ),
    ]
    access_token: AccessToken
    condition: Annotated[
        Literal["new", "refurbished", "used"],
        msgspec.Meta(title="Condition of the goods"),
    ] = "new"
    app_secret: AppSecret = Secret("")
    version: ApiVersion = VERSION
    api_url: ApiUrl = OFFICIAL_URL


class MetaCatalog:
    name = "meta_catalog"
    title = "Meta catalog"
    roles: frozenset[Role] = frozenset({"channel"})
    config = CatalogConfig
    oauth = None

    @asynccontextmanager
    async def open(self, config: CatalogConfig, kit: Kit) -> AsyncIterator["CatalogChannel"]:
        channel = CatalogChannel(config, kit)
        try:
            yield channel
        finally:
            await channel.close()


class CatalogChannel:
    """A `Channel` for one catalog."""

    def __init__(self, config: CatalogConfig, kit: Kit) -> None:
        self._config = config
        self._kit = kit
        self._graph = Graph(config, kit, permissions=_PERMISSIONS)
        self._limits = ListingLimits(
            batch=kit.limit(_BATCH),
            read_batch=_READ_BATCH,
            title=TextLimit(kit.limit(_TITLE)),
            description=TextLimit(kit.limit(_DESCRIPTION)),
            images=ImageLimit(
                "clean", most=1 + kit.limit(_EXTRA_IMAGES), max_bytes=kit.limit(_IMAGE_BYTES)
            ),
            can_hide=True,
            can_schedule_sales=True,
            requests_per_batch=2,  # the batch, and at least one look at its handle
            requests_per_minute=kit.limit(_BATCHES_PER_MINUTE),
        )
        self._batches = Batches(self._graph, config.catalog_id, kit)

    @property
    def listing_limits(self) -> ListingLimits:
        return self._limits

    def check(self, listing: Listing) -> Sequence[Problem]:
        found: list[Problem] = []
        if not listing.title.strip():
            found.append(Problem("title", "It has no title."))
        if len(listing.id) > self._kit.limit(_ID):
            found.append(Problem("id", "Its id is longer than Meta takes."))
        if not listing.link.startswith(("https://", "http://")):
            found.append(Problem("link", "It needs the address of its page in the shop."))
        elif len(listing.link) > self._kit.limit(_LINK):
            found.append(Problem("link", "The address of its page is longer than Meta takes."))
        if listing.price.amount <= 0:
            found.append(Problem("price", "Meta takes nothing without a price."))
        least = self._kit.limit(_IMAGE_SIDE)
        if not listing.images:
            found.append(Problem("images", "It has no picture."))
        elif min(listing.images[0].width, listing.images[0].height) < least:
            found.append(Problem("images", f"Its picture is smaller than {least} × {least}."))
        return found

    def shown(self, listing: Listing) -> Mapping[str, str]:
        return items.shown_as(listing)

    async def diagnose(self) -> Iterable[str]:
        try:
            catalog = await self._graph.get(self._config.catalog_id, fields="id,name,vertical")
        except NotThere:
            return [
                f"There is no catalog {self._config.catalog_id}, or the token may not see it. "
                "Assign the catalog to the system user in the business settings."
            ]
        told = []
        if catalog.get("vertical", "commerce") != "commerce":
            told.append(
                f"The catalog {catalog.get('name', '')} is not one for products "
                f"({catalog['vertical']}). Make a catalog of the kind e-commerce."
            )
        if not self._config.app_secret:
            told.append(UNPROVEN)
        return told

    async def publish(self, listings: Sequence[Listing]) -> Sequence[Verdict]:
        return await self._batches.send(
            await asyncio.to_thread(_updates, listings, self._config.condition)
        )

    async def withdraw(self, ids: Sequence[str]) -> Sequence[Verdict]:
        verdicts = await self._batches.send([entry("DELETE", {"id": one}) for one in ids])
        doubtful = [one.id for one in verdicts if isinstance(one, Refused)]
        there: set[str] = set()
        for start in range(0, len(doubtful), _READ_BATCH):
            there.update(await self.read_back(doubtful[start : start + _READ_BATCH]))
        return [
            Accepted(one.id) if isinstance(one, Refused) and one.id not in there else one
            for one in verdicts
        ]

    async def read_back(self, ids: Collection[str]) -> Mapping[str, Seen]:
        found: dict[str, Seen] = {}
        after: dict[str, object] = {}
        while ids:
            answer = await self._graph.get(
                f"{self._config.catalog_id}/products",
                filter={"retailer_id": {"is_any": list(ids)}},
                fields=items.FIELDS,
                limit=len(ids),
                **after,
            )
            for item in answer.get("data", []):
                found[item["retailer_id"]] = items.seen(item)
            paging = answer.get("paging", {})
            if "next" not in paging:
                break
            after = {"after": paging["cursors"]["after"]}
        return found

    async def close(self) -> None:
        await self._graph.close()


def _updates(listings: Sequence[Listing], condition: str) -> list[Entry]:
    """Thousands of them take a while: call it beside the event loop."""
    return [entry("UPDATE", items.item_of(one, condition=condition)) for one in listings]
