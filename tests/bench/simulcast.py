"""What it costs to send a running show on: the demo's film in real time to two destinations.

The destinations are servers of ours in another thread; the CPU is that of the sending thread alone,
less what it takes to play the film to nobody.
"""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from liveshop.demo.film import make_film
from liveshop.demo.media import FILM, cache_folder
from liveshop.demo.shop import PRODUCTS
from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.film import Film, FilmCursor, load_film
from liveshop.video.ingest.rtmp_server import RtmpServer
from liveshop.video.model import Publishing
from liveshop.video.service import VideoService
from liveshop.video.simulcast.address import Address
from liveshop.video.simulcast.connection import Reach
from liveshop.video.simulcast.leg import Target
from liveshop.video.simulcast.legs import Simulcasts

Figure = Callable[[str, float, str, str], None]

_SECONDS = float(os.environ.get("BENCH_SECONDS", "30"))
_LEGS = 2
_SHOW = ShowId("shw_bench")


async def simulcast(figure: Figure) -> None:
    film = await asyncio.to_thread(_film)
    # Figures are all that may be said on standard output.
    with structlog.testing.capture_logs(), _destination() as port:
        targets = [
            Target(key, key, Address(f"rtmp://127.0.0.1:{port}/live", key))
            for key in map(str, range(_LEGS))
        ]
        alone, _ = await _sent(film, [])
        both, kbit = await _sent(film, targets)
    note = f"{_LEGS} destinations at {kbit} kbit/s each, for {_SECONDS:g} s"
    figure("simulcast_cpu_percent", 100 * (both - alone) / _SECONDS, "% of a core", note)


async def _sent(film: Film, targets: list[Target]) -> tuple[float, int]:
    """CPU seconds of this thread, and what the slowest leg took."""
    simulcasts = Simulcasts(SystemClock(), most_legs=_LEGS, reach=Reach(is_private_allowed=True))
    simulcasts.set_targets(_SHOW, targets)
    running = asyncio.create_task(simulcasts.run())
    tap = simulcasts.tap(_SHOW)
    tap.begin(film.video, film.audio)
    cursor, began, cpu = FilmCursor(film), time.monotonic(), time.thread_time()
    while (passed := time.monotonic() - began) < _SECONDS:
        tap.add(cursor.take_until(passed), origin=datetime.now(UTC))
        await asyncio.sleep(1 / 30)
    cpu = time.thread_time() - cpu
    legs = simulcasts.legs(_SHOW)
    assert all(leg.state == "live" and leg.left_out_seconds == 0 for leg in legs), legs
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return cpu, min((leg.kbit_per_second or 0 for leg in legs), default=0)


def _film() -> Film:
    path = cache_folder() / FILM
    if path.exists():
        return load_film(path)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / FILM
        make_film(made, PRODUCTS)
        return load_film(made)


@contextmanager
def _destination() -> Iterator[int]:
    """A server in a thread of its own; its port."""
    ports: list[int] = []
    is_up, loop = threading.Event(), asyncio.new_event_loop()

    async def authorise(key: str) -> Publishing:
        return Publishing(ShowId(f"shw_{key}"))

    async def serve() -> None:
        clock = SystemClock()
        server = RtmpServer(VideoService(clock=clock), clock, authorise)
        ports.append(await server.start("127.0.0.1", 0))
        is_up.set()
        try:
            await stopped.wait()
        finally:
            await server.close()

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    is_up.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()
