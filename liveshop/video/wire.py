"""What arrives from an encoder, on the wire: figures, and codes that the studio has words for."""

from datetime import datetime, timedelta

from liveshop.video.arrivals import Report
from liveshop.video.model import Advice, State
from liveshop.web import Wire


class VideoHealth(Wire):
    """`preview`: it arrives, but the show is not live, so only its staff sees it. `away`: the show
    is live and its encoder is gone. Figures are null while they are not known. `recording` says in
    words why the show is not recorded now, or cannot be rewound so far; null: all is well."""

    state: State
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
    recording: str | None

    @classmethod
    def nothing(cls, state: State, since: datetime | None, recording: str | None) -> "VideoHealth":
        """Nobody sends; `since` when, if somebody did."""
        return cls(
            state=state,
            since=since,
            width=None,
            height=None,
            frame_rate=None,
            kbit_per_second=None,
            keyframe_seconds=None,
            video_codec=None,
            audio_codec=None,
            channels=None,
            sample_rate=None,
            level_dbfs=None,
            peak_dbfs=None,
            dropped_frames=None,
            dropped_last_minute=None,
            jitter_ms=None,
            capture_delay_ms=None,
            advice=[],
            recording=recording,
        )

    @classmethod
    def of(
        cls, state: State, report: Report, capture_delay: timedelta, recording: str | None
    ) -> "VideoHealth":
        return cls(
            state=state,
            since=report.since,
            width=report.width,
            height=report.height,
            frame_rate=report.frame_rate,
            kbit_per_second=report.kbit_per_second,
            keyframe_seconds=report.keyframe_seconds,
            video_codec=report.video_codec,
            audio_codec=report.audio_codec,
            channels=report.channels,
            sample_rate=report.sample_rate,
            level_dbfs=report.level_dbfs,
            peak_dbfs=report.peak_dbfs,
            dropped_frames=report.dropped_frames,
            dropped_last_minute=report.dropped_last_minute,
            jitter_ms=report.jitter_ms,
            capture_delay_ms=round(capture_delay.total_seconds() * 1000),
            advice=report.advice,
            recording=recording,
        )
