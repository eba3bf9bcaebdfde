"""What an encoder says on an RTMP connection. Their reprs show nothing of it: logs hold no keys."""

from dataclasses import dataclass, field
from typing import TypeAlias

from liveshop.video.ingest.amf0 import Value


@dataclass(frozen=True, slots=True)
class PublishAsked:
    """`name`: the stream key, without a query. Hosts who enter it behind the server's address and
    leave the field for the key empty have it found there."""

    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Metadata:
    """onMetaData: what the encoder says of itself, unchecked."""

    values: dict[str, Value] = field(repr=False)


@dataclass(frozen=True, slots=True)
class VideoTag:
    """`timestamp_ms` runs on over the wrap of 32 bits; just before the first it may be negative."""

    timestamp_ms: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioTag:
    """`timestamp_ms` as for VideoTag, on the same clock."""

    timestamp_ms: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """FCUnpublish, closeStream or deleteStream: meant, not lost."""


Event: TypeAlias = PublishAsked | Metadata | VideoTag | AudioTag | PublishEnded
