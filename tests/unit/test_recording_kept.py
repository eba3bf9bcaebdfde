"""Recordings that are kept: nothing of them is forgotten, they stand still where there is no room,
and whoever makes a replay of them is told once they are complete."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hls_rules import checked
from recording_builders import Host, recorded
from sample_builders import ORIGIN
from structlog.testing import capture_logs

from liveshop.kernel.clock import ManualClock
from liveshop.kernel.errors import Unavailable
from liveshop.kernel.ids import ShowId
from liveshop.video import recording, recording_files, recording_kept, recording_rounds
from liveshop.video.model import NoRecording, NoSuchSegment, RecordingAway
from liveshop.video.recorded import Facts, facts, pieces
from liveshop.video.recording import Recordings
from liveshop.video.recording_files import RecordingFiles
from liveshop.video.recording_index import INDEX, read_state
from liveshop.video.service import VideoService

SHOW = ShowId("shw_1")
LEAST_FREE = 400_000


class Disk:
    """Has so much room, or is full by a measure of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10**9
        self.is_full = False
        append = recording_files.append

        def appended(path: Path, parts: list[bytes], size: int) -> None:
            if self.is_full:
                append(path, [parts[0][:10]], size)
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            append(path, parts, size)

        monkeypatch.setattr(recording_files, "append", appended)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(self.free))


class Usage(NamedTuple):
    free: int


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def host() -> Host:
    host = Host()
    host.begin()
    return host


def known(folder: Path) -> Facts:
    found = facts(folder)
    assert found is not None
    return found


def test_what_can_be_rewound_to_is_the_end_of_what_is_kept(host: Host, tmp_path: Path) -> None:
    files = recorded(tmp_path / "kept", host, 300, keep_seconds=60, is_kept=True)
    other = Host()
    other.begin()
    forgetful = recorded(tmp_path / "other", other, 300, keep_seconds=60)
    assert files.playlist() == forgetful.playlist()
    whole = known(tmp_path / "kept")
    assert (whole.started_at, whole.seconds, whole.gaps) == (ORIGIN, 299.0, 0)
    assert files.read(1000)
    again = RecordingFiles(tmp_path / "kept", keep_seconds=60)
    again.load()
    files.close()
    assert again.playlist() == files.playlist()
    # What was begun to be kept is kept, whatever the settings say later.
    late = Host(90_000, late_seconds=300)
    late.begin()
    for segment in late.send(100):
        again.add(*segment)
    assert known(tmp_path / "kept").started_at == ORIGIN


@pytest.mark.parametrize("how", ["short", "full"])
def test_without_room_it_stands_still_and_goes_on_by_itself(
    host: Host, tmp_path: Path, disk: Disk, how: str
) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60, least_free_bytes=LEAST_FREE, is_kept=True)
    for segment in host.send(21):
        files.add(*segment)
    before = known(tmp_path)
    disk.free, disk.is_full = (LEAST_FREE, False) if how == "short" else (disk.free, True)
    for segment in host.send(10):
        with pytest.raises(OSError, match="least_free_gib" if how == "short" else "quota"):
            files.add(*segment)
    assert files.trouble
    assert known(tmp_path) == before
    disk.free, disk.is_full = LEAST_FREE + LEAST_FREE // 16, False
    if how == "short":  # clearly more, or it would stutter
        for segment in host.send(1):
            with pytest.raises(OSError, match="until there is room"):
                files.add(*segment)
    disk.free = 10**9
    for segment in host.send(10):
        files.add(*segment)
    files.end()
    after = known(tmp_path)
    assert (after.gaps, after.seconds) == (1, before.seconds + 10)
    assert after.shortage is not None
    assert ("least_free_gib" if how == "short" else "quota") in after.shortage
    assert files.trouble is None
    again = RecordingFiles(tmp_path, keep_seconds=3600)
    again.load()
    assert checked(again.playlist()).complete[0].discontinuity == 0


def test_one_that_is_kept_ends_after_its_hours_and_says_so(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60, is_kept=True, longest_seconds=20)
    for segment in host.send(31):
        files.add(*segment)
    assert files.trouble == "Recordings end after 0.00555556 hours (video.recording_hours)."
    assert files.shortage is None, "the disk has room: nothing else is removed for it"
    assert files.is_idle, "all there is can be watched"
    assert (known(tmp_path).started_at, known(tmp_path).seconds) == (ORIGIN, 20)
    again = RecordingFiles(tmp_path, keep_seconds=60, is_kept=True, longest_seconds=20)
    late = Host(90_000, late_seconds=31)
    late.begin()
    for segment in late.send(10):
        again.add(*segment)
    again.end()
    ended = known(tmp_path)
    assert (ended.seconds, ended.gaps, ended.is_ended) == (20, 0, True)
    assert "video.recording_hours" in (ended.shortage or "")


