"""A show's video on several nodes: whichever one a viewer asks, he sees what its origin has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from hls_rules import Playlist, checked
from room_builders import HOST, SHOW, Bouncer, allow_known_shows
from video_builders import decode_pictures, make_film_file
from websockets.asyncio.client import connect

from liveshop.kernel.clock import Clock, SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video import http as video_http
from liveshop.video import live, replay_http
from liveshop.video.ingest.loop import LoopSource
from liveshop.video.live import MonitorSocket
from liveshop.video.model import NoRecording
from liveshop.video.origins import LEASE, Origin, Origins
from liveshop.video.recording import Recordings
from liveshop.video.relay import Relay
from liveshop.video.service import VideoService
from liveshop.video.signing import PlaybackLinks
from liveshop.web import Principal
from liveshop.web.server import WebKit, mount

SHOW_ID = ShowId(SHOW)
SECRET = "x" * 40
PATIENCE = 15.0


class Slow(SystemClock):
    """Of a machine that nobody keeps in time."""

    def now(self) -> datetime:
        return super().now() - timedelta(seconds=30)


@dataclass
class Shared:
    """The database's part in it, by a clock of its own."""

    clock: Clock = field(default_factory=SystemClock)
    rows: dict[ShowId, tuple[str, str, datetime, datetime, bool]] = field(default_factory=dict)

    def origin(self, show_id: ShowId) -> Origin | None:
        if show_id not in self.rows:
            return None
        node, url, since, seen_at, is_sending = self.rows[show_id]
        is_alive = self.clock.now() - seen_at <= LEASE
        return Origin(show_id, node, url, since, is_sending, is_alive)

    def age(self, by: timedelta) -> None:
        """Everybody has been silent for so long."""
        for show_id, (node, url, since, seen_at, is_sending) in self.rows.items():
            self.rows[show_id] = (node, url, since, seen_at - by, is_sending)


@dataclass
class Book:
    """One node's hand in it; as `shows.origin_store.OriginStore`."""

    shared: Shared
    node: str
    url: str = ""

    async def claim(self, show_id: ShowId) -> None:
        now = self.shared.clock.now()
        self.shared.rows[show_id] = (self.node, self.url, now, now, True)

    async def renew(self, held: Mapping[ShowId, bool]) -> set[ShowId]:
        still = set()
        for show_id, is_sending in held.items():
            row = self.shared.rows.get(show_id)
            if row is not None and row[0] == self.node:
                now = self.shared.clock.now()
                self.shared.rows[show_id] = (self.node, self.url, row[2], now, is_sending)
                still.add(show_id)
        return still

    async def all(self) -> Sequence[Origin]:
        found = (self.shared.origin(show_id) for show_id in self.shared.rows)
        return [one for one in found if one is not None]

    async def of(self, show_id: ShowId) -> Origin | None:
        return self.shared.origin(show_id)


