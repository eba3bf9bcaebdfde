"""Encoders over real sockets: what they send plays, and what is wrong ends its own connection."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import m3u8
import pytest
import remux
import structlog
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rtmp_client import (
    AnswerReader,
    RtmpClient,
    Tag,
    avc_picture,
    enhanced_video,
    status_codes,
    tags_of,
)
from video_builders import RATE, decode_pictures, grey_of, make_film_file

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.errors import Unavailable
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.film import Film, load_film
from liveshop.video.ingest.intake import IntakeLimits
from liveshop.video.ingest.rtmp_server import RtmpServer, RtmpServerLimits, Sender
from liveshop.video.ingest.rtmp_session import RtmpSession
from liveshop.video.model import (
    KeyRefused,
    Publishing,
    Rendition,
    VideoChanged,
    VideoEvent,
    VideoLost,
    VideoRefused,
    VideoReplaced,
    VideoStarted,
)
from liveshop.video.service import VideoService

SHOW = ShowId("shw_1")
CLOCK = SystemClock()
PATIENCE_SECONDS = 10
"""For facts that are a matter of milliseconds."""

HASTY = RtmpServerLimits(
    handshake_seconds=0.2,
    publish_seconds=0.2,
    goodbye_seconds=0.2,
    intake=IntakeLimits(sound_wait_seconds=0.2, first_picture_seconds=0.3, idle_seconds=0.3),
)


@dataclass
class Doorkeeper:
    """Who may send. `asked` is told of each question; `may_answer` holds the answers up."""

    keys: dict[str, Publishing] = field(
        default_factory=lambda: {
            "good": Publishing(SHOW, person_id="stf_1", key_id="key_1"),
            "other": Publishing(SHOW, person_id="stf_2", key_id="key_2"),
        }
    )
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def authorise(self, key: str) -> Publishing:
        found = self.keys.get(key)
        self.asked.put_nowait(key)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        if found is None:
            raise KeyRefused("This stream key is not known. Copy it again from the studio.")
        return found


@dataclass
class Encoder:
    """A scripted encoder on a real connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client: RtmpClient = field(default_factory=RtmpClient)
    answers: AnswerReader = field(default_factory=AnswerReader)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, code: str) -> None:
        """Returns once the server has said so; AssertionError when it hangs up before."""
        codes: list[str] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while code not in codes:
                data = await self.reader.read(65536)
                assert data, f"the server hung up after {codes}"
                codes += status_codes(self.answers.feed(data))

    async def until_cut(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass

    async def start(self, key: str = "good") -> None:
        """Until it may send."""
        await self.send(self.client.start(key))
        await self.until("NetStream.Publish.Start")
        await self.send(self.client.set_chunk_size(4096))

    async def show(self, tags: list[Tag]) -> None:
        await self.send(self.client.tags(tags))


@dataclass
class House:
    video: VideoService
    server: RtmpServer
    door: Doorkeeper
    port: int

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/"

    @asynccontextmanager
    async def encoder(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Encoder]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
        try:
            yield Encoder(reader, writer)
        finally:
            writer.transport.abort()

    async def happens(self, kind: type[VideoEvent]) -> VideoEvent:
        """The next event, which is of that kind."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            event = await self.video.next_event()
        assert type(event) is kind, event
        return event

    async def media(self) -> list[bytes]:
        """Each whole segment of the picture, with its init section."""
        playlist = m3u8.loads(await self.video.playlist(SHOW, Rendition.VIDEO))
        media = []
        for segment in playlist.segments:
            if not segment.uri:
                continue  # the one that is not whole yet
            init = int(segment.init_section.uri.removeprefix("init-").removesuffix(".mp4"))
            number = int(segment.uri.removeprefix("segment-").removesuffix(".m4s"))
            media.append(
                self.video.init(SHOW, Rendition.VIDEO, init)
                + self.video.segment(SHOW, Rendition.VIDEO, number)
            )
        return media

    async def greys(self) -> list[int]:
        media = await self.media()
        return await asyncio.to_thread(
            lambda: [picture.grey for one in media for picture in decode_pictures(one)]
        )


Opened = Callable[..., Awaitable[House]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Starts servers."""
    servers: list[RtmpServer] = []

    async def opened(
        limits: RtmpServerLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        elsewhere: Callable[[ShowId], Sender | None] = lambda _: None,
    ) -> House:
        door = Doorkeeper()
        video = VideoService(clock=CLOCK)
        server = RtmpServer(video, CLOCK, door.authorise, limits, elsewhere=elsewhere)
        servers.append(server)
        return House(video, server, door, await server.start("127.0.0.1", 0, tls=tls))

    with structlog.testing.capture_logs() as logs:
        yield opened
        for server in servers:
            await server.close()
            assert server.connection_count == 0
    assert [line for line in logs if line["event"] == "session_failed"] == []
    assert "good" not in str(logs)


@pytest.fixture
async def house(opened: Opened) -> House:
    return await opened()


@pytest.fixture(scope="module")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film_file(tmp_path_factory.mktemp("film") / "film.mp4", seconds=8)


@pytest.fixture(scope="module")
def film(film_file: Path) -> Film:
    return load_film(film_file)


def seconds_of(film: Film, start: float, end: float, *, shift_ms: int = 0) -> list[Tag]:
    return [
        replace(tag, ms=tag.ms + shift_ms)
        for tag in tags_of(film)
        if start * 1000 <= tag.ms < end * 1000 and tag.body[1:2] != b"\0"
    ]


def headers(film: Film) -> list[Tag]:
    return tags_of(film)[:2]


# -- what works


@pytest.mark.parametrize("with_sound", [True, False], ids=["with-sound", "without"])
async def test_what_ffmpeg_publishes_plays_picture_for_picture(
    house: House, film_file: Path, with_sound: bool
) -> None:
    assert await remux.published(film_file, house.url + "good", with_sound=with_sound)
    started = await house.happens(VideoStarted)
    assert (started.data["width"], started.data["height"]) == (160, 90)
    assert (started.data["audio"] is not None) == with_sound
    lost = await house.happens(VideoLost)
    assert lost.data == {"reason": "stopped"}
    greys = await house.greys()
    assert len(greys) > 6 * RATE
    first = next(n for n in range(8 * RATE) if abs(grey_of(n) - greys[0]) <= 1)
    assert all(abs(grey - grey_of(first + n)) <= 1 for n, grey in enumerate(greys))


async def test_time_zero_is_when_the_pictures_were_made(house: House, film: Film) -> None:
    before = CLOCK.now()
    async with house.encoder() as encoder:
        await encoder.start()
        # Four seconds are sent at once: the last picture is made now, the first 4.07 s ago.
        await encoder.show(headers(film) + seconds_of(film, 0, 4.1))
        await house.happens(VideoStarted)
        await encoder.send(encoder.client.unpublish())
        await house.happens(VideoLost)
    playlist = m3u8.loads(await house.video.playlist(SHOW, Rendition.VIDEO))
    starts = [segment.program_date_time for segment in playlist.segments if segment.uri]
    made_at = timedelta(seconds=len(starts) - 1) - timedelta(seconds=4.07)
    assert before + made_at <= starts[-1] <= CLOCK.now() + made_at + timedelta(seconds=0.1)


async def test_an_encoder_without_sound_need_not_say_so(opened: Opened, film: Film) -> None:
    house = await opened(HASTY)
    pictures = [tag for tag in tags_of(film) if tag.is_video]
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(pictures[:5])
        started = await house.happens(VideoStarted)
        assert started.data["audio"] is None


async def test_timestamps_go_on_past_what_three_bytes_hold(house: House, film: Film) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        shift_ms = 0xFFFFFF - 3000
        await encoder.show(headers(film) + seconds_of(film, 0, 8, shift_ms=shift_ms))
        await house.happens(VideoStarted)
        await encoder.send(encoder.client.unpublish())
        await house.happens(VideoLost)  # and nothing has changed before
    assert len(await house.greys()) > 6 * RATE


async def test_rtmps_is_the_same_behind_tls(
    opened: Opened, film_file: Path, certificate: Path
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    house = await opened(tls=tls)
    url = house.url.replace("rtmp:", "rtmps:") + "good"
    assert await remux.published(film_file, url)
    await house.happens(VideoStarted)
    assert (await house.happens(VideoLost)).data == {"reason": "stopped"}
    assert len(await house.greys()) > 6 * RATE


def test_rtmps_works_on_the_loop_that_servers_run_on(film_file: Path, certificate: Path) -> None:
    async def scenario() -> bool:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        server = RtmpServer(VideoService(clock=CLOCK), CLOCK, Doorkeeper().authorise)
        port = await server.start("127.0.0.1", 0, tls=tls)
        try:
            return await remux.published(film_file, f"rtmps://127.0.0.1:{port}/live/good")
        finally:
            await server.close()

    assert uvloop.run(scenario())


async def test_one_port_takes_encoders_of_many_shows(house: House, film: Film) -> None:
    async with house.encoder() as one, house.encoder() as two:
        house.door.keys["two"] = Publishing(ShowId("shw_2"))
        await one.start("good")
        await two.start("two")
        await one.show(headers(film) + seconds_of(film, 0, 1.5))
        assert (await house.happens(VideoStarted)).show_id == SHOW
        await two.show(headers(film) + seconds_of(film, 0, 1.5))
        assert (await house.happens(VideoStarted)).show_id == "shw_2"


# -- keys


@pytest.mark.parametrize("key", ["wrong", "", "good2", "goo", "x" * 1000])
async def test_a_wrong_key_is_told_so_and_sends_nothing(house: House, film: Film, key: str) -> None:
    async with house.encoder() as encoder:
        await encoder.send(encoder.client.start(key))
        await encoder.until("NetStream.Publish.BadName")
        await encoder.show(tags_of(film))
        encoder.writer.write_eof()
        await encoder.until_cut()
    assert not house.video.has_publisher(SHOW)


async def test_ffmpeg_with_a_wrong_key_gives_up(house: House, film_file: Path) -> None:
    assert not await remux.published(film_file, house.url + "wrong")


async def test_keys_that_cannot_be_checked_now_do_not_count_as_wrong(house: House) -> None:
    for error in (Unavailable("The database is away."), RuntimeError("a secret")):
        house.door.error = error
        async with house.encoder() as encoder:
            await encoder.send(encoder.client.start("good"))
            data = b""
            while b"NetStream.Publish.Failed" not in data:
                data += await encoder.reader.read(65536)
            assert b"secret" not in data


async def test_media_before_the_key_was_accepted_ends_the_connection(
    house: House, film: Film
) -> None:
    house.door.may_answer.clear()
    async with house.encoder() as encoder:
        await encoder.send(encoder.client.start("good"))
        await house.door.asked.get()
        house.door.error = KeyRefused("no")
        await encoder.show(tags_of(film))
        house.door.may_answer.set()
        await encoder.until_cut()
    async with house.encoder() as encoder:
        await encoder.send(encoder.client.hello() + encoder.client.connect())
        await encoder.show(tags_of(film)[:3])
        await encoder.until_cut()
    assert not house.video.has_publisher(SHOW)


async def test_a_revoked_key_is_cut_off_in_mid_stream(house: House, film: Film) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        house.server.drop(SHOW, "stf_2")
        house.server.drop(ShowId("shw_2"), "stf_1")
        assert house.video.has_publisher(SHOW)
        house.server.drop(SHOW, "stf_1")
        assert not house.video.has_publisher(SHOW)
        assert (await house.happens(VideoLost)).data == {"reason": "revoked"}
        await encoder.until_cut()


async def test_a_key_revoked_while_it_is_being_checked_does_not_slip_through(house: House) -> None:
    house.door.may_answer.clear()
    async with house.encoder() as encoder:
        await encoder.send(encoder.client.start("good"))
        await house.door.asked.get()
        del house.door.keys["good"]
        house.server.drop(SHOW, "stf_1")
        house.door.may_answer.set()
        await encoder.until("NetStream.Publish.BadName")


async def test_what_had_arrived_before_a_session_was_cut_is_shown_to_nobody(film: Film) -> None:
    video, door = VideoService(clock=CLOCK), Doorkeeper()
    sessions: asyncio.Queue[tuple[RtmpSession, asyncio.StreamReader]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = RtmpSession(
            reader,
            writer,
            address="",
            video=video,
            clock=CLOCK,
            authorise=door.authorise,
            limits=RtmpServerLimits(),
            admit=lambda *_: None,
            overtaken=lambda _: None,
        )
        sessions.put_nowait((session, reader))
        await session.run()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        encoder = Encoder(*await asyncio.open_connection("127.0.0.1", port))
        await encoder.send(encoder.client.start("good"))
        await encoder.until("NetStream.Publish.Start")
        session, reader = await sessions.get()
        reader.feed_data(encoder.client.tags(headers(film) + seconds_of(film, 0, 1)))
        session.cut("revoked")
        await encoder.until_cut()
        encoder.writer.transport.abort()
    async with asyncio.timeout(PATIENCE_SECONDS):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            await task
    assert not video.has_publisher(SHOW)
    video.end(SHOW)
    video.refused(Publishing(SHOW), "last", "")
    assert isinstance(await video.next_event(), VideoRefused)


async def test_why_a_key_was_refused_is_logged(house: House) -> None:
    house.door.error = KeyRefused("It is over.", data={"reason": "over"})
    with structlog.testing.capture_logs() as logs:
        async with house.encoder() as encoder:
            await encoder.send(encoder.client.start("good"))
            await encoder.until("NetStream.Publish.BadName")
    assert [one["reason"] for one in logs if one["event"] == "encoder_refused"] == ["over"]


# -- taking over


async def test_the_newest_encoder_takes_over_with_its_first_picture(
    house: House, film: Film
) -> None:
    async with house.encoder() as older, house.encoder() as newer:
        await older.start("good")
        await older.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        await newer.start("other")
        await older.show(seconds_of(film, 1, 2))
        await newer.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoReplaced)
        await house.happens(VideoStarted)
        await older.show(seconds_of(film, 2, 3))
        await older.until_cut()
        assert house.video.has_publisher(SHOW)


async def test_an_overtaken_encoder_that_comes_back_by_itself_waits_for_the_newer_one_to_stop(
    house: House, film: Film
) -> None:
    async with house.encoder() as older, house.encoder() as newer, house.encoder() as again:
        for encoder, key in ((older, "good"), (newer, "other")):
            await encoder.start(key)
            await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await older.show(seconds_of(film, 1, 2))
        await older.until_cut()
        await newer.show(seconds_of(film, 1, 1.5))
        await again.send(again.client.start("good"))
        await again.until("NetStream.Publish.BadName")
        await newer.send(newer.client.unpublish())
        for kind in (VideoStarted, VideoReplaced, VideoStarted, VideoLost):
            await house.happens(kind)
        async with house.encoder() as once_more:
            await once_more.start("good")


async def test_two_encoders_with_one_key_do_not_take_turns_for_ever(
    house: House, film: Film
) -> None:
    async with house.encoder() as older, house.encoder() as newer, house.encoder() as again:
        for encoder in (older, newer):
            await encoder.start("good")
            await encoder.show(headers(film) + seconds_of(film, 0, 1))
            await house.happens(VideoStarted if encoder is older else VideoReplaced)
        await older.show(seconds_of(film, 1, 2))
        await older.until_cut()
        await newer.show(seconds_of(film, 1, 1.5))
        await again.send(again.client.start("good"))
        await again.until("NetStream.Publish.BadName")


async def test_an_encoder_that_a_browser_has_overtaken_waits_for_it_to_stop(
    opened: Opened, film: Film
) -> None:
    """OBS connects again by itself; the host who went on from his phone would be thrown out."""

    @dataclass
    class Browser:
        is_current: bool = False

        def was_sending(self, seconds: float) -> bool:
            return True

    browser = Browser()
    house = await opened(elsewhere=lambda _: browser if browser.is_current else None)
    async with house.encoder() as older, house.encoder() as again:
        await older.start("good")
        await older.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        house.video.publish(Publishing(SHOW), film.video, film.audio)
        browser.is_current = True
        await older.show(seconds_of(film, 1, 2))
        await older.until_cut()
        await again.send(again.client.start("good"))
        await again.until("NetStream.Publish.BadName")
        browser.is_current = False
        async with house.encoder() as once_more:
            await once_more.start("good")


async def test_an_ended_show_hangs_up(house: House, film: Film) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        house.video.end(SHOW)
        await encoder.show(seconds_of(film, 1, 2))
        await encoder.until_cut()


# -- what an encoder may do wrong


async def test_an_encoder_that_vanishes_is_lost(house: House, film: Film) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
    assert (await house.happens(VideoLost)).data == {"reason": "closed"}


async def test_hevc_is_refused_in_words(house: House) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.send(encoder.client.video(0, enhanced_video(0, b"\1" * 40, fourcc=b"hvc1")))
        refused = await house.happens(VideoRefused)
        assert refused.data["code"] == "video_unsupported"
        assert "HEVC" in str(refused.data["detail"])
        await encoder.until_cut()


async def test_sound_without_picture_is_refused_in_words(opened: Opened, film: Film) -> None:
    house = await opened(HASTY)
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show([tag for tag in tags_of(film) if not tag.is_video][:20])
        refused = await house.happens(VideoRefused)
        assert "no picture" in str(refused.data["detail"])
        await encoder.until_cut()


async def test_a_changed_picture_size_is_a_change_and_no_interruption(
    house: House, film: Film, tmp_path: Path
) -> None:
    def other_film() -> Film:
        with av.open(str(tmp_path / "small.mp4"), "w") as container:
            video = container.add_stream("libx264", rate=RATE, options={"bf": "0", "g": "30"})
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            for index in range(2 * RATE):
                frame = av.VideoFrame(96, 64, "yuv420p")
                frame.pts = index
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        with av.open(str(tmp_path / "small.mp4")) as container:
            extradata = container.streams.video[0].codec_context.extradata or b""
            packets = [bytes(p) for p in container.demux(video=0) if p.dts is not None]
        small = replace(film, video=replace(film.video, avcc=extradata, width=96, height=64))
        samples = [s for s in film.samples if s.track == 1][: len(packets)]
        pairs = zip(samples, packets, strict=True)
        return replace(small, samples=tuple(replace(s, data=data) for s, data in pairs))

    small = await asyncio.to_thread(other_film)
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 2))
        await house.happens(VideoStarted)
        await encoder.show(headers(small) + seconds_of(small, 0, 2, shift_ms=2000))
        changed = await house.happens(VideoChanged)
        assert (changed.data["width"], changed.data["height"]) == (96, 64)
        await encoder.send(encoder.client.unpublish())
        await house.happens(VideoLost)
    assert len(set(await house.media())) >= 3
    playlist = m3u8.loads(await house.video.playlist(SHOW, Rendition.VIDEO))
    assert len({segment.init_section.uri for segment in playlist.segments if segment.uri}) == 2


