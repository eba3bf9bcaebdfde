"""The process that makes one thing: the job on standard input, what becomes of it on standard
output, a JSON object in each line. It ends when its standard input does: then nobody waits.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import BinaryIO, Final

import msgspec

from liveshop.video.making.model import Job, Line, MakingFailed, MakingHeldUp
from liveshop.video.making.work import do

_NICENESS: Final = 15
_BEAT_SECONDS: Final = 10.0
_WORK_SECONDS: Final = 0.02
"""More than what tells of it needs by itself."""
_MOUTH: Final = threading.Lock()


def main() -> int:
    os.nice(_NICENESS)
    # What the libraries print must not come between the lines.
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_server, daemon=True).start()
    threading.Thread(target=_tell_it_works, args=(told, threading.Event()), daemon=True).start()
    percents = _Percents(told)
    try:
        made = do(job, percents.tell)
    except MakingFailed as error:
        _say(told, Line(failed=str(error), is_held_up=isinstance(error, MakingHeldUp)))
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
    with _MOUTH:
        told.write(msgspec.json.encode(line) + b"\n")


def _tell_it_works(told: BinaryIO, stopped: threading.Event) -> None:
    """A percent of some hours takes longer than a process that hangs is waited for; one that hangs
    uses no time of the processor."""
    worked = 0.0
    while not stopped.wait(_BEAT_SECONDS):
        if time.process_time() - worked >= _WORK_SECONDS:
            worked = time.process_time()
            with suppress(OSError):
                _say(told, Line())


def _end_with_server() -> None:
    """What is half written is written over by the next try."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
