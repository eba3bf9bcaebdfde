"""What an encoder sends, told in figures and as advice for the host. Pure bookkeeping.

Rates count by the stream's own timestamps, second by second, so that a burst on the network does
not look like another encoder; only lateness and jitter look at the clock. Nothing is decoded here.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from liveshop.video.model import (
    AAC_FRAME_LENGTH,
    VIDEO_TIMESCALE,
    AacConfig,
    Advice,
    H264Config,
    Sample,
    Track,
)
from liveshop.video.sound_level import Level, Sound

_RATE_SECONDS: Final = 5
"""Over how many whole seconds rates are averaged."""
_MINUTE: Final = 60
_KEYFRAME_DISTANCES: Final = 3
_DURATIONS_MOST: Final = 240
"""A second of more pictures is noise; its first ones tell as much."""
_NOMINAL_SECONDS: Final = 9
_SOUND_SECONDS: Final = 3.0
"""How much sound is kept for `measure_sound`; see `sound_level`."""
_LARGEST_SOUND_FRAME: Final = 8192
"""An AAC frame holds at most 6144 bits per channel (ISO/IEC 14496-3 4.5.1.1): 6 KiB for eight."""

_GAP_COUNTS_SECONDS: Final = 10.0
"""Pictures missing between two runs are dropped ones; after longer the encoder was simply away."""
_CLOCK_DRIFT: Final = 200e-6
"""An encoder's clock may run this much slower than ours without looking like a slow uplink."""
_CLOCK_STEP_SECONDS: Final = 30.0
"""No connection that silent stays open, so this much lateness at once is a clock that was set."""

# From where on a host is told
_KEYFRAMES_RARE_SECONDS: Final = 2.5
_FRAME_RATE_LOW: Final = 14.5
"""15 pictures a second are still accepted, and measure a little less now and then."""
_PICTURE_SMALL_LINES: Final = 480
_KBIT_HIGH: Final = 6_500
"""Viewers get what is sent: more than this does not fit a phone on the move."""
_BEHIND_SECONDS: Final = 1.0
_DROPPED_SHARE: Final = 0.01
_DROPPED_LEAST: Final = 5
_NO_SOUND_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Report:
    """Figures are None while they are not known.

    `keyframe_seconds`: the longest of the last distances, the running one included, since that is
    what viewers who join wait for.
    `dropped_frames`: pictures missing against the usual distance, over the whole publication.
    `jitter_ms`: by how much arrivals within a second differ from an even flow.
    `behind_seconds`: how much later than at its best the stream arrives now.
    """

    since: datetime
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    channels: int | None
    sample_rate: int | None
    frame_rate: float | None
    kbit_per_second: int | None
    keyframe_seconds: float | None
    level_dbfs: float | None
    peak_dbfs: float | None
    is_silent: bool | None
    dropped_frames: int
    dropped_last_minute: int
    jitter_ms: int | None
    behind_seconds: float
    advice: list[Advice]


@dataclass(slots=True)
class _Second:
    """What one second of the stream's own time held."""

    starts: int
    """dts of its first picture."""
    pictures: int = 0
    byte_count: int = 0
    missing: int = 0
    durations: list[int] = field(default_factory=list)
    least_late: float = float("inf")
    most_late: float = float("-inf")


