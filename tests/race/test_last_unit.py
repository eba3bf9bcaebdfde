"""Fifty buyers, one unit, two servers: first the race with the guards removed, then with them.

Buyers who come together share a transaction on each server. Between servers two guards stand one
behind the other: `holds.lock` lets one transaction work on a variant at a time, and the UPDATE in
`holds._reserve` counts and takes in one statement. Each of them is enough, and both are removed to
show what they are there for. Within a transaction each buyer sees what the one before him took.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import builders
import pytest
import sqlalchemy as sa
from checkout_builders import audit, viewer, wish_of
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.catalog import holds
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.shelves import Shelf, Shelves
from liveshop.catalog.tables import hold, stock
from liveshop.checkout.reserve import Wish
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId, ViewerId
from liveshop.orders.model import Order
from liveshop.orders.tables import shop_order
from liveshop.payments.tables import sandbox_charge

BUYERS = [viewer(number) for number in range(50)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the race ended, as the database tells it."""

    confirmed: list[Order]
    refused: int
    broken: int
    """Buyers who were told nothing sensible."""
    orders: int
    charges: int
    on_hand: int


@pytest.fixture
async def last_unit(nodes: list[Liveshop]) -> VariantId:
    return VariantId((await builders.product(nodes[0], stock=1)).variants[0].id)


def at(nodes: list[Liveshop], buyer: ViewerId) -> Liveshop:
    return nodes[BUYERS.index(buyer) % len(nodes)]


async def hold_it(nodes: list[Liveshop], variant_id: VariantId) -> list[ViewerId]:
    """All buyers put it into their carts at once; those whose cart says that they have it."""
    ended = await asyncio.gather(
        *(at(nodes, who).carts.add_to_cart(who, variant_id, 1, None) for who in BUYERS),
        return_exceptions=True,
    )
    holders = []
    for who, one in zip(BUYERS, ended, strict=True):
        if isinstance(one, BaseException):
            assert isinstance(one, OutOfStock), one
            assert one.data == {"variant_id": variant_id, "available": 0}
        elif one.lines[0].hold == "held":
            holders.append(who)
    return holders


async def buy_it(nodes: list[Liveshop], holders: Iterable[ViewerId]) -> Outcome:
    """Those who hold it place their orders at once."""

    async def buyer(who: ViewerId) -> Order:
        shop = at(nodes, who)
        return await shop.orders.place_order(who, "key", await wish_of(shop, who))

    ended = await asyncio.gather(*map(buyer, holders), return_exceptions=True)
    async with nodes[0].database.read() as conn:
        orders = await conn.scalar(sa.select(sa.func.count()).select_from(shop_order))
        charges = await conn.scalar(
            sa.select(sa.func.count())
            .select_from(sandbox_charge)
            .where(sandbox_charge.c.state == "paid")
        )
        on_hand = await conn.scalar(sa.select(sa.func.sum(stock.c.on_hand)))
    return Outcome(
        confirmed=[
            one for one in ended if not isinstance(one, BaseException) and one.state == "confirmed"
        ],
        refused=sum(isinstance(one, OutOfStock) for one in ended),
        broken=sum(isinstance(one, IntegrityError) for one in ended),
        orders=orders or 0,
        charges=charges or 0,
        on_hand=on_hand or 0,
    )


async def promised(shop: Liveshop) -> tuple[int, int]:
    """(pieces promised to buyers, pieces the shelf says are held)."""
    async with shop.database.read() as conn:
        holding = await conn.scalar(sa.select(sa.func.sum(hold.c.quantity)))
        held = await conn.scalar(sa.select(sa.func.sum(stock.c.held)))
    return holding or 0, held or 0


def is_sqlite(nodes: list[Liveshop]) -> bool:
    return nodes[0].database.is_sqlite


async def no_lock(_conn: AsyncConnection, _variant_ids: Iterable[str]) -> None:
    return None


class Seen(Shelves):
    """What was free when somebody looked, however many have taken of it since."""

    def take(self, variant_id: VariantId, quantity: int) -> dict[Shelf, int]:
        return {(variant_id, place): quantity for place in self.free[variant_id]}


async def write(conn: AsyncConnection, shelf: Shelf, held: int) -> None:
    await conn.execute(
        sa.update(stock)
        .where(stock.c.variant_id == shelf[0], stock.c.location_id == shelf[1])
        .values(held=held)
    )


