"""What happens to a host at a camera: a tab in the background, a device that is pulled out, a
second host, a server that is gone, bytes that came wrong on the way."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import camera_host
import listening
import pytest
from aiohttp import WSMessage, WSMsgType, web
from bench.video_page import Watching, page
from camera_host import CameraHost, Told
from e2e.people import eventually
from video_house import VideoHouse, free_ports, video_house

pytestmark = pytest.mark.slow

_WITHIN_SECONDS = 30.0
_LATEST = "(seen) => ({last: seen.last, frames: seen.frames})"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[VideoHouse]:
    async with video_house(tmp_path / "house") as started:
        yield started


def _sends(told: Told) -> bool:
    return told.state in {"sending", "weak"}


async def _log(house: VideoHouse) -> list[str]:
    told = await house.call("GET", f"/api/shows/{house.show_id}/log")
    return [entry["kind"] for entry in sorted(told["entries"], key=lambda entry: entry["at"])]


def _assert_no_error(house: VideoHouse) -> None:
    # What the meddler does to sockets of viewers is logged too, and is no fault.
    _, found, trace = house.log.partition("camera_failed")
    assert not found, trace[:3000]


async def _sees_after(watching: Watching, ms: float) -> None:
    """A picture that was painted after that moment."""

    async def is_new() -> bool:
        seen = await watching.seen.evaluate(_LATEST)
        return bool(seen["last"] and seen["last"] > ms)

    await eventually(is_new, "the picture to go on", within=_WITHIN_SECONDS)


# The tab


async def test_a_tab_in_the_background_goes_on(house: VideoHouse, tmp_path: Path) -> None:
    """Chromium lets its timers tick once a second there, and draws nothing."""
    async with camera_host.in_tab(house, tmp_path) as host:
        await host.start()
        await house.until_playable()
        front = await host.page.browser.new_tab()
        assert await host.page.evaluate("() => document.visibilityState") == "hidden"
        async with listening.listening(house) as heard:
            await asyncio.sleep(20)
            told = await heard.told()
            [(began, ended)] = heard.runs  # nothing began anew
        health = await house.health()
        assert health["state"] == "on_air"
        assert health["frame_rate"] == pytest.approx(30, abs=5)
        # Chromium's fake camera has pictures without a barcode, its microphone beeps each second.
        print(f"{ended - began:.0f} s without a break; gaps {told.gaps()}; {health}")
        assert ended - began > 15
        await host.page.to_front()
        assert _sends(await host.told())
        assert await front.evaluate("() => document.visibilityState") == "hidden"


# Its devices


async def test_a_camera_that_is_pulled_out_is_named_and_another_goes_on(
    house: VideoHouse,
) -> None:
    async with camera_host.chromium(house) as host, page() as opened:
        await host.start()
        await house.until_playable()
        watching = await Watching.begin(opened, house, every=3)
        await host.page.evaluate("() => paintedCamera.unplug('video')")
        told = await host.until(lambda told: "unplugged" in told.words, "the words")
        assert _sends(told)
        async with listening.listening(house) as heard:
            await asyncio.sleep(5)
            assert (await heard.told()).clicks, "the sound goes on"
        await host.page.evaluate("() => paintedCamera.plugIn('video')")
        plugged = time.time() * 1000
        await host.page.get_by_test_id("camera-gone").get_by_role("button").first.click()
        await _sees_after(watching, plugged)
        assert "unplugged" not in (await host.told()).words


async def test_a_microphone_that_is_pulled_out_is_named_and_the_picture_goes_on(
    house: VideoHouse,
) -> None:
    async with camera_host.chromium(house) as host, page() as opened:
        await host.start()
        await house.until_playable()
        watching = await Watching.begin(opened, house, every=3)
        await host.page.evaluate("() => paintedCamera.unplug('audio')")
        await host.until(lambda told: "microphone was unplugged" in told.words, "the words")
        await _sees_after(watching, time.time() * 1000)
        assert _sends(await host.told())


@pytest.mark.parametrize(
    ("refusal", "code"),
    [("NotAllowedError", "denied"), ("NotReadableError", "taken"), ("NotFoundError", "no_camera")],
)
async def test_a_camera_that_cannot_be_had_is_had_when_asked_again(
    house: VideoHouse, refusal: str, code: str
) -> None:
    async with camera_host.chromium(house) as host:
        await host.page.add_init_script(
            f"if (window.paintedCamera) paintedCamera.refusal = {refusal!r};"
        )
        await host.open()
        told = await host.until(lambda told: told.step == "trouble", "the trouble")
        assert told.code == code
        await host.page.evaluate("() => { paintedCamera.refusal = null; }")
        await host.click("camera-again")
        await host.until(lambda told: told.step == "check", "the check")


# Another host


async def test_the_newer_of_two_hosts_has_the_show_and_the_other_is_told(
    house: VideoHouse,
) -> None:
    async with (
        camera_host.chromium(house) as first,
        camera_host.chromium(house) as second,
        page() as opened,
    ):
        await first.start()
        await house.until_playable()
        watching = await Watching.begin(opened, house, every=3)
        await second.start()
        told = await first.until(lambda told: told.step == "over", "to be told")
        assert told.code == "replaced"
        await _sees_after(watching, time.time() * 1000 + 3000)
        assert _sends(await second.told())
        assert (await first.told()).step == "over", "they do not fight for the show"


# The server and what is between


async def test_a_server_that_was_killed_is_found_again(house: VideoHouse) -> None:
    async with camera_host.chromium(house) as host, page() as opened:
        await host.start()
        await house.until_playable()
        watching = await Watching.begin(opened, house, every=3)
        assert house.process is not None
        house.process.kill()
        await asyncio.to_thread(house.process.wait)
        await host.until(lambda told: told.state == "lost", "to be lost")
        house.start()
        await house.until_ready()
        await host.until(_sends, "sending again", within=_WITHIN_SECONDS)
        await _sees_after(watching, time.time() * 1000)


Meddle = Callable[[WSMessage], list[str | bytes]]
"""What the server gets instead of one frame of the host's."""


