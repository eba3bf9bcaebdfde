"""From an encoder to the frame on a viewer's screen: how long, and do cues meet it?

A clock painted into each picture before the encoder is read back in the viewer's browser, from the
real player on the show's own page. One machine, one clock; what a camera and a screen take on top
is not in it. BENCH_SECONDS=600 makes the run long.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import delay_proxy
import publisher
import video_drift
import video_load
import video_media
import video_page
from video_house import VideoHouse, free_ports, video_house
from video_page import Watching

Figure = Callable[[str, float, str, str], None]

_SETTLE_SECONDS = 30.0
_SECONDS = float(os.environ.get("BENCH_SECONDS", "40"))
_PINS = 20
_PIN_SECONDS = 1.3
_LAST_PIN_SECONDS = 15.0
_FAR = delay_proxy.Network()


async def glass_to_glass(figure: Figure) -> None:
    where = "720p30, 2.5 Mbit/s, x264 zerolatency, Chromium"
    async with _house() as house, _encoder(house):
        near = await video_page.glass(house, settle=_SETTLE_SECONDS, seconds=_SECONDS)
    figure("glass_to_glass_p95_s", near.p95, "s", f"loopback, {where}; limit 1.0")
    figure("glass_to_glass_p50_s", near.p50, "s", f"the same; {near.count} frames read")
    figure("glass_to_glass_stalls", near.stalls, "stalls", f"in {_SECONDS:g} s on loopback")
    async with _house(far=True) as house, _encoder(house):
        far = await video_page.glass(house, settle=_SETTLE_SECONDS, seconds=_SECONDS)
    network = f"{_FAR.round_trip_ms:g} ms, jitter {_FAR.jitter_ms:g} ms, {_FAR.kbit:g} kbit/s"
    figure("glass_to_glass_80ms_p95_s", far.p95, "s", f"{network}; {where}; limit 1.5")
    figure("glass_to_glass_80ms_p50_s", far.p50, "s", f"the same; {far.count} frames read")
    figure("glass_to_glass_80ms_stalls", far.stalls, "stalls", f"in {_SECONDS:g} s over {network}")
    figure("glass_to_glass_ratio", far.p95 / near.p95, "times", "loopback in the same run = 1")


async def cues(figure: Figure) -> None:
    plain = await _cue_errors("zerolatency", is_measured=False)
    default = await _cue_errors("obs", is_measured=True)
    worst = max(video_page.percentile(errors, 95) for errors in (plain, default))
    figure(
        "cue_error_p95_ms",
        worst,
        "ms",
        "between the frame on screen when a card appears and the moment it was pinned; "
        "the worse of both encoders; limit 150",
    )
    for name, errors in (("zerolatency", plain), ("obs_default", default)):
        p95 = video_page.percentile(errors, 95)
        figure(f"cue_error_{name}_p95_ms", p95, "ms", f"{len(errors)} pins")


async def _cue_errors(encoder: str, *, is_measured: bool) -> list[float]:
    """Milliseconds, without sign. `is_measured`: the host has measured the encoder's delay."""
    options = ("--encoder", encoder, "--gop-seconds", "2")
    async with _house() as house:
        if is_measured:
            async with _encoder(house, *options):
                await asyncio.sleep(8)  # a whole window of segments
                delay = round(await video_media.delay_ms(house))
            await house.call("PUT", "/api/encoder-delay", {"milliseconds": max(delay, 0)})
        async with _encoder(house, *options), video_page.page() as page:
            watching = await Watching.begin(page, house, every=1)
            await asyncio.sleep(_SETTLE_SECONDS / 3)
            pinned = []
            for number in range(_PINS):
                product = house.product_ids[number % 2]
                pin = await house.call(
                    "PUT", f"/api/shows/{house.show_id}/pin", {"product_id": product}
                )
                pinned.append(pin)
                # Never the same distance to a part's beginning.
                await asyncio.sleep(_PIN_SECONDS + number % 7 * 0.05)
            shown = await watching.pins(_PINS, within=_LAST_PIN_SECONDS)
    assert [card["product"] for card in shown] == [pin["product_id"] for pin in pinned], shown
    return [
        abs(card["ms"] - video_media.milliseconds(pin["at"]))
        for card, pin in zip(shown, pinned, strict=True)
    ]


async def viewers(figure: Figure) -> None:
    await video_load.viewers_per_core(figure)


async def drift(figure: Figure) -> None:
    await asyncio.to_thread(video_drift.drift, figure)


@asynccontextmanager
async def _house(*, far: bool = False) -> AsyncIterator[VideoHouse]:
    """`far`: browsers reach it through a far and narrow network."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        [port] = free_ports(1)
        public = stack.enter_context(delay_proxy.delaying(port, _FAR)) if far else port
        async with video_house(Path(folder), port=port, public_port=public) as house:
            yield house


@asynccontextmanager
async def _encoder(house: VideoHouse, *options: str) -> AsyncIterator[publisher.Publisher]:
    with publisher.publishing(await house.ingest(), *options) as sending:
        await house.until_playable()
        yield sending
        assert sending.process.poll() is None, sending.wait_ended()
