"""A running show goes on to other servers over real sockets; whatever one of them does, the others
and the show go on."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from rtmp_client import RtmpClient
from smtp_server import certificate
from video_builders import make_film_file

from liveshop.connect import NeedsAttention, RetryLater
from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.film import Film, FilmCursor, load_film
from liveshop.video.ingest.rtmp_server import RtmpServer
from liveshop.video.model import (
    AacConfig,
    H264Config,
    KeyRefused,
    Publishing,
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoStarted,
)
from liveshop.video.service import VideoService
from liveshop.video.simulcast.address import Address
from liveshop.video.simulcast.connection import Reach
from liveshop.video.simulcast.leg import LegHealth, LegLimits, Target
from liveshop.video.simulcast.legs import ShowLegs, Simulcasts
from liveshop.video.simulcast.queue import QueueLimits

SHOW = ShowId("shw_sent")
THERE = ShowId("shw_there")
CLOCK = SystemClock()
KEY = "other-platforms-key-4711"
PATIENCE_SECONDS = 10.0
HASTY = LegLimits(
    connect_seconds=0.5,
    answer_seconds=0.4,
    stall_seconds=0.5,
    look_seconds=0.05,
    first_wait_seconds=0.1,
    longest_wait_seconds=0.3,
    refused_wait_seconds=0.3,
    pause_seconds=0.4,
    goodbye_seconds=0.5,
)


@dataclass
class Platform:
    """A server of our own in the part of somebody else's."""

    video: VideoService
    server: RtmpServer
    port: int
    keys: dict[str, str | None]
    """By key: why it is refused."""

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live"

    def target(self, name: str = "there", **address: str) -> Target:
        given = {"url": self.url, "key": KEY} | address
        return Target(name, name.title(), Address(**given))

    async def happens(self, kind: type[VideoEvent]) -> VideoEvent:
        async with asyncio.timeout(PATIENCE_SECONDS):
            event = await self.video.next_event()
        assert type(event) is kind, event
        return event


@dataclass
class Sender:
    """A show on air: a film is sent to its tap, as fast as it plays."""

    simulcasts: Simulcasts
    film: Film
    speed: float = 1.0
    tap: ShowLegs = field(init=False)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.tap = self.simulcasts.tap(SHOW)

    def start(self, video: H264Config | None = None, audio: AacConfig | None = None) -> None:
        self.tap.begin(video or self.film.video, audio or self.film.audio)
        self._task = asyncio.create_task(self._play())

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        cursor, began = FilmCursor(self.film), loop.time()
        while True:
            samples = cursor.take_until((loop.time() - began) * self.speed)
            self.tap.add(samples, origin=CLOCK.now())
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def to(self, *targets: Target) -> None:
        self.simulcasts.set_targets(SHOW, targets)

    def leg(self, name: str = "there") -> LegHealth:
        return next(one for one in self.simulcasts.legs(SHOW) if one.destination_id == name)

    async def until(self, says: Callable[[LegHealth], object], name: str = "there") -> LegHealth:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not says(self.leg(name)):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(self.leg(name)) from None
        return self.leg(name)

    async def until_live(self, name: str = "there") -> LegHealth:
        return await self.until(lambda leg: leg.state == "live", name)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return load_film(make_film_file(tmp_path_factory.mktemp("film") / "film.mp4", seconds=8))


@pytest.fixture
async def opened(film: Film) -> AsyncIterator[Callable[..., Sender]]:
    """Starts a show; when it is over nothing is left, and no key was logged."""
    senders: list[Sender] = []
    runs: list[asyncio.Task[None]] = []
    before = len(asyncio.all_tasks())

    def opened(
        limits: LegLimits = HASTY,
        *,
        reach: Reach | None = None,
        ask: Callable[[ShowId, Target], Awaitable[Address]] | None = None,
        most_legs: int = 5,
    ) -> Sender:
        simulcasts = Simulcasts(
            CLOCK, most_legs=most_legs, reach=reach or Reach(True), ask=ask, limits=limits
        )
        runs.append(asyncio.create_task(simulcasts.run()))
        senders.append(Sender(simulcasts, film))
        return senders[-1]

    with structlog.testing.capture_logs() as logs:
        yield opened
        for sender in senders:
            await sender.stop()
        for run in runs:
            run.cancel()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*runs, return_exceptions=True)
        assert [sender.simulcasts.task_count for sender in senders] == [0] * len(senders)
        assert len(asyncio.all_tasks()) == before
    assert KEY not in str(logs)
    assert [line for line in logs if line["log_level"] == "error"] == []


