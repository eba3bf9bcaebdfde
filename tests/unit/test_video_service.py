"""Publishers that come, replace each other and go; numbers that caches may trust."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import m3u8
import pytest

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.video.model import H264Config, NoVideo, PublisherGone, Sample, Track
from liveshop.video.service import VideoService

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SHOW = ShowId("shw_1")
VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)


def pictures(seconds: float) -> Iterator[Sample]:
    for index in range(round(seconds * 30)):
        yield Sample(Track.VIDEO, index * 3000, index * 3000, 3000, index % 30 == 0, b"x" * 50)


def numbers(service: VideoService) -> list[int]:
    segments = m3u8.loads(service.playlist(SHOW)).segments
    return [int(s.uri.removeprefix("segment-").removesuffix(".m4s")) for s in segments]


@pytest.fixture
def manual() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def service(manual: ManualClock) -> VideoService:
    return VideoService(clock=manual)


def test_show_is_on_air_from_its_first_whole_segment_until_its_publisher_leaves(
    service: VideoService,
) -> None:
    assert not service.is_on_air(SHOW)
    publisher = service.publish(SHOW, VIDEO, None)
    publisher.write(pictures(0.5), origin=START)
    assert not service.is_on_air(SHOW)
    publisher = service.publish(SHOW, VIDEO, None)
    publisher.write(pictures(1.1), origin=START)
    assert service.is_on_air(SHOW)
    publisher.close()
    publisher.close()
    assert not service.is_on_air(SHOW)
    assert numbers(service)


def test_newest_publisher_takes_over_and_the_older_one_is_told(service: VideoService) -> None:
    older = service.publish(SHOW, VIDEO, None)
    older.write(pictures(1.1), origin=START)
    newer = service.publish(SHOW, VIDEO, None)
    with pytest.raises(PublisherGone):
        older.write(pictures(1), origin=START)
    older.close()
    newer.write(pictures(1.1), origin=START)
    assert service.is_on_air(SHOW)
    playlist = m3u8.loads(service.playlist(SHOW))
    assert [segment.discontinuity for segment in playlist.segments] == [False, False, True]


def test_shows_do_not_see_each_other(service: VideoService) -> None:
    service.publish(SHOW, VIDEO, None).write(pictures(1.1), origin=START)
    with pytest.raises(NoVideo):
        service.playlist(ShowId("shw_2"))
    assert not service.is_on_air(ShowId("shw_2"))


def test_ended_show_says_so_to_players_and_to_its_publisher(service: VideoService) -> None:
    publisher = service.publish(SHOW, VIDEO, None)
    publisher.write(pictures(2.1), origin=START)
    service.end(SHOW)
    service.end(SHOW)
    service.end(ShowId("shw_never_seen"))
    assert m3u8.loads(service.playlist(SHOW)).is_endlist
    assert not service.is_on_air(SHOW)
    with pytest.raises(PublisherGone):
        publisher.write(pictures(1), origin=START)


def test_numbers_are_never_used_twice_for_a_show(manual: ManualClock) -> None:
    used: set[int] = set()
    for _ in range(5):  # each time as after a crash: nothing of the old service is left
        service = VideoService(clock=manual)
        for _ in range(2):
            # A publisher may begin with a burst of what it has recorded already.
            service.publish(SHOW, VIDEO, None).write(pictures(6.1), origin=START)
            service.end(SHOW)
            found = set(numbers(service))
            assert not used & found
            used |= found
        manual.advance(timedelta(seconds=2))


def test_what_nobody_publishes_any_more_is_forgotten(
    service: VideoService, manual: ManualClock
) -> None:
    service.publish(SHOW, VIDEO, None).write(pictures(1.1), origin=START)
    service.end(SHOW)
    manual.advance(timedelta(minutes=9))
    service.end(ShowId("shw_other"))
    assert numbers(service)
    manual.advance(timedelta(minutes=2))
    service.end(ShowId("shw_other"))
    with pytest.raises(NoVideo):
        service.playlist(SHOW)


def test_restarted_server_starts_another_timeline_with_a_small_number(manual: ManualClock) -> None:
    seen: set[int] = set()
    for _ in range(3):
        service = VideoService(clock=manual)
        service.publish(SHOW, VIDEO, None).write(pictures(1.1), origin=START)
        seen.add(m3u8.loads(service.playlist(SHOW)).discontinuity_sequence)
        manual.advance(timedelta(seconds=1))
    assert len(seen) == 3
    # hls.js keeps an array as long as the number, and walks it.
    assert max(seen) < 20_000