def test_what_is_recorded_for_rewinding_alone_goes_on_for_ever(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60, longest_seconds=20)
    for segment in host.send(31):
        files.add(*segment)
    assert files.trouble is None
    assert known(tmp_path).seconds == 30


def test_a_folder_that_vanishes_is_said_and_begun_anew(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "show"
    files = recorded(folder, host, 20, is_kept=True)
    shutil.rmtree(folder)
    [lost, *later] = host.send(12)
    with pytest.raises(OSError, match="gone"):
        files.add(*lost)
    for segment in later:
        files.add(*segment)
    files.end()
    assert known(folder).seconds == 11
    assert "gone" in (known(folder).shortage or "")
    (folder / "chunk-1000.m4s").write_bytes(b"of nobody")
    with pytest.raises(NoSuchSegment):
        files.read(1000)


def test_a_chunk_that_was_taken_away_while_it_was_written_is_not_named(
    host: Host, tmp_path: Path
) -> None:
    files = recorded(tmp_path, host, 10, is_kept=True)
    (tmp_path / "chunk-1006.m4s").unlink()
    with pytest.raises(OSError, match="not as it was left"):
        for segment in host.send(1):
            files.add(*segment)
    for segment in host.send(8):
        files.add(*segment)
    files.end()
    uris = [one.uri for one in checked(files.playlist()).complete]
    assert "chunk-1006.m4s" not in uris
    assert len(uris) == 3


# -- beside the event loop


def recordings_in(root: Path, clock: ManualClock) -> Recordings:
    return Recordings(root, clock=clock, keep_seconds=60, least_free_bytes=LEAST_FREE, is_kept=True)


@asynccontextmanager
async def running(made: Recordings) -> AsyncIterator[None]:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(made.run())
        yield
        task.cancel()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


class Listener:
    """Is told of recordings, the first times in vain."""

    def __init__(self, *, fails: int = 0) -> None:
        self.told: asyncio.Queue[tuple[ShowId, Facts]] = asyncio.Queue()
        self.fails = fails

    async def __call__(self, show_id: ShowId, what: Facts) -> None:
        self.told.put_nowait((show_id, what))
        if self.told.qsize() <= self.fails:
            raise Unavailable("The database is away.")


async def test_the_end_is_told_when_all_is_on_disk_and_again_until_it_was_heard(
    host: Host, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_rounds, "_AGAIN_SECONDS", (0.01,))
    made = recordings_in(tmp_path, clock)
    made.on_ended = listener = Listener(fails=2)
    async with running(made):
        for segment in host.send(20):
            made.of(SHOW).add(*segment)
        made.end(SHOW)
        made.end(SHOW)
        made.end(ShowId("shw_none"))
        while listener.told.qsize() < 3:
            await asyncio.sleep(0.01)  # between two looks
        await made.wait_until_written()
        while not (await made._state(SHOW)).is_told:
            await asyncio.sleep(0.01)  # between two looks
        assert made._recordings.keys() == {SHOW}
    what = await asyncio.to_thread(known, tmp_path / SHOW)
    assert what.is_ended
    assert [listener.told.get_nowait() for _ in range(3)] == [(SHOW, what)] * 3
    assert listener.told.empty()
    again = recordings_in(tmp_path, clock)
    again.on_ended = listener
    async with running(again):
        await asyncio.sleep(0.1)  # nothing happens
        assert listener.told.empty()
        assert await again.unended() == []


async def test_an_end_that_nobody_was_told_is_told_after_a_restart(
    host: Host, tmp_path: Path, clock: ManualClock
) -> None:
    files = await asyncio.to_thread(recorded, tmp_path / "shw_1", host, 20, is_kept=True)
    await asyncio.to_thread(files.end)
    other = Host()
    other.begin()
    await asyncio.to_thread(recorded, tmp_path / "shw_2", other, 20, is_kept=True)
    made = recordings_in(tmp_path, clock)
    made.on_ended = listener = Listener()
    async with running(made):
        assert (await listener.told.get())[0] == "shw_1"
        assert await made.unended() == ["shw_2"]
        made.end(ShowId("shw_2"))  # it ended while no server ran
        show_id, what = await listener.told.get()
        assert (show_id, what.seconds, what.is_ended) == ("shw_2", 19.0, True)
        assert await made.unended() == []


async def test_what_is_missing_is_said_while_it_is_and_afterwards(
    host: Host, tmp_path: Path, clock: ManualClock, disk: Disk
) -> None:
    made = recordings_in(tmp_path, clock)
    service = VideoService(clock=clock, recordings=made)
    with capture_logs() as logged:
        async with running(made):
            show = made.of(SHOW)
            for free in (10**9, LEAST_FREE, 10**9):
                disk.free = free
                for segment in host.send(10):
                    show.add(*segment)
                await made.wait_until_written()
                found = await made.facts(SHOW)
                assert found is not None
                is_short = free == LEAST_FREE
                assert (service.recording_shortage(SHOW) is not None) == is_short
                assert is_short <= (found.shortage is not None)
    assert [line["event"] for line in logged] == ["recording.failing", "recording.works_again"]
    assert "until there is room" in (found.shortage or "")
    assert found.gaps == 1


async def test_age_removes_nothing_that_is_kept_and_a_short_disk_neither(
    host: Host, tmp_path: Path, clock: ManualClock, disk: Disk
) -> None:
    files = await asyncio.to_thread(recorded, tmp_path / "shw_old", host, 20, is_kept=True)
    await asyncio.to_thread(files.end)
    long_ago = ((clock.now() - timedelta(days=400)).timestamp(),) * 2
    await asyncio.to_thread(os.utime, tmp_path / "shw_old" / INDEX, long_ago)
    for is_kept in (True, False):
        disk.free = LEAST_FREE
        made = Recordings(
            tmp_path, clock=clock, keep_seconds=60, least_free_bytes=LEAST_FREE, is_kept=is_kept
        )
        async with running(made):
            other = Host()
            other.begin()
            for segment in other.send(8):
                made.of(SHOW).add(*segment)
            await made.wait_until_written()
            assert await made.facts(ShowId("shw_old")) is not None
    await made.remove(ShowId("shw_old"))
    assert await made.facts(ShowId("shw_old")) is None


async def test_a_short_disk_is_searched_for_room_once_a_minute(
    host: Host, tmp_path: Path, clock: ManualClock, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = await asyncio.to_thread(recorded, tmp_path / "shw_old", host, 20, is_kept=True)
    await asyncio.to_thread(files.end)
    long_ago = ((clock.now() - timedelta(days=400)).timestamp(),) * 2
    await asyncio.to_thread(os.utime, tmp_path / "shw_old" / INDEX, long_ago)
    looked = 0
    remove_ended = recording.remove_ended

    def counted(root: Path, since: datetime, busy: Collection[str]) -> list[str]:
        nonlocal looked
        looked += 1
        return remove_ended(root, since, busy)

    monkeypatch.setattr(recording, "remove_ended", counted)
    made = recordings_in(tmp_path, clock)
    disk.free = LEAST_FREE
    async with running(made):
        other = Host()
        other.begin()
        for segment in other.send(30):
            made.of(SHOW).add(*segment)
        await made.wait_until_written()
    assert looked == 1


async def test_what_is_kept_and_of_no_use_is_found(
    host: Host, tmp_path: Path, clock: ManualClock
) -> None:
    files = await asyncio.to_thread(recorded, tmp_path / "shw_ended", host, 20, is_kept=True)
    await asyncio.to_thread(files.end)
    other = Host()
    other.begin()
    await asyncio.to_thread(recorded, tmp_path / "shw_paused", other, 20, is_kept=True)
    # A crash came between the promise to keep it and its first chunk.
    (tmp_path / "shw_empty").mkdir()
    (tmp_path / "shw_empty" / INDEX).write_bytes(b'{"kept":true}\n')
    for name in ("shw_ended", "shw_paused", "shw_empty"):
        long_ago = ((clock.now() - timedelta(days=40)).timestamp(),) * 2
        await asyncio.to_thread(os.utime, tmp_path / name / INDEX, long_ago)
    made = recordings_in(tmp_path, clock)
    assert await made.ended_before(clock.now() - timedelta(days=30)) == ["shw_ended"]
    assert await made.ended_before(clock.now() - timedelta(days=50)) == []
    async with running(made):
        while (tmp_path / "shw_empty").exists():
            await asyncio.sleep(0.01)  # between two looks
        assert await made.facts(ShowId("shw_paused")) is not None


async def test_a_running_show_can_be_worked_with_as_far_as_it_will_not_change(
    host: Host, tmp_path: Path, clock: ManualClock
) -> None:
    made = recordings_in(tmp_path, clock)
    async with running(made):
        with pytest.raises(NoRecording):
            await made.replay_playlist(SHOW, None, None)
        for segment in host.send(20):
            made.of(SHOW).add(*segment)
        await made.wait_until_written()
        before = await made.replay(SHOW, None, None)
        assert len(before.shown) == 3
        for segment in host.send(2):
            made.of(SHOW).add(*segment)
        made.end(SHOW)
        await made.wait_until_written()
        after = await made.replay(SHOW, None, None)
        assert after.text.startswith(before.text.removesuffix("#EXT-X-ENDLIST\n"))


async def test_what_is_removed_twice_at_once_is_gone_when_either_says_so(
    host: Host, tmp_path: Path, clock: ManualClock
) -> None:
    await asyncio.to_thread(recorded, tmp_path / SHOW, host, 20, is_kept=True)
    for number in range(1000):
        (tmp_path / SHOW / f"chunk-{number}.m4s").write_bytes(b"")
    made = recordings_in(tmp_path, clock)

    async def remove() -> bool:
        await made.remove(SHOW)
        return (tmp_path / SHOW).exists()

    assert await asyncio.gather(*(remove() for _ in range(4))) == [False] * 4


def test_another_process_that_removes_it_too_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chunk-1.m4s").write_bytes(b"")
    rmtree = shutil.rmtree

    def overtaken(folder: Path) -> None:
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        raise FileNotFoundError(errno.ENOENT, "", "chunk-1.m4s")

    monkeypatch.setattr(shutil, "rmtree", overtaken)
    recording_kept._remove_folder(tmp_path)
    assert not tmp_path.exists()


async def test_the_index_of_a_running_show_is_not_read_to_tell_of_it(
    host: Host, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recordings_in(tmp_path, clock)
    async with running(made):
        for segment in host.send(21):
            made.of(SHOW).add(*segment)
        await made.wait_until_written()
        on_disk = await asyncio.to_thread(known, tmp_path / SHOW)
        assert on_disk.seconds == 20
        with monkeypatch.context() as unreadable:
            unreadable.delattr(recording_kept, "read_state")
            assert await made.facts(SHOW) == on_disk
        made.end(SHOW)
        await made.wait_until_written()
        ended = await made.facts(SHOW)
        assert ended is not None
        assert ended.is_ended


def test_a_clock_that_is_set_back_leaves_the_recording_in_order(host: Host, tmp_path: Path) -> None:
    files = recorded(tmp_path, host, 20, is_kept=True)
    late = Host(90_000, late_seconds=10)
    late.begin()
    for segment in late.send(20):
        files.add(*segment)
    files.end()
    assert (known(tmp_path).seconds, known(tmp_path).gaps) == (38, 0)
    chunks = read_state(tmp_path).kept
    assert all(one.ends_at <= later.starts_at for one, later in pairwise(chunks))
    found = list(pieces(tmp_path, ORIGIN + timedelta(seconds=6), ORIGIN + timedelta(seconds=25)))
    assert sum(piece.seconds for piece in found) == 19


async def test_one_that_cannot_be_read_is_told_as_such(
    host: Host, tmp_path: Path, clock: ManualClock
) -> None:
    await asyncio.to_thread(recorded, tmp_path / SHOW, host, 20, is_kept=True)
    made = recordings_in(tmp_path, clock)
    before = await made.facts(SHOW)
    index = tmp_path / SHOW / INDEX
    lines = index.read_bytes()
    for damage in (
        b'{"number":9,"init":1,"at":"2026-01-01T00:00:00","seconds":1.0,"bytes":1}\n',
        b'{"number":9,"init":1,"at":"2026-01-01T00:00:00Z","seconds":1e300,"bytes":1}\n',
        b"\xff\n",
    ):
        index.write_bytes(lines + damage)
        assert await made.facts(SHOW) == before
    index.unlink()
    index.mkdir()
    with pytest.raises(RecordingAway):
        await made.facts(SHOW)
    assert await made.ended_before(clock.now() + timedelta(days=1)) == []
    assert await made.unended() == []


async def test_names_that_are_none_lead_nowhere(tmp_path: Path, clock: ManualClock) -> None:
    made = recordings_in(tmp_path, clock)
    for name in ("", "../index.jsonl", "a/b.mp4", ".mp4", "x.exe", "a" * 100):
        with pytest.raises(NoSuchSegment):
            made.file_path(SHOW, name)
    for show_id in ("", "..", "a/b", "shw_1/../x"):
        with pytest.raises(NoRecording):
            made.file_path(ShowId(show_id), "rcf_1.mp4")
        assert await made.facts(ShowId(show_id)) is None
