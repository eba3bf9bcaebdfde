"""The waitlist: who finds something sold out may wait, and is offered the next unit alone.

Taking it is adding it to the cart. Its SQL, and who is served when, stand in `catalog.waiting`.

Of a crowd that wants the same, most end here, all in the same second. So those who come together
share a transaction, as they do when they add to their carts (see `reserve`), and those who look
together share a query; the order in which they came stays, and each keeps his own answer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import waiting
from liveshop.catalog.display import CatalogDisplay
from liveshop.catalog.model import UnknownVariant
from liveshop.catalog.store import available_by_variant
from liveshop.catalog.waiting import Comer, Place
from liveshop.checkout import model, store, wire
from liveshop.checkout.groups import together_or_alone
from liveshop.checkout.holding import Shelf, give_back
from liveshop.checkout.model import Article, Terms
from liveshop.checkout.reserve import check_show
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import MediaId, PlaceId, ShowId, VariantId, ViewerId, new_id
from liveshop.kernel.rehearsals import is_rehearsing
from liveshop.settings import Settings
from liveshop.storage import Database, Together, Tx

_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Joining:
    viewer_id: ViewerId
    variant_id: VariantId
    show_id: ShowId | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a group is decided by, read once for all of it."""

    articles: Mapping[VariantId, Article]
    terms: Mapping[ShowId, Terms]
    holders: Collection[tuple[ViewerId, VariantId]]
    free: Mapping[VariantId, int]


