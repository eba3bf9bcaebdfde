"""A scripted RTMP encoder: builds the bytes a publisher sends, reads what a server answers.

Written apart from the server's code (only AMF0 is shared), so that both can be wrong only apart.
No I/O: `RtmpClient.hello()` and so on are bytes for a socket, or for `RtmpConnection.receive`.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from liveshop.video.ingest.amf0 import decode, encode
from liveshop.video.ingest.film import Film
from liveshop.video.model import Track

CONTROL, COMMANDS, SOUND, PICTURES = 2, 3, 4, 6
"""Chunk streams."""
SET_CHUNK_SIZE, ABORT, ACK, USER_CONTROL, WINDOW, BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA, COMMAND, COMMAND_AMF3, AGGREGATE = 8, 9, 18, 20, 17, 22


@dataclass
class _Sent:
    timestamp: int
    delta: int
    length: int
    kind: int
    stream_id: int


@dataclass
class RtmpClient:
    """`is_compact`: headers leave out what the last one on the chunk stream said, as encoders do.
    `repeats_extended`: chunks of type 3 carry the extended timestamp again (old librtmp: not)."""

    chunk_size: int = 128
    is_compact: bool = True
    repeats_extended: bool = True
    _last: dict[int, _Sent] = field(default_factory=dict)
    _transaction: float = 0.0

    def hello(self, *, c1: bytes | None = None) -> bytes:
        """C0, C1, C2, all at once: this client does not care what the server's look like."""
        c1 = struct.pack(">II", 0, 0) + bytes(range(256)) * 5 + bytes(248) if c1 is None else c1
        assert len(c1) == 1536
        return b"\3" + c1 + bytes(1536)

    def connect(self, app: str = "live", **options: Any) -> bytes:
        given = {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0 (compatible; test)"}
        return self.call("connect", {**given, **options})

    def publish(self, name: str, *, kind: str = "live", stream_id: int = 1) -> bytes:
        """What encoders say between `connect` and the first tag."""
        return (
            self.call("releaseStream", None, name)
            + self.call("FCPublish", None, name)
            + self.call("createStream", None)
            + self.call("publish", None, name, kind, stream_id=stream_id)
        )

    def start(self, name: str, *, app: str = "live") -> bytes:
        """All up to the question to publish."""
        return self.hello() + self.connect(app) + self.publish(name)

    def unpublish(self, name: str = "key") -> bytes:
        return self.call("FCUnpublish", None, name) + self.call("deleteStream", None, 1.0)

    def call(self, name: str, *values: Any, stream_id: int = 0) -> bytes:
        self._transaction += 1
        body = encode(name, self._transaction, *values)
        return self.message(COMMAND, body, chunk_stream=COMMANDS, stream_id=stream_id)

    def set_chunk_size(self, size: int) -> bytes:
        sent = self.message(SET_CHUNK_SIZE, struct.pack(">I", size), chunk_stream=CONTROL)
        self.chunk_size = size
        return sent

    def metadata(self, **values: Any) -> bytes:
        body = encode("@setDataFrame", "onMetaData", values)
        return self.message(DATA, body, chunk_stream=SOUND, stream_id=1)

    def video(self, ms: int, body: bytes) -> bytes:
        return self.message(VIDEO, body, timestamp=ms, chunk_stream=PICTURES, stream_id=1)

    def audio(self, ms: int, body: bytes) -> bytes:
        return self.message(AUDIO, body, timestamp=ms, chunk_stream=SOUND, stream_id=1)

    def tags(self, tags: "Iterable[Tag]") -> bytes:
        return b"".join((self.video if tag.is_video else self.audio)(*tag.sent) for tag in tags)

    def message(
        self, kind: int, body: bytes, *, chunk_stream: int, timestamp: int = 0, stream_id: int = 0
    ) -> bytes:
        return b"".join(
            self.chunks(
                kind, body, timestamp=timestamp, chunk_stream=chunk_stream, stream_id=stream_id
            )
        )

    def chunks(
        self, kind: int, body: bytes, *, chunk_stream: int, timestamp: int = 0, stream_id: int = 0
    ) -> Iterator[bytes]:
        """One message chunk by chunk, to interleave it with others. `timestamp` wraps by itself."""
        timestamp %= 1 << 32
        last = self._last.get(chunk_stream)
        header_type, time = 0, timestamp
        if (
            self.is_compact
            and last is not None
            and last.stream_id == stream_id
            and timestamp >= last.timestamp
        ):
            time = timestamp - last.timestamp
            header_type = 1
            if (last.length, last.kind) == (len(body), kind):
                header_type = 3 if time == last.delta and time < 0xFFFFFF else 2
        self._last[chunk_stream] = _Sent(timestamp, time, len(body), kind, stream_id)
        extended = struct.pack(">I", time) if time >= 0xFFFFFF else b""
        header = _basic_header(header_type, chunk_stream)
        if header_type < 3:
            header += min(time, 0xFFFFFF).to_bytes(3, "big")
        if header_type < 2:
            header += len(body).to_bytes(3, "big") + bytes((kind,))
        if header_type < 1:
            header += struct.pack("<I", stream_id)
        yield header + extended + body[: self.chunk_size]
        again = _basic_header(3, chunk_stream) + (extended if self.repeats_extended else b"")
        size = self.chunk_size
        for start in range(size, len(body), size):
            yield again + body[start : start + size]


def _basic_header(header_type: int, chunk_stream: int) -> bytes:
    if chunk_stream < 64:
        return bytes((header_type << 6 | chunk_stream,))
    if chunk_stream < 320:
        return bytes((header_type << 6, chunk_stream - 64))
    return bytes((header_type << 6 | 1,)) + struct.pack("<H", chunk_stream - 64)


# What a server answers


@dataclass(frozen=True)
class Answer:
    """`values`: of commands."""

    kind: int
    stream_id: int
    body: bytes

    @property
    def values(self) -> list[Any]:
        return list(decode(self.body)) if self.kind == COMMAND else []


class AnswerReader:
    """Takes all a server sends, in any pieces; messages come whole. Knows header types 0 and 3."""

    def __init__(self) -> None:
        self._bytes = b""
        self._chunk_size = 128
        self.hello = b""
        """S0, S1, S2 once they are here."""

    def feed(self, data: bytes) -> list[Answer]:
        self._bytes += data
        if not self.hello:
            if len(self._bytes) < 3073:
                return []
            self.hello, self._bytes = self._bytes[:3073], self._bytes[3073:]
        answers: list[Answer] = []
        while (taken := self._message()) is not None:
            answers.append(taken)
            if taken.kind == SET_CHUNK_SIZE:
                self._chunk_size = int.from_bytes(taken.body, "big")
        return answers

    def _message(self) -> Answer | None:
        data = self._bytes
        if len(data) < 12:
            return None
        assert data[0] >> 6 == 0, "a message begins with a whole header"
        length = int.from_bytes(data[4:7], "big")
        body, position = b"", 12
        while True:
            take = min(self._chunk_size, length - len(body))
            if len(data) < position + take:
                return None
            body += data[position : position + take]
            position += take
            if len(body) == length:
                self._bytes = data[position:]
                return Answer(data[7], int.from_bytes(data[8:12], "little"), body)
            if len(data) <= position:
                return None
            assert data[position] == 0xC0 | data[0], "its next chunk follows"
            position += 1


def status_codes(answers: Iterable[Answer]) -> list[str]:
    """Of all `onStatus`."""
    return [a.values[3]["code"] for a in answers if a.kind == COMMAND and a.values[0] == "onStatus"]


# Bodies of tags


@dataclass(frozen=True)
class Tag:
    is_video: bool
    ms: int
    body: bytes

    @property
    def sent(self) -> tuple[int, bytes]:
        return self.ms, self.body


def avc_config(avcc: bytes) -> bytes:
    return b"\x17\0\0\0\0" + avcc


def avc_picture(data: bytes, *, is_keyframe: bool, composition_ms: int = 0) -> bytes:
    first = b"\x17" if is_keyframe else b"\x27"
    return first + b"\1" + composition_ms.to_bytes(3, "big", signed=True) + data


def avc_end() -> bytes:
    return b"\x17\2\0\0\0"


def aac_config(specific: bytes) -> bytes:
    return b"\xaf\0" + specific


def aac_sound(data: bytes) -> bytes:
    return b"\xaf\1" + data


def enhanced_video(
    packet: int, payload: bytes, *, frame: int = 1, fourcc: bytes = b"avc1"
) -> bytes:
    return bytes((0x80 | frame << 4 | packet,)) + fourcc + payload


def enhanced_audio(packet: int, payload: bytes, *, fourcc: bytes = b"mp4a") -> bytes:
    return bytes((0x90 | packet,)) + fourcc + payload


def tags_of(film: Film, *, start_ms: int = 0) -> list[Tag]:
    """The film as an encoder sends it, from both configurations to its last frame."""
    tags = [
        Tag(True, start_ms, avc_config(film.video.avcc)),
        Tag(False, start_ms, aac_config(film.audio.specific)),
    ]
    for sample in film.samples:
        is_video = sample.track is Track.VIDEO
        rate = film.video.timescale if is_video else film.audio.timescale
        ms, shown_ms = start_ms + sample.dts * 1000 // rate, start_ms + sample.pts * 1000 // rate
        body = (
            avc_picture(sample.data, is_keyframe=sample.is_keyframe, composition_ms=shown_ms - ms)
            if is_video
            else aac_sound(sample.data)
        )
        tags.append(Tag(is_video, ms, body))
    return tags
