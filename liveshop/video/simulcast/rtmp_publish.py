"""The encoder's side of one RTMP connection: publishes to a platform. Sans I/O.

By Adobe's "Real-Time Messaging Protocol" 1.0; commands in the order OBS and ffmpeg send them, which
is what platforms are tried with. The stream key stands in no error and no repr, and what the peer
says is shown to people only without it.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from liveshop.video.ingest.amf0 import BadAmf, Value, decode, encode
from liveshop.video.ingest.rtmp_chunks import (
    ACKNOWLEDGEMENT,
    AUDIO,
    COMMAND_AMF0,
    COMMAND_AMF3,
    DATA_AMF0,
    DEFAULT_CHUNK_SIZE,
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
)
from liveshop.video.simulcast.address import Server

_VERSION: Final = 3
_PART_BYTES: Final = 1536
_CHUNK_SIZE: Final = 4096
"""As OBS chooses it."""
_ACK_WINDOW: Final = 100_000
"""Small: acknowledgements are how a peer that hangs behind full buffers is told from one that
reads. A peer may count in windows of its own all the same."""
_CONTROL_CHUNKS: Final = 2
_COMMAND_CHUNKS: Final = 3
_SOUND_CHUNKS: Final = 4
_PICTURE_CHUNKS: Final = 6
_STREAM_CHUNKS: Final = 8
_PING_REQUEST: Final = 6
_PING_RESPONSE: Final = 7
_CONNECT, _RELEASE, _FC_PUBLISH, _CREATE, _PUBLISH = 1.0, 2.0, 3.0, 4.0, 5.0
_LONGEST_WORDS: Final = 200
_MOST_SAID: Final = 1000
_PIECE_OF_KEY: Final = 6
"""Letters in a row that give something of a key away."""
_SMALL: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LIMITS: Final = RtmpLimits(
    max_message_bytes=64 << 10, max_buffered_bytes=256 << 10, max_unsent_bytes=64 << 10
)
_STARTED: Final = frozenset({"NetStream.Publish.Start"})
_REFUSALS: Final = frozenset(
    {
        "NetConnection.Connect.Rejected",
        "NetConnection.Connect.InvalidApp",
        "NetStream.Publish.BadName",
        "NetStream.Publish.Denied",
        "NetStream.Publish.Rejected",
        "NetStream.Publish.Unauthorized",
        "NetStream.Authenticate.UsherFailed",  # Twitch, for a wrong key
    }
)
_OVER: Final = frozenset(
    {
        "NetConnection.Connect.AppShutdown",
        "NetConnection.Connect.Closed",
        "NetConnection.Connect.IdleTimeOut",
        "NetStream.Unpublish.Success",
    }
)


class PublishRefused(Exception):
    """The other side does not want this stream. `words` are for people. `busy`: the name is taken,
    which passes where it is an earlier connection of ours not forgotten there yet."""

    def __init__(self, words: str, reason: Literal["key_refused", "address", "busy"]) -> None:
        super().__init__(words)
        self.words = words
        self.reason = reason


class PublishEnded(Exception):
    """The other side ended the stream."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class PublisherState(Enum):
    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    CREATING = "creating"
    ASKING = "asking"
    """`publish` was sent."""
    PUBLISHING = "publishing"
    CLOSED = "closed"
    """Goodbye was said."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the peer says it has received; it never says so where `count` is 0."""

    total: int
    count: int
    widest: int
    """The most bytes between two of its words."""


