"""When people come to a show and when they leave. Pure, and the same for the same seed."""

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Arrival = Literal["show", "steady", "at-once"]
ARRIVALS: tuple[Arrival, ...] = get_args(Arrival)

_EARLY = 0.5
"""The share of people who wait for the beginning or follow the first reminder."""
_RUSH_SECONDS = 15.0
"""Within which most of them are there (the mean of an exponential distribution)."""
_LAST_ARRIVAL = 0.75
_LEAVING = 0.25
_SHORTEST_SECONDS = 5.0
"""Stays whoever does not leave before he has seen anything."""
_RETURNING = 0.5
"""Of those who leave."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Seconds since the beginning; `leaves` None: stays to the end."""

    comes: float
    leaves: float | None = None


Visits = tuple[Visit, ...]


def visits_of(
    arrival: Arrival, people: int, *, seconds: float, seed: int, staying: frozenset[int]
) -> list[Visits]:
    """For each person when he is there; `staying`: the numbers of those who never leave early."""
    if arrival == "at-once":
        return [(Visit(0.0),)] * people
    if arrival == "steady":
        return [(Visit(seconds / 2 * number / people),) for number in range(people)]
    rng = Random(f"arrivals {seed}")
    return [_of_a_show(rng, seconds, number in staying) for number in range(people)]


def _of_a_show(rng: Random, seconds: float, stays: bool) -> Visits:
    """A rush at the beginning, then people who drop in as they please: a Poisson process, which
    for a known number of people is that many moments, each as likely as the other."""
    last = seconds * _LAST_ARRIVAL
    if rng.random() < _EARLY:
        comes = min(rng.expovariate(1 / min(_RUSH_SECONDS, seconds / 20)), last)
    else:
        comes = rng.uniform(0.0, last)
    if rng.random() >= _LEAVING or stays:
        return (Visit(comes),)
    leaves = comes + max(_SHORTEST_SECONDS, seconds / 20, rng.expovariate(4 / seconds))
    back = leaves + rng.uniform(0.02, 0.15) * seconds
    if leaves >= seconds:
        return (Visit(comes),)
    if rng.random() >= _RETURNING or back >= seconds * 0.95:
        return (Visit(comes, leaves),)
    return (Visit(comes, leaves), Visit(back))