class Arrivals:
    """One per publisher. `begin` before the first sample and for each new set of parameters or
    timestamps; `add` with everything that is written. Memory is bounded whatever is sent."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._video: H264Config | None = None
        self._audio: AacConfig | None = None
        self._dropped = 0
        self._dropped_before: deque[tuple[float, int]] = deque(maxlen=100)
        """Pictures dropped lately that belong to no second kept: (arrival, number)."""
        self._nominal = 0
        """The usual distance of pictures; 0: not known yet."""
        self._usual: deque[int] = deque(maxlen=_NOMINAL_SECONDS)
        """The usual distance within each of the last seconds."""
        self._last_picture_at: float | None = None
        self._last_arrival = 0.0
        self._sound: deque[bytes] = deque()
        self._sound_most = 0
        self._start_run(None)

    def _start_run(self, resumed_at: float | None) -> None:
        self._resumed_at = resumed_at
        self._seconds: deque[_Second] = deque(maxlen=_MINUTE)
        self._now: _Second | None = None
        self._last_keyframe: int | None = None
        self._keyframe_distances: deque[int] = deque(maxlen=_KEYFRAME_DISTANCES)
        self._picture_end = 0
        self._sound_end: int | None = None
        self._least_late: float | None = None
        self._least_late_at = 0.0

    def begin(self, video: H264Config, audio: AacConfig | None, now: datetime) -> None:
        """The samples that follow have these parameters, and timestamps that start over."""
        if self._since is None:
            self._since = now
        missing = sum(second.missing for second in self._kept_seconds())
        if missing:
            self._dropped_before.append((self._last_arrival, missing))
        if audio != self._audio:
            self._sound.clear()
        self._video, self._audio = video, audio
        self._sound_most = 0 if audio is None else _frames_in(_SOUND_SECONDS, audio)
        self._start_run(self._last_picture_at)

    def add(self, samples: Iterable[Sample], now: datetime) -> None:
        """What one write brought. A few additions per sample: it runs for every write."""
        at = now.timestamp()
        self._last_arrival = at
        for sample in samples:
            if sample.track is Track.VIDEO:
                self._picture(sample, at)
            else:
                self._hear(sample)

    def _picture(self, sample: Sample, at: float) -> None:
        dts, second = sample.dts, self._now
        if second is None or not 0 <= dts - second.starts < VIDEO_TIMESCALE:
            second = self._next_second(dts, at)
        second.pictures += 1
        second.byte_count += len(sample.data)
        if second.pictures <= _DURATIONS_MOST:
            second.durations.append(sample.duration)
        late = at - dts / VIDEO_TIMESCALE
        second.least_late = min(second.least_late, late)
        second.most_late = max(second.most_late, late)
        nominal = self._nominal
        if nominal and 2 * sample.duration > 3 * nominal:
            second.missing += self._drop(round(sample.duration / nominal) - 1)
        if sample.is_keyframe:
            if self._last_keyframe is not None:
                self._keyframe_distances.append(dts - self._last_keyframe)
            self._last_keyframe = dts
        self._picture_end = dts + sample.duration
        self._last_picture_at = at

    def _hear(self, sample: Sample) -> None:
        if self._audio is None:
            return
        if self._now is not None:
            self._now.byte_count += len(sample.data)
        self._sound_end = sample.dts + sample.duration
        if len(sample.data) <= _LARGEST_SOUND_FRAME:
            self._sound.append(sample.data)
            if len(self._sound) > self._sound_most:
                self._sound.popleft()

    def _next_second(self, dts: int, at: float) -> _Second:
        """Close the current second; where none is, this is the first picture of a run."""
        if self._now is None:
            self._count_gap(at)
        else:
            self._close(self._now, at)
        self._now = _Second(dts)
        return self._now

    def _close(self, second: _Second, at: float) -> None:
        # A median of medians, since an encoder that drops every other picture for seconds must not
        # make that the usual distance.
        self._usual.append(_median(second.durations))
        self._nominal = _median(self._usual)
        second.durations = []
        self._seconds.append(second)
        least = self._least_late
        if least is not None:
            least += _CLOCK_DRIFT * max(0.0, at - self._least_late_at)
        if (
            least is None
            or second.least_late < least
            or second.least_late - least > _CLOCK_STEP_SECONDS
        ):
            least = second.least_late
        self._least_late, self._least_late_at = least, at

    def _count_gap(self, at: float) -> None:
        """An encoder that drops half a second or more begins a new run: what is missing in
        between is told by the clock."""
        if self._resumed_at is None or not self._nominal:
            return
        gap = at - self._resumed_at
        if 0 < gap < _GAP_COUNTS_SECONDS:
            missing = self._drop(round(gap * VIDEO_TIMESCALE / self._nominal) - 1)
            if missing:
                self._dropped_before.append((at, missing))

    def _drop(self, count: int) -> int:
        count = max(0, count)
        self._dropped += count
        return count

    # -- what is told

    def recent_sound(self) -> Sound | None:
        """The last three seconds of sound, for `sound_level.measure_sound`; None: there is none."""
        if self._audio is None or not self._sound:
            return None
        return Sound(self._audio, tuple(self._sound))

    def report(self, now: datetime, level: Level | None = None) -> Report:
        """`level`: what `measure_sound` made of `recent_sound()`. Call it after `begin`."""
        assert self._video is not None
        assert self._since is not None
        at = now.timestamp()
        video, audio = self._video, self._audio
        distances = list(self._keyframe_distances)
        if self._last_keyframe is not None:
            running = self._picture_end - self._last_keyframe
            # A first keyframe whose successor is not even due says nothing.
            if distances or running > _KEYFRAMES_RARE_SECONDS * VIDEO_TIMESCALE:
                distances.append(running)
        longest = max(distances, default=None)
        frame_rate, kbit = self._rates()
        report = Report(
            since=self._since,
            width=video.width,
            height=video.height,
            video_codec=video.codec,
            audio_codec=None if audio is None else audio.codec,
            channels=None if audio is None else audio.channels,
            sample_rate=None if audio is None else audio.sample_rate,
            frame_rate=frame_rate,
            kbit_per_second=kbit,
            keyframe_seconds=_seconds(longest),
            level_dbfs=None if level is None else level.mean_dbfs,
            peak_dbfs=None if level is None else level.peak_dbfs,
            is_silent=None if level is None else level.is_silent,
            dropped_frames=self._dropped,
            dropped_last_minute=self._dropped_last_minute(at),
            jitter_ms=self._jitter_ms(),
            behind_seconds=round(self._behind(at), 3),
            advice=[],
        )
        report.advice.extend(self._advice(report, level))
        return report

    def _kept_seconds(self) -> list[_Second]:
        return [*self._seconds, *([] if self._now is None else [self._now])]

    def _rates(self) -> tuple[float | None, int | None]:
        """Pictures and kbit a second."""
        seconds = self._kept_seconds()
        if len(seconds) < 2:
            return None, None
        whole = seconds[-1 - _RATE_SECONDS : -1]
        span = (seconds[-1].starts - whole[0].starts) / VIDEO_TIMESCALE
        if span <= 0:  # timestamps that ran backwards
            return None, None
        pictures = sum(second.pictures for second in whole)
        byte_count = sum(second.byte_count for second in whole)
        return round(pictures / span, 2), round(byte_count * 8 / span / 1000)

    def _dropped_last_minute(self, at: float) -> int:
        before = self._dropped_before
        while before and at - before[0][0] > _MINUTE:
            before.popleft()
        within = sum(second.missing for second in self._kept_seconds())
        return within + sum(count for _, count in before)

    def _jitter_ms(self) -> int | None:
        recent = [second for second in list(self._seconds)[-_RATE_SECONDS:] if second.pictures]
        if not recent:
            return None
        spread = sum(second.most_late - second.least_late for second in recent) / len(recent)
        return round(spread * 1000)

    def _behind(self, at: float) -> float:
        """Lateness is least at the best moment of a run, and that moment is what counts."""
        if self._last_picture_at is None:
            return 0.0
        silence = max(0.0, at - self._last_picture_at)
        if not self._seconds or self._least_late is None:
            return silence
        late = min(second.least_late for second in list(self._seconds)[-2:])
        return max(0.0, late - self._least_late) + silence

    def _advice(self, report: Report, level: Level | None) -> list[Advice]:
        rate = report.frame_rate
        expected = (rate or 0) * min(_MINUTE, len(self._seconds) + 1)
        dropping = max(_DROPPED_LEAST, _DROPPED_SHARE * expected)
        found: dict[Advice, bool] = {
            "keyframes_rare": (report.keyframe_seconds or 0) > _KEYFRAMES_RARE_SECONDS,
            "frame_rate_low": rate is not None and rate < _FRAME_RATE_LOW,
            "no_sound": self._has_no_sound(),
            "silent": level is not None and level.is_silent,
            "too_loud": level is not None and level.is_too_loud,
            "dropping": report.dropped_last_minute >= dropping,
            "uplink_slow": report.behind_seconds > _BEHIND_SECONDS,
            "picture_small": min(report.width, report.height) < _PICTURE_SMALL_LINES,
            "bitrate_high": (report.kbit_per_second or 0) > _KBIT_HIGH,
        }
        return [code for code, is_so in found.items() if is_so]

    def _has_no_sound(self) -> bool:
        if self._audio is None:
            return True
        if self._now is None:
            return False
        first = self._seconds[0].starts if self._seconds else self._now.starts
        heard = first / VIDEO_TIMESCALE
        if self._sound_end is not None:
            heard = max(heard, self._sound_end / self._audio.timescale)
        return self._picture_end / VIDEO_TIMESCALE - heard > _NO_SOUND_SECONDS


def _seconds(ticks: int | None) -> float | None:
    return None if ticks is None else round(ticks / VIDEO_TIMESCALE, 3)


def _median(values: Iterable[int]) -> int:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _frames_in(seconds: float, audio: AacConfig) -> int:
    return max(1, round(seconds * audio.sample_rate / AAC_FRAME_LENGTH))