async def test_timestamps_that_jump_are_a_change_and_no_interruption(
    house: House, film: Film
) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 2))
        await house.happens(VideoStarted)
        for shift_ms in (3_600_000, 7, 0xFFFFFF):
            await encoder.show(seconds_of(film, 2, 4, shift_ms=shift_ms))
            await house.happens(VideoChanged)
        assert house.video.has_publisher(SHOW)


async def test_a_stream_that_only_jumps_is_refused_in_words(house: House, film: Film) -> None:
    async with house.encoder() as encoder:
        await encoder.start()
        for index in range(30):
            await encoder.show(headers(film) + seconds_of(film, 0, 1, shift_ms=index * 100_000))
        await house.happens(VideoStarted)
        for _ in range(20):
            await house.happens(VideoChanged)
        assert "again and again" in str((await house.happens(VideoRefused)).data["detail"])
        assert (await house.happens(VideoLost)).data == {"reason": "error"}
        await encoder.until_cut()


async def test_more_than_the_promised_rate_is_refused_in_words(opened: Opened, film: Film) -> None:
    house = await opened(RtmpServerLimits(max_kbit_per_second=100, rate_seconds=2))
    picture = (100_000).to_bytes(4, "big") + b"\x65" + bytes(99_999)
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.send(encoder.client.video(0, avc_picture(picture, is_keyframe=True)))
        assert "100 kbit/s" in str((await house.happens(VideoRefused)).data["detail"])
        await encoder.until_cut()


