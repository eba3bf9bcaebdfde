"""Debian's Firefox as host and as viewer: its picture moves, in time and with its sound."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import camera_host
import firefox
import listening
import pytest
from bench import video_page
from bench.video_page import Watching, page, percentile
from camera_host import CameraHost
from slow.counterparts import need
from video_house import VideoHouse, video_house

pytestmark = pytest.mark.slow

_SETTLE_SECONDS = 15.0
_WATCHED_SECONDS = 20.0
_PLAYS = (
    f"() => {{ const told = ({video_page._FIGURES})(); return told.ready >= 2 && told.time > 0; }}"
)
_WATCH = f"(given) => {{ window.seen = ({video_page._WATCH})(given); }}"
_APART_MS = 60.0
"""What the bench holds to 45 ms on a quiet machine, with a frame's time on top."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[VideoHouse]:
    need(firefox.PROGRAM, firefox.LOUDSPEAKER)
    async with video_house(tmp_path / "house") as started:
        yield started


@asynccontextmanager
async def _sending(host: CameraHost, house: VideoHouse) -> AsyncIterator[str]:
    """What the host's page has chosen."""
    told = await host.start()
    await house.until_playable()
    yield told.way
    told = await host.told()
    assert told.state in {"sending", "weak"}, told


async def _measured(house: VideoHouse, who: str, glass: list[float]) -> None:
    """Says what was seen; sound and picture are together, and the picture moves."""
    async with listening.listening(house) as heard:
        await asyncio.sleep(_WATCHED_SECONDS / 2)
        told = await heard.told()
    apart = told.apart_ms()
    seconds = [ms / 1000 for ms in glass]
    print(
        f"{who}: glass to glass p50 {percentile(seconds, 50):.2f} s, "
        f"p95 {percentile(seconds, 95):.2f} s of {len(seconds)}; sound to picture median "
        f"{statistics.median(apart):+.0f} ms of {len(apart)}, most {max(apart, key=abs):+.0f} ms; "
        f"gaps {told.gaps()}"
    )
    assert len(seconds) > _WATCHED_SECONDS * 2
    assert abs(statistics.median(apart)) <= _APART_MS


async def test_firefox_hosts_and_chromium_watches(house: VideoHouse, tmp_path: Path) -> None:
    async with camera_host.in_firefox(house, tmp_path) as host, _sending(host, house) as chosen:
        async with page() as opened:
            watching = await Watching.begin(opened, house, every=3)
            await asyncio.sleep(_SETTLE_SECONDS)
            await watching.forget()
            await asyncio.sleep(_WATCHED_SECONDS)
            told = await watching.told()
        await _measured(house, f"Firefox's {chosen} to Chromium", told["glass"])


async def test_chromium_hosts_and_firefox_watches(house: VideoHouse, tmp_path: Path) -> None:
    async with camera_host.chromium(house) as host, _sending(host, house) as chosen:
        async with firefox.opened(tmp_path) as browser:
            opened = await browser.new_page()
            await opened.goto(house.page)
            await opened.until(_PLAYS, "a first frame")
            await opened.evaluate(_WATCH, 3)
            await asyncio.sleep(_SETTLE_SECONDS)
            await opened.evaluate(f"() => ({video_page._FORGET})(window.seen)")
            await asyncio.sleep(_WATCHED_SECONDS)
            told: dict[str, Any] = await opened.evaluate("() => window.seen")
        await _measured(house, f"Chromium's {chosen} to Firefox", told["glass"])
