"""What is made of recordings, frame by frame: films without gaps, clips exact to the keyframe, good
pictures, even sound; by a process that can be killed, and says in words what went wrong.
"""

import asyncio
import os
import resource
import struct
import threading
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from making_builders import Take, at, clicks, painted_ms, record, seen
from PIL import Image, ImageDraw, ImageFilter

from liveshop.kernel.ids import ShowId
from liveshop.video.making import Made, Maker, MakingFailed, MakingHeldUp, Wanted, sweep
from liveshop.video.making.__main__ import _tell_it_works
from liveshop.video.making.maker import unfinished
from liveshop.video.making.model import Job
from liveshop.video.making.pictures import tiles_apart, worth
from liveshop.video.making.upright import upright_size
from liveshop.video.making.work import do

SHOW = ShowId("shw_recorded")
FRAME = pytest.approx(1 / 30, abs=0.001)
HEARD = 0.012
"""A click at the very start of a run fades in with the decoder's first frame."""


def make(folder: Path, kind: Any, **wanted: Any) -> tuple[Made, Path]:
    """In this process."""
    output = folder / "files" / "made"
    new = unfinished(output)
    percents: list[float] = []
    job = Job(str(folder), str(output), str(new), Wanted(kind, name="made", **wanted))
    made = do(job, percents.append)
    assert percents == sorted(percents)
    assert percents[-1] == pytest.approx(1.0, abs=0.01)
    assert not new.exists()
    return made, output


def check(film: Path) -> None:
    """Index in front, nothing that a decoder or a player would stumble over."""
    kinds = boxes(film.read_bytes())
    assert kinds.index(b"moov") < kinds.index(b"mdat")
    with av.open(str(film)) as container:
        for track in container.streams:
            times = [one.dts for one in container.demux(track) if one.dts is not None]
            assert all(one < other for one, other in pairwise(times))
            container.seek(0)
    with av.open(str(film)) as container:
        assert {stream.type: stream.codec_context.name for stream in container.streams}.items() <= {
            "video": "h264",
            "audio": "aac",
        }.items()
        video = container.streams.video[0]
        assert video.codec_context.pix_fmt == "yuv420p"
        assert all(not frame.is_corrupt for frame in container.decode())


def boxes(data: bytes) -> list[bytes]:
    kinds, position = [], 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        kinds.append(kind)
        position += size
    return kinds


def painted(*takes: Take) -> list[int]:
    return [painted_ms(take, n) for take in takes for n in range(round(take.seconds * take.rate))]


def flashes(film: Path) -> list[float]:
    """When pictures are shown that were taken at a full second, at which there is a click."""
    return [one.seconds for one in seen(film) if one.ms % 1000 == 0]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_film_is_every_picture_without_the_gaps(tmp_path: Path, b_frames: int) -> None:
    takes = (
        Take(seconds=4, b_frames=b_frames),
        Take(seconds=2.5, at_seconds=10, starts_ticks=900_000),
        Take(seconds=3, at_seconds=13, b_frames=b_frames),
    )
    made, film = make(record(tmp_path, *takes), "mp4")
    check(film)
    shown = seen(film)
    assert [one.ms for one in shown] == painted(*takes)
    assert all(other.seconds - one.seconds == FRAME for one, other in pairwise(shown[:120]))
    # Where a run begins whose pictures are decoded earlier before they are shown, one lasts longer.
    assert all(0.03 < b.seconds - a.seconds < 0.11 for a, b in pairwise(shown))
    assert clicks(film) == pytest.approx(flashes(film), abs=HEARD)
    assert made.seconds == pytest.approx(9.5, abs=0.15)
    assert (made.from_at, made.until_at) == (at(0), at(16))
    assert (made.width, made.height, made.byte_count) == (320, 180, film.stat().st_size)


def test_pictures_of_another_size_in_mid_show(tmp_path: Path) -> None:
    takes = (
        Take(seconds=2),
        Take(seconds=2, at_seconds=3, width=180, height=320),
        Take(seconds=2, at_seconds=6),
        Take(seconds=2, at_seconds=9, width=482, height=270, b_frames=2),
    )
    _, film = make(record(tmp_path, *takes), "mp4")
    check(film)
    shown = seen(film)
    assert [one.ms for one in shown] == painted(*takes)
    assert [one.size for one in shown[::60]] == [(320, 180), (180, 320), (320, 180), (482, 270)]
    assert clicks(film) == pytest.approx(flashes(film), abs=HEARD)


