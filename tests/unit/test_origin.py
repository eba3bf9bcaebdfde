"""The wall time of media zero: told by the least delayed arrival of late, not by the first."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.video.origin import ArrivalOrigin

START = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_burst_at_the_start_does_not_stamp() -> None:
    origin = ArrivalOrigin()
    # A quarter of a second of pictures waited for the connection, and then came at once.
    for index in range(8):
        found = origin.heard(after(0.25), index / 30)
    assert found == after(0.25 - 7 / 30)
    for index in range(8, 60):
        found = origin.heard(after(index / 30), index / 30)
    assert found == START


def test_pictures_held_up_on_the_way_do_not_move_it() -> None:
    jitter = random.Random(6)
    origin = ArrivalOrigin()
    origins = [
        origin.heard(after(index / 30 + 0.02 + jitter.random() * 0.3), index / 30)
        for index in range(3000)
    ]
    settled = [(found - after(0.02)).total_seconds() for found in origins[150:]]
    assert min(settled) >= 0
    assert max(settled) < 0.03


def test_it_follows_a_clock_that_drifts_and_a_way_that_became_longer() -> None:
    origin = ArrivalOrigin()
    for index in range(3600):
        found = origin.heard(after(index * 1.0002), index)
    assert (found - after(3599 * 0.0002)) == pytest.approx(timedelta(), abs=timedelta(seconds=0.01))
    for index in range(3600, 3620):
        found = origin.heard(after(index * 1.0002 + 2), index)
    assert (found - after(2.72)) == pytest.approx(timedelta(), abs=timedelta(seconds=0.01))


@pytest.mark.parametrize("step_seconds", [-3600, 3600])
def test_it_follows_a_clock_that_is_set(step_seconds: int) -> None:
    origin = ArrivalOrigin()
    for index in range(300):
        origin.heard(after(index / 30), index / 30)
    for index in range(300, 800):
        found = origin.heard(after(index / 30 + step_seconds), index / 30)
    assert found == after(step_seconds)


def test_it_remembers_a_bounded_number_of_arrivals() -> None:
    origin = ArrivalOrigin()
    # Each a little later than the one before: none can be forgotten before its time.
    for index in range(50_000):
        origin.heard(after(index * 0.0011), index * 0.001)
    assert len(origin._least) <= 151


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=200))
def test_it_is_the_least_of_the_window_but_for_the_grain(
    steps: list[tuple[float, float]],
) -> None:
    origin = ArrivalOrigin()
    now, media = START, 0.0
    heard: list[tuple[datetime, datetime]] = []
    for wall_step, media_step in steps:
        now += timedelta(seconds=wall_step)
        media += media_step
        heard.append((now, now - timedelta(seconds=media)))
        found = origin.heard(now, media)
        least = min(o for at, o in heard if now - at <= timedelta(seconds=15))
        newer = min(o for at, o in heard if now - at <= timedelta(seconds=14.9))
        assert least <= found <= newer
