"""The way to one Redis: calls that end soon, whatever becomes of it, and the question whether it
is still the one it was.

Every fault is `BrokerAway` to the caller. From then on calls fail at once, so that nobody waits in
vain, until somebody in the background was answered (`is_watched`), or else for a moment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from liveshop.kernel.ids import new_secret
from liveshop.realtime import redis_scripts
from liveshop.realtime.model import BrokerAway
from liveshop.realtime.redis_facts import config_of, info_of, keeps_everything
from liveshop.realtime.redis_scripts import Script

_log = structlog.get_logger("realtime")

_CONNECT_SECONDS = 1.0
_PAUSE_SECONDS = 0.3
_AT_ONCE = 8
_LOOKS = 3
_REMIND_SECONDS = 30.0

FAULTS = (RedisError, OSError, TimeoutError)


class Link:
    """Raises ValueError for an address that is none. Connects to nothing yet."""

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        answer_seconds: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Tried once: whether an append that was not answered was done, only a renewal settles.
        # RESP2: what is read in streams comes as Redis sends it.
        self._redis: Any = Redis.from_url(
            url,
            protocol=2,
            decode_responses=False,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # or each connection looks on the disk for the client's version
        )
        self.prefix = prefix
        self.answer_seconds = answer_seconds
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.is_watched = False
        """Whether somebody goes on asking in the background."""
        self._away_until = 0.0
        self._away_since: float | None = None
        self._reminded = 0.0

    async def call(self, script: Script, *arguments: str | bytes | int) -> Any:
        """What the script returns; a few at once, the others wait. Raises BrokerAway."""
        self.refuse_while_away()
        async with self._places:
            self.refuse_while_away()
            return await self.call_now(script, *arguments)

    async def call_now(self, script: Script, *arguments: str | bytes | int) -> Any:
        """For the background: also while it is away, and past those who wait, because a node under
        load is not a dead one. Raises BrokerAway."""
        try:
            async with asyncio.timeout(self.answer_seconds):
                answer = await self._run(script, arguments)
        except FAULTS as error:
            raise self.failed(error) from error
        self._answered()
        return answer

    async def settle(self) -> None:
        """Find out whether this Redis is the one we knew, and begin a new generation of epochs
        where events may have been lost. Raises BrokerAway."""
        try:
            async with asyncio.timeout(self.answer_seconds):
                await self._settle()
        except FAULTS as error:
            raise self.failed(error) from error
        self._answered()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Reading"]:
        """A connection of its own for reads that block. Raises BrokerAway."""
        pool = self._redis.connection_pool
        try:
            async with asyncio.timeout(self.answer_seconds):
                connection = await pool.get_connection()
        except FAULTS as error:
            raise self.failed(error) from error
        try:
            yield Reading(self, connection)
        finally:
            # An answer may still be on its way.
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def close(self) -> None:
        with suppress(*FAULTS):
            async with asyncio.timeout(self.answer_seconds):
                await self._redis.aclose()

    @property
    def is_away(self) -> bool:
        return self._away_since is not None

    def failed(self, error: Exception) -> BrokerAway:
        now = self._monotonic()
        self._away_until = now + _PAUSE_SECONDS
        if self._away_since is None:
            self._away_since = self._reminded = now
            _log.error("rooms_away", error=_words(error))
        elif now - self._reminded > _REMIND_SECONDS:
            self._reminded = now
            seconds = round(now - self._away_since)
            _log.error("rooms_still_away", seconds=seconds, error=_words(error))
        return _away()

    def _answered(self) -> None:
        if self._away_since is not None:
            _log.info("rooms_back", seconds=round(self._monotonic() - self._away_since, 1))
        self._away_since, self._away_until = None, 0.0

    def refuse_while_away(self) -> None:
        """Raises BrokerAway."""
        if self._away_since is None:
            return
        if self.is_watched or self._monotonic() < self._away_until:
            raise _away()

    async def _run(self, script: Script, arguments: tuple[str | bytes | int, ...]) -> Any:
        for _ in range(_LOOKS):
            try:
                return await self._eval(script, arguments)
            except ResponseError as error:
                if "UNSETTLED" not in str(error):
                    raise
                await self._settle()
        return await self._eval(script, arguments)

    async def _eval(self, script: Script, arguments: tuple[str | bytes | int, ...]) -> Any:
        try:
            return await self._redis.execute_command(
                "EVALSHA", script.sha, 1, self.prefix, *arguments
            )
        except NoScriptError:
            return await self._redis.execute_command(
                "EVAL", script.text, 1, self.prefix, *arguments
            )

    async def _settle(self) -> None:
        for _ in range(_LOOKS):
            run, keeps = await self._look()
            settled = await self._eval(redis_scripts.SETTLE, (run, int(keeps), new_secret(9)))
            if settled is not None:
                return
        raise ResponseError("another Redis answers every time")

    async def _look(self) -> tuple[str, bool]:
        """Its run, and whether every answer of it survives its restart."""
        info = await info_of(self._redis)
        return info["run_id"], keeps_everything(info, await config_of(self._redis))


class Reading:
    """One connection that is waited on."""

    def __init__(self, link: Link, connection: Any) -> None:
        self._link = link
        self._connection = connection

    async def read(
        self, after: dict[bytes, bytes], *, most: int, wait_seconds: float
    ) -> list[tuple[bytes, list[tuple[bytes, list[bytes]]]]]:
        """Up to `most` entries of each stream after those IDs, as soon as there is one: by key
        the ID and the fields of each. Raises BrokerAway."""
        try:
            async with asyncio.timeout(wait_seconds + self._link.answer_seconds):
                await self._connection.send_command(
                    *("XREAD", "COUNT", most, "BLOCK", round(wait_seconds * 1000), "STREAMS"),
                    *after,
                    *after.values(),
                )
                found = await self._connection.read_response()
        except FAULTS as error:  # which says nothing of other connections
            raise _away() from error
        return found or []


def _away() -> BrokerAway:
    return BrokerAway(
        "The live room takes nothing at the moment. Nothing was changed; try again.",
        retry_after=1.0,
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
