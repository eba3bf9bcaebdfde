"""Encoders that hosts really use send video, and viewers see it: OBS, ffmpeg, GStreamer."""

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import publisher
import pytest
from e2e.people import eventually, in_player, launch
from playwright.async_api import async_playwright
from slow import obs
from slow.counterparts import need
from video_house import VideoHouse, free_ports, video_house

pytestmark = pytest.mark.slow

_WITHIN_SECONDS = 40.0
_PLAYED = "return video?.played.length ? video.currentTime - video.played.start(0) : 0;"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[VideoHouse]:
    async with video_house(tmp_path / "house") as started:
        yield started


@pytest.fixture
def display() -> Iterator[str]:
    need("obs", "Xvfb")
    with obs.screen() as shown:
        yield shown


async def _log(house: VideoHouse) -> list[str]:
    """The kinds of what happened to the show's video, oldest first."""
    told = await house.call("GET", f"/api/shows/{house.show_id}/log")
    entries = sorted(told["entries"], key=lambda entry: entry["at"])
    return [entry["kind"] for entry in entries]


async def _until_logged(house: VideoHouse, *kinds: str) -> None:
    async def found() -> bool:
        return await _log(house) == list(kinds)

    try:
        await eventually(found, f"the log says {kinds}", within=_WITHIN_SECONDS)
    except AssertionError:
        raise AssertionError(
            f"{await _log(house)} instead of {kinds}\n{house.log[-2000:]}"
        ) from None


async def _until_picture(house: VideoHouse, size: tuple[int, int]) -> dict[str, Any]:
    """What arrives, once its frame rate is known."""

    async def arrives() -> dict[str, Any] | None:
        told = await house.health()
        is_known = told["state"] == "on_air" and told["frame_rate"]
        return told if is_known and (told["width"], told["height"]) == size else None

    return dict(await eventually(arrives, f"{size} arrive", within=_WITHIN_SECONDS))


async def _decoded(house: VideoHouse) -> tuple[set[tuple[int, int]], int]:
    """The sizes of the pictures of the newest segments, and how many sounds came with them."""
    playlist = await house.until_playable(within=_WITHIN_SECONDS)
    names = [line for line in playlist.splitlines() if line.startswith("segment-")]
    init = playlist.rpartition('#EXT-X-MAP:URI="')[2].partition('"')[0]
    media = b""
    # A keyframe is among so many, whatever the encoder does.
    for name in [init, *names[-8:]]:
        status, data = await house.fetch("GET", f"{house.hls}/video/{name}")
        assert status == 200
        media += data
    with av.open(io.BytesIO(media), format="mp4") as container:
        frames = list(container.decode())
    pictures = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
    return {(frame.width, frame.height) for frame in pictures}, len(frames) - len(pictures)


async def _watch(house: VideoHouse, *, seconds: float) -> None:
    """Somebody opens the show's page, and so much of it plays in the real player."""
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        try:
            page = await browser.new_page()
            await page.goto(house.page)
            await page.locator("ls-player").wait_for()

            async def played() -> Any:
                return await page.evaluate(in_player(_PLAYED))

            async def enough() -> bool:
                return float(await played()) >= seconds

            await eventually(enough, f"{seconds} s are played", within=_WITHIN_SECONDS)
        finally:
            await browser.close()


async def test_obs_with_its_defaults_publishes_and_a_viewer_sees_it(
    house: VideoHouse, display: str, tmp_path: Path
) -> None:
    key = await house.new_key()
    [control] = free_ports(1)
    with obs.streaming(
        tmp_path, display=display, server=house.server, key=key, control_port=control
    ) as studio:
        told = await _until_picture(house, (640, 360))
        assert told["frame_rate"] == pytest.approx(30, abs=3)
        assert (told["channels"], told["sample_rate"]) == (2, 48_000)
        await _watch(house, seconds=5)
        sizes, sounds = await _decoded(house)
        assert sizes == {(640, 360)}
        assert sounds > 20
        # Its default is a keyframe every 250 pictures: the host is told.
        told = await house.health()
        assert "keyframes_rare" in told["advice"]
        status = await studio.status()
        assert status["outputActive"]
        assert status["outputSkippedFrames"] == 0
        await studio.stop_streaming()
        await _until_logged(house, "started", "lost")
        assert key not in house.log


