"""The lowest price of 30 days: article 6a of directive 98/6/EC by example, and by brute force."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promotions_builders import NOW, SHOW, eur, exclusive, item, promotion

from liveshop.kernel.ids import ShowId
from liveshop.kernel.money import Money
from liveshop.promotions.history import PriceChange, PriceHistory, history_of
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    ByCode,
    Everywhere,
    FixedPrice,
    ForSegment,
    InShow,
    Kind,
    Limit,
    OrderPercentOff,
    PercentOff,
    Period,
    Promotion,
    TheseVariants,
    Tier,
)

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def days(count: float) -> datetime:
    """So many days before now."""
    return NOW - DAY * count


def history(
    *promotions: Promotion, prices: Sequence[tuple[float, int]] = ((400, 2800),), **changes: Any
) -> PriceHistory:
    """List prices as (days ago, amount)."""
    known = [PriceChange(days(ago), eur(amount)) for ago, amount in prices]
    return history_of(item(**changes), known, promotions, BERLIN)


def sale(
    permille: int, start: float | None, end: float | None, name: str = "1", **more: Any
) -> Any:
    period = Period(None if start is None else days(start), None if end is None else days(end))
    return promotion(PercentOff(permille), name, period=period, **more)


def lowest(known: PriceHistory, started: float = 0) -> int | None:
    found = known.lowest_before(NOW, days(started))
    return None if found is None else found.amount


def test_a_steady_price_is_its_own_lowest() -> None:
    assert lowest(history()) == 2800


def test_a_price_raised_before_the_reduction_does_not_hide_the_lower_one() -> None:
    assert lowest(history(prices=[(400, 2500), (10, 3500)])) == 2500
    assert lowest(history(prices=[(400, 2500), (31.5, 3500)])) == 3500


def test_a_sale_counts_that_ended_less_than_thirty_days_before() -> None:
    assert lowest(history(sale(100, 60, 29))) == 2520
    assert lowest(history(sale(100, 60, 31.5))) == 2800
    assert lowest(history(sale(100, 10, 10 - 1 / 1440))) == 2520


def test_the_reduction_itself_does_not_count_nor_what_comes_after_it() -> None:
    known = history(sale(100, 5, None, "1"), sale(500, 2, 1, "2"))
    assert lowest(known, 5) == 2800
    assert known.price(NOW) == eur(2520)


def test_overlapping_sales_count_with_the_price_they_made_together() -> None:
    known = history(sale(100, 20, 10, "1"), sale(100, 15, 5, "2"))
    assert lowest(known) == 2268
    best = exclusive(PercentOff(150), "3", period=Period(days(12), days(11)))
    assert lowest(history(sale(100, 20, 10, "1"), best)) == 2380


def test_a_limit_that_is_used_up_does_not_unmake_the_price() -> None:
    assert lowest(history(sale(500, 20, 19, limit=Limit(3), used=3))) == 1400


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"scope": InShow(SHOW)}, True),
        ({"scope": ForSegment("vip")}, False),
        ({"trigger": ByCode(frozenset({"x"}))}, False),
        ({"kind": OrderPercentOff(500)}, False),
        ({"kind": BuyXGetY(1, 1)}, False),
        ({"kind": AmountOff(eur(100))}, True),
        ({"kind": FixedPrice(eur(100))}, True),
        ({"products": TheseVariants(frozenset())}, False),
    ],
)
def test_what_anybody_could_have_counts_and_what_some_were_given_does_not(
    changes: dict[str, Any], counts: bool
) -> None:
    given_kind: Kind = changes.pop("kind", PercentOff(500))
    once = promotion(given_kind, period=Period(days(10), days(9)), **changes)
    assert (lowest(history(once)) != 2800) is counts


def test_prices_by_quantity_do_not_count() -> None:
    assert lowest(history(tiers=(Tier(2, eur(1)),))) == 2800


def test_a_variant_younger_than_thirty_days_has_the_lowest_since_it_is_sold() -> None:
    assert lowest(history(prices=[(5, 2800), (2, 3000)])) == 2800
    assert lowest(history(prices=[(0, 2800)])) is None
    assert lowest(history(prices=[])) is None


def test_a_reduction_announced_ahead_counts_what_is_known_so_far() -> None:
    known = history(sale(500, -1, -2))
    assert known.lowest_before(NOW, NOW + 3 * DAY) == eur(2800)
    assert known.lowest_before(NOW + 3 * DAY, NOW + 3 * DAY) == eur(1400)


def test_prices_in_another_currency_are_another_history() -> None:
    changes = [PriceChange(days(20), Money(100, "USD")), PriceChange(days(10), eur(2800))]
    assert lowest(history_of(item(), changes, [], BERLIN)) == 2800


def test_changes_may_be_given_in_any_order() -> None:
    assert lowest(history(prices=[(10, 3500), (400, 2500)])) == 2500


@pytest.mark.parametrize(
    ("began", "first"),
    [
        # A day of 23 hours (29 March 2026) and one of 25 (25 October) lie within.
        (datetime(2026, 4, 10, 12, tzinfo=BERLIN), datetime(2026, 3, 11, tzinfo=BERLIN)),
        (datetime(2026, 11, 10, 12, tzinfo=BERLIN), datetime(2026, 10, 11, tzinfo=BERLIN)),
        (datetime(2026, 4, 10, 0, tzinfo=BERLIN), datetime(2026, 3, 11, tzinfo=BERLIN)),
    ],
)
def test_thirty_days_are_calendar_days_where_the_shop_is(began: datetime, first: datetime) -> None:
    for end, expected in ((first, 2800), (first.astimezone(UTC) + MINUTE, 1400)):
        flash = promotion(PercentOff(500), period=Period(first - 3 * DAY, end))
        known = history_of(item(), [PriceChange(days(999), eur(2800))], [flash], BERLIN)
        assert known.lowest_before(began, began) == eur(expected)


def test_a_reduction_that_grows_step_by_step_began_with_its_first_step() -> None:
    known = history(sale(100, 9, 6, "1"), sale(200, 6, 3, "2"), sale(300, 3, None, "3"))
    assert known.reduction_started_at(NOW) == days(9)
    assert lowest(known, 9) == 2800


def test_a_pause_or_a_rise_begins_a_new_reduction() -> None:
    paused = history(sale(100, 9, 6, "1"), sale(200, 5, None, "2"))
    assert paused.reduction_started_at(NOW) == days(5)
    assert lowest(paused, 5) == 2520
    rise = history(sale(300, 9, 6, "1"), sale(100, 6, None, "2"))
    assert rise.reduction_started_at(NOW) == days(6)
    assert lowest(rise, 6) == 1960


def test_a_list_price_raised_during_a_sale_begins_a_new_reduction() -> None:
    known = history(sale(100, 9, None), prices=[(400, 2000), (5, 4000)])
    assert known.reduction_started_at(NOW) == days(5)
    assert lowest(known, 5) == 1800


def test_without_a_reduction_there_is_no_beginning_of_one() -> None:
    assert history().reduction_started_at(NOW) is None
    assert history(sale(100, 9, 0)).reduction_started_at(NOW) is None
    assert history(sale(100, 9, None)).reduction_started_at(days(10)) is None
    assert history(sale(100, None, None), prices=[(7, 100)]).reduction_started_at(NOW) == days(7)


def test_an_offer_in_a_show_is_a_reduction_there_and_interrupts_none_outside() -> None:
    offer = sale(300, 2, 1, "2", scope=InShow(SHOW))
    known = history(sale(100, 9, None, "1"), offer)
    assert known.reduction_started_at(NOW) == days(9)
    assert known.reduction_started_at(days(1.5), SHOW) == days(9)
    assert history(offer).reduction_started_at(days(1.5), SHOW) == days(2)
    assert history(offer).reduction_started_at(days(1.5)) is None


# By brute force: every step of a grid on which everything happens, with the arithmetic written a
# second time.

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"),
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Beirut",  # its day of summer time has no midnight
    "Pacific/Kiritimati",
)
STEP = 5 * MINUTE  # divides every offset of the zones above
DAY_STEPS = 24 * 12
STEPS = 45 * DAY_STEPS
TURNS = (  # starts of spans with a change to or from summer time somewhere in each zone
    datetime(2026, 2, 25, tzinfo=UTC),
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(2026, 3, 3, 12, 35, tzinfo=UTC),
)


@dataclass(frozen=True)
class Story:
    """List prices by step from `start`, promotions that overlap at will, and when one began."""

    start: datetime
    zone: ZoneInfo
    prices: list[tuple[int, int]]
    promotions: list[Promotion]
    reduced_at: int


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Much of it happens near both ends of the 30 days, where a wrong hour would show."""
    start = draw(st.sampled_from(TURNS))
    reduced_at = draw(st.integers(STEPS - 12 * DAY_STEPS, STEPS))
    window = reduced_at - 30 * DAY_STEPS
    near_start = st.integers(window - DAY_STEPS, window + DAY_STEPS // 2)
    near_end = st.integers(reduced_at - DAY_STEPS, min(reduced_at + 1, STEPS))
    moments = st.one_of(st.integers(0, STEPS), near_start, near_end)
    later = draw(st.lists(st.tuples(moments, st.integers(20, 40)), max_size=3))
    prices = [(draw(st.one_of(st.just(0), moments)), draw(st.integers(20, 40))), *later]
    made = []
    for number in range(draw(st.integers(0, 5))):
        around = draw(st.sampled_from([moments, near_start, near_start, near_end]))
        bounds = sorted(draw(st.lists(around, min_size=2, max_size=2, unique=True)))
        kind = draw(
            st.one_of(
                st.integers(1, 1000).map(PercentOff),
                st.integers(1, 30).map(lambda amount: AmountOff(eur(amount))),
                st.integers(1, 30).map(lambda amount: FixedPrice(eur(amount))),
            )
        )
        made.append(
            promotion(
                kind,
                str(number),
                stacking=draw(st.sampled_from(["exclusive", "stackable"])),
                priority=draw(st.integers(0, 1)),
                scope=draw(st.sampled_from([Everywhere(), Everywhere(), InShow(SHOW)])),
                period=Period(
                    draw(st.sampled_from([start + bounds[0] * STEP] * 9 + [None])),
                    draw(st.sampled_from([start + bounds[1] * STEP] * 9 + [None])),
                ),
            )
        )
    return Story(start, ZoneInfo(draw(st.sampled_from(ZONES))), prices, made, reduced_at)


def reduced(kind: Kind, price: int) -> int:
    """A second writing of what a kind does to a price."""
    if isinstance(kind, PercentOff):
        off, rest = divmod(price * kind.permille, 1000)
        return price - off - (1 if rest >= 500 else 0)
    if isinstance(kind, AmountOff):
        return max(0, price - kind.amount.amount)
    assert isinstance(kind, FixedPrice)
    return min(price, kind.price.amount)


def oracle_price(listed: int, running: Sequence[Promotion]) -> int:
    together = listed
    for one in sorted(running, key=lambda one: (-one.priority, one.id)):
        if one.stacking == "stackable":
            together = reduced(one.kind, together)
    alone = [reduced(one.kind, listed) for one in running if one.stacking == "exclusive"]
    return min([together, *alone])


def running_at(
    promotions: Sequence[Promotion], moment: datetime, show_id: ShowId | None
) -> list[Promotion]:
    return [
        one
        for one in promotions
        if (one.period.starts_at is None or one.period.starts_at <= moment)
        and (one.period.ends_at is None or moment < one.period.ends_at)
        and (one.scope == Everywhere() or show_id is not None)
    ]


def step_by_step(story: Story) -> Iterator[tuple[datetime, int, int, int]]:
    """(moment, list price, price outside, price in the show) of every step with a price."""
    ordered = sorted(story.prices, key=lambda one: one[0])
    for step in range(STEPS + 1):
        known = [amount for at, amount in ordered if at <= step]
        if known:
            moment = story.start + step * STEP
            outside, inside = (
                oracle_price(known[-1], running_at(story.promotions, moment, show))
                for show in (None, SHOW)
            )
            yield moment, known[-1], outside, inside


@settings(max_examples=150, derandomize=True, deadline=None)
@given(stories(), st.one_of(st.just(0), st.integers(1, 3 * DAY_STEPS)))
def test_the_lowest_price_and_the_start_of_a_reduction_are_those_found_by_brute_force(
    story: Story, steps_ahead: int
) -> None:
    changes = [PriceChange(story.start + at * STEP, eur(amount)) for at, amount in story.prices]
    known = history_of(item(1), changes, story.promotions, story.zone)
    every = list(step_by_step(story))

    started = story.start + story.reduced_at * STEP
    moment = started - steps_ahead * STEP
    first_day = started.astimezone(story.zone).date() - timedelta(days=30)
    in_window = [
        min(outside, inside)
        for at, _, outside, inside in every
        if at < min(moment, started) and at.astimezone(story.zone).date() >= first_day
    ]
    found = known.lowest_before(moment, started)
    assert (found.amount if found else None) == min(in_window, default=None)

    for show_id, column in ((None, 2), (SHOW, 3)):
        began, after = None, None
        for row in reversed([row for row in every if row[0] <= started]):
            listed, price = row[1], row[column]
            if not price < listed or (after is not None and price < after):
                break
            if row is every[0] and after is not None and price != after:
                break  # It came into the shop as reduced: nothing is known of a price before.
            began, after = row[0], price
        assert known.reduction_started_at(started, show_id) == began


# Prices announced as reduced by the merchant.


def announced(*points: tuple[float, int, int | None], sales: Sequence[Promotion] = ()) -> Any:
    """How many days ago the reduction began; list prices as (days ago, amount, compare-at)."""
    known = [
        PriceChange(days(ago), eur(amount), None if before is None else eur(before))
        for ago, amount, before in points
    ]
    began = history_of(item(), known, sales, BERLIN).reduction_started_at(NOW)
    return None if began is None else (NOW - began) / DAY


def test_an_announced_list_price_is_reduced_since_it_is_announced() -> None:
    assert announced((90, 3500, None), (5, 2800, None)) is None
    assert announced((90, 3500, None), (5, 2800, 3500)) == 5
    assert announced((90, 3500, None), (5, 2800, 3500), (2, 2500, 3500)) == 5
    assert announced((90, 3500, None), (5, 2500, 3500), (2, 2800, 3500)) == 2
    assert announced((90, 3500, None), (5, 2800, 3500), (2, 2800, None)) is None


def test_a_promotion_on_an_announced_price_is_a_step_of_the_same_reduction() -> None:
    points = [(90, 3500, None), (5, 2800, 3500)]
    assert announced(*points, sales=[sale(100, 2, None)]) == 5
    assert announced(*points, sales=[sale(100, 9, None)]) == 9
    assert announced(*points, sales=[sale(100, 4, 3, "1"), sale(100, 2, None, "2")]) == 3
