"""Carts and orders under fire from two servers: two tabs, one key many times, lapsing holds, a
merchant who counts his shelf meanwhile. Where a guard can be removed, the race is shown first.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import builders
import pytest
import sqlalchemy as sa
from builders import DECLINED_CARD, GOOD_CARD
from checkout_builders import (
    Bank,
    audit,
    somebody_waits_for_a_lock,
    units,
    viewer,
    wish,
    wish_of,
    with_bank,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.app import Liveshop
from liveshop.catalog import holds
from liveshop.catalog.holds import OutOfStock, Wanted
from liveshop.catalog.model import StockHeld
from liveshop.checkout import store
from liveshop.checkout.model import CartEmpty, PaymentDeclined, PriceChanged, UnknownLine
from liveshop.checkout.settlement import Settlement
from liveshop.checkout.wire import Cart
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import LineId, VariantId, ViewerId
from liveshop.kernel.money import Money
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.payments.model import Charge
from liveshop.payments.tables import payment, sandbox_charge
from liveshop.storage import StorageUnavailable

ADA, BOB = viewer(1), viewer(2)
only_postgresql = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
"""SQLite has one writer: nobody gets between its reading and its writing."""
LAPSE = timedelta(seconds=600)


async def all_orders(shop: Liveshop) -> list[Order]:
    async with shop.database.read() as conn:
        return await orders_store.page(conn, show_id=None, before=None, limit=1000)


async def rows_of(shop: Liveshop, table: sa.Table) -> int:
    async with shop.database.read() as conn:
        return await conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def variants_of(shop: Liveshop, count: int, stock: int) -> list[VariantId]:
    """Articles of which half the stock lies at each of two places."""
    places = [await builders.location(shop, "A"), await builders.location(shop, "B", priority=2)]
    found = []
    for number in range(count):
        cup = await builders.product(
            shop, title=f"Cup {number}", stock=(stock // 2, stock - stock // 2), places=places
        )
        found.append(VariantId(cup.variants[0].id))
    return found


def failures(ended: Iterable[Any], *expected: type[BaseException]) -> list[BaseException]:
    """What went wrong in a way nobody had foreseen."""
    return [
        one for one in ended if isinstance(one, BaseException) and not isinstance(one, expected)
    ]


# Several variants in different orders


async def no_lock(_conn: AsyncConnection, _variant_ids: Iterable[str]) -> None:
    return None


@only_postgresql
async def test_without_the_lock_a_sweeper_and_a_buyer_deadlock_on_postgresql(
    nodes: list[Liveshop], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has taken the hold and wants the stock, the other has the stock and wants the hold."""
    [cup] = await variants_of(nodes[0], 1, 4)
    await nodes[0].carts.add_to_cart(BOB, cup, 1, None)
    clock.advance(LAPSE)
    now = clock.now()
    swept, taken = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(holds.shelves, "lock", no_lock)
    delete = holds._delete

    async def delete_and_pause(*given: Any) -> Any:
        rows = await delete(*given)
        if not swept.is_set():
            swept.set()
            await taken.wait()
        return rows

    monkeypatch.setattr(holds, "_delete", delete_and_pause)

    async def sweep() -> None:
        async with nodes[0].database.write() as tx:
            await holds.release_lapsed(tx.conn, now)

    async def buy() -> None:
        await swept.wait()
        async with nodes[1].database.write() as tx:
            await holds.take(tx.conn, [Wanted("lin_ada", cup, 1, None)], now)
            taken.set()
            await holds.release_lapsed(tx.conn, now, variant_ids=[cup])

    async with asyncio.timeout(20):
        ended = await asyncio.gather(sweep(), buy(), return_exceptions=True)
    assert any("deadlock" in str(one.__cause__) for one in failures(ended))
    assert all(isinstance(one, StorageUnavailable) for one in failures(ended))


async def change_his_mind(shop: Liveshop, who: ViewerId, cart: Cart, number: int) -> None:
    """Some buyers do."""
    if number % 5 == 0:
        await shop.carts.remove_line(who, LineId(cart.lines[0].id))
    elif number % 5 == 1:
        await shop.carts.set_quantity(who, LineId(cart.lines[-1].id), 2)


