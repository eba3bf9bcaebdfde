"""What things cost now: the facts out of the database, for the one function that prices.

Whoever shows or sells anything gets his prices here: show, storefront, cart, order and channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import ShownPrice
from liveshop.catalog.model import Product, Variant
from liveshop.catalog.wire import PromotionNote
from liveshop.kernel.ids import ShowId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.promotions import claim_store, store
from liveshop.promotions.delivery import CountryTax, Rates, ShippingStep
from liveshop.promotions.lowest import LowestPrices, Planned
from liveshop.promotions.model import (
    InShow,
    Item,
    Promotion,
    Tier,
    folded,
    may_have,
)
from liveshop.promotions.priced import UnitPrice
from liveshop.promotions.pricing import Context, price_of
from liveshop.settings import ShopSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for prices, and where. `owners` are his own cart lines: what they have claimed is
    not gone for him."""

    viewer_id: ViewerId | None = None
    email: str | None = None
    segments: frozenset[str] = frozenset()
    codes: Sequence[str] = ()
    country: str | None = None
    is_collected: bool = False
    show_id: ShowId | None = None
    owners: Sequence[str] = ()


class Prices:
    """Reads files when it is made: make it before the loop runs."""

    def __init__(self, shop: ShopSettings) -> None:
        self.currency = shop.currency
        self.rates = rates_of(shop)
        self.zone = ZoneInfo(shop.time_zone)
        self.definitions = store.Definitions()
        self._lowest = LowestPrices(self.definitions, self.zone)

    async def context(
        self,
        conn: AsyncConnection,
        *,
        now: datetime,
        viewer_id: ViewerId | None = None,
        email: str | None = None,
        segments: frozenset[str] = frozenset(),
        codes: Sequence[str] = (),
        country: str | None = None,
        is_collected: bool = False,
        show_id: ShowId | None = None,
        owners: Sequence[str] = (),
    ) -> Context:
        """Everything a price depends on, for one who asks."""
        asked = Asked(
            viewer_id=viewer_id,
            email=email,
            segments=segments,
            codes=codes,
            country=country,
            is_collected=is_collected,
            show_id=show_id,
            owners=owners,
        )
        return (await self.contexts(conn, [asked], now))[0]

    async def contexts(
        self, conn: AsyncConnection, asked: Sequence[Asked], now: datetime
    ) -> list[Context]:
        """The same for many at once, in their order.

        One statement; a second one where a promotion in force is limited per customer, and one
        for definitions that were never read before.
        """
        codes = [frozenset(code for code in map(folded, one.codes) if code) for one in asked]
        found = await store.in_force(
            conn,
            self.definitions,
            now=now,
            codes=sorted(frozenset().union(*codes)),
            owners=[owner for one in asked for owner in one.owners],
        )
        uses = await claim_store.uses_of(
            conn,
            [one.promotion.id for one in found if one.promotion.limit.per_customer is not None],
            viewer_ids={one.viewer_id for one in asked if one.viewer_id is not None},
            emails={one.email for one in asked if one.email is not None},
        )
        return [
            Context(
                now=now,
                currency=self.currency,
                rates=self.rates,
                country=one.country,
                is_collected=one.is_collected,
                show_id=one.show_id,
                segments=one.segments,
                codes=one.codes,
                promotions=[
                    each.seen_by(one.owners)
                    for each in found
                    if one.viewer_id is None or may_have(one.viewer_id, each.promotion.id)
                ],
                used_by_customer=claim_store.used_by(uses, one.viewer_id, one.email),
            )
            for one in asked
        ]

    async def shown(
        self,
        conn: AsyncConnection,
        products: Sequence[Product],
        now: datetime,
        show_id: ShowId | None,
    ) -> Mapping[VariantId, ShownPrice]:
        """What each variant costs anybody here and now."""
        context = await self.context(conn, now=now, show_id=show_id)
        return await self.shown_in(conn, products, context)

    async def shown_in(
        self,
        conn: AsyncConnection,
        products: Sequence[Product],
        context: Context,
        *,
        planned: Planned | None = None,
    ) -> dict[VariantId, ShownPrice]:
        """The same for somebody else, or with something that is only planned."""
        items = {
            variant.id: item_of(product, variant)
            for product in products
            for variant in product.variants
        }
        # What was stored in another currency is shown as it stands; no cart takes it.
        units = {
            id_: price_of(item, context)
            for id_, item in items.items()
            if item.price.currency == self.currency
        }
        reduced = [items[id_] for id_, unit in units.items() if _is_announced(unit)]
        lowest = await self._lowest.of(conn, reduced, context.now, context.show_id, planned)
        return {
            id_: (
                _shown(units[id_], lowest.get(id_))
                if id_ in units
                else ShownPrice(price=item.price)
            )
            for id_, item in items.items()
        }

    async def next_turn(self, conn: AsyncConnection, after: datetime) -> datetime | None:
        """When a price may next change by itself: a promotion starts or ends."""
        return await store.next_turn(conn, after)


def item_of(product: Product, variant: Variant) -> Item:
    return Item(
        variant_id=variant.id,
        product_id=product.id,
        title=product.title,
        price=variant.price,
        compare_at=variant.compare_at,
        tax_class=variant.tax_class,
        category=product.category,
        tiers=tuple(Tier(least, price) for least, price in variant.tiers),
        weight_grams=variant.weight_grams,
    )


def rates_of(shop: ShopSettings) -> Rates:
    """Shipping and tax of every country the shop delivers to."""
    free_from = shop.free_shipping_from
    free = (ShippingStep(0, from_goods=free_from),) if free_from > 0 else ()
    shipping = {country: (ShippingStep(flat), *free) for country, flat in shop.shipping.items()}
    for country, steps in shop.shipping_steps.items():
        own = (ShippingStep(one.amount, one.max_weight_grams, one.from_goods) for one in steps)
        shipping[country] = (*own, *free)
    tax = {country: CountryTax(True, shop.tax_permille) for country in shipping}
    for country, given in shop.tax_by_country.items():
        tax[country] = CountryTax(given.is_included, given.permille)
    return Rates(tax=tax, shipping=shipping)


def _is_announced(unit: UnitPrice) -> bool:
    """Whether it says of itself that it was reduced: the lowest price of 30 days goes with it."""
    return unit.price.amount < (unit.compare_at or unit.list_price).amount


def _shown(unit: UnitPrice, lowest: Money | None) -> ShownPrice:
    return ShownPrice(
        price=unit.price,
        lowest_30_days=lowest,
        tiers=tuple((tier.min_quantity, tier.price) for tier in unit.tiers),
        promotions=tuple(_note(one) for one in unit.promotions),
    )


def _note(promotion: Promotion) -> PromotionNote:
    total = promotion.limit.total
    return PromotionNote(
        id=promotion.id,
        texts=dict(promotion.texts),
        ends_at=promotion.period.ends_at,
        units_left=None if total is None else max(0, total - promotion.used),
        is_offer=isinstance(promotion.scope, InShow),
    )
