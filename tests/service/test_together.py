"""Calls that arrive together go as one, each with an answer of its own."""

import asyncio
from collections.abc import Sequence

import pytest

from liveshop.storage import Together


class Batches:
    """Doubles numbers, refuses negative ones, and waits for `go` in each batch."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def run(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.seen.append(list(numbers))
        await self.go.wait()
        if 13 in numbers:
            raise ZeroDivisionError
        return [2 * one if one >= 0 else ValueError(one) for one in numbers]


async def test_what_arrives_while_a_batch_is_on_its_way_goes_together() -> None:
    batches = Batches()
    batches.go.clear()
    together = Together(batches.run, at_most=3)
    asking = [asyncio.create_task(together.ask(number)) for number in range(6)]
    await asyncio.sleep(0)
    batches.go.set()
    assert await asyncio.gather(*asking) == [0, 2, 4, 6, 8, 10]
    assert batches.seen == [[0, 1, 2], [3, 4, 5]]
    assert await together.ask(7) == 14


async def test_one_refusal_is_for_one_caller() -> None:
    together = Together(Batches().run)
    ended = await asyncio.gather(*map(together.ask, (1, -1, 2)), return_exceptions=True)
    assert [ended[0], ended[2]] == [2, 4]
    assert isinstance(ended[1], ValueError)


async def test_what_breaks_a_batch_all_of_it_hear_and_the_next_one_goes_on() -> None:
    together = Together(Batches().run)
    ended = await asyncio.gather(*map(together.ask, (1, 13)), return_exceptions=True)
    assert [type(one) for one in ended] == [ZeroDivisionError, ZeroDivisionError]
    assert await together.ask(2) == 4


async def test_a_caller_who_goes_away_takes_nobody_with_him() -> None:
    batches = Batches()
    batches.go.clear()
    together = Together(batches.run)
    gone, stays = (asyncio.create_task(together.ask(number)) for number in (1, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    batches.go.set()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
