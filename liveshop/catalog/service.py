"""What merchants do with the catalog, and what everybody reads of it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds, locations, media_store, store, wire, writing
from liveshop.catalog.checks import check_quantity, checked
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.importer import Importer, ImportReport, Progress
from liveshop.catalog.model import (
    BadProduct,
    BundleHasNoStock,
    Location,
    ProductChanged,
    ProductDraft,
    ProductsTouched,
    StockedProduct,
    StockHeld,
    StockLevel,
    StockTouched,
    UnknownLocation,
    UnknownProduct,
    UnknownVariant,
    Variant,
    VariantDraft,
)
from liveshop.catalog.places import PlaceService
from liveshop.connect import FileSource
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId, ProductId, VariantId, has_prefix, new_id
from liveshop.settings import ShopSettings
from liveshop.storage import Database

MAX_PAGE = 100


class BadCursor(Invalid):
    code = "bad_cursor"


@dataclass(frozen=True, slots=True)
class ProductPage:
    """`next` is the cursor of the page after this one; None on the last."""

    products: list[StockedProduct]
    next: str | None


class CatalogService:
    def __init__(self, database: Database, clock: Clock, shop: ShopSettings) -> None:
        self._database = database
        self._clock = clock
        self._currency = shop.currency
        self.places = PlaceService(database, clock, shop)

    async def create_product(self, draft: ProductDraft) -> StockedProduct:
        """Raises BadProduct, BadText."""
        good = checked(draft, self._currency)
        now = self._clock.now()
        product_id = ProductId(new_id("prd", now))
        async with self._database.write() as tx:
            await _check_pictures(tx.conn, good)
            await writing.add_product(
                tx.conn,
                {
                    "id": product_id,
                    "version": 1,
                    "created_at": now,
                    "updated_at": now,
                    "source": None,
                    "source_id": None,
                    "gallery": None,
                    "digest": None,
                }
                | _product_values(good),
            )
            await self._replace_variants(tx.conn, product_id, good, now)
            await _set_pictures(tx.conn, product_id, good)
            tx.notify(ProductsTouched((product_id,)))
            return await _stocked(tx.conn, product_id, now)

    async def replace_product(
        self, product_id: str, draft: ProductDraft, *, expected_version: int | None = None
    ) -> StockedProduct:
        """Variants keep their id if the draft names it, or else by SKU, or else by their values;
        those no longer in it are withdrawn. One whose parts change becomes another variant, so
        that what carts hold of it, and what it has cost, stays true.

        Raises UnknownProduct, ProductChanged, BadProduct.
        """
        good = checked(draft, self._currency)
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await store.product_by_id(tx.conn, product_id)
            if present is None:
                raise UnknownProduct("There is no such product.")
            if expected_version not in (None, present.version):
                raise _changed(present.version)
            await _check_pictures(tx.conn, good)
            is_still = await writing.change_product(
                tx.conn,
                product_id,
                version=present.version,
                values={"updated_at": now} | _product_values(good),
            )
            if not is_still:
                raise _changed(present.version + 1)
            await self._replace_variants(tx.conn, present.id, good, now)
            await _set_pictures(tx.conn, present.id, good)
            tx.notify(ProductsTouched((present.id,)))
            return await _stocked(tx.conn, present.id, now)

    async def _replace_variants(
        self, conn: AsyncConnection, product_id: ProductId, good: ProductDraft, now: datetime
    ) -> None:
        before = await store.all_variants_of(conn, product_id)
        kept = _match(good.variants, before)
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        for place, (variant, old_id) in enumerate(zip(good.variants, kept, strict=True)):
            values = _variant_values(variant, good, place)
            if old_id is not None:
                changed.append({"id": old_id} | values)
                continue
            id_ = new_id("var", now)
            new.append({"id": id_, "product_id": product_id} | values)
            parts += [
                {"bundle_id": id_, "part_id": part_id, "quantity": quantity}
                for part_id, quantity in variant.parts
            ]
        await writing.withdraw_variants(
            conn, [variant.id for variant in before if variant.id not in kept]
        )
        await writing.write_variants(conn, new=new, changed=changed, now=now)
        await _check_parts(conn, good)
        await writing.add_parts(conn, parts)

    async def product(self, product_id: str, *, include_inactive: bool = False) -> StockedProduct:
        """Raises UnknownProduct."""
        async with self._database.read() as conn:
            stocked = await store.stocked_products(conn, [product_id], self._clock.now())
            found = stocked.get(ProductId(product_id))
        if found is None or not (found.product.is_active or include_inactive):
            raise UnknownProduct("There is no such product.")
        return found

    async def products(
        self,
        *,
        query: str = "",
        cursor: str | None = None,
        limit: int = 50,
        include_inactive: bool = False,
    ) -> ProductPage:
        """A page in the order of creation; each word of the query must occur in the title, brand,
        category, SKU or GTIN. Raises BadCursor."""
        if cursor is not None and not has_prefix(cursor, "prd"):
            raise BadCursor("The cursor is not one that this list gave out.")
        words = writing.fold(query).split()[:10]
        size = min(max(limit, 1), MAX_PAGE)
        async with self._database.read() as conn:
            ids = await store.product_ids_page(
                conn, words=words, after=cursor, limit=size + 1, include_inactive=include_inactive
            )
            found = await store.stocked_products(conn, ids[:size], self._clock.now())
        return ProductPage(list(found.values()), ids[size - 1] if len(ids) > size else None)

    async def products_by_ids(self, product_ids: Iterable[str]) -> list[StockedProduct]:
        """Those that exist, in the order asked; inactive ones too."""
        async with self._database.read() as conn:
            found = await store.stocked_products(conn, product_ids, self._clock.now())
            return list(found.values())

    async def shown(
        self, stocked: Sequence[StockedProduct], display: CatalogDisplay
    ) -> list[wire.Product]:
        """As everybody sees them, at the prices in force."""
        async with self._database.read() as conn:
            return await display.shown(conn, stocked, self._clock.now())

    async def locations(self) -> list[Location]:
        """By priority, the one asked first first."""
        return await self.places.all()

    async def create_location(
        self, name: str, *, kind: str = "warehouse", priority: int = 0
    ) -> Location:
        """One that ships, and in which nobody collects. Raises BadLocation, BadText."""
        return await self.places.create(Location(LocationId(""), name, kind, priority))

    async def stock_of(self, variant_id: str) -> list[StockLevel]:
        """One level for each location; none for a bundle. Raises UnknownVariant."""
        async with self._database.read() as conn:
            if (await _known_variant(conn, variant_id)).parts:
                return []
            return await locations.stock_levels(conn, variant_id, self._clock.now())

    async def set_stock(self, variant_id: str, location_id: str, on_hand: int) -> list[StockLevel]:
        """Raises UnknownVariant, UnknownLocation, BundleHasNoStock, and StockHeld when carts hold
        more than that."""
        check_quantity(on_hand)
        now = self._clock.now()
        # A transaction of its own: what it locks must not stand before the stock set below.
        async with self._database.write() as tx:
            await holds.release_lapsed(tx.conn, now, variant_ids=[VariantId(variant_id)])
        async with self._database.write() as tx:
            known = await _known_variant(tx.conn, variant_id)
            if known.parts:
                raise BundleHasNoStock(
                    "A bundle has no stock of its own. Set the stock of its parts.",
                    data={"part_ids": [part.variant_id for part in known.parts]},
                )
            known_places = await locations.locations_by_priority(tx.conn)
            if location_id not in [place.id for place in known_places]:
                raise UnknownLocation("There is no such location.")
            if not await locations.set_on_hand(tx.conn, variant_id, location_id, on_hand):
                levels = await locations.stock_levels(tx.conn, variant_id, now)
                held = next(level.held for level in levels if level.location_id == location_id)
                raise StockHeld(
                    f"{held} pieces are held by carts and orders, so the stock cannot be "
                    f"{on_hand}. Set at least {held}, or wait until they are released.",
                    data={"held": held},
                )
            tx.notify(StockTouched((known.id,)))
            return await locations.stock_levels(tx.conn, variant_id, now)

    async def available(self, variant_ids: Sequence[str]) -> dict[VariantId, int]:
        async with self._database.read() as conn:
            return await store.available_by_variant(conn, variant_ids, self._clock.now())

    async def import_file(
        self,
        source: FileSource,
        chunks: AsyncIterator[bytes],
        *,
        source_name: str | None = None,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Read a file into the catalog, a few hundred rows a transaction; may be run again.

        `source_name` says whose ids these are (the connector's name by default): the same id of
        the same source is the same product. Raises BadFile.
        """
        importer = Importer(
            self._database,
            self._clock,
            source=source_name or source.name,
            currency=self._currency,
            progress=progress,
        )
        return await importer.run(source, chunks)


