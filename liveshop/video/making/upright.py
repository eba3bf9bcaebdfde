"""Pictures cut upright for phones: the middle of each, 9:16, encoded anew."""

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from typing import Final

import av
from av.filter import Graph
from av.video.frame import PictureType

from liveshop.video.making.decoding import TIME_BASE, decoder_for, packet_of
from liveshop.video.making.joining import Stretch
from liveshop.video.model import H264Config, Sample, Track

LARGEST: Final = (720, 1280)
_BROKEN_PICTURES: Final = 300
"""In a row: then it is not the line that broke them."""
_OPTIONS: Final = {
    "preset": "veryfast",
    "profile": "high",
    "crf": "21",
    "maxrate": "5M",
    "bufsize": "10M",
    # annexb=0: length-prefixed NAL units and an avcC, as MP4 holds them.
    "x264-params": "annexb=0:keyint=250",
}


class UnreadablePicture(Exception):
    """It cannot be decoded."""


class UprightPictures:
    """As high as the first was, but no larger than LARGEST."""

    def __init__(self, first: Stretch) -> None:
        self._size = upright_size(first.video.width, first.video.height)
        self._video: H264Config | None = None
        self._decoder: av.VideoCodecContext | None = None
        self._crop: _Crop | None = None
        self._first_pts = 0
        self._last_pts: int | None = None
        self._lasts = 0
        self._broken = 0
        self._encoder = _encoder(self._size)
        self.config = H264Config(self._encoder.extradata or b"", *self._size)

    @property
    def now(self) -> H264Config:
        return self.config

    def take(self, stretch: Stretch) -> list[Sample]:
        """Raises UnreadablePicture."""
        made: list[Sample] = []
        if stretch.begins_run or self._decoder is None or stretch.video != self._video:
            made = self._drained()
            self._video = stretch.video
            self._decoder = decoder_for(stretch.video)
            self._first_pts = stretch.pictures[0].pts
        for picture in stretch.pictures:
            if not picture.data:  # to a decoder, nothing is the end
                continue
            try:
                frames = self._decoder.decode(packet_of(picture))
                self._broken = 0
            except av.error.FFmpegError as error:
                self._broken += 1
                if self._broken > _BROKEN_PICTURES:
                    raise UnreadablePicture from error
                continue
            for frame in frames:
                made += self._encoded(frame)
        return made

    def finish(self) -> list[Sample]:
        return [*self._drained(), *self._samples(self._encoder.encode(None))]

    def _drained(self) -> list[Sample]:
        """What the decoder still holds of a run."""
        made: list[Sample] = []
        if self._decoder is not None:
            with suppress(av.error.FFmpegError):
                for frame in self._decoder.decode(None):
                    made += self._encoded(frame)
        return made

    def _encoded(self, frame: av.VideoFrame) -> list[Sample]:
        pts = frame.pts
        # Pictures that lead an open group of pictures refer to what is not there.
        if pts is None or pts < self._first_pts:
            return []
        if self._last_pts is not None and pts <= self._last_pts:
            return []
        self._last_pts = pts
        if self._crop is None or not self._crop.fits(frame):
            self._crop = _Crop(frame, self._size)
        self._lasts = frame.duration or self._lasts
        return self._samples(self._encoder.encode(self._crop.cropped(frame)))

    def _samples(self, packets: Iterable["av.Packet[av.VideoStream]"]) -> list[Sample]:
        made: list[Sample] = []
        for packet in packets:
            assert packet.dts is not None
            assert packet.pts is not None
            # Only the film's last picture lasts as long as it says.
            lasts = packet.duration or self._lasts
            made.append(
                Sample(
                    Track.VIDEO, packet.dts, packet.pts, lasts, packet.is_keyframe, bytes(packet)
                )
            )
        return made


def upright_size(width: int, height: int) -> tuple[int, int]:
    """Even, and no larger than the picture is."""
    high = min(height, width * 16 // 9, LARGEST[1])
    return max(2, round(high * 9 / 16 / 2) * 2), max(2, high // 2 * 2)


class _Crop:
    """The middle of pictures of one size, scaled."""

    def __init__(self, like: av.VideoFrame, size: tuple[int, int]) -> None:
        self._like = (like.width, like.height, like.format.name)
        width, height = size
        high = max(2, min(like.height, like.width * height // width) // 2 * 2)
        wide = max(2, min(like.width, round(high * width / height)) // 2 * 2)
        graph = Graph()
        source = graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=TIME_BASE
        )
        nodes = [
            source,
            graph.add("crop", f"{wide}:{high}"),
            graph.add("scale", f"{width}:{height}"),
            graph.add("setsar", "1"),
            graph.add("format", "yuv420p"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        self._graph = graph

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._like == (frame.width, frame.height, frame.format.name)

    def cropped(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._graph.vpush(frame)
        made = self._graph.vpull()
        made.pts, made.time_base = frame.pts, TIME_BASE
        # The encoder takes a picture's type as an order.
        made.pict_type = PictureType.NONE
        return made


def _encoder(size: tuple[int, int]) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = TIME_BASE
    encoder.framerate = Fraction(30)
    encoder.thread_count = 2
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.options = dict(_OPTIONS)
    encoder.open()
    return encoder
