"""One browser host's connection: who it is, what it may, frames to its intake, goodbye.

Whatever goes wrong here ends this connection only. Logs hold neither tokens nor addresses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog
from aiohttp import WSMsgType, web

from liveshop.kernel.clock import Clock, rfc3339
from liveshop.kernel.errors import Forbidden, NotFound, ShopError
from liveshop.kernel.ids import ShowId
from liveshop.realtime.model import CloseCode
from liveshop.video.ingest import camera_protocol as protocol
from liveshop.video.ingest.camera_intake import CameraIntake, CameraIntakeLimits
from liveshop.video.ingest.camera_protocol import (
    Begun,
    Bye,
    CameraLimits,
    CameraProtocol,
    Configured,
    Event,
    Media,
    Muted,
    Pinged,
)
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_transcode import Transcoders
from liveshop.video.ingest.runs import Idle
from liveshop.video.model import PublisherGone, Publishing, ShowOver, UnsupportedMedia
from liveshop.video.service import VideoService
from liveshop.web.access import BadToken, NotSignedIn

_log = structlog.get_logger("camera")

_GONE: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)

Authorise = Callable[[], Awaitable[Publishing]]
"""What whoever opened the connection may send, asked again and again. Raises a ShopError."""


@dataclass(frozen=True, slots=True)
class CameraSocketLimits:
    authorise_seconds: float = 10.0
    proved_seconds: float = 10.0
    """Whoever may not send any more does so no longer than this."""
    look_seconds: float = 1.0
    """How often a host is told whether the show is live, if that has changed."""
    send_seconds: float = 10.0
    silent_seconds: float = 3.0
    """A browser pings each second: when nothing arrives for so long while it sends, viewers are
    told that it is away. Its connection stays, and when it says something again it goes on."""
    connections: int = 50
    connections_per_show: int = 6
    """One sends; others are on their way out, or come to take over."""
    protocol: CameraLimits = field(default_factory=CameraLimits)
    intake: CameraIntakeLimits = field(default_factory=CameraIntakeLimits)


class House(Protocol):
    """What sessions of one server share."""

    transcoders: Transcoders

    def entered(self, session: "CameraSession") -> None:
        """It may send. Raises CameraRefused where there is no room."""

    def begun(self, session: "CameraSession", resume: str) -> str:
        """It is about to send, perhaps in place of an earlier connection of the same host. The
        token by which a later one may take its place."""

    def sent(self, session: "CameraSession") -> None:
        """Its first picture is the show's."""


Quiet = Callable[[], float | None]
"""For how many seconds not a byte has come over a line; None: that is not known."""


class _Closed(Exception):
    """The host is gone."""


