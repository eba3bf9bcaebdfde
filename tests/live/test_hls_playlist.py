"""A film on air over real HTTP, read as a player reads it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import m3u8
import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from video_builders import (
    Picture,
    decode_pictures,
    demux,
    grey_of,
    make_film_file,
    of_track,
)

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video.http import endpoints
from liveshop.video.ingest.loop import Chapter, LoopSource
from liveshop.video.model import BadFilm, Track
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks, playlist_path
from liveshop.web import ANONYMOUS, Principal
from liveshop.web.server import WebKit, mount

SHOW = ShowId("shw_1")
SECONDS = 8
CLOCK = SystemClock()


async def show_for(_show_id: ShowId, _who: Principal) -> None:
    """They are all there."""


class Nobody:
    async def authenticate(self, request: web.Request) -> Principal:
        return ANONYMOUS


@dataclass
class Player:
    """Reads a show as a player does: the playlist, then what it names."""

    session: ClientSession
    base: str

    async def get(self, path: str) -> ClientResponse:
        response = await self.session.get(self.base + path)
        await response.read()
        return response

    async def playlist(self, query: str = "", rendition: str = "video") -> m3u8.M3U8:
        response = await self.get(f"/hls/{SHOW}/{rendition}/live.m3u8{query}")
        assert response.status == 200
        return m3u8.loads(await response.text())

    async def read(self, uri: str) -> bytes:
        response = await self.get(f"/hls/{SHOW}/video/{uri}")
        assert response.status == 200
        return await response.read()


def whole(playlist: m3u8.M3U8) -> list[m3u8.Segment]:
    """Its complete segments; the last is still being filled."""
    return [segment for segment in playlist.segments if segment.uri]


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4", seconds=SECONDS)


@pytest.fixture
def service() -> VideoService:
    return VideoService(clock=CLOCK)


@pytest.fixture
async def player(service: VideoService) -> AsyncIterator[Player]:
    app = web.Application()
    kit = WebKit(clock=CLOCK, authenticator=Nobody(), public_origin="http://localhost")
    mount(app, kit, endpoints(service, PlaybackLinks("x" * 40, 1), show_for))
    async with TestServer(app) as server, ClientSession() as session:
        yield Player(session, str(server.make_url("")).rstrip("/"))


@pytest.fixture
async def source(service: VideoService, film_file: Path) -> AsyncIterator[LoopSource]:
    # A head start past the film's end, so that the seam is in the first playlist.
    source = LoopSource(
        film_file, video=service, show_id=SHOW, clock=CLOCK, head_start_seconds=SECONDS + 3.5
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(source.run())
        await source.wait_until_started()
        yield source
        task.cancel()


async def test_a_player_finds_a_full_playlist_at_once(source: LoopSource, player: Player) -> None:
    playlist = await player.playlist()
    assert len(whole(playlist)) >= 11
    assert playlist.target_duration == 2
    assert not playlist.is_endlist
    starts = [segment.program_date_time for segment in whole(playlist)]
    for earlier, later in pairwise(starts):
        assert abs(later - earlier - timedelta(seconds=1)) <= timedelta(milliseconds=1)


async def test_picture_and_sound_run_over_the_seam_without_a_hole(
    source: LoopSource, player: Player
) -> None:
    playlist = await player.playlist()
    samples = []
    for segment in whole(playlist):
        init = await player.read(segment.init_section.uri)
        samples += demux(init + await player.read(segment.uri))
    pictures, sounds = (of_track(samples, track) for track in Track)
    assert pictures[0].dts < SECONDS * 90_000 < pictures[-1].dts
    for ones in (pictures, sounds):
        assert all(b.dts == a.dts + a.duration for a, b in pairwise(ones))
    assert len(pictures) == len(whole(playlist)) * 30


async def test_program_date_time_tells_when_each_picture_was_due(
    source: LoopSource, player: Player
) -> None:
    playlist = await player.playlist()
    started_at = CLOCK.now() - timedelta(seconds=source.position(CLOCK.now()) + SECONDS)
    for segment in whole(playlist):
        media = await player.read(segment.init_section.uri) + await player.read(segment.uri)
        first: Picture = decode_pictures(media)[0]
        seconds = (segment.program_date_time - started_at).total_seconds()
        index = round(seconds * 30) % (SECONDS * 30)
        assert abs(first.grey - grey_of(index)) <= 1
        assert seconds == pytest.approx(first.seconds, abs=0.005)


async def test_a_reload_is_answered_as_soon_as_its_part_is_there(
    source: LoopSource, player: Player
) -> None:
    found = await player.playlist()
    msn = found.media_sequence + len(whole(found))
    for part in range(2):
        found = await player.playlist(f"?_HLS_msn={msn + 1}&_HLS_part={part}")
        age = CLOCK.now() - found.segments[-1].parts[part].program_date_time
        # It lasts a third of a second, and the film is handed on every tenth.
        assert timedelta(seconds=0.33) <= age < timedelta(seconds=0.8)
    assert len(found.segments[-1].parts) == 2


async def test_the_hinted_part_is_waited_for(source: LoopSource, player: Player) -> None:
    found = await player.playlist()
    hint = found.preload_hint.uri
    part = await player.read(hint)
    later = await player.playlist()
    assert hint in [part.uri for segment in later.segments for part in segment.parts]
    init = await player.read(later.segments[0].init_section.uri)
    assert len(of_track(demux(init + part), Track.VIDEO)) == 10


async def test_a_delta_update_leaves_out_what_is_known(source: LoopSource, player: Player) -> None:
    found = await player.playlist("?_HLS_skip=YES")
    assert not found.skip  # everything is within the boundary
    assert found.server_control.can_skip_until == 12


async def test_every_rendition_is_named_and_plays(source: LoopSource, player: Player) -> None:
    response = await player.get(playlist_path(SHOW))
    master = m3u8.loads(await response.text())
    assert [one.uri for one in master.playlists] == ["video/live.m3u8", "audio/live.m3u8"]
    sound = await player.playlist(rendition="audio")
    segment = sound.segments[0]
    data = b""
    for uri in (segment.init_section.uri, segment.uri):
        found = await player.get(f"/hls/{SHOW}/audio/{uri}")
        data += await found.read()
    assert {sample.track for sample in demux(data)} == {Track.AUDIO}


async def test_what_cannot_be_waited_for_is_refused(source: LoopSource, player: Player) -> None:
    for query, status, code in (
        ("?_HLS_msn=999999999999", 400, "video_bad_reload"),
        ("?_HLS_part=1", 400, "video_bad_reload"),
        ("?_HLS_msn=x", 422, "invalid"),
        ("?_HLS_msn=-1", 422, "invalid"),
    ):
        response = await player.get(f"/hls/{SHOW}/video/live.m3u8{query}")
        assert response.status == status, query
        assert (await response.json(content_type=None))["code"] == code
    past = await player.get(f"/hls/{SHOW}/video/live.m3u8?_HLS_msn=1&_HLS_part=4")
    assert past.status == 200


async def test_what_is_not_known_in_an_address_is_for_others(
    source: LoopSource, player: Player
) -> None:
    found = await player.playlist("?utm_source=letter&_HLS_push=1&_HLS_msn=1")
    assert found.segments


async def test_a_show_for_customers_needs_a_signed_address(
    service: VideoService, source: LoopSource, player: Player
) -> None:
    service.restrict(SHOW, for_customers=True)
    links = PlaybackLinks("x" * 40, 1)
    refused = await player.get(playlist_path(SHOW))
    assert refused.status == 403
    path = links.path(SHOW, CLOCK.now())
    assert (await player.get(path)).status == 200
    assert (await player.get(path.replace("index.m3u8", "video/live.m3u8"))).status == 200
    other = path.replace(SHOW, "shw_2")
    assert (await player.get(other)).status == 403


async def test_files_are_cacheable_and_readable_from_every_page(
    source: LoopSource, player: Player
) -> None:
    playlist = await player.playlist()
    segment = playlist.segments[0]
    for path, content_type, cache_control in (
        ("live.m3u8", "application/vnd.apple.mpegurl", "public, max-age=1"),
        ("live.m3u8?_HLS_msn=1", "application/vnd.apple.mpegurl", "public, max-age=6"),
        (segment.init_section.uri, "video/mp4", "public, max-age=3600, immutable"),
        (segment.uri, "video/iso.segment", "public, max-age=3600, immutable"),
    ):
        response = await player.get(f"/hls/{SHOW}/video/{path}")
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Cache-Control"] == cache_control
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_what_is_not_there_is_a_clear_404(source: LoopSource, player: Player) -> None:
    for path, code in (
        ("/hls/shw_unknown/index.m3u8", "video_not_on_air"),
        ("/hls/shw_unknown/video/segment-1.m4s", "video_not_on_air"),
        (f"/hls/{SHOW}/video/segment-1.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/segment-999999999999999.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/segment-{'9' * 100}.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/segment-x.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/segment-%F0%9F%8E%A5.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/init--1.mp4", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/part-1.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/video/part-999999999999999.m4s", "video_no_such_segment"),
        (f"/hls/{SHOW}/low/live.m3u8", "video_not_on_air"),
        (f"/hls/{SHOW}/hologram/live.m3u8", "video_no_such_segment"),
        (f"/hls/{SHOW}/rewind/index.m3u8", "video_no_rewind"),
    ):
        response = await player.get(path)
        assert response.status == 404, path
        assert (await response.json(content_type=None))["code"] == code
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_chapters_come_when_their_first_picture_is_due(source: LoopSource) -> None:
    starts = [0.0, 2.0, 3.75, 4.25]
    found: list[Chapter] = []
    async for chapter in source.chapters(starts):
        now = CLOCK.now()
        position = (source.position(now) - starts[chapter.index]) % SECONDS
        found.append(chapter)
        if len(found) > 1:
            assert position < 0.1
            assert abs(now - chapter.at) < timedelta(seconds=0.1)
        if len(found) == 3:
            break
    # Head start 11.5 s: 3.5 s into the second round.
    assert [chapter.index for chapter in found] == [1, 2, 3]
    assert (found[2].at - found[0].at).total_seconds() == pytest.approx(2.25)


async def test_chapters_end_with_the_film(service: VideoService, source: LoopSource) -> None:
    chapters = source.chapters([0.0, 7.9])
    assert (await anext(chapters)).index == 0
    service.end(SHOW)
    with pytest.raises(StopAsyncIteration):
        await anext(chapters)
    assert source.position(CLOCK.now()) == 0.0


async def test_film_gives_way_to_a_newer_publisher(
    service: VideoService, source: LoopSource, film_file: Path, player: Player
) -> None:
    newer = LoopSource(film_file, video=service, show_id=SHOW, clock=CLOCK, head_start_seconds=2.5)
    chapters = source.chapters([0.0])
    await anext(chapters)
    task = asyncio.create_task(newer.run())
    await newer.wait_until_started()
    async with asyncio.timeout(5):
        playlist = await player.playlist()
        while not any(segment.discontinuity for segment in playlist.segments):
            await asyncio.sleep(0.1)
            playlist = await player.playlist()
    assert [segment.discontinuity for segment in playlist.segments].count(True) == 1
    dates = [segment.program_date_time for segment in playlist.segments]
    assert dates == sorted(dates)
    async for _ in chapters:
        pass  # ends, since the older film does
    assert service.is_on_air(SHOW)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not service.is_on_air(SHOW)


async def test_film_that_gives_way_replaces_nobody(
    service: VideoService, source: LoopSource, film_file: Path
) -> None:
    await LoopSource(film_file, video=service, show_id=SHOW, clock=CLOCK, gives_way=True).run()
    assert source.position(CLOCK.now()) > 0.0


async def test_film_that_cannot_be_read_says_so(service: VideoService, tmp_path: Path) -> None:
    source = LoopSource(tmp_path / "none.mp4", video=service, show_id=SHOW, clock=CLOCK)
    with pytest.raises(BadFilm):
        await source.run()
    assert not service.is_on_air(SHOW)
