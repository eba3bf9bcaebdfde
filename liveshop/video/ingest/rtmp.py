"""The server's side of one RTMP connection an encoder publishes on. Sans I/O: bytes in, events out.

Our own since no library takes what OBS sends past 4.6 hours (extended timestamps), and since one
process with one port for all encoders is what a shop can run. One stream per connection, publish
only. What the peer says stands in no error and no repr: it may be a stream key.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from liveshop.video.ingest.amf0 import BadAmf, Value, decode, encode
from liveshop.video.ingest.rtmp_chunks import (
    ACKNOWLEDGEMENT,
    AGGREGATE,
    AUDIO,
    COMMAND_AMF0,
    COMMAND_AMF3,
    DATA_AMF0,
    DATA_AMF3,
    SET_CHUNK_SIZE,
    SET_PEER_BANDWIDTH,
    USER_CONTROL,
    VIDEO,
    WINDOW_ACK_SIZE,
    ChunkReader,
    Message,
    ProtocolError,
    RtmpLimits,
    chunked,
    split_aggregate,
)
from liveshop.video.ingest.rtmp_events import (
    AudioTag,
    Event,
    Metadata,
    PublishAsked,
    PublishEnded,
    VideoTag,
)
from liveshop.video.ingest.rtmp_handshake import Handshake

__all__ = [
    "AudioTag",
    "Event",
    "Metadata",
    "ProtocolError",
    "PublishAsked",
    "PublishEnded",
    "RtmpConnection",
    "RtmpLimits",
    "RtmpState",
    "VideoTag",
]

_WINDOW_BYTES: Final = 2_500_000
_CHUNK_SIZE: Final = 4096
"""What ours have. ffmpeg takes the same for its own, which else would stay at 128 bytes."""
_CONTROL_CHUNKS: Final = 2
_COMMAND_CHUNKS: Final = 3
_MAX_STREAMS: Final = 8
_QUIET_PIECE_BYTES: Final = 1024
_AGGREGATED: Final = frozenset({AUDIO, VIDEO, DATA_AMF0})
_WRAP_TOLERANCE_MS: Final = 60_000

_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7

_FORWARDS: Final = 4.0
"""FourCcInfoMask.CanForward: what comes goes on as it is."""
_ENHANCED: Final[dict[str, Value]] = {
    "fourCcList": ["avc1", "mp4a"],
    "videoFourCcInfoMap": {"avc1": _FORWARDS},
    "audioFourCcInfoMap": {"mp4a": _FORWARDS},
    "capsEx": 4.0,  # ModEx: understood as far as it can be skipped
}
"""Enhanced RTMP v2, "Enhancing NetConnection connect Command"."""


class RtmpState(Enum):
    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    """`connect` has not come yet."""
    CONNECTED = "connected"
    ASKED = "asked"
    """Waits for `accept_publish` or `refuse_publish`."""
    PUBLISHING = "publishing"
    ENDED = "ended"
    """The publisher said goodbye, or was refused: what still comes is dropped."""
    FAILED = "failed"


class RtmpConnection:
    """Give `receive` what arrives, send what `bytes_to_send` returns after each call.

    Answer PublishAsked with `accept_publish` or `refuse_publish`; media sent before breaks the
    protocol. Time-outs and rates are the caller's.
    """

    def __init__(self, limits: RtmpLimits | None = None) -> None:
        self._limits = limits or RtmpLimits()
        self._state = RtmpState.HANDSHAKE
        self._bytes_received = 0
        self._handshake = Handshake()
        self._reader = ChunkReader(self._limits)
        self._parts = 0
        """Messages in aggregate messages."""
        self._quiet_bytes = 0
        """Received after the handshake and before a publish was accepted."""
        self._ack_window = _WINDOW_BYTES
        self._acknowledged = 0
        self._out = bytearray()
        self._app = ""
        self._streams = 0
        self._stream_id = 0
        """The message stream that is published on."""
        self._timestamp: int | None = None
        """Of the last media message, unwrapped."""
        self._commands: dict[str, Callable[[Message, list[Value], list[Event]], None]] = {
            "connect": self._connect,
            "createStream": self._create_stream,
            "publish": self._publish,
            "play": self._refuse_play,
            "play2": self._refuse_play,
            "FCUnpublish": self._end,
            "closeStream": self._end,
            "deleteStream": self._end,
        }

    @property
    def state(self) -> RtmpState:
        return self._state

    @property
    def message_count(self) -> int:
        """Of all messages so far."""
        return self._reader.message_count + self._parts

    @property
    def buffered_bytes(self) -> int:
        """What is kept of messages that have not arrived completely."""
        return self._handshake.buffered_bytes + self._reader.buffered_bytes

    def receive(self, data: bytes) -> list[Event]:
        """What these bytes bring. Raises ProtocolError; then the connection is to be closed."""
        if self._state is RtmpState.FAILED:
            raise ProtocolError("the connection has failed before")
        self._bytes_received += len(data)
        if self._state is RtmpState.ENDED:
            return []
        try:
            events = self._receive(data)
        except ProtocolError:
            self._state = RtmpState.FAILED
            raise
        self._acknowledge()
        return events

    def bytes_to_send(self) -> bytes:
        """What is to be sent now; it is handed out once."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def accept_publish(self) -> None:
        """Nothing happens where the publisher has said goodbye in the meantime."""
        if not self._is_asked():
            return
        self._state = RtmpState.PUBLISHING
        self._control(USER_CONTROL, _STREAM_BEGIN.to_bytes(2, "big"), self._stream_id)
        self._status("status", "NetStream.Publish.Start", "Go ahead.")

    def refuse_publish(self, code: str, description: str) -> None:
        """`code` such as NetStream.Publish.BadName; encoders show it, OBS in its log only."""
        if not self._is_asked():
            return
        self._state = RtmpState.ENDED
        self._status("error", code, description)

    def _is_asked(self) -> bool:
        if self._state in {RtmpState.ENDED, RtmpState.FAILED}:
            return False
        if self._state is not RtmpState.ASKED:
            raise RuntimeError("nobody asks to publish")
        return True

    def _receive(self, data: bytes) -> list[Event]:
        if self._state is RtmpState.HANDSHAKE:
            rest = self._handshake.feed(data, self._out)
            if rest is None:
                return []
            data = rest
            self._state = RtmpState.CONNECTING
        if self._state is not RtmpState.PUBLISHING:
            self._quiet_bytes += len(data)
            if self._quiet_bytes > self._limits.max_bytes_before_publish:
                raise ProtocolError("too much is said before anything is published")
            return self._receive_before_publish(data)
        return self._receive_messages(data)

    def _receive_before_publish(self, data: bytes) -> list[Event]:
        """In small pieces: many empty messages cost a stranger nothing and us much time."""
        events: list[Event] = []
        for start in range(0, len(data), _QUIET_PIECE_BYTES):
            events += self._receive_messages(data[start : start + _QUIET_PIECE_BYTES])
            if self._state is RtmpState.ENDED:
                break
            if self.message_count > self._limits.max_messages_before_publish:
                raise ProtocolError("too much is said before anything is published")
        return events

    def _receive_messages(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        for message in self._reader.feed(data):
            self._hear(message, events)
            if self._state is RtmpState.ENDED:
                break
        if len(self._out) > self._limits.max_unsent_bytes:
            raise ProtocolError("answers are not fetched")
        return events

    def _hear(self, message: Message, events: list[Event]) -> None:
        kind, body = message.kind, message.body
        if kind in {VIDEO, AUDIO}:
            self._media(kind, message.timestamp, body, events)
        elif kind == AGGREGATE:
            for part in split_aggregate(message, self._limits.max_aggregated):
                self._parts += 1
                if part.kind in _AGGREGATED:  # in no other order than by themselves
                    self._hear(part, events)
        elif kind in {COMMAND_AMF0, COMMAND_AMF3}:
            self._command(message, events)
        elif kind in {DATA_AMF0, DATA_AMF3}:
            self._data(message, events)
        elif kind == WINDOW_ACK_SIZE and len(body) >= 4:
            # More often than every 64 KiB is in nobody's interest.
            self._ack_window = max(int.from_bytes(body[:4], "big"), 1 << 16)
        elif kind == USER_CONTROL and len(body) >= 6 and body[:2] == b"\0\6":
            self._control(USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big"), body[2:6])
        # Else: acknowledgements, buffer lengths, shared objects. Nothing hangs on them.

    # Media

    def _media(self, kind: int, timestamp: int, body: bytes, events: list[Event]) -> None:
        if self._state is not RtmpState.PUBLISHING:
            raise ProtocolError("media comes before the answer to publish")
        if not body:
            return  # Flash encoders sent empty sound while nobody spoke.
        timestamp = self._unwrapped(timestamp)
        events.append(VideoTag(timestamp, body) if kind == VIDEO else AudioTag(timestamp, body))

    def _unwrapped(self, timestamp: int) -> int:
        """The moment with these 32 bits that is nearest to the last."""
        if self._timestamp is not None:
            step = _nearest(timestamp - self._timestamp, 1 << 32)
            # libav sends 31 bits (FLV's timestamps are signed) and begins at zero after 24.8 days.
            short = _nearest(step, 1 << 31)
            timestamp = self._timestamp + (short if abs(short) < _WRAP_TOLERANCE_MS else step)
        self._timestamp = timestamp
        return timestamp

    def _data(self, message: Message, events: list[Event]) -> None:
        """Metadata. What cannot be read is left out: pictures do not depend on it."""
        if self._state is not RtmpState.PUBLISHING:
            return
        try:
            values = decode(_amf0_of(message))
        except BadAmf:
            return
        if values and values[0] == "@setDataFrame":
            values = values[1:]
        if len(values) > 1 and values[0] == "onMetaData" and isinstance(values[1], dict):
            events.append(Metadata(values[1]))

    # Commands (7.2)

    def _command(self, message: Message, events: list[Event]) -> None:
        try:
            values = decode(_amf0_of(message))
        except BadAmf as error:
            raise ProtocolError(f"a command cannot be read: {error}") from None
        if not values or not isinstance(values[0], str):
            raise ProtocolError("a command has no name")
        if self._state is RtmpState.CONNECTING and values[0] != "connect":
            raise ProtocolError("the first command is not connect")
        handler = self._commands.get(values[0], self._answer_nothing)
        handler(message, values, events)

    def _connect(self, message: Message, values: list[Value], events: list[Event]) -> None:
        if self._state is not RtmpState.CONNECTING:
            raise ProtocolError("it connects twice")
        options = values[2] if len(values) > 2 else None
        app = options.get("app") if isinstance(options, dict) else None
        self._app = _path_of(app)
        self._state = RtmpState.CONNECTED
        self._control(WINDOW_ACK_SIZE, _WINDOW_BYTES.to_bytes(4, "big"))
        self._control(SET_PEER_BANDWIDTH, _WINDOW_BYTES.to_bytes(4, "big"), b"\2")  # dynamic
        self._control(SET_CHUNK_SIZE, _CHUNK_SIZE.to_bytes(4, "big"))
        properties: dict[str, Value] = {"fmsVer": "FMS/3,5,3,888", "capabilities": 127.0}
        status: dict[str, Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0.0,
        }
        self._say("_result", _transaction(values), properties | _ENHANCED, status)

    def _create_stream(self, message: Message, values: list[Value], events: list[Event]) -> None:
        if self._streams >= _MAX_STREAMS:
            raise ProtocolError("it creates stream after stream")
        self._streams += 1
        self._say("_result", _transaction(values), None, float(self._streams))

    def _publish(self, message: Message, values: list[Value], events: list[Event]) -> None:
        if self._state is not RtmpState.CONNECTED:
            raise ProtocolError("it publishes twice on one connection")
        name = _path_of(values[3] if len(values) > 3 else None)
        _, _, rest = self._app.partition("/")
        if not name and rest:
            name = rest.rpartition("/")[2]
        self._stream_id = message.stream_id
        self._state = RtmpState.ASKED
        events.append(PublishAsked(name))

    def _refuse_play(self, message: Message, values: list[Value], events: list[Event]) -> None:
        self._status(
            "error",
            "NetStream.Play.Failed",
            "Nothing can be played from here: encoders send, viewers watch on the page.",
            stream_id=message.stream_id,
        )

    def _end(self, message: Message, values: list[Value], events: list[Event]) -> None:
        if self._state is RtmpState.PUBLISHING:
            self._state = RtmpState.ENDED
            self._status("status", "NetStream.Unpublish.Success", "Goodbye.")
            events.append(PublishEnded())
        elif self._state is RtmpState.ASKED:
            self._state = RtmpState.ENDED
            events.append(PublishEnded())
        else:
            # Some tidy up what an earlier connection may have left before they publish.
            self._answer_nothing(message, values, events)

    def _answer_nothing(self, message: Message, values: list[Value], events: list[Event]) -> None:
        """releaseStream, FCPublish, getStreamLength and whatever else somebody calls."""
        transaction = _transaction(values)
        if transaction and values[0] not in {"_result", "_error", "onStatus"}:
            self._say("_result", transaction, None, None)

    def _acknowledge(self) -> None:
        # At half the window, so that a peer which stops at a whole one never has to.
        if self._bytes_received - self._acknowledged >= self._ack_window // 2:
            self._acknowledged = self._bytes_received
            self._control(ACKNOWLEDGEMENT, (self._bytes_received % (1 << 32)).to_bytes(4, "big"))

    def _control(self, kind: int, *body: bytes | int) -> None:
        parts = (p.to_bytes(4, "big") if isinstance(p, int) else p for p in body)
        self._out += chunked(Message(kind, 0, 0, b"".join(parts)), chunk_stream=_CONTROL_CHUNKS)

    def _status(
        self, level: str, code: str, description: str, *, stream_id: int | None = None
    ) -> None:
        info: dict[str, Value] = {"level": level, "code": code, "description": description}
        self._say(
            "onStatus", 0.0, None, info,
            stream_id=self._stream_id if stream_id is None else stream_id,
        )  # fmt: skip

    def _say(self, *values: Value, stream_id: int = 0) -> None:
        message = Message(COMMAND_AMF0, stream_id, 0, encode(*values))
        self._out += chunked(message, chunk_stream=_COMMAND_CHUNKS, chunk_size=_CHUNK_SIZE)


def _amf0_of(message: Message) -> bytes:
    """Messages "in AMF3" begin with a byte for the format and go on in AMF0."""
    if message.kind in {DATA_AMF3, COMMAND_AMF3} and message.body[:1] == b"\0":
        return message.body[1:]
    return message.body


def _nearest(step: int, modulus: int) -> int:
    return (step + modulus // 2) % modulus - modulus // 2


def _transaction(values: list[Value]) -> float:
    number = values[1] if len(values) > 1 else None
    return number if isinstance(number, float) else 0.0


def _path_of(value: Value) -> str:
    """`/live/?x=y` is `live`; what was pasted may bring white space along."""
    return value.partition("?")[0].strip("/ \t\r\n") if isinstance(value, str) else ""