async def test_more_messages_than_any_encoder_sends_are_refused_in_words(opened: Opened) -> None:
    house = await opened(RtmpServerLimits(max_messages_per_second=100, rate_seconds=2))
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.send(encoder.client.audio(0, b"") * 300)
        assert "100 messages" in str((await house.happens(VideoRefused)).data["detail"])
        await encoder.until_cut()


async def test_an_encoder_that_falls_silent_is_lost_after_a_while(
    opened: Opened, film: Film
) -> None:
    house = await opened(HASTY)
    async with house.encoder() as encoder:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        assert (await house.happens(VideoLost)).data == {"reason": "timeout"}
        await encoder.until_cut()


@pytest.mark.parametrize("sent", ["nothing", "version", "half", "handshake", "connect"])
async def test_whoever_dawdles_before_publishing_is_cut_off(opened: Opened, sent: str) -> None:
    house = await opened(HASTY)
    async with house.encoder() as encoder:
        hello = encoder.client.hello()
        await encoder.send(
            {
                "nothing": b"",
                "version": hello[:1],
                "half": hello[:1600],
                "handshake": hello,
                "connect": hello + encoder.client.connect(),
            }[sent]
        )
        await encoder.until_cut()


async def test_a_byte_now_and_then_does_not_keep_a_connection(opened: Opened) -> None:
    house = await opened(HASTY)
    async with house.encoder() as encoder:
        cut = asyncio.create_task(encoder.until_cut())
        for byte in encoder.client.hello():
            encoder.writer.write(bytes((byte,)))
            if cut in (await asyncio.wait({cut}, timeout=0.02))[0]:
                break
        else:
            pytest.fail("it was never cut off")


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(500), b"\3" + b"\xff" * 9000],
    ids=["http", "tls", "noise"],
)
async def test_garbage_ends_its_own_connection_only(
    house: House, film: Film, garbage: bytes
) -> None:
    async with house.encoder() as encoder, house.encoder() as noisy:
        await encoder.start()
        await noisy.send(garbage)
        await noisy.until_cut()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        await encoder.send(b"\xff" * 5000)
        await encoder.until_cut()
        assert (await house.happens(VideoLost)).data == {"reason": "error"}


