"""Publishes a film file over RTMP with ffmpeg's libraries, as fast as they can; a process of its
own, because they hold the interpreter's lock while they wait for the server.

`python tests/remux.py film.mp4 rtmp://... [--no-sound]`; its exit code is 0 when all was sent.
"""

import asyncio
import sys
from pathlib import Path

import av


async def published(source: Path, url: str, *, with_sound: bool = True) -> bool:
    """Whether the server took it all."""
    options = [] if with_sound else ["--no-sound"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(source), url, *options, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main(source: str, url: str, *options: str) -> None:
    with av.open(source) as film, av.open(url, "w", format="flv", timeout=(10, 10)) as out:
        kinds = {"video"} if "--no-sound" in options else {"video", "audio"}
        chosen = [stream for stream in film.streams if stream.type in kinds]
        streams = {stream.index: out.add_stream_from_template(stream) for stream in chosen}
        for packet in film.demux(chosen):
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)


if __name__ == "__main__":
    main(*sys.argv[1:])
