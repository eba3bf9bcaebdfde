"""Waits are spread without touching the random numbers of anybody else."""

import random
from datetime import timedelta

from liveshop.kernel.jitter import jittered


def test_a_wait_stays_between_its_bounds() -> None:
    waits = {jittered(timedelta(seconds=10), 1.0, 1.1) for _ in range(200)}
    assert timedelta(seconds=10) <= min(waits) < max(waits) <= timedelta(seconds=11)


def test_the_shared_generator_is_left_alone() -> None:
    before = random.getstate()
    jittered(timedelta(seconds=10))
    assert random.getstate() == before
