"""Recordings that move to a storage: a real one with an S3 API (OpenStack Swift, in processes of
its own), which is killed and hangs under them."""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from recording_builders import Host
from sample_builders import ORIGIN
from structlog.testing import capture_logs
from swift_server import KEY_ID, SECRET, SwiftServer, swift_server
from video_builders import demux

from liveshop.kernel.clock import SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.settings import VideoSettings
from liveshop.video import recording_rounds
from liveshop.video.archive import ArchiveAway, NotArchived
from liveshop.video.archive_s3 import S3Archive, _Upload
from liveshop.video.archive_threads import Threads
from liveshop.video.model import NoRecording, NoSuchSegment, RecordingAway
from liveshop.video.recorded import Facts, pieces
from liveshop.video.recording import Recordings
from liveshop.video.recording_kept import KeptRecordings

SHOW = ShowId("shw_1")


class Usage(NamedTuple):
    free: int


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    with swift_server(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture
def archive(swift: SwiftServer, request: pytest.FixtureRequest) -> S3Archive:
    """A folder of its own for each test."""
    return S3Archive(swift.settings(f"shop/{request.node.name}"), ask_seconds=3)


@asynccontextmanager
async def recordings(
    root: Path, archive: S3Archive | None, *, least_free_bytes: int = 0
) -> AsyncIterator[Recordings]:
    made = Recordings(
        root,
        clock=SystemClock(),
        keep_seconds=3600,
        least_free_bytes=least_free_bytes,
        is_kept=True,
        archive=archive,
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.run())
        yield made
        task.cancel()


async def recorded(made: Recordings, seconds: int = 20) -> Facts:
    """A show that has ended, told once."""
    told: asyncio.Queue[Facts] = asyncio.Queue()

    async def on_ended(show_id: ShowId, what: Facts) -> None:
        assert show_id == SHOW
        told.put_nowait(what)

    made.on_ended = on_ended
    host = Host()
    host.begin()
    for segment in host.send(seconds):
        made.of(SHOW).add(*segment)
    made.end(SHOW)
    return await told.get()


async def until_archived(made: Recordings) -> None:
    async with asyncio.timeout(20):
        while not await made.is_archived(SHOW):
            await asyncio.sleep(0.02)  # between two looks


def local_chunks(root: Path) -> set[str]:
    return {path.name for path in (root / SHOW).glob("chunk-*")}


async def played(made: Recordings) -> bytes:
    replay = await made.replay(SHOW, None, None)
    return b"".join(
        [
            await made.chunk(SHOW, number, one.start, one.stop)
            for number, one in replay.shown.items()
        ]
    )


async def test_the_port_as_a_storage_has_it(archive: S3Archive, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)  # more than one part
    await archive.put("shw_1/large", large)
    await archive.put("shw_1/files/a.jpg", large)
    assert await archive.size("shw_1/large") == 12_800_000
    assert await archive.read("shw_1/large", 12_799_998, 12_800_000) == b"\xfe\xff"
    assert await archive.sizes("shw_1") == {
        "shw_1/large": 12_800_000,
        "shw_1/files/a.jpg": 12_800_000,
    }
    assert await archive.sizes("shw_2") == {}
    await archive.remove("shw_1/large")
    await archive.remove("shw_1/large")
    for missing in (archive.size("shw_1/large"), archive.read("shw_1/large", 0, 1)):
        with pytest.raises(NotArchived):
            await missing
    await archive.remove_folder("shw_1")
    await archive.remove_folder("shw_1")
    assert await archive.sizes("shw_1") == {}
    with pytest.raises(OSError, match="No such file"):
        await archive.put("shw_1/none", tmp_path / "none")


async def test_a_show_moves_there_and_plays_and_is_worked_with_as_before(
    archive: S3Archive, tmp_path: Path
) -> None:
    async with recordings(tmp_path, archive) as made:
        known = await recorded(made)
        before = await played(made)
        text = await made.replay_playlist(SHOW, None, None)
        await until_archived(made)
        await made.drop_fetched(SHOW)
        assert not local_chunks(tmp_path)
        assert await made.facts(SHOW) == known
        assert await made.replay_playlist(SHOW, None, None) == text
        assert await played(made) == before
        later = ORIGIN + timedelta(seconds=8), ORIGIN + timedelta(seconds=9)
        assert "-" in (await made.replay_playlist(SHOW, *later)).partition("chunk-")[2]

        async def work() -> None:
            folder = await made.local_folder(SHOW)
            await made.drop_unused(after_seconds=0)  # it works with it still
            found = await asyncio.to_thread(lambda: list(pieces(folder)))
            assert sum(piece.seconds for piece in found) == known.seconds
            assert demux(found[0].init + found[0].data)

        await asyncio.create_task(work())
        await asyncio.sleep(0)  # what waits for its end has run
        await made.drop_unused()
        assert local_chunks(tmp_path)
        await made.drop_unused(after_seconds=0)
        assert not local_chunks(tmp_path)

        path = made.file_path(SHOW, "rcf_1.mp4")
        path.parent.mkdir()
        path.write_bytes(b"0123456789" * 200_000)
        await made.keep_file(SHOW, "rcf_1.mp4")
        while path.exists():  # it moves
            await asyncio.sleep(0.02)  # between two looks
        assert await made.file_size(SHOW, "rcf_1.mp4") == 2_000_000
        read = [block async for block in made.read_file(SHOW, "rcf_1.mp4", 5, 2_000_000)]
        assert len(read) == 2
        assert b"".join(read)[:7] == b"5678901"
        await made.remove_file(SHOW, "rcf_1.mp4")
        with pytest.raises(NoSuchSegment):
            await made.file_size(SHOW, "rcf_1.mp4")
    # After a restart nothing is told or moved anew.
    async with recordings(tmp_path, archive) as again:
        assert await again.facts(SHOW) == known
        assert await played(again) == before
        await again.remove(SHOW)
        await again.remove(SHOW)
        assert await again.facts(SHOW) is None
        assert await archive.sizes(SHOW) == {}
        with pytest.raises(NoRecording):
            await again.local_folder(SHOW)


async def test_what_is_fetched_back_leaves_room_for_others_and_is_no_more_than_is_needed(
    archive: S3Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recordings(tmp_path, archive, least_free_bytes=1000) as made:
        await recorded(made)
        await until_archived(made)
        await made.drop_fetched(SHOW)
        chunks = (await made._state(SHOW)).kept
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(chunks[1].byte_count + 1000))
        with pytest.raises(RecordingAway, match="not enough room") as away:
            await made.local_folder(SHOW)
        assert away.value.retryable
        assert not local_chunks(tmp_path)
        span = ORIGIN + timedelta(seconds=7), ORIGIN + timedelta(seconds=9)
        folder = await made.local_folder(SHOW, *span)
        assert local_chunks(tmp_path) == {f"chunk-{chunks[1].number}.m4s"}
        [piece] = await asyncio.to_thread(lambda: list(pieces(folder, *span)))
        assert piece.seconds == 2


async def test_what_is_deleted_while_it_is_sent_is_deleted_there_too(
    archive: S3Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = KeptRecordings(tmp_path, archive)
    path = made.file_path(SHOW, "rcf_1.mp4")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"film")
    put = archive.put

    async def put_late(key: str, path: Path) -> None:
        await made.remove_file(SHOW, "rcf_1.mp4")
        # It was open, and is sent all the same.
        await asyncio.to_thread(path.write_bytes, b"film")
        await put(key, path)
        await asyncio.to_thread(path.unlink)

    monkeypatch.setattr(archive, "put", put_late)
    await made.keep_files(SHOW)
    with pytest.raises(NoSuchSegment):
        await made.file_size(SHOW, "rcf_1.mp4")


async def test_a_storage_that_is_gone_loses_nothing_and_the_move_is_taken_up_again(
    swift: SwiftServer,
    archive: S3Archive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_rounds, "_AGAIN_SECONDS", (0.2,))
    swift.stop("proxy")
    try:
        with capture_logs() as logged:
            async with recordings(tmp_path, archive) as made:
                known = await recorded(made)
                async with asyncio.timeout(20):
                    while not any(line["event"] == "recording.waits" for line in logged):
                        await asyncio.sleep(0.02)  # between two looks
                assert await played(made)
                made.file_path(SHOW, "rcf_1.mp4").parent.mkdir()
                made.file_path(SHOW, "rcf_1.mp4").write_bytes(b"film")
                await made.keep_file(SHOW, "rcf_1.mp4")
                assert await made.file_size(SHOW, "rcf_1.mp4") == 4
                with pytest.raises(ArchiveAway) as away:
                    await archive.size("shw_1/chunk-1000.m4s")
                assert away.value.retryable
                assert await made.facts(SHOW) == known
    finally:
        swift.start("proxy")
        swift.until_ready()
    async with recordings(tmp_path, archive) as again:
        await until_archived(again)
        await again.drop_fetched(SHOW)
        assert await played(again)
        while await asyncio.to_thread(again.file_path(SHOW, "rcf_1.mp4").exists):
            await asyncio.sleep(0.02)  # between two looks
        assert await again.file_size(SHOW, "rcf_1.mp4") == 4
        swift.hang("proxy")
        try:
            with pytest.raises(ArchiveAway):
                await played(again)
            assert await again.facts(SHOW) == known
        finally:
            swift.go_on("proxy")
        assert await played(again)


class Slow(S3Archive):
    """Begins to put a file, and goes on when it is told to."""

    def __init__(self, settings: VideoSettings) -> None:
        super().__init__(settings)
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def put(self, key: str, path: Path) -> None:
        self.begun.set()
        await self.may_go_on.wait()
        await super().put(key, path)


async def test_what_is_deleted_while_it_moves_is_deleted_there_too(
    swift: SwiftServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_rounds, "_AGAIN_SECONDS", (0.05,))
    archive = Slow(swift.settings("slow"))
    async with recordings(tmp_path, archive) as made:
        await recorded(made)
        await archive.begun.wait()
        await made.remove(SHOW)
        # The file that was on its way comes after all.
        late = tmp_path / "late"
        late.write_bytes(b"some seconds")
        await S3Archive.put(archive, f"{SHOW}/chunk-1000.m4s", late)
        assert await archive.sizes(SHOW)
        archive.may_go_on.set()
        async with asyncio.timeout(10):
            while await archive.sizes(SHOW):
                await asyncio.sleep(0.02)  # between two looks


class Ponderous(S3Archive):
    """Its storage takes no upload before it may, and counts how many are sent at once."""

    def __init__(self, settings: VideoSettings) -> None:
        super().__init__(settings, ask_seconds=3)
        self.may_go_on = threading.Event()
        self.sending: list[str] = []
        self.most_of_one = 0

    def _sent(self, key: str, path: Path, stopped: threading.Event) -> None:
        self.sending.append(key)
        self.most_of_one = max(self.most_of_one, self.sending.count(key))
        assert self.may_go_on.wait(20)
        try:
            super()._sent(key, path, stopped)
        finally:
            self.sending.remove(key)


async def test_uploads_that_take_long_keep_nobody_from_reading_and_are_not_begun_twice(
    swift: SwiftServer, tmp_path: Path
) -> None:
    there = S3Archive(swift.settings("ponderous"), ask_seconds=3)
    path = tmp_path / "film"
    path.write_bytes(b"film")
    await there.put("shw_1/film", path)
    archive = Ponderous(swift.settings("ponderous"))
    try:
        async with asyncio.timeout(20):
            for _ in range(3):
                put = asyncio.create_task(archive.put("shw_1/film", path))
                await asyncio.sleep(0.05)  # it is sent, or waits
                put.cancel()
                await asyncio.wait({put})
            last = asyncio.create_task(archive.put("shw_1/film", path))
            others = [
                asyncio.create_task(archive.put(f"shw_1/film-{number}", path))
                for number in range(6)
            ]
            assert await archive.read("shw_1/film", 0, 4) == b"film"
            assert await archive.size("shw_1/film") == 4
            archive.may_go_on.set()
            await asyncio.gather(last, *others)
    finally:
        archive.may_go_on.set()
    assert archive.most_of_one == 1
    assert len(await archive.sizes("shw_1")) == 7


async def test_an_upload_that_nobody_waits_for_ends_in_the_middle(
    archive: S3Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film"
    path.write_bytes(bytes(16 * 2**20))
    has_begun = threading.Event()
    read = _Upload.read

    def slowly(file: _Upload, size: int | None = -1, /) -> bytes:
        data = read(file, size)
        has_begun.set()
        assert file.stopped.wait(10)
        return data

    monkeypatch.setattr(_Upload, "read", slowly)
    put = asyncio.create_task(archive.put("shw_1/film", path))
    await asyncio.to_thread(has_begun.wait, 10)
    put.cancel()
    async with asyncio.timeout(10):
        while archive._uploading:
            await asyncio.sleep(0.01)  # between two looks
    assert await archive.sizes("shw_1") == {}


async def test_readers_in_a_crowd_are_all_served_and_too_many_turned_away() -> None:
    threads = Threads("crowd", most=2, most_waiting=18, seconds=5)

    def read() -> bool:
        time.sleep(0.05)
        return True

    # The last ones wait longer than an answer may take.
    served = [asyncio.create_task(threads.do(read, 0.3)) for _ in range(20)]
    await asyncio.sleep(0)  # they stand in line
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await threads.do(read, 0.3)
    assert await asyncio.gather(*served) == [True] * 20
    assert await threads.do(read, 0.3)
    # What hangs keeps its threads for as long, and nobody else is let in.
    ended = threading.Event()
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await threads.do(lambda: ended.wait(10), 0.02)
        hurried = asyncio.create_task(threads.do(read, 0.3))
        await asyncio.sleep(0.05)  # time in which nothing happens
        assert not hurried.done()
    finally:
        ended.set()
    assert await hurried


async def test_a_wrong_key_is_told_without_being_named(
    swift: SwiftServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    archive = S3Archive(swift.settings("wrong", secret="not-the-secret"), ask_seconds=3)
    with capture_logs() as logged, pytest.raises(ArchiveAway, match="rights") as refused:
        await archive.size("shw_1/chunk-1.m4s")
    told = f"{refused.value} {logged} {caplog.text}"
    assert not any(word in told for word in (SECRET, KEY_ID, "not-the-secret"))
    assert refused.value.__cause__ is None