async def test_many_buyers_of_many_variants_in_different_orders_do_not_deadlock(
    nodes: list[Liveshop], clock: ManualClock, other_clock: ManualClock
) -> None:
    """Everything that touches stock at once: adding, holding again, paying, declining, sweeping,
    removing, counting the shelf; each buyer takes the articles in another order.
    """
    cups = await variants_of(nodes[0], 4, 60)
    buyers = [viewer(number) for number in range(16)]
    locations = await nodes[0].catalog.locations()

    def at(number: int) -> Liveshop:
        return nodes[number % 2]

    async def fill(number: int) -> None:
        mine = cups[number % 4 :] + cups[: number % 4]
        for cup in mine if number % 3 else reversed(mine):
            await at(number).carts.add_to_cart(buyers[number], cup, 1 + number % 3, None)

    async def act(number: int) -> None:
        shop, who = at(number + 1), buyers[number]
        await shop.carts.hold_again(who)
        cart = await shop.carts.cart_of(who)
        if not cart.lines:
            return  # Others took everything before this buyer came.
        await change_his_mind(shop, who, cart, number)
        card = DECLINED_CARD if number % 4 == 3 else GOOD_CARD
        given = await wish_of(shop, who, card=card)
        await shop.orders.place_order(who, f"key-{clock.now()}", given)

    async def keep_shop() -> None:
        for cup in reversed(cups):
            await nodes[0].carts.sweep()
            await nodes[1].catalog.set_stock(cup, locations[1].id, 40)

    async with asyncio.timeout(60):
        for _ in range(3):
            ended = await asyncio.gather(
                *(fill(number) for number in range(16)), keep_shop(), return_exceptions=True
            )
            assert failures(ended, OutOfStock, StockHeld) == []
            clock.advance(LAPSE)
            other_clock.advance(LAPSE)
            ended = await asyncio.gather(
                *(act(number) for number in range(16)), keep_shop(), return_exceptions=True
            )
            assert failures(ended, OutOfStock, StockHeld, PaymentDeclined, CartEmpty) == []
            await audit(nodes[0].database)
    assert {order.state for order in await all_orders(nodes[0])} == {"confirmed", "payment_failed"}


# One cart, two tabs


async def test_what_two_tabs_add_at_once_adds_up_to_one_line(nodes: list[Liveshop]) -> None:
    [cup] = await variants_of(nodes[0], 1, 40)
    await asyncio.gather(
        *(nodes[number % 2].carts.add_to_cart(ADA, cup, 1, None) for number in range(12))
    )
    cart = await nodes[0].carts.cart_of(ADA)
    assert [(line.quantity, line.hold) for line in cart.lines] == [(12, "held")]
    assert sum(row.held for row in await audit(nodes[0].database)) == 12


async def test_two_tabs_that_change_and_remove_one_line_leave_no_hold_behind(
    nodes: list[Liveshop],
) -> None:
    [cup] = await variants_of(nodes[0], 1, 40)
    for _ in range(4):
        cart = await nodes[0].carts.add_to_cart(ADA, cup, 3, None)
        line_id = cart.lines[0].id
        ended = await asyncio.gather(
            nodes[0].carts.set_quantity(ADA, line_id, 5),  # type: ignore[arg-type]
            nodes[1].carts.remove_line(ADA, line_id),  # type: ignore[arg-type]
            nodes[1].carts.set_quantity(ADA, line_id, 1),  # type: ignore[arg-type]
            nodes[0].carts.remove_line(ADA, line_id),  # type: ignore[arg-type]
            return_exceptions=True,
        )
        assert failures(ended, UnknownLine) == []
        assert (await nodes[0].carts.cart_of(ADA)).lines == []
        assert sum(row.held for row in await audit(nodes[0].database)) == 0


async def test_two_tabs_that_place_the_order_at_once_with_two_keys_place_it_once(
    nodes: list[Liveshop],
) -> None:
    [cup] = await variants_of(nodes[0], 1, 10)
    await nodes[0].carts.add_to_cart(ADA, cup, 2, None)
    given = await wish_of(nodes[0], ADA)
    ended = await asyncio.gather(
        *(nodes[n % 2].orders.place_order(ADA, f"key-{n}", given) for n in range(6)),
        return_exceptions=True,
    )
    assert failures(ended, CartEmpty) == []
    assert len(await all_orders(nodes[0])) == 1
    assert sum(row.on_hand for row in await audit(nodes[0].database)) == 8


