"""A recorded show over real HTTP, read as players, browsers and caches read it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import m3u8
import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from recording_builders import film_segments
from sample_builders import ORIGIN
from video_builders import decode_pictures, grey_of, make_film_file

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.film import load_film
from liveshop.video.recording import Recordings
from liveshop.video.replay_http import endpoints
from liveshop.video.signing import PlaybackLinks
from liveshop.web import ANONYMOUS, Principal
from liveshop.web.server import WebKit, mount

SHOW = ShowId("shw_1")
CLOCK = SystemClock()
LINKS = PlaybackLinks("x" * 32, 6)
SECONDS = 20
FILM_SECONDS = 8
"""It is shown again and again."""


class Nobody:
    async def authenticate(self, request: web.Request) -> Principal:
        return ANONYMOUS


@dataclass
class Window:
    access: Literal["everyone", "signed", "nobody"] = "everyone"
    from_at: datetime | None = None
    until_at: datetime | None = None
    hidden: frozenset[str] = frozenset()


@dataclass
class House:
    session: ClientSession
    recordings: Recordings
    window: Window
    signed: str
    preview: str

    async def get(self, path: str, show: str = SHOW, **headers: str) -> ClientResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.session.get(f"/hls/{show}/{path}", headers=sent)
        await response.read()
        return response

    async def playlist(self, show: str = SHOW) -> m3u8.M3U8:
        response = await self.get("replay/index.m3u8", show)
        assert response.status == 200, await response.text()
        return m3u8.loads(await response.text())

    async def greys(self, playlist: m3u8.M3U8, show: str = SHOW) -> list[int]:
        found: list[int] = []
        for segment in playlist.segments:
            init = await self.get(f"replay/{segment.init_section.uri}", show)
            media = await self.get(f"replay/{segment.uri}", show)
            assert (init.status, media.status) == (200, 200)
            data = await init.read() + await media.read()
            found += [one.grey for one in await asyncio.to_thread(decode_pictures, data)]
        return found

    async def file(self, name: str, data: bytes) -> str:
        path = self.recordings.file_path(SHOW, name)
        await asyncio.to_thread(path.parent.mkdir, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, data)
        return f"files/{name}"


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4", seconds=FILM_SECONDS)


@pytest.fixture
async def house(film_file: Path, tmp_path: Path) -> AsyncIterator[House]:
    recordings = Recordings(
        tmp_path, clock=CLOCK, keep_seconds=3600, least_free_bytes=0, is_kept=True
    )
    window = Window()

    async def window_of(show_id: ShowId) -> Window:
        return window

    kit = WebKit(
        clock=CLOCK,
        authenticator=Nobody(),
        public_origin="http://shop.example",
        embed_origins=frozenset(),
    )
    app = web.Application()
    mount(app, kit, endpoints(recordings, LINKS, window_of))
    running = asyncio.create_task(recordings.run())
    film = await asyncio.to_thread(load_film, film_file)
    for segment in await asyncio.to_thread(film_segments, film, SECONDS):
        recordings.of(SHOW).add(*segment)
    recordings.end(SHOW)
    await recordings.wait_until_written()
    server = TestServer(app)
    await server.start_server()
    now = CLOCK.now()
    async with ClientSession(server.make_url("/")) as session:
        yield House(session, recordings, window, LINKS.signed(SHOW, now), LINKS.preview(SHOW, now))
    await server.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def after(seconds: float) -> datetime:
    return ORIGIN + timedelta(seconds=seconds)


def greys(start: int, stop: int) -> list[int]:
    """What is seen between these seconds, but for the encoder's error."""
    return [grey_of(index % (30 * FILM_SECONDS)) for index in range(30 * start, 30 * stop)]


async def test_a_show_that_is_over_plays_from_its_beginning_to_its_end(house: House) -> None:
    playlist = await house.playlist()
    assert playlist.is_endlist
    assert playlist.playlist_type == "vod"
    assert playlist.segments[0].program_date_time == ORIGIN
    assert await house.greys(playlist) == pytest.approx(greys(0, SECONDS), abs=1)
    chunk = await house.get(f"replay/{playlist.segments[0].uri}")
    assert chunk.headers["Cache-Control"] == "public, max-age=3600, immutable"
    assert chunk.headers["Access-Control-Allow-Origin"] == "*"
    assert chunk.content_type == "video/iso.segment"
    index = await house.get("replay/index.m3u8")
    assert index.headers["Cache-Control"] == "public, max-age=10"


async def test_a_trim_is_exact_to_the_keyframe_and_what_is_cut_away_cannot_be_asked_for(
    house: House,
) -> None:
    whole = await house.playlist()
    house.window.from_at, house.window.until_at = after(7.5), after(14.2)
    playlist = await house.playlist()
    assert playlist.segments[0].program_date_time == after(7)
    assert sum(one.duration for one in playlist.segments) == pytest.approx(8)
    assert await house.greys(playlist) == pytest.approx(greys(7, 15), abs=1)
    number = str(whole.segments[1].uri).removesuffix(".m4s")
    hidden = (str(whole.segments[0].uri), f"{number}.m4s", f"{number}-0-500.m4s", "chunk-7.m4s")
    for uri in hidden:
        assert (await house.get(f"replay/{uri}")).status == 404, uri
        assert (await house.get(f"replay/{uri}", house.signed)).status == 404, uri
    # For staff all of it is there.
    staff = await house.playlist(house.preview)
    assert len(await house.greys(staff, house.preview)) == 30 * SECONDS
    for broken in ("chunk-x.m4s", "chunk-1-2.m4s", "chunk-1-5-5.m4s", "chunk-1-9-5.m4s"):
        assert (await house.get(f"replay/{broken}", house.preview)).status == 404


