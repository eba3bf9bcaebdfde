"""A second, smaller picture for weak networks: decode, scale to 360 lines, encode; sound is copied.

In process, in one thread per show: codecs leave the interpreter's lock alone, so the event loop is
not held up (about a sixth of a core for 720p30). Keyframes are where the source has them, so that
players can change between the two. Undo it where somebody else makes the ladder.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Final

import av
import structlog
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from liveshop.kernel.errors import ShopError
from liveshop.video.model import VIDEO_TIMESCALE, AacConfig, H264Config, Sample, Track

_log = structlog.get_logger("rung")

LINES: Final = 360
"""Of the shorter side, so that an upright picture keeps as much detail as a lying one."""
_KBIT: Final = 700
_SHORTEST_PICTURE: Final = VIDEO_TIMESCALE // 45
"""Of 50 or 60 pictures a second every other one is made: they cost as much as all the rest."""
_BEHIND_SECONDS: Final = 1.5
"""What waits longer is dropped, up to the next keyframe. By the clock and not by its own times:
a publisher may begin with seconds at once."""
_BEHIND_PICTURES: Final = 600
_BROKEN_MOST: Final = 5
"""Tries in a row of which nothing came: there is nothing to wait for."""
_MOST_PIXELS: Final = 4096 * 2304
"""What claims to be larger takes gigabytes to decode."""
_WORDS_EVERY_SECONDS: Final = 60.0
_TIME_BASE: Final = Fraction(1, VIDEO_TIMESCALE)

_OPTIONS: Final = {
    "preset": "veryfast",
    "tune": "zerolatency",
    "profile": "main",
    "forced-idr": "1",
    # annexb=0: length-prefixed NAL units and an avcC, as MP4 holds them.
    "x264-params": "annexb=0:keyint=infinite:scenecut=0:bframes=0",
    "maxrate": f"{_KBIT * 5 // 4}k",
    "bufsize": f"{_KBIT}k",
}


class CannotScale(Exception):
    """The pictures cannot be decoded, or not encoded again."""


def size_for(width: int, height: int, lines: int = LINES) -> tuple[int, int]:
    """Scaled so that the shorter side has `lines`; even, and never larger than it was."""
    scale = min(Fraction(1), Fraction(lines, min(width, height)))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


class Scaler:
    """One run of pictures, made small. Blocks: for a thread of its own.

    `picture` gives samples of the same timeline, in display order and one picture behind.
    """

    def __init__(self, video: H264Config, lines: int = LINES) -> None:
        self._video = video
        self._size = size_for(video.width, video.height, lines)
        self._reformatter = VideoReformatter()
        self._decoder: av.VideoCodecContext | None = None
        self._encoder: av.VideoCodecContext | None = None
        self._keyframes: set[int] = set()
        self._first_pts: int | None = None
        self._last_pts: int | None = None
        self._waiting: Sample | None = None
        self.config: H264Config | None = None
        """Known with the first sample given out."""

    @property
    def has_started(self) -> bool:
        return self._decoder is not None

    def picture(self, sample: Sample) -> list[Sample]:
        """Pictures made ready by this one; none before the first keyframe. Raises CannotScale:
        make a new one to go on with the next keyframe."""
        if not sample.data:  # to a decoder, nothing is the end
            return []
        if self._decoder is None:
            if not sample.is_keyframe:
                return []
            self._decoder = _decoder(self._video)
            self._first_pts = sample.pts
        if sample.is_keyframe:
            self._keyframes.add(sample.pts)
        packet = av.Packet(sample.data)
        packet.dts, packet.pts, packet.time_base = sample.dts, sample.pts, _TIME_BASE
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            raise CannotScale("the pictures cannot be decoded") from error
        return [made for frame in frames for made in self._scale(frame)]

    def _scale(self, frame: av.VideoFrame) -> list[Sample]:
        pts = frame.pts
        # Pictures that lead an open group of pictures refer to what is not there.
        if pts is None or self._first_pts is None or pts < self._first_pts:
            return []
        is_keyframe = pts in self._keyframes
        last = self._last_pts
        if last is not None and pts <= last:
            return []
        if last is not None and pts - last < _SHORTEST_PICTURE and not is_keyframe:
            return []
        self._last_pts = pts
        self._keyframes = {key for key in self._keyframes if key > pts}
        width, height = self._size
        small = self._reformatter.reformat(
            frame, width, height, "yuv420p", interpolation=Interpolation.BILINEAR
        )
        small.pts, small.time_base = pts, _TIME_BASE
        # The encoder takes a picture's type as an order.
        small.pict_type = PictureType.I if is_keyframe else PictureType.NONE
        try:
            if self._encoder is None:
                self._encoder = self._open_encoder(frame)
            packets = self._encoder.encode(small)
        except (av.error.FFmpegError, ValueError) as error:
            raise CannotScale("the pictures cannot be encoded") from error
        return [sample for packet in packets for sample in self._paced(packet)]

    def _paced(self, packet: "av.Packet[av.VideoStream]") -> list[Sample]:
        """How long a picture lasts is known with the next one."""
        assert packet.pts is not None
        waiting = self._waiting
        self._waiting = Sample(
            Track.VIDEO, packet.pts, packet.pts, 0, packet.is_keyframe, bytes(packet)
        )
        if waiting is None:
            return []
        return [replace(waiting, duration=packet.pts - waiting.pts)]

    def _open_encoder(self, frame: av.VideoFrame) -> av.VideoCodecContext:
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = self._size
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = _TIME_BASE
        encoder.framerate = Fraction(30)
        encoder.bit_rate = _KBIT * 1000
        encoder.thread_count = 1
        encoder.flags |= av.codec.context.Flags.global_header
        encoder.options = dict(_OPTIONS)
        encoder.open()
        self.config = H264Config(encoder.extradata or b"", *self._size)
        return encoder


def _decoder(video: H264Config) -> av.VideoCodecContext:
    """One thread: more would each hold a picture back."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = video.avcc
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(_MOST_PIXELS)}
    return decoder