async def test_spoiled_conversations_end_themselves_only(house: House, film: Film) -> None:
    chance = random.Random(6)

    async def spoiled() -> None:
        async with house.encoder() as encoder:
            client = encoder.client
            said = client.start("good")
            # Media comes unasked for in some: as if the answer had been awaited elsewhere.
            said += client.set_chunk_size(4096) + client.tags(tags_of(film)[:20])
            data = bytearray(said)
            for _ in range(chance.choice((1, 3, 30))):
                data[chance.randrange(1, len(data))] = chance.randrange(256)
            await encoder.send(bytes(data[: chance.randrange(3000, len(data))]))
            if chance.random() < 0.5:
                encoder.writer.write_eof()
                await encoder.until_cut()

    async with house.encoder() as encoder:
        await encoder.start("other")
        for _ in range(10):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(10):
                    tasks.create_task(spoiled())
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await encoder.send(encoder.client.unpublish())
        await encoder.until("NetStream.Unpublish.Success")


async def test_tls_handshakes_that_never_end_are_cut_off(opened: Opened, certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    house = await opened(HASTY, tls=tls)
    async with house.encoder() as silent, house.encoder() as plain:
        await plain.send(plain.client.start("good"))
        await plain.until_cut()
        await silent.until_cut()


async def test_connections_are_counted(opened: Opened, film: Film) -> None:
    house = await opened(RtmpServerLimits(connections=2))
    async with house.encoder() as one, house.encoder() as two:
        await one.start("good")
        await two.start("other")
        async with house.encoder() as three:
            await three.until_cut()
        await one.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
    house = await opened(RtmpServerLimits(connections_per_address=1))
    async with house.encoder() as one:
        await one.start("good")
        async with house.encoder() as two:
            await two.until_cut()
        await one.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)


