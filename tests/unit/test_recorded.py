"""A recording read back: whole and cut at keyframes, as whoever makes something of it has it."""

from datetime import timedelta
from pathlib import Path

import pytest
from recording_builders import Host, recorded
from sample_builders import ORIGIN, SMALL_VIDEO
from video_builders import demux, make_film_file, of_track

from liveshop.video.fmp4_reading import BrokenChunk, fragments_in
from liveshop.video.model import Sample, Track
from liveshop.video.recorded import Piece, facts, pieces


def at(seconds: float) -> "timedelta":
    return timedelta(seconds=seconds)


def samples_in(found: list[Piece], track: Track) -> list[Sample]:
    return [one for piece in found for one in of_track(demux(piece.init + piece.data), track)]


def test_facts_of_a_recording(tmp_path: Path) -> None:
    assert facts(tmp_path) is None
    host = Host()
    host.begin()
    files = recorded(tmp_path, host, 20)
    found = facts(tmp_path)
    assert found is not None
    assert (found.started_at, found.gaps, found.is_ended) == (ORIGIN, 0, False)
    assert found.ended_at == ORIGIN + at(found.seconds)
    assert found.byte_count == sum(path.stat().st_size for path in tmp_path.glob("chunk-*"))
    files.end()
    ended = facts(tmp_path)
    assert ended is not None
    assert ended.is_ended


def test_the_whole_of_it_is_every_sample_once(tmp_path: Path) -> None:
    host = Host()
    host.begin()
    recorded(tmp_path, host, 26)
    found = list(pieces(tmp_path))
    whole = facts(tmp_path)
    assert whole is not None
    assert sum(piece.seconds for piece in found) == whole.seconds
    pictures = samples_in(found, Track.VIDEO)
    assert [one.dts for one in pictures] == [3000 * index for index in range(len(pictures))]
    assert len(pictures) == 30 * whole.seconds
    assert not any(piece.is_discontinuous for piece in found)


@pytest.mark.parametrize(
    ("from_seconds", "until_seconds", "first", "after_last"),
    [
        (0.0, 3.0, 0, 90),
        (0.5, 2.5, 0, 90),
        (3.0, 4.0, 90, 120),
        (4.9, 13.1, 120, 420),
        (6.0, 12.0, 180, 360),
        (7.9, 8.1, 210, 270),
        (7.9999, 8.0001, 240, 270),
        (-50.0, 1.5, 0, 60),
    ],
)
def test_it_is_cut_at_keyframes(
    tmp_path: Path, from_seconds: float, until_seconds: float, first: int, after_last: int
) -> None:
    host = Host()
    host.begin()
    recorded(tmp_path, host, 26)
    found = list(pieces(tmp_path, ORIGIN + at(from_seconds), ORIGIN + at(until_seconds)))
    pictures = samples_in(found, Track.VIDEO)
    assert [pictures[0].dts, pictures[-1].dts] == [3000 * first, 3000 * (after_last - 1)]
    assert all(
        of_track(demux(piece.init + piece.data), Track.VIDEO)[0].is_keyframe for piece in found
    )
    assert found[0].starts_at == ORIGIN + at(first / 30)
    assert sum(piece.seconds for piece in found) == pytest.approx((after_last - first) / 30)
    assert not found[0].is_discontinuous
    sounds = samples_in(found, Track.AUDIO)
    assert sounds[0].dts / 48_000 == pytest.approx(first / 30, abs=0.03)


def test_nothing_is_cut_out_of_where_there_is_nothing(tmp_path: Path) -> None:
    assert list(pieces(tmp_path)) == []
    host = Host()
    host.begin()
    recorded(tmp_path, host, 20)
    assert list(pieces(tmp_path, ORIGIN + at(900))) == []
    assert list(pieces(tmp_path, None, ORIGIN - at(1))) == []


def test_where_keyframes_are_rarer_than_chunks_it_begins_with_the_chunk_that_has_one(
    tmp_path: Path,
) -> None:
    host = Host(keyframe_every=600)
    host.begin()
    recorded(tmp_path, host, 60)
    found = list(pieces(tmp_path, ORIGIN + at(17), ORIGIN + at(18)))
    pictures = samples_in(found, Track.VIDEO)
    assert pictures[0].dts == 0
    assert pictures[0].is_keyframe
    assert pictures[-1].dts / 90_000 >= 17.9


def test_a_gap_and_other_parameters_are_told(tmp_path: Path) -> None:
    host = Host()
    host.begin()
    files = recorded(tmp_path, host, 10)
    host.origin = ORIGIN + at(100)
    host.begin(SMALL_VIDEO)
    for segment, init in host.send(10):
        files.add(segment, init)
    found = list(pieces(tmp_path))
    assert [piece.is_discontinuous for piece in found].count(True) == 1
    assert found[0].init != found[-1].init
    told = facts(tmp_path)
    assert told is not None
    assert told.gaps == 1
    assert found[-1].starts_at >= ORIGIN + at(100)


def test_what_is_no_chunk_is_refused(tmp_path: Path) -> None:
    film = make_film_file(tmp_path / "film.mp4", seconds=1)
    assert fragments_in(film.read_bytes()) == []
    with pytest.raises(BrokenChunk):
        fragments_in(b"\0\0\0\1moof")
    with pytest.raises(BrokenChunk):
        fragments_in(b"\0\0\0\x10moof")


def test_a_damaged_chunk_at_the_edge_is_left_out_and_not_shown_whole(tmp_path: Path) -> None:
    host = Host()
    host.begin()
    recorded(tmp_path, host, 26).end()
    first = tmp_path / "chunk-1000.m4s"
    whole = first.read_bytes()
    for damaged in (whole[:900] + bytes(len(whole) - 900), whole.replace(b"tfhd", b"tfxx")):
        first.write_bytes(damaged)
        with pytest.raises(BrokenChunk):
            fragments_in(damaged)
        found = list(pieces(tmp_path, ORIGIN + at(3), ORIGIN + at(12)))
        assert [piece.starts_at for piece in found] == [ORIGIN + at(6)]
        assert not found[0].is_discontinuous
    first.write_bytes(whole)
    last = tmp_path / "chunk-1012.m4s"
    last.write_bytes(bytes(last.stat().st_size))
    found = list(pieces(tmp_path, ORIGIN + at(3), ORIGIN + at(15)))
    assert [piece.seconds for piece in found] == [3, 6]