async def test_what_one_tab_adds_while_the_other_pays_is_paid_for_or_still_in_the_cart(
    nodes: list[Liveshop],
) -> None:
    cups = await variants_of(nodes[0], 2, 40)
    for number in range(6):
        await nodes[0].carts.add_to_cart(ADA, cups[0], 1, None)
        given = await wish_of(nodes[0], ADA)
        first = nodes[0].orders.place_order(ADA, f"key-{number}", given)
        second = nodes[1].carts.add_to_cart(ADA, cups[1], 1, None)
        ordered, added = await asyncio.gather(
            *((first, second) if number % 2 else (second, first)), return_exceptions=True
        )
        if not number % 2:
            ordered, added = added, ordered
        assert not isinstance(added, BaseException)
        cart = await nodes[0].carts.cart_of(ADA)
        if isinstance(ordered, PriceChanged):
            assert len(cart.lines) == 2
        else:
            assert isinstance(ordered, Order)
            assert [line.variant_id for line in ordered.lines] == [cups[0]]
            assert [line.variant_id for line in cart.lines] == [cups[1]]
        for line in cart.lines:
            await nodes[0].carts.remove_line(ADA, line.id)  # type: ignore[arg-type]
        await audit(nodes[0].database)


# One key, many times


async def test_one_key_sent_twenty_times_at_once_is_one_order_one_payment_one_charge(
    nodes: list[Liveshop],
) -> None:
    [cup] = await variants_of(nodes[0], 1, 10)
    await nodes[0].carts.add_to_cart(ADA, cup, 2, None)
    given = await wish_of(nodes[0], ADA)
    seen = await asyncio.gather(
        *(nodes[n % 2].orders.place_order(ADA, "key", given) for n in range(20))
    )
    assert len({order.id for order in seen}) == 1
    assert {order.state for order in seen} == {"confirmed"}
    assert await rows_of(nodes[0], payment) == await rows_of(nodes[0], sandbox_charge) == 1
    assert len(await all_orders(nodes[0])) == 1
    assert sum(row.on_hand for row in await audit(nodes[0].database)) == 8


async def test_a_bank_asked_twenty_times_with_one_key_is_paid_once(nodes: list[Liveshop]) -> None:
    bank = Bank()
    tills = [with_bank(shop, bank) for shop in nodes]
    [cup] = await variants_of(nodes[0], 1, 10)
    await nodes[0].carts.add_to_cart(ADA, cup, 2, None)
    given = await wish_of(nodes[0], ADA, method="bank")
    seen = await asyncio.gather(*(tills[n % 2].place_order(ADA, "key", given) for n in range(20)))
    assert {(order.id, order.state) for order in seen} == {(seen[0].id, "confirmed")}
    assert bank.paid == [seen[0].payment.id]


