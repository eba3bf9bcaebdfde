"""`liveshop serve` that tells, when asked by a signal, what it keeps in memory.

    python hour_server.py CONFIG ANSWER

SIGUSR1: ANSWER is written anew, one JSON object: see `Kept` in test_hour.py.
"""

import asyncio
import collections
import gc
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from liveshop.cli import main


def look(_number: int, _frame: FrameType | None) -> None:
    gc.collect()
    objects = gc.get_objects()
    kinds = collections.Counter(f"{type(one).__module__}.{type(one).__name__}" for one in objects)
    tasks = [one for one in objects if isinstance(one, asyncio.Task) and not one.done()]
    answer = {
        "objects": len(objects),
        "blocks": sys.getallocatedblocks(),
        "kinds": kinds,
        "tasks": collections.Counter(_named(task) for task in tasks),
    }
    place = Path(sys.argv[2])
    draft = place.with_suffix(".draft")
    draft.write_text(json.dumps(answer))
    os.replace(draft, place)


def _named(task: "asyncio.Task[object]") -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", str(type(coroutine)))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, look)
    main(["--config", sys.argv[1], "serve"])