@asynccontextmanager
async def platform(port: int = 0, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Platform]:
    keys: dict[str, str | None] = {KEY: None}

    async def authorise(key: str) -> Publishing:
        if keys.get(key, "This key is unknown") is not None:
            raise KeyRefused(keys.get(key) or "This key is unknown")
        return Publishing(THERE, person_id="stf_there", key_id="k")

    video = VideoService(clock=CLOCK)
    server = RtmpServer(video, CLOCK, authorise)
    bound = await server.start("127.0.0.1", port, tls=tls)
    try:
        yield Platform(video, server, bound, keys)
    finally:
        await server.close()


@pytest.fixture
async def there() -> AsyncIterator[Platform]:
    async with platform() as started:
        yield started


@asynccontextmanager
async def odd(
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Target]:
    """A server that does just this with each connection."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Target("odd", "Odd", Address(f"rtmp://127.0.0.1:{port}/live", KEY))
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All up to the answer to publish, by script; the client sends nothing else till then."""
    client = RtmpClient()
    await reader.readexactly(1537)
    writer.write(client.hello())
    await reader.readexactly(1536)

    def told(name: str, transaction: float, *values: Any) -> None:
        client._transaction = transaction - 1
        writer.write(client.call(name, *values))

    told("_result", 1.0, {}, {"code": "NetConnection.Connect.Success"})
    told("_result", 4.0, None, 1.0)
    told("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Publish.Start"})
    await writer.drain()


# -- what works


