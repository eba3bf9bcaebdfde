"""RTMP's chunk stream: bytes to messages and back. Sans I/O, bounded against hostile peers.

By Adobe's "Real-Time Messaging Protocol" 1.0 (2012), chapters 5 and 6; where encoders do otherwise
it is said. What is kept of unfinished messages is bounded in all, not only each.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DEFAULT_CHUNK_SIZE: Final = 128

SET_CHUNK_SIZE: Final = 1
ABORT: Final = 2
ACKNOWLEDGEMENT: Final = 3
USER_CONTROL: Final = 4
WINDOW_ACK_SIZE: Final = 5
SET_PEER_BANDWIDTH: Final = 6
AUDIO: Final = 8
VIDEO: Final = 9
DATA_AMF3: Final = 15
COMMAND_AMF3: Final = 17
DATA_AMF0: Final = 18
COMMAND_AMF0: Final = 20
AGGREGATE: Final = 22

_MEDIA: Final = frozenset({AUDIO, VIDEO, AGGREGATE})
_HEADER_BYTES: Final = (11, 7, 3, 0)
"""Of a message header by chunk type (5.3.1.2)."""
_EXTENDED: Final = 0xFFFFFF
_WRAP: Final = 1 << 32


class ProtocolError(Exception):
    """The peer does not speak RTMP as it is meant. Holds no text of the peer."""


@dataclass(frozen=True, slots=True)
class RtmpLimits:
    max_message_bytes: int = 8 << 20
    """Of sound and pictures. A keyframe of 4K is below 2 MB."""
    max_small_message_bytes: int = 64 << 10
    """Of all others: commands, metadata, control."""
    max_buffered_bytes: int = 12 << 20
    """Of unfinished messages on all chunk streams together."""
    max_chunk_streams: int = 16
    """ffmpeg uses six, OBS three."""
    min_chunk_size: int = 64
    """"SHOULD be at least 128" (5.4.1). Tiny chunks cost much time for few bytes; large ones cost
    nothing here, so there is no upper limit."""
    max_bytes_before_publish: int = 64 << 10
    """After the handshake, of a peer that has not shown a good key yet. Usually below 1 kB."""
    max_messages_before_publish: int = 200
    """Usually about ten."""
    max_aggregated: int = 1024
    """Messages in one aggregate message."""
    max_unsent_bytes: int = 256 << 10
    """Answers nobody has fetched with `bytes_to_send`."""


@dataclass(frozen=True, slots=True)
class Message:
    """`timestamp`: milliseconds, modulo 2**32, as sent."""

    kind: int
    stream_id: int
    timestamp: int
    body: bytes


class _ChunkStream:
    """What later chunks of the same chunk stream id leave out."""

    __slots__ = ("body", "delta", "extended", "kind", "length", "stream_id", "timestamp")

    def __init__(self) -> None:
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.kind = 0
        self.stream_id = 0
        self.extended: int | None = None
        """The last extended timestamp field, where the last header had one."""
        self.body: bytearray | None = None
        """Of an unfinished message."""


class ChunkReader:
    """Feed it bytes, take messages. Chunk sizes and aborts are obeyed here and not passed on."""

    def __init__(self, limits: RtmpLimits) -> None:
        self._limits = limits
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}
        self._header_start = b""
        """Bytes of a header that has not arrived completely."""
        self._current: _ChunkStream | None = None
        """The stream whose chunk is being read."""
        self._chunk_left = 0
        self._unfinished_bytes = 0
        self.message_count = 0
        """Of whole messages, those that are obeyed here included."""

    @property
    def buffered_bytes(self) -> int:
        return self._unfinished_bytes + len(self._header_start)

    def feed(self, data: bytes) -> list[Message]:
        """The messages these bytes complete. Raises ProtocolError; then this reader is spent."""
        if self._header_start:
            data = self._header_start + data
            self._header_start = b""
        messages: list[Message] = []
        position, end = 0, len(data)
        while True:
            if self._current is None:
                after = self._read_header(data, position)
                if after is None:
                    self._header_start = data[position:]
                    return messages
                position = after
            stream = self._current
            assert stream is not None
            take = min(self._chunk_left, end - position)
            is_whole = stream.body is None and take == stream.length
            if is_whole:
                body = data[position : position + take]
            else:
                self._keep(stream, memoryview(data)[position : position + take])
            position += take
            self._chunk_left -= take
            if self._chunk_left:
                return messages
            self._current = None
            if not is_whole:
                assert stream.body is not None
                if len(stream.body) < stream.length:
                    continue
                body = bytes(stream.body)
                self._forget(stream)
            self.message_count += 1
            message = Message(stream.kind, stream.stream_id, stream.timestamp, body)
            if message.kind in {SET_CHUNK_SIZE, ABORT}:
                self._obey(message)
            else:
                messages.append(message)

    def _keep(self, stream: _ChunkStream, piece: memoryview) -> None:
        if stream.body is None:
            stream.body = bytearray()
        stream.body += piece
        self._unfinished_bytes += len(piece)
        if self._unfinished_bytes > self._limits.max_buffered_bytes:
            raise ProtocolError("too much is left unfinished on several chunk streams")

    def _forget(self, stream: _ChunkStream) -> None:
        if stream.body is not None:
            self._unfinished_bytes -= len(stream.body)
            stream.body = None

    def _read_header(self, data: bytes, position: int) -> int | None:
        """Where the payload begins; None: the header is not complete. Changes nothing before."""
        available = len(data) - position
        if not available:
            return None
        first = data[position]
        chunk_type, number = first >> 6, first & 63
        position += 1
        if number < 2:  # the id has one or two bytes of its own (5.3.1.1)
            if available < 2 + number:
                return None
            number = 64 + int.from_bytes(data[position : position + 1 + number], "little")
            position += 1 + (first & 63)
        stream = self._streams.get(number)
        if stream is None:
            # librtmp opens a chunk stream with type 1, for the answer to a ping.
            if chunk_type > 1:
                raise ProtocolError("a chunk stream begins in mid-message")
            if len(self._streams) >= self._limits.max_chunk_streams:
                raise ProtocolError("there are too many chunk streams")
            stream = _ChunkStream()
        elif stream.body is not None and chunk_type < 3:
            raise ProtocolError("a message begins before the last one on its chunk stream ended")
        payload = (
            self._begin(stream, chunk_type, data, position)
            if chunk_type < 3
            else self._go_on(stream, data, position)
        )
        if payload is None:
            return None
        self._streams[number] = stream
        self._current = stream
        read = 0 if stream.body is None else len(stream.body)
        self._chunk_left = min(self._chunk_size, stream.length - read)
        return payload

    def _begin(
        self, stream: _ChunkStream, chunk_type: int, data: bytes, position: int
    ) -> int | None:
        payload = position + _HEADER_BYTES[chunk_type]
        if len(data) < payload:
            return None
        time = int.from_bytes(data[position : position + 3], "big")
        extended = None
        if time == _EXTENDED:
            payload += 4
            if len(data) < payload:
                return None
            time = extended = int.from_bytes(data[payload - 4 : payload], "big")
        if chunk_type < 2:
            length = int.from_bytes(data[position + 3 : position + 6], "big")
            kind = data[position + 6]
            if length > (
                self._limits.max_message_bytes
                if kind in _MEDIA
                else self._limits.max_small_message_bytes
            ):
                raise ProtocolError("a message is too long")
            stream.length, stream.kind = length, kind
        stream.extended = extended
        if chunk_type == 0:
            stream.stream_id = int.from_bytes(data[position + 7 : position + 11], "little")
            stream.timestamp = time
            # A type 3 chunk that begins a message after this one adds the whole time again, which
            # 5.3.1.2.4 says and ffmpeg makes use of. Nobody means that with hours of it.
            stream.delta = time if extended is None else 0
        else:
            stream.delta = time
            stream.timestamp = (stream.timestamp + time) % _WRAP
        return payload

    def _go_on(self, stream: _ChunkStream, data: bytes, position: int) -> int | None:
        """A chunk of type 3: more of a message, or one like the last."""
        if stream.extended is not None:
            # "This field is present in Type 3 chunks when ..." (5.3.1.3) -- old librtmp leaves it
            # out. Payload that looks like it by chance is one in four thousand million.
            if len(data) < position + 4:
                return None
            if int.from_bytes(data[position : position + 4], "big") == stream.extended:
                position += 4
        if stream.body is None:
            stream.timestamp = (stream.timestamp + stream.delta) % _WRAP
        return position

    def _obey(self, message: Message) -> None:
        if len(message.body) < 4:
            raise ProtocolError("a control message is too short")
        number = int.from_bytes(message.body[:4], "big")
        if message.kind == ABORT:
            stream = self._streams.get(number)
            if stream is not None:
                self._forget(stream)
            return
        # The highest bit "MUST be zero"; a size above any message is as good as none (5.4.1).
        if not self._limits.min_chunk_size <= number < 1 << 31:
            raise ProtocolError("a chunk size is out of bounds")
        self._chunk_size = number


def chunked(message: Message, *, chunk_stream: int, chunk_size: int = DEFAULT_CHUNK_SIZE) -> bytes:
    """One message as chunks: a whole header, then type 3. For ids 2 to 63."""
    body, time = message.body, message.timestamp
    extended = b"" if time < _EXTENDED else time.to_bytes(4, "big")
    again = bytes((0xC0 | chunk_stream,)) + extended
    out = bytearray((chunk_stream,))
    out += min(time, _EXTENDED).to_bytes(3, "big") + len(body).to_bytes(3, "big")
    out += struct.pack("<BI", message.kind, message.stream_id)
    out += extended
    out += body[:chunk_size]
    for start in range(chunk_size, len(body), chunk_size):
        out += again
        out += body[start : start + chunk_size]
    return bytes(out)


def split_aggregate(message: Message, limit: int) -> Iterator[Message]:
    """The messages in one of type 22 (7.1.6). Raises ProtocolError.

    They stand there as tags do in an FLV file: a header of 11 bytes, the body, the size of both.
    """
    body, position, shift = message.body, 0, None
    for _ in range(limit):
        if position == len(body):
            return
        start = position + 11
        size = int.from_bytes(body[position + 1 : position + 4], "big")
        following = start + size + 4
        if following > len(body):
            raise ProtocolError("an aggregate message ends too early")
        time = body[position + 7] << 24 | int.from_bytes(body[position + 4 : position + 7], "big")
        if shift is None:  # the message's time is that of its first tag
            shift = message.timestamp - time
        yield Message(
            body[position],
            message.stream_id,
            (time + shift) % _WRAP,
            body[start : start + size],
        )
        position = following
    if position < len(body):
        raise ProtocolError("an aggregate message holds too many tags")
