"""The door to a show's monitor over real sockets: who may look, what is read, who is cut off."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from room_builders import (
    GUEST,
    HOST,
    MERCHANT,
    OTHER_SHOW,
    PATIENCE,
    SHOW,
    Bouncer,
    allow_known_shows,
    close_code,
    until,
)
from structlog.testing import capture_logs
from video_builders import demux, make_film_file, of_track
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.errors import NotFound, ShopError
from liveshop.kernel.ids import ShowId
from liveshop.realtime import CloseCode
from liveshop.video.ingest.film import Film, FilmCursor, load_film
from liveshop.video.live import MonitorSocket
from liveshop.video.model import Track
from liveshop.video.monitor import Monitor
from liveshop.web.access import Principal
from liveshop.web.server import WebKit, mount

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
STOREFRONT = "https://storefront.test"
OTHER_HOST = Principal("staff", "stf_01K00000000000000000000009", "Hugo", HOST.permissions)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return load_film(make_film_file(tmp_path_factory.mktemp("film") / "film.mp4"))


@dataclass
class Studio:
    url: str
    monitors: dict[ShowId, Monitor]
    socket: MonitorSocket
    bouncer: Bouncer

    @property
    def monitor(self) -> Monitor:
        return self.monitors[ShowId(SHOW)]

    @asynccontextmanager
    async def connect(
        self, token: str | None = "hana", *, show: str = SHOW, **options: Any
    ) -> AsyncIterator[ClientConnection]:
        protocols = ["liveshop.v1", *([f"bearer.{token}"] if token else [])]
        options.setdefault("subprotocols", protocols)
        options.setdefault("proxy", None)
        options.setdefault("max_size", None)
        async with connect(f"{self.url}/live/{show}/monitor", **options) as client:
            yield client


@asynccontextmanager
async def studio_with(**options: Any) -> AsyncIterator[Studio]:
    monitors: dict[ShowId, Monitor] = defaultdict(Monitor)
    bouncer = Bouncer(tokens={"hana": HOST, "ada": GUEST, "mia": MERCHANT})
    kit = WebKit(
        clock=SystemClock(),
        authenticator=bouncer,
        public_origin="https://shop.test",
        embed_origins=frozenset({STOREFRONT}),
    )
    access = options.pop("room_access", allow_known_shows)
    socket = MonitorSocket(
        monitors.__getitem__, kit, bearer=bouncer.bearer, room_access=access, **options
    )
    app = web.Application()
    mount(app, kit, [])
    app.router.add_get("/live/{show_id}/monitor", socket.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        yield Studio(f"ws://127.0.0.1:{port}", monitors, socket, bouncer)
    finally:
        await socket.shutdown(5.0)
        await runner.cleanup()


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with studio_with() as running:
        yield running


async def read(client: ClientConnection) -> Any:
    """A message: JSON decoded, media as bytes."""
    async with asyncio.timeout(PATIENCE):
        message = await client.recv()
    return message if isinstance(message, bytes) else json.loads(message)


async def test_the_staff_sees_what_arrives(studio: Studio, film: Film) -> None:
    cursor = FilmCursor(film)
    studio.monitor.begin(film.video, film.audio)
    studio.monitor.add(cursor.take_until(1.5), origin=ORIGIN)
    async with studio.connect() as client:
        assert client.subprotocol == "liveshop.v1"
        said = await read(client)
        assert said["type"] == "init"
        assert said["origin"] == "2026-11-21T19:00:00.000Z"
        media = await read(client) + await read(client)
        assert of_track(demux(media), Track.VIDEO)[0].dts == 90_000
        studio.monitor.add(cursor.take_until(1.7), origin=ORIGIN)
        media += await read(client) + await read(client)
        assert len(of_track(demux(media), Track.VIDEO)) >= 20
        studio.monitor.off()
        while (message := await read(client)) != {"type": "off"}:
            assert isinstance(message, bytes)


async def test_without_a_publisher_it_waits(studio: Studio, film: Film) -> None:
    async with studio.connect() as client:
        assert await read(client) == {"type": "off"}
        studio.monitor.begin(film.video, film.audio)
        studio.monitor.add(FilmCursor(film).take_until(0.5), origin=ORIGIN)
        assert (await read(client))["type"] == "init"


async def test_a_session_of_the_studio_is_enough(studio: Studio) -> None:
    studio.bouncer.cookie = Principal(
        "staff", HOST.id, HOST.name, HOST.permissions, csrf_token="csrf"
    )
    async with studio.connect(None, origin="https://shop.test") as client:
        assert await read(client) == {"type": "off"}


async def test_a_session_that_a_storefront_brought_along_is_not(studio: Studio) -> None:
    studio.bouncer.cookie = Principal(
        "staff", HOST.id, HOST.name, HOST.permissions, csrf_token="csrf"
    )
    async with studio.connect(None, origin=STOREFRONT) as client:
        assert await close_code(client) == CloseCode.BAD_TOKEN


@pytest.mark.parametrize(
    ("token", "show", "code"),
    [
        (None, SHOW, CloseCode.BAD_TOKEN),
        ("forged", SHOW, CloseCode.BAD_TOKEN),
        ("ada", SHOW, CloseCode.NO_SUCH_SHOW),
        ("mia", SHOW, CloseCode.NO_SUCH_SHOW),
        ("hana", "shw_01K00000000000000000000009", CloseCode.NO_SUCH_SHOW),
        ("hana", "prd_01K00000000000000000000000", CloseCode.NO_SUCH_SHOW),
    ],
)
async def test_others_see_nothing(
    studio: Studio, token: str | None, show: str, code: CloseCode
) -> None:
    async with studio.connect(token, show=show) as client:
        assert await close_code(client) == code
    assert not studio.monitors


async def test_foreign_pages_see_nothing(studio: Studio) -> None:
    async with studio.connect(origin="https://elsewhere.test") as client:
        assert await close_code(client) == CloseCode.FOREIGN_ORIGIN


async def test_what_is_away_may_be_tried_again() -> None:
    class Away(ShopError):
        retryable = True

    async def away(_show_id: str, _who: Principal) -> None:
        raise Away("Later.")

    async with studio_with(room_access=away) as studio, studio.connect() as client:
        assert await close_code(client) == CloseCode.UNAVAILABLE


async def test_a_fault_is_logged_and_tells_nothing() -> None:
    async def broken(_show_id: str, _who: Principal) -> None:
        raise ZeroDivisionError("secret detail")

    with capture_logs() as logged:
        async with studio_with(room_access=broken) as studio, studio.connect() as client:
            assert await close_code(client) == CloseCode.FAULT
            assert "secret" not in client.close_reason
    assert [entry["event"] for entry in logged] == ["reader_failed"]


async def test_programs_are_refused_by_status(studio: Studio) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with studio.connect(subprotocols=["something.else"]):
            pass
    assert refused.value.response.status_code == 400


async def test_a_reader_has_nothing_to_say(studio: Studio) -> None:
    async with studio.connect() as client:
        await client.send("hello")
        assert await close_code(client) == CloseCode.PROTOCOL_VIOLATED
    assert not studio.monitor.is_watched


@pytest.mark.parametrize("frames", [[b"x" * 5000], ["x" * 5000]])
async def test_nor_much_to_say(studio: Studio, frames: list[Any]) -> None:
    async with studio.connect() as client:
        for frame in frames:
            await client.send(frame)
        assert await close_code(client) is not None
    await until(lambda: not studio.monitor.is_watched)


async def test_who_leaves_is_forgotten(studio: Studio) -> None:
    async with studio.connect() as client:
        await read(client)
        assert studio.monitor.is_watched
    await until(lambda: not studio.monitor.is_watched)


async def test_who_vanishes_is_forgotten(studio: Studio) -> None:
    async with studio.connect() as client:
        await read(client)
        client.transport.abort()
        await until(lambda: not studio.monitor.is_watched)


async def test_a_reader_that_stops_reading_is_cut_off(film: Film) -> None:
    """Its buffers fill, a fragment is not taken within the time, and the rest is freed."""
    async with (
        studio_with(send_seconds=0.05) as studio,
        studio.connect(max_queue=1, ping_interval=None) as client,
    ):
        await read(client)
        studio.monitor.begin(film.video, film.audio)
        client.transport.pause_reading()
        await flood(studio, film, lambda: not studio.monitor.is_watched)
        client.transport.abort()


async def flood(studio: Studio, film: Film, fact: Callable[[], bool]) -> None:
    """Send pictures of half a megabyte until something is true."""
    picture = next(sample for sample in film.samples if sample.track is Track.VIDEO)
    async with asyncio.timeout(PATIENCE):
        dts = 0
        while not fact():
            big = type(picture)(Track.VIDEO, dts, dts, 9000, True, bytes(500_000))
            studio.monitor.add([big], origin=ORIGIN)
            dts += 9000
            await asyncio.sleep(0)


async def test_a_revoked_key_sees_no_more() -> None:
    async with studio_with(proved_seconds=0.02) as studio, studio.connect() as client:
        await read(client)
        del studio.bouncer.tokens["hana"]
        assert await close_code(client) == CloseCode.BAD_TOKEN
        assert not studio.monitor.is_watched


async def test_who_may_look_goes_on_looking() -> None:
    async with studio_with(proved_seconds=0.001) as studio, studio.connect() as client:
        proofs = 0

        async def bearer(_token: str) -> Principal:
            nonlocal proofs
            proofs += 1
            return HOST

        await read(client)
        studio.socket._handshake._bearer = bearer
        await until(lambda: proofs > 5)
        assert studio.monitor.is_watched


async def test_readers_are_bounded() -> None:
    async with (
        studio_with(most_readers=2) as studio,
        studio.connect() as one,
        studio.connect(show=OTHER_SHOW) as two,
    ):
        await read(one)
        await read(two)
        async with studio.connect() as three:
            assert await close_code(three) == CloseCode.UNAVAILABLE
        await two.close()
        await until(lambda: not studio.monitors[ShowId(OTHER_SHOW)].is_watched)
        async with studio.connect() as four:
            assert await read(four) == {"type": "off"}


async def test_who_is_refused_takes_no_place() -> None:
    asked, answered = 0, asyncio.Event()

    async def held_up(_show_id: str, who: Principal) -> None:
        nonlocal asked
        if who is OTHER_HOST:
            asked += 1
            await answered.wait()
            raise NotFound("There is no such show.")

    async with studio_with(most_readers=1, room_access=held_up) as studio:
        studio.bouncer.tokens["hugo"] = OTHER_HOST
        async with studio.connect("hugo") as one, studio.connect("hugo") as other:
            await until(lambda: asked == 2)
            async with studio.connect() as client:
                assert await read(client) == {"type": "off"}
            answered.set()
            for refused in (one, other):
                assert await close_code(refused) == CloseCode.NO_SUCH_SHOW


async def test_a_monitor_that_is_closed_sends_its_readers_away(studio: Studio) -> None:
    async with studio.connect() as client:
        await read(client)
        studio.monitor.close()
        assert await close_code(client) == CloseCode.UNAVAILABLE


async def test_a_server_that_goes_down_says_come_back(studio: Studio) -> None:
    async with studio.connect() as client:
        await read(client)
        await studio.socket.shutdown(5.0)
        assert await close_code(client) == CloseCode.GOING_DOWN
    async with studio.connect() as late:
        assert await close_code(late) == CloseCode.GOING_DOWN
