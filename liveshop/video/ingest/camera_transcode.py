"""VP8 and VP9 of browsers that have no H.264 encoder become H.264. Blocks: for a thread.

At a constant rate whatever the browser's, so that parts come out even; a second of 720p costs some
0.4 s of CPU, which is why few may at once. On a machine that does not keep up pictures are left
out: the sound goes through the same thread.
"""

import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from liveshop.video.ingest.access_units import BadMedia, Picture, VideoConfig, video_config
from liveshop.video.rung import size_for

DECODERS: Final = {"vp8": "vp8", "vp9": "vp9"}
_RATE: Final = 30
_LINES: Final = 720
_KBIT: Final = 2_500
_LEAST_KBIT: Final = 500
_FULL_PIXELS: Final = 1280 * 720
_MOST_PIXELS: Final = 4096 * 2304
"""What claims to be larger takes gigabytes to decode."""
_MOST_REPEATS: Final = _RATE // 2
"""A longer hole stays one."""
BEHIND_SECONDS: Final = 0.5
_LEAST_EVERY: Final = _RATE * 2 // 5
"""However far behind, one picture in so many is made: the packager takes no longer ones."""
_TIME_BASE: Final = Fraction(1, _RATE)


class Transcoders:
    """How many may transcode at once in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def has_room(self) -> bool:
        return self._taken < self._limit

    def slot(self) -> "Slot":
        return Slot(self)

    def take(self) -> bool:
        with self._lock:
            if not self.has_room:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


class Slot:
    """One host's; to be used from any thread."""

    def __init__(self, transcoders: Transcoders) -> None:
        self._transcoders = transcoders
        self._lock = threading.Lock()
        self._is_taken = False
        self._is_closed = False

    def take(self) -> bool:
        """Whether it may transcode. May be repeated."""
        with self._lock:
            if self._is_closed:
                return False
            self._is_taken = self._is_taken or self._transcoders.take()
            return self._is_taken

    def close(self) -> None:
        """May be repeated."""
        with self._lock:
            self._is_closed = True
            if self._is_taken:
                self._is_taken = False
                self._transcoders.give_back()


@dataclass(frozen=True, slots=True)
class Transcoded:
    """`config`: where it is another one than the picture's before."""

    us: int
    picture: Picture
    config: VideoConfig | None


class Transcoder:
    def __init__(self, codec: str) -> None:
        """`codec`: one of DECODERS."""
        decoder = av.CodecContext.create(DECODERS[codec], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        # More threads would each hold a picture back.
        decoder.thread_count = 1
        decoder.options = {"max_pixels": str(_MOST_PIXELS)}
        self._decoder = decoder
        self._reformatter = VideoReformatter()
        self._encoder: av.VideoCodecContext | None = None
        self._source_size = (0, 0)
        self._size = (0, 0)
        self._untold: VideoConfig | None = None
        self._slot: int | None = None
        """The last picture's, in 30ths of a second."""
        self._keyframe_slot = 0
        self._last: av.VideoFrame | None = None

    def picture(self, us: int, data: bytes, *, is_behind: bool = False) -> list[Transcoded]:
        """`is_behind`: it had to wait for longer than BEHIND_SECONDS. Raises BadMedia."""
        packet = av.Packet(data)
        try:
            frames = self._decoder.decode(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise BadMedia("the picture cannot be decoded") from error
        return [made for frame in frames for made in self._place(us, frame, is_behind)]

    def _place(self, us: int, frame: av.VideoFrame, is_behind: bool) -> list[Transcoded]:
        """Into the slots that are due up to this one."""
        slot = round(us * _RATE / 1_000_000)
        last = self._slot
        if last is not None and -_RATE < slot - last <= 0:
            return []
        if is_behind and last is not None and 0 < slot - last < _LEAST_EVERY:
            return []
        made: list[Transcoded] = []
        if last is not None and self._last is not None and not is_behind:
            missed = range(last + 1, slot)
            if len(missed) <= _MOST_REPEATS:
                for one in missed:
                    made += self._encode(one, self._last)
        small = self._scaled(frame)
        made += self._encode(slot, small)
        self._last = small
        return made

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        if (frame.width, frame.height) != self._source_size:
            self._source_size = frame.width, frame.height
            self._size = size_for(frame.width, frame.height, _LINES)
            self._encoder = None
        return self._reformatter.reformat(
            frame, *self._size, "yuv420p", interpolation=Interpolation.BILINEAR
        )

    def _encode(self, slot: int, frame: av.VideoFrame) -> list[Transcoded]:
        is_jump = self._slot is not None and not 0 < slot - self._slot <= _RATE
        if self._encoder is None or is_jump:
            self._encoder = self._opened()
            self._keyframe_slot = slot - _RATE
        self._slot = slot
        is_due = slot - self._keyframe_slot >= _RATE
        if is_due:
            self._keyframe_slot = slot
        frame.pts, frame.time_base = slot, _TIME_BASE
        frame.pict_type = PictureType.I if is_due else PictureType.NONE
        try:
            packets = self._encoder.encode(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise BadMedia("the picture cannot be encoded") from error
        made: list[Transcoded] = []
        for packet in packets:
            assert packet.pts is not None
            us = packet.pts * 1_000_000 // _RATE
            config, self._untold = self._untold, None
            made.append(Transcoded(us, Picture(0, packet.is_keyframe, bytes(packet)), config))
        return made

    def _opened(self) -> av.VideoCodecContext:
        width, height = self._size
        kbit = max(_LEAST_KBIT, min(_KBIT, _KBIT * width * height // _FULL_PIXELS))
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate = _TIME_BASE, Fraction(_RATE)
        encoder.bit_rate = kbit * 1000
        encoder.thread_count = 1
        encoder.flags |= av.codec.context.Flags.global_header
        encoder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "main",
            "forced-idr": "1",
            # annexb=0: length-prefixed NAL units and an avcC, as MP4 holds them.
            "x264-params": "annexb=0:keyint=infinite:scenecut=0:bframes=0",
            "maxrate": f"{kbit * 5 // 4}k",
            "bufsize": f"{kbit}k",
        }
        try:
            encoder.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise BadMedia("pictures of this size cannot be encoded") from error
        self._untold = video_config(encoder.extradata or b"")
        return encoder