async def _stocked(conn: AsyncConnection, product_id: ProductId, now: datetime) -> StockedProduct:
    return (await store.stocked_products(conn, [product_id], now))[product_id]


async def _known_variant(conn: AsyncConnection, variant_id: str) -> Variant:
    found = (await store.variants_by_ids(conn, [variant_id])).get(VariantId(variant_id))
    if found is None:
        raise UnknownVariant("There is no such variant.")
    return found


async def _check_pictures(conn: AsyncConnection, draft: ProductDraft) -> None:
    known = await media_store.media_by_ids(conn, draft.image_ids)
    missing = [media_id for media_id in draft.image_ids if media_id not in known]
    if missing:
        raise BadProduct(
            f"There is no picture {missing[0]}. Upload it first.", data={"field": "image_ids"}
        )


async def _check_parts(conn: AsyncConnection, draft: ProductDraft) -> None:
    """To be asked once the variants are written: a part may be among them."""
    wanted = {part_id for variant in draft.variants for part_id, _ in variant.parts}
    unfit = await writing.unfit_parts(conn, wanted) if wanted else set()
    if unfit:
        raise BadProduct(
            f"{min(unfit)} cannot be part of a bundle: it is not on sale, or a bundle itself.",
            data={"field": "parts", "variant_ids": sorted(unfit)},
        )


