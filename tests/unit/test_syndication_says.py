"""The price that all channels say: as the cart says it, with one sale, and how it changes."""

from datetime import timedelta
from itertools import product as every

from hypothesis import given
from hypothesis import strategies as st
from promotions_builders import NOW, eur, item, promotion

from liveshop.connect import Sale
from liveshop.promotions.delivery import Rates
from liveshop.promotions.model import AmountOff, PercentOff, Period, Promotion
from liveshop.promotions.pricing import Context, price_of
from liveshop.syndication.says import Announced, PriceSchedule, Schedules, schedule_of, step

DAY = timedelta(days=1)


def reduced(
    permille: int, start: timedelta | None, end: timedelta | None, name: str = "1"
) -> Promotion:
    period = Period(None if start is None else NOW + start, None if end is None else NOW + end)
    return promotion(PercentOff(permille), name, period=period)


def schedule(price: int, *promotions: Promotion) -> PriceSchedule:
    return schedule_of(item(price), promotions, NOW, currency="EUR")


def test_without_a_promotion_it_says_the_price_and_nothing_else() -> None:
    assert schedule(2800) == PriceSchedule(eur(2800))


def test_a_reduction_in_force_is_a_sale_that_began_when_the_promotion_did() -> None:
    said = schedule(2800, reduced(500, -DAY, 2 * DAY))
    assert said == PriceSchedule(eur(2800), Sale(eur(1400), NOW - DAY, NOW + 2 * DAY))


def test_a_sale_ends_when_the_price_changes_not_when_the_promotion_does() -> None:
    said = schedule(1000, reduced(100, -DAY, 5 * DAY), reduced(200, DAY, 2 * DAY, "2"))
    assert said.sale == Sale(eur(900), NOW - DAY, NOW + DAY)
    touching = schedule(1000, reduced(100, -DAY, DAY), reduced(100, DAY, 3 * DAY, "2"))
    assert touching.sale == Sale(eur(900), NOW - DAY, NOW + 3 * DAY)


def test_the_next_reduction_is_announced_thirty_days_ahead_and_not_earlier() -> None:
    assert schedule(1000, reduced(100, 30 * DAY, 31 * DAY)).sale == Sale(
        eur(900), NOW + 30 * DAY, NOW + 31 * DAY
    )
    assert schedule(1000, reduced(100, 30 * DAY + timedelta(seconds=1), None)).sale is None


def test_a_promotion_that_makes_nothing_cheaper_is_no_sale() -> None:
    nothing = promotion(AmountOff(eur(0)), period=Period(None, NOW + DAY))
    assert schedule(1000, nothing).sale is None


def test_it_costs_the_sale_from_its_start_to_before_its_end() -> None:
    said = PriceSchedule(eur(100), Sale(eur(80), NOW, NOW + DAY))
    tick = timedelta(microseconds=1)
    moments = (NOW - tick, NOW, NOW + DAY - tick, NOW + DAY)
    assert [said.effective(one).amount for one in moments] == [100, 80, 80, 100]


def test_a_sale_that_is_over_makes_no_difference_any_more() -> None:
    over = PriceSchedule(eur(100), Sale(eur(80), NOW - DAY, NOW))
    plain = PriceSchedule(eur(100))
    assert over.same_from(plain, NOW)
    assert not over.same_from(plain, NOW - timedelta(microseconds=1))


def test_a_schedule_is_read_back_from_the_database_as_it_was() -> None:
    said = PriceSchedule(eur(100), Sale(eur(80), NOW, None), lowest=eur(90))
    assert PriceSchedule.from_json(said.to_json()) == said


hours = st.integers(-50, 800)
promotions = st.lists(
    st.tuples(st.sampled_from((100, 250, 500)), hours, st.integers(1, 900)), max_size=4
)


@given(st.integers(1, 5000), promotions, st.integers(0, 200))
def test_it_says_what_the_cart_says_until_the_price_changes_twice(
    price: int, drawn: list[tuple[int, int, int]], later: int
) -> None:
    planned = [
        reduced(permille, timedelta(hours=start), timedelta(hours=start + length), str(place))
        for place, (permille, start, length) in enumerate(drawn)
    ]
    said = schedule(price, *planned)
    moment = NOW + timedelta(hours=later)
    if said.sale is not None and said.sale.ends_at is not None and moment >= said.sale.ends_at:
        return
    nowhere = Rates(tax={}, shipping={})
    context = Context(now=moment, currency="EUR", rates=nowhere, promotions=planned)
    assert said.effective(moment) == price_of(item(price), context).price


