"""When the last keyframe is shown again, and what may follow it."""

from liveshop.video.ingest.access_units import Picture
from liveshop.video.ingest.camera_freeze import Freeze

KEY, DELTA = Picture(0, True, b"key"), Picture(0, False, b"delta")
SECOND = 1_000_000


def running(seconds: float = 1.0) -> Freeze:
    freeze = Freeze()
    for us in range(0, int(seconds * SECOND), SECOND // 10):
        freeze.sound(us)
        assert freeze.picture(us, DELTA if us else KEY) == ([], True)
    return freeze


def test_sound_that_is_only_a_little_ahead_waits() -> None:
    freeze = running()
    assert freeze.sound(3_300_000) == []
    assert freeze.picture(1_000_000, DELTA) == ([], True)


def test_sound_that_is_far_ahead_waits_no_longer() -> None:
    freeze = running()
    copies = freeze.sound(3_500_000)
    assert [us for us, _ in copies] == [900_000 + n * 333_333 for n in range(1, 4)]
    assert {picture for _, picture in copies} == {KEY}
    assert freeze.sound(3_510_000) == []
    assert len(freeze.sound(5_000_000)) == 4


def test_after_a_copy_comes_a_keyframe() -> None:
    freeze = running()
    freeze.sound(4_000_000)
    assert freeze.picture(1_000_000, DELTA) == ([], False)
    assert freeze.picture(1_100_000, KEY) == ([], False), "it is too late"
    assert freeze.picture(3_000_000, DELTA) == ([], False)
    assert freeze.picture(3_100_000, KEY)[1]
    assert freeze.picture(3_133_000, DELTA) == ([], True)


def test_a_hole_in_the_picture_is_bridged_where_there_was_sound() -> None:
    freeze = running()
    freeze.sound(2_800_000)
    assert freeze.picture(2_700_000, DELTA) == ([], False)
    copies, is_shown = freeze.picture(2_800_000, KEY)
    assert is_shown
    assert [us for us, _ in copies] == [900_000 + n * 333_333 for n in range(1, 6)]


def test_a_hole_in_both_is_one() -> None:
    freeze = running()
    assert freeze.picture(2_800_000, KEY) == ([], True)


def test_a_host_that_begins_anew_is_not_held_up() -> None:
    freeze = running()
    assert freeze.sound(3_600 * SECOND) == []
    assert freeze.picture(3_600 * SECOND, DELTA) == ([], True)
    assert freeze.picture(5 * SECOND, KEY) == ([], True)


def test_nothing_is_shown_before_there_was_a_keyframe() -> None:
    freeze = Freeze()
    assert freeze.sound(5 * SECOND) == []
