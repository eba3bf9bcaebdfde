"""What is shown of the catalog, read in the connection of whoever shows it.

Prices come from a `PriceBook`: what a variant costs now is for promotions to say, which stand above
the catalog, and nobody shows a product without asking.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import media_store, model, store, wire
from liveshop.kernel.ids import LocationId, MediaId, ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.web import MoneyOut


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """What one unit of a variant costs here and now, and each of so many; and why."""

    price: Money
    lowest_30_days: Money | None = None
    tiers: tuple[tuple[int, Money], ...] = ()
    promotions: tuple[wire.PromotionNote, ...] = ()


class PriceBook(Protocol):
    async def shown(
        self,
        conn: AsyncConnection,
        products: Sequence[model.Product],
        now: datetime,
        show_id: ShowId | None,
    ) -> Mapping[VariantId, ShownPrice]:
        """The price of every variant of these products, in this show or outside any."""
        ...


class CatalogDisplay:
    def __init__(self, links: wire.ImageLinks, prices: PriceBook) -> None:
        self._links = links
        self._prices = prices

    async def products(
        self,
        conn: AsyncConnection,
        product_ids: Iterable[str],
        now: datetime,
        *,
        show_id: ShowId | None = None,
        rehearsal: LocationId | None = None,
    ) -> list[wire.Product]:
        """The products that exist, in this order, with what of them can be had at this moment and
        what it costs in this show, or outside any. `rehearsal`: the shelf of the show's rehearsal,
        from which alone it is sold."""
        stocked = await store.stocked_products(conn, product_ids, now, rehearsal=rehearsal)
        return await self.shown(conn, list(stocked.values()), now, show_id=show_id)

    async def shown(
        self,
        conn: AsyncConnection,
        stocked: Sequence[model.StockedProduct],
        now: datetime,
        *,
        show_id: ShowId | None = None,
    ) -> list[wire.Product]:
        if not stocked:
            return []
        prices = await self._prices.shown(conn, [one.product for one in stocked], now, show_id)
        return [_product_out(one, self._links, prices) for one in stocked]

    async def images(
        self, conn: AsyncConnection, media_ids: Sequence[MediaId]
    ) -> Mapping[str, wire.Image]:
        if not media_ids:
            return {}
        found = await media_store.media_by_ids(conn, media_ids)
        return {media_id: self._links.image(stored.picture) for media_id, stored in found.items()}

    async def check_products(self, conn: AsyncConnection, product_ids: Sequence[ProductId]) -> None:
        """Raises UnknownProduct naming the ones that do not exist."""
        found = await store.products_by_ids(conn, product_ids)
        missing = [one for one in product_ids if one not in found]
        if missing:
            raise model.UnknownProduct(
                "There is no such product.", data={"product_ids": missing[:20]}
            )

    async def check_media(self, conn: AsyncConnection, media_id: MediaId) -> None:
        if await media_store.media_by_id(conn, media_id) is None:
            raise model.UnknownMedia("There is no such picture. Upload it first.")


def _product_out(
    stocked: model.StockedProduct, links: wire.ImageLinks, prices: Mapping[VariantId, ShownPrice]
) -> wire.Product:
    product = stocked.product
    places = {picture.key: place for place, picture in enumerate(product.pictures)}
    return wire.Product(
        id=product.id,
        source_id=product.source_id,
        title=product.title,
        description_html=product.description_html,
        brand=product.brand,
        category=product.category,
        url=product.url,
        options=[
            wire.ProductOption(name=option.name, values=list(option.values))
            for option in product.options
        ],
        images=[links.image(picture, alt=product.title) for picture in product.pictures],
        variants=[
            _variant_out(
                variant,
                prices[variant.id],
                available=stocked.available.get(variant.id, 0),
                image_index=places.get(variant.picture_key or ""),
            )
            for variant in product.variants
        ],
        max_per_customer=product.max_per_customer,
        active=product.is_active,
        version=product.version,
        fit=product.fit,  # type: ignore[arg-type]  # counted by ourselves
    )


def _variant_out(
    variant: model.Variant, shown: ShownPrice, *, available: int, image_index: int | None
) -> wire.Variant:
    return wire.Variant(
        id=variant.id,
        sku=variant.sku,
        gtin=variant.gtin,
        values=list(variant.values),
        price=MoneyOut.of(shown.price),
        list_price=MoneyOut.of(variant.price),
        compare_at=_money_out(variant.compare_at),
        lowest_30_days=_money_out(shown.lowest_30_days),
        tiers=_tiers_out(shown.tiers),
        list_tiers=_tiers_out(variant.tiers),
        promotions=list(shown.promotions),
        tax_class=variant.tax_class,  # type: ignore[arg-type]  # checked on the way in
        weight_grams=variant.weight_grams,
        available=available,
        image_index=image_index,
        parts=[
            wire.BundlePart(
                variant_id=part.variant_id,
                product_id=part.product_id,
                title=part.title,
                sku=part.sku,
                quantity=part.quantity,
            )
            for part in variant.parts
        ],
    )


def _tiers_out(tiers: Sequence[tuple[int, Money]]) -> list[wire.PriceTier]:
    return [
        wire.PriceTier(min_quantity=quantity, price=MoneyOut.of(each)) for quantity, each in tiers
    ]


def _money_out(money: Money | None) -> MoneyOut | None:
    return None if money is None else MoneyOut.of(money)
