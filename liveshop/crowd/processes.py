"""A crowd from beginning to end, in this process or shared among several.

The others are `python -m liveshop.crowd`: each says that it is up, is told its share in one JSON
line, and answers with a line for each tick and one at the end. All look at the same monotonic
clock, so what one of them sends and another receives is measured too; they run on one machine.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable

import msgspec

from liveshop.crowd.crowd import Progress, attend, nobody_looks
from liveshop.crowd.looking import CannotStart, Target, look
from liveshop.crowd.means import allow_files, check_ports, sources_for
from liveshop.crowd.plan import Plan, processes_for
from liveshop.crowd.report import Report, report_of
from liveshop.crowd.tally import Tally, Tick

_LINE_BYTES = 2**28
"""A process's last line names every message it saw."""
_START_SECONDS = 0.3
"""From when all processes are up until the crowd begins."""
STOP = b"stop\n"


class Share(msgspec.Struct):
    """What a process is told."""

    plan: Plan
    target: Target
    tag: str
    began_at: float
    sources: list[str]


class Said(msgspec.Struct):
    """What a process says: nothing but that it is up, then ticks, and at last what it counted."""

    tick: Tick | None = None
    tally: Tally | None = None


async def run_crowd(
    plan: Plan,
    progress: Progress = nobody_looks,
    *,
    processes: int | None = 1,
    stop: asyncio.Event | None = None,
) -> Report:
    """Look at the server, send the crowd there, count. `processes` None: as many as it needs.

    `stop` ends it early, with everything counted up to then. Raises BadPlan, CannotStart.
    """
    plan.check()
    target = await look(plan)
    plan = msgspec.structs.replace(plan, show_id=target.show_id)
    count = processes or processes_for(plan.viewers, os.cpu_count() or 1)
    sources = await asyncio.to_thread(sources_for, plan)
    await asyncio.to_thread(check_ports, plan, sources)
    allow_files(plan.viewers // count + 1)
    share = Share(plan, target, secrets.token_hex(2)[:3], time.monotonic(), sources)
    ending = stop or asyncio.Event()
    if count == 1:
        tally = await take_part(share, progress, ending)
    else:
        tally = await _together(share, count, progress, ending)
    seconds = min(plan.seconds, time.monotonic() - share.began_at)
    return report_of(plan, target, tally, seconds=seconds, processes=count)


async def take_part(share: Share, progress: Progress, stop: asyncio.Event) -> Tally:
    """This process's share."""
    return await attend(
        share.plan,
        share.target,
        tag=share.tag,
        began_at=share.began_at,
        sources=share.sources,
        progress=progress,
        stop=stop,
    )


async def _together(share: Share, count: int, progress: Progress, stop: asyncio.Event) -> Tally:
    """Raises CannotStart when one of them ends without having counted."""
    ticks = [Tick() for _ in range(count)]

    def told(which: int, tick: Tick) -> None:
        ticks[which] = tick
        if which == count - 1:
            whole = Tick()
            for one in ticks:
                whole.add(one)
            progress(whole)

    async def up() -> None:
        if await everybody.wait() == 0:
            share.began_at = time.monotonic() + _START_SECONDS
        await everybody.wait()

    whole = Tally()
    everybody = asyncio.Barrier(count)
    counting = [
        asyncio.create_task(_process(share, (which, count), up, told, stop))
        for which in range(count)
    ]
    try:
        for tally in await asyncio.gather(*counting):
            whole.add(tally)
    finally:
        for task in counting:
            task.cancel()
        await asyncio.gather(*counting, return_exceptions=True)
    return whole


async def _process(
    share: Share,
    part: tuple[int, int],
    up: Callable[[], Awaitable[None]],
    told: Callable[[int, Tick], None],
    stop: asyncio.Event,
) -> Tally:
    """Raises CannotStart."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liveshop.crowd"),
        stdin=PIPE,
        stdout=PIPE,
        limit=_LINE_BYTES,
        start_new_session=True,  # Ctrl-C goes to all of a terminal: here one says when it is over
    )
    stopping: asyncio.Task[None] | None = None
    try:
        await _said(process)
        await up()
        own = msgspec.structs.replace(share, plan=msgspec.structs.replace(share.plan, share=part))
        assert process.stdin is not None, "it was asked for"
        process.stdin.write(msgspec.json.encode(own) + b"\n")
        stopping = asyncio.create_task(_pass_on(process, stop))
        while True:
            said = await _said(process)
            if said.tick is not None:
                told(part[0], said.tick)
            if said.tally is not None:
                return said.tally
    finally:
        if stopping is not None:
            stopping.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _pass_on(process: Process, stop: asyncio.Event) -> None:
    await stop.wait()
    assert process.stdin is not None, "it was asked for"
    with contextlib.suppress(ConnectionError):
        process.stdin.write(STOP)
        await process.stdin.drain()


async def _said(process: Process) -> Said:
    assert process.stdout is not None, "it was asked for"
    line = await process.stdout.readline()
    if not line:
        raise CannotStart("One of the crowd's processes broke off; what it wrote is above.")
    return msgspec.json.decode(line, type=Said)
