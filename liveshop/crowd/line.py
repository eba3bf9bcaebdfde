"""One open socket to a room: asks and is answered, and notices when nobody is there any more."""

import asyncio
import contextlib
import ssl
import time
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidStatus,
    WebSocketException,
)
from websockets.typing import Subprotocol

from liveshop.crowd.frames import Own, Refusal, command
from liveshop.crowd.shop import AGENT, in_short

_SUBPROTOCOL = "liveshop.v1"
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_PING_SECONDS = 25.0
_MAX_BYTES = 2**20
_QUEUE = 64
"""Frames read ahead; the connection is not read while they are not taken."""
BROKEN_OFF = 1006


class NotOpened(Exception):
    """`str()` is a short reason."""


class Unanswered(Exception):
    """The line was lost, or time passed, before the answer came: it may have been done."""


class CommandRefused(Exception):
    """`str()` is what the server said."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.code = refusal.code
        self.is_retryable = refusal.retryable
        self.retry_after = refusal.retry_after


class Line:
    """End it with `leave` or `lose`; whoever reads it calls `answered` with what is not logged."""

    __slots__ = ("_answers", "_connection", "_heard_at_ping", "_last_id", "_pinged_at", "heard")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._answers: dict[int, asyncio.Future[Own | None]] = {}
        """None: the line was lost first."""
        self._last_id = 0
        self._pinged_at = time.monotonic()
        self._heard_at_ping = -1
        self.heard = 0
        """How many frames came."""

    async def receive(self) -> bytes | None:
        """The next frame; None at the end."""
        try:
            raw = await self._connection.recv(decode=False)
        except ConnectionClosed:
            return None
        self.heard += 1
        return raw

    @property
    def close_code(self) -> int:
        return self._connection.close_code or BROKEN_OFF

    @property
    def close_words(self) -> str:
        reason = self._connection.close_reason
        return f"closed with {self.close_code}{f' ({reason})' if reason else ''}"

    async def ask(self, type_: str, **given: Any) -> None:
        """Send a command. Raises CommandRefused, Unanswered."""
        self._last_id += 1
        id_ = self._last_id
        waiting: asyncio.Future[Own | None] = asyncio.get_running_loop().create_future()
        self._answers[id_] = waiting
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._connection.send(command(id_, type_, **given))
                answer = await waiting
        except (TimeoutError, ConnectionClosed) as error:
            raise Unanswered from error
        finally:
            self._answers.pop(id_, None)
        if answer is None:
            raise Unanswered
        if answer.error is not None:
            raise CommandRefused(answer.error)

    def answered(self, answer: Own) -> None:
        waiting = self._answers.get(answer.id if answer.id is not None else -1)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def check_alive(self, now: float) -> None:
        """Asks for the time as often as the player does; cuts a line on which nothing came back."""
        silent = self.heard == self._heard_at_ping
        if silent and now - self._pinged_at >= _ANSWER_SECONDS:
            self.lose()
        elif now - self._pinged_at >= _PING_SECONDS:
            self._pinged_at, self._heard_at_ping = now, self.heard
            self._last_id += 1
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._connection.send(command(self._last_id, "ping"))

    def lose(self) -> None:
        self._connection.transport.abort()

    async def leave(self) -> None:
        """Say goodbye, if the line is still there."""
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_result(None)
        await self._connection.close()


async def open_line(
    base: str,
    show_id: str,
    *,
    token: str,
    place: tuple[str, int] | None,
    tls: ssl.SSLContext | None,
    source: str | None,
) -> Line:
    """Resuming after a `place` (epoch, offset) of the log; None: wherever it is. Raises
    NotOpened."""
    protocols = [Subprotocol(_SUBPROTOCOL)]
    if token:
        protocols.append(Subprotocol(f"bearer.{token}"))
    query = "" if place is None else f"?{urlencode({'epoch': place[0], 'offset': place[1]})}"
    scheme, rest = base.split("://", 1)
    address: dict[str, Any] = {"local_addr": (source, 0)} if source else {}
    try:
        connection = await connect(
            f"{'wss' if scheme == 'https' else 'ws'}://{rest}/live/{show_id}{query}",
            subprotocols=protocols,
            compression=None,
            user_agent_header=AGENT,
            proxy=None,
            open_timeout=_OPEN_SECONDS,
            ping_interval=None,
            close_timeout=_CLOSE_SECONDS,
            max_size=_MAX_BYTES,
            max_queue=_QUEUE,
            ssl=tls if scheme == "https" else None,
            **address,
        )
    except InvalidStatus as error:
        raise NotOpened(f"socket: HTTP {error.response.status_code}") from error
    except (InvalidMessage, EOFError) as error:
        raise NotOpened("socket: connection broke off") from error
    except (WebSocketException, OSError, TimeoutError) as error:
        raise NotOpened(f"socket: {in_short(error)}") from error
    return Line(connection)
