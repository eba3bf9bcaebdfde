"""What arrives from an encoder, on the wire: figures, and codes that the studio has words for."""

from datetime import datetime
from typing import Literal

from liveshop.web import Wire

Advice = Literal[
    "keyframes_rare",
    "frame_rate_low",
    "no_sound",
    "silent",
    "too_loud",
    "dropping",
    "uplink_slow",
    "picture_small",
    "bitrate_high",
]


class VideoHealth(Wire):
    """`preview`: it arrives, but the show is not live, so only its staff sees it. `away`: the show
    is live and its encoder is gone. Figures are null while they are not known."""

    state: Literal["none", "preview", "on_air", "away"]
    since: datetime | None
    width: int | None
    height: int | None
    frame_rate: float | None
    kbit_per_second: int | None
    keyframe_seconds: float | None
    video_codec: str | None
    audio_codec: str | None
    channels: int | None
    sample_rate: int | None
    level_dbfs: float | None
    peak_dbfs: float | None
    dropped_frames: int | None
    dropped_last_minute: int | None
    jitter_ms: int | None
    capture_delay_ms: int | None
    advice: list[Advice]
