"""The real player on a show's own page, in the system's Chromium, and what its frames tell."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import barcode
from e2e.people import eventually, in_player, launch
from playwright.async_api import JSHandle, Page, async_playwright
from video_house import VideoHouse

_FIRST_FRAME_SECONDS = 30.0

# Each frame's clock against the moment it is shown; pins with the clock on screen at that moment.
_WATCH = in_player(
    barcode.READ_JS
    + """
  const seen = {glass: [], frames: 0, unread: 0, stalls: 0, dropped: 0, last: null, pins: []};
  const read = (now, about) => {
    seen.frames += 1;
    if (seen.frames % given === 0) {
      const ms = readBarcode(video);
      if (ms === null) seen.unread += 1;
      else {
        seen.last = ms;
        seen.glass.push(Date.now() + about.expectedDisplayTime - performance.now() - ms);
      }
    }
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
  video.addEventListener("waiting", () => (seen.stalls += 1));
  let pinned = null;
  const look = () => {
    const product = part("[data-testid=pinned-card]")?.dataset.product ?? null;
    if (product === pinned) return;
    pinned = product;
    seen.pins.push({product, ms: seen.last});
  };
  new MutationObserver(look).observe(player.shadowRoot,
    {subtree: true, childList: true, attributes: true, attributeFilter: ["data-product"]});
  return seen;
"""
)
_FORGET = """(seen) => {
  seen.glass = []; seen.frames = 0; seen.unread = 0; seen.stalls = 0;
}"""
_FIGURES = in_player(
    """
  if (!video) return {time: 0, ready: 0};
  const quality = video.getVideoPlaybackQuality();
  return {
    time: video.currentTime, ready: video.readyState, rate: video.playbackRate,
    paused: video.paused, seeking: video.seeking,
    dropped: quality.droppedVideoFrames, ...film.dataset,
  };
"""
)


@dataclass(slots=True)
class Watching:
    page: Page
    seen: JSHandle

    @classmethod
    async def begin(cls, page: Page, house: VideoHouse, *, every: int) -> "Watching":
        """Open the page and wait for the first frame; read the clock of each `every`th."""
        await page.goto(house.page)
        await page.locator("ls-player").wait_for()

        async def plays() -> bool:
            figures = await page.evaluate(_FIGURES)
            return figures["ready"] >= 2 and figures["time"] > 0

        await eventually(plays, "a first frame", within=_FIRST_FRAME_SECONDS)
        return cls(page, await page.evaluate_handle(_WATCH, every))

    async def forget(self) -> None:
        """What was seen while the player found its place."""
        await self.seen.evaluate(_FORGET)

    async def told(self) -> dict[str, Any]:
        return dict(await self.seen.json_value())

    async def pins(self, count: int, *, within: float) -> list[dict[str, Any]]:
        """So many cards, as they appeared, each with the clock that was on screen."""

        async def all_shown() -> list[dict[str, Any]] | None:
            cards = [card for card in (await self.told())["pins"] if card["product"] is not None]
            return cards if len(cards) >= count else None

        try:
            return list(await eventually(all_shown, f"{count} cards", within=within))
        except AssertionError as error:
            raise AssertionError(f"{error}; the player: {await self.figures()}") from None

    async def figures(self) -> dict[str, Any]:
        return dict(await self.page.evaluate(_FIGURES))


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        try:
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            yield await context.new_page()
        finally:
            await browser.close()


@dataclass(frozen=True, slots=True)
class Glass:
    """Seconds from paint to display."""

    p50: float
    p95: float
    count: int
    stalls: int
    dropped: int


async def glass(house: VideoHouse, *, settle: float, seconds: float) -> Glass:
    async with page() as opened:
        watching = await Watching.begin(opened, house, every=5)
        await asyncio.sleep(settle)
        dropped = (await watching.figures())["dropped"]
        await watching.forget()
        await asyncio.sleep(seconds)
        told = await watching.told()
        figures = await watching.figures()
    seen = [ms / 1000 for ms in told["glass"]]
    assert len(seen) > seconds * 2, f"{told['frames']} frames, {told['unread']} without a clock"
    return Glass(
        percentile(seen, 50),
        percentile(seen, 95),
        len(seen),
        told["stalls"],
        figures["dropped"] - dropped,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