@pytest.mark.parametrize("is_loudness_normal", [False, True])
def test_sound_that_changes_stops_and_comes_back(
    tmp_path: Path, *, is_loudness_normal: bool
) -> None:
    takes = (
        Take(seconds=2, sound_rate=0),
        Take(seconds=3, at_seconds=3),
        Take(seconds=3, at_seconds=7, sound_rate=44_100, channels=1),
        Take(seconds=2, at_seconds=12, sound_rate=0),
        Take(seconds=3, at_seconds=15, lag_seconds=1.5),
    )
    _, film = make(record(tmp_path, *takes), "mp4", is_loudness_normal=is_loudness_normal)
    check(film)
    assert [one.ms for one in seen(film)] == painted(*takes)
    silent = {0.0, 1.0, 8.0, 9.0, 10.0, 11.0}
    heard = [moment for moment in flashes(film) if round(moment, 2) not in silent]
    assert clicks(film) == pytest.approx(heard, abs=HEARD)
    with av.open(str(film)) as container:
        (sound,) = container.streams.audio
        assert (sound.rate, sound.layout.name) == (48_000, "stereo")
        starts = [frame.time or 0.0 for frame in container.decode(sound)]
        assert all(other - one < 0.045 for one, other in pairwise(starts))


def test_a_show_without_sound(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=2, sound_rate=0))
    _, film = make(tmp_path, "mp4", is_loudness_normal=True)
    check(film)
    with av.open(str(film)) as container:
        assert not container.streams.audio
    made, _ = make(tmp_path, "loudness")
    assert made.data == {"lufs": None}


@pytest.mark.parametrize("volume", [0.08, 0.9])
def test_sound_is_brought_to_what_phones_play_at(tmp_path: Path, volume: float) -> None:
    record(tmp_path / "a", Take(seconds=6, volume=volume))
    before, _ = make(tmp_path / "a", "loudness")
    made, film = make(tmp_path / "a", "mp4", is_loudness_normal=True)
    assert abs(before.data["lufs"] + 16) > 2
    assert loudness(film) == pytest.approx(-16, abs=1.0)
    assert highest(film) < 0.95
    assert clicks(film) == pytest.approx(flashes(film), abs=HEARD)
    assert made.seconds == 6


def loudness(film: Path) -> float:
    graph = av.filter.Graph()
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        meter = graph.add("ebur128", "metadata=1:framelog=quiet")
        sink = graph.add("abuffersink")
        graph.link_nodes(graph.add_abuffer(template=stream), meter, sink).configure()
        told = -70.0
        for frame in container.decode(stream):
            graph.push(frame)
            while True:
                try:
                    told = float(graph.pull().metadata.get("lavfi.r128.I", told))
                except av.error.BlockingIOError:
                    break
        return told


def highest(film: Path) -> float:
    with av.open(str(film)) as container:
        return max(
            max(map(abs, memoryview(plane).cast("B").cast("f")[: frame.samples]))
            for frame in container.decode(audio=0)
            for plane in frame.planes
        )


@pytest.mark.parametrize(
    ("from_seconds", "until_seconds", "first", "last"),
    [(2.0, 4.0, 2.0, 4.0), (2.9, 4.1, 2.0, 5.0), (-5.0, 1.0, 0.0, 1.0), (4.5, 99.0, 4.0, 6.0)],
)
def test_a_clip_is_exact_to_the_keyframe(
    tmp_path: Path, from_seconds: float, until_seconds: float, first: float, last: float
) -> None:
    take = Take(seconds=6, b_frames=2)
    record(tmp_path, take)
    made, film = make(tmp_path, "clip", from_at=at(from_seconds), until_at=at(until_seconds))
    check(film)
    shown = seen(film)
    wanted = [ms for ms in painted(take) if 1000 * first <= ms < 1000 * last]
    assert [one.ms for one in shown] == wanted
    assert shown[0].seconds == 0
    assert made.seconds == pytest.approx(last - first, abs=0.001)
    assert (made.from_at, made.until_at) == (at(first), at(last))
    assert clicks(film) == pytest.approx(flashes(film), abs=HEARD)


