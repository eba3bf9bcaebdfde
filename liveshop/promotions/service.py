"""What merchants do with promotions, and what other rooms do with them in their own transactions.

A promotion is never changed but given its next version, so that what a price was is always known.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.catalog.model import StockedProduct, UnknownProduct, UnknownVariant
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import ShowId, has_prefix, new_id
from liveshop.promotions import claim_store, store, wire, words
from liveshop.promotions.checks import checked
from liveshop.promotions.model import (
    BadPeriod,
    InShow,
    LimitBelowUsed,
    Period,
    Promotion,
    PromotionChanged,
    PromotionEnded,
    PromotionId,
    PromotionsTouched,
    State,
    Stored,
    TheseProducts,
    TheseVariants,
    UnknownPromotion,
    is_rehearsed,
)
from liveshop.promotions.preview import Look, preview_of
from liveshop.promotions.preview import look as look_at
from liveshop.promotions.prices import Prices
from liveshop.settings import ShopSettings
from liveshop.storage import Database, Tx

_PREVIEWED = 5


LeftOut = Callable[[Promotion, str], Awaitable[list[wire.PriceWarning]]]
"""Why channels cannot announce a promotion, in a language; nothing if they can."""


async def _no_channels(_: Promotion, __: str) -> list[wire.PriceWarning]:
    return []


class PromotionService:
    """Reads files when it is made: make it before the loop runs. `left_out` is set by whoever
    knows the channels."""

    def __init__(
        self, database: Database, clock: Clock, settings: ShopSettings, prices: Prices
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._prices = prices
        self.left_out: LeftOut = _no_channels
        words.load(("en", "de"))
        database.listen(
            PromotionsTouched,
            lambda touched: prices.definitions.settle(touched.promotion_ids),
            only_here=True,
        )

    async def create_promotion(self, given: wire.PromotionInput) -> Stored:
        """Raises what `checks.checked` raises, UnknownProduct, UnknownVariant."""
        now = self._clock.now()
        id_ = PromotionId(new_id("prm", now))
        wanted = wire.promotion_of(given, id_, version=1)
        async with self._database.write() as tx:
            await self.add(tx, wanted, now)
            return await self._one(tx.conn, id_, now)

    async def replace_promotion(self, promotion_id: str, given: wire.PromotionInput) -> Stored:
        """Raises UnknownPromotion, PromotionChanged, PromotionEnded, LimitBelowUsed, and what
        `create_promotion` raises."""
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await self._locked(tx, promotion_id, now)
            before = present.promotion
            if given.version not in (None, before.version):
                raise PromotionChanged(
                    "Somebody else changed this promotion. Look at it again.",
                    data={"version": before.version},
                )
            _check_running(present, now)
            wanted = wire.promotion_of(given, before.id, version=before.version + 1)
            changed = await self._checked(tx.conn, wanted, present.state, now)
            total = changed.limit.total
            if total is not None and total < before.used:
                raise LimitBelowUsed(
                    f"It has been used {before.used} times already.",
                    data={"field": "limit_total", "used": before.used},
                )
            await self._save(tx, changed, present.state, now)
            return await self._one(tx.conn, before.id, now)

    async def change_state(self, promotion_id: str, to: wire.NextState) -> Stored:
        """Pause it, resume it, or end it now and for good.

        Raises UnknownPromotion, PromotionEnded, OverlappingPromotion.
        """
        now = self._clock.now()
        async with self._database.write() as tx:
            present = await self._locked(tx, promotion_id, now)
            before = present.promotion
            if to == "ended":
                await self.end(tx, [before.id], now)
            elif to != present.state:
                _check_running(present, now)
                changed = replace(before, version=before.version + 1)
                if to == "active":
                    changed = await self._checked(tx.conn, changed, to, now)
                await self._save(tx, changed, to, now)
            return await self._one(tx.conn, before.id, now)

    async def promotion(self, promotion_id: str) -> Stored:
        """Raises UnknownPromotion."""
        async with self._database.read() as conn:
            return await self._one(conn, promotion_id, self._clock.now())

    async def promotions(self, query: wire.PromotionQuery) -> tuple[list[Stored], str | None]:
        """A page, newest first, and the cursor of the next one."""
        now = self._clock.now()
        conditions = [
            store.is_over(now) if query.ended else store.is_not_over(now),
            store.is_real(),
        ]
        if query.show_id is not None:
            conditions.append(store.is_of_show(query.show_id))
        if query.cursor is not None:
            conditions.append(store.is_below(query.cursor))
        async with self._database.read() as conn:
            found = await store.stored(
                conn, self._prices.definitions, now, *conditions, limit=query.limit + 1
            )
        page = found[: query.limit]
        return page, page[-1].promotion.id if len(found) > query.limit else None

    async def preview(self, given: wire.PreviewInput, language: str) -> wire.Preview:
        """What it would do, stored or not. Nothing is written.

        Raises what `create_promotion` raises, but needs no name and minds no other promotion.
        """
        now = self._clock.now()
        id_ = PromotionId(given.promotion_id or new_id("prm", now))
        wanted = wire.promotion_of(given.promotion, id_, version=0)
        if not any(wanted.texts.values()):
            wanted = replace(wanted, texts={language: "–"})
        _check_end(wanted, now)
        promotion = checked(wanted, currency=self._settings.currency, languages=())
        async with self._database.read() as conn:
            if given.promotion_id is not None:
                present = await self._one(conn, given.promotion_id, now)
                gone = present.promotion.used + present.claimed
                promotion = replace(promotion, used=gone)
            await _check_references(conn, promotion)
            ids = given.product_ids or await store.product_ids_for(
                conn, promotion.products, limit=_PREVIEWED
            )
            found = await catalog_store.stocked_products(conn, ids, now)
            stocked = list(found.values())
            seen = await self.look(
                conn,
                promotion,
                stocked,
                now,
                language,
                replaces=id_ if given.promotion_id is not None else None,
            )
        left_out = await self.left_out(promotion, language)
        return preview_of(promotion, stocked, seen, language, left_out=left_out)

    # Inside the transaction of another room

    async def add(self, tx: Tx, promotion: Promotion, now: datetime) -> None:
        """Raises what `checks.checked` raises, UnknownProduct, UnknownVariant."""
        await store.lock_writing(tx.conn)
        good = await self._checked(tx.conn, promotion, "active", now)
        await store.add(tx.conn, good, state="active", now=now)
        tx.notify(PromotionsTouched((good.id,)))

    async def end(self, tx: Tx, promotion_ids: Collection[PromotionId], now: datetime) -> None:
        """End these now, for good; those that are over already stay as they were."""
        await store.lock_writing(tx.conn)
        await claim_store.lock_rows(tx.conn, promotion_ids)
        present = await store.stored(
            tx.conn, self._prices.definitions, now, store.is_one_of(promotion_ids)
        )
        for one in present:
            period = one.promotion.period
            if period.is_over(now):
                continue
            starts_at = None if period.starts_at is None else min(period.starts_at, now)
            ended = replace(
                one.promotion,
                version=one.promotion.version + 1,
                period=Period(starts_at, now),
            )
            await self._save(tx, ended, one.state, now)

    async def of_show(self, conn: AsyncConnection, show_id: ShowId, now: datetime) -> list[Stored]:
        """The offers of a show, newest first; those that are over too."""
        return await store.stored(conn, self._prices.definitions, now, store.is_of_show(show_id))

    async def look(
        self,
        conn: AsyncConnection,
        promotion: Promotion,
        stocked: Iterable[StockedProduct],
        now: datetime,
        language: str,
        *,
        replaces: PromotionId | None = None,
    ) -> Look:
        """What this promotion would make of the prices of these products."""
        return await look_at(
            conn, self._prices, promotion, list(stocked), now, language, replaces=replaces
        )

    async def _one(self, conn: AsyncConnection, promotion_id: str, now: datetime) -> Stored:
        found = await store.stored(conn, self._prices.definitions, now, store.is_id(promotion_id))
        if not found:
            raise UnknownPromotion("There is no such promotion.")
        return found[0]

    async def _locked(self, tx: Tx, promotion_id: str, now: datetime) -> Stored:
        await store.lock_writing(tx.conn)
        await claim_store.lock_rows(tx.conn, [PromotionId(promotion_id)])
        return await self._one(tx.conn, promotion_id, now)

    async def _checked(
        self, conn: AsyncConnection, wanted: Promotion, state: State, now: datetime
    ) -> Promotion:
        """Fit to stand beside those that are active; a paused one is checked when it is resumed."""
        _check_end(wanted, now)
        others = (
            await store.stored(
                conn,
                self._prices.definitions,
                now,
                store.is_active(),
                store.is_not_over(now),
                *(() if is_rehearsed(wanted.id) else (store.is_real(),)),
            )
            if state == "active"
            else []
        )
        good = checked(
            wanted,
            currency=self._settings.currency,
            languages=self._settings.languages,
            others=[one.promotion for one in others],
        )
        await _check_references(conn, good)
        return good

    async def _save(self, tx: Tx, changed: Promotion, state: State, now: datetime) -> None:
        self._prices.definitions.doubt(changed.id)
        await store.change(tx.conn, changed, state=state, now=now)
        tx.notify(PromotionsTouched((changed.id,)))


def _check_running(present: Stored, now: datetime) -> None:
    if present.promotion.period.is_over(now):
        raise PromotionEnded("This promotion is over. Make a new one.")


def _check_end(promotion: Promotion, now: datetime) -> None:
    """What would be over before it began is a mistake; and the past is not to be rewritten."""
    start, end = promotion.period.starts_at, promotion.period.ends_at
    if end is not None and end.tzinfo is not None and end <= now and not (start and start >= end):
        raise BadPeriod("It would be over already.", data={"field": "ends_at"})


async def _check_references(conn: AsyncConnection, promotion: Promotion) -> None:
    if isinstance(promotion.scope, InShow) and not has_prefix(promotion.scope.show_id, "shw"):
        raise Invalid("This is not the id of a show.", data={"field": "show_id"})
    match promotion.products:
        case TheseProducts(product_ids):
            products = await catalog_store.products_by_ids(conn, product_ids)
            missing = sorted(product_ids - products.keys())
            if missing:
                raise UnknownProduct(
                    "There is no such product.",
                    data={"field": "product_ids", "product_ids": missing[:20]},
                )
        case TheseVariants(variant_ids):
            variants = await catalog_store.variants_by_ids(conn, variant_ids)
            absent = sorted(variant_ids - variants.keys())
            if absent:
                raise UnknownVariant(
                    "There is no such variant.",
                    data={"field": "variant_ids", "variant_ids": absent[:20]},
                )
