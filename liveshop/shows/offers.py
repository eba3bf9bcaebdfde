"""Offers: a host lowers the price of a product of the running show, for a while and for so many.

An offer is a promotion like any other, so every price, cart and order knows it by the same rules;
what makes it an offer is its shape (`model.is_offer`).
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import StockedProduct
from liveshop.catalog.wire import Product
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ProductId, ShowId, VariantId, new_id
from liveshop.kernel.rehearsals import OFFER
from liveshop.promotions.model import (
    MAX_TEXT_LENGTH,
    InShow,
    Limit,
    OverlappingPromotion,
    Period,
    Promotion,
    PromotionId,
    Stored,
    TheseProducts,
    TheseVariants,
    UnknownPromotion,
    covers,
)
from liveshop.promotions.prices import item_of
from liveshop.promotions.service import PromotionService
from liveshop.promotions.wire import kind_of
from liveshop.settings import Settings
from liveshop.shows import model, wire
from liveshop.shows.model import Show
from liveshop.shows.service import locked_show, offers_out, room_of, stop_offers, visible_show
from liveshop.storage import Database, Tx
from liveshop.web import Principal


class _Undone(Exception):
    """Leaves a transaction without keeping anything of it."""


class OfferService:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        catalog: CatalogDisplay,
        promotions: PromotionService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._catalog = catalog
        self._promotions = promotions

    async def start_offer(self, show_id: ShowId, given: wire.OfferInput) -> wire.Offer:
        """From now on, for `given.seconds`. Raises UnknownShow, ShowNotLive, NotInLineup, BadOffer,
        OverlappingPromotion, and whatever a promotion is refused for.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            show = await locked_show(tx.conn, show_id)
            if not show.is_on_stage:
                raise model.ShowNotLive(
                    "Offers are started while the show is live.", data={"state": show.state}
                )
            stocked = await self._stocked(tx.conn, show, given, now)
            promotion = self._promotion(show, stocked, given, now)
            await self._add(tx, show_id, promotion, stocked, now)
            stored = await self._one(tx.conn, show_id, promotion.id, now)
            (offer,) = await offers_out(tx.conn, [stored], now)
            (product,) = await self._catalog.shown(tx.conn, [stocked], now, show_id=show_id)
            tx.publish(room_of(show_id), "offer.started", wire.OfferStarted(offer, product), at=now)
        return offer

    async def preview_offer(
        self, show_id: ShowId, given: wire.OfferInput, language: str
    ) -> wire.OfferPreview:
        """What viewers would see if it started now; the warnings are in `language`.

        It is started and taken back, so that nothing can differ. Raises what `start_offer` does but
        for ShowNotLive: a host may try it out before the show.
        """
        now = self._clock.now()
        product: Product
        try:
            async with self._database.write() as tx:
                show = await locked_show(tx.conn, show_id)
                stocked = await self._stocked(tx.conn, show, given, now)
                promotion = self._promotion(show, stocked, given, now)
                look = await self._promotions.look(tx.conn, promotion, [stocked], now, language)
                await self._add(tx, show_id, promotion, stocked, now)
                (product,) = await self._catalog.shown(tx.conn, [stocked], now, show_id=show_id)
                raise _Undone
        except _Undone:
            return wire.OfferPreview(product, list(look.warnings))

    async def stop_offer(self, show_id: ShowId, offer_id: str) -> wire.Offer:
        """End it now; one that is over stays as it is. Raises UnknownShow, UnknownPromotion."""
        now = self._clock.now()
        async with self._database.write() as tx:
            await locked_show(tx.conn, show_id)
            stored = await self._one(tx.conn, show_id, offer_id, now)
            if not stored.promotion.period.is_over(now):
                await stop_offers(tx, self._promotions, self._catalog, show_id, [stored], now)
                stored = await self._one(tx.conn, show_id, offer_id, now)
            (offer,) = await offers_out(tx.conn, [stored], now)
        return offer

    async def offers(self, show_id: ShowId, who: Principal) -> wire.Offers:
        """Newest first. What has yet to begin is for staff: it would give prices away."""
        now = self._clock.now()
        async with self._database.read() as conn:
            await visible_show(conn, show_id, who)
            found = [
                stored
                for stored in await self._promotions.of_show(conn, show_id, now)
                if model.is_offer(stored.promotion)
                and (who.may("shows:read") or not stored.promotion.period.is_before(now))
            ]
            return wire.Offers(await offers_out(conn, found, now), now)

    async def _stocked(
        self, conn: AsyncConnection, show: Show, given: wire.OfferInput, now: datetime
    ) -> StockedProduct:
        """The product of an offer. Raises NotInLineup, BadOffer."""
        product_id = ProductId(given.product_id)
        if product_id not in show.lineup:
            raise model.NotInLineup(
                "This product is not in the lineup. Add it first.", data={"product_id": product_id}
            )
        found = await catalog_store.stocked_products(conn, [product_id], now, rehearsal=show.shelf)
        stocked = found[product_id]
        unknown = set(given.variant_ids) - {variant.id for variant in stocked.product.variants}
        if unknown:
            raise model.BadOffer(
                "The product has no such variant.",
                data={"field": "variant_ids", "variant_ids": sorted(unknown)[:20]},
            )
        return stocked

    def _promotion(
        self, show: Show, stocked: StockedProduct, given: wire.OfferInput, now: datetime
    ) -> Promotion:
        title = _shortened(stocked.product.title)
        languages = dict.fromkeys((*self._settings.shop.languages, *show.languages))
        return Promotion(
            id=PromotionId(new_id("prm" if show.rehearsal is None else OFFER, now)),
            version=1,
            texts=dict.fromkeys(languages, title)
            | {language: text for language, text in given.texts.items() if text.strip()},
            kind=kind_of(given.kind),
            stacking="exclusive",
            scope=InShow(show.id),
            products=(
                TheseVariants(frozenset(VariantId(one) for one in given.variant_ids))
                if given.variant_ids
                else TheseProducts(frozenset({stocked.product.id}))
            ),
            period=Period(now, now + timedelta(seconds=given.seconds)),
            limit=Limit(total=given.units, per_customer=given.per_customer),
        )

    async def _add(
        self,
        tx: Tx,
        show_id: ShowId,
        promotion: Promotion,
        stocked: StockedProduct,
        now: datetime,
    ) -> None:
        """Start it. Raises OverlappingPromotion where the show lowers one of its prices already,
        for this product or for these variants: of two offers at once nobody could say what holds.
        """
        product = stocked.product
        items = [item_of(product, variant) for variant in product.variants]
        covered = [item for item in items if covers(promotion.products, item)]
        rivals = [
            stored.promotion.id
            for stored in await self._promotions.of_show(tx.conn, show_id, now)
            if stored.state == "active"
            and model.is_offer(stored.promotion)
            and stored.promotion.period.meets(promotion.period)
            and any(covers(stored.promotion.products, item) for item in covered)
        ]
        if rivals:
            raise OverlappingPromotion(
                "There is an offer for this already. Stop it first.",
                data={"field": "product_id", "promotion_ids": rivals},
            )
        await self._promotions.add(tx, promotion, now)

    async def _one(
        self, conn: AsyncConnection, show_id: ShowId, offer_id: str, now: datetime
    ) -> Stored:
        for stored in await self._promotions.of_show(conn, show_id, now):
            if stored.promotion.id == offer_id and model.is_offer(stored.promotion):
                return stored
        raise UnknownPromotion("There is no such offer in this show.")


def _shortened(title: str) -> str:
    if len(title) <= MAX_TEXT_LENGTH:
        return title
    return f"{title[: MAX_TEXT_LENGTH - 1].rstrip()}…"
