"""Bytes on the wire, made once: JSON texts and the WebSocket frames around them.

Frames are built here and not by aiohttp because a server's frames carry no mask: without
compression the same bytes are right for every viewer. See `hub.py` for how they are written.
"""

import struct
from datetime import datetime

import msgspec

from liveshop.kernel.clock import rfc3339
from liveshop.kernel.errors import ShopError
from liveshop.realtime.model import Draft, Event
from liveshop.realtime.wire import ErrorOut, Hello

_encode = msgspec.json.Encoder().encode
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A  # RFC 6455 section 5.2: FIN and the opcode

PING = bytes((_PING, 0))


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", _TEXT, 126, length) + payload
    return struct.pack("!BBQ", _TEXT, 127, length) + payload


RESUME_FAILED = text_frame(b'{"t":"resume_failed"}')


def pong(data: bytes) -> bytes:
    """The answer to a ping; control frames hold at most 125 bytes (section 5.5)."""
    return bytes((_PONG, len(data[:125]))) + data[:125]


def draft(type_: str, data: msgspec.Struct, at: datetime, *, sampled_by: str = "") -> Draft:
    """Encode an event's data: once per event, whatever the number of rooms, nodes and viewers."""
    return Draft(type_, at, _encode(data), sampled_by)


def event(item: Draft, offset: int) -> Event:
    """Set the offset into an encoded event. The data is not encoded again."""
    head = _encode({"t": item.type, "o": offset, "at": rfc3339(item.at)})
    frame = text_frame(head[:-1] + b',"d":' + item.data + b"}")
    return Event(offset, item.type, frame, item.sampled_by)


def hello(greeting: Hello) -> bytes:
    return text_frame(_encode(greeting))


def unlogged(type_: str, data: msgspec.Struct) -> bytes:
    """An event outside the log, so without an offset."""
    return text_frame(_encode({"t": type_, "d": data}))


def type_of(frame: bytes) -> bytes:
    """The type of a frame made by `unlogged`."""
    _, _, rest = frame.partition(b'{"t":"')
    return rest.partition(b'"')[0]


def answer(command_id: int, result: msgspec.Struct | None) -> bytes:
    return text_frame(_encode({"id": command_id, "ok": {} if result is None else result}))


def refusal(command_id: int | None, error: ShopError) -> bytes:
    out = ErrorOut(
        code=error.code,
        message=error.detail,
        retryable=error.retryable,
        retry_after=error.retry_after,
        data=error.data,
    )
    return text_frame(_encode({"id": command_id, "error": out}))
