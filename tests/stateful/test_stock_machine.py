"""Whatever is taken, given back, sold, waited for and counted anew, the ledger says what is free.

Hypothesis drives holds and waitlist on real databases beside a model that keeps them in three
dictionaries. After each step both agree on every hold, every turn and everything available.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import builders
from checkout_builders import audit, begin_to_wait, viewer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from liveshop.app import Liveshop
from liveshop.catalog import holds, waiting
from liveshop.catalog.holds import OutOfStock, Wanted
from liveshop.catalog.model import StockHeld
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LocationId, PlaceId, VariantId, new_id

T = TypeVar("T")
HOLD, TURN = timedelta(minutes=5), timedelta(minutes=2)
_examples = count(1)
articles = st.integers(0, 2)
owners = st.integers(0, 5)
wishes = st.tuples(owners, articles, st.integers(1, 4))


@dataclass
class Held:
    pieces: dict[VariantId, int]
    until: datetime | None


@dataclass
class Turn:
    place_id: PlaceId
    variant_id: VariantId
    until: datetime | None = None


class Stock(RuleBasedStateMachine):
    """Cups at two places, bowls at one, and a set of two cups and a bowl."""

    shop: Liveshop
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        assert isinstance(self.shop.clock, ManualClock)
        self.clock = self.shop.clock
        self.database = self.shop.database
        self.example = next(_examples)
        self.articles: list[VariantId] = []
        self.parts: dict[VariantId, dict[VariantId, int]] = {}
        self.on_hand: dict[tuple[VariantId, LocationId], int] = {}
        self.held: dict[str, Held] = {}
        self.line: list[Turn] = []

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    @initialize()
    def fill_the_shelves(self) -> None:
        async def fill() -> None:
            self.places = [place.id for place in await self.shop.catalog.locations()]
            for title, stock in (("Cup", (3, 2)), ("Bowl", (2, 0))):
                made = await builders.product(
                    self.shop, title=title, stock=stock, places=self.places
                )
                variant_id = made.variants[0].id
                self.articles.append(variant_id)
                self.parts[variant_id] = {variant_id: 1}
                for place, quantity in zip(self.places, stock, strict=True):
                    self.on_hand[variant_id, place] = quantity
            both = {self.articles[0]: 2, self.articles[1]: 1}
            variant_id = (await builders.bundle(self.shop, both)).variants[0].id
            self.articles.append(variant_id)
            self.parts[variant_id] = both

        self.run(fill())

    # the model

    def owner(self, number: int) -> str:
        return f"lin_{self.example}_{number}"

    def free(self, piece: VariantId) -> int:
        there = sum(n for (variant_id, _), n in self.on_hand.items() if variant_id == piece)
        return there - sum(one.pieces.get(piece, 0) for one in self.held.values())

    def units(self, variant_id: VariantId) -> int:
        return min(self.free(piece) // n for piece, n in self.parts[variant_id].items())

    def put(self, owner: str, variant_id: VariantId, quantity: int, until: datetime | None) -> None:
        pieces = {piece: n * quantity for piece, n in self.parts[variant_id].items()}
        before = self.held.get(owner)
        for piece, n in before.pieces.items() if before else ():
            pieces[piece] = pieces.get(piece, 0) + n
        self.held[owner] = Held(pieces, until)

    def refresh(self) -> list[PlaceId]:
        now = self.clock.now()
        self.held = {
            owner: one for owner, one in self.held.items() if one.until is None or one.until > now
        }
        self.line = [one for one in self.line if one.until is None or one.until > now]
        served = []
        for one in self.line:
            if one.until is None and self.units(one.variant_id) > 0:
                one.until = now + TURN
                self.put(one.place_id, one.variant_id, 1, one.until)
                served.append(one.place_id)
        return served

    # what happens

    async def refreshed(self, conn: Any) -> list[PlaceId]:
        now = self.clock.now()
        found = await waiting.refresh(conn, self.articles, now, now + TURN)
        return [one.place_id for one in found.served]

    @rule(asked=st.lists(wishes, min_size=1, max_size=4, unique_by=lambda wish: wish[0]))
    def carts_are_filled(self, asked: list[tuple[int, int, int]]) -> None:
        until = self.clock.now() + HOLD
        wanted = [
            Wanted(self.owner(owner), self.articles[article], quantity, until)
            for owner, article, quantity in asked
        ]

        async def take() -> list[OutOfStock | None]:
            async with self.database.write() as tx:
                served = await self.refreshed(tx.conn)
                assert served == self.refresh()
                await holds.release(tx.conn, [one.owner for one in wanted])
                return await holds.take_each(tx.conn, wanted, self.clock.now())

        answers = self.run(take())
        for one in wanted:
            self.held.pop(one.owner, None)
        for one, refused in zip(wanted, answers, strict=True):
            available = self.units(one.variant_id)
            if available >= one.quantity:
                assert refused is None
                self.put(one.owner, one.variant_id, one.quantity, until)
            else:
                assert refused is not None
                assert refused.data["available"] == available

    @rule(number=owners)
    def a_cart_is_emptied(self, number: int) -> None:
        async def release() -> None:
            async with self.database.write() as tx:
                await holds.lock(tx.conn, self.articles)
                await holds.release(tx.conn, [self.owner(number)])

        self.run(release())
        self.held.pop(self.owner(number), None)

    @rule(number=owners, minutes=st.integers(1, 9))
    def a_hold_is_extended(self, number: int, minutes: int) -> None:
        now = self.clock.now()
        held = self.held.get(self.owner(number))
        if held is None or held.until is None or held.until <= now:
            return

        async def extend() -> None:
            async with self.database.write() as tx:
                ends = {self.owner(number): now + timedelta(minutes=minutes)}
                await holds.extend(tx.conn, ends)

        self.run(extend())
        held.until = now + timedelta(minutes=minutes)

    @rule(numbers=st.sets(owners, min_size=1), is_paid=st.booleans())
    def an_order_is_paid_or_refused(self, numbers: set[int], is_paid: bool) -> None:
        """Refused, the first of its lines gets back what it held, if that was one of something."""
        now = self.clock.now()
        lines = [
            owner
            for owner in map(self.owner, sorted(numbers))
            if owner in self.held and (self.held[owner].until or now) > now
        ]
        if not lines:
            return
        order = new_id("ord", now)
        pieces = sum(sum(self.held[owner].pieces.values()) for owner in lines)
        first = self.held[lines[0]]
        back = next((id_ for id_ in self.articles if self.parts[id_] == first.pieces), None)

        async def decide() -> None:
            async with self.database.write() as tx:
                await holds.lock(tx.conn, self.articles)
                moved = await holds.hand_over_all(tx.conn, lines, order, expires_at=None)
                assert sum(moved.values()) == pieces
                if is_paid:
                    await holds.sell(tx.conn, order)
                    return
                if back is not None:
                    wanted = [Wanted(lines[0], back, 1, now + HOLD)]
                    await holds.hand_back(tx.conn, order, wanted)
                await holds.release(tx.conn, [order])

        self.run(decide())
        for owner in lines:
            del self.held[owner]
        if is_paid:
            self.count_the_shelves()
        elif back is not None:
            self.put(lines[0], back, 1, now + HOLD)

    def count_the_shelves(self) -> None:
        """From which shelf it came is the shop's own affair; how much is gone is asked below."""
        before = {piece: self.free(piece) for piece in self.articles[:2]}
        rows = self.run(audit(self.database, self.articles))
        held = {
            piece: sum(one.pieces.get(piece, 0) for one in self.held.values()) for piece in before
        }
        for row in rows:
            self.on_hand[VariantId(row.variant_id), LocationId(row.location_id)] = row.on_hand
        for piece in before:
            assert sum(row.held for row in rows if row.variant_id == piece) == held[piece]

    @rule(piece=st.integers(0, 1), place=st.integers(0, 1), quantity=st.integers(0, 5))
    def the_merchant_counts(self, piece: int, place: int, quantity: int) -> None:
        variant_id, place_id = self.articles[piece], self.places[place]
        rows = self.run(audit(self.database, [variant_id]))
        held = max((row.held for row in rows if row.location_id == place_id), default=0)
        with suppress(StockHeld):
            self.run(self.shop.catalog.set_stock(variant_id, place_id, quantity))
            self.on_hand[variant_id, place_id] = quantity
            return
        assert quantity < held

    @rule(article=articles, number=owners)
    def somebody_waits(self, article: int, number: int) -> None:
        self.clock.advance(timedelta(seconds=1))
        who, variant_id = viewer(self.example * 100 + number), self.articles[article]

        async def join() -> tuple[bool, PlaceId]:
            async with self.database.write() as tx:
                await holds.lock(tx.conn, [variant_id])
                mine = await waiting.places_of(tx.conn, who)
                given = await begin_to_wait(tx.conn, variant_id, who, self.clock.now())
            return all(place.id != given for place in mine), given

        is_fresh, given = self.run(join())
        if is_fresh:
            self.line.append(Turn(given, variant_id))
        else:
            assert any(one.place_id == given for one in self.line)

    @rule(number=owners)
    def somebody_leaves(self, number: int) -> None:
        who = viewer(self.example * 100 + number)

        async def leave() -> list[PlaceId]:
            async with self.database.write() as tx:
                await holds.lock(tx.conn, self.articles)
                places = [one.id for one in await waiting.places_of(tx.conn, who)]
                for place_id in places:
                    assert await waiting.leave(tx.conn, who, place_id) is not None
                await holds.release(tx.conn, places)
            return places

        for place_id in self.run(leave()):
            self.held.pop(place_id, None)
            self.line = [one for one in self.line if one.place_id != place_id]

    @rule(seconds=st.sampled_from([1, 60, 119, 121, 301]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def the_queue_moves(self) -> None:
        async def refresh() -> list[PlaceId]:
            async with self.database.write() as tx:
                return await self.refreshed(tx.conn)

        assert self.run(refresh()) == self.refresh()

    # what must be true

    @invariant()
    def the_database_agrees(self) -> None:
        if len(self.articles) == 3:
            self.run(self.compare())

    async def compare(self) -> None:
        now = self.clock.now()
        for row in await audit(self.database, self.articles):
            shelf = VariantId(row.variant_id), LocationId(row.location_id)
            assert row.on_hand == self.on_hand[shelf]
        live = {
            owner: one for owner, one in self.held.items() if one.until is None or one.until > now
        }
        everybody = [*map(self.owner, range(6)), *(one.place_id for one in self.line)]
        async with self.database.read() as conn:
            held = await holds.held_by(conn, everybody, now)
        assert held == {owner: (sum(one.pieces.values()), one.until) for owner, one in live.items()}
        all_held, self.held = self.held, live
        in_line = {
            id_: sum(one.variant_id == id_ and one.until is None for one in self.line)
            for id_ in self.articles
        }
        pieces = {id_: max(0, self.free(id_) - in_line[id_]) for id_ in self.articles[:2]}
        both = self.articles[2]
        units = min(pieces[piece] // n for piece, n in self.parts[both].items())
        self.held = all_held
        expected = pieces | {both: max(0, units - in_line[both])}
        assert await self.shop.catalog.available(self.articles) == expected


def test_the_ledger_and_the_shelves_agree_whatever_happens(
    open_shop: Liveshop, loop: asyncio.AbstractEventLoop
) -> None:
    for priority, name in enumerate(("Warehouse", "Store")):
        loop.run_until_complete(builders.location(open_shop, name, priority=priority))
    run_state_machine_as_test(
        type("StockHere", (Stock,), {"shop": open_shop, "loop": loop}),
        settings=settings(
            max_examples=30 if open_shop.database.is_sqlite else 12,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
