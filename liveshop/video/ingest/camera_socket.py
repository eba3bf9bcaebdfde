"""The WebSocket endpoint `/live/{show_id}/camera`: browsers whose picture is a show's.

Refused ones are upgraded first, told why, and closed after: pages are never shown the status of a
failed handshake. The newest host takes a show over, as with encoders.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Forbidden
from liveshop.kernel.ids import ShowId, new_secret
from liveshop.realtime.handshake import Bearer, Handshake, check_handshake
from liveshop.realtime.model import SUBPROTOCOL
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_session import CameraSession, CameraSocketLimits
from liveshop.video.ingest.camera_transcode import Transcoders
from liveshop.video.model import Publishing
from liveshop.video.service import VideoService
from liveshop.web.access import Principal
from liveshop.web.server import WebKit

__all__ = ["Allow", "CameraHosts", "CameraSocket", "CameraSocketLimits"]

_log = structlog.get_logger("camera")

_CLOSE_SECONDS: Final = 5.0
_HEARTBEAT_SECONDS: Final = 10.0
_RESUME_BYTES: Final = 16
# Of `struct tcp_info` in <linux/tcp.h>: tcpi_last_data_recv in ms, and tcpi_rto, which is never 0
# where the rest is filled in.
_LAST_RECEIVED: Final = slice(52, 56)
_RETRANSMITS_AFTER: Final = slice(8, 12)

Allow = Callable[[str, Principal], Awaitable[Publishing]]
"""What somebody may send to a show, by what is in force now. Raises a ShopError."""


class CameraHosts:
    """The browsers that send to shows of this server."""

    def __init__(self, limits: CameraSocketLimits | None = None, *, transcodes: int = 1) -> None:
        self.limits = limits or CameraSocketLimits()
        self.transcoders = Transcoders(transcodes)
        self._sessions: list[CameraSession] = []
        """Those that may send; the oldest first."""

    def __len__(self) -> int:
        return len(self._sessions)

    def sending(self) -> list[Publishing]:
        """What is allowed to those who are connected now, whether or not a picture has come."""
        return [one.publishing for one in self._sessions if one.publishing and not one.is_cut]

    def drop(self, show_id: ShowId, person_id: str) -> None:
        """This person may not send to this show any more."""
        for session in list(self._sessions):
            by = session.publishing
            if by is not None and (by.show_id, by.person_id) == (show_id, person_id):
                session.cut(
                    CameraRefused("forbidden", "You may not send video any more."), "revoked"
                )

    def doubt(self) -> None:
        """Rights have changed: everybody proves anew that he may send."""
        for session in self._sessions:
            session.doubt()

    def sender_to(self, show_id: ShowId) -> CameraSession | None:
        """The browser whose picture is the show's."""
        return next(
            (one for one in self._sessions if one.show_id == show_id and one.is_current), None
        )

    def send_away(self) -> None:
        """The server goes down."""
        for session in list(self._sessions):
            session.cut(
                CameraRefused("going_down", "The server is restarted. It goes on in a moment."),
                "server_restarted",
            )

    # -- what sessions call

    def entered(self, session: CameraSession) -> None:
        """Raises CameraRefused."""
        here = [one for one in self._sessions if not one.is_cut]
        of_show = [one for one in here if one.show_id == session.show_id]
        if len(of_show) >= self.limits.connections_per_show:
            dawdling = next((one for one in of_show if not one.is_current), None)
            if dawdling is not None:
                dawdling.cut(_no_room(), "crowded_out")
                here.remove(dawdling)
        if len(here) >= self.limits.connections:
            _log.warning("too_many_cameras", count=len(here))
            raise _no_room()
        self._sessions.append(session)

    def left(self, session: CameraSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def begun(self, session: CameraSession, resume: str) -> str:
        """The line of an earlier connection is dead, though nobody here has noticed."""
        for one in self._sessions:
            is_same = (
                bool(resume)
                and one.token == resume
                and one is not session
                and one.show_id == session.show_id
                and one.publishing is not None
                and session.publishing is not None
                and one.publishing.person_id == session.publishing.person_id
            )
            if is_same:
                one.cut(CameraRefused("replaced", "This browser has connected again."), "closed")
                return resume
        return new_secret(_RESUME_BYTES)

    def sent(self, session: CameraSession) -> None:
        for one in self._sessions:
            if one is not session and one.show_id == session.show_id:
                one.look()


class CameraSocket:
    """Mount with `app.router.add_get("/live/{show_id}/camera", socket.handle)`.

    `await shutdown(seconds)` before the server closes its connections.
    """

    def __init__(
        self,
        hosts: CameraHosts,
        video: VideoService,
        clock: Clock,
        kit: WebKit,
        *,
        bearer: Bearer,
        allow: Allow,
    ) -> None:
        self._hosts = hosts
        self._video = video
        self._clock = clock
        self._handshake = Handshake(kit, bearer)
        self._allow = allow
        self._open = 0
        self._nobody_left = asyncio.Event()
        self._going_down = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        check_handshake(request)
        limits = self._hosts.limits
        ws = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=_HEARTBEAT_SECONDS,
            compress=False,
            max_msg_size=limits.protocol.frame_bytes + 1,
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
        self._hosts.send_away()
        try:
            async with asyncio.timeout(seconds):
                if self._open:
                    await self._nobody_left.wait()
        except TimeoutError:
            _log.warning("cameras_cut", count=self._open)

    async def _serve(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        async def authorise() -> Publishing:
            return await self._authorise(request)

        session = CameraSession(
            ws,
            show_id=ShowId(request.match_info["show_id"]),
            video=self._video,
            clock=self._clock,
            authorise=authorise,
            house=self._hosts,
            limits=self._hosts.limits,
            quiet=partial(_quiet_seconds, request.transport),
        )
        code = 1000
        try:
            code = await session.run()
        finally:
            self._hosts.left(session)
            await _finish(request, ws, code)

    async def _authorise(self, request: web.Request) -> Publishing:
        if self._going_down:
            raise CameraRefused("going_down", "The server is restarted. It goes on in a moment.")
        if not self._handshake.is_welcome(request):
            raise Forbidden("This page may not send video.")
        who = await self._handshake.authenticate(request)
        return await self._allow(request.match_info["show_id"], who)


def _no_room() -> CameraRefused:
    return CameraRefused(
        "unavailable", "Too many browsers are connected. Try again in a moment.", retry_after=5
    )


def _quiet_seconds(transport: asyncio.Transport | None) -> float | None:
    """Since the last byte came, of a frame that is not whole too. Linux alone knows."""
    sock = None if transport is None else transport.get_extra_info("socket")
    option = getattr(socket, "TCP_INFO", None)
    if sock is None or option is None:
        return None
    try:
        told: bytes = sock.getsockopt(socket.IPPROTO_TCP, option, _LAST_RECEIVED.stop)
    except OSError:
        return None
    if len(told) < _LAST_RECEIVED.stop or not any(told[_RETRANSMITS_AFTER]):
        return None
    return int.from_bytes(told[_LAST_RECEIVED], sys.byteorder) / 1000


async def _finish(request: web.Request, ws: web.WebSocketResponse, code: int) -> None:
    """Say goodbye. Who does not read it within seconds is cut off, and the buffer freed."""
    transport = request.transport
    try:
        await ws.close(code=code, drain=False)
    finally:
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()
