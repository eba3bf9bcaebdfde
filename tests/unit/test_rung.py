"""The small picture: same times, same keyframes, same content; and what a slow machine does."""

import asyncio
import io
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from structlog.testing import capture_logs
from video_builders import decode_pictures, of_track

from liveshop.video import fmp4, rung
from liveshop.video.model import (
    AacConfig,
    BrokenTimestamps,
    H264Config,
    Sample,
    Track,
)
from liveshop.video.rung import CannotScale, Rung, Scaler, size_for

ORIGIN = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
AUDIO = AacConfig(b"\x11\x90")
PATIENCE = 20.0


@dataclass(frozen=True)
class Film:
    video: H264Config
    pictures: tuple[Sample, ...]

    def play(self, start: float, end: float) -> list[Sample]:
        """Pictures in decode order, each with the sound of its time."""
        samples: list[Sample] = []
        sounds = int(start * 48_000 / 1024)
        for picture in self.pictures:
            if not start * 90_000 <= picture.dts < end * 90_000:
                continue
            samples.append(picture)
            while sounds * 1024 / 48_000 < (picture.dts + picture.duration) / 90_000:
                dts = sounds * 1024
                samples.append(Sample(Track.AUDIO, dts, dts, 1024, True, b"s%d" % sounds))
                sounds += 1
        return samples


def grey_of(index: int) -> int:
    return 30 + index % 50 * 4


def encode(
    *,
    width: int = 320,
    height: int = 180,
    rate: int = 30,
    seconds: float = 3,
    gop: int = 30,
    b_frames: int = 0,
) -> Film:
    """Picture `n` is all `grey_of(n)`. With B-frames the decode times begin below zero, so all is
    moved up by their number, as an encoder does that sends FLV."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.options = {
        "preset": "ultrafast",
        "x264-params": f"annexb=0:keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}"
        ":b-adapt=0",
    }
    packets = []
    for index in range(round(seconds * rate)):
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, value in zip(frame.planes, (grey_of(index), 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = index, Fraction(1, rate)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    config = H264Config(encoder.extradata or b"", width, height)
    tick, early = 90_000 // rate, min(packet.dts or 0 for packet in packets)
    return Film(
        config,
        tuple(
            Sample(
                Track.VIDEO,
                ((packet.dts or 0) - early) * tick,
                ((packet.pts or 0) - early) * tick,
                tick,
                packet.is_keyframe,
                bytes(packet),
            )
            for packet in packets
        ),
    )


@pytest.fixture(autouse=True)
def never_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What drops, drops because a test says so and not because its machine is busy."""
    monkeypatch.setattr(rung, "_BEHIND_SECONDS", 600.0)


@pytest.fixture(scope="module")
def film() -> Film:
    return encode()


def scaled(film: Film, lines: int = 90) -> tuple[Scaler, list[Sample]]:
    scaler = Scaler(film.video, lines)
    return scaler, [made for picture in film.pictures for made in scaler.picture(picture)]


def mp4(config: H264Config, pictures: list[Sample]) -> bytes:
    return fmp4.init_segment(config, None) + fmp4.fragment(1, pictures, [])


