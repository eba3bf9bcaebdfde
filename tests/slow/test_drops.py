"""Whatever breaks between a host and a viewer: he is back by himself, with one stall at most.

The real player in Chromium, a real encoder, the grace time of three minutes that servers come with.
What counts as being back is on screen: a picture that was painted after the trouble, not long ago.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import publisher
import pytest
from bench.video_page import Watching, page
from e2e.people import eventually, in_player
from playwright.async_api import JSHandle, Page, expect
from video_house import VideoHouse, video_house

pytestmark = pytest.mark.slow

_NEAR_SECONDS = 1.6
_SETTLES_WITHIN_SECONDS = 40.0
_BACK_BEHIND_SECONDS = 2.5
_BACK_WITHIN_SECONDS = 15.0
_FRAMES_AFTER = 150
"""Five seconds: a stall that follows at once is one too many."""
_NOTICED_WITHIN_SECONDS = 10.0

# A picture that ran and stopped for want of data; neither one that never ran nor a jump.
_WATCH = in_player(
    """
  const counted = {stalls: 0};
  let runs = !video.paused && video.readyState > 2;
  video.addEventListener("playing", () => { runs = true; });
  for (const kind of ["emptied", "pause"]) video.addEventListener(kind, () => { runs = false; });
  video.addEventListener("waiting", () => {
    if (runs && !video.seeking) counted.stalls += 1;
    runs = false;
  });
  window.untouched = true;
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, () => { window.untouched = false; }, {capture: true});
  }
  return counted;
"""
)
_WIDTH = in_player("return video.videoWidth")
_LATEST = "(seen) => ({last: seen.last, behind: seen.glass.at(-1) ?? 0, frames: seen.frames})"


@dataclass(slots=True)
class Encoders:
    """Those of one host, one after the other."""

    address: str
    started: list[publisher.Publisher] = field(default_factory=list)

    @property
    def newest(self) -> publisher.Publisher:
        return self.started[-1]

    async def send(self) -> int:
        """One more sends; when its first picture was made, in ms."""
        size = ("--size", "640x360", "--kbit", "800")
        self.started.append(await asyncio.to_thread(publisher.start, self.address, *size))
        return await asyncio.to_thread(self.newest.wait_sending)

    async def vanish(self) -> None:
        await asyncio.to_thread(self.newest.vanish)

    def close(self) -> None:
        for one in self.started:
            one.close()


@dataclass(slots=True)
class Viewer:
    """Close to live, on the real page of a running show."""

    house: VideoHouse
    watching: Watching
    counted: JSHandle
    stalls_before: int = 0
    """By the player's own count, while it found its place."""

    @classmethod
    async def arrive(cls, opened: Page, house: VideoHouse) -> "Viewer":
        watching = await Watching.begin(opened, house, every=3)
        viewer = cls(house, watching, await opened.evaluate_handle(_WATCH))
        await viewer.settles()
        await viewer.counted.evaluate("(counted) => { counted.stalls = 0; }")
        viewer.stalls_before = int((await watching.figures())["stalls"])
        return viewer

    async def stalls(self) -> int:
        """As the player counts, and as its video tells: whichever says more."""
        told = int((await self.watching.figures())["stalls"]) - self.stalls_before
        return max(told, int((await self.counted.json_value())["stalls"]))

    async def until_back(self, since_ms: int) -> None:
        """A picture of after that moment is on screen in time, close to live, and goes on."""

        async def near() -> Any:
            seen = await self.watching.seen.evaluate(_LATEST)
            told = await self.watching.figures()
            is_new = (seen["last"] or 0) >= since_ms
            is_near = told.get("latency") and float(told["latency"]) < _BACK_BEHIND_SECONDS
            is_shown = seen["behind"] < _BACK_BEHIND_SECONDS * 1000
            return seen if is_new and is_near and is_shown else None

        left = _BACK_WITHIN_SECONDS - (time.time() - since_ms / 1000)
        seen = await self._eventually(near, "the viewer to be back", within=left)

        async def goes_on() -> bool:
            later = await self.watching.seen.evaluate(_LATEST)
            return bool(later["frames"] >= seen["frames"] + _FRAMES_AFTER)

        await self._eventually(goes_on, "the picture to go on", within=_BACK_WITHIN_SECONDS)
        assert await near(), await self.watching.figures()

    async def _eventually(self, ask: Any, what: str, *, within: float) -> Any:
        try:
            return await eventually(ask, what, within=within)
        except AssertionError as error:
            latest = await self.watching.seen.evaluate(_LATEST)
            told = await self.watching.figures()
            log = self.house.log[-2000:]
            raise AssertionError(f"{error}\n{latest}\n{told}\n{log}") from None

    async def log(self) -> list[dict[str, Any]]:
        told = await self.house.call("GET", f"/api/shows/{self.house.show_id}/log")
        return sorted(told["entries"], key=lambda entry: entry["at"])

    async def says(self, words: str) -> None:
        """A card with these words stands in for the picture."""
        card = self.watching.page.get_by_test_id("video-card")
        await expect(card).to_contain_text(words, timeout=_NOTICED_WITHIN_SECONDS * 1000)

    async def assert_well(self, *kinds: str) -> list[dict[str, Any]]:
        """Nobody touched the page, it stalled once at most, and the log says just this."""
        assert await self.stalls() <= 1, await self.watching.figures()
        assert await self.watching.page.evaluate("() => window.untouched")
        assert await self.watching.page.get_by_test_id("video-card").count() == 0
        shown = await self.house.call("GET", f"/api/shows/{self.house.show_id}")
        assert (shown["state"], (await self.house.health())["state"]) == ("live", "on_air")
        log = await self.log()
        assert [entry["kind"] for entry in log] == list(kinds), log
        return log

    async def until_size(self, width: int) -> None:
        async def is_shown() -> bool:
            return bool(await self.watching.page.evaluate(_WIDTH) == width)

        await self._eventually(is_shown, "the new size", within=_BACK_WITHIN_SECONDS)

    async def settles(self) -> None:
        async def near() -> bool:
            told = await self.watching.figures()
            is_near = told.get("latency") and float(told["latency"]) < _NEAR_SECONDS
            return bool(is_near and told.get("state") == "playing")

        await self._eventually(near, "the viewer close to live", within=_SETTLES_WITHIN_SECONDS)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[VideoHouse]:
    async with video_house(tmp_path / "house") as started:
        yield started