@dataclass
class Node:
    """One server of several, with the video's parts of it alone."""

    name: str
    book: Book
    video: VideoService
    recordings: Recordings
    origins: Origins
    relay: Relay
    monitor: MonitorSocket
    session: ClientSession
    asked: list[str] = field(default_factory=list)
    server: TestServer | None = None

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
        url = f"{self.book.url}/hls/{path}"
        async with self.session.get(url, headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers

    async def playlist(self, query: str = "", rendition: str = "video") -> Playlist:
        status, body, _ = await self.get(f"{SHOW}/{rendition}/live.m3u8{query}")
        assert status == 200, body
        return checked(body.decode())

    @asynccontextmanager
    async def film(self, path: Path, **options: Any) -> AsyncIterator[LoopSource]:
        """Somebody sends it to this node."""
        options.setdefault("head_start_seconds", 9.0)
        source = LoopSource(path, video=self.video, show_id=SHOW_ID, clock=SystemClock(), **options)
        running = asyncio.create_task(source.run())
        try:
            await source.wait_until_started()
            yield source
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@dataclass(frozen=True)
class Everything:
    """Of a recording that anybody may see."""

    access: str = "everyone"
    from_at: None = None
    until_at: None = None
    hidden: tuple[str, ...] = ()


async def _window(_: ShowId) -> Any:
    return Everything()


async def _show_for(_: ShowId, __: Principal) -> None:
    """They are all there."""


@asynccontextmanager
async def _node(
    name: str, shared: Shared, folder: Path, *, shared_folder: str = ""
) -> AsyncIterator[Node]:
    clock = SystemClock()
    bouncer = Bouncer(tokens={"hana": HOST})
    kit = WebKit(clock=clock, authenticator=bouncer, public_origin="http://localhost")
    recordings = Recordings(
        folder / (shared_folder or name),
        clock=clock,
        keep_seconds=600,
        least_free_bytes=0,
        is_kept=True,
    )
    video = VideoService(clock=clock, recordings=recordings)
    book = Book(shared, name)
    origins = Origins(book, video, node=name, round_seconds=0.05)
    video.on_published = origins.published
    relay = Relay(origins, SECRET, shares_recordings=bool(shared_folder))
    links = PlaybackLinks(SECRET, 1)
    monitor = MonitorSocket(
        video.monitor,
        kit,
        bearer=bouncer.bearer,
        room_access=allow_known_shows,
        elsewhere=relay.socket,
    )
    asked: list[str] = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        asked.append(request.path_qs)
        answer: web.StreamResponse = await handler(request)
        return answer

    app = web.Application(middlewares=[note])
    endpoints = [
        *video_http.endpoints(video, links, _show_for),
        *replay_http.endpoints(recordings, links, _window),
    ]
    mount(app, kit, relay.passing_on(endpoints))
    app.router.add_get("/live/{show_id}/monitor", monitor.handle)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(app))
        book.url = str(server.make_url("")).rstrip("/")
        session = await stack.enter_async_context(ClientSession())
        jobs = [asyncio.create_task(job()) for job in (origins.run, relay.run, recordings.run)]
        try:
            yield Node(
                name, book, video, recordings, origins, relay, monitor, session, asked, server
            )
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await monitor.shutdown(1.0)


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
async def a(shared: Shared, tmp_path: Path) -> AsyncIterator[Node]:
    async with _node("a", shared, tmp_path) as node:
        yield node


@pytest.fixture
async def b(shared: Shared, tmp_path: Path) -> AsyncIterator[Node]:
    async with _node("b", shared, tmp_path) as node:
        yield node


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4", seconds=8)


async def until(is_so: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.02)  # between two looks
    assert is_so(), what


async def until_found(ask: Callable[[], Awaitable[tuple[int, bytes, Any]]]) -> bytes:
    async with asyncio.timeout(PATIENCE):
        while True:
            status, body, _ = await ask()
            if status == 200:
                return body
            await asyncio.sleep(0.02)  # between two questions


def elsewhere(node: Node) -> str | None:
    found = node.origins.elsewhere(SHOW_ID)
    return None if found is None else found.node


async def test_a_viewer_of_another_node_gets_the_origins_playlists_and_pictures(
    a: Node, b: Node, film: Path
) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        index, _, headers = await b.get(f"{SHOW}/index.m3u8")
        assert index == 200
        assert headers["Access-Control-Allow-Origin"] == "*"
        playlist = await b.playlist()
        segment = playlist.complete[-1]
        assert segment.init
        assert segment.uri
        status, init, headers = await b.get(f"{SHOW}/video/{segment.init}")
        assert (status, headers["Content-Type"]) == (200, "video/mp4")
        assert headers["Cache-Control"] == video_http.IMMUTABLE
        _, media, _ = await b.get(f"{SHOW}/video/{segment.uri}")
        assert decode_pictures(init + media)
        # A reload that is waited for is waited for at the origin.
        last = playlist.segments[-1]
        part = len(last.parts)
        msn = last.msn if last.uri is None else last.msn + 1
        later = await b.playlist(f"?_HLS_msn={msn}&_HLS_part={part if last.uri is None else 0}")
        assert later.parts[-1] != playlist.parts[-1]
        assert not b.video.has_stream(SHOW_ID)