class _Making:
    """Pictures made small and the sound between them, from a keyframe on without a hole."""

    def __init__(self, video: H264Config) -> None:
        self._scaler = Scaler(video)
        self._held: list[Sample] = []
        """Sound that came before the first picture was ready."""
        self.has_begun = False
        self.untold: H264Config | None = None
        """What the receiver is to be told first."""

    def take(self, sample: Sample) -> list[Sample]:
        """What this one made ready. Raises CannotScale."""
        if sample.track is Track.AUDIO:
            if self.has_begun:
                return [sample]
            if self._scaler.has_started:
                self._held.append(sample)
            return []
        pictures = self._scaler.picture(sample)
        if not pictures or self.has_begun:
            return pictures
        self.has_begun = True
        self.untold = self._scaler.config
        held, self._held = self._held, []
        return held + pictures


@dataclass(frozen=True, slots=True)
class _Work:
    """`run`: rises where something was dropped in between."""

    run: int
    samples: list[Sample]
    origin: datetime


class Rung:
    """One run of one publisher: make a new one for new parameters. To be made on the event loop,
    which is where `begin`, `write` and `failed` are called.

    `begin(video, audio)` comes before the first samples, and again where pictures were left out
    because the machine is too slow: the timestamps then go on after a hole. `failed()`: nothing
    comes any more.
    """

    def __init__(
        self,
        video: H264Config,
        audio: AacConfig | None,
        begin: Callable[[H264Config, AacConfig | None], None],
        write: Callable[[list[Sample], datetime], None],
        *,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._video = video
        self._audio = audio
        self._begin = begin
        self._write = write
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._run = 0
        self._dropped_run = 0
        """Work of this run and of those before is not done any more."""
        self._is_dropping = True
        """Until a keyframe; so it is at first."""
        self._unfinished: deque[float] = deque()
        """When pictures were fed that the thread was not done with when `_done` was looked at."""
        self._seen_done = 0
        self._done = 0
        """Pictures the thread is done with; only the thread counts it up."""
        self._is_closed = False
        self._next_words_at = 0.0
        self.drops = 0
        """How often a backlog was dropped."""
        self._thread = threading.Thread(target=self._work_off, name="rung", daemon=True)
        self._thread.start()

    # -- on the event loop

    def feed(self, samples: Iterable[Sample], origin: datetime) -> None:
        """What one write of the publisher brought. Never waits."""
        if self._is_closed:
            return
        taken: list[Sample] = []
        for sample in samples:
            if sample.track is Track.VIDEO:
                self._note_picture(sample)
            if not self._is_dropping:
                taken.append(sample)
                if sample.track is Track.VIDEO:
                    self._unfinished.append(self._loop.time())
        if taken:
            self._work.put(_Work(self._run, taken, origin))

    def close(self) -> None:
        """Nothing is called any more. Does not wait. May be repeated."""
        self._is_closed = True
        self._work.put(None)

    def _note_picture(self, picture: Sample) -> None:
        """Start or stop dropping with this picture."""
        unfinished = self._unfinished
        done = self._done
        while self._seen_done < done:
            self._seen_done += 1
            unfinished.popleft()
        if self._is_dropping:
            # Not before the thread has thrown the rest away: so memory stays bounded.
            if picture.is_keyframe and not unfinished:
                self._is_dropping = False
                self._run += 1
            return
        if not unfinished:
            return
        behind = self._loop.time() - unfinished[0]
        if behind > _BEHIND_SECONDS or len(unfinished) > _BEHIND_PICTURES:
            self._is_dropping = True
            self._dropped_run = self._run
            self.drops += 1
            self._say_behind(behind)

    def _say_behind(self, behind: float) -> None:
        if self._loop.time() >= self._next_words_at:
            self._next_words_at = self._loop.time() + _WORDS_EVERY_SECONDS
            _log.warning("rung_behind", seconds=round(behind, 1), drops=self.drops)

    def _hand_on(self, config: H264Config | None, samples: list[Sample], origin: datetime) -> None:
        if self._is_closed:
            return
        try:
            if config is not None:
                self._begin(config, self._audio)
            self._write(samples, origin)
        except ShopError as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self._is_closed:
            _log.warning("rung_failed", error=str(error))
            self.close()
            self._failed()

    # -- in the thread

    def _work_off(self) -> None:
        try:
            self._transcode()
        except CannotScale as error:
            self._call(self._give_up, error)
        except Exception as error:
            _log.exception("rung_broken")
            self._call(self._give_up, error)

    def _transcode(self) -> None:
        making = _Making(self._video)
        run = failures = 0
        while (work := self._work.get()) is not None:
            if work.run != run:
                run, making = work.run, _Making(self._video)
            made: list[Sample] = []
            for sample in work.samples:
                if self._is_closed:
                    return
                try:
                    if run > self._dropped_run:
                        made.extend(making.take(sample))
                        failures = 0 if making.has_begun else failures
                except CannotScale:
                    failures += 1
                    if failures > _BROKEN_MOST:
                        raise
                    self._send(making, made, work.origin)
                    making, made = _Making(self._video), []
                finally:
                    self._done += sample.track is Track.VIDEO
            if run > self._dropped_run:
                self._send(making, made, work.origin)

    def _send(self, making: _Making, made: list[Sample], origin: datetime) -> None:
        if made:
            config, making.untold = making.untold, None
            self._call(self._hand_on, config, made, origin)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        # A loop that is closed has nobody left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)