class RtmpPublisher:
    """Call `start`, send what `bytes_to_send` returns after each call, give `receive` what comes.

    Media may be sent from PUBLISHING on. Time-outs are the caller's.
    """

    def __init__(self, server: Server, key: str) -> None:
        self._server = server
        self._key = key
        self._state = PublisherState.HANDSHAKE
        self._out = bytearray()
        self._reader = ChunkReader(_LIMITS)
        self._greeting = bytearray()
        """Of S0, S1 and S2 what has come."""
        self._has_echoed = False
        self._stream_id = 0
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._received = 0
        self._said_received = 0
        self._peer_window = 2_500_000
        self._sent = 0
        self._acks = Acknowledged(0, 0, 0)
        self._commands: dict[str, Callable[[list[Value]], None]] = {
            "_result": self._result,
            "_error": self._error,
            "onStatus": self._status,
            "close": self._closed,
        }

    def __repr__(self) -> str:
        return f"RtmpPublisher({self._state.value})"

    @property
    def state(self) -> PublisherState:
        return self._state

    @property
    def acknowledged(self) -> Acknowledged:
        return self._acks

    @property
    def sent_bytes(self) -> int:
        """Handed out so far."""
        return self._sent

    @property
    def unsent_bytes(self) -> int:
        """What `bytes_to_send` would hand out."""
        return len(self._out)

    def start(self) -> None:
        """C0 and C1 (5.2.2, 5.2.3)."""
        self._out.append(_VERSION)
        self._out += bytes(8) + secrets.token_bytes(_PART_BYTES - 8)

    def bytes_to_send(self) -> bytes:
        """What is to be sent now; it is handed out once."""
        out = bytes(self._out)
        self._out.clear()
        self._sent += len(out)
        return out

    def receive(self, data: bytes) -> None:
        """Raises ProtocolError, PublishRefused, PublishEnded; then it is to be closed."""
        if self._state is PublisherState.CLOSED:
            return
        if self._state is PublisherState.FAILED:
            raise ProtocolError("the connection has failed before")
        try:
            self._receive(data)
        except (ProtocolError, PublishRefused, PublishEnded):
            self._state = PublisherState.FAILED
            raise

    # -- media

    def send_metadata(self, values: dict[str, Value]) -> None:
        # An ECMA array, as encoders write it: an object with another marker and a count.
        array = b"\x08" + len(values).to_bytes(4, "big") + encode(values)[1:]
        body = encode("@setDataFrame", "onMetaData") + array
        self._send(DATA_AMF0, body, _SOUND_CHUNKS, stream_id=self._stream_id)

    def send_video(self, ms: int, body: bytes) -> None:
        self._send(VIDEO, body, _PICTURE_CHUNKS, stream_id=self._stream_id, ms=ms)

    def send_audio(self, ms: int, body: bytes) -> None:
        self._send(AUDIO, body, _SOUND_CHUNKS, stream_id=self._stream_id, ms=ms)

    def finish(self) -> None:
        """Say goodbye; may be called in any state."""
        if self._state is PublisherState.PUBLISHING:
            self._call("FCUnpublish", 6.0, None, self._key)
            self._call("deleteStream", 7.0, None, float(self._stream_id))
        self._state = PublisherState.CLOSED

    # -- inside

    def _receive(self, data: bytes) -> None:
        self._received += len(data)
        if self._state is PublisherState.HANDSHAKE:
            rest = self._greet(data)
            if rest is None:
                return
            data = rest
        for message in self._reader.feed(data):
            self._hear(message)
        if self._received - self._said_received >= self._peer_window // 2:
            self._said_received = self._received
            self._control(ACKNOWLEDGEMENT, (self._received % (1 << 32)).to_bytes(4, "big"))
        if len(self._out) > _LIMITS.max_unsent_bytes and (
            self._state is not PublisherState.PUBLISHING
        ):
            raise ProtocolError("too much is asked for")

    def _greet(self, data: bytes) -> bytes | None:
        """What follows the handshake once it is over."""
        greeting = self._greeting
        greeting += data
        if greeting and greeting[0] != _VERSION:
            raise ProtocolError(_other_than_rtmp(greeting[0]))
        if len(greeting) > _PART_BYTES and not self._has_echoed:
            self._has_echoed = True
            self._out += greeting[1 : 1 + _PART_BYTES]
        if len(greeting) < 1 + 2 * _PART_BYTES:
            return None
        rest = bytes(greeting[1 + 2 * _PART_BYTES :])
        greeting.clear()
        self._connect()
        return rest

    def _connect(self) -> None:
        self._state = PublisherState.CONNECTING
        options: dict[str, Value] = {
            "app": self._server.app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; Liveshop)",
            "tcUrl": self._server.tc_url,
        }
        self._call("connect", _CONNECT, options)

    def _hear(self, message: Message) -> None:
        kind, body = message.kind, message.body
        if kind in {COMMAND_AMF0, COMMAND_AMF3}:
            self._command(message)
        elif kind == USER_CONTROL and len(body) >= 6 and body[:2] == _short(_PING_REQUEST):
            self._control(USER_CONTROL, _short(_PING_RESPONSE) + body[2:6])
        elif kind == WINDOW_ACK_SIZE and len(body) >= 4:
            self._peer_window = max(int.from_bytes(body[:4], "big"), 1 << 14)
        elif kind == SET_PEER_BANDWIDTH and len(body) >= 4:
            self._control(WINDOW_ACK_SIZE, _ACK_WINDOW.to_bytes(4, "big"))
        elif kind == ACKNOWLEDGEMENT and len(body) >= 4:
            self._acknowledge(int.from_bytes(body[:4], "big"))

    def _acknowledge(self, number: int) -> None:
        """The number has 32 bits; some count from the handshake on, some after it."""
        before = self._acks
        step = (number - before.total) % (1 << 32)
        if step == 0 or before.total + step > self._sent:
            return
        self._acks = Acknowledged(before.total + step, before.count + 1, max(before.widest, step))

    def _command(self, message: Message) -> None:
        body = message.body
        if message.kind == COMMAND_AMF3 and body[:1] == b"\0":
            body = body[1:]
        try:
            values = decode(body)
        except BadAmf:
            raise ProtocolError("a command cannot be read") from None
        if not values or not isinstance(values[0], str):
            raise ProtocolError("a command has no name")
        handler = self._commands.get(values[0])
        if handler is not None:  # onBWDone, onFCPublish: nothing hangs on them
            handler(values)

    def _result(self, values: list[Value]) -> None:
        transaction = values[1] if len(values) > 1 else None
        if self._state is PublisherState.CONNECTING and transaction == _CONNECT:
            info = values[3] if len(values) > 3 else None
            code = _text_of(info, "code")
            if code and code != "NetConnection.Connect.Success":
                self._fail(info)
            self._create()
        elif self._state is PublisherState.CREATING and transaction == _CREATE:
            number = values[3] if len(values) > 3 else None
            if not isinstance(number, float) or not 0 <= number < 1 << 32:
                raise ProtocolError("a stream was made without a number")
            self._ask(int(number))

    def _create(self) -> None:
        self._state = PublisherState.CREATING
        self._control(WINDOW_ACK_SIZE, _ACK_WINDOW.to_bytes(4, "big"))
        self._control(SET_CHUNK_SIZE, _CHUNK_SIZE.to_bytes(4, "big"))
        self._chunk_size = _CHUNK_SIZE
        self._call("releaseStream", _RELEASE, None, self._key)
        self._call("FCPublish", _FC_PUBLISH, None, self._key)
        self._call("createStream", _CREATE, None)

    def _ask(self, stream_id: int) -> None:
        self._state = PublisherState.ASKING
        self._stream_id = stream_id
        body = encode("publish", _PUBLISH, None, self._key, "live")
        self._send(COMMAND_AMF0, body, _STREAM_CHUNKS, stream_id=stream_id)

    def _error(self, values: list[Value]) -> None:
        transaction = values[1] if len(values) > 1 else None
        # releaseStream and FCPublish are calls many servers do not know.
        if transaction in {_CONNECT, _CREATE, _PUBLISH}:
            self._fail(values[3] if len(values) > 3 else None)

    def _status(self, values: list[Value]) -> None:
        info = next((value for value in values[2:] if isinstance(value, dict)), None)
        code = _text_of(info, "code")
        if code in _STARTED:
            if self._state is PublisherState.ASKING:
                self._state = PublisherState.PUBLISHING
        elif code in _OVER:
            raise PublishEnded(self._worded("The other side ended the stream", info))
        elif code in _REFUSALS or _text_of(info, "level") == "error":
            self._fail(info)

    def _closed(self, values: list[Value]) -> None:
        raise PublishEnded("The other side closed the connection.")

    def _fail(self, info: Value) -> None:
        """Raises PublishRefused, or PublishEnded where the stream had been taken before."""
        code, said = _text_of(info, "code"), _text_of(info, "description")
        if self._state is PublisherState.PUBLISHING and code not in _REFUSALS:
            raise PublishEnded(self._worded("The other side stopped the stream", info))
        is_busy = code == "NetStream.Publish.BadName" and "already" in said.lower()
        if "authmod" in said:
            raise PublishRefused(
                "The other side asks for a user name and password, which is not supported.",
                "address",
            )
        if is_busy:
            words = "The other side says that somebody is sending there already"
            raise PublishRefused(self._worded(words, info), "busy")
        if self._state is PublisherState.CONNECTING:
            words = "The other side refuses the connection: the address may be wrong"
            raise PublishRefused(self._worded(words, info), "address")
        words = "The other side refuses the stream key"
        raise PublishRefused(self._worded(words, info), "key_refused")

    def _worded(self, words: str, info: Value) -> str:
        said = _text_of(info, "description") or _text_of(info, "code")
        said = "".join(letter for letter in said if letter.isprintable())
        said = _without(self._key, said[:_MOST_SAID]).strip(" .")[:_LONGEST_WORDS]
        return f"{words}: {said}." if said else f"{words}."

    def _call(self, name: str, transaction: float, *values: Value) -> None:
        self._send(COMMAND_AMF0, encode(name, transaction, *values), _COMMAND_CHUNKS)

    def _control(self, kind: int, body: bytes) -> None:
        self._send(kind, body, _CONTROL_CHUNKS)

    def _send(
        self, kind: int, body: bytes, chunk_stream: int, *, stream_id: int = 0, ms: int = 0
    ) -> None:
        message = Message(kind, stream_id, ms % (1 << 32), body)
        self._out += chunked(message, chunk_stream=chunk_stream, chunk_size=self._chunk_size)


def _short(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _without(key: str, said: str) -> str:
    """Platforms repeat keys cut short, or in other case: any longer piece of one is left out."""
    least = min(_PIECE_OF_KEY, len(key))
    hidden, text = key.translate(_SMALL), said.translate(_SMALL)
    out: list[str] = []
    at = 0
    while at < len(said):
        end = at + least
        if least and end <= len(text) and text[at:end] in hidden:
            while end < len(text) and text[at : end + 1] in hidden:
                end += 1
            out.append("…")
            at = end
        else:
            out.append(said[at])
            at += 1
    return "".join(out)


def _text_of(info: Value, name: str) -> str:
    found = info.get(name) if isinstance(info, dict) else None
    return found if isinstance(found, str) else ""


def _other_than_rtmp(first: int) -> str:
    if first in {0x15, 0x16}:
        return "it speaks TLS: the address may have to begin with rtmps://"
    if first in {0x48, 0x3C}:  # H of HTTP, < of HTML
        return "it is a web server"
    return "it does not speak RTMP"
