"""What a server process asks of its machine before it takes thousands of connections."""

import gc
import resource

_YOUNG = 10_000
_YOUNG_BEFORE_MIDDLE = 10
_MIDDLE_BEFORE_ALL = 25


def make_ready_for_crowds() -> None:
    """Call once all is imported.

    Each connection is a file. The usual soft limit of 1024 is for programs that still use
    select(2); servers are meant to raise it to the hard one.

    With 10,000 viewers there is a million objects, and a collection that walks all of them stops
    the loop for most of a second. Nearly everything here is freed by its last reference, so the
    collector comes less often, and never walks what was there before the first viewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _YOUNG_BEFORE_MIDDLE, _MIDDLE_BEFORE_ALL)