class WaitlistService:
    def __init__(
        self, database: Database, clock: Clock, settings: Settings, catalog: CatalogDisplay
    ) -> None:
        self._database = database
        self._clock = clock
        self._catalog = catalog
        self._max_places = settings.checkout.max_lines
        self._hold_seconds = settings.checkout.hold_seconds
        self._shelf = Shelf(waitlist_seconds=settings.checkout.waitlist_seconds)
        self._joins = Together(self._join_each, at_most=_AT_MOST)
        self._looks = Together(self._look, at_most=_AT_MOST)

    async def places(self, viewer_id: ViewerId) -> wire.Places:
        return await self._looks.ask(viewer_id)

    async def join(
        self, viewer_id: ViewerId, variant_id: VariantId, show_id: ShowId | None
    ) -> wire.Places:
        """Wait for one unit of what is sold out; who waits already keeps his place. Raises
        StillAvailable, AlreadyHeld, CartFull, UnknownVariant, UnknownShow,
        CustomersOnly.
        """
        return await self._joins.ask(Joining(viewer_id, variant_id, show_id))

    async def leave(self, viewer_id: ViewerId, place_id: str) -> wire.Places:
        """Give up a place, and its turn if it has come. Raises UnknownPlace."""
        now = self._clock.now()
        async with self._database.write() as tx:
            variant_id = await waiting.variant_of(tx.conn, viewer_id, place_id)
            if variant_id is None:
                raise model.UnknownPlace("You have no such place in a waitlist.")
            await self._shelf.refreshed(tx, [variant_id], now)
            await waiting.leave(tx.conn, viewer_id, place_id)
            await give_back(tx, [place_id])
            await self._shelf.refreshed(tx, [variant_id], now)
            left = await waiting.places_of(tx.conn, viewer_id)
            return (await self._shown_each(tx.conn, [left], {}, now))[0]

    async def _look(self, viewer_ids: Sequence[ViewerId]) -> list[wire.Places]:
        now = self._clock.now()
        async with self._database.read() as conn:
            found = await waiting.places_of_each(conn, viewer_ids)
            return await self._shown_each(conn, [found[one] for one in viewer_ids], {}, now)

    async def _join_each(self, group: Sequence[Joining]) -> list[wire.Places | Exception]:
        return await together_or_alone(self._write, group)

    async def _write(self, group: Sequence[Joining]) -> list[wire.Places | Exception]:
        now = self._clock.now()
        viewer_ids = list(dict.fromkeys(one.viewer_id for one in group))
        variant_ids = list(dict.fromkeys(one.variant_id for one in group))
        async with self._database.write() as tx:
            # Before the stock: carts are locked first everywhere. So nobody who signs on, or joins
            # at another server meanwhile, loses a place or has two.
            await store.lock(tx.conn, viewer_ids, now)
            await self._shelf.refreshed(tx, variant_ids, now)
            facts = await self._facts(tx, group, now)
            queues = await waiting.queues(tx.conn, viewer_ids, variant_ids)
            known = dict(queues.known)
            counts = dict.fromkeys(viewer_ids, 0)
            for viewer_id, _ in known:
                counts[viewer_id] += 1
            comers: list[Comer] = []
            refused: dict[int, ShopError] = {}
            for number, one in enumerate(group):
                try:
                    self._check(one, facts)
                    if (one.viewer_id, one.variant_id) in known:
                        continue
                    self._check_new(one, facts, counts[one.viewer_id])
                except ShopError as error:
                    refused[number] = error
                    continue
                comer = _comer(one, facts, now)
                comers.append(comer)
                known[one.viewer_id, one.variant_id] = comer.place_id
                counts[one.viewer_id] += 1
            places = await waiting.join(tx.conn, comers, queues, now)
            granted = [number for number in range(len(group)) if number not in refused]
            mine = await self._all_places(
                tx.conn, {group[number].viewer_id for number in granted}, counts, places
            )
            shown = await self._shown_each(
                tx.conn, [mine[group[number].viewer_id] for number in granted], facts.articles, now
            )
        answers: dict[int, wire.Places | Exception] = dict(zip(granted, shown, strict=True))
        answers |= refused
        return [answers[number] for number in range(len(group))]

    async def _facts(self, tx: Tx, group: Sequence[Joining], now: datetime) -> _Facts:
        viewer_ids = {one.viewer_id for one in group}
        variant_ids = {one.variant_id for one in group}
        show_ids = {one.show_id for one in group if one.show_id is not None}
        return _Facts(
            articles=await store.articles(tx.conn, variant_ids),
            terms=await store.terms_of_shows(tx.conn, show_ids, self._hold_seconds),
            holders=await store.holders(tx.conn, viewer_ids, variant_ids, now),
            free=await available_by_variant(tx.conn, variant_ids, now),
        )

    def _check(self, one: Joining, facts: _Facts) -> None:
        """Raises why nobody like this has a place."""
        if is_rehearsing(one.viewer_id):
            raise model.NotInRehearsal("There are no waitlists in a rehearsal.")
        article = facts.articles.get(one.variant_id)
        if article is None or not article.is_for_sale:
            raise UnknownVariant("This is not sold here any more.")
        check_show(one.show_id, one.viewer_id, facts.terms)
        if (one.viewer_id, one.variant_id) in facts.holders:
            raise model.AlreadyHeld("You have this in your cart.")

    def _check_new(self, one: Joining, facts: _Facts, places: int) -> None:
        """Raises why somebody who has so many places does not get another."""
        free = facts.free[one.variant_id]
        if free:
            raise model.StillAvailable(
                "There is one left. Put it into your cart.", data={"available": free}
            )
        if places >= self._max_places:
            raise model.CartFull(f"You can wait for {self._max_places} articles at most.")

    async def _all_places(
        self,
        conn: AsyncConnection,
        viewer_ids: Collection[ViewerId],
        counts: Mapping[ViewerId, int],
        joined: Sequence[Place],
    ) -> dict[ViewerId, list[Place]]:
        """Everything these viewers wait for. Of who has just joined his first queue that is known;
        who stands in others has to be looked for in them.
        """
        mine: dict[ViewerId, list[Place]] = {one: [] for one in viewer_ids}
        for place in joined:
            mine[place.viewer_id].append(place)
        others = [one for one in viewer_ids if len(mine[one]) < counts[one]]
        return mine | (await waiting.places_of_each(conn, others) if others else {})

    async def _shown_each(
        self,
        conn: AsyncConnection,
        places: Sequence[Sequence[Place]],
        known: Mapping[VariantId, Article],
        now: datetime,
    ) -> list[wire.Places]:
        """Places as their viewers see them, but those whose turn has passed; `known` articles need
        not be read again.
        """
        standing = [
            [one for one in mine if one.offered_until is None or one.offered_until > now]
            for mine in places
        ]
        wanted = {place.variant_id for mine in standing for place in mine}
        articles = dict(known) | await store.articles(conn, wanted - known.keys())
        pictures = {articles[one].image_id for one in wanted}
        images = await self._catalog.images(
            conn, [MediaId(one) for one in sorted(filter(None, pictures))]
        )
        return [
            wire.Places(
                places=[wire.Place.of(place, articles[place.variant_id], images) for place in mine],
                at=now,
            )
            for mine in standing
        ]


def _comer(one: Joining, facts: _Facts, now: datetime) -> Comer:
    return Comer(
        place_id=PlaceId(new_id("plc", now)),
        variant_id=one.variant_id,
        product_id=facts.articles[one.variant_id].item.product_id,
        viewer_id=one.viewer_id,
        show_id=one.show_id,
    )
