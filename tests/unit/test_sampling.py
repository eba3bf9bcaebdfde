"""A fair choice of a crowd's messages: what is left out is said, and everybody gets his turn."""

import json
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from liveshop.realtime.model import Event
from liveshop.realtime.sampling import Block, Sampler

STAFF = ""


class Room:
    """Numbers events and flushes them."""

    def __init__(self, per_second: int) -> None:
        self.sampler = Sampler(per_second)
        self.offset = 0
        self.now = 0.0

    def flush(self, authors: Sequence[str], *, after: float = 0.0) -> tuple[list[Event], set[int]]:
        """The events, and the offsets of those that viewers see."""
        self.now += after
        events = []
        for author in authors:
            self.offset += 1
            events.append(Event(self.offset, "chat.message", b"%d" % self.offset, author))
        sampled = self.sampler.sample(events, self.now)
        covers(sampled.blocks(), events)
        for author in {*authors, "stranger"} - {STAFF}:
            blocks = sampled.blocks(author)
            covers(blocks, events)
            own = {event.offset for event in events if event.sampled_by == author}
            assert own <= seen(blocks), "everybody sees his own"
        return events, seen(sampled.blocks())


def covers(blocks: Sequence[Block], events: Sequence[Event]) -> None:
    """Every offset once, in order, and each frame tells the truth about what it stands for."""
    covered = [offset for one in blocks for offset in range(one.first, one.last + 1)]
    assert covered == [event.offset for event in events]
    frames = {event.offset: event.frame for event in events}
    was_run = False
    for one in blocks:
        run = run_of(one)
        if run is None:
            assert one.first == one.last
            assert one.frame == frames[one.first]
        else:
            assert not was_run, "runs beside each other are one"
            assert run == (one.first, one.last, one.last - one.first + 1)
        was_run = run is not None


def run_of(block: Block) -> tuple[int, int, int] | None:
    """First and last offset and count, of a frame about what was left out."""
    if not block.frame.startswith(b"\x81"):
        return None
    payload = json.loads(block.frame[2:])
    assert payload["t"] == "more"
    return payload["from"], payload["o"], payload["d"]["count"]


def seen(blocks: Sequence[Block]) -> set[int]:
    return {one.first for one in blocks if run_of(one) is None}


AUTHORS = st.sampled_from([STAFF, "a", "b", "c", "d", "e"])
FLUSHES = st.lists(
    st.tuples(st.lists(AUTHORS, max_size=12), st.floats(0, 3, allow_nan=False)), max_size=30
)


@given(FLUSHES, st.integers(1, 8))
def test_offsets_stay_whole_staff_is_seen_and_the_budget_is_kept(
    flushes: list[tuple[list[str], float]], per_second: int
) -> None:
    room = Room(per_second)
    shown = 0
    for authors, after in flushes:
        events, visible = room.flush(authors, after=after)
        staff = {event.offset for event in events if not event.sampled_by}
        assert staff <= visible
        shown += len(visible - staff)
        assert shown <= per_second + per_second * room.now + 1e-6


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.integers(20, 25))
def test_below_the_rate_nothing_is_left_out(seconds: list[int], per_second: int) -> None:
    """Up to 20 in each second, all at once."""
    room = Room(per_second)
    for messages in seconds:
        events, visible = room.flush([f"p{n}" for n in range(messages)], after=1.0)
        assert visible == {event.offset for event in events}


def test_twenty_a_second_in_the_bursts_of_a_flush_pass_untouched() -> None:
    for window in (0.05, 0.08):
        room = Room(25)
        sent, due = 0, 0.0
        while room.now < 60:
            due += 20 * window
            authors = [f"p{n}" for n in range(sent, int(due))]
            sent = int(due)
            events, visible = room.flush(authors, after=window)
            assert visible == {event.offset for event in events}


def test_above_the_rate_everybody_is_shown_equally_often() -> None:
    room = Room(25)
    people = [f"p{n}" for n in range(40)]
    shown: Counter[str] = Counter()
    for _ in range(400):
        events, visible = room.flush(people, after=0.1)
        shown.update(event.sampled_by for event in events if event.offset in visible)
    assert set(shown) == set(people)
    assert max(shown.values()) - min(shown.values()) <= 1
    assert 1000 <= shown.total() <= 1025


def test_whoever_says_more_is_not_shown_more() -> None:
    """One person's ten messages in a flush wait for the others' one."""
    room = Room(10)
    shown: Counter[str] = Counter()
    for _ in range(200):
        events, visible = room.flush(["loud"] * 10 + [f"p{n}" for n in range(9)], after=0.5)
        shown.update(event.sampled_by for event in events if event.offset in visible)
    assert max(shown.values()) - min(shown.values()) <= 2


def test_whoever_was_just_shown_waits_for_somebody_new() -> None:
    room = Room(1)
    assert room.flush(["a"])[1] == {1}
    assert room.flush(["a", "b"], after=1)[1] == {3}


def test_ever_new_names_starve_nobody() -> None:
    room = Room(2)
    shown = 0
    for number in range(600):
        _, visible = room.flush([*(f"new{number}-{n}" for n in range(50)), "old"], after=0.5)
        shown += room.offset in visible
    assert shown >= 600 * 0.5 / 10 - 1, "once for each time that it takes to count as new"


def test_who_a_room_remembers_is_bounded() -> None:
    room = Room(1)
    for number in range(30):
        events = [Event(n, "chat.message", b"", f"{number}-{n}") for n in range(1, 1001)]
        room.sampler.sample(events, float(number))
    assert len(room.sampler._since) == 10_000
