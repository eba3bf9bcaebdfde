"""A cache in front takes the audience off the server: Varnish with the example's configuration."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import publisher
import pytest
from slow.counterparts import need
from video_house import VideoHouse, free_ports, video_house

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).resolve().parents[2]
_EXAMPLE = _ROOT / "examples" / "scale_out" / "default.vcl"
_CROWD = _ROOT / "tests" / "bench" / "video_crowd.py"
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Varnish:
    port: int
    folder: Path

    def asked(self) -> int:
        """How often it has asked the server behind it."""
        told = subprocess.run(
            ["varnishstat", "-n", str(self.folder), "-1", "-j", "-f", "MAIN.backend_req"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return int(json.loads(told)["counters"]["MAIN.backend_req"]["value"])


@contextmanager
def _varnish(folder: Path, backend_port: int, port: int) -> Iterator[Varnish]:
    """With the example's configuration; only the server's port is another."""
    folder.mkdir()
    vcl = folder / "default.vcl"
    text, changed = re.subn(
        r'\.port = "8080"', f'.port = "{backend_port}"', _EXAMPLE.read_text(encoding="utf-8")
    )
    assert changed == 1
    vcl.write_text(text, encoding="utf-8")
    program = shutil.which("varnishd")
    assert program is not None
    jail = ["-j", "none"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [
            *(program, *jail, "-F", "-n", str(folder / "work"), "-f", str(vcl)),
            *("-a", f"127.0.0.1:{port}", "-s", "malloc,256m"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Varnish(port, folder / "work")
    finally:
        process.terminate()
        process.wait(20)


@dataclass(frozen=True, slots=True)
class Place:
    house: VideoHouse
    varnish: Varnish

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.varnish.port}"


@asynccontextmanager
async def _place(folder: Path) -> AsyncIterator[Place]:
    [port] = free_ports(1)
    async with video_house(
        folder / "house", public_port=port, SERVER__TRUSTED_PROXIES="1"
    ) as house:
        with _varnish(folder / "varnish", house.port, port) as varnish:
            await _until_answers(f"http://127.0.0.1:{port}/readyz")
            yield Place(house, varnish)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    need("varnishd", "varnishstat")
    async with _place(tmp_path) as found:
        yield found


async def _until_answers(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)  # between two questions


async def _crowd(place: Place, viewers: int) -> tuple[dict[str, Any], int]:
    """What so many viewers found, and how often the server was asked a second meanwhile."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_CROWD),
        str(place.varnish.port),
        f"{place.house.hls}/video/",
        *("--viewers", str(viewers), "--seconds", str(_SECONDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        assert json.loads(await process.stdout.readline()) == {"measuring": True}
        before = place.varnish.asked()
        found = json.loads(await process.stdout.readline())
        asked = place.varnish.asked() - before
        await process.wait()
    return found, asked


async def test_the_server_is_asked_as_often_for_a_thousand_viewers_as_for_two_hundred(
    place: Place,
) -> None:
    # A small picture: it is requests that are counted, and a machine has one loopback.
    arguments = ("--loop", "--size", "320x180", "--kbit", "250")
    with publisher.publishing(await place.house.ingest(), *arguments):
        await place.house.until_playable()
        few, asked_by_few = await _crowd(place, 200)
        many, asked_by_many = await _crowd(place, 1000)
    for found in (few, many):
        # A part every third of a second, for everybody; two requests for each.
        assert found["parts_per_viewer"] == pytest.approx(_SECONDS / (1 / 3), rel=0.1)
        assert found["errors"] == {}
        assert found["missed"] == 0
    assert asked_by_few / _SECONDS <= 12
    assert asked_by_many <= asked_by_few * 1.2 + 5


async def test_a_crowd_that_waits_for_the_host_is_one_question(place: Place) -> None:
    before = place.varnish.asked()
    async with aiohttp.ClientSession() as client:

        async def ask() -> int:
            async with client.get(f"{place.url}{place.house.hls}/index.m3u8") as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
                return answer.status

        assert set(await asyncio.gather(*(ask() for _ in range(50)))) == {404}
    assert place.varnish.asked() - before <= 2


async def test_other_parameters_make_no_other_playlist(place: Place) -> None:
    with publisher.publishing(await place.house.ingest(), "--loop", "--size", "320x180"):
        await place.house.until_playable()
        before = place.varnish.asked()
        async with aiohttp.ClientSession() as client:
            for query in ("", "?a=1", "?b=2&a=1", "?utm_source=x"):
                url = f"{place.url}{place.house.hls}/index.m3u8{query}"
                async with client.get(url) as answer:
                    assert answer.status == 200
        assert place.varnish.asked() - before <= 2
        text = await place.house.until_playable()
        sequence = int(text.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split()[0])
        msn = sequence + text.count("#EXTINF:") + 1
        async with aiohttp.ClientSession() as client:

            async def reload(query: str) -> str:
                url = f"{place.url}{place.house.hls}/video/live.m3u8?{query}"
                async with client.get(url) as answer:
                    assert answer.status == 200
                    return await answer.text()

            before = place.varnish.asked()
            same = await asyncio.gather(
                reload(f"_HLS_msn={msn}&_HLS_part=0"),
                reload(f"_HLS_part=0&_HLS_msn={msn}&who=me"),
                reload(f"who=you&_HLS_msn={msn}&_HLS_part=0"),
            )
            assert len(set(same)) == 1
            assert place.varnish.asked() - before == 1
            delta = await reload(f"_HLS_msn={msn}&_HLS_skip=YES")
            assert "#EXT-X-SKIP" in delta or len(delta) < len(same[0]) * 2
