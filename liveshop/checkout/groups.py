"""What a group of wishes gets that share a transaction: a fault harms nobody but whose it is."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from liveshop.storage import together_or_alone

__all__ = ["one_each", "together_or_alone"]

Wish = TypeVar("Wish")
Granted = TypeVar("Granted")


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