def test_a_clip_over_a_gap(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=3), Take(seconds=3, at_seconds=8))
    _, film = make(tmp_path, "clip", from_at=at(2), until_at=at(9))
    check(film)
    assert [one.ms for one in seen(film)][::30] == [2000, 8000]


@pytest.mark.parametrize(
    ("size", "upright"),
    [
        ((1280, 720), (404, 720)),
        ((720, 1280), (720, 1280)),
        ((1080, 1920), (720, 1280)),
        ((720, 1600), (720, 1280)),
        ((3840, 2160), (720, 1280)),
        ((854, 480), (270, 480)),
        ((318, 178), (100, 178)),
    ],
)
def test_how_large_an_upright_clip_is(size: tuple[int, int], upright: tuple[int, int]) -> None:
    assert upright_size(*size) == upright


def test_an_upright_clip_shows_the_middle(tmp_path: Path) -> None:
    record(
        tmp_path,
        Take(seconds=2, width=640, height=360, b_frames=2),
        Take(seconds=2, at_seconds=3, width=360, height=640),
        Take(seconds=2, at_seconds=6, width=322, height=182),
    )
    made, film = make(tmp_path, "clip", from_at=at(1), is_vertical=True)
    check(film)
    shown = seen(film)
    assert (made.width, made.height) == (202, 360)
    assert {one.size for one in shown} == {(202, 360)}
    assert len(shown) == 150
    assert all(0.03 < other.seconds - one.seconds < 0.11 for one, other in pairwise(shown))
    # The upright part is shown whole, and so can be read; a barcode cut at both sides cannot.
    assert [one.ms for one in shown[30:90:30]] == [3000, 4000]
    assert clicks(film) == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.1)


def test_a_clip_shorter_than_channels_take_is_refused(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=2.6))
    with pytest.raises(MakingFailed, match="at least a second"):
        make(tmp_path, "clip", from_at=at(2.1))
    assert list((tmp_path / "files").iterdir()) == []


def test_sprites_are_keyframes_with_their_moments(tmp_path: Path) -> None:
    record(
        tmp_path,
        Take(seconds=21, rate=10, gop=10, sound_rate=0),
        Take(seconds=4, at_seconds=60, rate=10, gop=10, width=180, height=320, sound_rate=0),
        Take(seconds=20, at_seconds=64, rate=10, gop=40, sound_rate=0),
    )
    made, sheet = make(tmp_path, "sprites")
    assert made.data["starts_at"] == at(0)
    every_second = [2000 * n for n in range(11)]
    late = [61_000, 63_000, 68_000, 72_000, 76_000, 80_000]
    assert made.data["offsets_ms"] == [*every_second, *late]
    assert (made.data["columns"], made.data["width"], made.data["height"]) == (10, 160, 90)
    with Image.open(sheet) as image:
        assert image.format == "JPEG"
        assert image.size == (made.width, made.height) == (10 * 160, 2 * 90)


def test_long_shows_have_fewer_pictures_for_their_length(tmp_path: Path) -> None:
    assert tiles_apart(60) == tiles_apart(300) == 2
    assert 2 <= tiles_apart(600) < 3
    for hours in (1, 4, 24):
        seconds = hours * 3600
        assert 230 <= seconds / tiles_apart(seconds) < 240


def test_an_upright_show_has_upright_sprites(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=2, width=180, height=320))
    made, _ = make(tmp_path, "sprites")
    assert (made.data["width"], made.data["height"]) == (90, 160)


def test_the_poster_is_a_picture_worth_showing(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=5))
    made, poster = make(tmp_path, "poster", from_at=at(1), until_at=at(4))
    with Image.open(poster) as image:
        assert (image.format, image.size) == ("JPEG", (320, 180))
    assert at(1) <= made.from_at < at(4)