# the pictures


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1920, 1080), (640, 360)),
        ((1280, 720), (640, 360)),
        ((720, 1280), (360, 640)),
        ((1440, 1080), (480, 360)),
        ((854, 480), (640, 360)),
        ((640, 360), (640, 360)),
        ((426, 240), (426, 240)),
        ((321, 181), (320, 180)),
        ((3840, 400), (3456, 360)),
        ((1, 1), (2, 2)),
    ],
)
def test_sizes(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert size_for(*size) == small


def test_the_small_picture_has_the_same_times_and_keyframes(film: Film) -> None:
    scaler, made = scaled(film)
    assert scaler.config is not None
    assert (scaler.config.width, scaler.config.height) == (160, 90)
    assert scaler.config.codec.startswith("avc1.4D40")  # Main, which every player has
    # One picture behind: how long the last one lasts is not known.
    assert [(one.dts, one.pts, one.duration, one.is_keyframe) for one in made] == [
        (one.dts, one.pts, one.duration, one.is_keyframe) for one in film.pictures[:-1]
    ]


def test_it_shows_what_the_large_one_shows(film: Film) -> None:
    scaler, made = scaled(film)
    assert scaler.config is not None
    shown = decode_pictures(mp4(scaler.config, made))
    assert [picture.grey for picture in shown] == pytest.approx(
        [grey_of(n) for n in range(89)], abs=4
    )
    with av.open(io.BytesIO(mp4(scaler.config, made))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (160, 90)


def test_each_keyframe_can_be_started_from(film: Film) -> None:
    scaler, made = scaled(film)
    assert scaler.config is not None
    second = next(n for n, picture in enumerate(made) if n and picture.is_keyframe)
    shown = decode_pictures(mp4(scaler.config, made[second:]))
    assert shown[0].grey == pytest.approx(grey_of(30), abs=4)


def test_pictures_in_another_order_come_in_order() -> None:
    film = encode(b_frames=2)
    assert any(picture.pts != picture.dts for picture in film.pictures)
    scaler, made = scaled(film)
    assert scaler.config is not None
    assert all(picture.pts == picture.dts for picture in made)
    assert all(later.dts == one.dts + one.duration for one, later in pairwise(made))
    source = sorted(picture.pts for picture in film.pictures)
    assert [picture.pts for picture in made] == source[: len(made)]
    assert len(source) - len(made) <= 5
    keyframes = {picture.pts for picture in film.pictures if picture.is_keyframe}
    assert {picture.pts for picture in made if picture.is_keyframe} == keyframes
    shown = decode_pictures(mp4(scaler.config, made))
    assert [picture.grey for picture in shown] == pytest.approx(
        [grey_of(n) for n in range(len(made))], abs=4
    )


@pytest.mark.parametrize("rate", [50, 60])
def test_of_many_pictures_every_other_one_is_made(rate: int) -> None:
    film = encode(rate=rate, gop=rate, seconds=2)
    _, made = scaled(film)
    assert len(made) == rate - 1
    assert {picture.duration for picture in made} == {90_000 * 2 // rate}
    assert [picture.dts for picture in made if picture.is_keyframe] == [0, 90_000]


def test_an_odd_number_of_pictures_between_keyframes_keeps_the_keyframes() -> None:
    film = encode(rate=60, gop=45, seconds=3)
    _, made = scaled(film)
    assert [picture.dts for picture in made if picture.is_keyframe] == [0, 67_500, 135_000, 202_500]


def test_the_size_is_what_a_weak_network_takes() -> None:
    """Noise, which needs all the bits there are."""
    noise = random.Random(1)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 15), Fraction(15)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.options = {"preset": "ultrafast", "x264-params": "annexb=0:keyint=15:bframes=0"}
    config, pictures = None, []
    for index in range(60):
        frame = av.VideoFrame(640, 360, "yuv420p")
        for plane in frame.planes:
            plane.update(noise.randbytes(plane.buffer_size))
        frame.pts, frame.time_base = index, Fraction(1, 15)
        for packet in encoder.encode(frame):
            config = config or H264Config(encoder.extradata or b"", 640, 360)
            at = (packet.pts or 0) * 6000
            pictures.append(Sample(Track.VIDEO, at, at, 6000, packet.is_keyframe, bytes(packet)))
    assert config is not None
    _, made = scaled(Film(config, tuple(pictures)), 360)
    after = [picture for picture in made if picture.dts >= 90_000]
    kbit = sum(len(picture.data) for picture in after) * 8 / 1000
    seconds = sum(picture.duration for picture in after) / 90_000
    assert kbit / seconds < 1000


# broken ones


def test_nothing_comes_before_a_keyframe(film: Film) -> None:
    scaler = Scaler(film.video)
    assert [made for picture in film.pictures[5:30] for made in scaler.picture(picture)] == []
    assert not scaler.has_started
    assert [made for picture in film.pictures[30:35] for made in scaler.picture(picture)]


def test_empty_and_broken_pictures_end_nothing_but_the_scaler(film: Film) -> None:
    """No crash of the process, whatever comes: only CannotScale."""
    noise = random.Random(1)
    for _ in range(30):
        scaler = Scaler(film.video)
        try:
            for picture in film.pictures[:40]:
                data = bytearray(picture.data)
                kind = noise.randrange(6)
                if kind == 0:
                    data = bytearray(noise.randbytes(noise.randrange(200)))
                elif kind == 1:
                    del data[noise.randrange(len(data)) :]
                elif kind == 2:
                    data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
                scaler.picture(replace(picture, data=bytes(data)))
        except CannotScale:
            continue


def test_a_configuration_of_garbage_cannot_be_scaled(film: Film) -> None:
    broken = H264Config(b"\x01\x64\x00\x1f\xff\xe1\x00\x05hello", 320, 180)
    scaler = Scaler(broken)
    with pytest.raises(CannotScale):
        for picture in film.pictures:
            scaler.picture(picture)


def test_a_picture_too_large_to_decode_is_not_tried(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung, "_MOST_PIXELS", 320 * 180 - 1)
    scaler = Scaler(film.video)
    with pytest.raises(CannotScale):
        for picture in film.pictures:
            scaler.picture(picture)


# the thread


@dataclass
class Sink:
    """What comes out, in order."""

    runs: list[list[Sample]] = field(default_factory=list)
    configs: list[tuple[H264Config, AacConfig | None]] = field(default_factory=list)
    has_failed: bool = False
    threads: set[int] = field(default_factory=set)
    error: Exception | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, video: H264Config, audio: AacConfig | None) -> None:
        self.configs.append((video, audio))
        self.runs.append([])
        self._note()

    def write(self, samples: list[Sample], origin: datetime) -> None:
        assert origin == ORIGIN
        if self.error is not None:
            raise self.error
        self.runs[-1].extend(samples)
        self._note()

    def failed(self) -> None:
        self.has_failed = True
        self._note()

    def _note(self) -> None:
        self.threads.add(threading.get_ident())
        self._changed.set()

    @property
    def samples(self) -> list[Sample]:
        return [sample for run in self.runs for sample in run]

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not fact():
                self._changed.clear()
                await self._changed.wait()

    async def until_pictures(self, count: int) -> None:
        await self.until(lambda: len(of_track(self.samples, Track.VIDEO)) >= count)


class HeldUp:
    """Holds the rung's thread in each picture until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self._is_in = threading.Event()
        real = Scaler.picture

        def slow(scaler: Scaler, sample: Sample) -> list[Sample]:
            self._is_in.set()
            assert self.go.wait(PATIENCE)
            return real(scaler, sample)

        patch.setattr(rung.Scaler, "picture", slow)

    async def until_held(self) -> None:
        assert await asyncio.to_thread(self._is_in.wait, PATIENCE)


def rung_of(film: Film, sink: Sink, audio: AacConfig | None = AUDIO) -> Rung:
    return Rung(film.video, audio, sink.begin, sink.write, failed=sink.failed)


async def test_pictures_and_sound_come_out_on_the_loop(film: Film) -> None:
    sink = Sink()
    made = rung_of(film, sink)
    sent = film.play(0, 1.4)
    for sample in sent:
        made.feed([sample], ORIGIN)
    await sink.until_pictures(41)
    made.close()
    assert len(sink.runs) == 1
    assert sink.configs[0][0].height == 180
    assert sink.configs[0][1] == AUDIO
    assert sink.threads == {threading.get_ident()}
    sounds = of_track(sink.samples, Track.AUDIO)
    assert sounds == of_track(sent, Track.AUDIO)[: len(sounds)]
    assert len(sounds) >= 60
    assert made.drops == 0


async def test_it_begins_with_a_keyframe(film: Film) -> None:
    sink = Sink()
    made = rung_of(film, sink)
    made.feed(film.play(0.5, 2), ORIGIN)
    await sink.until_pictures(29)
    made.close()
    assert sink.samples[0].track is Track.AUDIO or sink.samples[0].is_keyframe
    assert of_track(sink.samples, Track.VIDEO)[0].dts == 90_000
    assert of_track(sink.samples, Track.AUDIO)[0].dts >= 90_000 * 48 // 90 - 2048


async def test_without_sound(film: Film) -> None:
    sink = Sink()
    made = rung_of(film, sink, None)
    made.feed(film.pictures[:10], ORIGIN)
    await sink.until_pictures(9)
    made.close()
    assert sink.configs[0][1] is None


@pytest.mark.parametrize(
    "limit", [("_BEHIND_PICTURES", 45), ("_BEHIND_SECONDS", -1.0)], ids=["pictures", "seconds"]
)
async def test_a_slow_machine_drops_to_a_keyframe_and_begins_again(
    monkeypatch: pytest.MonkeyPatch, limit: tuple[str, float]
) -> None:
    film = encode(seconds=8)
    held = HeldUp(monkeypatch)
    sink = Sink()
    made = rung_of(film, sink)
    with monkeypatch.context() as patch, capture_logs() as logged:
        first, *others = film.play(0, 3.2)
        made.feed([first], ORIGIN)
        await held.until_held()
        patch.setattr(rung, *limit)
        for sample in others:
            made.feed([sample], ORIGIN)
    assert made.drops == 1
    assert [entry["event"] for entry in logged] == ["rung_behind"]
    fed = len(made._unfinished)
    # No keyframe is begun from before the backlog is thrown away.
    made.feed(film.play(3.2, 4.5), ORIGIN)
    assert len(made._unfinished) == fed
    held.go.set()
    async with asyncio.timeout(PATIENCE):
        while made._done < fed:
            await asyncio.sleep(0)
    for sample in film.play(4.5, 7):
        made.feed([sample], ORIGIN)
    await sink.until_pictures(59)
    made.close()
    assert len(sink.configs) == len(sink.runs) == 1
    pictures = of_track(sink.samples, Track.VIDEO)
    assert pictures[0].is_keyframe
    assert pictures[0].dts == 5 * 90_000
    assert all(later.dts == one.dts + one.duration for one, later in pairwise(pictures))


async def test_after_a_backlog_a_new_run_is_begun(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receiver is told of the hole: a new beginning, with times that go on."""
    sink = Sink()
    made = rung_of(film, sink)
    made.feed(film.play(0, 0.5), ORIGIN)
    await sink.until_pictures(14)
    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(rung, "_BEHIND_PICTURES", 0)
        made.feed(film.play(0.5, 0.6), ORIGIN)
    assert made.drops == 1
    async with asyncio.timeout(PATIENCE):
        while made._done < 16:
            await asyncio.sleep(0)
    made.feed(film.play(0.6, 3), ORIGIN)
    await sink.until_pictures(14 + 59)
    made.close()
    first, second = sink.runs
    assert first[-1].dts < 0.6 * 90_000 * 2
    assert of_track(second, Track.VIDEO)[0].dts == 90_000
    assert sink.configs[0] == sink.configs[1]


async def test_seconds_at_once_are_no_backlog() -> None:
    film = encode(width=64, height=64, seconds=12)
    sink = Sink()
    made = rung_of(film, sink)
    made.feed(film.pictures, ORIGIN)
    await sink.until_pictures(359)
    made.close()
    assert made.drops == 0


async def test_a_thread_that_hangs_piles_nothing_up(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldUp(monkeypatch)
    sink = Sink()
    made = rung_of(film, sink)
    made.feed(film.pictures[:1], ORIGIN)
    await held.until_held()
    with capture_logs() as logged:
        for n in range(1, 100):
            for picture in film.pictures:
                moved = n * 270_000
                made.feed(
                    [replace(picture, dts=picture.dts + moved, pts=picture.pts + moved)], ORIGIN
                )
    assert made.drops == len(logged) == 1
    assert made._work.qsize() == len(made._unfinished) - 1 <= 600
    made.close()
    held.go.set()


async def test_after_broken_pictures_it_goes_on_at_the_next_keyframe(film: Film) -> None:
    sink = Sink()
    made = rung_of(film, sink)
    pictures = list(film.pictures)
    pictures[40] = replace(pictures[40], data=b"\xff" * 40)
    made.feed(pictures, ORIGIN)
    await sink.until(lambda: len(sink.runs) == 2 and len(sink.runs[1]) >= 29)
    made.close()
    assert sink.runs[0][-1].dts < 40 * 3000
    assert sink.runs[1][0].dts == 2 * 90_000
    assert not sink.has_failed


async def test_what_cannot_be_decoded_at_all_is_given_up(film: Film) -> None:
    sink = Sink()
    made = rung_of(film, sink)
    garbage = [replace(picture, is_keyframe=True, data=b"\xff" * 40) for picture in film.pictures]
    with capture_logs() as logged:
        for picture in garbage[:30]:
            made.feed([picture], ORIGIN)
        await sink.until(lambda: sink.has_failed)
    assert [entry["event"] for entry in logged] == ["rung_failed"]
    left = made._work.qsize()
    made.feed(film.pictures, ORIGIN)
    assert made._work.qsize() == left
    assert sink.samples == []


async def test_a_receiver_that_refuses_ends_it(film: Film) -> None:
    sink = Sink(error=BrokenTimestamps("backwards"))
    made = rung_of(film, sink)
    with capture_logs() as logged:
        made.feed(film.pictures[:10], ORIGIN)
        await sink.until(lambda: sink.has_failed)
    assert [entry["event"] for entry in logged] == ["rung_failed"]


async def test_nothing_comes_after_close(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldUp(monkeypatch)
    sink = Sink()
    made = rung_of(film, sink)
    made.feed(film.pictures[:20], ORIGIN)
    await held.until_held()
    made.close()
    made.close()
    held.go.set()
    made.feed(film.pictures[20:40], ORIGIN)
    thread = made._thread
    await asyncio.to_thread(thread.join, PATIENCE)
    assert not thread.is_alive()
    await asyncio.sleep(0)
    assert sink.runs == []