async def test_one_key_with_two_cards_at_once_has_one_outcome_and_the_bank_agrees(
    nodes: list[Liveshop], clock: ManualClock, other_clock: ManualClock
) -> None:
    """A buyer whose tab hangs tries another card in a second one, with the same key."""
    [cup] = await variants_of(nodes[0], 1, 10)
    for number in range(4):
        await nodes[0].carts.add_to_cart(ADA, cup, 1, None)
        total = (await nodes[0].carts.quote(ADA, "DE")).total
        ended = await asyncio.gather(
            *(
                nodes[n % 2].orders.place_order(
                    ADA, f"key-{number}", wish(total, card=(DECLINED_CARD, GOOD_CARD)[n // 2 % 2])
                )
                for n in range(8)
            ),
            return_exceptions=True,
        )
        assert failures(ended, PaymentDeclined) == []
        told = {"declined" if isinstance(one, PaymentDeclined) else "paid" for one in ended}
        order = (await all_orders(nodes[0]))[0]
        provider = nodes[0].orders.providers[0]
        found = await provider.find(Charge(order.payment.id, order.total, order.number))
        assert found is not None
        assert told == {found.state} == {order.payment.state}
        for line in (await nodes[0].carts.cart_of(ADA)).lines:
            await nodes[0].carts.remove_line(ADA, line.id)  # type: ignore[arg-type]
        # Both: whichever server wins the next round, its order must be the newest.
        clock.advance(timedelta(seconds=1))
        other_clock.advance(timedelta(seconds=1))
    await audit(nodes[0].database)


# A hold that lapses at the till


class Till:
    """Holds one buyer up between looking at his cart and taking its holds for his order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_looked, self.go_on = asyncio.Event(), asyncio.Event()
        look = store.load

        async def look_and_pause(conn: AsyncConnection, who: Any, **rest: Any) -> Any:
            carts = await look(conn, who, **rest)
            if who == [ADA] and not self.has_looked.is_set():
                self.has_looked.set()
                await self.go_on.wait()
            return carts

        monkeypatch.setattr(store, "load", look_and_pause)


async def at_the_till(
    nodes: list[Liveshop], till_of: pytest.MonkeyPatch, other_clock: ManualClock
) -> tuple[Till, "asyncio.Task[Order]", VariantId]:
    """Ada holds the last cup and pays in the last second; on the other server it has run out."""
    [cup] = await variants_of(nodes[0], 1, 1)
    await nodes[0].carts.add_to_cart(ADA, cup, 1, None)
    given = await wish_of(nodes[0], ADA)
    till = Till(till_of)
    paying = asyncio.create_task(nodes[0].orders.place_order(ADA, "key", given))
    async with asyncio.timeout(20):
        await till.has_looked.wait()
    other_clock.advance(LAPSE)
    return till, paying, cup


async def bobs_order(shop: Liveshop, cup: VariantId) -> Order:
    await shop.carts.add_to_cart(BOB, cup, 1, None)
    return await shop.orders.place_order(BOB, "key", await wish_of(shop, BOB))


@only_postgresql
async def test_without_guards_a_hold_that_lapses_at_the_till_is_sold_twice_on_postgresql(
    nodes: list[Liveshop], other_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds.shelves, "lock", no_lock)
    hand_over = holds.hand_over_each

    async def believe(
        conn: AsyncConnection, owners: Mapping[str, str], *, expires_at: datetime | None
    ) -> dict[str, dict[holds.Shelf, int]]:
        await hand_over(conn, owners, expires_at=expires_at)
        place, *_ = await nodes[0].catalog.locations()
        return {to: {(cup, place.id): 1} for to in owners.values()}

    async def no_look(*_: Any) -> bool:
        return True

    monkeypatch.setattr(holds, "hand_over_each", believe)
    monkeypatch.setattr(Settlement, "_has_stock", no_look)
    till, paying, cup = await at_the_till(nodes, monkeypatch, other_clock)
    his = await bobs_order(nodes[1], cup)
    till.go_on.set()
    hers = await paying
    assert (his.state, hers.state) == ("confirmed", "confirmed")
    assert units(his) + units(hers) == 2, "of one that there was"


@only_postgresql
async def test_an_order_whose_hold_is_gone_is_refused_even_without_the_lock(
    nodes: list[Liveshop], other_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds.shelves, "lock", no_lock)
    till, paying, cup = await at_the_till(nodes, monkeypatch, other_clock)
    his = await bobs_order(nodes[1], cup)
    till.go_on.set()
    with pytest.raises(OutOfStock):
        await paying
    assert [order.id for order in await all_orders(nodes[0])] == [his.id]
    await audit(nodes[0].database)


async def test_a_hold_that_lapses_while_its_order_is_placed_is_still_the_buyers(
    nodes: list[Liveshop], other_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ada was in time by the clock of her server; Bob waits and then finds it sold."""
    till, paying, cup = await at_the_till(nodes, monkeypatch, other_clock)
    bob = asyncio.create_task(bobs_order(nodes[1], cup))
    if not nodes[0].database.is_sqlite:
        await somebody_waits_for_a_lock(nodes[0])
    till.go_on.set()
    async with asyncio.timeout(20):
        assert (await paying).state == "confirmed"
        with pytest.raises(OutOfStock):
            await bob
    assert sum(row.on_hand for row in await audit(nodes[0].database)) == 0


async def test_a_lapsing_hold_goes_to_one_of_two_whoever_is_first(
    nodes: list[Liveshop], clock: ManualClock, other_clock: ManualClock
) -> None:
    """Ada pays and Bob grabs at the same moment, at which her hold may or may not have run out."""
    [cup] = await variants_of(nodes[0], 1, 1)
    [place, _] = await nodes[0].catalog.locations()
    for number in range(8):
        who, other = viewer(100 + number), viewer(200 + number)
        cart = await nodes[0].carts.add_to_cart(who, cup, 1, None)
        assert cart.lines[0].hold == "held"
        given = await wish_of(nodes[0], who)
        (clock if number % 2 else other_clock).advance(LAPSE)
        ended = await asyncio.gather(
            nodes[0].orders.place_order(who, "key", given),
            nodes[1].carts.add_to_cart(other, cup, 1, None),
            nodes[number % 2].carts.sweep(),
            return_exceptions=True,
        )
        assert failures(ended, OutOfStock) == []
        assert isinstance(ended[0], OutOfStock) != isinstance(ended[1], OutOfStock)
        await audit(nodes[0].database)
        later = max(clock.now(), other_clock.now()) + LAPSE
        for own in (clock, other_clock):
            own.advance(later - own.now())
        for level in await nodes[0].catalog.stock_of(cup):
            wanted = 1 if level.location_id == place.id else 0
            await nodes[0].catalog.set_stock(cup, level.location_id, wanted)


# The merchant counts the shelf


async def test_a_merchant_never_sets_the_stock_below_what_buyers_hold(
    nodes: list[Liveshop], clock: ManualClock, other_clock: ManualClock
) -> None:
    cup = VariantId((await builders.product(nodes[0], stock=10)).variants[0].id)
    [place] = await nodes[0].catalog.locations()
    for round_ in range(4):
        buyers = [viewer(round_ * 100 + number) for number in range(10)]
        ended = await asyncio.gather(
            *(nodes[n % 2].carts.add_to_cart(who, cup, 1, None) for n, who in enumerate(buyers)),
            *(nodes[n % 2].catalog.set_stock(cup, place.id, n) for n in (0, 3, 5, 7, 12)),
            return_exceptions=True,
        )
        assert failures(ended, OutOfStock, StockHeld) == []
        [row] = await audit(nodes[0].database)
        holding = [
            who
            for who in buyers
            if any(line.hold == "held" for line in (await nodes[0].carts.cart_of(who)).lines)
        ]
        assert row.held == len(holding)
        if row.held:
            with pytest.raises(StockHeld) as refused:
                await nodes[0].catalog.set_stock(cup, place.id, row.held - 1)
            assert refused.value.data == {"held": row.held}
        wishes = [await wish_of(nodes[0], who) for who in holding]
        bought = await asyncio.gather(
            *(
                nodes[n % 2].orders.place_order(who, "key", given)
                for n, (who, given) in enumerate(zip(holding, wishes, strict=True))
            )
        )
        assert all(order.state == "confirmed" for order in bought)
        [after] = await audit(nodes[0].database)
        assert (after.on_hand, after.held) == (row.on_hand - len(bought), 0)
        await nodes[0].catalog.set_stock(cup, place.id, 10)
        clock.advance(LAPSE)
        other_clock.advance(LAPSE)


async def test_numbers_of_orders_are_consecutive_however_many_are_placed_at_once(
    nodes: list[Liveshop],
) -> None:
    [cup] = await variants_of(nodes[0], 1, 40)
    buyers = [viewer(number) for number in range(20)]
    for who in buyers:
        await nodes[0].carts.add_to_cart(who, cup, 1, None)
    given = wish(Money(2800 + 490, "EUR"))
    placed = await asyncio.gather(
        *(nodes[n % 2].orders.place_order(who, "key", given) for n, who in enumerate(buyers))
    )
    assert sorted(order.number for order in placed) == [f"L-{100001 + n}" for n in range(20)]
