"""One encoder's connection: bytes through the protocol core, time limits, the key, goodbye.

Whatever goes wrong here ends this connection only. Logs hold neither keys nor addresses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError, Unavailable
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.intake import Intake, IntakeLimits
from liveshop.video.ingest.rates import Rate
from liveshop.video.ingest.rtmp import (
    Event,
    ProtocolError,
    PublishAsked,
    PublishEnded,
    RtmpConnection,
    RtmpLimits,
    RtmpState,
)
from liveshop.video.ingest.runs import Idle
from liveshop.video.model import KeyRefused, PublisherGone, Publishing, UnsupportedMedia
from liveshop.video.service import VideoService

_log = structlog.get_logger("rtmp")

_READ_BYTES: Final = 64 << 10
_BAD_NAME: Final = "NetStream.Publish.BadName"
_FAILED: Final = "NetStream.Publish.Failed"

Authorise = Callable[[str], Awaitable[Publishing]]
"""What a stream key allows. Raises KeyRefused, or another ShopError that is told to the encoder."""


@dataclass(frozen=True, slots=True)
class RtmpServerLimits:
    handshake_seconds: float = 10.0
    """TLS and RTMP, each."""
    publish_seconds: float = 10.0
    """From the handshake to `publish`."""
    authorise_seconds: float = 10.0
    send_seconds: float = 10.0
    goodbye_seconds: float = 2.0
    """An encoder hears why it is refused before it is cut off: closing at once would make its
    system throw away what it has not read."""
    connections: int = 200
    connections_per_address: int = 50
    """Generous: behind a proxy all encoders have one address."""
    strangers: int = 100
    """Of `connections`, those that have not shown a good key. One more sends the oldest away, and
    so does a connection there would be no room for: strangers keep no encoder out."""
    max_kbit_per_second: int = 12_000
    max_messages_per_second: int = 2_000
    """An encoder sends some 150. Empty messages cost time and hardly any bytes."""
    rate_seconds: int = 10
    rtmp: RtmpLimits = field(default_factory=RtmpLimits)
    intake: IntakeLimits = field(default_factory=IntakeLimits)


class _Refused(Exception):
    """The encoder is told so, then cut off."""

    def __init__(self, code: str, error: ShopError) -> None:
        super().__init__(error.code)
        self.code = code
        self.error = error


class _TooSlow(Exception):
    """A time limit is over."""


class RtmpSession:
    """`await run()` once; `cut` from anywhere."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        address: str,
        video: VideoService,
        clock: Clock,
        authorise: Authorise,
        limits: RtmpServerLimits,
        admit: Callable[["RtmpSession", Publishing], None],
        overtaken: Callable[["RtmpSession"], None],
    ) -> None:
        """`admit` may refuse, by a ShopError, what the key allows. `overtaken`: while this one was
        sending, somebody else took its show, or the show ended."""
        self.address = address
        self.publishing: Publishing | None = None
        """What it was allowed; None before."""
        self._reader = reader
        self._writer = writer
        self._video = video
        self._clock = clock
        self._authorise = authorise
        self._limits = limits
        self._admit = admit
        self._overtaken = overtaken
        self._connection = RtmpConnection(limits.rtmp)
        self._intake: Intake | None = None
        self._byte_rate = Rate(limits.max_kbit_per_second * 125, limits.rate_seconds)
        self._message_rate = Rate(limits.max_messages_per_second, limits.rate_seconds)
        self._cut_reason: str | None = None
        self._is_key_doubtful = False

    @property
    def is_cut(self) -> bool:
        return self._cut_reason is not None

    @property
    def is_current(self) -> bool:
        """Whether its picture is the show's."""
        publisher = self._intake.publisher if self._intake else None
        return publisher is not None and publisher.is_current

    def sends_to(self, show_id: ShowId) -> bool:
        """Whether its picture is this show's."""
        publishing = self.publishing
        return publishing is not None and publishing.show_id == show_id and self.is_current

    def was_sending(self, seconds: float) -> bool:
        """Whether a picture came in the last `seconds`."""
        intake = self._intake
        return intake is not None and self._seconds() - intake.last_picture <= seconds

    def cut(self, reason: str) -> None:
        """End it at once: what it has sent and nobody has read yet is shown to nobody."""
        self._cut_reason = self._cut_reason or reason
        if self._intake is not None:
            self._intake.close(reason)
        self._writer.transport.abort()

    def doubt_key(self) -> None:
        """A key was revoked: an answer about ours that is on its way may be out of date."""
        self._is_key_doubtful = True

    async def run(self) -> None:
        reason = "error"
        try:
            reason = await self._serve()
        except _Refused as refused:
            await self._refuse(refused)
        except UnsupportedMedia as error:
            self._tell_host(error)
        except ProtocolError as error:
            _log.info("broken_protocol", show_id=self._show_id, problem=str(error))
        except (_TooSlow, Idle):
            reason = "timeout"
        except PublisherGone:
            reason = "replaced"
            self._overtaken(self)
        except (OSError, EOFError):
            reason = "closed"
        except asyncio.CancelledError:
            reason = "closed"
            raise
        except Exception:
            _log.exception("session_failed", show_id=self._show_id)
        finally:
            self._close(self._cut_reason or reason)

    def _close(self, reason: str) -> None:
        try:
            if self._intake is not None:
                self._intake.close(reason)
        except Exception:
            _log.exception("session_failed", show_id=self._show_id)
        finally:
            if self.publishing is not None:
                _log.info("encoder_gone", show_id=self._show_id, reason=reason)
            if reason == "stopped":
                # With what it has not read yet, and a proper end of TLS; not for ever.
                self._writer.close()
                abort = self._writer.transport.abort
                asyncio.get_running_loop().call_later(self._limits.goodbye_seconds, abort)
            else:
                self._writer.transport.abort()

    @property
    def _show_id(self) -> ShowId | None:
        return self.publishing.show_id if self.publishing else None

    # -- the course of a connection

    async def _serve(self) -> str:
        """Returns why it ended."""
        asked = await self._until_asked()
        if asked is None:
            return "closed"
        self.publishing = publishing = await self._allowed(asked.name)
        self._connection.accept_publish()
        await self._send()
        _log.info("encoder_accepted", show_id=publishing.show_id)
        self._intake = Intake(self._video, publishing, self._seconds(), self._limits.intake)
        while True:
            events = await self._read(self._intake.deadline)
            if events is None:
                return "closed"
            ended = any(isinstance(event, PublishEnded) for event in events)
            self._intake.feed(events, self._clock.now(), self._seconds())
            if ended:
                self._intake.close("stopped")
                await self._see_off()
                return "stopped"

    async def _until_asked(self) -> PublishAsked | None:
        """None: it went before."""
        deadline = self._seconds() + self._limits.handshake_seconds
        is_connecting = False
        while True:
            if not is_connecting and self._connection.state is not RtmpState.HANDSHAKE:
                is_connecting = True
                deadline = self._seconds() + self._limits.publish_seconds
            events = await self._read(deadline)
            if events is None:
                return None
            for event in events:
                if isinstance(event, PublishAsked):
                    return event

    async def _allowed(self, key: str) -> Publishing:
        """Raises _Refused."""
        try:
            async with asyncio.timeout(self._limits.authorise_seconds):
                while True:
                    self._is_key_doubtful = False
                    publishing = await self._authorise(key)
                    if not self._is_key_doubtful:
                        break
            self._admit(self, publishing)
        except KeyRefused as error:
            raise _Refused(_BAD_NAME, error) from None
        except ShopError as error:
            raise _Refused(_FAILED, error) from None
        except TimeoutError:
            raise _Refused(_FAILED, _cannot_check()) from None
        except Exception:
            _log.exception("authorise_failed")
            raise _Refused(_FAILED, _cannot_check()) from None
        return publishing

    async def _refuse(self, refused: _Refused) -> None:
        _log.info(
            "encoder_refused",
            show_id=self._show_id,
            code=refused.error.code,
            reason=refused.error.data.get("reason"),
        )
        self._connection.refuse_publish(refused.code, refused.error.detail)
        try:
            await self._send()
            if self._writer.can_write_eof():
                self._writer.write_eof()
        except (OSError, _TooSlow):
            return
        await self._see_off()

    def _tell_host(self, error: UnsupportedMedia) -> None:
        """RTMP has no words an encoder would show in mid-stream: the studio shows them."""
        if self.publishing is None:
            return
        _log.info("media_refused", show_id=self.publishing.show_id, problem=error.detail)
        self._video.refused(self.publishing, error.code, error.detail)

    async def _see_off(self) -> None:
        """Whoever goes closes first: gstreamer takes the other order for an error."""
        deadline = self._seconds() + self._limits.goodbye_seconds
        try:
            while await self._read(deadline) is not None:
                pass
        except (OSError, EOFError, ProtocolError, UnsupportedMedia, _TooSlow, Idle):
            pass

    # -- bytes

    async def _read(self, deadline: float) -> list[Event] | None:
        """What the next bytes bring; None: there are no more, or it was cut. Answers are sent."""
        if self.is_cut:
            return None
        try:
            async with asyncio.timeout_at(deadline):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError:
            return self._nothing_came()
        if not data or self.is_cut:  # the reader hands out what had arrived before
            return None
        if self._byte_rate.is_over(len(data), self._seconds()):
            raise UnsupportedMedia(
                f"The encoder sends more than {self._limits.max_kbit_per_second} kbit/s."
                " Choose a lower bit rate."
            )
        count = self._connection.message_count
        events = self._connection.receive(data)
        count = self._connection.message_count - count
        if self._message_rate.is_over(count, self._seconds()):
            raise UnsupportedMedia(
                f"The encoder sends more than {self._limits.max_messages_per_second} messages a"
                " second. Restart it."
            )
        await self._send()
        return None if self.is_cut else events

    def _nothing_came(self) -> list[Event]:
        if self._intake is None or self._connection.state is RtmpState.ENDED:
            raise _TooSlow
        self._intake.check(self._seconds())
        return []

    async def _send(self) -> None:
        data = self._connection.bytes_to_send()
        if not data:
            return
        self._writer.write(data)
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._writer.drain()
        except TimeoutError:
            raise _TooSlow from None

    def _seconds(self) -> float:
        return asyncio.get_running_loop().time()


def _cannot_check() -> ShopError:
    return Unavailable("The stream key cannot be checked now. Try again in a moment.")
