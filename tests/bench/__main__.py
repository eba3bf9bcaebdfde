"""`make bench` or `make bench NAME=...`: one JSON line per figure, nothing else on standard output.

Absolute times on a shared machine mean little, so each cost has a yardstick measured in the same
run: the same number of empty requests, or of durable empty transactions.
"""

import asyncio
import csv
import gzip
import io
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import builders
import camera_ways
import chat
import fanout
import fanout_crowd
import holds
import purchase
import replay
import simulcast
import sync
import video

from liveshop.app import Liveshop, wire
from liveshop.connect import Connectors
from liveshop.kernel.clock import SystemClock
from liveshop.migrations import migrate
from liveshop.storage import Database
from liveshop.web import assets

_ROWS = 5000


def figure(name: str, value: float, unit: str, note: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "note": note}))


async def embed_weight(_: Liveshop) -> None:
    """What a storefront page loads, gzipped as it is served."""
    dist = assets.folder("dist")
    manifest = json.loads((dist / "manifest.json").read_text())

    def weight(name: str) -> int:
        return len(gzip.compress((dist / name).read_bytes(), 9))

    player = manifest["player.js"]
    chunks = {
        path.name
        for path in dist.glob("chunk-*.js")
        if path.name in (dist / player).read_text(encoding="utf-8")
    }
    figure("embed_loader", weight("embed.js"), "bytes gzip", "limit 5000")
    figure(
        "embed_player",
        weight(player) + sum(map(weight, chunks)),
        "bytes gzip",
        "with chat and cart, without hls.js; limit 60000",
    )
    figure("embed_hls", weight(manifest["hls.js"]), "bytes gzip", "loaded when a video plays")


async def purchases(_: Liveshop) -> None:
    """The server runs in a process of its own."""
    await purchase.purchase(figure)


async def catalog_import(shop: Liveshop) -> None:
    """A feed of so many products, first and again, against reading it with the csv module."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["id", "title", "description", "price", "quantity"])
    for number in range(_ROWS):
        table.writerow([f"p{number}", f"Product {number}", "About it", "12.90 EUR", 7])
    body = text.getvalue().encode()
    source = Connectors.installed().file_source("google_csv")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    started = time.perf_counter()
    await shop.catalog.import_file(source, chunks())
    first = time.perf_counter() - started
    started = time.perf_counter()
    report = await shop.catalog.import_file(source, chunks())
    again = time.perf_counter() - started
    assert report.unchanged == _ROWS, report
    figure("import_rows", _ROWS / first, "rows/s", "new products, SQLite")
    figure("import_again_ratio", again / first, "times", "nothing changed; the first run = 1")


async def holds_per_second(_: Liveshop) -> None:
    """The server runs in a process of its own."""
    await holds.holds(figure)


async def channel_sync(shop: Liveshop) -> None:
    """In this process: it is our own work that is measured."""
    await sync.sync(shop, figure)


async def glass_to_glass(_: Liveshop) -> None:
    """An encoder, a server and a browser, each a process of its own."""
    await video.glass_to_glass(figure)


async def cues(_: Liveshop) -> None:
    """The same, and a host who brings products into focus."""
    await video.cues(figure)


async def hls(_: Liveshop) -> None:
    """The server runs in a process of its own, and so does the crowd."""
    await video.viewers(figure)


async def drift(_: Liveshop) -> None:
    """In this process, faster than time."""
    await video.drift(figure)


async def browser_host(_: Liveshop) -> None:
    """The same from a browser's camera, each way a browser can send."""
    await camera_ways.camera(figure)


async def replays(_: Liveshop) -> None:
    """In this process and those that it starts, faster than time."""
    await replay.replay(figure)


async def simulcasts(_: Liveshop) -> None:
    """In this process: it is our own work that is measured."""
    await simulcast.simulcast(figure)


async def chat_messages(_: Liveshop) -> None:
    """In this process: it is our own work that is measured."""
    await chat.chat(figure)


async def fan_out(_: Liveshop) -> None:
    """Servers of their own, one after the other, and viewers in C."""
    await fanout.fanout(figure)


async def joining(_: Liveshop) -> None:
    """The same viewers, coming in."""
    await fanout.join(figure)


BENCHES: dict[str, Callable[[Liveshop], Awaitable[None]]] = {
    "embed": embed_weight,
    "purchase": purchases,
    "import": catalog_import,
    "holds": holds_per_second,
    "sync": channel_sync,
    "video": glass_to_glass,
    "cues": cues,
    "camera": browser_host,
    "hls": hls,
    "drift": drift,
    "replay": replays,
    "simulcast": simulcasts,
    "chat": chat_messages,
    "fanout": fan_out,
    "join": joining,
}


def main() -> int:
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(
            f"no such figure: {', '.join(unknown)}; known are {', '.join(BENCHES)}", file=sys.stderr
        )
        return 2
    missing = False
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/bench.sqlite3"
            asyncio.run(migrate(url))
            shop = wire(
                builders.test_settings(Path(folder), database_url=url),
                Database.open(url),
                None,
                SystemClock(),
            )
            try:
                asyncio.run(_run(shop, BENCHES[name]))
            except fanout_crowd.ProgramMissing as error:
                print(f"{name} is not measured: {error}", file=sys.stderr)
                missing = True
    return 1 if missing else 0


async def _run(shop: Liveshop, bench: Callable[[Liveshop], Awaitable[None]]) -> None:
    try:
        await bench(shop)
    finally:
        shop.media.close()
        await shop.database.close()


if __name__ == "__main__":
    sys.exit(main())
