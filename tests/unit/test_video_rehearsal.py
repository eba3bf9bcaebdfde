"""The video of a rehearsal: for addresses signed for it, unrecorded, and gone when it ends."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.video.http import admitted
from liveshop.video.model import (
    BadPlaybackLink,
    H264Config,
    NoRewind,
    NoVideo,
    Publishing,
    Sample,
    Track,
    VideoLost,
    VideoStarted,
)
from liveshop.video.recording import Recordings
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SHOW = ShowId("shw_1")
VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
LINKS = PlaybackLinks("a-secret-for-tests-of-at-least-32-characters", 2)


def pictures(first: int, count: int) -> list[Sample]:
    return [
        Sample(Track.VIDEO, index * 3000, index * 3000, 3000, index % 30 == 0, b"x" * 50)
        for index in range(first, first + count)
    ]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def service(clock: ManualClock, tmp_path: Path) -> VideoService:
    return VideoService(
        clock=clock,
        recordings=Recordings(tmp_path, clock=clock, keep_seconds=60, least_free_bytes=0),
    )


def test_only_addresses_of_this_rehearsal_open_it(service: VideoService) -> None:
    service.rehearse(SHOW, "one", START)
    mine = LINKS.rehearsal(SHOW, "one", START)
    assert admitted(service, LINKS, mine, START) == SHOW
    others = [LINKS.rehearsal(SHOW, "two", START), LINKS.signed(SHOW, START), SHOW]
    for address in others:
        with pytest.raises(BadPlaybackLink):
            admitted(service, LINKS, address, START)
    service.end_rehearsal(SHOW, for_customers=True, at=START)
    with pytest.raises(BadPlaybackLink):
        admitted(service, LINKS, mine, START)
    assert admitted(service, LINKS, LINKS.signed(SHOW, START), START) == SHOW


async def test_who_sends_goes_on_unseen_when_it_ends(
    service: VideoService, clock: ManualClock
) -> None:
    service.rehearse(SHOW, "one", START)
    publishing = Publishing(SHOW, for_customers=True, rehearsal="one", started_at=START)
    publisher = service.publish(publishing, VIDEO, None)
    publisher.write(pictures(0, 40), origin=START)
    assert service.state(SHOW) == "on_air"
    assert "#EXTM3U" in service.multivariant(SHOW)
    monitor = service.monitor(SHOW)
    with pytest.raises(NoRewind):
        service.rewind(SHOW)
    clock.advance(timedelta(seconds=2))
    for _ in range(2):
        service.end_rehearsal(SHOW, for_customers=False, at=clock.now())
    assert publisher.is_current
    assert service.state(SHOW) == "preview"
    assert service.monitor(SHOW) is monitor
    publisher.write(pictures(60, 40), origin=START)
    with pytest.raises(NoVideo):
        service.multivariant(SHOW)
    service.open(SHOW, clock.now())
    publisher.write(pictures(120, 40), origin=START)
    assert service.state(SHOW) == "on_air"
    assert service.rewind(SHOW) is not None
    told = [await service.next_event() for _ in range(3)]
    assert [type(one) for one in told] == [VideoStarted, VideoLost, VideoStarted]
    assert told[1].at < told[2].at
    service.end(SHOW)


async def test_an_encoder_that_comes_before_the_news_is_kept_from_strangers(
    service: VideoService,
) -> None:
    publishing = Publishing(SHOW, for_customers=True, rehearsal="one", started_at=START)
    service.publish(publishing, VIDEO, None).write(pictures(0, 40), origin=START)
    with pytest.raises(BadPlaybackLink):
        admitted(service, LINKS, LINKS.signed(SHOW, START), START)
    assert admitted(service, LINKS, LINKS.rehearsal(SHOW, "one", START), START) == SHOW