def test_what_a_good_picture_is() -> None:
    sharp = Image.effect_noise((320, 180), 8).convert("L")
    draw = ImageDraw.Draw(sharp)
    for x in range(0, 320, 40):
        draw.rectangle((x, 40, x + 18, 140), fill=220)
    blurred = sharp.filter(ImageFilter.GaussianBlur(12))
    pale = sharp.point(lambda value: 200 + value // 10)
    black, white = Image.new("L", (320, 180), 4), Image.new("L", (320, 180), 250)
    assert worth(sharp) > 3 * worth(blurred)
    assert worth(sharp) > 3 * worth(pale)
    assert max(worth(black), worth(white)) < 1


# What goes wrong


def test_nothing_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(MakingFailed, match="Nothing is recorded"):
        make(tmp_path, "mp4")
    record(tmp_path, Take(seconds=2))
    with pytest.raises(MakingFailed, match="Nothing is recorded"):
        make(tmp_path, "clip", from_at=at(100), until_at=at(110))


def damage_boxes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[24:28] = b"\xff\xff\xff\xff"
    path.write_bytes(data)


def damage_init(path: Path) -> None:
    init = next(path.parent.glob("init-*"))
    init.write_bytes(init.read_bytes()[:200])


@pytest.mark.parametrize("damage", [damage_boxes, damage_init])
@pytest.mark.parametrize("kind", ["mp4", "sprites", "poster", "loudness"])
def test_a_damaged_recording_is_named_so(
    tmp_path: Path, damage: Callable[[Path], None], kind: Any
) -> None:
    record(tmp_path, Take(seconds=3))
    damage(next(tmp_path.glob("chunk-*")))
    with pytest.raises(MakingFailed, match="The recording is damaged"):
        make(tmp_path, kind)


@pytest.mark.parametrize(
    ("kind", "wanted", "words"),
    [
        ("sprites", {}, "None of the recording's pictures"),
        ("poster", {}, "None of the recording's pictures"),
        ("clip", {"is_vertical": True}, "pictures cannot be decoded"),
        ("loudness", {}, "sound cannot be decoded"),
    ],
)
def test_pictures_and_sound_of_noise(
    tmp_path: Path, kind: Any, wanted: dict[str, Any], words: str
) -> None:
    record(tmp_path, Take(seconds=12))
    for chunk in tmp_path.glob("chunk-*"):
        data = bytearray(chunk.read_bytes())
        position = 0
        while position < len(data):
            size, name = struct.unpack_from(">I4s", data, position)
            if name == b"mdat":
                data[position + 8 : position + size] = os.urandom(size - 8)
            position += size
        chunk.write_bytes(data)
    with pytest.raises(MakingFailed, match=words):
        make(tmp_path, kind, **wanted)
    assert not any((tmp_path / "files").glob("*"))


def test_a_full_disk_is_named_so(tmp_path: Path) -> None:
    record(tmp_path, Take(seconds=2))
    output, new = str(tmp_path / "x.mp4"), str(tmp_path / "x.making")
    job = Job(str(tmp_path), output, new, Wanted("mp4"), least_free_bytes=2**60)
    with pytest.raises(MakingHeldUp, match="not enough room"):
        do(job, lambda _: None)
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize("wanted", [{}, {"is_loudness_normal": True}])
def test_a_disk_that_takes_no_more_in_the_middle(tmp_path: Path, wanted: dict[str, Any]) -> None:
    record(tmp_path, Take(seconds=6))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(MakingHeldUp, match="The disk does not work"):
            make(tmp_path, "mp4", **wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "files").iterdir()) == []


# The process


