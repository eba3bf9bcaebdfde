"""Publishers that come, replace each other and go; numbers that caches may trust."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import m3u8
import pytest

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.video.model import (
    BadPlaybackLink,
    BadReload,
    H264Config,
    NothingNew,
    NoVideo,
    PublisherGone,
    Publishing,
    Rendition,
    Sample,
    Track,
    VideoEvent,
    VideoLost,
    VideoRefused,
    VideoReplaced,
    VideoStarted,
)
from liveshop.video.service import Publisher, VideoService

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SHOW = ShowId("shw_1")
VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)


def pictures(seconds: float, *, begin: float = 0.0) -> list[Sample]:
    return [
        Sample(Track.VIDEO, index * 3000, index * 3000, 3000, index % 30 == 0, b"x" * 50)
        for index in range(round(begin * 30), round((begin + seconds) * 30))
    ]


def on_air(service: VideoService, seconds: float = 1.1, show_id: ShowId = SHOW) -> Publisher:
    publisher = service.publish(Publishing(show_id), VIDEO, None)
    publisher.write(pictures(seconds), origin=START)
    return publisher


async def playlist(service: VideoService, show_id: ShowId = SHOW) -> m3u8.M3U8:
    return m3u8.loads(await service.playlist(show_id, Rendition.VIDEO))


async def numbers(service: VideoService) -> set[int]:
    text = await service.playlist(SHOW, Rendition.VIDEO)
    return set(numbers_in(text))


def numbers_in(text: str) -> Iterator[int]:
    for line in text.splitlines():
        for kind in ("segment-", "part-", "init-"):
            if kind in line and "HINT" not in line:
                yield int(line.split(kind)[1].split(".")[0])


async def told(service: VideoService) -> list[VideoEvent]:
    found: list[VideoEvent] = []
    while True:
        asked = asyncio.ensure_future(service.next_event())
        await asyncio.sleep(0)
        if not asked.done():
            asked.cancel()
            return found
        found.append(asked.result())


@pytest.fixture
def manual() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def service(manual: ManualClock) -> VideoService:
    return VideoService(clock=manual)


def test_show_is_on_air_from_its_first_whole_segment_until_its_publisher_leaves(
    service: VideoService,
) -> None:
    assert service.state(SHOW) == "none"
    on_air(service, 0.5)
    assert not service.is_on_air(SHOW)
    publisher = on_air(service)
    assert service.is_on_air(SHOW)
    assert service.state(SHOW) == "on_air"
    publisher.close()
    publisher.close()
    assert not service.is_on_air(SHOW)
    assert service.state(SHOW) == "away"


async def test_newest_publisher_takes_over_and_the_older_one_is_told(
    service: VideoService,
) -> None:
    older = on_air(service)
    newer = service.publish(Publishing(SHOW), VIDEO, None)
    with pytest.raises(PublisherGone):
        older.write(pictures(1), origin=START)
    older.close()
    newer.write(pictures(1.1), origin=START)
    assert service.is_on_air(SHOW)
    assert [s.discontinuity for s in (await playlist(service)).segments].count(True) == 1
    kinds = [type(event) for event in await told(service)]
    assert kinds == [VideoStarted, VideoReplaced, VideoStarted]


async def test_a_publisher_that_goes_is_told_with_its_reason(service: VideoService) -> None:
    on_air(service).close("timeout")
    started, lost = await told(service)
    assert isinstance(started, VideoStarted)
    assert started.data["width"] == 1280
    assert isinstance(lost, VideoLost)
    assert lost.data == {"reason": "timeout"}


async def test_before_the_show_nobody_is_told_and_nothing_can_be_fetched(
    service: VideoService,
) -> None:
    publisher = service.publish(Publishing(SHOW, is_on_air=False), VIDEO, None)
    publisher.write(pictures(2.1), origin=START)
    assert service.state(SHOW) == "preview"
    with pytest.raises(NoVideo):
        await playlist(service)
    assert await told(service) == []
    service.open(SHOW)
    publisher.write(pictures(2.1, begin=2.1), origin=START)
    first = (await playlist(service)).segments[0].program_date_time
    assert first >= START + timedelta(seconds=2.1)
    assert [type(event) for event in await told(service)] == [VideoStarted]


async def test_shows_do_not_see_each_other(service: VideoService) -> None:
    on_air(service)
    with pytest.raises(NoVideo):
        await playlist(service, ShowId("shw_2"))
    assert not service.is_on_air(ShowId("shw_2"))


async def test_ended_show_says_so_to_players_and_to_its_publisher(service: VideoService) -> None:
    publisher = on_air(service, 2.1)
    service.end(SHOW)
    service.end(SHOW)
    service.end(ShowId("shw_never_seen"))
    assert (await playlist(service)).is_endlist
    assert not service.is_on_air(SHOW)
    with pytest.raises(PublisherGone):
        publisher.write(pictures(1), origin=START)


async def test_numbers_are_never_used_twice_for_a_show(manual: ManualClock) -> None:
    used: set[int] = set()
    for _ in range(5):  # each time as after a crash: nothing of the old service is left
        service = VideoService(clock=manual)
        # A publisher may begin with a burst of what it has recorded already.
        on_air(service, 6.1).close()
        on_air(service, 6.1)
        found = await numbers(service)
        assert not used & found
        used |= found
        manual.advance(timedelta(seconds=2))


async def test_what_nobody_publishes_any_more_is_forgotten(
    service: VideoService, manual: ManualClock
) -> None:
    on_air(service)
    service.end(SHOW)
    manual.advance(timedelta(minutes=9))
    service.end(ShowId("shw_other"))
    assert await numbers(service)
    manual.advance(timedelta(minutes=2))
    service.end(ShowId("shw_other"))
    with pytest.raises(NoVideo):
        await playlist(service)


async def test_restarted_server_starts_another_timeline_with_a_small_number(
    manual: ManualClock,
) -> None:
    seen: set[int] = set()
    for _ in range(3):
        service = VideoService(clock=manual)
        on_air(service)
        seen.add((await playlist(service)).discontinuity_sequence)
        manual.advance(timedelta(seconds=1))
    assert len(seen) == 3
    # hls.js keeps an array as long as the number, and walks it.
    assert max(seen) < 20_000


async def test_a_reload_waits_for_the_part_it_asks_for(service: VideoService) -> None:
    publisher = on_air(service)
    msn = max(number for number in await numbers(service))
    text = await service.playlist(SHOW, Rendition.VIDEO)
    msn = m3u8.loads(text).media_sequence + len(m3u8.loads(text).segments)
    waiting = asyncio.create_task(service.playlist(SHOW, Rendition.VIDEO, msn=msn, part=1))
    hinted = int(text.split("part-")[-1].split(".")[0])
    for_part = asyncio.create_task(service.part(SHOW, Rendition.VIDEO, hinted))
    await asyncio.sleep(0)
    assert not waiting.done()
    publisher.write(pictures(0.8, begin=1.1), origin=START)
    assert f"part-{hinted}" in await waiting
    assert await for_part


@pytest.mark.parametrize(("msn", "part"), [(10**9, None), (None, 3)])
async def test_a_reload_of_what_cannot_be_waited_for_is_refused(
    service: VideoService, msn: int | None, part: int | None
) -> None:
    on_air(service)
    with pytest.raises(BadReload):
        await service.playlist(SHOW, Rendition.VIDEO, msn=msn, part=part)


async def test_a_reload_is_not_held_for_ever(
    service: VideoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_air(service)
    found = await playlist(service)
    monkeypatch.setattr("liveshop.video.service._TARGETS_WAITED", 0)
    with pytest.raises(NothingNew):
        await service.playlist(
            SHOW, Rendition.VIDEO, msn=found.media_sequence + len(found.segments)
        )


async def test_the_end_of_the_show_answers_whoever_waits(service: VideoService) -> None:
    on_air(service)
    found = await playlist(service)
    msn = found.media_sequence + len(found.segments)
    waiting = asyncio.create_task(service.playlist(SHOW, Rendition.VIDEO, msn=msn, part=5))
    await asyncio.sleep(0)
    service.end(SHOW)
    assert "#EXT-X-ENDLIST" in await waiting


async def test_the_delay_of_an_encoder_is_taken_off_the_time(service: VideoService) -> None:
    delay = timedelta(milliseconds=500)
    publishing = Publishing(SHOW, capture_delay=delay)
    service.publish(publishing, VIDEO, None).write(pictures(1.1), origin=START)
    assert (await playlist(service)).segments[0].program_date_time == START - delay


def test_shows_for_customers_need_a_signed_address(service: VideoService) -> None:
    on_air(service)
    service.admit(SHOW, is_signed=False)
    service.restrict(SHOW, for_customers=True)
    service.admit(SHOW, is_signed=True)
    with pytest.raises(BadPlaybackLink):
        service.admit(SHOW, is_signed=False)


async def test_what_was_refused_is_told(service: VideoService) -> None:
    service.refused(Publishing(SHOW), "video_unsupported", "HEVC")
    (event,) = await told(service)
    assert isinstance(event, VideoRefused)
    assert event.data == {"code": "video_unsupported", "detail": "HEVC"}


async def test_what_was_said_of_a_show_counts_more_than_what_a_key_allowed_before(
    service: VideoService,
) -> None:
    before = Publishing(SHOW, is_on_air=False)
    service.open(SHOW)
    service.restrict(SHOW, for_customers=True)
    service.publish(before, VIDEO, None).write(pictures(1.1), origin=START)
    assert service.is_on_air(SHOW)
    with pytest.raises(BadPlaybackLink):
        service.admit(SHOW, is_signed=False)
    service.end(SHOW)
    with pytest.raises(PublisherGone):
        service.publish(before, VIDEO, None)
