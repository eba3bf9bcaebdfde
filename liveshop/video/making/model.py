"""What can be made of a recording, and what server and worker process say to each other."""

from datetime import datetime
from typing import Any, Literal

import msgspec

Kind = Literal["mp4", "poster", "sprites", "clip", "loudness"]


class MakingFailed(Exception):
    """It cannot be made; the text says why, to people."""


class MakingHeldUp(MakingFailed):
    """It cannot be made now, but maybe later."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: the file's name among the show's files; of no use for `loudness`, which is a number.

    `mp4`: all of it in one film. `clip`: a part of it, for channels. `sprites`: small pictures for
    a timeline in one JPEG. `poster`: one good picture of it. All from the last keyframe at or
    before `from_at`, up to the first one at or after `until_at`; None: from the beginning, to the
    end. `is_vertical` (clip): the middle of the picture, 9:16. `is_loudness_normal` (mp4, clip):
    the sound is brought to -16 LUFS.
    """

    kind: Kind
    name: str = ""
    from_at: datetime | None = None
    until_at: datetime | None = None
    is_vertical: bool = False
    is_loudness_normal: bool = False


class Made(msgspec.Struct, frozen=True):
    """`from_at`, `until_at`: what it really shows, since cuts are at keyframes. `seconds`: how long
    that plays. `width` and `height` of the picture in the file, 0 for `loudness`.

    `data` of `sprites`: columns, width, height (of one small picture), starts_at (in RFC 3339),
    offsets_ms; of `loudness`: lufs, which is None where there is no sound or silence.
    """

    byte_count: int
    seconds: float
    width: int
    height: int
    from_at: datetime
    until_at: datetime
    data: dict[str, Any] = {}


class Job(msgspec.Struct, frozen=True):
    """What the process reads from its standard input, in one line of JSON. `output`: written as a
    whole or not at all; until then in `unfinished`, which is nobody else's."""

    folder: str
    output: str
    unfinished: str
    wanted: Wanted
    least_free_bytes: int = 0


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it writes, one JSON object in each line: one of these, or nothing, to say that it goes
    on. `is_held_up`: what failed may be done later."""

    percent: int | None = None
    made: Made | None = None
    failed: str | None = None
    is_held_up: bool = False