async def test_without_guards_looking_in_one_transaction_and_taking_in_the_next_oversells(
    nodes: list[Liveshop], last_unit: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commonest shop: a page looks whether there is stock, a form then takes it. One writer at
    a time, as in SQLite, is no help, nor is it that buyers share a transaction: every one of them
    has looked before the first one writes.
    """
    [place] = await nodes[0].catalog.locations()
    all_have_looked = asyncio.Barrier(len(BUYERS))

    async def what_the_page_said(_conn: AsyncConnection, _ids: Iterable[str]) -> Shelves:
        return Seen(free={last_unit: {place.id: 1}})

    async def naive_reserve(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> set[Shelf]:
        for shelf in pieces:
            await write(conn, shelf, 1)
        return set(pieces)

    monkeypatch.setattr(holds.shelves, "load", what_the_page_said)
    monkeypatch.setattr(holds, "_reserve", naive_reserve)

    async def buyer(who: ViewerId) -> ViewerId | None:
        shop = at(nodes, who)
        [level] = await shop.catalog.stock_of(last_unit)
        assert level.available == 1
        async with asyncio.timeout(20):
            await all_have_looked.wait()
        cart = await shop.carts.add_to_cart(who, last_unit, 1, None)
        return who if cart.lines[0].hold == "held" else None

    holders = [who for who in await asyncio.gather(*map(buyer, BUYERS)) if who is not None]
    assert len(holders) == 50, "every cart says that it has the last unit"
    assert await promised(nodes[0]) == (50, 1)
    outcome = await buy_it(nodes, holders)
    # The CHECK on the table stops the second sale, but only after everybody has paid.
    assert (outcome.orders, outcome.charges, len(outcome.confirmed)) == (50, 50, 1)
    assert outcome.broken == 49


async def test_without_guards_reading_and_writing_in_one_transaction_oversells_on_postgresql(
    nodes: list[Liveshop], last_unit: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction alone does not help: READ COMMITTED lets both servers read before the first
    one writes. SQLite's single writer hides the mistake, so there it would go unnoticed in tests.
    """
    both_have_read = asyncio.Barrier(len(nodes))

    async def naive_reserve(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> set[Shelf]:
        """Whoever comes here has read in this transaction that there is enough."""
        if not is_sqlite(nodes):
            async with asyncio.timeout(20):
                await both_have_read.wait()
        for shelf, quantity in pieces.items():
            await write(conn, shelf, quantity)
        return set(pieces)

    monkeypatch.setattr(holds, "_reserve", naive_reserve)
    monkeypatch.setattr(holds.shelves, "lock", no_lock)
    holders = await hold_it(nodes, last_unit)
    if is_sqlite(nodes):
        assert len(holders) == 1
        return
    assert len(holders) == 2, "one in each server's transaction"
    assert await promised(nodes[0]) == (2, 1)
    outcome = await buy_it(nodes, holders)
    assert (outcome.orders, outcome.charges, len(outcome.confirmed)) == (2, 2, 1)


async def test_without_guards_a_group_that_answers_by_what_it_has_read_oversells(
    nodes: list[Liveshop], last_unit: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who share a transaction are a race of their own, on every database: each of them must
    see what the one before him took.
    """
    load = holds.shelves.load

    async def load_and_forget(conn: AsyncConnection, variant_ids: Iterable[str]) -> Shelves:
        found = await load(conn, variant_ids)
        return Seen(free=found.free)

    async def naive_reserve(conn: AsyncConnection, pieces: Mapping[Shelf, int]) -> set[Shelf]:
        for shelf in pieces:
            await write(conn, shelf, 1)
        return set(pieces)

    monkeypatch.setattr(holds.shelves, "load", load_and_forget)
    monkeypatch.setattr(holds, "_reserve", naive_reserve)
    ended = await asyncio.gather(
        *(
            nodes[0].carts._reservations._write([Wish(who, 1, variant_id=last_unit) for who in two])
            for two in (BUYERS[:40], BUYERS[40:])
        )
    )
    holders = [
        who
        for who, one in zip(BUYERS, [*ended[0], *ended[1]], strict=True)
        if not isinstance(one, Exception) and one.lines[0].hold == "held"
    ]
    assert len(holders) in (40, 10), "all of the first group, and nobody of the second"
    assert await promised(nodes[0]) == (len(holders), 1)


async def test_the_conditional_update_alone_is_enough(
    nodes: list[Liveshop], last_unit: VariantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds.shelves, "lock", no_lock)
    holders = await hold_it(nodes, last_unit)
    assert len(holders) == 1
    assert await promised(nodes[0]) == (1, 1)


async def test_the_last_unit_goes_to_exactly_one_of_fifty_buyers(
    nodes: list[Liveshop], last_unit: VariantId
) -> None:
    holders = await hold_it(nodes, last_unit)
    assert len(holders) == 1
    assert await promised(nodes[0]) == (1, 1)
    outcome = await buy_it(nodes, holders)
    assert (outcome.orders, outcome.charges, len(outcome.confirmed)) == (1, 1, 1)
    assert outcome.on_hand == 0
    assert [(row.on_hand, row.held) for row in await audit(nodes[0].database)] == [(0, 0)]


async def test_carts_that_all_lapsed_race_for_the_last_unit_at_the_till(
    nodes: list[Liveshop], last_unit: VariantId, clock: ManualClock, other_clock: ManualClock
) -> None:
    """All fifty have it in the cart, none holds it any more, and all press "buy" at once."""
    for who in BUYERS:
        await at(nodes, who).carts.add_to_cart(who, last_unit, 1, None)
        for own in (clock, other_clock):
            own.advance(timedelta(seconds=600))
    outcome = await buy_it(nodes, BUYERS)
    assert (outcome.orders, outcome.charges, len(outcome.confirmed)) == (1, 1, 1)
    assert (outcome.refused, outcome.broken, outcome.on_hand) == (49, 0, 0)


async def test_as_many_are_sold_as_there_are_and_the_rest_are_told(
    nodes: list[Liveshop],
) -> None:
    places = [
        await builders.location(nodes[0], "A"),
        await builders.location(nodes[0], "B", priority=2),
    ]
    cup = await builders.product(nodes[0], title="Cup", stock=(7, 6), places=places)
    holders = await hold_it(nodes, VariantId(cup.variants[0].id))
    assert len(holders) == 13
    outcome = await buy_it(nodes, holders)
    assert (len(outcome.confirmed), outcome.charges, outcome.on_hand) == (13, 13, 0)
    await audit(nodes[0].database)