@pytest.mark.parametrize(
    "limits",
    [
        RtmpServerLimits(strangers=2),
        RtmpServerLimits(connections=3),
        RtmpServerLimits(connections_per_address=3),
    ],
    ids=["strangers", "all", "of-address"],
)
async def test_strangers_keep_no_encoder_out(
    opened: Opened, film: Film, limits: RtmpServerLimits
) -> None:
    house = await opened(limits)
    async with house.encoder() as sending:
        await sending.start("good")
        async with house.encoder() as oldest, house.encoder() as younger, house.encoder() as late:
            await oldest.until_cut()
            await late.start("other")
            await younger.start("good")
            await sending.show(headers(film) + seconds_of(film, 0, 1))
            await house.happens(VideoStarted)


async def test_a_stranger_makes_room_though_its_key_is_being_checked(opened: Opened) -> None:
    house = await opened(RtmpServerLimits(strangers=1))
    house.door.may_answer.clear()
    async with house.encoder() as older:
        await older.send(older.client.start("good"))
        await house.door.asked.get()
        async with house.encoder() as newer:
            await older.until_cut()
            house.door.may_answer.set()
            await newer.start("other")
            assert [one.key_id for one in house.server.sending()] == ["key_2"]


async def test_a_server_that_stops_sends_everybody_away(house: House, film: Film) -> None:
    async with house.encoder() as encoder, house.encoder() as idle:
        await encoder.start()
        await encoder.show(headers(film) + seconds_of(film, 0, 1))
        await house.happens(VideoStarted)
        await house.server.close()
        assert (await house.happens(VideoLost)).data == {"reason": "server_restarted"}
        await encoder.until_cut()
        await idle.until_cut()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-made, for localhost: certificate and key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