@asynccontextmanager
async def _meddling(house: VideoHouse, meddle: Meddle) -> AsyncIterator[str]:
    """An address of the house through somebody who changes what cameras send."""

    async def camera(request: web.Request) -> web.WebSocketResponse:
        headers = {name: request.headers[name] for name in ("Cookie", "Origin")}
        headers["Host"] = request.headers["Host"]
        near = web.WebSocketResponse(protocols=("liveshop.v1",), max_msg_size=0)
        await near.prepare(request)
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(
                f"http://127.0.0.1:{house.port}{request.path}",
                protocols=["liveshop.v1"],
                headers=headers,
            ) as far,
        ):

            async def down() -> None:
                async for message in far:
                    await near.send_str(message.data)
                await near.close(code=far.close_code or 1000)

            answering = asyncio.create_task(down())
            async for message in near:
                for frame in meddle(message):
                    if isinstance(frame, str):
                        await far.send_str(frame)
                    else:
                        await far.send_bytes(frame)
            await far.close()
            await answering
        return near

    async def rest(request: web.Request) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession(auto_decompress=False) as client,
            client.request(
                request.method,
                f"http://127.0.0.1:{house.port}{request.path_qs}",
                headers=request.headers,
                data=await request.read(),
                allow_redirects=False,
            ) as answer,
        ):
            left_out = {"transfer-encoding", "content-length", "connection"}
            made = web.Response(status=answer.status, body=await answer.read())
            for name, value in answer.headers.items():
                if name.lower() not in left_out and name.lower() != "content-type":
                    made.headers.add(name, value)
            made.headers["Content-Type"] = answer.headers.get("Content-Type", "text/plain")
            return made

    app = web.Application(client_max_size=64 << 20)
    app.router.add_get("/live/{show}/camera", camera)
    app.router.add_route("*", "/{path:.*}", rest)
    runner = web.AppRunner(app)
    await runner.setup()
    [port] = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def _frame(message: WSMessage) -> str | bytes:
    assert message.type in {WSMsgType.TEXT, WSMsgType.BINARY}
    data: str | bytes = message.data
    return data


async def test_a_foreign_codec_is_refused_in_words(house: VideoHouse) -> None:
    def foreign(message: WSMessage) -> list[str | bytes]:
        frame = _frame(message)
        if isinstance(frame, str) and (told := json.loads(frame))["t"] == "begin":
            told["video"]["codec"] = "hev1.1.6.L93.B0"
            return [json.dumps(told)]
        return [frame]

    async with _meddling(house, foreign) as base, camera_host.chromium(house, base=base) as host:
        await _send(host)
        told = await host.until(lambda told: told.step == "over", "to be refused")
        assert told.code == "video_unsupported"
        assert told.words
    assert await _log(house) == []


async def test_frames_out_of_order_do_not_end_the_show(house: VideoHouse) -> None:
    held: list[str | bytes] = []
    count = 0

    def reordered(message: WSMessage) -> list[str | bytes]:
        nonlocal count
        frame = _frame(message)
        if isinstance(frame, str):
            return [frame]
        count += 1
        if count % 40 == 0:
            held.append(frame)
            return []
        if held and count % 40 == 5:
            return [frame, held.pop()]
        return [frame]

    async with (
        _meddling(house, reordered) as base,
        camera_host.chromium(house, base=base) as host,
        page() as opened,
    ):
        await host.start()
        await house.until_playable()
        watching = await Watching.begin(opened, house, every=3)
        await asyncio.sleep(10)
        await _sees_after(watching, time.time() * 1000)
        print(await _log(house), (await watching.told())["stalls"])
        assert _sends(await host.told())
    _assert_no_error(house)


async def test_a_flood_is_refused_in_words(house: VideoHouse) -> None:
    def flooding(message: WSMessage) -> list[str | bytes]:
        frame = _frame(message)
        if isinstance(frame, bytes) and frame[0] in {0, 1}:
            return [frame] * 200
        return [frame]

    async with _meddling(house, flooding) as base, camera_host.chromium(house, base=base) as host:
        await _send(host)
        told = await host.until(
            lambda told: told.step == "over" or told.state == "lost", "to be refused"
        )
        print(told, await _log(house))
        assert told.standing or told.words
    _assert_no_error(house)


async def _send(host: CameraHost) -> None:
    await host.open()
    await host.until(lambda told: told.step == "check" and told.line_kbit is not None, "the check")
    await host.click("camera-send")