async def test_whom_a_recording_plays_for(house: House) -> None:
    file = await house.file("rcf_1.jpg", b"a picture")
    paths = ["replay/index.m3u8", "replay/init-1000.mp4", "replay/chunk-1000.m4s"]
    expected = {"everyone": (200, 200, 200), "signed": (403, 200, 200), "nobody": (404, 404, 200)}
    shows = (SHOW, house.signed, house.preview)
    now = CLOCK.now()
    of_file = (SHOW, LINKS.file(SHOW, "rcf_1.jpg", now), LINKS.own_file(SHOW, "rcf_1.jpg", now))
    for access, statuses in expected.items():
        house.window.access = access  # type: ignore[assignment]
        for path in paths:
            told = [(await house.get(path, show)).status for show in shows]
            assert tuple(told) == statuses, (access, path)
        told = [(await house.get(file, show)).status for show in of_file]
        assert tuple(told) == statuses, access
    house.window.access = "everyone"
    for forged in (house.signed[:-1] + "0", f"{SHOW}~preview-9999999999.00"):
        if forged not in shows:
            assert (await house.get("replay/index.m3u8", forged)).status == 403
    for nothing in ("shw_none", "..", "%2e%2e%2fshw_1"):
        assert (await house.get("replay/index.m3u8", nothing)).status == 404


async def test_a_ticket_opens_what_it_was_made_for_and_nothing_else(house: House) -> None:
    one, other = await house.file("rcf_1.mp4", b"one"), await house.file("rcf_2.mp4", b"other")
    now = CLOCK.now()
    for access in ("everyone", "signed", "nobody"):
        house.window.access = access
        for ticket in (LINKS.file(SHOW, "rcf_1.mp4", now), LINKS.own_file(SHOW, "rcf_1.mp4", now)):
            for path in (other, "files/rcf_1.jpg", "replay/index.m3u8", "replay/chunk-1000.m4s"):
                assert (await house.get(path, ticket)).status == 403, (access, path)
            assert (await house.get(one, ticket.replace("own-", ""))).status != 500
        for ticket in (house.signed, house.preview):
            assert (await house.get(one, ticket)).status == 403, access


async def test_a_clip_of_what_is_trimmed_away_needs_its_own_ticket(house: House) -> None:
    path = await house.file("rcf_1.mp4", b"a clip")
    house.window.hidden = frozenset({"rcf_1.mp4"})
    now = CLOCK.now()
    assert (await house.get(path)).status == 404
    assert (await house.get(path, LINKS.file(SHOW, "rcf_1.mp4", now))).status == 404
    assert (await house.get(path, LINKS.own_file(SHOW, "rcf_1.mp4", now))).status == 200


async def test_a_file_is_read_in_ranges_as_browsers_do(house: House) -> None:
    data = bytes(range(256)) * 8192  # two megabytes
    path = await house.file("rcf_1.mp4", data)
    whole = await house.get(path)
    assert (whole.status, await whole.read()) == (200, data)
    assert whole.headers["Content-Length"] == str(len(data))
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.content_type == "video/mp4"
    assert "Content-Disposition" not in whole.headers
    etag = whole.headers["ETag"]
    last = len(data) - 1
    for asked, start, stop in [
        ("bytes=0-1", 0, 2),
        ("bytes=1500000-", 1_500_000, len(data)),
        ("bytes=-5", len(data) - 5, len(data)),
        ("bytes=5-99999999", 5, len(data)),
    ]:
        part = await house.get(path, Range=asked)
        assert (part.status, await part.read()) == (206, data[start:stop]), asked
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(data)}"
    none = await house.get(path, Range=f"bytes={last + 1}-")
    assert none.status == 416
    assert none.headers["Content-Range"] == f"bytes */{len(data)}"
    for ignored in ("bytes=9-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x"):
        assert (await house.get(path, Range=ignored)).status in (200, 416), ignored
    assert (await house.get(path, Range="bytes=0-1", If_Range='"other"')).status == 200
    assert (await house.get(path, Range="bytes=0-1", If_Range=etag)).status == 206
    known = await house.get(path, If_None_Match=f'"other", {etag}')
    assert (known.status, await known.read()) == (304, b"")
    async with house.session.head(f"/hls/{SHOW}/{path}") as head:
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(data)))
    saved = await house.get(f"{path}?download=1")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="rcf_1.mp4"'
    for nothing in ("files/rcf_2.mp4", "files/..mp4", "files/%2e%2e%2findex.mp4", "files/a.txt"):
        assert (await house.get(nothing)).status == 404, nothing


async def test_a_file_that_goes_away_while_it_is_read_does_not_look_complete(house: House) -> None:
    path = await house.file("rcf_1.mp4", bytes(64 * 1024 * 1024))
    response = await house.session.get(f"/hls/{SHOW}/{path}")
    await house.recordings.remove_file(SHOW, "rcf_1.mp4")
    with pytest.raises(Exception, match=r"payload|disconnected|reset"):
        await response.read()


async def test_what_was_removed_is_not_there(house: House) -> None:
    await house.playlist()
    await house.recordings.remove(SHOW)
    for path in ("replay/index.m3u8", "replay/init-1000.mp4", "replay/chunk-1000.m4s"):
        assert (await house.get(path)).status == 404
