"""Limited prices on both databases: claimed with a cart's line, used by an order, given to nobody
twice, whoever comes at once."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from promotions_house import SHOW, House, money, percent, statements_of

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import OrderId, ViewerId
from liveshop.promotions import claim_store, claims, wire
from liveshop.promotions.model import PromotionId, Stored, UsedUp
from liveshop.promotions.pricing import price_cart
from liveshop.promotions.tables import promotion, promotion_claim
from liveshop.storage import Database


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def order(
    house: House,
    made: Stored,
    units: int = 1,
    *,
    name: str = "ord_1",
    viewer: str = "gst_1",
    email: str = "ada@example.org",
    owners: tuple[str, ...] = (),
) -> None:
    async with house.database.write() as tx:
        await claims.record_uses(
            tx.conn,
            house.prices,
            order_id=OrderId(name),
            viewer_id=ViewerId(viewer),
            email=email,
            used={made.promotion.id: units},
            owners=owners,
            now=house.clock.now(),
        )


async def test_a_claim_takes_the_price_from_others_and_not_from_its_owner(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=3)
    owner = await house.claim(mug, 2)
    line = house.claim_of(mug, 3).line
    assert price_cart([line], await house.context()).used == {made.promotion.id: 1}
    assert price_cart([line], await house.context(owners=[owner])).used == {made.promotion.id: 3}
    assert (await house.shown(mug)).promotions[0].units_left == 1
    stored = await house.promotions.promotion(made.promotion.id)
    assert (stored.claimed, stored.promotion.used, stored.units_left()) == (2, 0, 1)


async def test_a_claim_gets_what_is_left_and_a_later_one_nothing(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=3)
    await house.claim(mug, 2)
    await house.claim(mug, 2)
    await house.claim(mug, 2)
    assert await house.claimed(made) == 3
    assert await house.price(mug) == 2800


async def test_a_claim_made_again_replaces_the_one_before(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=5)
    for quantity in (4, 1, 9):
        await house.claim(mug, quantity, owner="lin_1")
        assert await house.claimed(made) == min(quantity, 5)


async def test_a_claim_ends_with_its_time(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=1)
    owner = await house.claim(mug, seconds=60)
    async with house.database.write() as tx:
        await claims.extend(tx.conn, {owner: house.clock.now() + timedelta(seconds=90)})
    house.pass_time(seconds=89)
    assert await house.price(mug) == 2800
    house.pass_time(seconds=1)
    assert (await house.price(mug), await house.claimed(made)) == (1400, 0)
    async with house.database.write() as tx:
        await claims.sweep(tx.conn, house.clock.now())
        count = sa.select(sa.func.count()).select_from(promotion_claim)
        assert await tx.conn.scalar(count) == 0


async def test_a_claim_that_is_released_is_free_again(house: House) -> None:
    mug = await house.product()
    await house.promotion(percent(500), limit_total=1)
    owner = await house.claim(mug)
    async with house.database.write() as tx:
        await claims.release(tx.conn, [owner])
        await claims.release(tx.conn, [owner])
    assert await house.price(mug) == 1400


async def test_only_what_a_line_really_uses_is_claimed(house: House) -> None:
    mug, bowl = await house.product("Mug"), await house.product("Bowl")
    limited = await house.promotion(
        percent(100), limit_total=5, product_ids=[mug.id], stacking="exclusive"
    )
    await house.claim(bowl)
    assert await house.claimed(limited) == 0
    better = await house.promotion(percent(200), stacking="exclusive", priority=1)
    await house.claim(mug, owner="lin_1")
    assert await house.claimed(limited) == 0
    await house.promotions.change_state(better.promotion.id, "ended")
    await house.claim(mug, owner="lin_1")
    assert await house.claimed(limited) == 1


async def test_an_offer_is_claimed_by_lines_of_its_show_only(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), show_id=SHOW, limit_total=5)
    await house.claim(mug)
    assert await house.claimed(made) == 0
    await house.claim(mug, show_id=SHOW)
    assert await house.claimed(made) == 1


async def test_codes_and_promotions_on_orders_are_not_claimed(house: House) -> None:
    mug = await house.product()
    coded = await house.promotion(percent(100), codes=["x"], limit_total=5)
    whole = await house.promotion(wire.OrderAmountOff(amount=money(100)), limit_total=5)
    await house.claim(mug)
    assert [await house.claimed(one) for one in (coded, whole)] == [0, 0]


async def test_a_limit_per_customer_counts_his_claims_and_his_orders(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=9, limit_per_customer=3)
    await order(house, made, 1, viewer="gst_1")
    await house.claim(mug, 1, viewer="gst_1")
    await house.claim(mug, 5, viewer="gst_1")
    assert await house.claimed(made) == 2
    await house.claim(mug, 5, viewer="gst_2")
    assert await house.claimed(made) == 5


async def test_without_limits_a_claim_is_one_statement(house: House) -> None:
    mug = await house.product()
    await house.promotion(percent(100))
    await house.promotion(percent(100), limit_total=5, category="Elsewhere")
    await house.context()
    for count in (1, 64):
        made = [house.claim_of(mug) for _ in range(count)]
        async with house.database.write() as tx:
            sent = statements_of(tx.conn)
            await claims.claim(tx.conn, house.prices, made, house.clock.now())
        assert len(sent) == 1


async def test_many_claims_are_as_many_statements_as_one(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=50, limit_per_customer=1)
    counts = []
    for count in (1, 64):
        several = [house.claim_of(mug, viewer=f"gst_{number}") for number in range(count)]
        async with house.database.write() as tx:
            sent = statements_of(tx.conn)
            await claims.claim(tx.conn, house.prices, several, house.clock.now())
            counts.append(len(sent))
    assert counts[0] == counts[1] <= 6
    assert await house.claimed(made) == 50


# Orders.


async def test_an_order_uses_what_its_lines_had_claimed(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=3)
    owner = await house.claim(mug, 2)
    await order(house, made, 2, owners=(owner,))
    assert (await house.used(made), await house.claimed(made)) == (2, 0)


async def test_an_order_cannot_use_what_others_have_claimed(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=3)
    await house.claim(mug, 2)
    with pytest.raises(UsedUp) as error:
        await order(house, made, 2)
    assert error.value.data == {"promotion_id": made.promotion.id}
    await order(house, made, 1)
    assert await house.used(made) == 1


async def test_a_customer_is_the_same_by_address_and_by_name(house: House) -> None:
    made = await house.promotion(
        wire.OrderAmountOff(amount=money(500)), codes=["welcome"], limit_per_customer=1
    )
    await order(house, made, name="ord_1", viewer="gst_1", email="Ada@example.org")
    for viewer, email in (("gst_1", "new@example.org"), ("gst_2", "ada@EXAMPLE.org")):
        with pytest.raises(UsedUp):
            await order(house, made, name="ord_2", viewer=viewer, email=email)
        context = await house.context(
            viewer_id=ViewerId(viewer), email=email, codes=["welcome"], country="DE"
        )
        line = house.claim_of(await house.product()).line
        assert [one.reason for one in price_cart([line], context).unused_codes] == ["exhausted"]
    await order(house, made, name="ord_2", viewer="gst_2", email="bob@example.org")
    assert await house.used(made) == 2


async def test_what_an_order_used_is_given_back_once(house: House) -> None:
    made = await house.promotion(percent(100), limit_total=5, limit_per_customer=3)
    await order(house, made, 3)
    for _ in range(2):
        async with house.database.write() as tx:
            await claims.give_back_uses(tx.conn, OrderId("ord_1"))
        assert await house.used(made) == 0
    await order(house, made, 3)


async def test_uses_are_counted_without_a_limit_too(house: House) -> None:
    made = await house.promotion(percent(100))
    await order(house, made, 7)
    assert await house.used(made) == 7


# Many at once.


async def rush(house: House, made: Stored, buyers: int) -> Counter[str]:
    """Buyers who each order one unit at the same moment, priced by what each had just seen."""

    async def buy(number: int) -> str:
        try:
            await order(
                house,
                made,
                name=f"ord_{number}",
                viewer=f"gst_{number}",
                email=f"{number}@x.example",
            )
        except UsedUp:
            return "used up"
        return "ordered"

    return Counter(await asyncio.gather(*(buy(number) for number in range(buyers))))


async def test_a_limit_goes_to_exactly_as_many_buyers(house: House) -> None:
    made = await house.promotion(percent(500), limit_total=5)
    assert await rush(house, made, 20) == {"ordered": 5, "used up": 15}
    assert await house.used(made) == 5


async def test_carts_that_claim_at_once_never_claim_more_than_there_is(house: House) -> None:
    mug = await house.product()
    two = [
        await house.promotion(percent(500), limit_total=7),
        await house.promotion(percent(100), limit_total=3),
    ]
    await asyncio.gather(*(house.claim(mug, 2, viewer=f"gst_{one}") for one in range(12)))
    assert [await house.claimed(one) for one in two] == [7, 3]


async def test_without_the_lock_more_is_claimed_than_there_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race that the lock is for, on the database that has many writers."""
    if house.database.is_sqlite:
        pytest.skip("SQLite has one writer")

    async def nothing(*_: object) -> None:
        return None

    replaced = claim_store.replace_claims
    everybody = asyncio.Barrier(6)

    async def together(*args: object) -> None:
        await asyncio.wait_for(everybody.wait(), 10)
        await replaced(*args)  # type: ignore[arg-type]

    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=3)
    monkeypatch.setattr(claim_store, "lock_rows", nothing)
    monkeypatch.setattr(claim_store, "replace_claims", together)
    await asyncio.gather(*(house.claim(mug, viewer=f"gst_{one}") for one in range(6)))
    assert await house.claimed(made) == 6


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("claim", "order", "release", "fail", "wait")),
        st.integers(0, 3),
        st.integers(1, 4),
    ),
    max_size=25,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
