"""Browser hosts over real sockets: what they send plays, and what is wrong ends their own line."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import m3u8
import pytest
from aiohttp import web
from camera_builders import Take, beeps, blobs, flashes, recording, said, webcodecs_take
from room_builders import HOST, MERCHANT, OTHER_SHOW, PATIENCE, SHOW, Bouncer, close_code
from websockets.asyncio.client import ClientConnection, connect

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.errors import NotFound
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.camera_socket import CameraHosts, CameraSocket, CameraSocketLimits
from liveshop.video.model import Publishing, Rendition, VideoEvent
from liveshop.video.service import VideoService
from liveshop.web.access import Principal, permission
from liveshop.web.server import WebKit, mount

OTHER_HOST = Principal("staff", "stf_01K00000000000000000000009", "Hugo", HOST.permissions)


@pytest.fixture(scope="module")
def take() -> Take:
    return webcodecs_take(3.2)


@dataclass
class Camera:
    """A browser host that speaks the protocol."""

    ws: ClientConnection
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of this kind; what comes before it is kept."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = said(await self.ws.recv())
                self.heard.append(frame)
                if frame["t"] == kind:
                    return frame

    async def say(self, frame: dict[str, Any]) -> None:
        await self.ws.send(json.dumps(frame))

    async def begin(self, take: Take, **more: Any) -> dict[str, Any]:
        await self.say(take.begin | more)
        return await self.hear("ready")

    async def show(self, take: Take, seconds: float) -> None:
        for chunk in take.until(seconds):
            await self.ws.send(chunk.frame)


@dataclass
class Studio:
    url: str
    video: VideoService
    hosts: CameraHosts
    socket: CameraSocket
    bouncer: Bouncer

    @asynccontextmanager
    async def connect(
        self, token: str | None = "hana", *, show: str = SHOW, **options: Any
    ) -> AsyncIterator[Camera]:
        protocols = ["liveshop.v1", *([f"bearer.{token}"] if token else [])]
        options.setdefault("subprotocols", protocols)
        options.setdefault("proxy", None)
        options.setdefault("max_queue", None)
        async with connect(f"{self.url}/live/{show}/camera", **options) as client:
            yield Camera(client)

    async def events(self, count: int) -> list[VideoEvent]:
        async with asyncio.timeout(PATIENCE):
            return [await self.video.next_event() for _ in range(count)]

    async def media(self) -> bytes:
        """Every whole segment of the picture, to be played after the newest init section."""
        playlist = m3u8.loads(await self.video.playlist(ShowId(SHOW), Rendition.VIDEO))
        whole = [segment for segment in playlist.segments if segment.uri]
        init = _number(whole[-1].init_section.uri)
        numbers = [_number(one.uri) for one in whole if _number(one.init_section.uri) == init]
        rendition = ShowId(SHOW), Rendition.VIDEO
        return self.video.init(*rendition, init) + b"".join(
            self.video.segment(*rendition, number) for number in numbers
        )

    async def pictures(self) -> list[float]:
        return await asyncio.to_thread(flashes, await self.media())


def _number(uri: str) -> int:
    return int(uri.rpartition("-")[2].partition(".")[0])


async def allow(show_id: str, who: Principal) -> Publishing:
    permission("shows:write").check(who)
    if show_id not in (SHOW, OTHER_SHOW):
        raise NotFound("There is no such show.")
    return Publishing(
        ShowId(show_id), person_id=who.id, person_name=who.name, has_capture_times=True
    )


@asynccontextmanager
async def studio_with(
    limits: CameraSocketLimits | None = None, **options: Any
) -> AsyncIterator[Studio]:
    clock = SystemClock()
    bouncer = Bouncer(tokens={"hana": HOST, "hugo": OTHER_HOST, "mia": MERCHANT})
    kit = WebKit(clock=clock, authenticator=bouncer, public_origin="https://shop.test")
    video = VideoService(clock=clock)
    hosts = CameraHosts(limits)
    allowed = options.pop("allow", allow)
    socket = CameraSocket(hosts, video, clock, kit, bearer=bouncer.bearer, allow=allowed)
    app = web.Application()
    mount(app, kit, [])
    app.router.add_get("/live/{show_id}/camera", socket.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Studio(f"ws://127.0.0.1:{runner.addresses[0][1]}", video, hosts, socket, bouncer)
    finally:
        await socket.shutdown(5.0)
        await runner.cleanup()
    assert len(hosts) == 0


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with studio_with() as running:
        yield running


@pytest.mark.parametrize("sound", ["opus", "pcm", "aac"])
async def test_picture_and_sound_of_a_browser_play_together(studio: Studio, sound: str) -> None:
    take = await asyncio.to_thread(webcodecs_take, 3.2, sound=sound)
    async with studio.connect() as camera:
        ready = await camera.begin(take)
        assert ready["state"] == "on_air"
        await camera.show(take, 3.2)
        while (await camera.hear("ack"))["bytes"] < sum(len(one.frame) for one in take.chunks):
            pass
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    media = await studio.media()
    shown, heard = await asyncio.to_thread(lambda: (flashes(media), beeps(media)))
    assert len(shown) == len(heard) == 4
    assert all(abs(a - b) <= 0.045 for a, b in zip(shown, heard, strict=True))
    kinds = [type(event).__name__ for event in await studio.events(2)]
    assert kinds == ["VideoStarted", "VideoLost"]


@pytest.mark.parametrize("kind", ["h264.mkv", "vp8.webm", "vp9.webm", "opus.mp4", "aac.mp4"])
async def test_a_recorder_plays_together_with_its_sound(studio: Studio, kind: str) -> None:
    made = await asyncio.to_thread(recording, kind, 3.2)
    async with studio.connect() as camera:
        await camera.say({"t": "begin", "format": "recorder", "mime": None})
        await camera.hear("ready")
        for frame in blobs(made):
            await camera.ws.send(frame)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    media = await studio.media()
    shown, heard = await asyncio.to_thread(lambda: (flashes(media), beeps(media)))
    assert len(shown) == len(heard) == 4
    assert all(abs(a - b) <= 0.045 for a, b in zip(shown, heard, strict=True))
    assert studio.hosts.transcoders.has_room