@given(promotions, promotions, st.lists(st.integers(0, 900), max_size=10))
def test_two_schedules_are_the_same_if_no_moment_tells_them_apart(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]], later: list[int]
) -> None:
    first, second = (
        schedule(
            1000, *(reduced(p, timedelta(hours=s), timedelta(hours=s + n)) for p, s, n in some)
        )
        for some in (one[:1], other[:1])
    )
    if first.same_from(second, NOW):
        for hour in later:
            moment = NOW + timedelta(hours=hour)
            assert first.effective(moment) == second.effective(moment)
    else:
        bounds = [
            bound
            for sale in (first.sale, second.sale)
            if sale is not None
            for bound in (sale.starts_at, sale.ends_at)
            if bound is not None and bound > NOW
        ]
        assert any(first.effective(at) != second.effective(at) for at in (NOW, *bounds))


def test_what_is_remembered_is_what_would_be_worked_out_again() -> None:
    planned = [reduced(100, -DAY, DAY), reduced(300, 2 * DAY, None, "2")]
    known = Schedules(planned, NOW, "EUR")
    for price in (1000, 2000, 1000):
        assert known.of(item(price), NOW) == schedule(price, *planned)
    assert known.is_for(planned, NOW + DAY - timedelta(seconds=1))
    assert not known.is_for(planned, NOW + DAY)
    assert not known.is_for(planned[:1], NOW)


OLD, NEW, NEXT = (PriceSchedule(eur(price)) for price in (100, 110, 120))
SAME = PriceSchedule(eur(100), Sale(eur(80), NOW - DAY, NOW))


def take(
    announced: Announced | None,
    target: PriceSchedule,
    *,
    may_show: bool = True,
    is_only: bool = False,
    is_settled: bool = False,
) -> tuple[Announced, str, PriceSchedule]:
    made = step(announced, target, NOW, may_show=may_show, is_only=is_only, is_settled=is_settled)
    return made.announced, made.move, made.shows


def test_a_first_price_is_announced_at_once() -> None:
    assert take(None, NEW) == (Announced(NEW), "show", NEW)


def test_a_price_waits_until_nobody_can_see_the_old_one() -> None:
    assert take(Announced(OLD), NEW) == (Announced(OLD, NEW), "wait", OLD)
    assert take(Announced(OLD, NEW), NEW) == (Announced(OLD, NEW), "wait", OLD)
    assert take(Announced(OLD, NEW), NEXT) == (Announced(OLD, NEXT), "wait", OLD)
    assert take(Announced(OLD, NEW), NEW, may_show=False) == (Announced(NEW), "show", NEW)


def test_what_looks_the_same_from_now_on_needs_nobody_to_hide() -> None:
    assert take(Announced(SAME), OLD) == (Announced(OLD), "show", OLD)


def test_a_single_channel_shows_the_next_price_at_once_but_it_is_announced_when_it_is_there() -> (
    None
):
    assert take(Announced(OLD), NEW, is_only=True) == (Announced(OLD, NEW), "show", NEW)
    assert take(Announced(OLD, NEW), NEW, is_only=True, is_settled=True) == (
        Announced(NEW),
        "show",
        NEW,
    )


def test_a_second_channel_in_the_middle_of_that_waits_for_the_first_to_hide() -> None:
    assert take(Announced(OLD, NEW), OLD) == (Announced(OLD, OLD), "wait", OLD)


def test_no_step_lets_a_price_be_shown_beside_another() -> None:
    """With several channels what is shown is what was announced, unless nobody shows anything."""
    known = [None, *(Announced(one, other) for one, other in every((OLD, NEW), (None, OLD, NEW)))]
    for announced, target in every(known, (OLD, NEW, NEXT)):
        made = step(announced, target, NOW, may_show=True, is_only=False, is_settled=False)
        if announced is not None and made.move == "show":
            assert made.shows.same_from(announced.says, NOW)
            assert announced.next is None