async def test_a_crowd_on_another_node_is_one_question_to_the_origin(
    a: Node, b: Node, film: Path
) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        hint = (await b.playlist()).hint
        a.asked.clear()
        answers = await asyncio.gather(*(b.get(f"{SHOW}/video/{hint}") for _ in range(100)))
        assert {status for status, _, _ in answers} == {200}
        assert len({body for _, body, _ in answers}) == 1
        late, _, _ = await b.get(f"{SHOW}/video/{hint}")
        assert late == 200
        assert len([one for one in a.asked if one.endswith(str(hint))]) == 1


async def test_a_show_goes_on_from_the_node_that_its_encoder_comes_to_and_back(
    a: Node, b: Node, film: Path
) -> None:
    seen: list[Playlist] = []
    async with AsyncExitStack() as stack:
        b.video._clock, b.video.ahead_seconds = Slow(), lambda: -30.0
        for origin, other in ((a, b), (b, a), (a, b)):
            # Whoever sent to the other one has not noticed that his line is dead.
            await stack.enter_async_context(origin.film(film))
            await until(lambda o=origin, n=other: elsewhere(n) == o.name, "known")
            await until(lambda n=other: not n.video.has_publisher(SHOW_ID), "let go")
            sender = other.origins.sender_to(SHOW_ID)
            assert sender is not None
            assert sender.is_current
            assert sender.was_sending(2.0)
            seen.append(await other.playlist())
            if len(seen) < 3:
                await asyncio.sleep(1.1)  # the numbers of a show's runs count in seconds
    for before, after in pairwise(seen):
        # By the rules for one playlist that goes on: nothing is taken back, nothing used twice.
        assert after.first_msn > before.segments[-1].msn
        assert after.first_discontinuity > before.first_discontinuity
        assert not {part.uri for part in before.parts} & {part.uri for part in after.parts}
        assert after.complete[0].init != before.complete[-1].init


async def test_who_waits_at_the_former_origin_is_answered_by_the_new_one(
    a: Node, b: Node, film: Path
) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        await asyncio.sleep(1.1)  # the numbers of a show's runs count in seconds
        last = (await a.playlist()).segments[-1]
        # Not before the former origin has let go.
        waiting = asyncio.create_task(a.playlist(f"?_HLS_msn={last.msn + 1}"))
        async with b.film(film):
            answer = await waiting
            assert answer.complete[-1].msn >= (await b.playlist()).first_msn > last.msn


async def test_an_origin_that_died_is_missed_once_and_no_longer_asked(
    a: Node, b: Node, shared: Shared, film: Path
) -> None:
    gone: list[Origin] = []

    async def note(origin: Origin) -> None:
        gone.append(origin)

    b.origins.on_gone = note
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        assert a.server is not None
        await a.server.close()
        status, body, headers = await b.get(f"{SHOW}/index.m3u8")
        assert (status, headers["Retry-After"]) == (404, "1"), body
        row = shared.rows[SHOW_ID]
        shared.rows[SHOW_ID] = (row[0] + "-killed", *row[1:])  # it renews nothing any more
        shared.age(timedelta(seconds=10))
        await until(lambda: elsewhere(b) is None, "forgotten")
        await until(lambda: gone, "missed")
        assert [one.node for one in gone] == ["a-killed"]
        assert (await b.get(f"{SHOW}/index.m3u8"))[0] == 404
        async with b.film(film):
            await b.playlist()
    assert len(gone) == 1


async def test_what_a_node_passed_on_is_passed_on_no_further(
    a: Node, b: Node, shared: Shared, film: Path
) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
    a.video.let_go(SHOW_ID)
    # Each takes the other for the origin, as for a moment after a takeover.
    found = shared.origin(SHOW_ID)
    assert found is not None
    a.origins._elsewhere[SHOW_ID] = replace(found, node="b", url=b.book.url)
    b.origins._elsewhere[SHOW_ID] = replace(found, node="a", url=a.book.url)
    a.asked.clear()
    b.asked.clear()
    assert (await b.get(f"{SHOW}/index.m3u8"))[0] == 404
    assert (len(a.asked), len(b.asked)) == (1, 1)


async def test_a_forged_mark_makes_a_node_answer_nothing_else(a: Node, b: Node, film: Path) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        for forged in ("1", "a", "0" * 32):
            headers = {"Liveshop-Relayed": forged}
            assert (await b.get(f"{SHOW}/index.m3u8", **headers))[0] == 200


