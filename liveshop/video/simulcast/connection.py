"""One connection to a platform: from the name of its server to goodbye.

Whatever ends it is raised in words. asyncio's own streams, since PyAV's network code holds the GIL
for as long as the other side likes.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from liveshop.video.ingest.rtmp_chunks import ProtocolError
from liveshop.video.simulcast.address import Address, Server, server_of
from liveshop.video.simulcast.flv import Run, Tag
from liveshop.video.simulcast.leg import LegLimits, Reason
from liveshop.video.simulcast.names import Names
from liveshop.video.simulcast.queue import TagQueue
from liveshop.video.simulcast.rtmp_publish import PublisherState, RtmpPublisher
from liveshop.web import outgoing

_READ_BYTES: Final = 65536
_PIECE_BYTES: Final = 32768
_ADDRESSES_TRIED: Final = 4
_ACKS_TRUSTED: Final = 3


class LegBroken(Exception):
    """The connection is of no more use; another may be. `words` are for people."""

    def __init__(self, words: str, reason: Reason) -> None:
        super().__init__(words)
        self.words = words
        self.reason: Reason = reason


class StartOver(Exception):
    """The picture changed in a way that wants a new connection, at once."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How other servers may be reached. `tls`: makes the context for rtmps, in a thread."""

    is_private_allowed: bool
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    names: Names = field(default_factory=Names)


class Clock:
    """Timestamps of one connection: near 0 at its first picture, then on and on, also over runs
    whose own begin anew."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._shift = 0
        self._started = 0.0
        self._last = {True: 0, False: 0}

    @property
    def run(self) -> Run | None:
        return self._run

    def begin(self, first: Tag) -> None:
        if self._run is None:
            self._started = first.arrived
            at = 0
        else:
            elapsed = round((first.arrived - self._started) * 1000)
            at = max(elapsed, *(last + 1 for last in self._last.values()))
        self._run = first.run
        self._shift = at - first.ms

    def ms(self, tag: Tag) -> int | None:
        """None: sound of before the connection's first picture."""
        at = tag.ms + self._shift
        if at < 0:
            return None
        at = max(at, self._last[tag.is_video])
        self._last[tag.is_video] = at
        return at


