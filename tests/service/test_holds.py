"""Holds in both databases: taken, given back, handed on and sold; bundles as their parts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from catalog_builders import Statements, euros, shop
from checkout_builders import audit

from liveshop.catalog import holds, shelves, store
from liveshop.catalog.holds import OutOfStock, Wanted
from liveshop.catalog.model import (
    BadProduct,
    BundleHasNoStock,
    Location,
    Option,
    ProductDraft,
    StockedProduct,
    VariantDraft,
)
from liveshop.catalog.service import CatalogService
from liveshop.catalog.tables import hold
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.storage import Database


@dataclass
class Store:
    """A warehouse and a store, and what lies there."""

    database: Database
    clock: ManualClock
    catalog: CatalogService
    places: list[Location]

    @property
    def later(self) -> datetime:
        return self.clock.now() + timedelta(minutes=10)

    async def variant(self, sku: str, *on_hand: int) -> VariantId:
        """One with so much at each location, the one asked first first."""
        [variant] = (await self.put(VariantDraft(sku=sku, price=euros(1000)))).product.variants
        for place, quantity in zip(self.places, on_hand, strict=False):
            await self.catalog.set_stock(variant.id, place.id, quantity)
        return variant.id

    async def bundle(self, sku: str, parts: Mapping[VariantId, int]) -> VariantId:
        draft = VariantDraft(sku=sku, price=euros(1500), parts=tuple(parts.items()))
        return (await self.put(draft)).product.variants[0].id

    async def put(
        self, *variants: VariantDraft, options: tuple[Option, ...] = ()
    ) -> StockedProduct:
        draft = ProductDraft(title="A", variants=variants, options=options)
        return await self.catalog.create_product(draft)

    def wanted(self, owner: str, variant_id: VariantId, quantity: int = 1) -> Wanted:
        return Wanted(owner, variant_id, quantity, self.later)

    async def take_each(self, *wanted: Wanted) -> list[OutOfStock | None]:
        async with self.database.write() as tx:
            await holds.lock(tx.conn, [one.variant_id for one in wanted])
            return await holds.take_each(tx.conn, wanted, self.clock.now())

    async def available(self, *variant_ids: VariantId) -> list[int]:
        found = await self.catalog.available(variant_ids)
        return [found[variant_id] for variant_id in variant_ids]

    async def held_by(self, *owners: str) -> list[int]:
        async with self.database.read() as conn:
            found = await holds.held_by(conn, owners, self.clock.now())
        return [found.get(owner, (0, None))[0] for owner in owners]

    async def shelf(self, variant_id: VariantId) -> list[tuple[int, int]]:
        """(on hand, held) by location."""
        rows = {row.location_id: row for row in await audit(self.database, [variant_id])}
        found = [rows[place.id] for place in self.places if place.id in rows]
        return [(row.on_hand, row.held) for row in found]


@pytest.fixture
async def here(database: Database, clock: ManualClock) -> Store:
    catalog = CatalogService(database, clock, shop())
    places = [
        await catalog.create_location("Warehouse", priority=1),
        await catalog.create_location("Store", kind="store", priority=2),
    ]
    return Store(database, clock, catalog, places)


async def test_each_of_many_gets_his_own_answer_in_the_order_of_asking(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 3), await here.variant("BOWL", 5)
    ada, bob, cid, dan = await here.take_each(
        here.wanted("ada", cup, 2),
        here.wanted("bob", cup, 2),
        here.wanted("cid", bowl, 4),
        here.wanted("dan", cup, 1),
    )
    assert (ada, cid, dan) == (None, None, None)
    assert bob is not None
    assert bob.data == {"variant_id": cup, "available": 1}
    assert await here.available(cup, bowl) == [0, 1]
    assert await here.held_by("ada", "bob", "cid", "dan") == [2, 0, 4, 1]
    await audit(here.database)


async def test_what_one_location_has_comes_from_there_and_else_from_several(here: Store) -> None:
    cup = await here.variant("CUP", 2, 5)
    assert await here.take_each(here.wanted("ada", cup, 4)) == [None]
    assert await here.shelf(cup) == [(2, 0), (5, 4)]
    assert await here.take_each(here.wanted("bob", cup, 3)) == [None]
    assert await here.shelf(cup) == [(2, 2), (5, 5)]
    [refused] = await here.take_each(here.wanted("cid", cup))
    assert refused is not None
    assert (refused.detail, refused.data["available"]) == ("This is sold out.", 0)


async def test_taking_all_or_nothing_leaves_nothing_when_one_is_refused(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 3), await here.variant("BOWL", 1)
    with pytest.raises(OutOfStock, match="Only 1 left"):
        async with here.database.write() as tx:
            wanted = [here.wanted("ada", cup, 1), here.wanted("ada", bowl, 2)]
            await holds.take(tx.conn, wanted, here.clock.now())
    assert await here.available(cup, bowl) == [3, 1]
    assert await here.take_each(here.wanted("x", VariantId("var_nothing"))) != [None]
    assert await here.take_each() == []


async def test_the_number_of_statements_does_not_grow_with_the_number_of_wishes(
    here: Store,
) -> None:
    cups = [await here.variant(f"CUP-{number}", 3, 3) for number in range(12)]
    for count in (1, 12):
        with Statements(here.database) as counted:
            answers = await here.take_each(
                *(here.wanted(f"{count}-{place}", cup) for place, cup in enumerate(cups[:count]))
            )
        assert answers == [None] * count
        # What there is, the guarded UPDATE, the ledger; on PostgreSQL the lock before them.
        assert len(counted.sent) == (3 if here.database.is_sqlite else 4), counted.sent
    with Statements(here.database) as counted:
        async with here.database.write() as tx:
            await holds.release(tx.conn, [f"12-{place}" for place in range(12)])
    assert len(counted.sent) == 2, counted.sent
    with Statements(here.database) as counted:
        await here.available(*cups)
    assert len(counted.sent) == 1, counted.sent


async def test_stock_that_is_gone_between_the_look_and_the_update_is_not_taken(
    here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock keeps this from happening; should it be forgotten somewhere, the guard holds."""
    cup, bowl = await here.variant("CUP", 2), await here.variant("BOWL", 1)
    load, loaded = shelves.load, 0

    async def stale_load(conn: object, variant_ids: Sequence[str]) -> shelves.Shelves:
        nonlocal loaded
        loaded += 1
        found = await load(conn, variant_ids)  # type: ignore[arg-type]
        if loaded == 1:
            for places in found.free.values():
                for place in places:
                    places[place] += 1
        return found

    monkeypatch.setattr(shelves, "load", stale_load)
    answers = await here.take_each(
        here.wanted("ada", cup, 2), here.wanted("bob", bowl, 1), here.wanted("cid", bowl, 1)
    )
    assert [answer is None for answer in answers] == [True, True, False]
    assert loaded == 2
    assert await here.held_by("ada", "bob", "cid") == [2, 1, 0]
    await audit(here.database)


