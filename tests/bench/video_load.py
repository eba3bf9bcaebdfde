"""How many LL-HLS viewers one core serves while the room chats, beside the least it could cost.

The server has a core of its own; the encoder (a recorded loop) and the crowd share the others.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import publisher
from video_house import VideoHouse, cpu_seconds, video_house

_VIEWERS = int(os.environ.get("BENCH_VIEWERS", "500"))
_SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
_TALKERS = 20
_IDLE_SECONDS = 5.0
_PART_SECONDS = 1 / 3
_HERE = Path(__file__).resolve().parent


async def viewers_per_core(figure: Callable[[str, float, str, str], None]) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with video_house(Path(folder), cores=cores[:1]) as house:
                idle, ours, found, part_bytes = await _served(house)
        bare = await _bare(part_bytes, cores[:1])
    finally:
        os.sched_setaffinity(0, cores)
    where = f"{_VIEWERS} viewers, each with a chat socket, two messages a second"
    # Whoever does not get every part is not a whole viewer.
    fed = _VIEWERS * min(found["parts_per_viewer"] * _PART_SECONDS / found["seconds"], 1.0)
    figure(
        "hls_viewers_per_core",
        fed / ours,
        "viewers",
        f"{where}; {ours:.0%} of a core, parts of {_PART_SECONDS:.2f} s and {part_bytes} bytes; "
        "at least 500",
    )
    figure(
        "hls_part_late_p99_ms",
        found["late_p99_ms"],
        "ms",
        f"from the first viewer's news; on time is {_PART_SECONDS * 1000:.0f}",
    )
    figure(
        "hls_parts_per_viewer_s",
        found["parts_per_viewer"] / found["seconds"],
        "1/s",
        f"3 is all of them; {found['missed']} were missed, {sum(found['errors'].values())} errors",
    )
    figure(
        "hls_chat_deliveries_s",
        found["chat_deliveries"] / found["seconds"],
        "1/s",
        "messages handed to viewers meanwhile",
    )
    figure("hls_stream_cpu_percent", idle * 100, "%", "of a core: one encoder and no viewers")
    figure("hls_cpu_ratio", ours / bare, "times", "prepared bytes from a bare Python process = 1")


async def _served(house: VideoHouse) -> tuple[float, float, dict[str, Any], int]:
    """Share of a core without viewers and with them, what they found, and the size of a part."""
    tokens = []
    for number in range(_TALKERS):
        _, guest = await house.fetch("POST", "/api/guests", {})
        headers = {"Authorization": f"Bearer {guest['token']}"}
        await house.fetch("PUT", "/api/me", {"name": f"Viewer {number}"}, headers=headers)
        tokens.append(guest["token"])
    with publisher.publishing(await house.ingest(), "--loop"):
        await house.until_playable()
        part_bytes = await _part_bytes(house)
        before = house.cpu_seconds()
        await asyncio.sleep(_IDLE_SECONDS)
        idle = (house.cpu_seconds() - before) / _IDLE_SECONDS
        cpu, found = await _crowd(
            house.port, house.pid, f"{house.hls}/video/", f"/live/{house.show_id}", tokens
        )
    assert found["chat_lost"] == 0, found
    return idle, cpu, found, part_bytes


async def _bare(part_bytes: int, cores: list[int]) -> float:
    with _running([str(_HERE / "video_bare.py"), str(part_bytes)]) as process:
        os.sched_setaffinity(process.pid, cores)
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        cpu, _ = await _crowd(port, process.pid, "/", "", [])
    return cpu


async def _crowd(
    port: int, pid: int, folder: str, live: str, tokens: list[str]
) -> tuple[float, dict[str, Any]]:
    """The share of a core that the process took, and what the crowd found."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / "video_crowd.py"), str(port), folder),
        *("--viewers", str(_VIEWERS), "--seconds", str(_SECONDS), "--live", live),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(tokens).encode())
    process.stdin.close()
    async with asyncio.timeout(_SECONDS + 120):
        assert json.loads(await process.stdout.readline()) == {"measuring": True}
        before = cpu_seconds(pid)
        found = json.loads(await process.stdout.readline())
        cpu = (cpu_seconds(pid) - before) / found["seconds"]
        await process.wait()
    return cpu, found


async def _part_bytes(house: VideoHouse) -> int:
    playlist = await house.until_playable()
    names = [
        line.partition('URI="')[2].partition('"')[0]
        for line in playlist.splitlines()
        if line.startswith("#EXT-X-PART:")
    ]
    sizes = [len((await house.fetch("GET", f"{house.hls}/video/{name}"))[1]) for name in names]
    return round(sum(sizes) / len(sizes))


@contextmanager
def _running(arguments: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
