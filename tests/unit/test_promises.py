"""Promises: never in the past, never on a closed day, never earlier for who orders later."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.catalog.model import Hours, Span
from liveshop.orders.calendars import LONGEST_WAIT_DAYS, Opening, WorkingDays
from liveshop.orders.model import Promise
from liveshop.orders.promises import Promises, latest
from liveshop.settings import DeliverySettings

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
WEEK = {str(day): (("10:00", "19:00"),) for day in range(1, 6)}


def promises(zone: ZoneInfo = BERLIN, **given: object) -> Promises:
    settings = DeliverySettings(**given)  # type: ignore[arg-type]
    return Promises(WorkingDays(settings, zone), settings)


def store(
    weekly: Mapping[str, Sequence[Span]] = WEEK,
    exceptions: Mapping[str, Sequence[Span]] | None = None,
    zone: ZoneInfo = BERLIN,
) -> Opening:
    hours = Hours(
        {day: tuple(spans) for day, spans in weekly.items()},
        {day: tuple(spans) for day, spans in (exceptions or {}).items()},
    )
    return Opening(hours, zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def days(promise: Promise | None) -> tuple[str, str] | None:
    if promise is None:
        return None
    both = (promise.from_, promise.until)
    first, last = (f"{moment.astimezone(BERLIN):%m-%d}" for moment in both)
    return first, last


def ready(promise: Promise | None) -> str | None:
    return None if promise is None else f"{promise.until.astimezone(BERLIN):%m-%d %H:%M}"


# Parcels


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T13:59:59", ("11-24", "11-26")),
        ("2026-11-23T14:00:00", ("11-24", "11-26")),
        ("2026-11-23T14:00:01", ("11-25", "11-27")),
        ("2026-11-27T12:00:00", ("11-30", "12-02")),
        ("2026-11-27T15:00:00", ("12-01", "12-03")),
        ("2026-11-28T09:00:00", ("12-01", "12-03")),
        # Christmas Day is a Friday, and Boxing Day no working day either.
        ("2026-12-23T10:00:00", ("12-24", "12-29")),
        ("2026-12-24T10:00:00", ("12-28", "12-30")),
        ("2026-12-24T15:00:00", ("12-29", "12-31")),
        ("2026-12-31T15:00:00", ("01-05", "01-07")),
    ],
)
def test_a_parcel_leaves_until_the_cut_off_and_travels_on_working_days(
    now: str, expected: tuple[str, str]
) -> None:
    assert days(promises().ship(at(now), "DE")) == expected


def test_a_parcels_promise_is_of_whole_days() -> None:
    promise = promises().ship(at("2026-11-23T10:00"), "DE")
    assert promise == Promise(at("2026-11-24T00:00"), at("2026-11-26T23:59:59"))
    assert promise.from_.utcoffset() is not None


def test_where_transit_is_unknown_nothing_is_promised() -> None:
    assert promises().ship(at("2026-11-23T10:00"), "CH") is None


def test_holidays_are_those_of_the_region() -> None:
    epiphany = at("2026-01-05T15:00")
    assert days(promises(holidays="DE-BY").ship(epiphany, "DE")) == ("01-08", "01-12")
    assert days(promises(holidays="DE").ship(epiphany, "DE")) == ("01-07", "01-09")
    assert days(promises(holidays="").ship(at("2026-12-24T10:00"), "DE")) == ("12-25", "12-29")
    assert days(promises(closed_on=("2026-01-06",)).ship(epiphany, "DE")) == ("01-08", "01-12")


def test_an_hour_that_comes_twice_has_one_cut_off() -> None:
    sundays = promises(cut_off="02:30", working_days=(7,), transit_days={"DE": (0, 0)})
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in summer time; again an hour later
    assert days(sundays.ship(first, "DE")) == ("10-25", "10-25")
    for later in (timedelta(seconds=1), timedelta(minutes=40), timedelta(hours=1)):
        assert days(sundays.ship(first + later, "DE")) == ("11-01", "11-01")


def test_handling_takes_working_days() -> None:
    slow = promises(handling_days=2)
    assert days(slow.ship(at("2026-11-26T10:00"), "DE")) == ("12-01", "12-03")


def test_same_day_delivery_is_never_promised_for_the_past() -> None:
    now = at("2026-11-23T13:30")
    promise = promises(transit_days={"DE": (0, 0)}).ship(now, "DE")
    assert promise == Promise(now, at("2026-11-23T23:59:59"))


def test_a_store_sends_on_days_on_which_it_is_open() -> None:
    tuesdays = store({"2": (("10:00", "12:00"),)})
    monday, noon = at("2026-11-23T10:00"), at("2026-11-24T12:00")
    assert days(promises().ship(monday, "DE", [tuesdays])) == ("11-25", "11-27")
    assert days(promises().ship(noon, "DE", [tuesdays])) == ("12-02", "12-04")
    assert days(promises().ship(monday, "DE", [None, tuesdays])) == ("11-25", "11-27")
    assert promises().ship(monday, "DE", [None, store({})]) is None


def test_a_year_of_holidays_promises_nothing() -> None:
    closed = tuple((date(2026, 1, 1) + DAY * number).isoformat() for number in range(365))
    assert promises(closed_on=closed).ship(at("2026-03-01T10:00"), "DE") is None


# Pickups


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T12:00:00", "11-23 13:00"),
        ("2026-11-23T12:00:01", "11-23 13:05"),
        ("2026-11-23T08:00:00", "11-23 11:00"),
        ("2026-11-23T17:55:00", "11-23 18:55"),
        # An hour from now it has just closed; what is left is done in the morning.
        ("2026-11-23T18:00:00", "11-24 10:00"),
        ("2026-11-23T18:30:00", "11-24 10:30"),
        ("2026-11-23T19:00:00", "11-24 11:00"),
        ("2026-11-27T20:00:00", "11-30 11:00"),
    ],
)
def test_a_store_needs_opening_time(now: str, expected: str) -> None:
    assert ready(promises().pickup(at(now), store())) == expected


def test_a_lunch_break_is_no_opening_time() -> None:
    siesta = store({"1": (("09:00", "12:30"), ("14:00", "24:00"))})
    assert ready(promises().pickup(at("2026-11-23T12:00"), siesta)) == "11-23 14:30"
    assert ready(promises().pickup(at("2026-11-23T22:59"), siesta)) == "11-30 09:00"
    assert ready(promises(pickup_minutes=0).pickup(at("2026-11-23T13:00"), siesta)) == "11-23 14:00"


def test_a_store_that_never_closes_needs_no_morning() -> None:
    always = store({str(day): (("00:00", "24:00"),) for day in range(1, 8)})
    # Over both nights on which clocks change: an hour is an hour.
    for night in ("2026-03-29T01:30", "2026-10-25T01:30", "2026-10-25T02:30"):
        now = at(night).astimezone(UTC)
        promise = promises().pickup(now, always)
        assert promise is not None
        assert promise.until - now == timedelta(hours=1)


def test_opening_in_the_hour_that_does_not_exist() -> None:
    early = store({"7": (("02:15", "02:45"), ("05:00", "06:00"))})
    now = at("2026-03-29T00:00")
    assert ready(promises(pickup_minutes=0).pickup(now, early)) in ("03-29 03:15", "03-29 05:00")
    assert early.spans_of(date(2026, 3, 29))[-1] == (
        datetime(2026, 3, 29, 3, 0, tzinfo=UTC),
        datetime(2026, 3, 29, 4, 0, tzinfo=UTC),
    )


def test_exceptions_count_before_weekdays() -> None:
    week_off = {f"2026-11-{day}": () for day in range(23, 28)}
    closed = store(WEEK, week_off | {"2026-11-29": (("12:00", "13:00"),)})
    assert ready(promises(pickup_minutes=30).pickup(at("2026-11-23T11:00"), closed)) == (
        "11-29 12:30"
    )
    assert ready(promises().pickup(at("2026-11-23T11:00"), store(WEEK, week_off))) == "11-30 11:00"


def test_a_store_that_is_not_open_promises_nothing() -> None:
    for never in (store({}), store({}, {"2026-06-01": (("10:00", "12:00"),)})):
        assert promises().pickup(at("2026-11-23T11:00"), never) is None
        assert promises().ship_to_store(at("2026-11-23T11:00"), never) is None


def test_a_store_keeps_its_own_time() -> None:
    london = store(zone=ZoneInfo("Europe/London"))
    assert ready(promises().pickup(at("2026-11-23T10:30"), london)) == "11-23 12:00"


def test_what_is_sent_to_a_store_is_ready_while_it_is_open() -> None:
    promise = promises().ship_to_store(at("2026-11-26T10:00"), store())
    assert promise == Promise(at("2026-11-27T10:00"), at("2026-11-30T19:00"))
    saturdays = store({"6": (("10:00", "14:00"),)})
    promise = promises().ship_to_store(at("2026-11-23T10:00"), saturdays)
    assert promise == Promise(at("2026-11-28T10:00"), at("2026-11-28T14:00"))


def test_the_last_of_several_counts_and_an_unknown_one_spoils_all() -> None:
    one = Promise(at("2026-11-23T10:00"), at("2026-11-25T10:00"))
    other = Promise(at("2026-11-24T10:00"), at("2026-11-24T11:00"))
    assert latest([one, other]) == Promise(other.from_, one.until)
    assert latest([one, None]) is None
    assert latest([]) is None


# What holds for all of them

moments = st.integers(0, 4 * 365 * 86_400).map(
    lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
gaps = st.timedeltas(timedelta(0), timedelta(days=20))
clocks = st.integers(0, 24 * 12).map(lambda five: f"{five // 12:02}:{five % 12 * 5:02}")


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    drawn = sorted(draw(st.sets(clocks, max_size=4)))
    return tuple(zip(drawn[::2], drawn[1::2], strict=False))


@st.composite
def openings(draw: st.DrawFn) -> Opening:
    zone = ZoneInfo(draw(st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])))
    weekly = draw(st.dictionaries(st.sampled_from("1234567"), spans(), max_size=7))
    closed = draw(st.dictionaries(st.dates(date(2025, 1, 1), date(2028, 12, 31)), spans()))
    return store(weekly, {day.isoformat(): each for day, each in closed.items()}, zone)


@st.composite
def shops(draw: st.DrawFn) -> Promises:
    fewest = draw(st.integers(0, 3))
    return promises(
        ZoneInfo(draw(st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Apia"]))),
        cut_off=draw(st.sampled_from(["00:00", "02:30", "14:00", "23:59"])),
        handling_days=draw(st.integers(0, 3)),
        transit_days={"DE": (fewest, fewest + draw(st.integers(0, 4)))},
        store_transit_days=(fewest, fewest + draw(st.integers(0, 2))),
        working_days=tuple(sorted(draw(st.sets(st.integers(1, 7), min_size=1)))),
        holidays=draw(st.sampled_from(["", "DE", "DE-BY", "US"])),
        pickup_minutes=draw(st.sampled_from([0, 30, 60, 600])),
    )


Kind = Callable[[Promises, datetime, Opening], Promise | None]
KINDS: list[Kind] = [
    lambda shop, now, _: shop.ship(now, "DE"),
    lambda shop, now, place: shop.ship(now, "DE", [None, place]),
    lambda shop, now, place: shop.pickup(now, place),
    lambda shop, now, place: shop.ship_to_store(now, place),
    lambda shop, now, place: shop.ship_to_store(now, place, [place]),
]


@given(shops(), openings(), moments, gaps, st.sampled_from(KINDS))
def test_promises_are_true_and_a_later_order_is_never_promised_earlier(
    shop: Promises, place: Opening, now: datetime, gap: timedelta, kind: Kind
) -> None:
    first, second = kind(shop, now, place), kind(shop, now + gap, place)
    for promise, moment in ((first, now), (second, now + gap)):
        assert promise is None or moment <= promise.from_ <= promise.until
    if first is not None and second is not None:
        assert first.from_ <= second.from_
        assert first.until <= second.until


@given(shops(), moments)
def test_parcels_arrive_on_working_days(shop: Promises, now: datetime) -> None:
    promise = shop.ship(now, "DE")
    if promise is None:
        return
    zone = shop.days.zone
    assert shop.days.is_working(promise.from_.astimezone(zone).date())
    assert shop.days.is_working(promise.until.astimezone(zone).date())
    assert (promise.until + timedelta(seconds=1)).astimezone(zone).time() == time(0)


@given(shops(), openings(), moments)
def test_pickups_are_ready_while_the_store_is_open(
    shop: Promises, place: Opening, now: datetime
) -> None:
    def is_open(moment: datetime) -> bool:
        day = moment.astimezone(place.zone).date()
        return any(start <= moment < end for start, end in place.spans_of(day))

    here, sent = shop.pickup(now, place), shop.ship_to_store(now, place)
    assert here is None or is_open(here.until)
    assert sent is None or is_open(sent.from_)
    assert sent is None or is_open(sent.until - timedelta(seconds=1)) or sent.until == sent.from_
    if here is None and shop.delivery.pickup_minutes == 0:
        assert not list(place.ahead(now + timedelta(minutes=5)))
    limit = timedelta(days=LONGEST_WAIT_DAYS + 1)
    assert here is None or here.until - now < limit
