"""Where encoders connect to: one port for all of them, and another behind TLS. A thin shell.

The key decides which show an encoder sends to; the newest encoder takes a show over.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.rtmp_session import Authorise, RtmpServerLimits, RtmpSession
from liveshop.video.model import KeyRefused, Publishing
from liveshop.video.service import VideoService

__all__ = ["Authorise", "RtmpServer", "RtmpServerLimits"]

_log = structlog.get_logger("rtmp")

_SENDING_SECONDS: Final = 2.0
"""Without a picture for longer, a connection may be dead without our knowing."""
_TLS_GOODBYE_SECONDS: Final = 2.0


class Sender(Protocol):
    """Somebody who sends to a show, from an encoder or a browser."""

    @property
    def is_current(self) -> bool:
        """Whether its picture is the show's."""

    def was_sending(self, seconds: float) -> bool:
        """Whether a picture came in the last `seconds`."""


class RtmpServer:
    """`elsewhere`: who sends to a show without an encoder."""

    def __init__(
        self,
        video: VideoService,
        clock: Clock,
        authorise: Authorise,
        limits: RtmpServerLimits | None = None,
        *,
        elsewhere: Callable[[ShowId], Sender | None] = lambda _: None,
    ) -> None:
        self._video = video
        self._clock = clock
        self._authorise = authorise
        self._limits = limits or RtmpServerLimits()
        self._elsewhere = elsewhere
        self._servers: list[asyncio.Server] = []
        self._is_closed = False
        self._tasks: dict[RtmpSession, asyncio.Task[None]] = {}
        """The oldest connection first."""
        self._held_back: dict[_Encoder, Sender] = {}
        """Encoders that were sending when another took their show over, and that other. They
        connect again by themselves, and would take turns for ever; so they wait until it stops."""

    @property
    def connection_count(self) -> int:
        return len(self._tasks)

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen there too; the port, for where 0 was given. Raises OSError."""
        loop = asyncio.get_running_loop()
        limit = None if tls is None else self._limits.handshake_seconds
        goodbye = None if tls is None else _TLS_GOODBYE_SECONDS
        self._is_closed = False
        server = await loop.create_server(
            lambda: _Arrival(self),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=limit,
            ssl_shutdown_timeout=goodbye,
        )
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Send everybody away. May be repeated."""
        self._is_closed = True
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        tasks = list(self._tasks.values())
        for session in list(self._tasks):
            self._end(session, "server_restarted")
        await asyncio.gather(*tasks, return_exceptions=True)

    def sending(self) -> list[Publishing]:
        """What is allowed to those who are connected now, whether or not a picture has come."""
        return [one.publishing for one in self._tasks if one.publishing and not one.is_cut]

    def drop(self, show_id: ShowId, person_id: str) -> None:
        """This person may not send to this show any more, or not with the key he had."""
        for session in list(self._tasks):
            publishing = session.publishing
            if publishing is None:
                session.doubt_key()
            elif publishing.show_id == show_id and publishing.person_id == person_id:
                session.cut("revoked")

    # -- connections

    def arrived(self, transport: asyncio.Transport) -> None:
        """Somebody has connected, and nothing was read yet. To be called before it can be:
        uvloop reads at once, whatever it was asked."""
        address = _address_of(transport)
        if self._is_closed or not self._has_room(address):
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        session = RtmpSession(
            reader,
            writer,
            address=address,
            video=self._video,
            clock=self._clock,
            authorise=self._authorise,
            limits=self._limits,
            admit=self._admit,
            overtaken=self._overtaken,
        )
        task = self._tasks[session] = loop.create_task(session.run())
        task.add_done_callback(lambda _: self._gone(session))

    def _gone(self, session: RtmpSession) -> None:
        del self._tasks[session]
        self._hand_on(session, None)

    def _has_room(self, address: str) -> bool:
        """Room may have been made, by sending the stranger away who has dawdled longest."""
        here = [one for one in self._tasks if not one.is_cut]
        strangers = [one for one in here if one.publishing is None]
        of_address = sum(one.address == address for one in here)
        if of_address >= self._limits.connections_per_address:
            leaving = [one for one in strangers if one.address == address]
        elif len(here) >= self._limits.connections or len(strangers) >= self._limits.strangers:
            leaving = strangers
        else:
            return True
        _log.warning(
            "too_many_connections",
            count=len(here),
            strangers=len(strangers),
            of_address=of_address,
        )
        if not leaving:
            return False
        self._end(leaving[0], "crowded_out")
        return True

    def _end(self, session: RtmpSession, reason: str) -> None:
        session.cut(reason)
        # Its key may be being checked, which it would wait for.
        self._tasks[session].cancel()

    # -- encoders that take turns

    def _admit(self, session: RtmpSession, publishing: Publishing) -> None:
        """Raises KeyRefused."""
        newer = self._held_back.get(_Encoder.of(session, publishing))
        if newer is not None and newer.is_current and newer.was_sending(_SENDING_SECONDS):
            raise KeyRefused(
                "Somebody else has taken this show over. Stop that one to send from here again.",
                data={"reason": "overtaken"},
            )

    def _overtaken(self, session: RtmpSession) -> None:
        """Also where the newer one looks the same: that may be one encoder that has connected
        again, and if it must once more it waits two seconds; but it may be two with one key."""
        publishing = session.publishing
        if publishing is None:
            return
        show_id = publishing.show_id
        newer: Sender | None = next((one for one in self._tasks if one.sends_to(show_id)), None)
        newer = newer or self._elsewhere(show_id)
        self._hand_on(session, newer)
        if newer is not None:
            self._held_back[_Encoder.of(session, publishing)] = newer

    def _hand_on(self, session: RtmpSession, newer: Sender | None) -> None:
        """Who waited for `session` to stop waits for `newer` now."""
        for encoder, waited_for in list(self._held_back.items()):
            if waited_for is session:
                if newer is None:
                    del self._held_back[encoder]
                else:
                    self._held_back[encoder] = newer


@dataclass(frozen=True, slots=True)
class _Encoder:
    """As far as one can be told from another."""

    show_id: ShowId
    key_id: str
    address: str

    @classmethod
    def of(cls, session: RtmpSession, publishing: Publishing) -> "_Encoder":
        return cls(publishing.show_id, publishing.key_id, session.address)


class _Arrival(asyncio.Protocol):
    """Hands a new connection over, behind TLS after the handshake."""

    def __init__(self, server: RtmpServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.arrived(cast(asyncio.Transport, transport))  # uvloop's is one without base


def _address_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