async def _set_pictures(conn: AsyncConnection, product_id: ProductId, draft: ProductDraft) -> None:
    rows = [
        {
            "product_id": product_id,
            "key": media_id,
            "position": place,
            "url": None,
            "media_id": media_id,
            "problem": None,
        }
        for place, media_id in enumerate(draft.image_ids)
    ]
    await writing.set_pictures(conn, [product_id], rows)


def _changed(version: int) -> ProductChanged:
    return ProductChanged(
        "The product was changed in the meantime. Load it again and repeat your change.",
        data={"version": version},
    )


def _match(drafts: Sequence[VariantDraft], before: Sequence[Variant]) -> list[VariantId | None]:
    """Which stored variant each draft is; every stored one at most once. Raises BadProduct."""
    free = {variant.id: variant for variant in before}
    kept: list[VariantId | None] = [None] * len(drafts)
    for place, draft in enumerate(drafts):
        if draft.id is not None:
            if draft.id not in free:
                raise BadProduct(
                    f"This product has no variant {draft.id}.", data={"field": "variants"}
                )
            named = free.pop(draft.id)
            if _same_parts(named, draft):
                kept[place] = named.id
    for is_alike in (_same_sku, _same_values):
        for place, draft in enumerate(drafts):
            if kept[place] is None and draft.id is None:
                alike = next(
                    (
                        old.id
                        for old in free.values()
                        if is_alike(old, draft) and _same_parts(old, draft)
                    ),
                    None,
                )
                if alike is not None:
                    kept[place] = free.pop(alike).id
    return kept


def _same_sku(old: Variant, draft: VariantDraft) -> bool:
    return old.sku == draft.sku


def _same_values(old: Variant, draft: VariantDraft) -> bool:
    return old.is_active and old.values == draft.values


def _same_parts(old: Variant, draft: VariantDraft) -> bool:
    return {part.variant_id: part.quantity for part in old.parts} == dict(draft.parts)


def _product_values(draft: ProductDraft) -> dict[str, Any]:
    return {
        "title": draft.title,
        "description_html": draft.description_html,
        "brand": draft.brand,
        "category": draft.category,
        "url": draft.url,
        "options": writing.options_to_json(draft.options),
        "is_active": draft.is_active,
        "max_per_customer": draft.max_per_customer,
        "search_text": writing.search_text(
            title=draft.title,
            brand=draft.brand,
            category=draft.category,
            codes=[code for variant in draft.variants for code in (variant.sku, variant.gtin)],
        ),
    }


def _variant_values(draft: VariantDraft, product: ProductDraft, place: int) -> dict[str, Any]:
    picture = None if draft.image_index is None else product.image_ids[draft.image_index]
    return {
        "position": place,
        "sku": draft.sku,
        "gtin": draft.gtin,
        "option_values": list(draft.values),
        "price_amount": draft.price.amount,
        "compare_at_amount": None if draft.compare_at is None else draft.compare_at.amount,
        "currency": draft.price.currency,
        "tax_class": draft.tax_class,
        "tiers": [[quantity, each.amount] for quantity, each in draft.tiers] or None,
        "weight_grams": draft.weight_grams,
        "picture_key": picture,
        "is_active": True,
    }