async def test_obs_with_a_wrong_key_is_refused_and_gives_up(
    house: VideoHouse, display: str, tmp_path: Path
) -> None:
    [control] = free_ports(1)
    with obs.streaming(
        tmp_path, display=display, server=house.server, key="lsv_wrong", control_port=control
    ) as studio:

        async def refused() -> bool:
            return "failed: -3" in studio.log

        await eventually(refused, "OBS is refused", within=_WITHIN_SECONDS)
        status = await studio.status()
        assert not status["outputActive"]
        assert not status["outputReconnecting"], "a wrong key does not get better"
    status_code, _ = await house.fetch("GET", f"{house.hls}/index.m3u8")
    assert status_code == 404
    assert await _log(house) == []


async def test_obs_is_taken_over_by_a_newer_encoder_and_waits_for_its_end(
    house: VideoHouse, display: str, tmp_path: Path
) -> None:
    key = await house.new_key()
    [control] = free_ports(1)
    with obs.streaming(
        tmp_path, display=display, server=house.server, key=key, control_port=control
    ) as studio:
        await _until_picture(house, (640, 360))
        newer = publisher.start(f"{house.server}/{key}", "--size", "854x480", "--seconds", "60")
        try:
            newer.wait_sending()
            await _until_picture(house, (854, 480))

            async def refused() -> bool:
                # OBS comes back by itself after two seconds, and would fight for the show.
                return "Disconnected from" in studio.log and "failed: -3" in studio.log

            await eventually(refused, "OBS is refused", within=_WITHIN_SECONDS)
            assert (await studio.status())["outputReconnecting"]
            assert await _log(house) == ["started", "replaced", "started"]
            assert newer.process.poll() is None
        finally:
            newer.close()
        await _until_picture(house, (640, 360))


_FFMPEG = (
    "ffmpeg -hide_banner -loglevel error -nostdin -re"
    " -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=frequency=440:sample_rate=44100"
    " -pix_fmt yuv420p -c:v libx264 -preset veryfast -b:v 800k -g 50 -c:a aac -b:a 96k -ac 2"
    " -f flv {url}"
)
_GSTREAMER = (
    "gst-launch-1.0 -q videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,width=640,height=360,framerate=30/1 ! x264enc bitrate=800 key-int-max=60"
    " tune=zerolatency ! video/x-h264,profile=main ! h264parse ! flvmux streamable=true name=mux"
    " ! rtmp2sink location={url}"
    " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2"
    " ! audioconvert ! {aac} ! aacparse ! mux."
)


@contextmanager
def _running(command: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command.split(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize(
    ("program", "command", "rate", "sample_rate"),
    [
        ("ffmpeg", _FFMPEG, 25, 44_100),
        ("gst-launch-1.0", _GSTREAMER.replace("{aac}", "avenc_aac"), 30, 48_000),
    ],
    ids=["ffmpeg", "gstreamer"],
)
async def test_others_publish_and_a_viewer_sees_it(
    house: VideoHouse, program: str, command: str, rate: int, sample_rate: int
) -> None:
    need(program)
    with _running(command.format(url=await house.ingest())) as encoder:
        told = await _until_picture(house, (640, 360))
        assert told["frame_rate"] == pytest.approx(rate, abs=2)
        assert told["sample_rate"] == sample_rate
        await _watch(house, seconds=3)
        sizes, sounds = await _decoded(house)
        assert sizes == {(640, 360)}
        assert sounds > 20
        assert encoder.poll() is None
    await _until_logged(house, "started", "lost")


@pytest.mark.parametrize("program", ["ffmpeg", "gst-launch-1.0"])
async def test_others_with_a_wrong_key_are_refused(house: VideoHouse, program: str) -> None:
    need(program)
    command = {"ffmpeg": _FFMPEG, "gst-launch-1.0": _GSTREAMER.replace("{aac}", "avenc_aac")}
    with _running(command[program].format(url=f"{house.server}/lsv_wrong")) as encoder:
        code = await asyncio.to_thread(encoder.wait, _WITHIN_SECONDS)
        assert code != 0
    assert "encoder_refused" in house.log
    assert await _log(house) == []
