"""What a group of wishes gets that share a transaction: a fault harms nobody but whose it is."""

from collections.abc import Awaitable, Callable, Sequence
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
