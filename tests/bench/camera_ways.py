"""From a browser's camera to the frame on a viewer's screen, for each way a browser can send.

The host is the studio's own page in Chromium, its camera and microphone are `painted_camera`; the
viewer is the real player in another Chromium; the server is a process of its own. One machine, one
clock. What a real camera, a microphone and a screen take on top is not in it. BENCH_SECONDS is how
long the first way is measured; the others get half of it. BENCH_CAMERA=recorder-vp8 measures one.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import camera_host
import video_media
import video_page
from video_house import VideoHouse, video_house
from video_page import Watching, percentile

Figure = Callable[[str, float, str, str], None]

_SETTLE_SECONDS = 20.0
_SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
_LOOK_SECONDS = 5.0
_PINS = 20
_PIN_SECONDS = 1.3
_LAST_PIN_SECONDS = 15.0
WAYS = ("webcodecs", "recorder-h264", "recorder-mp4", "recorder-vp8")
_WANTED = os.environ.get("BENCH_CAMERA", "").split() or WAYS


@dataclass(slots=True)
class Seen:
    glass: list[float] = field(default_factory=list)
    """Seconds from paint to display."""
    stalls: int = 0
    dropped: int = 0
    apart: list[float] = field(default_factory=list)
    """Milliseconds from each flash to its click in the media that viewers get; late sound is
    above zero."""
    pins: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0
    host_rate: float = 0.0
    kbit: float = 0.0


async def camera(figure: Figure) -> None:
    for way in _WANTED:
        is_first = way == WAYS[0]
        seconds = _SECONDS if is_first else _SECONDS / 2
        seen = await _measured(way, seconds=seconds, pins=_PINS if is_first else _PINS // 2)
        _tell(figure, way, seen, seconds)


def _tell(figure: Figure, way: str, seen: Seen, seconds: float) -> None:
    name = "" if way == WAYS[0] else way.replace("-", "_") + "_"
    limits = ("; limit 1.1", "; limit 45", "; limit 150") if way == WAYS[0] else ("", "", "")
    where = f"Chromium's {way} at {seen.kbit:.0f} kbit/s to Chromium, 720p30, loopback"
    figure(
        f"glass_to_glass_browser_{name}p95_s",
        percentile(seen.glass, 95),
        "s",
        f"{where}{limits[0]}",
    )
    figure(
        f"glass_to_glass_browser_{name}p50_s",
        percentile(seen.glass, 50),
        "s",
        f"the same; {len(seen.glass)} frames read",
    )
    figure(
        f"glass_to_glass_browser_{name}stalls",
        seen.stalls,
        "stalls",
        f"in {seconds:g} s; {seen.dropped} frames dropped by the viewer",
    )
    late = [abs(each) for each in seen.apart]
    figure(
        f"av_offset_browser_{name}ms",
        max(late),
        "ms",
        f"the most between a flash and its click in the media viewers get; of {len(late)}, "
        f"median {statistics.median(seen.apart):+.0f}, from {min(seen.apart):+.0f} to "
        f"{max(seen.apart):+.0f} (late sound is above zero){limits[1]}",
    )
    figure(
        f"pin_to_frame_browser_{name}ms",
        percentile(seen.pins, 95),
        "ms",
        f"p95 of {len(seen.pins)} pins, from the frame on screen when a card appears{limits[2]}",
    )
    figure(
        f"camera_{name}cpu_percent",
        seen.cpu_percent,
        "% of a core",
        "the server with all it starts, one host and one viewer",
    )


async def _measured(way: str, *, seconds: float, pins: int) -> Seen:
    seen = Seen()
    async with _house() as house, camera_host.chromium(house) as host, video_page.page() as page:
        await host.start(way)
        await house.until_playable()
        watching = await Watching.begin(page, house, every=1)
        await asyncio.sleep(_SETTLE_SECONDS)
        dropped = (await watching.figures())["dropped"]
        await watching.forget()
        cpu = tree_seconds(house.pid)
        loop = asyncio.get_running_loop()
        began = loop.time()
        rates = []
        while loop.time() < began + seconds:
            await asyncio.sleep(min(_LOOK_SECONDS, began + seconds - loop.time()))
            rates.append((await host.told()).kbit)
        seen.cpu_percent = (tree_seconds(house.pid) - cpu) / (loop.time() - began) * 100
        told = await watching.told()
        seen.glass = [ms / 1000 for ms in told["glass"]]
        assert seen.glass, f"{told['frames']} frames, {told['unread']} without a clock"
        seen.stalls = told["stalls"]
        seen.dropped = (await watching.figures())["dropped"] - dropped
        seen.kbit = statistics.median(rates)
        seen.pins = await _pin_errors(house, watching, pins)
        told_last = await host.told()
        assert told_last.state == "sending", told_last
        # Afterwards: what decodes here would take the machine from the three that are measured.
        seen.apart = await apart_ms(house, seconds=seconds)
    return seen


async def apart_ms(house: VideoHouse, *, seconds: float) -> list[float]:
    """Of the newest segments, as viewers get them. None of them is shorter than a second."""
    media, _ = await video_media.fetch(house, segments=int(seconds))
    heard = await asyncio.to_thread(video_media.decode, media)
    return heard.apart_ms


async def _pin_errors(house: VideoHouse, watching: Watching, count: int) -> list[float]:
    """Milliseconds, without sign."""
    pinned = []
    for number in range(count):
        product = house.product_ids[number % 2]
        pinned.append(
            await house.call("PUT", f"/api/shows/{house.show_id}/pin", {"product_id": product})
        )
        # Never the same distance to a part's beginning.
        await asyncio.sleep(_PIN_SECONDS + number % 7 * 0.05)
    shown = await watching.pins(count, within=_LAST_PIN_SECONDS)
    assert [card["product"] for card in shown] == [pin["product_id"] for pin in pinned], shown
    return [
        abs(card["ms"] - video_media.milliseconds(pin["at"]))
        for card, pin in zip(shown, pinned, strict=True)
    ]


def tree_seconds(pid: int) -> float:
    """CPU of a process and all that it has started and that still runs."""
    stats: dict[int, tuple[int, float]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        # With the children that have ended and were waited for.
        ticks = sum(int(fields[at]) for at in (11, 12, 13, 14))
        stats[int(folder.name)] = (int(fields[1]), ticks / os.sysconf("SC_CLK_TCK"))
    family = {pid}
    while more := {one for one, (parent, _) in stats.items() if parent in family} - family:
        family |= more
    return sum(stats[one][1] for one in family if one in stats)


@asynccontextmanager
async def _house() -> AsyncIterator[VideoHouse]:
    with tempfile.TemporaryDirectory() as folder:
        async with video_house(Path(folder)) as house:
            yield house
