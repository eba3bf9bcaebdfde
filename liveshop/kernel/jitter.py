"""Waits made a little uneven, so that a thousand things put off together do not come back as one.

With a generator of its own: the module's shared one belongs to whoever seeds it.
"""

from datetime import timedelta
from random import Random

_random = Random()


def jittered(wait: timedelta, low: float = 0.8, high: float = 1.2) -> timedelta:
    """The wait, made longer or shorter by a factor between `low` and `high`."""
    return wait * _random.uniform(low, high)