async def test_a_lapsed_hold_is_free_at_once_and_given_back_when_swept(here: Store) -> None:
    cup = await here.variant("CUP", 2)
    await here.take_each(here.wanted("ada", cup, 2))
    here.clock.advance(timedelta(minutes=10))
    assert await here.available(cup) == [2]
    assert await here.shelf(cup) == [(2, 2)]
    async with here.database.write() as tx:
        assert await holds.release_lapsed(tx.conn, here.clock.now()) == {cup}
        assert await holds.release_lapsed(tx.conn, here.clock.now()) == set()
    assert await here.shelf(cup) == [(2, 0)]


async def test_a_hold_that_is_extended_lapses_at_its_new_end(here: Store) -> None:
    cup = await here.variant("CUP", 3)
    await here.take_each(*(here.wanted(owner, cup) for owner in ("ada", "bob", "cid")))
    start = here.clock.now()
    ends = {"ada": start + timedelta(minutes=15), "bob": start + timedelta(minutes=20)}
    with Statements(here.database) as counted:
        async with here.database.write() as tx:
            await holds.extend(tx.conn, ends)
            await holds.extend(tx.conn, {})
    assert len(counted.sent) == 1
    for minutes, held in ((10, [1, 1, 0]), (5, [0, 1, 0]), (5, [0, 0, 0])):
        here.clock.advance(timedelta(minutes=minutes))
        assert await here.held_by("ada", "bob", "cid") == held


