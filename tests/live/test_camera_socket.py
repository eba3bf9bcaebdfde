"""Browser hosts over real sockets: what they send plays, and what is wrong ends their own line."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import m3u8
import pytest
from aiohttp import web
from camera_builders import (
    START_US,
    Camera,
    Chunk,
    Take,
    beeps,
    blobs,
    flashes,
    recording,
    webcodecs_take,
)
from room_builders import HOST, MERCHANT, OTHER_SHOW, PATIENCE, SHOW, Bouncer, close_code, until
from video_builders import demux, of_track
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.errors import NotFound, Unavailable
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.camera_intake import CameraIntakeLimits
from liveshop.video.ingest.camera_protocol import CameraLimits
from liveshop.video.ingest.camera_socket import (
    Allow,
    CameraHosts,
    CameraSocket,
    CameraSocketLimits,
)
from liveshop.video.model import (
    Publishing,
    Rendition,
    ShowOver,
    Track,
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoReplaced,
    VideoStarted,
)
from liveshop.video.service import VideoService
from liveshop.web.access import Principal, permission
from liveshop.web.server import WebKit, mount

OTHER_HOST = Principal("staff", "stf_01K00000000000000000000009", "Hugo", HOST.permissions)


PATIENT = CameraSocketLimits(intake=CameraIntakeLimits(finish_seconds=PATIENCE, behind_seconds=60))
"""Seconds come at once here, and the machine may be busy."""
HASTY = replace(PATIENT, silent_seconds=0.5, look_seconds=0.05)


@pytest.fixture(scope="module")
def take() -> Take:
    return webcodecs_take(3.2)


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

    async def happens(self, kind: type[VideoEvent]) -> VideoEvent:
        """The next event, which is of that kind."""
        async with asyncio.timeout(PATIENCE):
            event = await self.video.next_event()
        assert type(event) is kind, event
        return event

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
    limits: CameraSocketLimits | None = None, *, transcodes: int = 1, allow: Allow = allow
) -> AsyncIterator[Studio]:
    clock = SystemClock()
    bouncer = Bouncer(tokens={"hana": HOST, "hugo": OTHER_HOST, "mia": MERCHANT})
    kit = WebKit(clock=clock, authenticator=bouncer, public_origin="https://shop.test")
    video = VideoService(clock=clock)
    hosts = CameraHosts(limits or PATIENT, transcodes=transcodes)
    socket = CameraSocket(hosts, video, clock, kit, bearer=bouncer.bearer, allow=allow)
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
    await studio.happens(VideoStarted)
    assert (await studio.happens(VideoLost)).data == {"reason": "stopped"}


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


# -- who may send


@pytest.mark.parametrize(
    ("token", "show", "code", "closed"),
    [
        (None, SHOW, "not_signed_in", 4501),
        ("forged", SHOW, "not_signed_in", 4501),
        ("mia", SHOW, "forbidden", 4504),
        ("hana", "shw_01K00000000000000000000009", "unknown_show", 4504),
    ],
)
async def test_others_are_told_why_they_may_not_send(
    studio: Studio, token: str | None, show: str, code: str, closed: int
) -> None:
    async with studio.connect(token, show=show) as camera:
        refused = await camera.hear("refused")
        assert (refused["code"], refused["retryable"]) == (code, False)
        assert refused["message"]
        assert await close_code(camera.ws) == closed


async def test_a_session_that_a_foreign_page_brought_along_is_none(studio: Studio) -> None:
    studio.bouncer.cookie = Principal(
        "staff", HOST.id, HOST.name, HOST.permissions, csrf_token="csrf"
    )
    async with studio.connect(None, origin="https://elsewhere.test") as camera:
        assert (await camera.hear("refused"))["code"] == "forbidden"
    async with studio.connect(None, origin="https://shop.test") as camera:
        await camera.say({"t": "ping", "at": 1})
        assert (await camera.hear("pong"))["at"] == 1


async def test_a_show_that_is_over_takes_nothing() -> None:
    async def over(show_id: str, who: Principal) -> Publishing:
        raise ShowOver("This show is over.")

    async with studio_with(allow=over) as studio, studio.connect() as camera:
        assert (await camera.hear("refused"))["code"] == "show_over"
        assert await close_code(camera.ws) == 4504


async def test_rights_that_cannot_be_checked_may_be_tried_again() -> None:
    async def away(show_id: str, who: Principal) -> Publishing:
        raise Unavailable("Later.")

    async with studio_with(allow=away) as studio, studio.connect() as camera:
        refused = await camera.hear("refused")
        assert (refused["code"], refused["retryable"]) == ("unavailable", True)
        assert await close_code(camera.ws) == 4013


async def test_a_revoked_session_sends_no_more(take: Take) -> None:
    async with studio_with(CameraSocketLimits(proved_seconds=0.05)) as studio:
        async with studio.connect() as camera:
            await camera.begin(take)
            await camera.show(take, 1)
            await studio.happens(VideoStarted)
            del studio.bouncer.tokens["hana"]
            assert (await camera.hear("refused"))["code"] == "not_signed_in"
            assert await close_code(camera.ws) == 4501
        assert (await studio.happens(VideoLost)).data == {"reason": "revoked"}


async def test_a_change_of_rights_is_looked_at_at_once(studio: Studio, take: Take) -> None:
    async with studio.connect() as camera:
        await camera.begin(take)
        studio.bouncer.tokens["hana"] = MERCHANT
        studio.hosts.doubt()
        assert (await camera.hear("refused"))["code"] == "forbidden"


async def test_who_is_dropped_is_shown_no_longer(studio: Studio, take: Take) -> None:
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)
        assert [one.person_id for one in studio.hosts.sending()] == [HOST.id]
        studio.hosts.drop(ShowId(SHOW), "stf_somebody_else")
        studio.hosts.drop(ShowId(SHOW), HOST.id)
        assert not studio.video.has_publisher(ShowId(SHOW))
        assert (await camera.hear("refused"))["code"] == "forbidden"
    assert (await studio.happens(VideoLost)).data == {"reason": "revoked"}


async def test_a_database_that_is_away_for_a_moment_stops_no_show(take: Take) -> None:
    asked = 0

    async def now_and_then(show_id: str, who: Principal) -> Publishing:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Unavailable("Later.")
        return await allow(show_id, who)

    limits = CameraSocketLimits(proved_seconds=0.01)
    async with studio_with(limits, allow=now_and_then) as studio, studio.connect() as camera:
        await camera.begin(take)
        await until(lambda: asked > 4)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)


# -- several hosts, lines that break


async def test_the_newest_host_takes_the_show_over(studio: Studio, take: Take) -> None:
    async with studio.connect() as one, studio.connect("hugo") as other:
        await one.begin(take)
        await one.show(take, 1)
        await studio.happens(VideoStarted)
        await other.begin(take)
        await other.show(take, 1)
        await studio.happens(VideoReplaced)
        started = await studio.happens(VideoStarted)
        assert started.data["person_name"] == "Hugo"
        assert (await one.hear("refused"))["code"] == "replaced"
        assert await close_code(one.ws) == 4505
        assert studio.video.state(ShowId(SHOW)) == "on_air"


async def test_a_host_that_comes_back_takes_the_place_of_his_dead_line(
    studio: Studio, take: Take
) -> None:
    """As if it had been noticed: lost, and back; nobody is told of another host."""
    async with studio.connect() as dead:
        token = (await dead.begin(take))["resume"]
        await dead.show(take, 1)
        await studio.happens(VideoStarted)
        async with studio.connect() as back:
            assert (await back.begin(take, resume=token))["resume"] == token
            assert (await studio.happens(VideoLost)).data == {"reason": "closed"}
            await back.show(take, 1)
            await studio.happens(VideoStarted)
            assert await close_code(dead.ws) == 4505


async def test_a_token_of_somebody_else_takes_no_place(studio: Studio, take: Take) -> None:
    async with studio.connect() as one, studio.connect("hugo") as other:
        token = (await one.begin(take))["resume"]
        assert (await other.begin(take, resume=token))["resume"] != token
        assert len(studio.hosts.sending()) == 2


async def test_a_line_that_breaks_in_mid_frame_is_a_host_that_left(
    studio: Studio, take: Take
) -> None:
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1.1)
        await studio.happens(VideoStarted)
        # The head of a frame of 1000 bytes, and not all of them.
        camera.ws.transport.write(b"\x82\xfe\x03\xe8" + bytes(50))
        camera.ws.transport.abort()
        assert (await studio.happens(VideoLost)).data == {"reason": "closed"}


async def until_lost_for_silence(studio: Studio, camera: Camera, take: Take) -> None:
    await camera.begin(take)
    await camera.show(take, 1)
    await studio.happens(VideoStarted)
    assert (await studio.happens(VideoLost)).data == {"reason": "timeout"}
    assert not studio.video.has_publisher(ShowId(SHOW))


async def test_a_silent_host_is_away_and_goes_on_over_the_same_line(take: Take) -> None:
    async with studio_with(HASTY) as studio, studio.connect() as camera:
        await until_lost_for_silence(studio, camera, take)
        for chunk in take.chunks:
            if chunk.us >= START_US + 1_000_000:
                await camera.ws.send(chunk.frame)
        started = await studio.happens(VideoStarted)
        assert started.data["person_name"] == HOST.name
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
        media = await studio.media()
        shown, heard = await asyncio.to_thread(lambda: (flashes(media), beeps(media)))
        assert len(shown) == len(heard) == 3
        assert all(abs(a - b) <= 0.045 for a, b in zip(shown, heard, strict=True))


async def test_a_silent_host_goes_on_in_nobodys_place(take: Take) -> None:
    async with studio_with(HASTY) as studio, studio.connect() as camera:
        await until_lost_for_silence(studio, camera, take)
        async with studio.connect("hugo") as other:
            await other.begin(take)
            await other.show(take, 1)
            assert (await studio.happens(VideoStarted)).data["person_name"] == "Hugo"
            assert (await camera.hear("refused"))["code"] == "replaced"
            assert await close_code(camera.ws) == 4505


async def test_a_silent_host_is_sent_away_in_the_end(take: Take) -> None:
    hasty = replace(HASTY, intake=CameraIntakeLimits(idle_seconds=0.8))
    async with studio_with(hasty) as studio, studio.connect() as camera:
        await until_lost_for_silence(studio, camera, take)
        assert (await camera.hear("refused"))["code"] == "idle"
        assert await close_code(camera.ws) == 4010


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system does not tell")
async def test_a_frame_that_takes_long_on_a_slow_line_is_no_silence(take: Take) -> None:
    async with studio_with(HASTY) as studio, studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)
        keyframe = next(one for one in take.pictures if one.us >= START_US + 1_000_000)
        body = keyframe.frame
        # Masked with zeros, in pieces.
        camera.ws.transport.write(b"\x82\xfe" + len(body).to_bytes(2, "big") + bytes(4))
        size = len(body) // 14 + 1
        for start in range(0, len(body), size):
            await asyncio.sleep(0.1)
            camera.ws.transport.write(body[start : start + size])
            assert studio.video.has_publisher(ShowId(SHOW))


async def test_an_end_of_the_show_sends_its_host_away(studio: Studio, take: Take) -> None:
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)
        studio.video.end(ShowId(SHOW))
        await camera.show(take, 2)
        assert (await camera.hear("refused"))["code"] == "show_over"
        assert await close_code(camera.ws) == 4504


async def test_a_server_that_goes_down_asks_to_come_back(studio: Studio, take: Take) -> None:
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)
        await studio.socket.shutdown(5.0)
        refused = await camera.hear("refused")
        assert (refused["code"], refused["retryable"]) == ("going_down", True)
        assert await close_code(camera.ws) == 4001
    assert (await studio.happens(VideoLost)).data == {"reason": "server_restarted"}


async def test_connections_are_bounded(take: Take) -> None:
    limits = CameraSocketLimits(connections=2, connections_per_show=1)
    async with studio_with(limits) as studio, studio.connect() as one:
        await one.begin(take)
        # Of one show the one that dawdles goes, of all the newest.
        async with studio.connect() as two, studio.connect(show=OTHER_SHOW) as three:
            assert await close_code(one.ws) == 4013
            await two.begin(take)
            await three.begin(take)
            await two.show(take, 1)
            await studio.happens(VideoStarted)
            async with studio.connect("hugo") as four:
                assert await close_code(four.ws) == 4013


# -- what is wrong


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"video": {"codec": "vp09.00.10.08"}}, "VP9"),
        ({"video": {"codec": "hvc1.1.6.L93.B0"}}, "HEVC"),
        ({"video": {"codec": "avc1.42E01F"}}, "avcC"),
        ({"video": None}, "camera"),
        ({"audio": {"codec": "mp3"}}, "MP3"),
        ({"audio": {"codec": "opus", "channels": 6}}, "6 channels"),
        ({"audio": {"codec": "mp4a.40.2"}}, "AAC"),
    ],
)
async def test_a_foreign_codec_is_named(
    studio: Studio, take: Take, change: dict[str, Any], word: str
) -> None:
    async with studio.connect() as camera:
        await camera.say(take.begin | change)
        refused = await camera.hear("refused")
        assert (refused["code"], refused["retryable"]) == ("video_unsupported", False)
        assert word in refused["message"]
        assert await close_code(camera.ws) == 4502


@pytest.mark.parametrize(
    "frames",
    [
        ["nonsense"],
        ['{"t":"sing"}'],
        ['{"t":"begin","format":"film"}'],
        [b"\x01" + bytes(8) + b"x"],
        ["begin", b"\x07" + bytes(8) + b"x"],
        ["begin", b"\x01" + bytes(4)],
        ["begin", b"\x03" + bytes(8) + b"x"],
        ["begin", b"\x01\x7f" + bytes(7) + b"x"],
        ["begin", "begin"],
        ["x" * 20_000],
    ],
)
async def test_what_is_not_of_the_protocol_ends_the_line(
    studio: Studio, take: Take, frames: list[str | bytes]
) -> None:
    async with studio.connect() as camera:
        for frame in frames:
            await camera.ws.send(json.dumps(take.begin) if frame == "begin" else frame)
        assert (await camera.hear("refused"))["code"] == "broken_media"
        assert await close_code(camera.ws) == 4502


async def test_a_frame_that_is_too_large_ends_the_line(take: Take) -> None:
    limits = CameraSocketLimits(protocol=CameraLimits(frame_bytes=10_000))
    async with studio_with(limits) as studio, studio.connect() as camera:
        await camera.begin(take)
        await camera.ws.send(b"\x01" + bytes(20_000))
        assert await close_code(camera.ws) == 1009


@pytest.mark.parametrize(
    "flood", [{"max_messages_per_second": 5}, {"max_kbit_per_second": 20}], ids=["often", "much"]
)
async def test_a_flood_ends_its_own_line(take: Take, flood: dict[str, int]) -> None:
    limits = CameraSocketLimits(protocol=CameraLimits(**flood))
    async with studio_with(limits) as studio, studio.connect() as camera:
        await camera.begin(take)
        with suppress(ConnectionClosed):
            await camera.show(take, 3.2)
        assert (await camera.hear("refused"))["code"] == "too_much"
        assert await close_code(camera.ws) == 4502


async def test_pictures_out_of_order_break_nothing(studio: Studio, take: Take) -> None:
    """Until the next keyframe they are left out."""
    chunks = take.until(3.2)
    chunks[20:60] = reversed(chunks[20:60])
    async with studio.connect() as camera:
        await camera.begin(take)
        for chunk in chunks:
            await camera.ws.send(chunk.frame)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    assert len(await studio.pictures()) >= 2


async def test_broken_pictures_are_left_out_and_many_are_too_many(take: Take) -> None:
    limits = CameraSocketLimits(intake=CameraIntakeLimits(broken_per_minute=5))
    async with studio_with(limits) as studio, studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        for index in range(7):
            await camera.ws.send(Chunk(0, 6_100_000 + index, b"\xff" * 50).frame)
        refused = await camera.hear("refused")
        assert refused["code"] == "broken_media"


async def test_a_host_without_a_picture_is_sent_away(take: Take) -> None:
    limits = CameraSocketLimits(
        intake=CameraIntakeLimits(first_picture_seconds=0.2, idle_seconds=0.2)
    )
    async with studio_with(limits) as studio:
        async with studio.connect() as silent:
            await silent.begin(take)
            assert (await silent.hear("refused"))["code"] == "idle"
            assert await close_code(silent.ws) == 4010
        async with studio.connect() as camera:
            await camera.begin(take)
            await camera.show(take, 1)
            refused = await camera.hear("refused")
            assert (refused["code"], refused["retryable"]) == ("idle", True)
        await studio.happens(VideoStarted)
        assert (await studio.happens(VideoLost)).data == {"reason": "timeout"}


async def test_a_host_that_does_not_begin_is_sent_away() -> None:
    limits = CameraSocketLimits(protocol=CameraLimits(begin_seconds=0.1))
    async with studio_with(limits) as studio, studio.connect() as camera:
        assert await close_code(camera.ws) == 4010


@pytest.mark.parametrize("mime", ["video/webm;codecs=vp8,opus", None])
async def test_more_recorders_than_can_be_converted_are_told_so(mime: str | None) -> None:
    made = await asyncio.to_thread(recording, "vp8.webm", 0.2)
    async with studio_with(transcodes=0) as studio, studio.connect() as camera:
        await camera.say({"t": "begin", "format": "recorder", "mime": mime})
        with suppress(ConnectionClosed):
            for frame in blobs(made):
                await camera.ws.send(frame)
        refused = await camera.hear("refused")
        assert (refused["code"], refused["retryable"]) == ("no_transcoder_free", True)
        assert await close_code(camera.ws) == 4013
        assert all(frame.get("transcodes") is not True for frame in camera.heard)


async def test_a_place_to_convert_is_free_again_when_its_host_is_gone() -> None:
    vp8 = {"t": "begin", "format": "recorder", "mime": "video/webm;codecs=vp8,opus"}
    async with studio_with() as studio:
        async with studio.connect() as one, studio.connect("hugo") as other:
            await one.say(vp8)
            assert not (await one.hear("ready"))["transcodes"]
            await other.say(vp8)
            assert (await other.hear("refused"))["code"] == "no_transcoder_free"
        await until(lambda: studio.hosts.transcoders.has_room)


@pytest.mark.parametrize("data", [b"\x1a\x45\xdf\xa3" + bytes(4000), b"RIFF" * 100])
async def test_a_recording_that_is_none_ends_its_own_line(studio: Studio, data: bytes) -> None:
    async with studio.connect() as camera:
        await camera.say({"t": "begin", "format": "recorder"})
        await camera.hear("ready")
        for frame in blobs(data):
            await camera.ws.send(frame)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) in {1000, 4502}
    assert not studio.video.has_publisher(ShowId(SHOW))


# -- what a host is told


async def test_a_host_is_told_when_his_show_goes_live(take: Take) -> None:
    async def rehearsal(show_id: str, who: Principal) -> Publishing:
        return replace(await allow(show_id, who), is_on_air=False)

    limits = CameraSocketLimits(look_seconds=0.05)
    async with studio_with(limits, allow=rehearsal) as studio, studio.connect() as camera:
        assert (await camera.begin(take))["state"] == "preview"
        await camera.show(take, 1)
        await until(lambda: studio.video.has_publisher(ShowId(SHOW)))
        studio.video.open(ShowId(SHOW))
        assert (await camera.hear("state"))["state"] == "on_air"
        await camera.show(take, 2.2)


async def test_an_uplink_is_tested_before_anything_is_shown(studio: Studio, take: Take) -> None:
    async with studio.connect() as camera:
        await camera.say({"t": "probe"})
        for index in range(4):
            await camera.ws.send(Chunk(4, index, bytes(50_000)).frame)
        while (ack := await camera.hear("ack"))["bytes"] < 4 * 50_009:
            pass
        assert ack["timestamp"] == 3
        assert (await camera.begin(take))["t"] == "ready"
        await camera.show(take, 0.1)
        assert (await camera.hear("ack"))["bytes"] < 50_000
        await camera.ws.send(Chunk(4, 0, b"x").frame)
        assert (await camera.hear("refused"))["code"] == "broken_media"


async def test_an_uplink_test_has_an_end() -> None:
    limits = CameraSocketLimits(protocol=CameraLimits(probe_bytes=100_000))
    async with studio_with(limits) as studio, studio.connect() as camera:
        await camera.say({"t": "probe"})
        for index in range(3):
            await camera.ws.send(Chunk(4, index, bytes(50_000)).frame)
        assert (await camera.hear("refused"))["code"] == "too_much"


async def test_the_delay_of_an_encoder_is_not_that_of_a_browser(studio: Studio, take: Take) -> None:
    studio.video.set_delay(HOST.id, timedelta(seconds=0.5))
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 1)
        await studio.happens(VideoStarted)
        studio.video.set_delay(HOST.id, timedelta(seconds=0.7))
        stream = studio.video.stream(ShowId(SHOW))
        assert stream is not None
        assert stream.publishing is not None
        assert stream.publishing.capture_delay == timedelta()


# -- sound that is missing, parameters that change


async def test_silence_takes_the_place_of_sound_that_does_not_come(studio: Studio) -> None:
    """A microphone that goes for a second and a half: what follows is still in step."""
    take = await asyncio.to_thread(webcodecs_take, 4.2)
    async with studio.connect() as camera:
        await camera.begin(take)
        for chunk in take.chunks:
            if chunk.kind == 2 and 6_200_000 <= chunk.us < 7_700_000:
                continue
            await camera.ws.send(chunk.frame)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    media = await studio.media()
    shown, heard = await asyncio.to_thread(lambda: (flashes(media), beeps(media)))
    assert [round(at) for at in shown] == [0, 1, 2, 3, 4]
    assert [round(at) for at in heard] == [0, 1, 3, 4]
    assert all(abs(a - b) <= 0.045 for a in shown for b in heard if round(a) == round(b))
    sounds = of_track(demux(media), Track.AUDIO)
    assert {after.dts - one.dts for one, after in pairwise(sounds)} == {1024}


async def test_a_camera_that_is_turned_goes_on_at_its_next_keyframe(
    studio: Studio, take: Take
) -> None:
    upright = await asyncio.to_thread(webcodecs_take, 4.2, width=90, height=160)
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 2)
        await camera.say({"t": "config", "video": upright.begin["video"], "audio": None})
        for chunk in upright.chunks:
            if chunk.us >= 7_000_000:
                await camera.ws.send(chunk.frame)
        await camera.say({"t": "muted", "on": True})
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    await studio.happens(VideoStarted)
    changed = await studio.happens(VideoChanged)
    assert (changed.data["width"], changed.data["height"]) == (90, 160)
    assert [round(at) for at in await studio.pictures()] == [0, 1, 2]


@pytest.mark.parametrize(("since", "until_"), [(1.5, 2.9), (1.1, 3.9)], ids=["short", "long"])
async def test_sound_goes_on_while_no_pictures_come(
    studio: Studio, since: float, until_: float
) -> None:
    """On a poor uplink: the picture stands still, and comes again with a keyframe."""
    take = await asyncio.to_thread(webcodecs_take, 4.8)
    async with studio.connect() as camera:
        await camera.begin(take)
        for chunk in take.chunks:
            if chunk.kind == 2 or not since <= (chunk.us - START_US) / 1e6 < until_:
                await camera.ws.send(chunk.frame)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    media = await studio.media()
    shown, heard = await asyncio.to_thread(lambda: (flashes(media), beeps(media)))
    assert [round(at) for at in heard] == [0, 1, 2, 3, 4]
    sounds = of_track(demux(media), Track.AUDIO)
    assert {after.dts - one.dts for one, after in pairwise(sounds)} == {1024}
    pictures = of_track(demux(media), Track.VIDEO)
    assert max(one.duration for one in pictures) < 40_000
    # A picture that stands still may be a flash, before the next one.
    assert {round(at, 1) for at in shown} >= {0, 1}
    await studio.happens(VideoStarted)
    assert (await studio.happens(VideoLost)).data == {"reason": "stopped"}


async def test_parts_of_a_steady_browser_are_even(studio: Studio, take: Take) -> None:
    """What strict players ask for (rfc8216bis 4.4.4.9): 85 % of PART-TARGET, but for the last."""
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 3.2)
        await until(lambda: studio.video.is_on_air(ShowId(SHOW)))
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    playlist = m3u8.loads(await studio.video.playlist(ShowId(SHOW), Rendition.VIDEO))
    parts = [[part.duration for part in segment.parts] for segment in playlist.segments]
    assert sum(map(len, parts)) >= 4
    target = playlist.part_inf.part_target
    assert all(0.85 * target <= one <= target for of_one in parts for one in of_one[:-1])


async def test_a_burst_has_its_sound_in_each_part(studio: Studio, take: Take) -> None:
    """After a hold-up seconds come at once, and sound has to be converted first."""
    async with studio.connect() as camera:
        await camera.begin(take)
        await camera.show(take, 3.2)
        await camera.say({"t": "bye"})
        assert await close_code(camera.ws) == 1000
    rendition = ShowId(SHOW), Rendition.VIDEO
    playlist = m3u8.loads(await studio.video.playlist(*rendition))
    names = [part.uri for segment in playlist.segments for part in segment.parts]
    assert len(names) >= 4
    init = studio.video.init(*rendition, _number(playlist.segments[-1].init_section.uri))
    for name in names:
        samples = demux(init + await studio.video.part(*rendition, _number(name)))
        picture, sound = (of_track(samples, track)[-1] for track in Track)
        missing = (picture.dts + picture.duration) / 90_000 - (sound.dts + 1024) / 48_000
        assert missing <= (1024 / 48_000 if name == names[-1] else 0), name
