"""The waitlist in both databases: who is next, whose turn it is, and that nobody is overtaken."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from catalog_builders import Statements, euros, shop
from checkout_builders import audit, begin_to_wait, viewer

from liveshop.catalog import holds, waiting
from liveshop.catalog.holds import Wanted
from liveshop.catalog.model import Option, ProductDraft, VariantDraft
from liveshop.catalog.service import CatalogService
from liveshop.catalog.waiting import Refreshed, Served
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, PlaceId, ShowId, VariantId, ViewerId
from liveshop.storage import Database

SHOW = ShowId("shw_evening")
TURN = timedelta(minutes=3)
HOLD = timedelta(minutes=10)
ADA, BOB, CID, DAN = (viewer(number) for number in range(4))


@dataclass
class Counter:
    """A shop where everybody has to wait."""

    database: Database
    clock: ManualClock
    catalog: CatalogService
    location: LocationId

    @property
    def until(self) -> datetime:
        return self.clock.now() + TURN

    async def variant(
        self, sku: str, on_hand: int = 0, *, parts: tuple[tuple[VariantId, int], ...] = ()
    ) -> VariantId:
        draft = VariantDraft(sku=sku, price=euros(1000), parts=parts)
        made = await self.catalog.create_product(ProductDraft(title=sku, variants=(draft,)))
        if on_hand:
            await self.restock(made.product.variants[0].id, on_hand)
        return made.product.variants[0].id

    async def restock(self, variant_id: VariantId, on_hand: int) -> None:
        await self.catalog.set_stock(variant_id, self.location, on_hand)

    async def join(self, variant_id: VariantId, *viewers: ViewerId) -> list[PlaceId]:
        places = []
        for viewer_id in viewers:
            async with self.database.write() as tx:
                await holds.lock(tx.conn, [variant_id])
                place_id = await begin_to_wait(
                    tx.conn, variant_id, viewer_id, self.clock.now(), show_id=SHOW
                )
            places.append(place_id)
        return places

    async def refresh(self, variant_ids: Collection[VariantId] | None = None) -> Refreshed:
        async with self.database.write() as tx:
            return await waiting.refresh(tx.conn, variant_ids, self.clock.now(), self.until)

    async def take(self, owner: str, variant_id: VariantId, quantity: int = 1) -> bool:
        """As a cart does: those who wait are served first."""
        async with self.database.write() as tx:
            await waiting.refresh(tx.conn, [variant_id], self.clock.now(), self.until)
            wanted = Wanted(owner, variant_id, quantity, self.clock.now() + HOLD)
            return await holds.take_each(tx.conn, [wanted], self.clock.now()) == [None]

    async def release(self, owner: str, variant_id: VariantId) -> None:
        async with self.database.write() as tx:
            await holds.lock(tx.conn, [variant_id])
            await holds.release(tx.conn, [owner])

    async def places(self, viewer_id: ViewerId) -> list[tuple[VariantId, int]]:
        async with self.database.read() as conn:
            found = await waiting.places_of(conn, viewer_id)
        return [(place.variant_id, place.position) for place in found]

    async def positions(self, variant_id: VariantId, *viewers: ViewerId) -> list[int | None]:
        """0: it is his turn; None: he has no place."""
        return [dict(await self.places(one)).get(variant_id) for one in viewers]

    async def turns(self, *pairs: tuple[ViewerId, VariantId]) -> set[ViewerId]:
        async with self.database.read() as conn:
            found = await waiting.turns(conn, pairs, self.clock.now())
        return {viewer_id for viewer_id, _ in found}

    async def available(self, variant_id: VariantId) -> int:
        return (await self.catalog.available([variant_id]))[variant_id]


@pytest.fixture
async def counter(database: Database, clock: ManualClock) -> Counter:
    catalog = CatalogService(database, clock, shop())
    location = await catalog.create_location("Warehouse", priority=1)
    return Counter(database, clock, catalog, location.id)


async def test_joining_twice_is_one_place_the_first(counter: Counter) -> None:
    cup = await counter.variant("CUP")
    [first, _] = await counter.join(cup, ADA, BOB)
    assert await counter.join(cup, ADA) == [first]
    assert await counter.positions(cup, ADA, BOB, CID) == [1, 2, None]
    async with counter.database.read() as conn:
        [place] = await waiting.places_of(conn, ADA)
    assert (place.id, place.viewer_id, place.show_id) == (first, ADA, SHOW)
    assert (place.joined_at, place.offered_until) == (counter.clock.now(), None)


async def test_who_joined_first_is_next_whatever_the_clock_says(counter: Counter) -> None:
    cup = await counter.variant("CUP")
    for one in (ADA, BOB, CID):
        await counter.join(cup, one)
        counter.clock.advance(-timedelta(minutes=1))
    assert await counter.positions(cup, ADA, BOB, CID) == [1, 2, 3]
    await counter.restock(cup, 1)
    [served] = (await counter.refresh([cup])).served
    assert served.viewer_id == ADA


async def test_what_becomes_free_goes_to_those_who_wait_in_their_order(counter: Counter) -> None:
    cup = await counter.variant("CUP", 2)
    assert await counter.take("line", cup, 2)
    ada, bob, _ = await counter.join(cup, ADA, BOB, CID)
    assert (await counter.refresh([cup])).served == []
    await counter.release("line", cup)
    assert await counter.available(cup) == 0, "what others wait for is not free"
    refreshed = await counter.refresh([cup])
    product_id = refreshed.served[0].product_id
    assert refreshed.served == [
        Served(ada, cup, product_id, ADA, SHOW),
        Served(bob, cup, product_id, BOB, SHOW),
    ]
    assert (refreshed.changed, refreshed.on_turn) == ({cup}, {cup})
    assert await counter.positions(cup, ADA, BOB, CID) == [0, 0, 1]
    assert await counter.turns((ADA, cup), (BOB, cup), (CID, cup)) == {ADA, BOB}
    async with counter.database.read() as conn:
        held = await holds.held_by(conn, [ada, bob], counter.clock.now())
    assert held == {ada: (1, counter.until), bob: (1, counter.until)}
    assert await counter.refresh([cup]) == Refreshed(on_turn={cup}), "said once"


async def test_nobody_overtakes_those_who_wait(counter: Counter) -> None:
    cup = await counter.variant("CUP", 1)
    assert await counter.take("line", cup)
    await counter.join(cup, ADA, BOB)
    await counter.release("line", cup)
    assert not await counter.take("dan", cup)
    assert await counter.turns((ADA, cup), (DAN, cup)) == {ADA}
    await counter.restock(cup, 5)
    assert await counter.available(cup) == 3
    assert not await counter.take("dan", cup, 4)
    assert await counter.take("dan", cup, 3)


async def test_a_turn_that_is_not_taken_passes_to_the_next(counter: Counter) -> None:
    cup = await counter.variant("CUP", 1)
    await counter.join(cup, ADA, BOB)
    await counter.refresh([cup])
    counter.clock.advance(TURN)
    assert await counter.turns((ADA, cup)) == set()
    assert not await counter.take("dan", cup)
    assert await counter.positions(cup, ADA, BOB) == [None, 0]
    counter.clock.advance(TURN)
    assert (await counter.refresh([cup])).changed == {cup}
    assert await counter.available(cup) == 1
    assert await counter.take("dan", cup)
    await audit(counter.database)


async def test_a_hold_that_lapses_is_offered_to_who_waits(counter: Counter) -> None:
    cup = await counter.variant("CUP", 1)
    assert await counter.take("line", cup)
    await counter.join(cup, ADA)
    counter.clock.advance(HOLD)
    assert await counter.available(cup) == 0
    refreshed = await counter.refresh()
    assert [one.viewer_id for one in refreshed.served] == [ADA]
    assert await counter.refresh() == Refreshed(on_turn={cup})


async def test_who_leaves_lets_the_others_move_up(counter: Counter) -> None:
    cup = await counter.variant("CUP")
    ada, bob, cid = await counter.join(cup, ADA, BOB, CID)
    async with counter.database.write() as tx:
        assert await waiting.leave(tx.conn, BOB, ada) is None, "not his"
        assert await waiting.leave(tx.conn, ADA, ada) == cup
        assert await waiting.leave(tx.conn, ADA, ada) is None
    assert await counter.positions(cup, ADA, BOB, CID) == [None, 1, 2]
    async with counter.database.write() as tx:
        await waiting.remove(tx.conn, [bob, cid])
        await waiting.remove(tx.conn, [])
    assert await counter.positions(cup, BOB, CID) == [None, None]


async def test_a_viewer_sees_all_his_places_those_with_a_turn_first(counter: Counter) -> None:
    cup, bowl = await counter.variant("CUP"), await counter.variant("BOWL")
    await counter.join(cup, BOB, ADA)
    counter.clock.advance(timedelta(seconds=1))
    await counter.join(bowl, ADA)
    assert await counter.places(ADA) == [(cup, 2), (bowl, 1)]
    await counter.restock(bowl, 1)
    await counter.refresh()
    assert await counter.places(ADA) == [(bowl, 0), (cup, 2)]


async def test_a_bundle_is_offered_once_all_its_parts_are_there(counter: Counter) -> None:
    cup, bowl = await counter.variant("CUP"), await counter.variant("BOWL", 1)
    both = await counter.variant("SET", parts=((cup, 2), (bowl, 1)))
    await counter.join(both, ADA)
    assert (await counter.refresh()).served == []
    await counter.restock(cup, 1)
    assert (await counter.refresh([cup])).served == []
    assert await counter.available(cup) == 1, "one cup is no use to who waits for the set"
    await counter.restock(cup, 2)
    refreshed = await counter.refresh([cup])
    assert [one.variant_id for one in refreshed.served] == [both]
    assert refreshed.changed == {both, cup, bowl}
    assert await counter.available(cup) == 0


async def test_who_waits_for_a_bundle_is_not_overtaken_by_a_buyer_of_its_part(
    counter: Counter,
) -> None:
    """Nor by holds of another part that have lapsed unswept."""
    cup, bowl = await counter.variant("CUP"), await counter.variant("BOWL", 1)
    both = await counter.variant("SET", parts=((cup, 1), (bowl, 1)))
    assert await counter.take("line", bowl)
    await counter.join(both, ADA)
    counter.clock.advance(timedelta(seconds=1))
    await counter.join(cup, BOB)
    counter.clock.advance(HOLD)
    await counter.restock(cup, 1)
    assert not await counter.take("dan", cup)
    assert await counter.positions(both, ADA) == [0]
    assert await counter.positions(cup, BOB) == [1]
    await audit(counter.database)


async def test_what_is_not_sold_any_more_is_offered_to_nobody(counter: Counter) -> None:
    draft = ProductDraft(
        title="Shirt",
        options=(Option("Size", ("S", "M")),),
        variants=tuple(
            VariantDraft(sku=size, price=euros(1), values=(size,)) for size in ("S", "M")
        ),
    )
    made = await counter.catalog.create_product(draft)
    small, medium = (variant.id for variant in made.product.variants)
    await counter.join(small, ADA)
    await counter.join(medium, BOB)
    fewer = ProductDraft(
        title="Shirt", options=(Option("Size", ("S", "M")),), variants=draft.variants[1:]
    )
    await counter.catalog.replace_product(made.product.id, fewer)
    await counter.restock(small, 1)
    await counter.restock(medium, 1)
    assert [one.viewer_id for one in (await counter.refresh()).served] == [BOB]


async def test_refreshing_costs_one_statement_where_there_is_nothing_to_do(
    counter: Counter,
) -> None:
    cup = await counter.variant("CUP", 1)
    sold_out = await counter.variant("BOWL", 1)
    await counter.take("line", sold_out)
    await counter.join(sold_out, *(viewer(number) for number in range(9)))
    for variant_ids in ([cup], [sold_out], [cup, sold_out]):
        with Statements(counter.database) as counted:
            assert await counter.refresh(variant_ids) == Refreshed()
        assert len(counted.sent) == (1 if counter.database.is_sqlite else 2), counted.sent
    with Statements(counter.database) as counted:
        assert await counter.available(sold_out) == 0
    assert len(counted.sent) == 1


async def test_as_many_are_served_at_once_as_there_are(counter: Counter) -> None:
    cup = await counter.variant("CUP")
    crowd = [viewer(number) for number in range(30)]
    await counter.join(cup, *crowd)
    await counter.restock(cup, 20)
    with Statements(counter.database) as counted:
        refreshed = await counter.refresh([cup])
    assert [one.viewer_id for one in refreshed.served] == crowd[:20]
    assert len(counted.sent) < 15, "however many are served"
    assert await counter.positions(cup, *crowd[19:22]) == [0, 1, 2]
    await audit(counter.database)


async def test_buyers_leavers_and_those_who_wait_at_once_neither_lose_nor_double_a_unit(
    counter: Counter,
) -> None:
    cup, bowl = await counter.variant("CUP", 4), await counter.variant("BOWL", 4)
    both = await counter.variant("SET", parts=((cup, 1), (bowl, 1)))
    things = (cup, bowl, both)

    async def act(number: int) -> None:
        thing = things[number % 3]
        if not await counter.take(f"line-{number}", thing):
            await counter.join(thing, viewer(number))
        if number % 4 == 0:
            await counter.release(f"line-{number}", thing)
        await counter.refresh([thing] if number % 2 else None)

    async with asyncio.timeout(60):
        await asyncio.gather(*(act(number) for number in range(30)))
    await audit(counter.database)
    await counter.refresh()
    for thing in things:
        async with counter.database.read() as conn:
            places = [
                place
                for number in range(30)
                for place in await waiting.places_of(conn, viewer(number))
                if place.variant_id == thing
            ]
        in_line = [place for place in places if place.offered_until is None]
        assert not in_line or not await counter.available(thing)
        assert sorted(place.position for place in in_line) == list(range(1, len(in_line) + 1))