class Folders:
    """Where a recording is, as `Recordings` tells it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def local_folder(
        self, show_id: ShowId, from_at: datetime | None, until_at: datetime | None
    ) -> Path:
        return self.root

    def file_path(self, show_id: ShowId, name: str) -> Path:
        return self.root / "files" / name


async def test_a_process_makes_it_and_tells_how_far_it_is(tmp_path: Path) -> None:
    await asyncio.to_thread(record, tmp_path, Take(seconds=13, rate=10, gop=10))
    maker = Maker(Folders(tmp_path))
    told: list[int] = []
    film, sprites = await asyncio.gather(
        maker.make(SHOW, Wanted("mp4", name="a.mp4"), told.append),
        maker.make(SHOW, Wanted("sprites", name="b.jpg"), lambda _: None),
    )
    assert told == sorted(set(told))
    assert told[-1] == 100
    assert film.seconds == 13
    assert datetime.fromisoformat(sprites.data["starts_at"]) == at(0)
    assert sprites.data["offsets_ms"] == [2000 * n for n in range(7)]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == ["a.mp4", "b.jpg"]


async def test_the_process_is_told_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(record, tmp_path, Take(seconds=12, width=640, height=360))
    for name in ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "LIVESHOP_SERVER__SECRET"):
        monkeypatch.setenv(name, "not-to-be-told")
    has_begun = asyncio.Event()
    wanted = Wanted("clip", name="a.mp4", is_vertical=True)
    making = asyncio.create_task(
        Maker(Folders(tmp_path)).make(SHOW, wanted, lambda _: has_begun.set())
    )
    async with asyncio.timeout(30):
        await has_begun.wait()
    (pid,) = await asyncio.to_thread(makers)
    told = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)
    assert b"PATH=" in told
    assert b"not-to-be-told" not in told
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making


async def test_a_process_that_works_says_so_between_two_percents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("liveshop.video.making.__main__._BEAT_SECONDS", 0.01)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as heard, os.fdopen(writing, "wb", buffering=0) as told:
        stopped = threading.Event()
        beating = threading.Thread(target=_tell_it_works, args=(told, stopped))
        beating.start()
        assert await asyncio.to_thread(heard.readline) == b"{}\n"
        stopped.set()
        await asyncio.to_thread(beating.join)


def test_what_killed_processes_left_is_swept_away_and_what_grows_now_is_not(
    tmp_path: Path,
) -> None:
    files = tmp_path / "shw_1" / "files"
    files.mkdir(parents=True)
    grows = unfinished(files / "a.mp4")
    assert grows != unfinished(files / "a.mp4")
    old = unfinished(files / "old.mp4")
    for path in (grows, old, files / "b.mp4", files / "c.mp4.making"):
        path.write_bytes(b"x")
    (files / "d.mp4.4194999-0a0b0c0d.making").write_bytes(b"x")  # no process has such a number
    os.utime(old, (0, 0))
    sweep(tmp_path)
    assert sorted(files.iterdir()) == sorted([grows, files / "b.mp4"])


async def test_failure_comes_in_words(tmp_path: Path) -> None:
    with pytest.raises(MakingFailed, match="Nothing is recorded"):
        await Maker(Folders(tmp_path)).make(SHOW, Wanted("poster", name="a.jpg"), lambda _: None)


async def test_cancelled_it_is_killed_and_leaves_nothing(tmp_path: Path) -> None:
    take = Take(seconds=12, width=640, height=360)
    await asyncio.to_thread(record, tmp_path, take)
    maker = Maker(Folders(tmp_path))
    has_begun = asyncio.Event()
    wanted = Wanted("clip", name="a.mp4", is_vertical=True)
    making = asyncio.create_task(maker.make(SHOW, wanted, lambda _: has_begun.set()))
    async with asyncio.timeout(30):
        await has_begun.wait()
    children = await asyncio.to_thread(makers)
    assert len(children) == 1
    assert all(nice > 10 for nice in children.values())
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not await asyncio.to_thread(makers)
    assert list((tmp_path / "files").iterdir()) == []
    made = await maker.make(SHOW, Wanted("poster", name="b.jpg"), lambda _: None)
    assert made.byte_count


def makers() -> dict[int, int]:
    """This process's children that make something, and how nice they are."""
    found: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"liveshop.video.making" in command:
            found[int(path.name)] = int(fields[16])
    return found


async def test_a_process_that_dies_is_a_failure(tmp_path: Path) -> None:
    await asyncio.to_thread(record, tmp_path, Take(seconds=12, width=640, height=360))
    has_begun = asyncio.Event()
    wanted = Wanted("clip", name="a.mp4", is_vertical=True)
    making = asyncio.create_task(
        Maker(Folders(tmp_path)).make(SHOW, wanted, lambda _: has_begun.set())
    )
    async with asyncio.timeout(30):
        await has_begun.wait()
    for pid in await asyncio.to_thread(makers):
        os.kill(pid, 9)
    with pytest.raises(MakingFailed, match="signal 9"):
        await making
    assert list((tmp_path / "files").iterdir()) == []
