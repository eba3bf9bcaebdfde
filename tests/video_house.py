"""A server of its own with one running show that takes video: what real encoders and players meet.

`liveshop serve` as an operator starts it, in a process whose CPU can be counted alone.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import builders

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.migrations import migrate
from liveshop.storage import Database

_READY_SECONDS = 60.0
_CALL_SECONDS = 15.0
_TICK = os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Different ones, free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass(slots=True)
class VideoHouse:
    """`public`: where browsers reach it, which may be a proxy's port."""

    folder: Path
    port: int
    rtmp_port: int
    public_port: int
    show_id: ShowId
    product_ids: tuple[ProductId, ...]
    token: str
    environ: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def public(self) -> str:
        return f"http://127.0.0.1:{self.public_port}"

    @property
    def page(self) -> str:
        """The show's own page, with the real player."""
        return f"{self.public}/s/{self.show_id}"

    @property
    def hls(self) -> str:
        return f"/hls/{self.show_id}"

    @property
    def server(self) -> str:
        """What an encoder is told beside the key."""
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, cores: Collection[int] = ()) -> Self:
        clean = {name: value for name, value in os.environ.items() if "LIVESHOP" not in name}
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "liveshop", "serve"],
                env=clean
                | {
                    "LIVESHOP_DATA_DIR": str(self.folder),
                    "LIVESHOP_SERVER__PORT": str(self.port),
                    "LIVESHOP_SERVER__PUBLIC_URL": self.public,
                    "LIVESHOP_SERVER__SECRET": builders.SECRET,
                    "LIVESHOP_VIDEO__RTMP_PORT": str(self.rtmp_port),
                    "LIVESHOP_CHAT__RATE_PER_10_SECONDS": "1000",
                    "LIVESHOP_LOG_LEVEL": "info",
                }
                | dict(self.environ),
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        if cores:
            os.sched_setaffinity(self.process.pid, cores)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()
                self.process.wait(20)

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text(encoding="utf-8", errors="replace")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    async def until_ready(self) -> None:
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as client:
            while True:
                assert self.process is not None
                assert self.process.poll() is None, self.log[-3000:]
                try:
                    async with client.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)  # between two questions

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One API call as a host; the decoded answer."""
        status, answer = await self.fetch(
            method, path, body, headers={"Authorization": f"Bearer {self.token}"}
        )
        assert status < 400, answer
        return answer

    async def fetch(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status, and decoded JSON, text or bytes."""
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", timeout=timeout) as client,
            client.request(method, path, json=body, headers=headers) as answer,
        ):
            if "json" in answer.content_type:
                return answer.status, await answer.json(content_type=None)
            if "mpegurl" in answer.content_type or answer.content_type.startswith("text/"):
                return answer.status, await answer.text()
            return answer.status, await answer.read()

    async def new_key(self) -> str:
        """A stream key; the one before it stops to work."""
        issued = await self.call("POST", f"/api/shows/{self.show_id}/stream-keys")
        return str(issued["secret"])

    async def ingest(self) -> str:
        """Server and a new key in one address, as ffmpeg takes it."""
        return f"{self.server}/{await self.new_key()}"

    async def until_playable(self, *, rendition: str = "video", within: float = 30.0) -> str:
        """The media playlist, once there is one with parts."""
        async with asyncio.timeout(within):
            while True:
                status, text = await self.fetch("GET", f"{self.hls}/{rendition}/live.m3u8")
                if status == 200 and "#EXT-X-PART:" in text:
                    return str(text)
                await asyncio.sleep(0.1)  # between two questions

    async def health(self) -> dict[str, Any]:
        return dict(await self.call("GET", f"/api/shows/{self.show_id}/video"))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@asynccontextmanager
async def video_house(
    folder: Path,
    *,
    cores: Collection[int] = (),
    public_port: int = 0,
    port: int = 0,
    **environ: str,
) -> AsyncIterator[VideoHouse]:
    """A started one. `environ`: more LIVESHOP_ settings, without the prefix."""
    data = folder / "data"
    data.mkdir(parents=True)
    # Wiring reads files, so it happens without a loop that it could hold up.
    product_ids, show_id, token = await asyncio.to_thread(_furnish, data)
    ports = free_ports(2)
    port = port or ports[0]
    house = VideoHouse(
        folder=data,
        port=port,
        rtmp_port=ports[1],
        public_port=public_port or port,
        show_id=show_id,
        product_ids=product_ids,
        token=token,
        environ={f"LIVESHOP_{name}": value for name, value in environ.items()},
    )
    with _running(house, cores):
        await house.until_ready()
        yield house


def _furnish(data: Path) -> tuple[tuple[ProductId, ...], ShowId, str]:
    """Two products, a running show with both, and the API key of a host."""
    settings = builders.test_settings(data)
    asyncio.run(migrate(settings.database_url))
    shop = wire(settings, Database.open(settings.database_url), None, SystemClock())
    return asyncio.run(_seed(shop))


async def _seed(shop: Liveshop) -> tuple[tuple[ProductId, ...], ShowId, str]:
    try:
        products = [await builders.product(shop, title=title) for title in ("Mug", "Teapot")]
        product_ids = tuple(ProductId(product.id) for product in products)
        show_id = await builders.live_show(shop, product_ids)
        return product_ids, show_id, await builders.staff_key(shop, "host")
    finally:
        await shop.syndication.close()
        await asyncio.to_thread(shop.media.close)
        await shop.database.close()


@contextmanager
def _running(house: VideoHouse, cores: Collection[int]) -> Any:
    try:
        yield house.start(cores=cores)
    finally:
        house.stop()