async def test_claims_and_uses_never_pass_the_limit(
    house: House, steps: list[tuple[str, int, int]]
) -> None:
    mug = await house.product()
    made = await house.promotion(percent(500), limit_total=6, product_ids=[mug.id])
    name = made.promotion.id
    for number, (step, who, units) in enumerate(steps):
        owner = f"lin_{name}_{who}"
        if step == "claim":
            await house.claim(mug, units, owner=owner, viewer=f"gst_{who}", seconds=60)
        elif step == "order":
            context = await house.context(owners=[owner])
            line = house.claim_of(mug, units).line
            count = price_cart([line], context).used.get(name, 0)
            if count:
                await order(house, made, count, name=f"{name}{number}", owners=(owner,))
        elif step == "release":
            async with house.database.write() as tx:
                await claims.release(tx.conn, [owner])
        elif step == "fail":
            async with house.database.write() as tx:
                await claims.give_back_uses(tx.conn, OrderId(f"{name}{number - 1}"))
        else:
            house.pass_time(seconds=40)
        await check(house, name)
    await house.promotions.change_state(name, "ended")


async def check(house: House, name: PromotionId) -> None:
    stored = await house.promotions.promotion(name)
    used, claimed = stored.promotion.used, stored.claimed
    assert 0 <= used <= used + claimed <= 6
    async with house.database.read() as conn:
        rows = await conn.execute(sa.select(promotion.c.used).where(promotion.c.id == name))
        assert rows.scalar_one() == used
