"""The pure parts of a crowd: who comes when, what was missing, how long it took."""

import json
from random import Random

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from liveshop.cli.crowd import crowd_command
from liveshop.crowd.arrivals import ARRIVALS, visits_of
from liveshop.crowd.frames import Frames, Logged, Marks, Own
from liveshop.crowd.histogram import Histogram, merged
from liveshop.crowd.looking import CannotStart, Target, address_of
from liveshop.crowd.plan import BadPlan, Plan, counted, processes_for
from liveshop.crowd.report import report_of
from liveshop.crowd.sequence import Record, Sequence, Span
from liveshop.crowd.tally import Tally, Tick

URL = ("http://127.0.0.1:1",)


# -- durations


@given(st.lists(st.integers(0, 10**10), min_size=1), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_never_too_low_and_hardly_too_high(
    microseconds: list[int], share: float
) -> None:
    histogram = Histogram()
    for value in microseconds:
        histogram.record(value / 1e6)
    known = sorted(microseconds)
    exact = known[max(0, -(-int(share * 100) * len(known) // 100) - 1)] / 1e6
    told = histogram.percentile(share)
    assert told is not None
    assert exact - 2e-6 <= told <= exact * (1 + 1 / 64) + 2e-6
    assert (histogram.percentile(1.0), histogram.longest) == (histogram.most / 1e6,) * 2


def test_histograms_of_processes_add_up_to_the_one_of_all() -> None:
    rng = Random(1)
    values = [rng.expovariate(20) for _ in range(3000)]
    whole, parts = Histogram(), [Histogram() for _ in range(3)]
    for number, value in enumerate(values):
        whole.record(value)
        parts[number % 3].record(value)
    sent = [msgspec.json.decode(msgspec.json.encode(part), type=Histogram) for part in parts]
    assert merged(sent) == whole
    assert Histogram().percentile(0.5) is None


# -- the log, as one viewer was given it


def heard(*frames: tuple[int, int], after: int = 0) -> Record:
    sequence = Sequence()
    sequence.begin("e", after)
    for first, last in frames:
        sequence.hear(first, last)
    return sequence.end(7)


def test_a_log_without_fault_is_one_run_however_much_of_it_was_left_out() -> None:
    """A frame of a run that is left out covers all of it."""
    record = heard((5, 5), (6, 90), (91, 91), after=4)
    assert record == Record(7, runs=[Span("e", 5, 91)])
    assert record.is_complete
    assert heard(after=4) == Record(7)


def test_a_gap_a_repeat_and_a_wrong_order_are_three_different_faults() -> None:
    gap = heard((1, 1), (4, 4))
    assert (gap.gaps, gap.repeats, gap.out_of_order) == ([Span("e", 2, 3)], 0, 0)
    repeat = heard((1, 1), (2, 2), (1, 1), (3, 3))
    assert (repeat.gaps, repeat.repeats, repeat.out_of_order) == ([], 1, 0)
    order = heard((1, 1), (3, 3), (2, 2), (4, 4))
    assert (order.gaps, order.repeats, order.out_of_order) == ([], 0, 1)
    partly = heard((1, 1), (6, 6), (3, 4), (3, 3))
    assert partly.gaps == [Span("e", 2, 2), Span("e", 5, 5)]
    assert (partly.repeats, partly.out_of_order) == (1, 2)
    assert not any(record.is_complete for record in (gap, repeat, order, partly))


def test_a_reload_that_was_asked_for_is_no_gap_but_the_log_may_not_go_back() -> None:
    sequence = Sequence()
    sequence.begin("e", 10)
    sequence.hear(11, 11)
    sequence.begin("e", 40)
    sequence.hear(41, 41)
    sequence.begin("f", 2)
    sequence.hear(3, 3)
    record = sequence.end(0)
    assert record.runs == [Span("e", 11, 11), Span("e", 41, 41), Span("f", 3, 3)]
    assert record.is_complete
    backwards = Sequence()
    backwards.open("e", 10)
    backwards.open("e", 9)
    assert backwards.end(0).is_complete, "a page opened anew may begin earlier"
    backwards.begin("e", 8)
    assert not backwards.end(0).is_complete


def test_what_the_end_of_the_log_lacks_is_known_without_a_later_event() -> None:
    sequence = Sequence()
    sequence.open("e", 10)
    sequence.hear(11, 12)
    assert sequence.missing_until("e", 12) is None
    assert sequence.missing_until("e", 14) == Span("e", 13, 14)
    assert sequence.missing_until("f", 3) == Span("f", 1, 3)
    assert sequence.missing_until("f", 0) is None


@given(
    st.lists(st.integers(1, 30), max_size=60),
    st.integers(0, 3),
)
def test_whatever_comes_it_is_given_missing_or_repeated(offsets: list[int], after: int) -> None:
    """Every offset up to the last is in a run; what is not in a gap was heard at least once."""
    record = heard(*((offset, offset) for offset in offsets), after=after)
    new = [offset for offset in offsets if offset > after]
    last = max(new, default=after)
    missing = {n for gap in record.gaps for n in range(gap.first, gap.last + 1)}
    assert missing == set(range(after + 1, last + 1)) - set(new)
    assert record.repeats == len(offsets) - len(set(new))
    assert record.runs == ([Span("e", after + 1, last)] if last > after else [])


# -- frames


def frame(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_frames_are_told_apart_and_a_message_of_ours_tells_when_it_was_sent() -> None:
    marks = Marks("a1b", 100.0)
    frames = Frames(marks)
    text = marks.text("Does it come in blue?", marks.new(40, 101.25))
    said = frame(t="chat.message", o=7, at="", d={"message": {"id": "msg_1", "text": text}})
    logged = frames.read(said)
    assert isinstance(logged, Logged)
    assert (logged.first, logged.last, logged.mark) == (7, 7, marks.new(40, 101.25))
    assert logged.sent_at == pytest.approx(101.25, abs=1e-4)
    assert frames.read(said) is logged
    more = frames.read(frame(**{"t": "more", "o": 12, "from": 8, "d": {"count": 5}}))
    assert isinstance(more, Logged)
    assert (more.first, more.last, more.omitted) == (8, 12, 5)
    assert frames.read(frame(t="viewers", d={"count": 3})) is None
    greeting = frames.read(frame(t="hello", epoch="e", offset=3, at="", you={"kind": "guest"}))
    assert isinstance(greeting, Own)
    assert (greeting.t, greeting.epoch, greeting.offset) == ("hello", "e", 3)
    answer = frames.read(b'{"id":4,"error":{"code":"slow_mode","retryable":true,"retry_after":2}}')
    assert isinstance(answer, Own)
    assert answer.error is not None
    assert (answer.id, answer.error.code, answer.error.retry_after) == (4, "slow_mode", 2)


def test_a_message_of_somebody_else_has_no_mark() -> None:
    marks = Marks("a1b", 100.0)
    other = Marks("zzz", 100.0)
    for text in ("hello", "#a1b-", other.text("hi", other.new(1, 101.0)), "#a1b-1-2 and more"):
        assert marks.read(text) is None


# -- who comes when


@pytest.mark.parametrize("arrival", ARRIVALS)
def test_everybody_comes_in_time_and_the_same_again_for_the_same_seed(arrival: str) -> None:
    def visits(seed: int) -> list[tuple[float, float | None]]:
        found = visits_of(arrival, 400, seconds=100, seed=seed, staying=frozenset({3}))  # type: ignore[arg-type]
        return [(visit.comes, visit.leaves) for person in found for visit in person]

    assert visits(1) == visits(1)
    assert all(0 <= comes <= 95 for comes, _ in visits(1))
    assert all(leaves is None or comes < leaves <= 100 for comes, leaves in visits(1))
    assert (visits(1) != visits(2)) == (arrival == "show")


def test_a_show_begins_with_a_rush_and_some_leave_and_some_of_them_come_back() -> None:
    buyers = frozenset(range(0, 2000, 7))
    visits = visits_of("show", 2000, seconds=600, seed=5, staying=buyers)
    early = sum(person[0].comes < 60 for person in visits)
    assert 1000 < early < 1300
    assert sum(person[0].comes > 300 for person in visits) > 250
    left = [person for person in visits if person[0].leaves is not None]
    back = [person for person in left if len(person) == 2]
    assert 250 < len(left) < 500
    assert 0.2 < len(back) / len(left) < 0.6
    assert all(visits[buyer][-1].leaves is None for buyer in buyers)


# -- plans


def test_processes_share_everybody_and_agree_on_who_does_what() -> None:
    plan = Plan(addresses=URL, viewers=103, chatters=11, buyers=7)
    shares = [msgspec.structs.replace(plan, share=(which, 3)) for which in range(3)]
    assert sorted(person for share in shares for person in share.mine) == list(range(103))
    assert {share.chatting() for share in shares} == {plan.chatting()}
    assert (len(plan.chatting()), len(plan.buying())) == (11, 7)
    assert [processes_for(viewers, 8) for viewers in (1, 2500, 2501, 50_000)] == [1, 1, 2, 7]
    assert processes_for(9000, 1) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"viewers": 0},
        {"chatters": 101},
        {"buyers": 101},
        {"chatters": -1},
        {"seconds": 0.0},
        {"chat_per_minute": 100.0},
        {"orders_each": 0},
        {"hearts_per_minute": -1.0},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadPlan):
        Plan(addresses=URL, **wrong).check()  # type: ignore[arg-type]


def test_people_are_counted_as_a_number_or_a_share() -> None:
    assert [counted(text, 250) for text in ("0", "12", "5%", "0.5 %", "100%")] == [
        0,
        12,
        13,
        2,
        250,
    ]
    for wrong in ("", "many", "-5%", "101%", "1.5"):
        with pytest.raises(BadPlan):
            counted(wrong, 250)


def test_an_address_may_be_that_of_a_show_or_an_invitation() -> None:
    show = "shw_01K00000000000000000000000"
    assert address_of("shop.example") == ("http://shop.example", "", "")
    assert address_of(f"https://shop.example/s/{show}?invite=ABC") == (
        "https://shop.example",
        show,
        "ABC",
    )
    with pytest.raises(CannotStart):
        address_of("ftp://shop.example")


# -- what came of it


def report(tally: Tally, **given: object) -> object:
    plan = Plan(addresses=URL, **given)  # type: ignore[arg-type]
    target = Target("shw_1", "A show", "live", "Shop", "", "")
    return report_of(plan, target, tally, seconds=60, processes=1)


def test_only_what_was_acknowledged_and_is_missing_where_somebody_was_is_lost() -> None:
    tally = Tally(came_in=3, planned=3)
    tally.chat.acknowledged = {"a", "b", "c", "d"}
    tally.chat.seen = {"a": ("e", 4), "b": ("e", 5), "c": ("f", 5), "x": ("e", 6)}
    tally.chat.told = {"d"}
    tally.records = [Record(0, gaps=[Span("e", 5, 6)]), Record(1, gaps=[Span("e", 5, 5)])]
    tally.behind = [(2, Span("f", 6, 9))]
    told = report(tally)
    assert (told.chat.lost, told.chat.lost_deliveries, told.chat.unseen) == (1, 2, 0)  # type: ignore[attr-defined]


def test_a_crowd_that_nobody_joined_or_that_was_too_slow_is_not_good() -> None:
    assert "nobody came in" in report(Tally(planned=5)).verdict  # type: ignore[attr-defined]
    tally = Tally(planned=1, came_in=1)
    tally.delivery.record(0.4)
    assert report(tally).ok  # type: ignore[attr-defined]
    assert not report(tally, within_ms=250.0).ok  # type: ignore[attr-defined]
    assert report(tally, within_ms=450.0).ok  # type: ignore[attr-defined]


def test_tallies_and_ticks_of_processes_add_up() -> None:
    one, two = Tally(came_in=2, joins={0: 2}), Tally(came_in=3, joins={0: 1, 4: 2})
    one.chat.see("a", "e", 1)
    two.chat.see("a", "e", 2)
    one.orders.refused = {"out_of_stock": 1}
    two.orders.refused = {"out_of_stock": 2}
    whole = Tally()
    for tally in (one, two):
        whole.add(msgspec.json.decode(msgspec.json.encode(tally), type=Tally))
    assert (whole.came_in, whole.joins, whole.chat.twice) == (5, {0: 3, 4: 2}, 1)
    assert whole.orders.refused == {"out_of_stock": 3}
    tick = Tick(here=2, elapsed=3.0)
    tick.add(Tick(here=5, elapsed=4.0, is_settling=True))
    assert (tick.here, tick.elapsed, tick.is_settling) == (7, 4.0, True)


# -- the command


def test_the_command_ends_with_2_and_says_why_when_nothing_could_be_measured() -> None:
    for arguments, words in (
        (["http://127.0.0.1:1"], "does not answer: connection refused"),
        (["ftp://shop.example"], "no address of a server"),
        (["http://127.0.0.1:1", "--chatters", "200%"], "no share of the viewers"),
        (["http://127.0.0.1:1", "--processes", "many"], "auto or a number"),
    ):
        told = CliRunner().invoke(crowd_command, arguments)
        assert (told.exit_code, told.stdout) == (2, ""), told.stderr
        assert words in told.stderr
