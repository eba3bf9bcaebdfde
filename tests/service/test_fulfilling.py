"""Goods on their way: every step the declared machine has, and no other; money first; what lies
ready handed over once, or back on the shelf.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa
from builders import GOOD_CARD
from checkout_builders import Bank
from order_builders import (
    Article,
    fulfilment_by_id,
    house_with,
    make_ready,
    only_fulfilment,
    opened,
    set_to,
    store_place,
)
from order_desk_builders import STAFF, House

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import FulfilmentId, LocationId
from liveshop.kernel.text import BadText
from liveshop.orders import wire
from liveshop.orders.model import (
    SYSTEM,
    Fulfilment,
    FulfilmentKind,
    FulfilmentState,
    NotNow,
    NotPaid,
    Order,
    UnknownFulfilment,
    UnknownPickup,
    WrongStore,
)
from liveshop.payments.model import (
    CannotCapture,
    Charge,
    ChargeAnswer,
    PaymentState,
    ProviderUnavailable,
)
from liveshop.payments.tables import payment
from liveshop.storage import Database

SHIP = wire.ShipInput(carrier="DHL", tracking="0034")
ALL = wire.CollectInput()
PAID = wire.CollectInput(paid=True)
KEPT = timedelta(days=8)
KINDS: tuple[FulfilmentKind, ...] = get_args(FulfilmentKind)
STATES: tuple[FulfilmentState, ...] = get_args(FulfilmentState)

STEPS = {
    ("ship_from_warehouse", "open", "ship"): "shipped",
    ("ship_from_warehouse", "open", "cancel"): "cancelled",
    ("ship_from_warehouse", "shipped", "deliver"): "delivered",
    ("ship_from_store", "open", "ship"): "shipped",
    ("ship_from_store", "open", "cancel"): "cancelled",
    ("ship_from_store", "shipped", "deliver"): "delivered",
    ("pickup_in_store", "open", "ready"): "ready",
    ("pickup_in_store", "open", "cancel"): "cancelled",
    ("pickup_in_store", "ready", "collect"): "collected",
    ("pickup_in_store", "ready", "release"): "released",
    ("pickup_in_store", "ready", "cancel"): "cancelled",
    ("ship_to_store", "open", "ship"): "shipped",
    ("ship_to_store", "open", "cancel"): "cancelled",
    ("ship_to_store", "shipped", "ready"): "ready",
    ("ship_to_store", "ready", "collect"): "collected",
    ("ship_to_store", "ready", "release"): "released",
    ("ship_to_store", "ready", "cancel"): "cancelled",
}
"""Every step there is, written by hand; all others are refused."""
ACTS = ("ship", "ready", "deliver", "collect", "release", "cancel")


@pytest.fixture
def made_house(database_url: str, clock: ManualClock, tmp_path: Path) -> House:
    return House.of(Database.open(database_url, pool_size=10), clock, tmp_path)


@pytest.fixture
async def house(made_house: House) -> AsyncIterator[House]:
    yield made_house
    await made_house.database.close()


class Vault(Bank):
    """A bank that keeps amounts for the shop, and may refuse to hand them out."""

    refuses: Exception | None = None
    taken: int = 0

    async def capture(self, charge: Charge) -> ChargeAnswer:
        if self.refuses is not None:
            raise self.refuses
        self.taken += 1
        return await super().capture(charge)


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def made_kept(database_url: str, clock: ManualClock, tmp_path: Path, vault: Vault) -> House:
    database = Database.open(database_url, pool_size=10)
    return house_with(database, clock, tmp_path, vault, capture="shipping")


@pytest.fixture
async def kept(made_kept: House) -> AsyncIterator[House]:
    """A house whose money is kept at the vault until goods leave."""
    yield made_kept
    await made_kept.database.close()


async def reserved(house: House, vault: Vault, order: Order) -> Order:
    """Its amount is kept at the vault."""
    charge = Charge(order.payment.id, order.total, order.number, GOOD_CARD, capture="later")
    await vault.charge(charge)
    return order


async def act(house: House, order: Order, one: Fulfilment, what: str) -> None:
    if what == "ship":
        await house.fulfilments.ship(one.id, STAFF, SHIP)
    elif what == "ready":
        await house.fulfilments.ready(one.id, STAFF)
    elif what == "deliver":
        await house.fulfilments.deliver(one.id, STAFF)
    elif what == "collect":
        await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)
    elif what == "cancel":
        async with house.database.write() as tx:
            await house.fulfilments.cancel_all(tx, order, STAFF, house.clock.now())
    else:
        assert what == "release"
        if not await house.fulfilments.release_overdue():
            raise NotNow("Nothing is overdue.")


@pytest.mark.parametrize("kind", KINDS)
async def test_every_step_of_the_machine_is_taken_and_every_other_refused(
    house: House, kind: FulfilmentKind
) -> None:
    store = await store_place(house.catalog)
    article = await house.variant()
    taken: dict[tuple[str, str, str], str] = {}
    for state in STATES:
        for what in ACTS:
            order = await opened(
                house, [(article, 1, 1000)], {(article[1], store): 1}, store_id=store
            )
            one = await only_fulfilment(house, order)
            await set_to(house, one, kind, state, collect_until=house.clock.now())
            before = await house.history(order)
            try:
                await act(house, order, one, what)
            except NotNow:
                assert (await fulfilment_by_id(house, one)).state == state, (state, what)
                assert await house.history(order) == before
            else:
                now = (await fulfilment_by_id(house, one)).state
                if now != state:
                    taken[kind, state, what] = now
                    noted = [event for event in await house.history(order) if event not in before]
                    assert f"fulfilment.{now}" in {event.kind for event in noted}
                    actor = SYSTEM if what == "release" else STAFF
                    assert {event.actor for event in noted} == {actor}
            await set_to(house, one, kind, "cancelled")
    assert taken == {step: to for step, to in STEPS.items() if step[0] == kind}


# Opening


async def test_what_is_shipped_leaves_from_each_place_it_lies_at(house: House) -> None:
    warehouse, store = await house.place(), await store_place(house.catalog)
    article = await house.variant()
    order = await opened(
        house, [(article, 3, 3000)], {(article[1], warehouse): 2, (article[1], store): 1}
    )
    found = {one.location_id: one for one in await house.fulfilments_of(order)}
    assert {place: (one.kind, one.state) for place, one in found.items()} == {
        warehouse: ("ship_from_warehouse", "open"),
        store: ("ship_from_store", "open"),
    }
    assert [(i.position, i.variant_id, i.pieces) for i in found[warehouse].items] == [
        (0, article[1], 2)
    ]
    assert all(one.store_id is None for one in found.values())


async def test_what_is_collected_lies_there_or_is_sent_there(house: House) -> None:
    warehouse, store = await house.place(), await store_place(house.catalog)
    article = await house.variant()
    order = await opened(
        house,
        [(article, 3, 3000)],
        {(article[1], warehouse): 2, (article[1], store): 1},
        store_id=store,
    )
    kinds = {one.location_id: one.kind for one in await house.fulfilments_of(order)}
    assert kinds == {store: "pickup_in_store", warehouse: "ship_to_store"}
    assert {one.store_id for one in await house.fulfilments_of(order)} == {store}


async def test_a_bundle_comes_from_two_places_as_its_parts(house: House) -> None:
    warehouse, store = await house.place(), await store_place(house.catalog)
    mug, tray = await house.variant("Mug"), await house.variant("Tray")
    bundle = await house.variant("Set", parts=((mug[1], 2), (tray[1], 1)))
    order = await opened(
        house,
        [(bundle, 1, 3000), (mug, 1, 900)],
        {(mug[1], store): 3, (tray[1], warehouse): 1},
        store_id=store,
    )
    found = {one.kind: one for one in await house.fulfilments_of(order)}
    here, there = found["pickup_in_store"], found["ship_to_store"]
    assert [(i.position, i.title, i.sku, i.pieces) for i in here.items] == [
        (0, "Mug", "MUG-M", 2),
        (1, "Shirt", "SHIRT", 1),
    ]
    assert [(i.position, i.title, i.sku, i.pieces) for i in there.items] == [
        (0, "Tray", "TRAY-M", 1)
    ]


# Money first


@pytest.fixture
async def parcel(house: House) -> tuple[Article, LocationId]:
    return await house.variant(), await house.place()


async def test_a_parcel_says_who_sent_it_and_how(
    house: House, parcel: tuple[Article, LocationId]
) -> None:
    article, place = parcel
    order = await opened(house, [(article, 1, 1000)], {(article[1], place): 1})
    one = await only_fulfilment(house, order)
    given = wire.ShipInput(carrier="  DHL ", tracking=" 00 34 ")
    shipped = await house.fulfilments.ship(one.id, STAFF, given)
    assert shipped == await fulfilment_by_id(house, one)
    assert (shipped.carrier, shipped.tracking) == ("DHL", "00 34")
    [event] = await house.history(order)
    assert (event.kind, event.actor) == ("fulfilment.shipped", STAFF)
    assert event.data == {
        "fulfilment_id": one.id,
        "kind": "ship_from_warehouse",
        "from": "open",
        "to": "shipped",
        "pieces": 1,
        "location_id": place,
        "store_id": None,
    }
    with pytest.raises(BadText):
        await house.fulfilments.ship(one.id, STAFF, wire.ShipInput(carrier="D" * 61))


async def test_goods_leave_when_their_money_is_sure(
    house: House, parcel: tuple[Article, LocationId]
) -> None:
    article, place = parcel
    cases: list[tuple[str, PaymentState, str | None, bool]] = [
        ("sandbox", "paid", None, True),
        ("sandbox", "paid", "won", True),
        ("sandbox", "paid", "needs_response", False),
        ("sandbox", "processing", None, False),
        ("invoice", "authorised", None, True),
        ("invoice", "authorised", "lost", False),
        ("unheard_of", "authorised", None, True),
    ]
    for method, state, dispute, leaves in cases:
        order = await opened(
            house, [(article, 1, 1000)], {(article[1], place): 1}, method=method, payment=state
        )
        async with house.database.write() as tx:
            of_this = sa.update(payment).where(payment.c.id == order.payment.id)
            await tx.conn.execute(of_this.values(dispute=dispute))
        one = await only_fulfilment(house, order)
        if leaves:
            await house.fulfilments.ship(one.id, STAFF, SHIP)
        else:
            with pytest.raises(NotPaid) as refused:
                await house.fulfilments.ship(one.id, STAFF, SHIP)
            assert refused.value.data["payment"] == state
        assert (await fulfilment_by_id(house, one)).state == ("shipped" if leaves else "open")


async def test_what_is_kept_for_us_is_taken_before_the_parcel_leaves(
    kept: House, vault: Vault
) -> None:
    article, place = await kept.variant(), await kept.place()
    order = await opened(
        kept, [(article, 1, 1000)], {(article[1], place): 1}, method="bank", payment="authorised"
    )
    await reserved(kept, vault, order)
    one = await only_fulfilment(kept, order)
    await kept.fulfilments.ship(one.id, STAFF, SHIP)
    paid = (await kept.look(order.id)).payment
    assert (paid.state, paid.captured) == ("paid", 1000)
    with pytest.raises(NotNow):
        await kept.fulfilments.ship(one.id, STAFF, SHIP)
    assert vault.taken == 1


@pytest.mark.parametrize(
    "refusal",
    [CannotCapture("It was given up."), ProviderUnavailable("It does not answer.")],
    ids=["refused", "silent"],
)
async def test_what_cannot_be_taken_is_not_shipped(
    kept: House, vault: Vault, refusal: Exception
) -> None:
    store = await store_place(kept.catalog)
    article, place = await kept.variant(), await kept.place()
    shipped = await opened(
        kept, [(article, 1, 1000)], {(article[1], place): 1}, method="bank", payment="authorised"
    )
    collected = await opened(
        kept,
        [(article, 1, 1000)],
        {(article[1], store): 1},
        store_id=store,
        method="bank",
        payment="authorised",
    )
    there = await only_fulfilment(kept, collected)
    vault.refuses = refusal
    one = await only_fulfilment(kept, shipped)
    with pytest.raises(type(refusal)):
        await kept.fulfilments.ship(one.id, STAFF, SHIP)
    with pytest.raises(type(refusal)):
        await kept.fulfilments.ready(there.id, STAFF)
    assert (await only_fulfilment(kept, collected)).state == "open"
    await set_to(kept, there, there.kind, "ready")
    with pytest.raises(type(refusal)):
        await kept.fulfilments.collect(collected.pickup_code or "", ALL, STAFF)
    assert (await only_fulfilment(kept, shipped)).state == "open"
    assert (await only_fulfilment(kept, collected)).state == "ready"
    assert {(await kept.look(one.id)).payment.state for one in (shipped, collected)} == {
        "authorised"
    }


async def test_an_order_called_off_while_its_money_is_taken_is_not_shipped(
    kept: House, vault: Vault
) -> None:
    article, place = await kept.variant(), await kept.place()
    order = await opened(
        kept, [(article, 1, 1000)], {(article[1], place): 1}, method="bank", payment="authorised"
    )
    await reserved(kept, vault, order)
    one = await only_fulfilment(kept, order)
    is_asked, may_answer = asyncio.Event(), asyncio.Event()
    capture = vault.capture

    async def slowly(charge: Charge) -> ChargeAnswer:
        is_asked.set()
        await may_answer.wait()
        return await capture(charge)

    vault.capture = slowly  # type: ignore[method-assign]  # held up
    shipping = asyncio.create_task(kept.fulfilments.ship(one.id, STAFF, SHIP))
    await is_asked.wait()
    await kept.desk.cancel(order.id, STAFF, "No more of it")
    may_answer.set()
    with pytest.raises(NotNow):
        await shipping
    assert (await fulfilment_by_id(kept, one)).state == "cancelled"
    assert await kept.on_hand(article[1], place) == 1


# In the store


@pytest.fixture
async def shelf(house: House) -> tuple[Article, LocationId]:
    """An article in a store where buyers collect."""
    return await house.variant(), await store_place(house.catalog, time_zone="America/New_York")


async def for_pickup(
    house: House, shelf: tuple[Article, LocationId], units: int = 3, **of: object
) -> Order:
    article, store = shelf
    return await opened(
        house,
        [(article, units, 1000 * units)],
        {(article[1], store): units},
        store_id=store,
        **of,  # type: ignore[arg-type]  # what `opened` takes
    )


async def test_what_lies_ready_is_kept_until_the_end_of_the_stores_day(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    order = await for_pickup(house, shelf)
    [ready] = await make_ready(house, order)
    # It is 14:00 of November 21 in New York.
    assert ready.collect_until == datetime(2026, 11, 29, 5, 0, tzinfo=UTC)


async def test_a_code_tells_staff_what_lies_there(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    order = await for_pickup(house, shelf)
    code = order.pickup_code or ""
    before = await house.fulfilments.pickup(f"{code[:5]}-{code[5:].lower()}")
    assert [(item.pieces, item.state, item.is_here) for item in before.items] == [
        (3, "open", False)
    ]
    await make_ready(house, order)
    seen = await house.fulfilments.pickup(f"https://shop.example/x?code={code}")
    assert (seen.order_number, seen.name, seen.store) == (order.number, "Ada Example", "Store")
    assert [(item.sku, item.pieces, item.is_here) for item in seen.items] == [("SHIRT", 3, True)]
    assert (seen.to_pay, seen.collected_at) == (None, None)
    elsewhere = await house.fulfilments.pickup(code, at_store=LocationId("loc_other"))
    assert not elsewhere.items[0].is_here


async def test_an_unknown_code_says_nothing_more(house: House) -> None:
    for scanned in ("0123456789", "", "../../etc", "\u2603" * 100):
        with pytest.raises(UnknownPickup) as refused:
            await house.fulfilments.pickup(scanned)
        assert refused.value.data == {}
        with pytest.raises(UnknownPickup):
            await house.fulfilments.collect(scanned, ALL, STAFF)


async def test_nothing_is_handed_over_in_another_store(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    order = await for_pickup(house, shelf)
    await make_ready(house, order)
    other = await store_place(house.catalog, "Other store")
    with pytest.raises(WrongStore) as refused:
        given = wire.CollectInput(store_id=other)
        await house.fulfilments.collect(order.pickup_code or "", given, STAFF)
    assert refused.value.data == {"store_id": shelf[1]}
    assert (await only_fulfilment(house, order)).state == "ready"
    right = wire.CollectInput(store_id=shelf[1])
    await house.fulfilments.collect(order.pickup_code or "", right, STAFF)
    assert (await only_fulfilment(house, order)).state == "collected"


async def test_a_code_used_again_says_when_it_was_used(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    order = await for_pickup(house, shelf)
    await make_ready(house, order)
    done = await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)
    at = clock.now()
    assert done.collected_at == at
    clock.advance(timedelta(hours=1))
    with pytest.raises(NotNow, match="2026-11-21 at 20:00") as refused:
        await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)
    assert refused.value.data == {"state": "collected", "collected_at": at.isoformat()}
    assert (await house.fulfilments.pickup(order.pickup_code or "")).collected_at == at


async def test_a_part_is_handed_over_and_the_rest_stays(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    order = await for_pickup(house, shelf)
    [one] = await make_ready(house, order)
    clock.advance(timedelta(hours=1))

    def some(pieces: int, *, of: FulfilmentId = one.id, position: int = 0) -> wire.CollectInput:
        item = wire.HandedOver(
            fulfilment_id=of, position=position, variant_id=shelf[0][1], pieces=pieces
        )
        return wire.CollectInput(items=[item])

    code = order.pickup_code or ""
    for wrong in (some(4), some(1, position=1)):
        with pytest.raises(NotNow):
            await house.fulfilments.collect(code, wrong, STAFF)
    with pytest.raises(UnknownFulfilment):
        await house.fulfilments.collect(code, some(1, of=FulfilmentId("ful_other")), STAFF)
    two = some(1)
    assert two.items is not None
    two.items *= 2
    partly = await house.fulfilments.collect(code, two, STAFF)
    assert partly.collected_at is None
    rest, gone = await house.fulfilments_of(order)
    if rest.id != one.id:
        rest, gone = gone, rest
    assert (rest.state, rest.items[0].pieces, rest.collect_until) == (
        "ready",
        1,
        one.collect_until,
    )
    assert (gone.state, gone.items[0].pieces, gone.collect_until) == ("collected", 2, None)
    clock.advance(timedelta(hours=1))
    with pytest.raises(NotNow):
        await house.fulfilments.collect(code, some(2), STAFF)
    whole = await house.fulfilments.collect(code, some(1), STAFF)
    assert whole.collected_at == clock.now()
    kinds = [event.kind for event in await house.history(order)]
    assert kinds == ["fulfilment.ready", "fulfilment.collected", "fulfilment.collected"]
    told = [event.data for event in (await house.history(order))[1:]]
    assert [(data["pieces"], data["left"]) for data in told] == [(2, 1), (1, 0)]


async def test_two_scanners_at_one_moment_hand_over_once(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    for _ in range(5):
        order = await for_pickup(house, shelf, method="at_pickup", payment="authorised")
        await make_ready(house, order)
        answers = await asyncio.gather(
            *(house.fulfilments.collect(order.pickup_code or "", PAID, STAFF) for _ in range(4)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, wire.Pickup) for answer in answers) == 1
        assert sum(isinstance(answer, NotNow) for answer in answers) == 3
        kinds = [event.kind for event in await house.history(order)]
        assert kinds.count("fulfilment.collected") == kinds.count("payment.paid") == 1
        assert (await house.look(order.id)).payment.captured == 3000


async def test_two_tills_never_hand_over_more_than_lies_there(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    for _ in range(5):
        order = await for_pickup(house, shelf)
        [one] = await make_ready(house, order)
        item = wire.HandedOver(fulfilment_id=one.id, position=0, variant_id=shelf[0][1], pieces=2)
        two = wire.CollectInput(items=[item])
        answers = await asyncio.gather(
            *(house.fulfilments.collect(order.pickup_code or "", two, STAFF) for _ in range(3)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, wire.Pickup) for answer in answers) == 1
        assert sum(isinstance(answer, NotNow) for answer in answers) == 2
        pieces = {each.state: each.items[0].pieces for each in await house.fulfilments_of(order)}
        assert pieces == {"ready": 1, "collected": 2}


async def test_goods_are_handed_over_or_put_back_and_never_both(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    article, store = shelf
    on_hand = 0
    for _ in range(5):
        order = await for_pickup(house, shelf)
        await make_ready(house, order)
        clock.advance(KEPT)
        handed, released = await asyncio.gather(
            house.fulfilments.collect(order.pickup_code or "", ALL, STAFF),
            house.fulfilments.release_overdue(),
            return_exceptions=True,
        )
        assert isinstance(handed, wire.Pickup if released == 0 else NotNow)
        on_hand += 3 if released else 0
        assert await house.on_hand(article[1], store) == on_hand
        assert len(await house.refunds_of(order)) == released


async def test_who_pays_in_the_store_pays_before_he_gets_anything(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    order = await for_pickup(house, shelf, method="at_pickup", payment="authorised")
    await make_ready(house, order)
    code = order.pickup_code or ""
    seen = await house.fulfilments.pickup(code)
    assert seen.to_pay is not None
    assert seen.to_pay.amount == 3000
    with pytest.raises(NotPaid) as refused:
        await house.fulfilments.collect(code, ALL, STAFF)
    assert refused.value.data["to_pay"] == {"amount": 3000, "currency": "EUR"}
    assert (await only_fulfilment(house, order)).state == "ready"
    after = await house.fulfilments.collect(code, PAID, STAFF)
    assert after.to_pay is None
    paid = (await house.look(order.id)).payment
    assert (paid.state, paid.captured) == ("paid", 3000)
    [note] = [event for event in await house.history(order) if event.kind == "payment.paid"]
    assert (note.actor, note.data) == (STAFF, {"amount": 3000, "currency": "EUR"})


async def test_what_is_reserved_is_sent_to_its_store_unpaid_and_handed_over_paid(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    article, store = shelf
    warehouse = await house.place()
    order = await opened(
        house,
        [(article, 1, 1000)],
        {(article[1], warehouse): 1},
        store_id=store,
        method="at_pickup",
        payment="authorised",
    )
    await make_ready(house, order)
    await house.fulfilments.collect(order.pickup_code or "", PAID, STAFF)
    assert (await only_fulfilment(house, order)).state == "collected"


async def test_money_kept_for_us_is_taken_before_goods_are_handed_over(
    kept: House, vault: Vault
) -> None:
    article, store = await kept.variant(), await store_place(kept.catalog)
    order = await opened(
        kept,
        [(article, 1, 1000)],
        {(article[1], store): 1},
        store_id=store,
        method="bank",
        payment="authorised",
    )
    await reserved(kept, vault, order)
    await make_ready(kept, order)
    assert vault.taken == 1, "until the buyer comes the promise may expire"
    await kept.fulfilments.collect(order.pickup_code or "", ALL, STAFF)
    assert vault.taken == 1
    assert (await kept.look(order.id)).payment.captured == 1000


# Not collected


async def test_what_nobody_collects_goes_back_to_the_shelf_and_is_refunded(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    article, store = shelf
    order = await for_pickup(house, shelf)
    [one] = await make_ready(house, order)
    assert one.collect_until is not None
    clock.advance(one.collect_until - clock.now() - timedelta(microseconds=1))
    assert await house.fulfilments.release_overdue() == 0
    clock.advance(timedelta(microseconds=1))
    assert await asyncio.gather(*(house.fulfilments.release_overdue() for _ in range(3))) in (
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    )
    assert (await only_fulfilment(house, order)).state == "released"
    assert await house.on_hand(article[1], store) == 3
    [back] = await house.refunds_of(order)
    assert (back.amount.amount, back.cause, back.state) == (3000, "not_collected", "due")
    assert [event.kind for event in await house.history(order)] == [
        "fulfilment.ready",
        "fulfilment.released",
        "refund.owed",
    ]
    assert [one.variant_ids for one in house.stock_told] == [(article[1],)]
    with pytest.raises(NotNow):
        await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)


async def test_the_part_that_nobody_collects_is_refunded_and_lies_in_the_store(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    article, store = shelf
    warehouse = await house.place()
    order = await opened(
        house,
        [(article, 3, 1000)],
        {(article[1], warehouse): 2, (article[1], store): 1},
        store_id=store,
    )
    here = next(one for one in await house.fulfilments_of(order) if one.location_id == store)
    await house.fulfilments.ready(here.id, STAFF)
    await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)
    there = next(one for one in await house.fulfilments_of(order) if one.id != here.id)
    await house.fulfilments.ship(there.id, STAFF, SHIP)
    await house.fulfilments.ready(there.id, STAFF)
    clock.advance(KEPT)
    assert await house.fulfilments.release_overdue() == 1
    assert await house.on_hand(article[1], store) == 2
    assert await house.on_hand(article[1], warehouse) == 0
    assert [one.amount.amount for one in await house.refunds_of(order)] == [666]


async def test_two_released_parts_are_worth_all_that_was_paid(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    article, store = shelf
    warehouse = await house.place()
    order = await opened(
        house,
        [(article, 3, 1000)],
        {(article[1], warehouse): 2, (article[1], store): 1},
        store_id=store,
    )
    await make_ready(house, order)
    clock.advance(KEPT)
    assert await house.fulfilments.release_overdue() == 2
    assert sum(one.amount.amount for one in await house.refunds_of(order)) == 1000
    assert (await house.look(order.id)).payment.refundable.amount == 0


async def test_half_a_bundle_is_worth_nothing_by_itself_and_staff_is_told(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    _, store = shelf
    warehouse = await house.place()
    mug, tray = await house.variant("Mug"), await house.variant("Tray")
    bundle = await house.variant("Set", parts=((mug[1], 2), (tray[1], 1)))
    order = await opened(
        house,
        [(bundle, 2, 6001)],
        {(mug[1], store): 4, (tray[1], warehouse): 2},
        store_id=store,
    )
    mugs = next(one for one in await house.fulfilments_of(order) if one.location_id == store)
    await house.fulfilments.ready(mugs.id, STAFF)
    clock.advance(KEPT)
    await house.fulfilments.release_overdue()
    assert await house.refunds_of(order) == []
    [_, released] = await house.history(order)
    assert released.data["parts_without_refund"] == 4
    trays = next(one for one in await house.fulfilments_of(order) if one.id != mugs.id)
    await house.fulfilments.ship(trays.id, STAFF, SHIP)
    await house.fulfilments.ready(trays.id, STAFF)
    clock.advance(KEPT)
    await house.fulfilments.release_overdue()
    assert [one.amount.amount for one in await house.refunds_of(order)] == [6001]


async def test_a_reservation_that_nobody_collects_is_given_up_with_nothing_to_refund(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    order = await for_pickup(house, shelf, method="at_pickup", payment="authorised")
    await make_ready(house, order)
    clock.advance(KEPT)
    assert await house.fulfilments.release_overdue() == 1
    assert await house.refunds_of(order) == []
    assert (await house.look(order.id)).payment.is_void_wanted
    assert (await house.fulfilments.pickup(order.pickup_code or "")).to_pay is None


async def test_who_comes_for_the_rest_of_a_reservation_pays_for_the_rest(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    article, store = shelf
    warehouse = await house.place()
    order = await opened(
        house,
        [(article, 3, 1000)],
        {(article[1], warehouse): 2, (article[1], store): 1},
        store_id=store,
        method="at_pickup",
        payment="authorised",
    )
    here = next(one for one in await house.fulfilments_of(order) if one.location_id == store)
    await house.fulfilments.ready(here.id, STAFF)
    clock.advance(KEPT)
    await house.fulfilments.release_overdue()
    assert not (await house.look(order.id)).payment.is_void_wanted
    there = next(one for one in await house.fulfilments_of(order) if one.id != here.id)
    await house.fulfilments.ship(there.id, STAFF, SHIP)
    await house.fulfilments.ready(there.id, STAFF)
    seen = await house.fulfilments.pickup(order.pickup_code or "")
    assert seen.to_pay is not None
    assert seen.to_pay.amount == 667
    await house.fulfilments.collect(order.pickup_code or "", PAID, STAFF)
    paid = (await house.look(order.id)).payment
    assert (paid.state, paid.captured, paid.refunded) == ("paid", 667, 0)


async def test_goods_whose_money_is_still_on_its_way_go_on_lying_there(
    house: House, shelf: tuple[Article, LocationId], clock: ManualClock
) -> None:
    order = await for_pickup(house, shelf, payment="processing")
    await make_ready(house, order)
    clock.advance(KEPT)
    assert await house.fulfilments.release_overdue() == 0
    with pytest.raises(NotPaid):
        await house.fulfilments.collect(order.pickup_code or "", ALL, STAFF)


# Cancelled


async def test_cancelled_goods_go_back_to_where_they_lie(
    house: House, shelf: tuple[Article, LocationId]
) -> None:
    article, store = shelf
    warehouse, other = await house.place(), await house.place("Second warehouse")
    order = await opened(
        house,
        [(article, 6, 6000)],
        {(article[1], warehouse): 3, (article[1], other): 2, (article[1], store): 1},
        store_id=store,
    )
    arrived = next(o for o in await house.fulfilments_of(order) if o.location_id == warehouse)
    await house.fulfilments.ship(arrived.id, STAFF, SHIP)

    async def cancel() -> dict[tuple[str, str], int]:
        async with house.database.write() as tx:
            return dict(await house.fulfilments.cancel_all(tx, order, STAFF, house.clock.now()))

    with pytest.raises(NotNow):
        await cancel()
    assert {o.state for o in await house.fulfilments_of(order)} == {"open", "shipped"}
    await house.fulfilments.ready(arrived.id, STAFF)
    back = await cancel()
    assert back == {(article[1], store): 4, (article[1], other): 2}
    assert await house.on_hand(article[1], store) == 4
    assert await house.on_hand(article[1], other) == 2
    assert {o.state for o in await house.fulfilments_of(order)} == {"cancelled"}
    assert await cancel() == {}


async def test_what_is_not_there_is_not_moved(house: House) -> None:
    nobody = FulfilmentId("ful_nobody")
    with pytest.raises(UnknownFulfilment):
        await house.fulfilments.ship(nobody, STAFF, SHIP)
    with pytest.raises(UnknownFulfilment):
        await house.fulfilments.ready(nobody, STAFF)
    with pytest.raises(UnknownFulfilment):
        await house.fulfilments.deliver(nobody, STAFF)