@pytest.fixture
async def encoders(house: VideoHouse) -> AsyncIterator[Encoders]:
    sending = Encoders(await house.ingest())
    try:
        await sending.send()
        await house.until_playable()
        yield sending
    finally:
        await asyncio.to_thread(sending.close)


@pytest.fixture
async def viewer(house: VideoHouse, encoders: Encoders) -> AsyncIterator[Viewer]:
    async with page() as opened:
        yield await Viewer.arrive(opened, house)


# The encoder is gone


@pytest.mark.parametrize("seconds", [3, 30])
async def test_an_encoder_that_comes_back_in_time_is_seen_again(
    viewer: Viewer, encoders: Encoders, seconds: int
) -> None:
    went = time.monotonic()
    await encoders.vanish()
    await viewer.says("Back in a moment")
    await asyncio.sleep(went + seconds - time.monotonic())
    await viewer.until_back(await encoders.send())
    log = await viewer.assert_well("started", "lost", "back")
    assert seconds <= log[-1]["data"]["seconds"] <= seconds + 5


async def test_an_encoder_that_comes_back_after_the_grace_time_is_seen_again(
    viewer: Viewer, encoders: Encoders
) -> None:
    went = time.monotonic()
    await encoders.vanish()
    await viewer.says("Back in a moment")
    await asyncio.sleep(went + 175 - time.monotonic())
    await viewer.says("Back in a moment")
    await viewer.says("The host has not come back yet")
    await asyncio.sleep(went + 200 - time.monotonic())
    await viewer.until_back(await encoders.send())
    log = await viewer.assert_well("started", "lost", "back")
    assert 200 <= log[-1]["data"]["seconds"] <= 205


async def test_an_encoder_that_froze_for_a_moment_is_seen_again(
    viewer: Viewer, encoders: Encoders
) -> None:
    pid = encoders.newest.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(3)
    finally:
        os.kill(pid, signal.SIGCONT)
    await viewer.until_back(round(time.time() * 1000))
    # Its connection never broke: its clock jumped.
    await viewer.assert_well("started", "changed")


# It is another one, or sends something else


async def test_the_picture_goes_on_with_the_encoder_that_takes_over(
    viewer: Viewer, encoders: Encoders
) -> None:
    replaced = encoders.newest
    await viewer.until_back(await encoders.send())
    await asyncio.to_thread(replaced.wait_ended)
    await viewer.assert_well("started", "replaced", "started")


async def test_the_picture_goes_on_in_another_size(viewer: Viewer, encoders: Encoders) -> None:
    changed_ms = round(time.time() * 1000)
    encoders.newest.ask("size 854x480")
    await viewer.until_size(854)
    await viewer.until_back(changed_ms)
    log = await viewer.assert_well("started", "changed")
    assert (log[-1]["data"]["width"], log[-1]["data"]["height"]) == (854, 480)


# The server is gone


async def test_a_server_that_was_killed_is_found_again(
    house: VideoHouse, viewer: Viewer, encoders: Encoders
) -> None:
    assert house.process is not None
    house.process.kill()
    await asyncio.to_thread(house.process.wait)
    assert (await asyncio.to_thread(encoders.newest.wait_ended))["ended"] == "lost"
    house.start()
    await house.until_ready()
    await viewer.until_back(await encoders.send())
    log = await viewer.assert_well("started", "lost", "back")
    assert log[1]["data"]["reason"] == "server_restarted"
