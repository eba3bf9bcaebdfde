"""What it costs to hand a chat message to everybody in a large room, and to let a crowd in.

The server has a core of its own; viewers (C, see `fanout_crowd.py`) and talkers share the other.
Messages go the real way: `chat.send` over a socket, the chat's rules, the database, the room's
log. Absolute times mean little on a shared machine, so nginx with nchan and Node's `ws`, which
hand the same bytes on without any of that, take turns with Liveshop in the same run.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import builders
import fanout_crowd
import served
from fanout_crowd import Seen, cpu_seconds, crowd
from pipe import request_bytes
from served import sending
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from liveshop.app import opened
from liveshop.kernel.ids import ShowId

_VIEWERS = int(os.environ.get("BENCH_VIEWERS", "5000"))
_JOINERS = int(os.environ.get("BENCH_JOINERS", "10000"))
_SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
_RATE = 20.0
_WARM_SECONDS = 5.0
_JOIN_RATE = 5.0
_SMALL_ROOM = 20
_TALKERS = 4
_SNAPSHOTS = 2000
_WORDS = (
    "Hallo zusammen! Gibt es die Jacke auch in Gr. 42 und in Dunkelblau? Danke und liebe Gruesse"
)
_ENVIRON = {"LIVESHOP_REALTIME__IDLE_SECONDS": "600"}
"""The viewers in C answer no ping."""
_AS_LONG = (
    '{"t":"chat.message","o":12345,"at":"2026-11-22T18:40:00.000Z","d":{"message":{'
    '"id":"msg_01K00000000000000000000000","author_id":"key_01K00000000000000000000000",'
    f'"name":"Hedda","role":"host","text":"t=@T {_WORDS}",'
    '"at":"2026-11-22T18:40:00.000Z","deleted":false}}}'
)
"""What the peers hand on: our frame."""

Figure = Callable[[str, float, str, str], None]


class Talker:
    """A host on a socket. What the room says is read and dropped, but for refusals."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last_id = 0
        self.refused: list[str] = []

    async def say(self) -> None:
        self._last_id += 1
        text = f"t={time.monotonic_ns()} {_WORDS}"
        await self._socket.send(json.dumps({"id": self._last_id, "t": "chat.send", "text": text}))

    async def leave(self) -> None:
        await self._socket.close()

    async def listen(self) -> None:
        async for frame in self._socket:
            if '"error"' in str(frame)[:40]:
                self.refused.append(str(frame))


@dataclass
class House:
    """A running server with two live shows."""

    pid: int
    port: int
    loud: ShowId
    quiet: ShowId
    keys: list[str]
    viewers: Path
    """The program."""

    def crowd(
        self, show: ShowId, count: int, seconds: float
    ) -> contextlib.AbstractAsyncContextManager[fanout_crowd.Crowd]:
        return crowd(
            self.viewers, self.port, f"/live/{show}", count, seconds, subprotocol="liveshop.v1"
        )

    @asynccontextmanager
    async def talkers(self, show: ShowId) -> AsyncIterator[list[Talker]]:
        async with contextlib.AsyncExitStack() as stack:
            talkers = []
            for key in self.keys:
                protocols = [Subprotocol("liveshop.v1"), Subprotocol(f"bearer.{key}")]
                address = f"ws://127.0.0.1:{self.port}/live/{show}"
                socket = await stack.enter_async_context(
                    connect(address, subprotocols=protocols, proxy=None, compression=None)
                )
                talkers.append(Talker(socket))
            listening = [asyncio.create_task(talker.listen()) for talker in talkers]
            try:
                yield talkers
            finally:
                # While they listen: a goodbye waits behind what was not read.
                await asyncio.gather(*(talker.leave() for talker in talkers))
                await asyncio.gather(*listening)
            for talker in talkers:
                assert not talker.refused, talker.refused[:3]


async def _talk(talkers: list[Talker], rate: float, seconds: float) -> int:
    """Messages at an even rate, in turns; how many."""
    count = int(rate * seconds)
    begun = time.monotonic()
    for number in range(count):
        await asyncio.sleep(begun + number / rate - time.monotonic())
        await talkers[number % len(talkers)].say()
    return count


