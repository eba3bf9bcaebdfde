"""Promotions on both databases: what is stored, what prices say at once, and what is refused."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from promotions_house import SHOW, House, given, money, percent, statements_of

from liveshop.catalog.model import UnknownProduct, UnknownVariant
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import ShowId, ViewerId, new_id
from liveshop.kernel.money import Money
from liveshop.promotions import definition, wire
from liveshop.promotions.model import (
    BadPeriod,
    LimitBelowUsed,
    OverlappingPromotion,
    PromotionChanged,
    PromotionEnded,
    PromotionId,
    PromotionsTouched,
    UnknownPromotion,
    WrongCurrency,
)
from liveshop.promotions.prices import Asked, rates_of
from liveshop.promotions.pricing import price_cart
from liveshop.promotions.tables import promotion, promotion_version
from liveshop.settings import CountryTax, ShippingStep, ShopSettings
from liveshop.storage import Database

MINUTE = timedelta(minutes=1)
EVERY_KIND: list[dict[str, Any]] = [
    {"kind": percent(125), "category": "Home > Kitchen", "group": "winter", "priority": 7},
    {"kind": wire.AmountOff(amount=money(500)), "stacking": "exclusive", "segment": "vip"},
    {"kind": wire.FixedPrice(price=money(999)), "show_id": SHOW, "limit_total": 3},
    {"kind": wire.BuyXGetY(buy=2, get=1, off_permille=500), "limit_per_customer": 2},
    {"kind": wire.OrderPercentOff(permille=50), "codes": ["Winter 20", "MUG5"]},
    {"kind": wire.OrderAmountOff(amount=money(1000))},
    {"kind": wire.FreeShipping(from_goods=money(5000))},
    {"kind": wire.FreeShipping()},
]


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


async def refused(house: House, **changes: Any) -> Any:
    with pytest.raises(Invalid) as error:
        await house.promotion(**changes)
    return error.value.data["field"]


async def test_every_kind_is_read_back_as_it_was_written(house: House) -> None:
    for changes in EVERY_KIND:
        made = await house.promotion(**changes)
        fresh = House(house.database, house.clock)
        read = await fresh.promotions.promotion(made.promotion.id)
        assert read == made
        out = wire.promotion_out(read, house.clock.now())
        for name, value in changes.items():
            if name != "codes":
                assert getattr(out, name) == value
        assert out.codes == sorted(
            {"Winter 20": "winter20", "MUG5": "mug5"}[code] for code in changes.get("codes", [])
        )


async def test_products_variants_and_periods_are_read_back_too(house: House) -> None:
    mug = await house.product()
    start = house.clock.now() + MINUTE
    made = await house.promotion(
        product_ids=[mug.id], starts_at=start, ends_at=start + timedelta(days=3)
    )
    other = await house.promotion(variant_ids=[mug.variants[0].id])
    fresh = House(house.database, house.clock)
    assert await fresh.promotions.promotion(made.promotion.id) == made
    assert await fresh.promotions.promotion(other.promotion.id) == other
    written = definition.written(made.promotion)
    assert definition.read(made.promotion.id, 1, written) == made.promotion


async def test_a_promotion_is_in_the_price_at_once_and_on_its_products_only(house: House) -> None:
    mug, bowl = await house.product("Mug", 2800), await house.product("Bowl", 1000)
    await house.promotion(percent(100), product_ids=[mug.id])
    assert (await house.price(mug), await house.price(bowl)) == (2520, 1000)
    note = (await house.shown(mug)).promotions[0]
    assert (note.texts["de"], note.is_offer, note.units_left) == ("Winterabend", False, None)


async def test_an_offer_is_in_the_price_of_its_show_alone(house: House) -> None:
    mug = await house.product()
    await house.promotion(percent(500), show_id=SHOW, limit_total=3)
    other = ShowId("shw_" + "1" * 26)
    assert [await house.price(mug, one) for one in (None, SHOW, other)] == [2800, 1400, 2800]
    note = (await house.shown(mug, SHOW)).promotions[0]
    assert (note.is_offer, note.units_left) == (True, 3)


async def test_segments_and_codes_are_not_in_the_price_that_everybody_sees(house: House) -> None:
    mug = await house.product()
    await house.promotion(percent(100), segment="vip")
    await house.promotion(percent(200), codes=["WINTER"])
    assert await house.price(mug) == 2800
    line = house.claim_of(mug).line
    vip = await house.context(segments=frozenset({"vip"}))
    assert price_cart([line], vip).goods == Money(2520, "EUR")
    coded = await house.context(codes=["winter"])
    assert price_cart([line], coded).goods == Money(2240, "EUR")


async def test_prices_turn_at_the_start_and_at_the_end(house: House) -> None:
    mug = await house.product()
    start, end = house.clock.now() + MINUTE, house.clock.now() + 2 * MINUTE
    await house.promotion(percent(100), starts_at=start, ends_at=end)
    await house.promotion(percent(500), codes=["x"], ends_at=start)
    found = []
    for _ in range(3):
        async with house.database.read() as conn:
            found.append(
                (await house.price(mug), await house.prices.next_turn(conn, house.clock.now()))
            )
        house.pass_time(minutes=1)
    assert found == [(2800, start), (2520, end), (2800, None)]


async def test_a_typed_code_is_told_why_it_does_not_count(house: House) -> None:
    line = house.claim_of(await house.product()).line
    now = house.clock.now()
    await house.promotion(percent(100), codes=["old"], ends_at=now + MINUTE)
    await house.promotion(percent(100), codes=["new"], starts_at=now + timedelta(days=1))
    paused = await house.promotion(percent(100), codes=["paused"])
    await house.promotions.change_state(paused.promotion.id, "paused")
    house.pass_time(minutes=2)
    context = await house.context(codes=["OLD", "New", "paused", "no"])
    reasons = {one.code: one.reason for one in price_cart([line], context).unused_codes}
    assert reasons == {"OLD": "expired", "New": "not_yet", "paused": "unknown", "no": "unknown"}


async def test_a_replaced_promotion_says_the_new_thing_in_the_next_price(house: House) -> None:
    mug = await house.product()
    made = await house.promotion(percent(100), codes=["a", "b"])
    changed = await house.promotions.replace_promotion(
        made.promotion.id, given(percent(200), version=1)
    )
    assert (changed.promotion.version, await house.price(mug)) == (2, 2240)
    context = await house.context(codes=["a"])
    assert [one.version for one in context.promotions] == [2]
    with pytest.raises(PromotionChanged) as stale:
        await house.promotions.replace_promotion(made.promotion.id, given(version=1))
    assert stale.value.data == {"version": 2}


async def test_every_change_is_a_version_with_the_time_it_held(house: House) -> None:
    start = house.clock.now()
    made = await house.promotion()
    id_ = made.promotion.id
    for change in ("paused", "active", "ended"):
        house.pass_time(minutes=1)
        await house.promotions.change_state(id_, change)
    columns = promotion_version.c
    async with house.database.read() as conn:
        rows = await conn.execute(
            sa.select(columns.version, columns.valid_from, columns.valid_to).order_by(
                columns.version
            )
        )
        found = [tuple(row) for row in rows]
    assert found == [
        (1, start, start + MINUTE),
        (2, None, None),
        (3, start + 2 * MINUTE, start + 3 * MINUTE),
        (4, start + 3 * MINUTE, None),
    ]


async def test_pausing_and_ending_take_effect_at_once(house: House) -> None:
    mug = await house.product()
    id_ = (await house.promotion()).promotion.id
    prices = []
    for change in ("paused", "active", "ended"):
        await house.promotions.change_state(id_, change)
        prices.append(await house.price(mug))
    assert prices == [2800, 2520, 2800]
    assert (await house.promotions.promotion(id_)).phase(house.clock.now()) == "ended"


async def test_what_is_over_stays_over(house: House) -> None:
    id_ = (await house.promotion(starts_at=house.clock.now() + MINUTE)).promotion.id
    ended = await house.promotions.change_state(id_, "ended")
    assert ended == await house.promotions.change_state(id_, "ended")
    with pytest.raises(PromotionEnded):
        await house.promotions.change_state(id_, "active" if ended.state == "paused" else "paused")
    with pytest.raises(PromotionEnded):
        await house.promotions.replace_promotion(id_, given())


async def test_phases(house: House) -> None:
    now = house.clock.now()
    running = await house.promotion(limit_total=1)
    planned = await house.promotion(starts_at=now + MINUTE)
    paused = await house.promotions.change_state((await house.promotion()).promotion.id, "paused")
    assert [one.phase(now) for one in (running, planned, paused)] == [
        "running",
        "planned",
        "paused",
    ]


async def test_unknown_promotions_are_not_found(house: House) -> None:
    with pytest.raises(UnknownPromotion):
        await house.promotions.promotion("prm_none")
    with pytest.raises(UnknownPromotion):
        await house.promotions.replace_promotion("prm_none", given())
    with pytest.raises(UnknownPromotion):
        await house.promotions.change_state("prm_none", "ended")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"show_id": "nowhere"}, "show_id"),
        ({"show_id": SHOW, "segment": "vip"}, "segment"),
        ({"product_ids": ["prd_1"], "category": "Home"}, "products"),
        ({"kind": wire.AmountOff(amount=money(100, "USD"))}, "kind"),
    ],
)
async def test_what_contradicts_itself_is_refused(
    house: House, changes: dict[str, Any], field: str
) -> None:
    assert await refused(house, **changes) == field


async def test_what_would_be_over_already_is_refused(house: House) -> None:
    now = house.clock.now()
    with pytest.raises(BadPeriod):
        await house.promotion(ends_at=now)
    with pytest.raises(BadPeriod):
        await house.promotion(starts_at=now - 2 * MINUTE, ends_at=now - MINUTE)


async def test_products_that_do_not_exist_are_named(house: House) -> None:
    with pytest.raises(UnknownProduct, match="no such product"):
        await house.promotion(product_ids=["prd_none"])
    with pytest.raises(UnknownVariant) as error:
        await house.promotion(variant_ids=["var_none"])
    assert error.value.data["variant_ids"] == ["var_none"]


async def test_of_two_exclusive_ones_for_the_same_products_the_second_is_refused(
    house: House,
) -> None:
    first = await house.promotion(stacking="exclusive")
    with pytest.raises(OverlappingPromotion) as error:
        await house.promotion(stacking="exclusive")
    assert error.value.data["promotion_ids"] == [first.promotion.id]
    await house.promotion(stacking="exclusive", priority=1)
    await house.promotions.change_state(first.promotion.id, "paused")
    await house.promotion(stacking="exclusive")
    with pytest.raises(OverlappingPromotion):
        await house.promotions.change_state(first.promotion.id, "active")


async def test_of_many_that_overlap_and_come_at_once_one_is_stored(house: House) -> None:
    answers = await asyncio.gather(
        *(house.promotion(stacking="exclusive") for _ in range(6)), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, OverlappingPromotion)]
    assert (len(answers) - len(refused), len(refused)) == (1, 5)


async def test_a_limit_is_never_below_what_is_used(house: House) -> None:
    made = await house.promotion(limit_total=5)
    async with house.database.write() as tx:
        await tx.conn.execute(sa.update(promotion).values(used=3))
    with pytest.raises(LimitBelowUsed) as error:
        await house.promotions.replace_promotion(made.promotion.id, given(limit_total=2))
    assert error.value.data["used"] == 3
    changed = await house.promotions.replace_promotion(made.promotion.id, given(limit_total=3))
    assert changed.phase(house.clock.now()) == "exhausted"


async def test_the_list_is_paged_and_those_that_are_over_stand_apart(house: House) -> None:
    made = []
    for number in range(5):
        house.pass_time(seconds=1)
        made.append((await house.promotion(show_id=SHOW if number % 2 else None)).promotion.id)
    await house.promotions.change_state(made[0], "ended")
    seen: list[str] = []
    cursor = None
    for _ in range(2):
        page, cursor = await house.promotions.promotions(
            wire.PromotionQuery(limit=2, cursor=cursor)
        )
        seen += [one.promotion.id for one in page]
    assert (seen, cursor) == (made[:0:-1], None)
    over, _ = await house.promotions.promotions(wire.PromotionQuery(ended=True))
    assert [one.promotion.id for one in over] == made[:1]
    of_show, _ = await house.promotions.promotions(wire.PromotionQuery(show_id=SHOW))
    assert [one.promotion.id for one in of_show] == [made[3], made[1]]


async def test_every_change_tells_those_who_listen(house: House) -> None:
    heard: list[PromotionId] = []
    house.database.listen(PromotionsTouched, lambda signal: heard.extend(signal.promotion_ids))
    id_ = (await house.promotion()).promotion.id
    await house.promotions.replace_promotion(id_, given(percent(200)))
    for change in ("paused", "active", "active", "ended"):
        await house.promotions.change_state(id_, change)
    assert heard == [id_] * 5


async def test_a_change_that_was_rolled_back_leaves_nothing_behind(house: House) -> None:
    mug = await house.product()
    id_ = (await house.promotion(percent(100), show_id=SHOW)).promotion.id
    for _ in range(2):
        with pytest.raises(RuntimeError, match="too late"):
            await end_and_fail(house, id_)
    assert (await house.promotions.promotion(id_)).promotion.version == 1
    await house.promotions.replace_promotion(id_, given(percent(200), show_id=SHOW))
    assert (await house.promotions.promotion(id_)).promotion.period.ends_at is None
    assert await house.price(mug, SHOW) == 2240


async def end_and_fail(house: House, id_: PromotionId) -> None:
    async with house.database.write() as tx:
        await house.promotions.end(tx, [id_], house.clock.now())
        ended = await house.promotions.of_show(tx.conn, SHOW, house.clock.now())
        assert ended[0].promotion.version == 2
        raise RuntimeError("too late")


async def test_an_offer_is_added_and_ended_inside_another_transaction(house: House) -> None:
    mug = await house.product()
    now = house.clock.now()
    offer = wire.promotion_of(
        given(percent(500), show_id=SHOW, stacking="exclusive", product_ids=[mug.id]),
        PromotionId(new_id("prm", now)),
        version=1,
    )
    async with house.database.write() as tx:
        await house.promotions.add(tx, offer, now)
    assert await house.price(mug, SHOW) == 1400
    with pytest.raises(OverlappingPromotion):
        await overlap(house, now)
    async with house.database.write() as tx:
        found = await house.promotions.of_show(tx.conn, SHOW, now)
        await house.promotions.end(tx, [one.promotion.id for one in found], now)
    assert await house.price(mug, SHOW) == 2800


async def overlap(house: House, now: datetime) -> None:
    async with house.database.write() as tx:
        twin = wire.promotion_of(
            given(percent(100), show_id=SHOW, stacking="exclusive"),
            PromotionId(new_id("prm", now)),
            version=1,
        )
        await house.promotions.add(tx, twin, now)


# Statements: prices are asked for with every step of every cart.


async def test_a_context_is_one_statement_and_a_second_for_limits_per_customer(
    house: House,
) -> None:
    for _ in range(3):
        await house.promotion(percent(50), limit_total=3)
    await house.promotion(percent(50), codes=["winter"])
    many = [Asked(ViewerId(f"gst_{one}"), codes=["WINTER"], owners=["lin_1"]) for one in range(9)]
    counts = []
    for _ in range(2):
        async with house.database.read() as conn:
            sent = statements_of(conn)
            await house.prices.contexts(conn, many, house.clock.now())
            counts.append(len(sent))
        house.prices.definitions = type(house.prices.definitions)()
    assert counts == [1, 2]
    await house.promotion(percent(50), limit_per_customer=1)
    await house.context()
    async with house.database.read() as conn:
        sent = statements_of(conn)
        await house.prices.contexts(conn, many, house.clock.now())
    assert len(sent) == 2


async def test_prices_of_a_page_are_one_statement_and_two_more_where_something_is_reduced(
    house: House,
) -> None:
    products = [await house.product(f"Mug {number}") for number in range(6)]
    async with house.database.read() as conn:
        sent = statements_of(conn)
        await house.prices.shown(conn, products, house.clock.now(), None)
        assert len(sent) == 1
    await house.promotion(percent(100))
    await house.shown(products[0])
    async with house.database.read() as conn:
        sent = statements_of(conn)
        await house.prices.shown(conn, products, house.clock.now(), None)
        assert len(sent) == 3


async def test_many_who_ask_at_once_are_answered_as_if_each_had_asked_alone(house: House) -> None:
    mug = await house.product()
    await house.promotion(percent(500), limit_total=5, limit_per_customer=2)
    await house.promotion(percent(50), codes=["winter"])
    owners = [await house.claim(mug, number + 1, viewer=f"gst_{number}") for number in range(2)]
    asked = [
        Asked(),
        Asked(ViewerId("gst_0"), owners=owners[:1], codes=["Winter"]),
        Asked(ViewerId("gst_1"), owners=owners[1:], country="DE", show_id=SHOW),
        Asked(email="a@b.example", segments=frozenset({"vip"}), codes=["none"]),
    ]
    async with house.database.read() as conn:
        together = await house.prices.contexts(conn, asked, house.clock.now())
    for one, context in zip(asked, together, strict=True):
        alone = await house.context(**{name: getattr(one, name) for name in Asked.__slots__})
        line = house.claim_of(mug, 7, show_id=SHOW).line
        assert price_cart([line], context) == price_cart([line], alone)


# The settings.


async def test_a_product_of_another_currency_is_shown_as_it_stands_and_not_sold(
    house: House,
) -> None:
    mug = await house.product()
    await house.promotion(percent(100))
    moved = House(house.database, house.clock, ShopSettings(currency="USD"))
    assert (await moved.shown(mug)).price == Money(2800, "EUR")
    await moved.claim(mug)
    with pytest.raises(Exception, match="Mug has a price in EUR") as error:
        price_cart([moved.claim_of(mug).line], await moved.context())
    assert error.value.code == "other_currency"  # type: ignore[attr-defined]
    with pytest.raises(WrongCurrency):
        await moved.promotion(wire.FixedPrice(price=money(100)))


def test_rates_come_from_the_settings() -> None:
    shop = ShopSettings(
        free_shipping_from=10_000,
        shipping_steps={"US": (ShippingStep(990, 2000), ShippingStep(1990))},
        tax_by_country={"US": CountryTax({"standard": 82, "reduced": 0, "zero": 0}, False)},
    )
    rates = rates_of(shop)
    assert [step.amount for step in rates.shipping["DE"]] == [490, 0]
    assert [(step.amount, step.max_weight_grams) for step in rates.shipping["US"]] == [
        (990, 2000),
        (1990, None),
        (0, None),
    ]
    assert (rates.tax["DE"].is_included, rates.tax["US"].is_included) == (True, False)
    assert rates.tax["AT"].permille["standard"] == 190
