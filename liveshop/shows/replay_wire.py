"""Recordings and replays on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from liveshop.web import Wire

FileKind = Literal["mp4", "poster", "sprites", "clip"]
FileState = Literal["waiting", "making", "ready", "failed"]
Moment = Annotated[datetime, Meta(tz=True)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]


class Trim(Wire):
    """What viewers see of a recording: from the last keyframe at or before `from_at`, up to the
    first one at or after `until_at`. Null: from its beginning, to its end."""

    from_at: Moment | None
    until_at: Moment | None


class RecordingFile(Wire):
    """Made from a recording: the whole of it (`mp4`), a product's moment (`clip`), pictures.
    `url` is there when it is `ready`; `detail` says in words why it failed."""

    id: str
    kind: FileKind
    state: FileState
    percent: int
    url: str | None
    bytes: int | None
    seconds: float | None
    width: int | None
    height: int | None
    product_id: str | None
    from_at: datetime | None
    until_at: datetime | None
    is_vertical: bool
    is_loudness_normal: bool
    detail: str | None
    created_at: datetime


class Recording(Wire):
    """For the show's staff. `seconds` is what can be played, without the gaps; `shortage` says in
    words why something is missing; `preview` is the address of all of it, trimmed or not, for the
    studio alone; `expires_at` null: it is kept until somebody deletes it."""

    show_id: str
    state: Literal["none", "recording", "ended", "deleted"]
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float
    bytes: int
    gaps: int
    shortage: str | None
    trim: Trim
    expires_at: datetime | None
    is_archived: bool
    loudness_lufs: float | None
    preview: str | None
    files: list[RecordingFile]


class FileInput(Wire):
    """`clip`: of a product's moment, or from `from_at` until `until_at`, ten minutes at most; the
    others of the whole. `is_vertical` (clip): cropped to 9:16. `is_loudness_normal` (clip, mp4):
    brought to -16 LUFS."""

    kind: FileKind
    product_id: Id | None = None
    from_at: Moment | None = None
    until_at: Moment | None = None
    is_vertical: bool = False
    is_loudness_normal: bool = False


class Keep(Wire):
    """Null: until somebody deletes it."""

    until: Moment | None


class Chapter(Wire):
    """A product's moment, or what lies between two of them."""

    product_id: str | None
    title: str
    from_at: datetime
    until_at: datetime


class Sprites(Wire):
    """One picture with `columns` small ones in each row; number n shows the moment `offsets_ms[n]`
    after `starts_at`."""

    url: str
    columns: int
    width: int
    height: int
    starts_at: datetime
    offsets_ms: list[int]


class Replay(Wire):
    """What a player shows beside the picture. Moments are times of the day, as in the playlist's
    EXT-X-PROGRAM-DATE-TIME."""

    show_id: str
    hls: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    poster: str | None
    sprites: Sprites | None
    chapters: list[Chapter]