class CameraSession:
    """`await run()` once; `cut`, `doubt` and `look` from anywhere on the loop."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        *,
        show_id: ShowId,
        video: VideoService,
        clock: Clock,
        authorise: Authorise,
        house: House,
        limits: CameraSocketLimits,
        quiet: Quiet = lambda: None,
    ) -> None:
        self.show_id = show_id
        self.publishing: Publishing | None = None
        """What it was allowed; None before."""
        self.token = ""
        self._ws = ws
        self._video = video
        self._clock = clock
        self._authorise = authorise
        self._house = house
        self._limits = limits
        self._quiet = quiet
        self._protocol = CameraProtocol(limits.protocol, self._seconds())
        self._intake: CameraIntake | None = None
        self._has_sent = False
        self._heard_at: float | None = None
        self._is_silent = False
        self._door = _Door()
        self._doubt = asyncio.Event()
        self._cut: CameraRefused | None = None
        self._cut_reason = "closed"
        self._told_state = ""

    @property
    def is_cut(self) -> bool:
        return self._cut is not None

    @property
    def is_current(self) -> bool:
        """Whether its picture is the show's."""
        publisher = self._intake.publisher if self._intake else None
        return publisher is not None and publisher.is_current

    def was_sending(self, seconds: float) -> bool:
        """Whether a picture came in the last `seconds`."""
        intake = self._intake
        return intake is not None and self._seconds() - intake.last_picture <= seconds

    def cut(self, refused: CameraRefused, reason: str) -> None:
        """End it at once: what it sends from now on is shown to nobody."""
        if self._cut is None:
            self._cut, self._cut_reason = refused, reason
        if self._intake is not None:
            self._intake.close(reason)
        self._door.open()

    def doubt(self) -> None:
        """Rights were changed: look whether it may still send."""
        self._doubt.set()

    def look(self) -> None:
        """Something has happened to its show."""
        self._door.open()

    async def run(self) -> int:
        """The code to close with."""
        reason, code = "error", int(CloseCode.FAULT)
        proving: asyncio.Task[None] | None = None
        try:
            self.publishing = await self._allowed()
            self._house.entered(self)
            proving = asyncio.create_task(self._prove())
            await self._serve()
            reason, code = "stopped", 1000
        except asyncio.CancelledError:
            reason = "closed"
            raise
        except Exception as error:
            reason, refused = self._why(error)
            if refused is not None:
                code = refused.close_code
                await self._refuse(refused, reason)
        finally:
            if self._intake is not None:
                self._intake.close(reason)
            if proving is not None:
                proving.cancel()
                await asyncio.wait([proving])
            if self.publishing is not None:
                _log.info("camera_gone", show_id=self.show_id, reason=reason)
        return code

    def _why(self, error: Exception) -> tuple[str, CameraRefused | None]:
        """What is written down of the end, and what the host is told."""
        match error:
            case CameraRefused():
                return self._cut_reason if error is self._cut else "error", error
            case UnsupportedMedia():
                self._tell_staff(error)
                return "error", CameraRefused("video_unsupported", error.detail)
            case PublisherGone():
                return "replaced", self._gone()
            case Idle():
                words = "No picture comes from this browser any more."
                return "timeout", CameraRefused("idle", words)
            case _Closed() | ConnectionError() | TimeoutError():
                return "closed", None
            case _:
                _log.error("camera_failed", show_id=self.show_id, exc_info=error)
                return "error", None

    # -- the course of a connection

    async def _serve(self) -> None:
        """Until the host stops on purpose."""
        while True:
            frame = await self._next_frame()
            if self._cut is not None:
                raise self._cut
            now, seconds = self._clock.now(), self._seconds()
            self._listen(frame, seconds)
            if frame is not None:
                event = self._protocol.receive(frame, seconds)
                if isinstance(event, Bye):
                    if self._intake is not None:
                        await self._intake.finish()
                    return
                await self._take(event, now, seconds)
            await self._look(seconds)

    def _listen(self, frame: str | bytes | None, seconds: float) -> None:
        """Viewers are told when the line says nothing; whether it is gone, nobody knows yet."""
        if frame is not None or self._heard_at is None:
            self._heard_at, self._is_silent = seconds, False
        elif self._has_sent and self._says_nothing(seconds):
            # Not the first time: what came while this server was held up is read before.
            if self._is_silent and self._intake is not None:
                _log.info("camera_silent", show_id=self.show_id)
                self._intake.pause()
                self._has_sent = False
            self._is_silent = True

    def _says_nothing(self, seconds: float) -> bool:
        limit = self._limits.silent_seconds
        if self._heard_at is None or seconds - self._heard_at <= limit:
            return False
        # On a slow line a keyframe takes seconds, and pings queue up behind it.
        quiet = self._quiet()
        return quiet is None or quiet > limit

    async def _next_frame(self) -> str | bytes | None:
        """None: time to look at the rest."""
        seconds = self._seconds()
        intake_by = self._intake.deadline if self._intake else self._protocol.begin_by
        times = (seconds + self._limits.look_seconds, intake_by, self._protocol.ack_at)
        until = min(one for one in times if one is not None)
        message = await self._door.wait(self._ws.receive(), max(until, seconds))
        if message is None:
            return None
        if message.type in _GONE:
            raise _Closed
        data: str | bytes = message.data
        return data

    async def _take(self, event: Event | None, now: Any, seconds: float) -> None:
        match event:
            case Begun():
                await self._begin(event, seconds)
            case Configured() if self._intake is not None:
                self._intake.configure(event)
            case Media() if self._intake is not None:
                self._intake.media(event, now, seconds)
            case Pinged():
                await self._send(protocol.pong(event.at, rfc3339(now)))
            case Muted():
                _log.info("camera_muted", show_id=self.show_id, is_on=event.is_on)
            case _:
                pass

    async def _begin(self, begun: Begun, seconds: float) -> None:
        assert self.publishing is not None
        self.token = self._house.begun(self, begun.resume)
        self._intake = CameraIntake(
            self._video,
            self.publishing,
            begun,
            seconds,
            clock_seconds=self._seconds,
            wake=self._door.open,
            transcoders=self._house.transcoders,
            limits=self._limits.intake,
        )
        self._told_state = self._state()
        _log.info("camera_accepted", show_id=self.show_id, format=begun.format, mime=begun.mime)
        await self._send(
            protocol.ready(
                resume=self.token,
                state=self._told_state,
                max_kbit_per_second=self._limits.protocol.max_kbit_per_second,
                transcodes=self._house.transcoders.has_room,
            )
        )

    async def _look(self, seconds: float) -> None:
        """What has to be done or said now, whether or not anything came."""
        intake = self._intake
        if intake is None:
            if seconds >= self._protocol.begin_by:
                raise CameraRefused("idle", "This browser did not begin to send.")
        else:
            intake.check(seconds)
            if intake.is_replaced:
                raise PublisherGone("somebody else sends now")
            if intake.publisher is not None and not self._has_sent:
                self._has_sent = True
                self._house.sent(self)
            state = self._state()
            if state != self._told_state:
                self._told_state = state
                await self._send(protocol.state(state))
        ack = self._protocol.ack(seconds)
        if ack is not None:
            await self._send(ack)

    def _state(self) -> str:
        known = self._video.state(self.show_id)
        if known in {"preview", "on_air"}:
            return known
        assert self.publishing is not None
        return "on_air" if self.publishing.is_on_air or known == "away" else "preview"

    # -- who it is

    async def _allowed(self) -> Publishing:
        """Raises CameraRefused."""
        try:
            async with asyncio.timeout(self._limits.authorise_seconds):
                return await self._authorise()
        except (BadToken, NotSignedIn):
            raise CameraRefused("not_signed_in", "Sign in again to send video.") from None
        except Forbidden as error:
            raise CameraRefused("forbidden", error.detail) from None
        except NotFound as error:
            raise CameraRefused("unknown_show", error.detail) from None
        except ShowOver as error:
            raise CameraRefused("show_over", error.detail) from None
        except (ShopError, TimeoutError):
            raise CameraRefused(
                "unavailable",
                "Whether you may send cannot be checked now. Try again.",
                retry_after=2,
            ) from None

    async def _prove(self) -> None:
        """Again and again, beside what is sent: a slow database is no reason to drop pictures."""
        while True:
            try:
                async with asyncio.timeout(self._limits.proved_seconds):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            try:
                await self._allowed()
            except CameraRefused as refused:
                if refused.code != "unavailable":
                    self.cut(refused, "revoked")
                    return
            except Exception:
                _log.exception("camera_not_proved", show_id=self.show_id)

    # -- words

    def _gone(self) -> CameraRefused:
        if self._video.has_ended(self.show_id):
            return CameraRefused("show_over", "This show is over.")
        return CameraRefused(
            "replaced",
            "Somebody else sends to this show now. Go live again to send from here.",
        )

    def _tell_staff(self, error: UnsupportedMedia) -> None:
        if self.publishing is not None:
            _log.info("media_refused", show_id=self.show_id, problem=error.detail)
            self._video.refused(self.publishing, error.code, error.detail)

    async def _refuse(self, refused: CameraRefused, reason: str) -> None:
        _log.info("camera_refused", show_id=self.show_id, code=refused.code)
        if self._intake is not None:
            # The picture goes now, not when the host has read why.
            self._intake.close(reason)
        try:
            await self._send(protocol.refused(refused))
        except (ConnectionError, TimeoutError, RuntimeError):
            return

    async def _send(self, frame: str) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            await self._ws.send_str(frame)

    def _seconds(self) -> float:
        return asyncio.get_running_loop().time()


class _Door:
    """Lets whoever waits for the next frame look at something else first."""

    def __init__(self) -> None:
        self._scope: asyncio.Timeout | None = None
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def wait(self, what: Awaitable[Any], until: float) -> Any:
        """The result; None: it is time, or the door was opened."""
        if self._is_open:
            until = 0
        try:
            async with asyncio.timeout_at(until) as self._scope:
                return await what
        except TimeoutError:
            return None
        finally:
            self._scope = None
            self._is_open = False
