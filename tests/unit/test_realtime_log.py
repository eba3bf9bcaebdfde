"""The log of a room, by itself."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from room_builders import Note, unframe

from liveshop.realtime import Position, frames
from liveshop.realtime.log import RoomLog

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(
    batches=st.lists(st.integers(0, 6), max_size=20),
    size=st.integers(1, 10),
    offset=st.integers(-2, 120),
    limit=st.integers(1, 20),
)
def test_since_is_complete_or_refused(
    batches: list[int], size: int, offset: int, limit: int
) -> None:
    log = RoomLog("e", size=size)
    for count in batches:
        log.append([frames.draft("note", Note(0), NOON) for _ in range(count)])
    total = sum(batches)
    known = log.since(Position("e", offset), limit=limit)
    if offset < 0 or offset > total or offset < total - size:
        assert known is None
    else:
        expected = list(range(offset + 1, total + 1))[:limit]
        assert known is not None
        assert [event.offset for event in known] == expected


def test_large_events_are_forgotten_earlier() -> None:
    log = RoomLog("e", size=1000, max_bytes=5000)
    log.append([frames.draft("note", Note(n, "x" * 1000), NOON) for n in range(20)])
    assert log.since(Position("e", 10), limit=100) is None
    kept = log.since(Position("e", 17), limit=100)
    assert kept is not None
    assert [event.offset for event in kept] == [18, 19, 20]


@given(st.integers(0, 70_000))
def test_frames_have_the_length_they_say(length: int) -> None:
    frame = frames.text_frame(b'"' + b"x" * length + b'"')
    assert unframe(frame) == ["x" * length]