async def test_what_is_sold_leaves_the_shelf(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 1, 3), await here.variant("BOWL", 2)
    await here.take_each(
        here.wanted("ada-1", cup, 4), here.wanted("ada-2", bowl), here.wanted("bob", bowl)
    )
    async with here.database.write() as tx:
        moved = await holds.hand_over_all(tx.conn, ["ada-1", "ada-2"], "ord", expires_at=None)
        first, second = (place.id for place in here.places)
        assert moved == {(cup, first): 1, (cup, second): 3, (bowl, first): 1}
        assert await holds.hand_over(tx.conn, "nobody", "ord", expires_at=None) == 0
    here.clock.advance(timedelta(days=1))
    assert await here.held_by("ord", "ada-1", "bob") == [5, 0, 0]
    async with here.database.write() as tx:
        assert await holds.sell(tx.conn, "ord") == moved
        assert await holds.sell(tx.conn, "ord") == {}
    assert await here.shelf(cup) == [(0, 0), (0, 0)]
    assert await here.shelf(bowl) == [(1, 1)]


# Bundles


async def test_a_bundle_is_as_available_as_its_scarcest_part(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 4, 3), await here.variant("BOWL", 5)
    both = await here.bundle("SET", {cup: 2, bowl: 1})
    assert await here.available(both, cup, bowl) == [3, 7, 5]
    await here.take_each(here.wanted("ada", bowl, 4))
    assert await here.available(both) == [1]
    await here.catalog.set_stock(bowl, here.places[0].id, 40)
    assert await here.available(both) == [3]
    async with here.database.read() as conn:
        assert await store.with_bundles(conn, [cup]) == {cup, both}
        assert await store.with_bundles(conn, [both]) == {both}
        assert await store.pieces(conn, [cup, both]) == {cup: 1, both: 3}


async def test_a_bundle_is_held_and_sold_as_its_parts(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 3, 3), await here.variant("BOWL", 3)
    both = await here.bundle("SET", {cup: 2, bowl: 1})
    ada, bob, cid = await here.take_each(
        here.wanted("ada", both, 2), here.wanted("bob", both, 2), here.wanted("cid", cup, 2)
    )
    assert (ada, cid) == (None, None)
    assert bob is not None
    assert bob.data == {"variant_id": both, "available": 1}
    assert await here.held_by("ada", "bob", "cid") == [6, 0, 2]
    assert await here.available(both, cup, bowl) == [0, 0, 1]
    async with here.database.write() as tx:
        await holds.lock(tx.conn, [both])
        here_now = here.places[0].id
        assert await holds.sell(tx.conn, "ada") == {
            (cup, here_now): 3,
            (cup, here.places[1].id): 1,
            (bowl, here_now): 2,
        }
        assert await holds.release(tx.conn, ["cid"]) == {cup}
    assert await here.available(both, cup, bowl) == [1, 2, 1]
    await audit(here.database)


async def test_the_lapsed_holds_of_parts_are_released_with_their_bundle(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 1), await here.variant("BOWL", 1)
    both = await here.bundle("SET", {cup: 1, bowl: 1})
    await here.take_each(here.wanted("ada", cup))
    here.clock.advance(timedelta(minutes=10))
    assert await here.available(both) == [1]
    async with here.database.write() as tx:
        released = await holds.release_lapsed(tx.conn, here.clock.now(), variant_ids=[both])
        assert released == {cup}
        await holds.take(tx.conn, [here.wanted("bob", both)], here.clock.now())
    assert await here.held_by("bob") == [2]


async def test_what_a_refused_order_held_goes_back_to_each_line(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 2, 3), await here.variant("BOWL", 3)
    both = await here.bundle("SET", {cup: 2, bowl: 1})
    await here.take_each(here.wanted("ada-1", both), here.wanted("ada-2", cup, 3))
    async with here.database.write() as tx:
        await holds.hand_over_all(tx.conn, ["ada-1", "ada-2"], "ord", expires_at=None)
        back = [here.wanted("new-2", cup, 1), here.wanted("new-1", both)]
        await holds.hand_back(tx.conn, "ord", back)
    assert await here.held_by("new-1", "new-2", "ord") == [3, 1, 2]
    await audit(here.database)
    async with here.database.write() as tx:
        await holds.hand_back(tx.conn, "ord", [here.wanted("greedy", cup, 50)])
        await holds.hand_back(tx.conn, "ord", [here.wanted("late", cup, 1)])
        await holds.hand_back(tx.conn, "ord", [])
    assert await here.held_by("greedy", "late", "ord") == [2, 0, 0]
    await audit(here.database)


