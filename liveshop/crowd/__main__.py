"""A process of a crowd that is shared among several; `liveshop.crowd.processes` starts it."""

import asyncio
import sys

import msgspec
import uvloop

from liveshop.crowd.means import allow_files
from liveshop.crowd.processes import Said, Share, take_part
from liveshop.crowd.tally import Tick


def main() -> None:
    _say(Said())
    # Unbuffered: what comes after the line is for the loop to hear.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as told:
        line = told.readline()
    if not line:
        return
    share = msgspec.json.decode(line, type=Share)
    allow_files(len(share.plan.mine))
    uvloop.run(_take_part(share))


async def _take_part(share: Share) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _hear, stop)
    tally = await take_part(share, _tell, stop)
    loop.remove_reader(sys.stdin.fileno())
    _say(Said(tally=tally))


def _hear(stop: asyncio.Event) -> None:
    """Told to stop, or the one who would tell is gone."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stop.set()


def _tell(tick: Tick) -> None:
    _say(Said(tick=tick))


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
