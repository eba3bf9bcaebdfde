"""What waits for a slow destination is bounded, begins at a keyframe, and is counted when left out;
tags are what RTMP carries; timestamps of a connection run on."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from liveshop.video.model import AacConfig, H264Config, Sample, Track
from liveshop.video.simulcast.connection import Clock
from liveshop.video.simulcast.flv import Run, Tag, tags_of
from liveshop.video.simulcast.leg import Backoff, Rate
from liveshop.video.simulcast.queue import QueueLimits, TagQueue

VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
AUDIO = AacConfig(bytes.fromhex("1190"))
RUN = Run(VIDEO, AUDIO)


def picture(number: int, *, every: int = 10, size: int = 100, run: Run = RUN) -> Tag:
    """Ten a second, a keyframe each second."""
    return Tag(run, True, number % every == 0, number * 100, number / 10, bytes(size))


def drained(queue: TagQueue) -> list[Tag]:
    found = []
    while (tag := queue.first()) is not None:
        found.append(tag)
        queue.drop_first()
    return found


def test_it_begins_at_a_keyframe() -> None:
    queue = TagQueue(QueueLimits())
    for number in range(5, 25):
        queue.add(picture(number))
    assert [tag.ms for tag in drained(queue)] == [number * 100 for number in range(10, 25)]
    assert queue.left_out_seconds == 0


def test_a_slow_destination_goes_on_at_the_newest_keyframe() -> None:
    queue = TagQueue(QueueLimits(max_seconds=2.0))
    for number in range(22):
        queue.add(picture(number))
    assert [tag.ms for tag in drained(queue)][:2] == [2000, 2100]
    assert queue.left_out_seconds == 2.0


def test_without_a_keyframe_soon_enough_it_waits_for_the_next() -> None:
    queue = TagQueue(QueueLimits(max_seconds=2.0))
    for number in range(25):
        queue.add(picture(number, every=40))
    assert queue.first() is None
    assert queue.left_out_until(2.4) == 2.4
    for number in range(25, 42):
        queue.add(picture(number, every=40))
    assert [tag.ms for tag in drained(queue)] == [4000, 4100]
    assert queue.left_out_seconds == 4.0


@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=300),
    every=st.integers(1, 60),
    taken=st.sets(st.integers(0, 300)),
)
def test_it_is_bounded_and_never_begins_within(
    sizes: list[int], every: int, taken: set[int]
) -> None:
    queue = TagQueue(QueueLimits(max_bytes=20_000, max_seconds=3.0))
    before: Tag | None = None
    for number, size in enumerate(sizes):
        queue.add(picture(number, every=every, size=size))
        assert queue.buffered_bytes <= 20_000
        if number in taken:
            for tag in drained(queue):
                gap = before is None or tag.ms != before.ms + 100
                assert tag.is_keyframe or not gap
                before = tag
    assert 0 <= queue.left_out_seconds <= len(sizes) / 10


def test_samples_become_tags_by_time() -> None:
    samples = [
        Sample(Track.VIDEO, 9000, 12_000, 3000, True, b"key"),
        Sample(Track.VIDEO, 12_000, 9_000, 3000, False, b"delta"),
        Sample(Track.AUDIO, 4_800, 4_800, 1024, True, b"sound"),
        Sample(Track.AUDIO, 5_824, 5_824, 1024, True, b"more"),
    ]
    tags = tags_of(samples, RUN, 1.0)
    assert [(tag.ms, tag.is_video, tag.is_keyframe) for tag in tags] == [
        (100, True, True),
        (100, False, False),
        (121, False, False),
        (133, True, False),
    ]
    assert tags[0].body == b"\x17\1" + (33).to_bytes(3, "big") + b"key"
    assert tags[3].body == b"\x27\1" + (-33).to_bytes(3, "big", signed=True) + b"delta"
    assert tags[1].body == b"\xaf\1sound"
    silent = Run(VIDEO, None)
    assert [tag.is_video for tag in tags_of(samples, silent, 1.0)] == [True, True]


def test_another_size_or_sound_wants_another_connection() -> None:
    assert Run(VIDEO, AUDIO).can_follow(RUN)
    assert Run(replace(VIDEO, avcc=VIDEO.avcc + b"\0"), AUDIO).can_follow(RUN)
    assert not Run(replace(VIDEO, width=640), AUDIO).can_follow(RUN)
    assert not Run(VIDEO, None).can_follow(RUN)
    assert not RUN.can_follow(Run(VIDEO, None))
    assert not Run(VIDEO, AacConfig(bytes.fromhex("1210"))).can_follow(RUN)


def test_timestamps_begin_at_zero_and_run_on_over_runs() -> None:
    clock = Clock()
    first = Tag(RUN, True, True, 90_000_000, 50.0, b"")
    clock.begin(first)
    assert clock.ms(first) == 0
    assert clock.ms(Tag(RUN, False, False, 89_999_990, 50.0, b"")) is None
    assert clock.ms(Tag(RUN, True, False, 90_000_033, 50.03, b"")) == 33
    assert clock.ms(Tag(RUN, False, False, 90_000_020, 50.03, b"")) == 20
    # Another origin of time, two seconds later; then one that comes at once.
    later = Tag(Run(VIDEO, AUDIO), True, True, 0, 52.0, b"")
    clock.begin(later)
    assert clock.ms(later) == 2000
    at_once = Tag(Run(VIDEO, AUDIO), True, True, 777, 50.5, b"")
    clock.begin(at_once)
    assert clock.ms(at_once) == 2001
    assert clock.ms(Tag(RUN, True, False, 0, 52.0, b"")) == 2001, "never backwards"


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 30.0, lambda: 0.5)
    assert [backoff.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next() == 1
    assert 0.75 <= Backoff(1.0, 30.0).next() <= 1.25


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.kbit_per_second() is None
    for tick in range(20):
        rate.note(tick * 125_000, tick * 0.5)
    assert rate.kbit_per_second() == 2000
    for tick in range(20, 30):
        rate.note(19 * 125_000, tick * 0.5)
    assert rate.kbit_per_second() == 0
