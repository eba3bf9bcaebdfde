"""Publishers that come, replace each other and go; numbers that caches may trust."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import m3u8
import pytest
from hls_rules import Playlist, checked

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import ShowId
from liveshop.settings import VideoSettings
from liveshop.video import stream
from liveshop.video.model import (
    AacConfig,
    BadPlaybackLink,
    BadReload,
    H264Config,
    NoRewind,
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
from liveshop.video.recording import Recordings
from liveshop.video.service import Publisher, VideoService

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SHOW = ShowId("shw_1")
VIDEO = H264Config(bytes.fromhex("0164001fffe1000467640100"), 1280, 720)
AUDIO = AacConfig(bytes.fromhex("1190"))


def pictures(seconds: float, *, begin: float = 0.0) -> list[Sample]:
    return [
        Sample(Track.VIDEO, index * 3000, index * 3000, 3000, index % 30 == 0, b"x" * 50)
        for index in range(round(begin * 30), round((begin + seconds) * 30))
    ]


def sounds(seconds: float, *, begin: float = 0.0) -> list[Sample]:
    rate = 48_000 / 1024
    return [
        Sample(Track.AUDIO, index * 1024, index * 1024, 1024, True, b"s" * 20)
        for index in range(round(begin * rate), round((begin + seconds) * rate))
    ]


def with_sound(seconds: float) -> list[Sample]:
    return sorted(
        [*pictures(seconds), *sounds(seconds)],
        key=lambda sample: sample.dts / (90_000 if sample.track is Track.VIDEO else 48_000),
    )


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


async def test_what_has_ended_is_forgotten_without_anything_else_happening(
    service: VideoService, manual: ManualClock
) -> None:
    on_air(service)
    feed = service.monitor(SHOW).subscribe()
    service.end(SHOW)
    manual.advance(timedelta(minutes=9))
    assert await numbers(service)
    manual.advance(timedelta(minutes=2))
    with pytest.raises(NoVideo):
        await playlist(service)
    async with asyncio.timeout(1):
        async for _ in feed:  # it ends
            pass


async def test_a_live_show_waits_for_its_encoder_without_its_segments(
    manual: ManualClock, tmp_path: Path
) -> None:
    recordings = Recordings(tmp_path, clock=manual, keep_seconds=600, least_free_bytes=0)
    service = VideoService(clock=manual, recordings=recordings)
    on_air(service, 3.1).close()
    before = await playlist(service)
    seen = await numbers(service)
    writing = asyncio.create_task(recordings.run())
    await recordings.wait_until_written()
    manual.advance(timedelta(minutes=11))
    on_air(service, show_id=ShowId("shw_other"))
    with pytest.raises(NoVideo):
        await playlist(service)
    assert service.state(SHOW) == "away"
    assert "chunk-" in service.rewind(SHOW).playlist()
    on_air(service)
    assert not seen & await numbers(service)
    assert (await playlist(service)).discontinuity_sequence == before.discontinuity_sequence + 1
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


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


@pytest.mark.parametrize("is_told_by_key", [True, False])
async def test_timelines_of_a_show_rise_over_restarts_and_stay_small(
    manual: ManualClock, is_told_by_key: bool
) -> None:
    seen: list[int] = []
    for _ in range(3):
        service = VideoService(clock=manual)
        if not is_told_by_key:
            service.open(SHOW, START)
        publishing = Publishing(SHOW, started_at=START if is_told_by_key else None)
        publisher = service.publish(publishing, VIDEO, None)
        publisher.write(pictures(1.1), origin=START)
        seen.append((await playlist(service)).discontinuity_sequence)
        manual.advance(timedelta(seconds=9000))
    # hls.js keeps an array as long as the number, and walks it.
    assert seen == [0, 9000, 18_000]


async def test_timelines_where_nobody_says_when_the_show_began_differ(
    manual: ManualClock,
) -> None:
    seen: set[int] = set()
    for _ in range(3):
        service = VideoService(clock=manual)
        on_air(service)
        seen.add((await playlist(service)).discontinuity_sequence)
        manual.advance(timedelta(seconds=1))
    assert len(seen) == 3
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


def test_where_nothing_is_recorded_asking_again_is_no_use(service: VideoService) -> None:
    on_air(service)
    with pytest.raises(NoRewind) as refused:
        service.rewind(SHOW)
    assert not refused.value.retryable


async def test_a_delay_set_between_key_and_first_picture_counts(service: VideoService) -> None:
    delay = timedelta(milliseconds=500)
    service.set_delay("stf_1", delay)
    publisher = service.publish(Publishing(SHOW, person_id="stf_1"), VIDEO, None)
    publisher.write(pictures(1.1), origin=START)
    assert (await playlist(service)).segments[0].program_date_time == START - delay


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


# -- several renditions


class ToyRung:
    """Hands pictures on when the test says so."""

    made: ClassVar["list[ToyRung]"] = []

    def __init__(
        self,
        video: H264Config,
        audio: AacConfig | None,
        begin: Callable[[H264Config, AacConfig | None], None],
        write: Callable[[list[Sample], datetime], None],
        *,
        failed: Callable[[], None],
    ) -> None:
        self.begin, self.write, self.failed = begin, write, failed
        self.is_closed = False
        self.made.append(self)

    def feed(self, samples: Iterable[Sample], origin: datetime) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def rungs(monkeypatch: pytest.MonkeyPatch) -> list[ToyRung]:
    monkeypatch.setattr(stream, "Rung", ToyRung)
    monkeypatch.setattr(ToyRung, "made", [])
    return ToyRung.made


async def rules(service: VideoService, rendition: Rendition) -> Playlist:
    return checked(await service.playlist(SHOW, rendition))


def offered(service: VideoService) -> list[str]:
    return [one.uri.split("/")[0] for one in m3u8.loads(service.multivariant(SHOW)).playlists]


async def test_who_only_listens_is_woken_by_the_sound(service: VideoService) -> None:
    publisher = service.publish(Publishing(SHOW), VIDEO, AUDIO)
    publisher.write(with_sound(1.1), origin=START)
    number = hinted(await rules(service, Rendition.AUDIO))
    waiting = asyncio.create_task(service.part(SHOW, Rendition.AUDIO, number))
    await asyncio.sleep(0)
    publisher.write(sounds(0.5, begin=1.1), origin=START)
    async with asyncio.timeout(1):
        assert await waiting


async def test_timelines_have_the_same_number_in_all_renditions(service: VideoService) -> None:
    delays = (0, 10, 20, 30)
    for second, audio in zip(delays, (AUDIO, None, AUDIO, AUDIO), strict=True):
        publisher = service.publish(Publishing(SHOW), VIDEO, audio)
        samples = pictures(2.1) if audio is None else with_sound(2.1)
        publisher.write(samples, origin=START + timedelta(seconds=second))
    runs: dict[Rendition, dict[int, int]] = {}
    for rendition in (Rendition.VIDEO, Rendition.AUDIO):
        runs[rendition] = {
            segment.discontinuity: round((segment.starts_at - START).total_seconds()) // 10
            for segment in (await rules(service, rendition)).complete
        }
    first = min(runs[Rendition.VIDEO])
    assert runs[Rendition.VIDEO] == {first + run: run for run in range(4)}
    assert runs[Rendition.AUDIO] == {first + run: run for run in (2, 3)}


async def test_sound_alone_is_not_offered_of_a_publisher_without(service: VideoService) -> None:
    service.publish(Publishing(SHOW), VIDEO, AUDIO).write(with_sound(1.1), origin=START)
    assert offered(service) == ["video", "audio"]
    sound = await rules(service, Rendition.AUDIO)
    next_msn = sound.first_msn + len(sound.complete)
    asked = service.playlist(SHOW, Rendition.AUDIO, msn=next_msn, part=3)
    waiting = asyncio.create_task(asked)
    await asyncio.sleep(0)
    service.publish(Publishing(SHOW), VIDEO, None).write(pictures(1.1), origin=START)
    assert offered(service) == ["video"]
    with pytest.raises(NoVideo):
        await rules(service, Rendition.AUDIO)
    assert not (await rules(service, Rendition.VIDEO)).reports
    # What was made stays readable.
    assert service.segment(SHOW, Rendition.AUDIO, sound.first_msn)
    with pytest.raises(NoVideo):
        async with asyncio.timeout(1):
            await waiting
    service.publish(Publishing(SHOW), VIDEO, AUDIO).write(with_sound(1.1), origin=START)
    assert offered(service) == ["video", "audio"]
    after = await rules(service, Rendition.AUDIO)
    assert after.first_msn > next_msn


def hinted(playlist: Playlist) -> int:
    assert playlist.hint is not None
    return int(playlist.hint.removeprefix("part-").removesuffix(".m4s"))


async def test_a_small_picture_that_fails_is_offered_no_more(
    manual: ManualClock, rungs: list[ToyRung]
) -> None:
    service = VideoService(clock=manual, settings=VideoSettings(low_rung=True))
    publisher = on_air(service)
    (rung,) = rungs
    assert offered(service) == ["video"]
    rung.begin(VIDEO, None)
    rung.write(pictures(1.1), START)
    assert offered(service) == ["video", "low"]
    small = await rules(service, Rendition.LOW)
    assert [one[0] for one in (await rules(service, Rendition.VIDEO)).reports] == [
        "../low/live.m3u8"
    ]
    waiting = asyncio.create_task(service.part(SHOW, Rendition.LOW, hinted(small)))
    await asyncio.sleep(0)
    rung.failed()
    assert rung.is_closed
    assert offered(service) == ["video"]
    assert not (await rules(service, Rendition.VIDEO)).reports
    with pytest.raises(NoVideo):
        await rules(service, Rendition.LOW)
    async with asyncio.timeout(1):
        assert await waiting  # the run's last part
    # With another run it is tried anew, and goes on beside the large one.
    publisher.change(VIDEO, None)
    publisher.write(pictures(1.1), origin=START)
    rungs[-1].begin(VIDEO, None)
    rungs[-1].write(pictures(1.1), START)
    assert offered(service) == ["video", "low"]
    last = (await rules(service, Rendition.VIDEO)).complete[-1].discontinuity
    assert (await rules(service, Rendition.LOW)).complete[-1].discontinuity == last


async def test_a_small_picture_with_a_hole_stays_on_the_timeline_of_the_large_one(
    manual: ManualClock, rungs: list[ToyRung]
) -> None:
    service = VideoService(clock=manual, settings=VideoSettings(low_rung=True))
    on_air(service, 6.1)
    rungs[0].begin(VIDEO, None)
    rungs[0].write(pictures(1.1), START)
    rungs[0].begin(VIDEO, None)
    rungs[0].write(pictures(2.1, begin=4.0), START)
    last = (await rules(service, Rendition.VIDEO)).complete[-1].discontinuity
    found = await rules(service, Rendition.LOW)
    assert {segment.discontinuity for segment in found.complete} == {last}
