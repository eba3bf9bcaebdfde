"""A film played round and round: timestamps run on, nothing is missing and nothing twice."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from video_builders import (
    RATE,
    decode_pictures,
    decode_sound,
    grey_of,
    make_film_file,
    of_track,
)

from liveshop.video.fmp4 import fragment, init_segment
from liveshop.video.ingest.film import Film, FilmCursor, load_film
from liveshop.video.model import BadFilm, Track

SECONDS = 8


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return load_film(make_film_file(tmp_path_factory.mktemp("film") / "film.mp4"))


def test_film_lasts_the_same_in_picture_and_sound(film: Film) -> None:
    assert film.seconds == SECONDS
    pictures, sounds = (of_track(list(film.samples), track) for track in Track)
    assert sum(picture.duration for picture in pictures) == SECONDS * film.video.timescale
    assert sum(sound.duration for sound in sounds) == SECONDS * film.audio.timescale
    assert [picture.is_keyframe for picture in pictures].count(True) == SECONDS


def test_timestamps_run_on_over_many_rounds_without_hole_or_overlap(film: Film) -> None:
    cursor = FilmCursor(film)
    # Steps that fit neither the pictures nor the sound nor the film.
    samples = [s for step in range(300) for s in cursor.take_until(step * 0.137)]
    for track, config in ((Track.VIDEO, film.video), (Track.AUDIO, film.audio)):
        ones = of_track(samples, track)
        assert ones[-1].dts > 5 * SECONDS * config.timescale
        assert ones[0].dts == 0
        assert all(b.dts == a.dts + a.duration for a, b in pairwise(ones))
        count = len(of_track(list(film.samples), track))
        assert all(a.data == b.data for a, b in zip(ones, ones[count:], strict=False))


def test_a_sample_is_due_at_its_time_and_not_before(film: Film) -> None:
    cursor = FilmCursor(film)
    assert {sample.dts for sample in cursor.take_until(0)} == {0}
    assert cursor.take_until(0.02) == []
    assert [sample.dts for sample in cursor.take_until(0.034)] == [1024, 3000]
    assert cursor.take_until(0.034) == []


def test_picture_and_sound_decode_across_the_seam_without_a_break(film: Film) -> None:
    samples = FilmCursor(film).take_until(2 * SECONDS - 0.001)
    media = init_segment(film.video, film.audio) + fragment(
        1, of_track(samples, Track.VIDEO), of_track(samples, Track.AUDIO)
    )
    pictures = decode_pictures(media)
    assert len(pictures) == 2 * SECONDS * RATE
    for index, picture in enumerate(pictures):
        assert picture.seconds == pytest.approx(index / RATE)
        assert abs(picture.grey - grey_of(index % (SECONDS * RATE))) <= 1

    sound = list(decode_sound(media))
    steps = [abs(b - a) for a, b in pairwise(sound)]
    seam = SECONDS * 48_000
    # A click would be a step of the tone's whole amplitude, twenty times the steepest slope.
    assert max(steps[seam - 2048 : seam + 2048]) < 1.5 * max(steps[48_000:96_000])
    assert len(sound) == 2 * SECONDS * 48_000


def test_film_is_as_long_as_a_whole_number_of_its_ticks(film: Film) -> None:
    assert film.seconds * 90_000 == Fraction(SECONDS * 90_000)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: make_film_file(path, seconds=7), "whole AAC frames"),
        (lambda path: make_film_file(path, sound_seconds=5), "whole AAC frames"),
        (lambda path: make_film_file(path, b_frames=2), "B-frames"),
        (lambda path: path.write_bytes(b"not a film" * 100), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: None, "cannot be read"),
    ],
    ids=["uneven", "short sound", "b-frames", "garbage", "empty", "missing"],
)
def test_film_that_cannot_loop_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(BadFilm, match=why):
        load_film(path)


def test_film_without_sound_is_refused(tmp_path: Path) -> None:
    path = make_film_file(tmp_path / "film.mp4", sound_seconds=0)
    with pytest.raises(BadFilm):
        load_film(path)


def test_sound_past_the_end_of_the_picture_is_left_out(tmp_path: Path) -> None:
    film = load_film(make_film_file(tmp_path / "film.mp4", sound_seconds=SECONDS + 1))
    assert film.seconds == SECONDS
    assert len(of_track(list(film.samples), Track.AUDIO)) == 375
