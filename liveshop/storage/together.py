"""Calls that arrive together go as one: group commit for writes, one query for many reads.

While one batch is on its way the next gathers, so nobody waits for a timer: a single call goes at
once, and the busier it is the more share a transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from liveshop.kernel.errors import ShopError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
_log = structlog.get_logger("storage")


class Together(Generic[Asked, Answer]):
    """`run(asked)` gives one answer, or the error to raise, for each that was asked, in order.

    What `run` raises, all of its batch get. A caller that is cancelled does not stop his batch:
    what he asked for happens, as it does when a connection breaks after a request was sent.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer | Exception]]],
        *,
        at_most: int = 64,
    ) -> None:
        self._run = run
        self._at_most = at_most
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[: self._at_most]
                del self._waiting[: self._at_most]
                await self._answer(batch)
        finally:
            self._task = None
            # Not empty only where this task was cancelled.
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    async def _answer(self, batch: Sequence[tuple[Asked, "asyncio.Future[Answer]"]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._run([asked for asked, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


async def together_or_alone(
    write: Callable[[Sequence[Asked]], Awaitable[list[Answer | Exception]]], group: Sequence[Asked]
) -> list[Answer | Exception]:
    """What `write` answers, in one transaction for all of them. Whoever breaks his group in a way
    nobody foresaw breaks alone.
    """
    try:
        return await write(group)
    except ShopError as error:
        return [error] * len(group)
    except Exception as error:
        if len(group) == 1:
            return [error]
        _log.error("group_broke", size=len(group), error=repr(error))
    answers: list[Answer | Exception] = []
    for one in group:
        answers += await together_or_alone(write, [one])
    return answers