async def test_a_show_arrives_there_from_a_keyframe_on(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened()
    sender.to(there.target())
    assert sender.leg().state == "waiting"
    sender.start()
    started = await there.happens(VideoStarted)
    assert (started.data["width"], started.data["height"]) == (160, 90)
    assert started.data["audio"] == "mp4a.40.2"
    leg = await sender.until(lambda leg: leg.kbit_per_second)
    assert (leg.state, leg.reconnects, leg.detail) == ("live", 0, None)
    await sender.stop()
    sender.tap.end()
    lost = await there.happens(VideoLost)
    assert lost.data == {"reason": "stopped"}, "goodbye was said"


async def test_what_is_wanted_changes_in_mid_show(
    opened: Callable[..., Sender], there: Platform
) -> None:
    async with platform() as second:
        sender = opened()
        sender.start()
        await asyncio.sleep(0.1)
        assert sender.simulcasts.legs(SHOW) == []
        sender.to(there.target())
        await there.happens(VideoStarted)
        sender.to(there.target(), second.target("second"))
        await second.happens(VideoStarted)
        sender.to(second.target("second"))
        assert (await there.happens(VideoLost)).data == {"reason": "stopped"}
        assert sender.leg("second").reconnects == 0


async def test_no_more_legs_than_are_allowed(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened(most_legs=1)
    sender.to(there.target("a"), there.target("b"))
    assert [one.destination_id for one in sender.simulcasts.legs(SHOW)] == ["a"]


async def test_new_parameters_go_on_in_the_same_connection_and_another_size_in_a_new_one(
    opened: Callable[..., Sender], there: Platform, film: Film
) -> None:
    sender = opened()
    sender.to(there.target())
    sender.start()
    await there.happens(VideoStarted)
    await sender.stop()
    sender.start()  # another origin of time, the same parameters
    await asyncio.sleep(0.5)
    assert sender.leg().reconnects == 0
    await sender.stop()
    sender.start(video=replace(film.video, width=320, height=180))
    await sender.until(lambda leg: leg.reconnects == 1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while type(event := await there.video.next_event()) is not VideoLost:
            assert type(event) is VideoChanged, event
    assert event.data == {"reason": "stopped"}, "goodbye was said before"
    assert sender.leg().detail is None


async def test_another_name_disturbs_nothing(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened()
    sender.to(there.target())
    sender.start()
    await sender.until_live()
    sender.to(replace(there.target(), name="Our page"))
    assert (sender.leg().name, sender.leg().state) == ("Our page", "live")


async def test_a_publisher_that_is_back_soon_finds_the_connection_as_it_was(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened()
    sender.to(there.target())
    sender.start()
    await there.happens(VideoStarted)
    await sender.stop()
    sender.tap.pause()
    assert sender.leg().state == "waiting"
    await asyncio.sleep(0.1)
    sender.start()
    await sender.until_live()
    assert sender.leg().reconnects == 0
    await sender.stop()
    sender.tap.pause()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while type(await there.video.next_event()) is not VideoLost:
            pass
    assert sender.leg().state == "waiting"
    sender.start()
    assert (await sender.until_live()).reconnects == 1


async def test_rtmps_with_a_checked_certificate(
    opened: Callable[..., Sender], tmp_path: Path
) -> None:
    server_tls, client_tls = certificate(tmp_path)
    async with platform(tls=server_tls) as there:
        url = f"rtmps://127.0.0.1:{there.port}/live"
        sender = opened(reach=Reach(True, lambda: client_tls))
        sender.to(there.target(url=url))
        sender.start()
        await there.happens(VideoStarted)
        await sender.stop()
        sender.tap.end()
        assert (await there.happens(VideoLost)).data == {"reason": "stopped"}
        stranger = opened()
        stranger.to(there.target(url=url))
        stranger.start()
        leg = await stranger.until(lambda leg: leg.state == "retrying")
        assert "certificate of 127.0.0.1 is not good" in (leg.detail or "")


# -- what goes wrong


async def test_a_dead_destination_disturbs_no_other(
    opened: Callable[..., Sender], there: Platform, unused_tcp_port: int
) -> None:
    sender = opened()
    dead = Target("dead", "Dead", Address(f"rtmp://127.0.0.1:{unused_tcp_port}/live", KEY))
    sender.to(dead, there.target())
    sender.start()
    await there.happens(VideoStarted)
    leg = await sender.until(lambda leg: leg.state == "retrying", "dead")
    assert leg.detail == f"Nobody listens at port {unused_tcp_port} of 127.0.0.1."
    assert leg.retry_at is not None
    assert sender.leg().state == "live"
    async with platform(unused_tcp_port) as back:
        await back.happens(VideoStarted)
        assert (await sender.until_live("dead")).detail is None
    leg = await sender.until(lambda leg: leg.state == "retrying", "dead")
    assert leg.left_out_seconds >= 0
    assert sender.leg().reconnects == 0


async def test_a_refused_key_is_told_in_words_and_tried_again(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened()
    there.keys[KEY] = "The broadcast is not ready."
    sender.to(there.target())
    sender.start()
    leg = await sender.until(lambda leg: leg.state == "refused")
    assert leg.detail == "The other side refuses the stream key: The broadcast is not ready."
    assert leg.retry_at is not None
    there.keys[KEY] = None
    await sender.until_live()


async def test_another_key_counts_at_once(opened: Callable[..., Sender], there: Platform) -> None:
    sender = opened(replace(HASTY, refused_wait_seconds=60))
    sender.to(there.target(key="not-the-right-key"))
    sender.start()
    await sender.until(lambda leg: leg.state == "refused")
    sender.to(there.target())
    await sender.until_live()


@pytest.mark.parametrize("case", ["silent", "mute", "closes", "web"])
async def test_what_never_takes_a_stream_is_named(opened: Callable[..., Sender], case: str) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if case == "silent":
            await asyncio.sleep(PATIENCE_SECONDS)
        elif case == "mute":
            await reader.readexactly(1537)
            writer.write(RtmpClient().hello())
            await asyncio.sleep(PATIENCE_SECONDS)
        elif case == "web":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read(1)

    words = {
        "silent": "took the connection and then did not answer",
        "mute": "took the connection and then did not answer",
        "closes": "closed the connection without a word",
        "web": "it is a web server",
    }
    async with odd(behave) as target:
        sender = opened()
        sender.to(target)
        sender.start()
        leg = await sender.until(lambda leg: leg.state == "retrying", "odd")
        assert words[case] in (leg.detail or "")
        await sender.stop()
        sender.tap.end()


async def test_a_connection_cut_in_mid_frame_begins_anew_at_a_keyframe(
    opened: Callable[..., Sender],
) -> None:
    connections: list[int] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        connections.append(len(await reader.readexactly(3333)))

    async with odd(behave) as target:
        sender = opened()
        sender.to(target)
        sender.start()
        leg = await sender.until(lambda leg: leg.reconnects >= 2, "odd")
        assert len(connections) >= 2
        leg = await sender.until(lambda leg: leg.detail, "odd")
        assert leg.detail == "The other side cut the connection."
        await sender.stop()
        sender.tap.end()


async def test_a_destination_that_hangs_is_given_up_and_memory_stays_small(
    opened: Callable[..., Sender], there: Platform, film: Film
) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        await asyncio.sleep(PATIENCE_SECONDS)  # reads no more: the buffers fill

    limits = replace(
        HASTY,
        send_buffer_bytes=4096,
        write_buffer_bytes=32768,
        queue=QueueLimits(max_bytes=1 << 20, max_seconds=0.3),
    )
    async with odd(behave) as target:
        sender = opened(limits)
        sender.to(target, there.target())
        sender.film = replace(
            film, samples=tuple(replace(one, data=one.data + bytes(40_000)) for one in film.samples)
        )
        sender.start()
        leg = await sender.until(lambda leg: leg.state == "retrying", "odd")
        assert leg.detail == "The other side hangs: it takes nothing any more."
        pusher, _ = sender.tap._legs["odd"]
        assert pusher._queue.buffered_bytes <= 1 << 20
        leg = await sender.until(lambda leg: leg.left_out_seconds > 0.3, "odd")
        assert sender.leg().state == "live"
        assert sender.leg().left_out_seconds == 0
        await sender.stop()
        sender.tap.end()


async def test_a_slow_destination_gets_what_it_can_take(opened: Callable[..., Sender]) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        while await reader.read(20_000):
            await asyncio.sleep(0.05)

    limits = replace(
        HASTY,
        stall_seconds=5,
        send_buffer_bytes=4096,
        write_buffer_bytes=32768,
        queue=QueueLimits(max_bytes=4 << 20, max_seconds=0.5),
    )
    async with odd(behave) as target:
        sender = opened(limits)
        sender.to(target)
        sender.film = replace(
            sender.film,
            samples=tuple(
                replace(one, data=one.data + bytes(20_000)) for one in sender.film.samples
            ),
        )
        sender.start()
        leg = await sender.until(lambda leg: leg.left_out_seconds > 1, "odd")
        assert (leg.state, leg.reconnects) == ("live", 0)
        await sender.stop()
        sender.tap.end()


async def test_a_private_address_is_refused_where_that_is_not_allowed(
    opened: Callable[..., Sender], there: Platform
) -> None:
    sender = opened(reach=Reach(False))
    sender.to(there.target(), there.target("named", url="rtmp://localhost:1/live"))
    sender.start()
    for name in ("there", "named"):
        leg = await sender.until(lambda leg: leg.state == "refused", name)
        assert "private network" in (leg.detail or "")


async def test_a_connection_says_where_to_send_or_why_not(
    opened: Callable[..., Sender], there: Platform
) -> None:
    errors: list[Exception] = [
        RetryLater("The platform is busy.", after=0.1),
        NeedsAttention("Authorise it again."),
        ValueError("a fault of a connector"),
    ]

    async def ask(show_id: ShowId, target: Target) -> Address:
        assert (show_id, target.connection_id) == (SHOW, "con_1")
        if errors:
            raise errors[0]
        return Address(there.url, KEY)

    sender = opened(ask=ask)
    sender.to(Target("there", "There", connection_id="con_1"))
    with structlog.testing.capture_logs():
        sender.start()
        await sender.until(lambda leg: leg.detail == "The platform is busy.")
        assert sender.leg().state == "retrying"
        errors.pop(0)
        await sender.until(lambda leg: leg.detail == "Authorise it again.")
        assert sender.leg().state == "refused"
        errors.pop(0)
        leg = await sender.until(lambda leg: (leg.detail or "").startswith("Something went wrong"))
        assert leg.state == "retrying"
        errors.pop(0)
        await sender.until_live()


async def test_a_show_that_ends_while_a_leg_waits_leaves_nothing(
    opened: Callable[..., Sender], unused_tcp_port: int
) -> None:
    sender = opened(replace(HASTY, first_wait_seconds=60))
    sender.to(Target("a", "A", Address(f"rtmp://127.0.0.1:{unused_tcp_port}/live", KEY)))
    sender.start()
    await sender.until(lambda leg: leg.state == "retrying", "a")
    await sender.stop()
    sender.tap.end()
    sender.simulcasts.forget(SHOW)
    async with asyncio.timeout(1):
        while sender.simulcasts.task_count:
            await asyncio.sleep(0.01)
