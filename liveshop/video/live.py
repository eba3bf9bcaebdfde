"""The WebSocket `/live/{show_id}/monitor`: a show's staff sees what arrives, before viewers do.

Text frames are JSON (`init`, `origin`, `off`), binary ones an init section or fragments of MP4.
Nothing is said by the reader. Refused ones are upgraded first and closed after, as in
`realtime.socket`, since pages are never shown the status of a failed handshake.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ShowId, has_prefix
from liveshop.realtime.doors import RoomAccess
from liveshop.realtime.handshake import Bearer, Handshake, check_handshake
from liveshop.realtime.model import SUBPROTOCOL, CloseCode
from liveshop.video.monitor import Monitor, MonitorFeed
from liveshop.web.access import BadToken, NotSignedIn, permission
from liveshop.web.server import WebKit

_log = structlog.get_logger("monitor")

_ACCESS: Final = permission("shows:read")
_CLOSE_SECONDS: Final = 5.0
_SEND_SECONDS: Final = 10.0
"""Who has not read a fragment for this long is cut off; slower ones miss pictures first."""
_HEARTBEAT_SECONDS: Final = 20.0
_PROVED_SECONDS: Final = 10.0
"""A revoked session or key watches no longer than this."""
_MOST_READERS: Final = 50
"""In all. A reader takes the whole stream and no cache stands in between."""

MonitorOf = Callable[[ShowId], Monitor]
Elsewhere = Callable[[web.Request, web.WebSocketResponse, ShowId], Awaitable[CloseCode | None]]
"""Sends what the node has that has the show's video; why it ended. None: this one has, if any."""


async def here(_request: web.Request, _reader: web.WebSocketResponse, _show_id: ShowId) -> None:
    return None


class _Refused(Exception):
    def __init__(self, code: CloseCode) -> None:
        super().__init__(code)
        self.code = code