@dataclass
class Load:
    """Rounds of one server, added up."""

    lost: int = 0
    delivered: int = 0
    cpu_s: float = 0.0
    p99_ms: list[float] = field(default_factory=list)
    kb_per_viewer: list[float] = field(default_factory=list)

    def add(self, seen: Seen, *, sent: int, cpu_s: float, kb: float) -> None:
        self.lost += sent * _VIEWERS - seen.frames
        self.delivered += seen.frames
        self.cpu_s += cpu_s
        self.p99_ms.append(seen.p99_ms)
        self.kb_per_viewer.append(kb / _VIEWERS)

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / max(self.delivered, 1) * 1e6


async def fanout(figure: Figure) -> None:
    with _cores() as (mine, _), tempfile.TemporaryDirectory() as folder:
        viewers = fanout_crowd.compiled(Path(folder))
        loads: dict[str, Load] = defaultdict(Load)
        for _ in range(_ROUNDS):
            async with _house(viewers, mine) as house:
                await _loud_room(house, loads["liveshop"])
            for name, peer in (("nchan", fanout_crowd.nchan), ("ws", fanout_crowd.node_ws)):
                port = served.free_port()
                with peer(port) as found, fanout_crowd.serving(found, cores=mine) as pid:
                    await _peer_room(viewers, pid, port, loads[name])
        async with _house(viewers, mine) as house:
            lone = await _lone(house)
            beside = await _quiet_beside_loud(house)
    _tell(figure, loads, lone, beside)


def _tell(figure: Figure, loads: dict[str, Load], lone: Seen, beside: Seen) -> None:
    ours, nchan, ws = loads["liveshop"], loads["nchan"], loads["ws"]
    where = f"{_VIEWERS} viewers x {_RATE:.0f} messages/s, one process on one core"
    figure("fanout_lost", ours.lost, "frames", f"of {ours.lost + ours.delivered}; {where}")
    figure("fanout_p99_ms", max(ours.p99_ms), "ms", "from the talker's send; at most 250")
    figure("fanout_cpu_us", ours.cpu_us, "us", "server CPU for each delivery")
    for name, load, most in (("nchan", nchan, 0.5), ("ws", ws, 0.4)):
        figure(
            f"fanout_cpu_to_{name}",
            ours.cpu_us / load.cpu_us,
            "times",
            f"{name} = 1 ({load.cpu_us:.2f} us, p99 {max(load.p99_ms):.0f} ms, lost {load.lost});"
            f" at most {most}",
        )
    figure(
        "fanout_kb_per_viewer",
        max(ours.kb_per_viewer),
        "kB",
        f"of the server's memory after the run; at most 20 (nchan {max(nchan.kb_per_viewer):.1f},"
        f" ws {max(ws.kb_per_viewer):.1f})",
    )
    figure("fanout_lone_ms", lone.worst_ms, "ms", f"the last of {_VIEWERS} viewers; at most 150")
    figure(
        "fanout_quiet_room_ms",
        beside.worst_ms,
        "ms",
        f"the last viewer of a room of {_SMALL_ROOM} beside the loud one, of the slowest message;"
        f" in the middle {beside.p50_ms:.1f}",
    )


async def _loud_room(house: House, load: Load) -> None:
    before_kb = fanout_crowd.resident_kb(house.pid)
    async with house.crowd(house.loud, _VIEWERS, _SECONDS + 1) as watching:
        await watching.started()
        async with house.talkers(house.loud) as talkers:
            before = cpu_seconds(house.pid)
            sent = await _talk(talkers, _RATE, _SECONDS)
            seen = await watching.seen()
            spent = cpu_seconds(house.pid) - before
    load.add(seen, sent=sent, cpu_s=spent, kb=fanout_crowd.resident_kb(house.pid) - before_kb)


async def _peer_room(viewers: Path, pid: int, port: int, load: Load) -> None:
    await served.until_open(port)
    before_kb = fanout_crowd.resident_kb(pid)
    async with crowd(
        viewers, port, "/ws", _VIEWERS, _SECONDS, rate=_RATE, message=_AS_LONG
    ) as watching:
        await watching.started()
        before = cpu_seconds(pid)
        seen = await watching.seen()
        spent = cpu_seconds(pid) - before
    load.add(seen, sent=seen.sent, cpu_s=spent, kb=fanout_crowd.resident_kb(pid) - before_kb)