async def test_a_bundle_has_no_stock_of_its_own(here: Store) -> None:
    cup = await here.variant("CUP", 1)
    both = await here.bundle("SET", {cup: 2})
    with pytest.raises(BundleHasNoStock) as caught:
        await here.catalog.set_stock(both, here.places[0].id, 3)
    assert caught.value.data == {"part_ids": [cup]}
    assert await here.catalog.stock_of(both) == []
    assert await here.available(both) == [0]


async def test_a_bundle_with_a_withdrawn_part_cannot_be_had(here: Store) -> None:
    made = await here.put(
        VariantDraft(sku="CUP", price=euros(1000), values=("S",)),
        VariantDraft(sku="MUG", price=euros(1000), values=("M",)),
        options=(Option("Size", ("S", "M")),),
    )
    cup, mug = (variant.id for variant in made.product.variants)
    for part in (cup, mug):
        await here.catalog.set_stock(part, here.places[0].id, 5)
    both = await here.bundle("SET", {cup: 1, mug: 1})
    assert await here.available(both) == [5]
    without_cup = ProductDraft(
        title="A",
        variants=(VariantDraft(sku="MUG", price=euros(1000), values=("M",)),),
        options=(Option("Size", ("M",)),),
    )
    await here.catalog.replace_product(made.product.id, without_cup)
    assert await here.available(both, mug) == [0, 5]
    [refused] = await here.take_each(here.wanted("ada", both))
    assert refused is not None
    assert refused.data["available"] == 0


async def test_bundles_are_of_variants_on_sale_that_are_no_bundles(here: Store) -> None:
    cup = await here.variant("CUP", 1)
    both = await here.bundle("SET", {cup: 2})
    for bad in (VariantId("var_nothing"), both):
        with pytest.raises(BadProduct, match="cannot be part") as caught:
            await here.bundle("BAD", {cup: 1, bad: 1})
        assert caught.value.data == {"field": "parts", "variant_ids": [bad]}
    loaded = (await here.catalog.products(query="set")).products[0].product.variants[0]
    [part] = loaded.parts
    assert (part.variant_id, part.sku, part.title, part.quantity) == (cup, "CUP", "A", 2)
    assert loaded.pieces == 2


async def test_a_bundle_whose_parts_change_is_another_variant(here: Store) -> None:
    """What a cart holds of the old one is what it was, until it is let go or sold."""
    cup, bowl = await here.variant("CUP", 5), await here.variant("BOWL", 5)
    made = await here.put(VariantDraft(sku="SET", price=euros(1500), parts=((cup, 1),)))
    [old] = made.product.variants
    await here.take_each(here.wanted("ada", old.id))
    same = VariantDraft(sku="SET", price=euros(1400), parts=((cup, 1),), id=old.id)
    replaced = await here.catalog.replace_product(
        made.product.id, ProductDraft(title="A", variants=(same,))
    )
    assert [one.id for one in replaced.product.variants] == [old.id]
    more = VariantDraft(sku="SET", price=euros(1400), parts=((bowl, 2), (cup, 1)), id=old.id)
    replaced = await here.catalog.replace_product(
        made.product.id, ProductDraft(title="A", variants=(more,))
    )
    [new] = replaced.product.variants
    assert new.id != old.id
    assert [(part.variant_id, part.quantity) for part in new.parts] == sorted([(bowl, 2), (cup, 1)])
    assert replaced.available == {new.id: 2}
    async with here.database.write() as tx:
        assert {one for one, _ in await holds.sell(tx.conn, "ada")} == {cup}


async def test_takers_of_bundles_and_of_parts_never_take_more_than_there_is(here: Store) -> None:
    cup, bowl = await here.variant("CUP", 5, 4), await here.variant("BOWL", 6)
    both = await here.bundle("SET", {cup: 2, bowl: 1})
    pair = await here.bundle("PAIR", {bowl: 2})

    async def take(number: int) -> bool:
        variant_id = (cup, both, bowl, pair)[number % 4]
        return await here.take_each(here.wanted(f"line-{number}", variant_id)) == [None]

    async with asyncio.timeout(30):
        taken = await asyncio.gather(*(take(number) for number in range(40)))
    assert any(taken)
    assert not all(taken)
    rows = await audit(here.database)
    async with here.database.read() as conn:
        pieces = await conn.scalar(sa.select(sa.func.sum(hold.c.quantity)))
    assert pieces == sum(row.held for row in rows)
    assert min(await here.available(cup, bowl, pair, both)) == 0
