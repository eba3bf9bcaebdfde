"""The WebSocket endpoint `/live/{show_id}`: who may come in, what they missed, what they say.

A refused connection is upgraded first and closed after, because browsers show a page the close
code of a WebSocket but never the status of a failed handshake.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from liveshop.kernel.clock import rfc3339
from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import has_prefix
from liveshop.realtime import frames
from liveshop.realtime.addresses import Addresses
from liveshop.realtime.commands import CommandSpec, Session
from liveshop.realtime.doors import Doors
from liveshop.realtime.handshake import Bearer, Handshake, check_handshake
from liveshop.realtime.hub import Hub
from liveshop.realtime.model import (
    SUBPROTOCOL,
    CloseCode,
    Position,
)
from liveshop.realtime.protocol import CloseWith, Command, Peer, Refusal
from liveshop.realtime.viewer import Viewer
from liveshop.realtime.wire import Hello, Ping, Pong, You
from liveshop.settings import RealtimeSettings
from liveshop.web.access import PUBLIC, BadToken, Principal
from liveshop.web.server import WebKit

_log = structlog.get_logger("realtime")

_CLOSE_SECONDS = 5.0  # how long a client may take to read the rest and say goodbye
_GONE = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)

_GREETING_SECONDS = 0.02
"""Hello tells the time; for so long it is true enough for browsers to set their clocks by."""


class _Closed(Exception):
    """The connection is to be ended with this code."""

    def __init__(self, code: CloseCode, reason: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason or code.reason


class _Door:
    """Wakes whoever waits for the client's next frame, without cancelling a running command."""

    __slots__ = ("_scope",)

    def __init__(self) -> None:
        self._scope: asyncio.Timeout | None = None

    def wake(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def wait(self, what: Awaitable[Any]) -> Any:
        """The result, or None when woken first."""
        try:
            async with asyncio.timeout(None) as self._scope:
                return await what
        except TimeoutError:
            return None
        finally:
            self._scope = None


class RoomSocket:
    """Mount with `app.router.add_get("/live/{show_id}", socket.handle)`.

    `await shutdown(seconds)` before the server closes its connections.
    """

    def __init__(
        self,
        hub: Hub,
        kit: WebKit,
        settings: RealtimeSettings,
        *,
        commands: Iterable[CommandSpec],
        bearer: Bearer,
        doors: Doors[Any],
    ) -> None:
        self._hub = hub
        self._kit = kit
        self._settings = settings
        self._handshake = Handshake(kit, bearer)
        self._doors = doors
        self._addresses = Addresses(settings.connections_per_address)
        self._greeting: tuple[Position, float, bytes] | None = None
        """The hello of those who are nobody in particular: its place, when it was made, and it."""
        self._commands = _by_name([self._ping_command(), *commands])
        self._open = 0
        self._nobody_left = asyncio.Event()
        self._going_down = False
        self._has_others = False
        """There are other nodes, which newcomers go to."""

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        return self._commands

    async def handle(self, request: web.Request) -> web.StreamResponse:
        check_handshake(request)
        if self._has_others:
            # By status: so a load balancer that asks nobody else for it passes this node over.
            raise Unavailable("This node is about to stop; another one answers.", retry_after=1)
        ws = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            autoping=False,
            compress=False,
            decode_text=False,
            max_msg_size=self._settings.max_frame_bytes * 2,
            timeout=_CLOSE_SECONDS,
        )
        writer = await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws
        self._open += 1
        self._nobody_left.clear()
        try:
            await self._serve(request, ws, transport, writer.drain)
        finally:
            _let_go(ws)
            self._open -= 1
            if not self._open:
                self._nobody_left.set()
        return ws

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more, and send everybody to other nodes over so long."""
        self._going_down = self._has_others = True
        await self._hub.send_away(CloseCode.GOING_DOWN, seconds=seconds)

    async def shutdown(self, seconds: float) -> None:
        """Send everybody away with "come back", let running commands finish, keep the hearts."""
        self._going_down = True
        self._hub.close_all(CloseCode.GOING_DOWN)
        try:
            async with asyncio.timeout(seconds):
                if self._open:
                    await self._nobody_left.wait()
        except TimeoutError:
            _log.warning("connections_cut", count=self._open)
        await self._hub.tick()

    # -- one connection

    async def _serve(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        code, reason = CloseCode.FAULT, CloseCode.FAULT.reason
        address = str(request.get("client_address") or self._kit.client_address(request))
        try:
            if not self._addresses.enter(address):
                raise _Closed(CloseCode.CROWDED)
            session = await self._admit(request, address)
            await self._attend(request, ws, transport, drain, session)
            return
        except _Closed as closed:
            code, reason = closed.code, closed.reason
        except ConnectionError:
            return
        except Unavailable:  # the rooms' logs, or the database: nothing is broken here
            code, reason = CloseCode.UNAVAILABLE, CloseCode.UNAVAILABLE.reason
        except Exception:  # one broken connection is logged and comes back; the rest go on
            _log.exception("connection_failed")
        finally:
            self._addresses.leave(address)
            await _finish(ws, transport, code, reason)

    async def _attend(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        drain: Callable[[], Awaitable[None]],
        session: Session,
    ) -> None:
        """From hello to goodbye; returns when the client left, raises _Closed when it must."""
        door = _Door()
        # Backlogs are sent in portions this size, each waited for; live events never are.
        transport.set_write_buffer_limits(high=min(64 * 1024, self._settings.buffer_bytes // 2))
        viewer = self._hub.viewer(
            session.show_id, session.principal, transport, drain=drain, on_close=door.wake
        )
        try:
            await self._enter(request, viewer, session)
            await door.wait(self._hub.catch_up(viewer))
            await self._converse(request, ws, viewer, session, door)
        finally:
            self._hub.leave(viewer)
        if viewer.code is not None:
            raise _Closed(viewer.code)

    async def _enter(self, request: web.Request, viewer: Viewer, session: Session) -> None:
        joined = await self._hub.join(viewer, _resume_position(request))
        # A show that was closed to others after we looked sent its room away before we came.
        await self._check_access(session.show_id, session.principal)
        viewer.send(self._hello(session.principal, joined.position))
        if joined.resume_failed:
            viewer.send(frames.RESUME_FAILED)

    def _hello(self, who: Principal, place: Position) -> bytes:
        """Those who are nobody in particular share it while it is true."""
        if who.kind != "anonymous":
            return self._hello_to(who, place)
        now = self._hub.monotonic()
        kept = self._greeting
        if kept is None or kept[0] != place or now - kept[1] > _GREETING_SECONDS:
            kept = self._greeting = (place, now, self._hello_to(who, place))
        return kept[2]

    def _hello_to(self, who: Principal, place: Position) -> bytes:
        hello = Hello(
            t="hello",
            epoch=place.epoch,
            offset=place.offset,
            at=rfc3339(self._kit.clock.now()),
            you=You(
                kind=who.kind,
                viewer_id=who.id or None,
                name=who.name or None,
                permissions=sorted(who.permissions),
            ),
        )
        return frames.hello(hello)

    async def _converse(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        viewer: Viewer,
        session: Session,
        door: _Door,
    ) -> None:
        peer = Peer(
            self._commands,
            max_frame_bytes=self._settings.max_frame_bytes,
            now=self._hub.monotonic(),
        )
        while viewer.code is None:
            frame = await door.wait(ws.receive())
            if frame is None or frame.type in _GONE:
                return
            now = self._hub.monotonic()
            viewer.heard(now)
            if frame.type in (WSMsgType.PING, WSMsgType.PONG):
                flood = peer.receive_control(now)
                if flood is not None:
                    raise _Closed(flood.code, flood.reason)
                if frame.type is WSMsgType.PING:
                    viewer.send(frames.pong(frame.data))
                continue
            said = peer.receive(frame.data, now, binary=frame.type is WSMsgType.BINARY)
            if isinstance(said, CloseWith):
                raise _Closed(said.code, said.reason)
            viewer.send(await self._answer(request, session, said))

    async def _answer(
        self, request: web.Request, session: Session, said: Command | Refusal
    ) -> bytes:
        if isinstance(said, Refusal):
            return frames.refusal(said.id, said.error)
        spec = said.spec
        try:
            if spec.access != PUBLIC:
                # Proved for each command: a revoked key or session ends with its next word.
                session.principal = await self._handshake.authenticate(request)
                spec.access.check(session.principal)
            return frames.answer(said.id, await spec.handler(session, said.args))
        except BadToken as error:
            raise _Closed(CloseCode.BAD_TOKEN) from error
        except ShopError as error:
            return frames.refusal(said.id, error)
        except Exception:  # an unknown fault becomes one fixed text; the connection goes on
            _log.exception("command_failed", command=spec.name)
            fault = ShopError("Something broke here. Nothing more is known; try again later.")
            return frames.refusal(said.id, fault)

    # -- who may come in

    async def _admit(self, request: web.Request, address: str) -> Session:
        if not self._handshake.is_welcome(request):
            raise _Closed(CloseCode.FOREIGN_ORIGIN)
        if self._going_down:
            raise _Closed(CloseCode.GOING_DOWN)
        show_id = request.match_info["show_id"]
        try:
            who = await self._handshake.authenticate(request)
        except BadToken as error:
            raise _Closed(CloseCode.BAD_TOKEN) from error
        except ShopError as error:
            raise _Closed(_refusing(error)) from error
        if not has_prefix(show_id, "shw"):
            raise _Closed(CloseCode.NO_SUCH_SHOW)
        await self._check_access(show_id, who)
        return Session(show_id=show_id, principal=who, address=address)

    async def _check_access(self, show_id: str, who: Principal) -> None:
        """Raises _Closed."""
        try:
            await self._doors.check(show_id, who)
        except ShopError as error:
            raise _Closed(_refusing(error)) from error

    def _ping_command(self) -> CommandSpec:
        async def ping(_session: Session, _args: Ping) -> Pong:
            return Pong(at=rfc3339(self._kit.clock.now()))

        return CommandSpec("ping", Ping, PUBLIC, ping, "ask for the server's time", Pong)


def _refusing(error: ShopError) -> CloseCode:
    return CloseCode.UNAVAILABLE if error.retryable else CloseCode.NO_SUCH_SHOW


def _by_name(commands: Iterable[CommandSpec]) -> dict[str, CommandSpec]:
    named: dict[str, CommandSpec] = {}
    for spec in commands:
        if spec.name in named:
            raise ValueError(f"two commands are called {spec.name}")
        named[spec.name] = spec
    return named


def _resume_position(request: web.Request) -> Position | None:
    """Where the client wants to go on. A place that cannot be read is one that is not known."""
    if "epoch" not in request.query and "offset" not in request.query:
        return None
    offset = request.query.get("offset", "")
    is_number = offset.isascii() and offset.isdigit() and len(offset) <= 15
    return Position(request.query.get("epoch", ""), int(offset) if is_number else -1)


async def _finish(
    ws: web.WebSocketResponse, transport: asyncio.Transport, code: CloseCode, reason: str
) -> None:
    """Say goodbye. Who does not read it within seconds is cut off, and the buffer freed."""
    try:
        await ws.close(code=code, message=reason.encode(), drain=False)
    finally:
        if transport.get_write_buffer_size():
            transport.abort()


def _let_go(ws: web.WebSocketResponse) -> None:
    """Why it ended holds on to all of the connection, in a circle: kept, it would stay until the
    collector walks through everything there is, and every room waits for that."""
    why = ws.exception()
    if why is not None:
        why.__traceback__ = why.__context__ = None
