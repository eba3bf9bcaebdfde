"""The process that makes one thing: the job on standard input, what becomes of it on standard
output, a JSON object in each line. It ends when its standard input does: then nobody waits.
"""

import os
import sys
import threading
from typing import BinaryIO

import msgspec

from liveshop.video.making.model import Job, Line, MakingFailed
from liveshop.video.making.work import do

_NICENESS = 15


def main() -> int:
    os.nice(_NICENESS)
    # What the libraries print must not come between the lines.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_server, daemon=True).start()
    percents = _Percents(told)
    try:
        made = do(job, percents.tell)
    except MakingFailed as error:
        _say(told, Line(failed=str(error)))
        return 0
    _say(told, Line(made=made))
    return 0


class _Percents:
    def __init__(self, told: BinaryIO) -> None:
        self._told = told
        self._last = -1

    def tell(self, share: float) -> None:
        percent = int(100 * share)
        if percent > self._last:
            self._last = percent
            _say(self._told, Line(percent=percent))


def _say(told: BinaryIO, line: Line) -> None:
    told.write(msgspec.json.encode(line) + b"\n")


def _end_with_server() -> None:
    """What is half written is written over by the next try."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
