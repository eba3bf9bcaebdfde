"""What of a show is on disk, and what viewers are told about it: also after a crash, on a full
disk, and after a day."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import m3u8
import pytest
from hls_rules import Playlist, check_next, checked
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_builders import Host, recorded
from sample_builders import ORIGIN, SMALL_VIDEO, pictures, sounds
from structlog.testing import capture_logs
from video_builders import demux, of_track

from liveshop.kernel.clock import ManualClock, SystemClock
from liveshop.kernel.ids import ShowId
from liveshop.video import recording
from liveshop.video.model import NoSuchSegment, NoVideo, Sample, Track
from liveshop.video.recorded import facts
from liveshop.video.recording import Recordings
from liveshop.video.recording_files import RecordingFiles
from liveshop.video.recording_index import INDEX

SHOW = ShowId("shw_1")


def has_playlist(files: RecordingFiles) -> bool:
    try:
        return bool(files.playlist())
    except NoVideo:
        return False


def listed(files: RecordingFiles) -> Playlist:
    m3u8.loads(files.playlist())
    return checked(files.playlist())


def number_of(uri: str | None) -> int:
    assert uri is not None
    return int(uri.removeprefix("chunk-").removesuffix(".m4s"))


def samples_in(files: RecordingFiles) -> list[Sample]:
    found: list[Sample] = []
    for segment in listed(files).complete:
        init = int(segment.init.removeprefix("init-").removesuffix(".mp4"))
        found += demux(files.init(init) + files.read(number_of(segment.uri)))
    return found


@pytest.fixture
def host() -> Host:
    host = Host()
    host.begin()
    return host


# -- chunks


def test_chunks_are_six_seconds_from_keyframe_to_keyframe(host: Host, tmp_path: Path) -> None:
    playlist = listed(recorded(tmp_path, host, 26))
    assert [segment.seconds for segment in playlist.complete] == [6.0] * 4
    assert [segment.starts_at for segment in playlist.complete] == [
        ORIGIN + timedelta(seconds=6 * count) for count in range(4)
    ]
    assert not playlist.is_ended
    assert playlist.first_msn == 0


def test_all_that_was_sent_is_in_them(host: Host, tmp_path: Path) -> None:
    samples = samples_in(recorded(tmp_path, host, 26))
    assert of_track(samples, Track.VIDEO) == list(pictures(24))
    assert of_track(samples, Track.AUDIO) == list(sounds(24))


def test_rare_keyframes_make_longer_chunks_and_none_at_all_makes_them_end_anyhow(
    tmp_path: Path,
) -> None:
    for number, (keyframe_every, seconds) in enumerate([(240, 8.0), (10_000, 11.7)]):
        host = Host(keyframe_every=keyframe_every)
        host.begin()
        playlist = listed(recorded(tmp_path / str(number), host, 60))
        assert len(playlist.complete) >= 4
        for segment in playlist.complete:
            assert segment.seconds == pytest.approx(seconds, abs=0.4)


def test_a_chunk_ends_with_its_publisher(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60)
    for segment in host.send(8):
        files.add(*segment)
    host.begin(SMALL_VIDEO)
    for segment in host.send(9):
        files.add(*segment)
    complete = listed(files).complete
    assert [segment.seconds for segment in complete] == [6.0, pytest.approx(2.0, abs=0.1), 6.0]
    assert [segment.discontinuity for segment in complete] == [0, 0, 1]
    assert [segment.init for segment in complete] == ["init-1000.mp4"] * 2 + ["init-1001.mp4"]


def test_what_was_gathered_can_be_had_at_once(host: Host, tmp_path: Path) -> None:
    files = recorded(tmp_path, host, 4)
    assert not has_playlist(files)
    assert not files.is_idle
    files.close()
    files.close()
    assert files.is_idle
    for segment in host.send(8):
        files.add(*segment)
    complete = listed(files).complete
    assert [(segment.seconds, segment.discontinuity) for segment in complete] == [(3, 0), (6, 0)]


def test_after_a_loss_it_goes_on_with_a_keyframe_and_a_discontinuity(tmp_path: Path) -> None:
    host = Host(keyframe_every=90)  # two segments from one to the next
    host.begin()
    segments = host.send(30)
    files = RecordingFiles(tmp_path, keep_seconds=60)
    for index, segment in enumerate(segments):
        if index != 1:
            files.add(*segment)
    complete = listed(files).complete
    first = next(s for s, _ in segments[2:] if s.is_independent)
    assert number_of(complete[1].uri) == first.entry.number
    assert [segment.discontinuity for segment in complete[:3]] == [0, 1, 1]


def test_a_segment_is_on_disk_as_soon_as_it_is_closed(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60)
    seconds = 0.0
    for segment in host.send(20):
        files.add(*segment)
        seconds += segment[0].entry.duration_seconds
        found = facts(tmp_path)
        assert found is not None
        assert found.seconds == pytest.approx(seconds)


# -- after a crash


def test_recording_goes_on_after_a_restart(host: Host, tmp_path: Path) -> None:
    before = listed(recorded(tmp_path, host, 20))
    files = RecordingFiles(tmp_path, keep_seconds=3600)
    files.load()
    check_next(before, listed(files))
    later = Host(first_number=90_000)
    later.begin()
    for segment in later.send(14):
        files.add(*segment)
    after = listed(files)
    check_next(before, after)
    # The chunk that was being written is there as far as it had come.
    assert [segment.seconds for segment in after.complete] == [6, 6, 6, 1, 6, 6]
    assert [segment.discontinuity for segment in after.complete] == [0, 0, 0, 0, 1, 1]
    assert len(of_track(samples_in(files), Track.VIDEO)) == 31 * 30


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_whatever_a_crash_leaves_of_the_index_is_taken_up(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("show")
    host = Host()
    host.begin()
    recorded(folder, host, 21)
    index = (folder / INDEX).read_bytes()
    last = max(folder.glob("chunk-*"))
    cut = data.draw(st.integers(0, len(index)))
    rubbish = data.draw(st.binary(max_size=30))
    (folder / INDEX).write_bytes(index[:cut] + rubbish)
    last.write_bytes(last.read_bytes() + data.draw(st.binary(max_size=30)))
    files = RecordingFiles(folder, keep_seconds=3600)
    files.load()
    kept = listed(files).complete if has_playlist(files) else []
    assert sum(segment.seconds for segment in kept) >= index[:cut].count(b"\n")
    assert len(of_track(samples_in(files), Track.VIDEO) if kept else []) == 30 * round(
        sum(segment.seconds for segment in kept)
    )
    later = Host(first_number=90_000)
    later.begin()
    for segment in later.send(8):
        files.add(*segment)
    again = RecordingFiles(folder, keep_seconds=3600)
    again.load()
    files.close()
    assert again.playlist() == files.playlist()
    assert len(listed(again).complete) == len(kept) + 2
    assert {path.name for path in folder.iterdir()} >= {s.uri for s in listed(again).complete}


def test_chunks_that_are_not_whole_are_left_out(host: Host, tmp_path: Path) -> None:
    before = listed(recorded(tmp_path, host, 33)).complete
    (tmp_path / str(before[1].uri)).write_bytes(b"half")
    (tmp_path / str(before[4].uri)).unlink()
    (tmp_path / "chunk-7.m4s").write_bytes(b"of nobody")
    files = RecordingFiles(tmp_path, keep_seconds=3600)
    files.load()
    complete = listed(files).complete
    assert [s.uri for s in complete[:-1]] == [before[index].uri for index in (0, 2, 3)]
    assert [s.discontinuity for s in complete] == [0, 1, 1, 2]
    with pytest.raises(NoSuchSegment):
        files.read(7)


# -- bounds


def test_what_is_older_than_kept_is_forgotten(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=60)
    before: Playlist | None = None
    segments = host.send(300)
    for number, segment in enumerate(segments):
        if number % 60 == 33:
            continue  # a discontinuity
        files.add(*segment)
        if not has_playlist(files):
            continue
        after = listed(files)
        if before is not None:
            check_next(before, after)
        before = after
    assert before is not None
    assert before.seconds == pytest.approx(66, abs=6)
    assert len(list(tmp_path.glob("chunk-*"))) < 25
    assert len(list(tmp_path.glob("init-*"))) == 1
    again = RecordingFiles(tmp_path, keep_seconds=60)
    again.load()
    files.close()
    assert listed(again) == listed(files)


def test_init_sections_go_with_their_chunks(host: Host, tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path, keep_seconds=30)
    for _ in range(8):
        for segment in host.send(10):
            files.add(*segment)
        host.begin()
    assert len(list(tmp_path.glob("init-*"))) <= 5
    assert samples_in(files)


def test_nothing_recorded_is_said_so(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path / "none", keep_seconds=60)
    files.load()
    files.end()
    with pytest.raises(NoVideo):
        files.playlist()
    with pytest.raises(NoSuchSegment):
        files.read(1)
    with pytest.raises(NoSuchSegment):
        files.init(1)


def test_end_of_the_show_is_remembered(host: Host, tmp_path: Path) -> None:
    files = recorded(tmp_path, host, 20)
    files.end()
    files.end()
    assert listed(files).is_ended
    again = RecordingFiles(tmp_path, keep_seconds=3600)
    again.load()
    assert listed(again).is_ended


# -- a disk that does not take it


class FullDisk:
    """Takes `room` bytes, each file as far as it goes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        take = Path.open

        def open_(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if self.room is None or "r" in mode:
                return take(path, mode, *rest, **options)
            if mode == "ab":
                take(path, mode, *rest, **options).close()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with take(path, mode) as file:
                file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "open", open_)