async def test_a_show_for_customers_stays_closed_on_every_node(
    a: Node, b: Node, film: Path
) -> None:
    async with a.film(film):
        a.video.restrict(SHOW_ID, for_customers=True)
        await until(lambda: elsewhere(b) == "a", "known")
        assert (await b.get(f"{SHOW}/index.m3u8"))[0] == 403
        signed = PlaybackLinks(SECRET, 1).signed(SHOW_ID, SystemClock().now())
        assert (await b.get(f"{signed}/video/live.m3u8"))[0] == 200
        forged = PlaybackLinks("y" * 40, 1).signed(SHOW_ID, SystemClock().now())
        assert (await b.get(f"{forged}/video/live.m3u8"))[0] == 403


async def test_a_recording_is_played_from_the_node_that_has_it(
    a: Node, b: Node, film: Path
) -> None:
    async with a.film(film):
        await until(lambda: elsewhere(b) == "a", "known")
        await a.playlist()
    a.video.end(SHOW_ID)
    text = await until_found(lambda: b.get(f"{SHOW}/replay/index.m3u8"))
    chunk = next(line for line in text.decode().splitlines() if line.startswith("chunk-"))
    _, whole, _ = await b.get(f"{SHOW}/replay/{chunk}")
    assert whole == (await a.get(f"{SHOW}/replay/{chunk}"))[1]
    status, some, headers = await b.get(f"{SHOW}/replay/{chunk}", Range="bytes=10-29")
    assert (status, some) == (206, whole[10:30])
    assert headers["Content-Range"] == f"bytes 10-29/{len(whole)}"
    assert a.server is not None
    await a.server.close()
    status, body, _ = await b.get(f"{SHOW}/replay/{chunk}")
    assert status == 404
    assert NoRecording.code in body.decode()


async def test_in_a_folder_that_nodes_share_a_recording_goes_on_with_the_show(
    shared: Shared, tmp_path: Path, film: Path
) -> None:
    async with (
        _node("a", shared, tmp_path, shared_folder="all") as a,
        _node("b", shared, tmp_path, shared_folder="all") as b,
    ):
        starts: list[set[str]] = []
        for origin, other in ((a, b), (b, a)):
            async with origin.film(film):
                await until(lambda o=origin, n=other: elsewhere(n) == o.name, "known")
                before = starts[-1] if starts else set()

                async def grown(
                    node: Node = other, known: frozenset[str] = frozenset(before)
                ) -> Any:
                    _, body, headers = await node.get(f"{SHOW}/rewind/index.m3u8")
                    return (200 if _chunks(body) - known else 404), body, headers

                found = _chunks(await until_found(grown))
                assert found > before
                starts.append(found)
                await asyncio.sleep(1.1)  # the numbers of a show's runs count in seconds
        b.video.end(SHOW_ID)
        text = await until_found(lambda: a.get(f"{SHOW}/replay/index.m3u8"))
        assert _chunks(text) >= starts[-1]
        for chunk in _chunks(text):
            of_a, of_b = [await node.get(f"{SHOW}/replay/{chunk}") for node in (a, b)]
            assert (of_a[0], of_a[1]) == (200, of_b[1])


def _chunks(playlist: bytes) -> set[str]:
    return {line for line in playlist.decode().splitlines() if line.startswith("chunk-")}


async def test_staff_watch_what_arrives_at_another_node(a: Node, b: Node, film: Path) -> None:
    def look() -> connect:
        url = f"{b.book.url.replace('http', 'ws')}/live/{SHOW}/monitor"
        protocols = ["liveshop.v1", "bearer.hana"]
        return connect(url, subprotocols=protocols, proxy=None, max_size=None)

    async with look() as reader:
        await reader.recv()  # "off": nobody sends anywhere
        async with a.film(film):
            # What it waited for comes elsewhere: it is to come again.
            async with asyncio.timeout(PATIENCE):
                await reader.wait_closed()
            assert reader.close_code == 4013
            async with look() as again, asyncio.timeout(PATIENCE):
                while not isinstance(await again.recv(), bytes):
                    pass
            assert live.CloseCode(4013).comes_back