async def _lone(house: House) -> Seen:
    """One message a second, in a room where nothing else happens."""
    async with (
        house.crowd(house.loud, _VIEWERS, _SECONDS + 1) as watching,
        house.talkers(house.loud) as talkers,
    ):
        await watching.started()
        sent = await _talk(talkers, 1.0, _SECONDS)
        seen = await watching.seen()
    assert seen.frames == sent * _VIEWERS, seen
    return seen


async def _quiet_beside_loud(house: House) -> Seen:
    async with (
        house.crowd(house.loud, _VIEWERS, _SECONDS + 2) as watching,
        house.talkers(house.loud) as loud,
        house.talkers(house.quiet) as quiet,
    ):
        await watching.started()
        async with house.crowd(house.quiet, _SMALL_ROOM, _SECONDS) as small:
            await small.started()
            talking = asyncio.create_task(_talk(loud, _RATE, _SECONDS))
            sent = await _talk(quiet, 2.0, _SECONDS - 1)
            seen = await small.seen()
            await talking
        await watching.seen()
    assert seen.frames == sent * _SMALL_ROOM, seen
    return seen


async def join(figure: Figure) -> None:
    """Two lines of viewers, each of whom comes in when the one before is in."""
    half = _JOINERS // 2
    with _cores() as (mine, _), tempfile.TemporaryDirectory() as folder:
        viewers = fanout_crowd.compiled(Path(folder))
        async with _house(viewers, mine) as house:
            snapshot = request_bytes("GET", f"/api/shows/{house.loud}/snapshot")
            async with house.talkers(house.loud) as talkers:
                acts = [sending(snapshot)] * _SNAPSHOTS
                snapshots = await served.run(house.port, house.pid, acts)
                talking = asyncio.create_task(_talk(talkers, _JOIN_RATE, 3600))
                before = cpu_seconds(house.pid)
                async with (
                    house.crowd(house.loud, half, 3) as first,
                    house.crowd(house.loud, _JOINERS - half, 3) as second,
                ):
                    await asyncio.gather(first.started(), second.started())
                    spent = cpu_seconds(house.pid) - before
                    came = await served.sample(house.port, "liveshop_viewers") - len(talkers)
                    seen = await asyncio.gather(first.seen(), second.seen())
                talking.cancel()
    took = max(one.connect_s for one in seen)
    figure(
        "join_10k_s",
        took,
        "s",
        f"{_JOINERS} viewers while {_JOIN_RATE:.0f} messages/s run; {spent / _JOINERS * 1e3:.2f} ms"
        f" of server CPU each, chat included; at most 15",
    )
    figure("join_failed", _JOINERS - came, "viewers", "not in the room afterwards; 0")
    figure(
        "snapshot_cpu_ms",
        snapshots.cpu_ms,
        "ms",
        f"server CPU for each first screen, {snapshots.per_second:.0f} in a second",
    )


@contextlib.contextmanager
def _cores():  # type: ignore[no-untyped-def]
    """The server's core and the others'; this process keeps to the others."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        yield cores[:1], cores[1:] or cores
    finally:
        os.sched_setaffinity(0, cores)


@asynccontextmanager
async def _house(viewers: Path, cores: list[int]) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        settings = builders.test_settings(Path(folder) / "data")
        settings.data_path.mkdir()
        async with opened(settings) as shop:
            mug = await builders.product(shop)
            loud, quiet = [await builders.live_show(shop, [mug.id]) for _ in range(2)]
            keys = [
                await builders.key_with(shop, "shows:read", "shows:write", "chat:moderate")
                for _ in range(_TALKERS)
            ]
        with served.server(settings.data_path, _ENVIRON, cores=cores) as (pid, port):
            await served.until_ready(port)
            house = House(pid, port, loud, quiet, keys, viewers)
            async with house.talkers(loud) as talkers:  # so that what is loaded once is loaded
                await _talk(talkers, _RATE, _WARM_SECONDS)
            yield house
