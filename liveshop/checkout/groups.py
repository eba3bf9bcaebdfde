"""What a group of wishes gets that share a transaction: a fault harms nobody but whose it is."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from liveshop.kernel.errors import ShopError

Wish = TypeVar("Wish")
Granted = TypeVar("Granted")
_log = structlog.get_logger("checkout")


async def together_or_alone(
    write: Callable[[Sequence[Wish]], Awaitable[list[Granted | Exception]]], group: Sequence[Wish]
) -> list[Granted | Exception]:
    """What `write` answers, in one transaction for all of them. A wish that breaks its group in a
    way nobody foresaw breaks alone.
    """
    try:
        return await write(group)
    except ShopError as error:
        return [error] * len(group)
    except Exception as error:
        if len(group) == 1:
            return [error]
        _log.error("group_broke", wishes=len(group), error=repr(error))
    answers: list[Granted | Exception] = []
    for wish in group:
        answers += await together_or_alone(write, [wish])
    return answers


async def one_each(
    write: Callable[[Sequence[Wish]], Awaitable[list[Granted | Exception]]],
    wishes: Sequence[Wish],
    whose: Callable[[Wish], Iterable[str]],
) -> list[Granted | Exception]:
    """What `write` answers, called for groups in which no name that `whose` gives stands twice:
    what somebody wishes meanwhile in a second tab comes after his first wish.
    """
    answers: dict[int, Granted | Exception] = {}
    left = list(range(len(wishes)))
    while left:
        named: set[str] = set()
        group: list[int] = []
        for number in left:
            names = set(whose(wishes[number]))
            if not names & named:
                group.append(number)
            named |= names
        told = await write([wishes[number] for number in group])
        answers |= dict(zip(group, told, strict=True))
        left = [number for number in left if number not in answers]
    return [answers[number] for number in range(len(wishes))]
