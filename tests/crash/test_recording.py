"""`kill -9` while an encoder sends: the show can be seen again but for the gap, and nothing in it
is corrupt.

A real server in a process of its own, real media over RTMP, which comes back as encoders do.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import builders
import m3u8
import pytest
from crash.serving import GONE, Server
from rtmp_client import AnswerReader, RtmpClient, Tag, status_codes, tags_of
from video_builders import decode_pictures, decode_sound, make_film_file
from video_house import free_ports

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import SystemClock
from liveshop.migrations import migrate
from liveshop.storage import Database
from liveshop.video.ingest.film import load_film

KILLS = 2
SENT_SECONDS = 1.8
"""Between two kills: in the middle of a segment."""
SEGMENT_SECONDS = 1.0
"""The film has a keyframe each second."""
TOLERANCE_SECONDS = 0.4
"""What is on its way, and the time until it is read."""


@dataclass
class Encoder:
    """Sends a film in real time, and begins it anew wherever the server went away."""

    port: int
    tags: list[Tag]
    key: str
    lost_at: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    """When the first picture of each connection was sent."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(*GONE):
                await self._connect()
            await asyncio.sleep(0.05)  # between two attempts

    async def _connect(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            client, answers = RtmpClient(), AnswerReader()
            writer.write(client.start(self.key))
            codes: list[str] = []
            while "NetStream.Publish.Start" not in codes:
                data = await reader.read(65536)
                if not data:
                    return
                codes += status_codes(answers.feed(data))
            writer.write(client.set_chunk_size(4096))
            self.sent_at.append(time.time())
            self.begun.set()
            begun = time.monotonic()
            for tag in self.tags:
                await asyncio.sleep(max(0.0, begun + tag.ms / 1000 - time.monotonic()))
                writer.write(client.tags([tag]))
                await writer.drain()
        finally:
            writer.transport.abort()


@dataclass
class Scene:
    server: Server
    show_id: str
    token: str
    encoder: Encoder

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as client,
            client.request(
                method,
                f"http://{self.server.address}{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.token}"},
            ) as answer,
        ):
            if "json" in answer.content_type:
                return await answer.json(content_type=None)
            return await answer.read() if answer.status == 200 else None

    async def replay(self, path: str) -> bytes | None:
        found = await self.call("GET", f"/hls/{self.show_id}/replay/{path}")
        return found if isinstance(found, bytes) else None


@pytest.fixture
def seeded(tmp_path: Path) -> tuple[Path, list[Tag], Callable[[], Liveshop]]:
    """A data folder, a film, and the shop to fill the folder with: made before a loop runs."""
    film = load_film(make_film_file(tmp_path / "film.mp4", seconds=8))
    folder = tmp_path / "data"
    folder.mkdir()
    url = f"sqlite+aiosqlite:///{folder / 'liveshop.sqlite3'}"
    asyncio.run(migrate(url))
    shop = wire(
        builders.test_settings(folder, database_url=url), Database.open(url), None, SystemClock()
    )
    return folder, tags_of(film), lambda: shop


@pytest.fixture
async def scene(
    seeded: tuple[Path, list[Tag], Callable[[], Liveshop]],
) -> AsyncIterator[Scene]:
    folder, tags, shop_of = seeded
    shop = shop_of()
    show_id = await builders.live_show(shop)
    token = await builders.staff_key(shop, "host")
    await shop.syndication.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()
    [port] = free_ports(1)
    server = Server(folder, {"LIVESHOP_VIDEO__RTMP_PORT": str(port)})
    await server.start()
    scene = Scene(server, show_id, token, Encoder(port, tags, ""))
    issued = await scene.call("POST", f"/api/shows/{show_id}/stream-keys")
    scene.encoder.key = issued["secret"]
    yield scene
    await server.end()


async def test_a_show_that_was_killed_under_can_be_seen_again_but_for_the_gap(
    scene: Scene,
) -> None:
    encoder = scene.encoder
    sending = asyncio.create_task(encoder.send())
    killed_at: list[float] = []
    try:
        async with asyncio.timeout(60):
            for _ in range(KILLS):
                await encoder.begun.wait()
                await asyncio.sleep(SENT_SECONDS)  # of the show
                await scene.server.kill()
                killed_at.append(time.time())
                encoder.begun.clear()
                await scene.server.start()
            await encoder.begun.wait()
            await asyncio.sleep(SENT_SECONDS)
            ended = await scene.call("POST", f"/api/shows/{scene.show_id}/state", {"to": "ended"})
            assert ended["state"] in ("ended", "replay"), ended
            ended_at = time.time()
            while (text := await scene.replay("index.m3u8")) is None:
                await asyncio.sleep(0.05)  # between two questions
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    playlist = m3u8.loads(text.decode())
    assert playlist.is_endlist
    assert playlist.playlist_type == "vod"
    assert sum(one.discontinuity for one in playlist.segments) == KILLS
    # Nothing is corrupt, and all that the playlist promises is there.
    for one in playlist.segments:
        init = await scene.replay(one.init_section.uri)
        data = await scene.replay(one.uri)
        assert init is not None
        assert data is not None
        pictures, sounds = await asyncio.to_thread(
            lambda media: (decode_pictures(media), sum(1 for _ in decode_sound(media))),
            init + data,
        )
        assert len(pictures) == pytest.approx(30 * one.duration, abs=1)
        assert sounds / 48_000 == pytest.approx(one.duration, abs=0.1)
    # The gap is as long as the server was away, and what was open when it died.
    gaps = [
        (last.program_date_time.timestamp() + last.duration, first.program_date_time.timestamp())
        for last, first in pairwise(playlist.segments)
        if first.discontinuity
    ]
    for (ends, begins), killed, again in zip(gaps, killed_at, encoder.sent_at[1:], strict=True):
        assert ends >= killed - SEGMENT_SECONDS - TOLERANCE_SECONDS
        assert begins <= again + TOLERANCE_SECONDS
    last = playlist.segments[-1]
    assert last.program_date_time.timestamp() + last.duration == pytest.approx(ended_at, abs=0.6)
    recording = await scene.call("GET", f"/api/shows/{scene.show_id}/recording")
    assert recording["gaps"] == KILLS
    assert recording["state"] == "ended"
