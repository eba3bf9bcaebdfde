"""The ways a cart can reach its buyer: what each costs, when it is there, or why it cannot be.

Nothing is reserved by looking. At placing, an order's holds are moved to where its delivery can
take them from; what that comes to is what is promised.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds, locations, shelves
from liveshop.catalog.model import Hours, Location
from liveshop.catalog.shelves import Shelf
from liveshop.catalog.tables import REHEARSAL
from liveshop.checkout import wire
from liveshop.checkout.delivery_words import Problem, problem_in_words
from liveshop.checkout.model import CannotCollect, UnknownStore
from liveshop.checkout.supply import Lacking, Supply, Way, has_days
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import LocationId, VariantId
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import shelf_of
from liveshop.kernel.zones import time_zones
from liveshop.orders.calendars import Opening, WorkingDays
from liveshop.orders.model import Order, Promise
from liveshop.orders.promises import Promises, latest
from liveshop.orders.wire import PromiseOut
from liveshop.payments.model import Delivery, PaymentProvider
from liveshop.promotions.delivery import NotDelivered, TooHeavy
from liveshop.promotions.model import Line
from liveshop.promotions.pricing import Context, price_cart
from liveshop.settings import Settings
from liveshop.web import MoneyOut

PATIENCE = timedelta(minutes=10)
"""So long a buyer may look at a time of pickup, and it still counts: stores are that flexible."""


class Deliveries:
    """Reads files when it is made: make it before the loop runs. `providers` are those of the
    payment methods to choose from, in a rehearsal or not."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self.providers: Callable[[bool], Sequence[PaymentProvider]] = lambda _: []
        zone = ZoneInfo(settings.shop.time_zone)
        days = WorkingDays(settings.delivery, zone, years=range(now.year, now.year + 3))
        self._promises = Promises(days, settings.delivery)
        time_zones()

    # Ways

    async def places(self, conn: AsyncConnection) -> tuple[Location, ...]:
        return tuple(await locations.locations_by_priority(conn))

    def places_for(self, viewer_id: str, places: tuple[Location, ...]) -> tuple[Location, ...]:
        """From where goods may come for this buyer: in a rehearsal all of them lie on its shelf,
        which ships to wherever the shop does."""
        shelf = shelf_of(viewer_id)
        if shelf is None:
            return places
        return (Location(id=shelf, name="", kind=REHEARSAL, priority=0), *places)

    def way(
        self, kind: Delivery, store_id: str | None, country: str, places: tuple[Location, ...]
    ) -> Way:
        """`country` is the one that goods are shipped to. Raises UnknownStore, Invalid."""
        field = {"field": "delivery.store_id"}
        if kind == "ship":
            if store_id is not None:
                raise Invalid("What is shipped is collected in no store.", data=field)
            return Way("ship", country, places)
        store = next((one for one in places if one.id == store_id), None)
        if store is None or not store.is_pickup:
            raise UnknownStore("Choose one of the stores to collect in.", data=field)
        return _pickup(store, places)

    def ways(self, country: str, places: tuple[Location, ...]) -> list[Way]:
        """Shipping, and each store in which goods can be collected."""
        stores = [_pickup(place, places) for place in places if place.is_pickup]
        return [Way("ship", country, places), *stores]

    # What there is

    async def supply(
        self,
        conn: AsyncConnection,
        lines: Sequence[Line],
        owners: Sequence[str],
        now: datetime,
        *,
        rehearsal: LocationId | None = None,
    ) -> Supply:
        """What these lines consist of, and where it lies; `owners` hold some of it already.
        `rehearsal`: the only shelf that counts."""
        loaded = await shelves.load(conn, {line.item.variant_id for line in lines})
        on_shelves = loaded.for_buyer(rehearsal)
        needs: dict[VariantId, int] = {}
        titles: dict[VariantId, str] = {}
        for line in lines:
            for part, per_unit in on_shelves.parts_of(line.item.variant_id).items():
                needs[part] = needs.get(part, 0) + per_unit * line.quantity
                titles.setdefault(part, line.item.title)
        own, lapsed = await holds.in_reach(conn, owners, needs, now)
        on_shelves.put(
            {shelf: pieces for shelf, pieces in lapsed.items() if loaded.is_for(shelf, rehearsal)}
        )
        return Supply(needs, own, on_shelves.free, titles)

    # Promises

    def promise(self, way: Way, pieces: Iterable[Shelf], now: datetime) -> Promise | None:
        """When goods from these shelves are there, in this way; None where that cannot be said."""
        pieces = list(pieces)
        origins = [self._origin(place) for place in way.sources(pieces)]
        if way.store is None:
            return self._promises.ship(now, way.country, origins or [None])
        store = self._opening(way.store)
        parts = [self._promises.ship_to_store(now, store, origins)] if origins else []
        if len(origins) == 0 or any(location_id == way.store_id for _, location_id in pieces):
            parts.append(self._promises.pickup(now, store))
        return latest(parts)

    def promise_at_placing(
        self, way: Way, pieces: Iterable[Shelf], now: datetime, shown_until: datetime | None
    ) -> Promise | None:
        """The same, but what the screen said a while ago of a pickup still counts. Raises
        CannotCollect where the store does not open."""
        pieces = list(pieces)
        promise = self.promise(way, pieces, now)
        if way.is_collected and promise is None:
            raise CannotCollect(
                "This store is closed for the time being. Choose another way of delivery.",
                data={"field": "delivery.store_id"},
            )
        if promise is None or shown_until is None or promise.until <= shown_until:
            return promise
        if way.is_collected:
            earlier = self.promise(way, pieces, now - PATIENCE)
            if earlier is not None and earlier.until <= shown_until and earlier.until > now:
                return earlier
        return promise

    def _opening(self, place: Location) -> Opening:
        zone = time_zones()[place.time_zone] if place.time_zone else self._promises.days.zone
        return Opening(place.hours or Hours({}), zone)

    def _origin(self, place: Location) -> Opening | None:
        return self._opening(place) if has_days(place) else None

    # Options

    def option(
        self,
        way: Way,
        planned: dict[Shelf, int] | Lacking | None,
        price: Money | NotDelivered,
        *,
        language: str,
        now: datetime,
    ) -> wire.DeliveryOption:
        """`planned` is None where it makes no difference where the goods lie."""
        promise: Promise | None = None
        problem: str | None = None
        here = None
        if isinstance(planned, Lacking):
            problem = lacking_in_words(planned, way, language)
        else:
            promise = self.promise(way, planned or (), now)
            here = way.here(planned) if planned is not None else None
            if way.is_collected and promise is None:
                problem = problem_in_words("closed", language)
        if isinstance(price, NotDelivered):
            problem = problem_in_words(_refused(way, price), language)
            promise = None
        return wire.DeliveryOption(
            kind=way.kind,
            store_id=way.store_id,
            title=way.store.name if way.store is not None else "",
            address=_in_one_line(way.store),
            hours_today=self._hours_today(way.store, now),
            price=MoneyOut.of(price) if isinstance(price, Money) else None,
            promise=PromiseOut.of(promise) if promise is not None else None,
            here=here if problem is None else None,
            problem=problem,
            payment_methods=[
                one.method for one in self.providers(way.is_rehearsed) if way.kind in one.deliveries
            ],
            time_zone=way.store.time_zone if way.store is not None else None,
        )

    def options(
        self,
        ways: Iterable[Way],
        supply: Supply,
        lines: Sequence[Line],
        context: Context,
        *,
        language: str,
    ) -> list[wire.DeliveryOption]:
        """What each of these ways is for these lines."""
        found = []
        for way in ways:
            here = replace(context, country=way.country, is_collected=way.is_collected)
            price: Money | NotDelivered
            try:
                price = price_cart(lines, here).shipping
            except NotDelivered as refused:
                price = refused
            planned = supply.plan(way)
            found.append(self.option(way, planned, price, language=language, now=context.now))
        return found

    def _hours_today(self, store: Location | None, now: datetime) -> list[tuple[str, str]] | None:
        if store is None:
            return None
        opening = self._opening(store)
        return opening.clocks_of(opening.today(now))

    # Orders

    async def arrange(
        self, conn: AsyncConnection, owner: str, way: Way, pieces: Mapping[Shelf, int]
    ) -> Mapping[Shelf, int] | None:
        """Have what an owner holds lie where this way can take it from; where that is, or None
        where there is not enough. The caller has locked the variants."""
        if way.suits(pieces):
            return pieces
        return await holds.relocate(conn, owner, way.origins, store=way.store_id)

    async def out_of_reach(
        self,
        conn: AsyncConnection,
        lines: Sequence[Line],
        owner: str,
        way: Way,
        language: str,
        now: datetime,
        rehearsal: LocationId | None,
    ) -> holds.OutOfStock:
        """Why what an owner holds cannot be brought to where this way needs it."""
        supply = await self.supply(conn, lines, [owner], now, rehearsal=rehearsal)
        planned = supply.plan(way)
        if not isinstance(planned, Lacking):
            planned = Lacking(lines[0].item.variant_id, lines[0].item.title, is_anywhere=True)
        return holds.OutOfStock(
            lacking_in_words(planned, way, language),
            data={"variant_id": planned.variant_id, "available": planned.available},
        )

    async def arrange_again(self, conn: AsyncConnection, order: Order) -> bool:
        """The same for an order whose stock had to be taken anew; False where it lies wrong."""
        places = self.places_for(order.viewer_id, await self.places(conn))
        store = next((one for one in places if one.id == order.store_id), None)
        way = Way(order.delivery, order.address.country, places, store)
        if way.is_indifferent:
            return True
        return await holds.relocate(conn, order.id, way.origins, store=way.store_id) is not None


def lacking_in_words(lacking: Lacking, way: Way, language: str) -> str:
    """Why goods cannot be had in this way, and how they can."""
    problem: Problem = "not_to_store" if way.is_collected else "not_shipped"
    if not lacking.is_anywhere:
        problem = "sold_out"
    elif lacking.stores and not way.is_collected:
        problem = "only_in_store"
    return problem_in_words(
        problem,
        language,
        title=lacking.title,
        stores=", ".join(store.name for store in lacking.stores),
    )


def _refused(way: Way, refusal: NotDelivered) -> Problem:
    if way.is_collected:
        return "no_sale"
    return "too_heavy" if isinstance(refusal, TooHeavy) else "not_delivered"


def _pickup(store: Location, places: tuple[Location, ...]) -> Way:
    return Way("pickup", store.address.country if store.address else "", places, store)


def _in_one_line(place: Location | None) -> str:
    if place is None or place.address is None:
        return ""
    where = place.address
    return ", ".join(
        part for part in (where.line1, where.line2, f"{where.postal_code} {where.city}") if part
    )