class Connection:
    """`run` sends what `queue` holds, woken by `wake`, until `is_over` says so."""

    def __init__(
        self,
        address: Address,
        queue: TagQueue,
        *,
        limits: LegLimits,
        reach: Reach,
        wake: asyncio.Event,
        is_over: Callable[[], bool],
        on_ready: Callable[[], None],
        on_live: Callable[[], None],
    ) -> None:
        self._address = address
        self._queue = queue
        self._limits = limits
        self._reach = reach
        self._wake = wake
        self._is_over = is_over
        self._on_ready = on_ready
        self._on_live = on_live
        self.is_ready = False
        """Publishing was accepted."""
        self.is_taking = False
        """What is queued is sent."""
        self._clock = Clock()
        self._is_live = False
        self._transport: asyncio.WriteTransport | None = None
        self._rtmp: RtmpPublisher | None = None

    @property
    def taken_bytes(self) -> int:
        """Handed to the system so far."""
        if self._rtmp is None or self._transport is None:
            return 0
        return self._rtmp.sent_bytes - self._transport.get_write_buffer_size()

    async def run(self) -> None:
        """Until it is over. Raises LegBroken, StartOver, PublishRefused, PublishEnded,
        BadDestination, AddressRefused."""
        server = server_of(self._address.url)
        rtmp = self._rtmp = RtmpPublisher(server, self._address.key)
        reader, writer = await self._opened(server)
        self._transport = writer.transport
        try:
            await self._begin(rtmp, reader, writer)
            self.is_ready = self.is_taking = True
            self._on_ready()
            try:
                await self._first_to_end(
                    self._listen(rtmp, reader, writer), self._send(rtmp, writer), self._watch(rtmp)
                )
            except StartOver:
                self.is_taking = False
                await self._say_goodbye(rtmp, reader, writer)
                raise
            await self._say_goodbye(rtmp, reader, writer)
        except ProtocolError as error:
            words = f"The other side does not speak RTMP as it is meant: {error}."
            raise LegBroken(words, "not_rtmp") from None
        except (OSError, EOFError):
            raise _cut_in(rtmp.state) from None
        finally:
            writer.transport.abort()

    # -- opening

    async def _opened(self, server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                hosts = await self._resolved(server)
                tls = await asyncio.to_thread(self._reach.tls) if server.is_secure else None
            return await self._first_connected(hosts, server, tls)
        except TimeoutError:
            raise LegBroken(f"{server.host} does not answer.", "unreachable") from None
        except ssl.SSLCertVerificationError as error:
            words = error.verify_message or "it cannot be checked"
            words = f"The certificate of {server.host} is not good: {words}."
            raise LegBroken(words, "certificate") from None
        except ssl.SSLError:
            raise LegBroken(
                f"{server.host} does not speak TLS there: the address may have to begin with"
                " rtmp://, or name another port.",
                "not_rtmp",
            ) from None
        except ConnectionRefusedError:
            words = f"Nobody listens at port {server.port} of {server.host}."
            raise LegBroken(words, "unreachable") from None
        except OSError:
            raise LegBroken(f"{server.host} cannot be reached.", "unreachable") from None

    async def _first_connected(
        self, hosts: Sequence[str], server: Server, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One address after the other: a machine without IPv6 may be told of some."""
        for index, host in enumerate(hosts):
            try:
                async with asyncio.timeout(self._limits.connect_seconds / len(hosts)):
                    return await self._connected(host, server, tls)
            except ssl.SSLError:
                raise
            except OSError:  # TimeoutError too
                if index == len(hosts) - 1:
                    raise
        raise OSError

    async def _resolved(self, server: Server) -> list[str]:
        """Raises AddressRefused where all lead into our own network."""
        try:
            hosts = list(await self._reach.names.addresses(server.host, server.port))
        except (socket.gaierror, UnicodeError):
            raise LegBroken(f"There is no server named {server.host}.", "unreachable") from None
        if not self._reach.is_private_allowed:
            hosts = [host for host in hosts if outgoing.is_public(host)]
            if not hosts:
                raise outgoing.AddressRefused(
                    f"{server.host} leads into a private network, and video is not sent there."
                    " The operator may allow it: syndication.private_addresses."
                )
        return hosts[:_ADDRESSES_TRIED]

    async def _connected(
        self, host: str, server: Server, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(sock, (host, server.port))
            reader, writer = await asyncio.open_connection(
                sock=sock,
                ssl=tls,
                server_hostname=server.host if tls else None,
                limit=_READ_BYTES,
            )
        except BaseException:
            sock.close()
            raise
        writer.transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        return reader, writer

    async def _begin(
        self, rtmp: RtmpPublisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        rtmp.start()
        while rtmp.state is not PublisherState.PUBLISHING:
            before = rtmp.state
            try:
                async with asyncio.timeout(self._limits.answer_seconds):
                    while rtmp.state is before:
                        writer.write(rtmp.bytes_to_send())
                        data = await reader.read(_READ_BYTES)
                        if not data:
                            raise EOFError
                        rtmp.receive(data)
            except TimeoutError:
                raise LegBroken(
                    "The other side took the connection and then did not answer.", "no_answer"
                ) from None

    # -- on air

    async def _first_to_end(self, *parts: Coroutine[None, None, None]) -> None:
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _listen(
        self, rtmp: RtmpPublisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise EOFError
            rtmp.receive(data)
            answer = rtmp.bytes_to_send()
            if answer:
                writer.write(answer)

    async def _send(self, rtmp: RtmpPublisher, writer: asyncio.StreamWriter) -> None:
        while True:
            while (tag := self._queue.first()) is not None:
                self._write(rtmp, tag)
                self._queue.drop_first()
                if self._queue.first() is None or rtmp.unsent_bytes >= _PIECE_BYTES:
                    writer.write(rtmp.bytes_to_send())
                    await writer.drain()  # meanwhile the queue grows, or is cut
            if self._is_over():
                self.is_taking = False
                return
            self._wake.clear()
            await self._wake.wait()

    def _write(self, rtmp: RtmpPublisher, tag: Tag) -> None:
        earlier = self._clock.run
        if tag.run is not earlier:
            if not tag.is_keyframe:
                return  # the queue begins runs with one
            if earlier is not None and not tag.run.can_follow(earlier):
                raise StartOver
            self._clock.begin(tag)
            self._write_headers(rtmp, tag)
        ms = self._clock.ms(tag)
        if ms is None:
            return
        (rtmp.send_video if tag.is_video else rtmp.send_audio)(ms, tag.body)
        if not self._is_live:
            self._is_live = True
            self._on_live()

    def _write_headers(self, rtmp: RtmpPublisher, tag: Tag) -> None:
        run = tag.run
        ms = self._clock.ms(tag) or 0
        rtmp.send_metadata(run.metadata)
        rtmp.send_video(ms, run.video_header)
        if run.audio_header is not None:
            rtmp.send_audio(ms, run.audio_header)

    async def _watch(self, rtmp: RtmpPublisher) -> None:
        """Raises LegBroken when the other side takes nothing any more."""
        loop = asyncio.get_running_loop()
        taken, moved_at = self.taken_bytes, loop.time()
        acknowledged, due_since = rtmp.acknowledged, loop.time()
        while True:
            await asyncio.sleep(self._limits.look_seconds)
            now = loop.time()
            assert self._transport is not None
            if self.taken_bytes != taken or not self._transport.get_write_buffer_size():
                taken, moved_at = self.taken_bytes, now
            ahead = rtmp.sent_bytes - rtmp.acknowledged.total
            if rtmp.acknowledged != acknowledged or ahead <= rtmp.acknowledged.widest:
                acknowledged, due_since = rtmp.acknowledged, now
            # Much fits in the buffers between us and a peer that hangs; its words cease at once.
            is_silent = (
                rtmp.acknowledged.count >= _ACKS_TRUSTED
                and ahead > 2 * rtmp.acknowledged.widest
                and now - due_since > self._limits.stall_seconds
            )
            if is_silent or now - moved_at > self._limits.stall_seconds:
                raise LegBroken("The other side hangs: it takes nothing any more.", "hangs")

    async def _say_goodbye(
        self, rtmp: RtmpPublisher, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Until the other side has closed too, so that nothing sent before is lost."""
        rtmp.finish()
        writer.write(rtmp.bytes_to_send())
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._limits.goodbye_seconds):
                await writer.drain()
                if writer.can_write_eof():
                    writer.write_eof()
                else:
                    writer.close()
                while await reader.read(_READ_BYTES):
                    pass


def _cut_in(state: PublisherState) -> LegBroken:
    if state is PublisherState.PUBLISHING:
        return LegBroken("The other side cut the connection.", "cut")
    if state in {PublisherState.CREATING, PublisherState.ASKING}:
        return LegBroken(
            "The other side closed the connection when given the stream key: it may be wrong.",
            "key_refused",
        )
    return LegBroken(
        "The other side closed the connection without a word: the address may be wrong.", "address"
    )