class MonitorSocket:
    """Mount with `app.router.add_get("/live/{show_id}/monitor", socket.handle)`.

    `room_access` says whether the show exists for a principal, who must also hold `shows:read`.
    `await shutdown(seconds)` before the server closes its connections.
    """

    def __init__(
        self,
        monitor_of: MonitorOf,
        kit: WebKit,
        *,
        bearer: Bearer,
        room_access: RoomAccess,
        most_readers: int = _MOST_READERS,
        proved_seconds: float = _PROVED_SECONDS,
        send_seconds: float = _SEND_SECONDS,
        elsewhere: Elsewhere = here,
    ) -> None:
        self._monitor_of = monitor_of
        self._handshake = Handshake(kit, bearer)
        self._room_access = room_access
        self._most_readers = most_readers
        self._proved_seconds = proved_seconds
        self._send_seconds = send_seconds
        self._elsewhere = elsewhere
        self._feeds: set[MonitorFeed] = set()
        self._passed_on: set[asyncio.Task[CloseCode | None]] = set()
        """Readers of what other nodes have."""
        self._open = 0
        self._nobody_left = asyncio.Event()
        self._going_down = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        check_handshake(request)
        ws = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=_HEARTBEAT_SECONDS,
            compress=False,
            max_msg_size=4096,
            timeout=_CLOSE_SECONDS,
        )
        await ws.prepare(request)
        self._open += 1
        self._nobody_left.clear()
        try:
            await self._serve(request, ws)
        finally:
            self._open -= 1
            if not self._open:
                self._nobody_left.set()
        return ws

    async def shutdown(self, seconds: float) -> None:
        """Send everybody away with "come back"."""
        self._going_down = True
        for feed in list(self._feeds):
            feed.close()
        for task in list(self._passed_on):
            task.cancel()
        try:
            async with asyncio.timeout(seconds):
                if self._open:
                    await self._nobody_left.wait()
        except TimeoutError:
            _log.warning("readers_cut", count=self._open)

    # -- one reader

    async def _serve(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        code = CloseCode.FAULT
        try:
            show_id = await self._admit(request)
            # Those who are refused are no readers: nobody locks the staff out by knocking.
            if len(self._feeds) + len(self._passed_on) >= self._most_readers:
                raise _Refused(CloseCode.UNAVAILABLE)
            heard = await self._from_elsewhere(request, ws, show_id)
            code = await self._attend(request, ws, show_id) if heard is None else heard
        except _Refused as refused:
            code = refused.code
        except ConnectionError:
            return
        except Exception:  # one broken connection is logged and comes back; the rest go on
            _log.exception("reader_failed")
        finally:
            await _finish(request, ws, code)

    async def _from_elsewhere(
        self, request: web.Request, ws: web.WebSocketResponse, show_id: ShowId
    ) -> CloseCode | None:
        """Whether he may still read is asked where it comes from."""
        task = asyncio.ensure_future(self._elsewhere(request, ws, show_id))
        self._passed_on.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._going_down:
                raise
            return CloseCode.GOING_DOWN
        finally:
            task.cancel()
            self._passed_on.discard(task)

    async def _attend(
        self, request: web.Request, ws: web.WebSocketResponse, show_id: ShowId
    ) -> CloseCode:
        feed = self._monitor_of(show_id).subscribe()
        self._feeds.add(feed)
        listening = asyncio.create_task(self._listen(request, ws, feed))
        try:
            async for message in feed:
                async with asyncio.timeout(self._send_seconds):
                    await _send(ws, message)
        except TimeoutError:
            return CloseCode.TOO_SLOW
        finally:
            feed.close()
            self._feeds.discard(feed)
            heard = await _stopped(listening)
        if heard is not None:
            return heard
        return CloseCode.GOING_DOWN if self._going_down else CloseCode.UNAVAILABLE

    async def _listen(
        self, request: web.Request, ws: web.WebSocketResponse, feed: MonitorFeed
    ) -> CloseCode:
        """Until the reader leaves, or may read no longer: then the feed is closed. Pings are
        answered in here."""
        try:
            while True:
                try:
                    async with asyncio.timeout(self._proved_seconds):
                        message = await ws.receive()
                except TimeoutError:
                    await self._admit(request)
                    continue
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    return CloseCode.PROTOCOL_VIOLATED
                return CloseCode.IDLE
        except _Refused as refused:
            return refused.code
        finally:
            feed.close()

    # -- who may read

    async def _admit(self, request: web.Request) -> ShowId:
        if not self._handshake.is_welcome(request):
            raise _Refused(CloseCode.FOREIGN_ORIGIN)
        if self._going_down:
            raise _Refused(CloseCode.GOING_DOWN)
        show_id = request.match_info["show_id"]
        try:
            who = await self._handshake.authenticate(request)
            _ACCESS.check(who)
            if not has_prefix(show_id, "shw"):
                raise _Refused(CloseCode.NO_SUCH_SHOW)
            await self._room_access(show_id, who)
        except (BadToken, NotSignedIn) as error:
            raise _Refused(CloseCode.BAD_TOKEN) from error
        except ShopError as error:
            code = CloseCode.UNAVAILABLE if error.retryable else CloseCode.NO_SUCH_SHOW
            raise _Refused(code) from error
        return ShowId(show_id)


async def _send(ws: web.WebSocketResponse, message: str | bytes) -> None:
    """Waits while the reader's buffer is full: what comes meanwhile waits in its feed."""
    if isinstance(message, str):
        await ws.send_str(message)
    else:
        await ws.send_bytes(message)


async def _stopped(listening: asyncio.Task[CloseCode]) -> CloseCode | None:
    """Why it had ended; None: it was still listening."""
    listening.cancel()
    await asyncio.wait([listening])
    return None if listening.cancelled() else listening.result()


async def _finish(request: web.Request, ws: web.WebSocketResponse, code: CloseCode) -> None:
    """Say goodbye. Who does not read it within seconds is cut off, and the buffer freed."""
    transport = request.transport
    try:
        await ws.close(code=code, message=code.reason.encode(), drain=False)
    finally:
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()