def test_a_full_disk_loses_rewind_and_tells_it_as_a_discontinuity(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    files = RecordingFiles(tmp_path, keep_seconds=3600)
    segments = host.send(40)
    for number, segment in enumerate(segments):
        disk.room = 0 if 9 <= number < 20 else None
        if disk.room is None:
            files.add(*segment)
            continue
        with pytest.raises(OSError, match="No space"):
            files.add(*segment)
        assert files.trouble
        assert not list(tmp_path.glob(f"chunk-{segment[0].entry.number}.*"))
    assert files.trouble is None
    complete = listed(files).complete
    assert [segment.seconds for segment in complete] == [6, 3, 6, 6, 6]
    assert [segment.discontinuity for segment in complete] == [0, 0, 1, 1, 1]
    assert len(of_track(samples_in(files), Track.VIDEO)) == 27 * 30
    again = RecordingFiles(tmp_path, keep_seconds=3600)
    again.load()
    files.close()
    assert again.playlist() == files.playlist()


def test_only_what_is_whole_is_given_out(host: Host, tmp_path: Path) -> None:
    """Caches keep for good what they got once."""
    files = RecordingFiles(tmp_path, keep_seconds=3600)
    (tmp_path / "init-1000.mp4").write_bytes(b"of another run")
    (tmp_path / "chunk-1000.m4s").write_bytes(b"half of it")
    for count, (segment, init) in enumerate(host.send(8)):
        assert has_playlist(files) == (count > 6)
        for read, number in ((files.read, 1000), (files.init, 1000)):
            if count == 0 or (read == files.read and count <= 6):
                with pytest.raises(NoSuchSegment):
                    read(number)
        files.add(segment, init)
        assert files.init(1000) == init
    assert len(of_track(samples_in(files), Track.VIDEO)) == 6 * 30


class SmallDisk:
    """Has `size` bytes, some of them taken by `others`."""

    def __init__(self, folder: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.size = size
        self.others = 0
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(self.free))

    @property
    def free(self) -> int:
        return self.size - self.others - self.taken

    @property
    def taken(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


class Usage(NamedTuple):
    free: int


LEAST_FREE = 400_000


def test_the_oldest_chunks_make_room_before_the_disk_is_full(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = host.send(300)
    room = 120 * max(segment.byte_count for segment, _ in segments)
    disk = SmallDisk(tmp_path, LEAST_FREE + room, monkeypatch)
    files = RecordingFiles(tmp_path, keep_seconds=3600, least_free_bytes=LEAST_FREE)
    before: Playlist | None = None
    for segment in segments:
        files.add(*segment)
        if not has_playlist(files):
            continue
        after = listed(files)
        if before is not None:
            check_next(before, after)
        before = after
        # The lines of the index are not counted before.
        assert disk.free > LEAST_FREE - 1000
    assert before is not None
    assert {segment.discontinuity for segment in before.complete} == {0}
    assert 12 < len(before.complete) < 22
    assert files.shortage is not None
    with pytest.raises(NoSuchSegment):
        files.read(segments[0][0].entry.number)
    again = RecordingFiles(tmp_path, keep_seconds=3600)
    again.load()
    files.close()
    assert listed(again) == listed(files)


def test_what_others_need_is_not_taken_and_three_target_durations_stay(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(tmp_path, 10**9, monkeypatch)
    files = RecordingFiles(tmp_path, keep_seconds=3600, least_free_bytes=LEAST_FREE)
    for segment in host.send(121):
        files.add(*segment)
    disk.others = disk.size
    for segment in host.send(12):
        with pytest.raises(OSError, match=r"video\.least_free_gib"):
            files.add(*segment)
    left = listed(files)
    assert left.seconds == 36
    assert left.first_msn == 14
    assert len(list(tmp_path.glob("chunk-*"))) == 6
    [after, *_] = host.send(1)
    disk.others = disk.size - disk.taken - LEAST_FREE - after[0].byte_count - LEAST_FREE // 16
    files.add(*after)
    assert files.shortage is not None  # or it would be said and unsaid with every segment
    disk.others = 0
    for segment in host.send(7):
        files.add(*segment)
    assert files.shortage is None
    assert [segment.discontinuity for segment in listed(files).complete] == [0] * 6 + [1]


def test_a_disk_full_by_other_measures_gets_room_for_what_comes_next(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    files = RecordingFiles(tmp_path, keep_seconds=3600)
    for segment in host.send(121):
        files.add(*segment)
    disk.room = 0
    for segment in host.send(18):
        with pytest.raises(OSError, match="No space"):
            files.add(*segment)
    left = listed(files)
    assert 3 <= left.first_msn <= 6
    assert len(list(tmp_path.glob("chunk-*"))) == len(left.complete)
    # The index could not take it, and the server dies now.
    again = RecordingFiles(tmp_path, keep_seconds=3600)
    disk.room = None
    again.load()
    assert listed(again) == left
    for segment in host.send(8):
        again.add(*segment)
    again.close()
    third = RecordingFiles(tmp_path, keep_seconds=3600)
    third.load()
    assert listed(third) == listed(again)


@asynccontextmanager
async def running(recordings: Recordings) -> AsyncIterator[None]:
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(recordings.run())
        yield
        task.cancel()


async def test_a_show_is_written_beside_the_event_loop(host: Host, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path, clock=SystemClock(), keep_seconds=3600, least_free_bytes=0)
    async with running(recordings):
        show = recordings.of(SHOW)
        assert recordings.of(SHOW) is show
        with pytest.raises(NoVideo):
            show.playlist()
        for segment in host.send(20):
            show.add(*segment)
        await recordings.wait_until_written()
        playlist = checked(show.playlist())
        assert len(playlist.complete) == 3
        assert demux(await show.init(1000) + await show.read(number_of(playlist.complete[1].uri)))
        show.pause()
        await recordings.wait_until_written()
        assert len(checked(show.playlist()).complete) == 4
        show.end()
        await recordings.wait_until_written()
        assert checked(show.playlist()).is_ended
    later = Recordings(tmp_path, clock=SystemClock(), keep_seconds=3600, least_free_bytes=0)
    async with running(later):
        again = later.of(SHOW)
        await later.wait_until_written()
        assert again.playlist() == show.playlist()


async def test_a_failing_disk_is_logged_once_and_the_show_goes_on(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    recordings = Recordings(tmp_path, clock=SystemClock(), keep_seconds=3600, least_free_bytes=0)
    with capture_logs() as logged:
        async with running(recordings):
            show = recordings.of(SHOW)
            for is_full in (False, True, False):
                disk.room = 0 if is_full else None
                for segment in host.send(20):
                    show.add(*segment)
                await recordings.wait_until_written()
    assert [line["event"] for line in logged] == ["recording.failing", "recording.works_again"]
    assert logged[0]["reason"] == "No space left on device"
    assert len({s.discontinuity for s in checked(show.playlist()).complete}) == 2


async def test_a_shortage_is_logged_once_though_chunks_are_written(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = host.send(120)
    recordings = Recordings(
        tmp_path, clock=SystemClock(), keep_seconds=3600, least_free_bytes=LEAST_FREE
    )
    room = 8 * sum(segment.byte_count for segment, _ in segments) // 18
    disk = SmallDisk(tmp_path, LEAST_FREE + room, monkeypatch)
    with capture_logs() as logged:
        async with running(recordings):
            show = recordings.of(SHOW)
            for segment in segments:
                show.add(*segment)
            await recordings.wait_until_written()
            assert [line["event"] for line in logged] == ["recording.failing"]
            disk.size *= 10
            for segment in host.send(8):
                show.add(*segment)
            await recordings.wait_until_written()
    assert [line["event"] for line in logged] == ["recording.failing", "recording.works_again"]
    assert "viewers cannot go back so far" in logged[0]["reason"]
    assert {s.discontinuity for s in checked(show.playlist()).complete} == {0}


async def test_a_show_that_is_over_makes_room_for_one_that_runs(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(datetime.now(UTC))
    for minutes, name in enumerate(["shw_paused", "shw_first", "shw_second", "shw_just_now"]):
        other = Host()
        other.begin()
        files = await asyncio.to_thread(recorded, tmp_path / name, other, 8)
        if name != "shw_paused":
            await asyncio.to_thread(files.end)
        changed_at = clock.now() - timedelta(minutes=40 - 12 * minutes)
        await asyncio.to_thread(os.utime, tmp_path / name / INDEX, (changed_at.timestamp(),) * 2)
    disk = SmallDisk(tmp_path, 10**9, monkeypatch)
    disk.others = disk.size
    recordings = Recordings(tmp_path, clock=clock, keep_seconds=3600, least_free_bytes=LEAST_FREE)
    with capture_logs() as logged:
        async with running(recordings):
            show = recordings.of(SHOW)
            for segment in host.send(8):
                show.add(*segment)
            await recordings.wait_until_written()
            show.pause()
            await recordings.wait_until_written()
            show.end()
            await recordings.wait_until_written()
    removed = [line["show_id"] for line in logged if line["event"] == "recording.removed"]
    assert removed == ["shw_first", "shw_second"]


async def test_a_slow_disk_does_not_fill_the_memory(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_WAITING_BYTES", 100_000)
    recordings = Recordings(tmp_path, clock=SystemClock(), keep_seconds=3600, least_free_bytes=0)
    show = recordings.of(SHOW)
    with capture_logs() as logged:
        for segment in host.send(300):  # nobody writes
            show.add(*segment)
    assert [line["event"] for line in logged] == ["recording.failing"]
    async with running(recordings):
        await recordings.wait_until_written()
        kept = len(checked(show.playlist()).complete)
        assert 1 <= kept < 6
        for segment in host.send(20):
            show.add(*segment)
        await recordings.wait_until_written()
    complete = checked(show.playlist()).complete
    assert len(complete) > kept
    assert complete[-1].discontinuity > 0


async def test_recordings_of_yesterday_are_removed(host: Host, tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC))
    await asyncio.to_thread(recorded, tmp_path / "shw_old", host, 8)
    other = Host()
    other.begin()
    await asyncio.to_thread(recorded, tmp_path / "shw_new", other, 8)
    times = ((clock.now() - timedelta(hours=25)).timestamp(),) * 2
    await asyncio.to_thread(os.utime, tmp_path / "shw_old" / INDEX, times)
    recordings = Recordings(tmp_path, clock=clock, keep_seconds=3600, least_free_bytes=0)
    with capture_logs() as logged:
        async with running(recordings):
            show = recordings.of(ShowId("shw_new"))
            await recordings.wait_until_written()
            assert show.playlist()
    assert [(line["event"], line["show_id"]) for line in logged] == [
        ("recording.removed", "shw_old")
    ]
    assert [path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == [
        "shw_new"
    ]
