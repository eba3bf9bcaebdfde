"""What a stream holds when it is decoded: how late its clock is, how far apart its tracks are."""

import array
import io
import math
import re
import statistics
from dataclasses import dataclass, field
from datetime import datetime

import av
import barcode
import painted
from video_house import VideoHouse

_LOUD = 0.3
_ENTRY = re.compile(
    r'(?:#EXT-X-MAP:URI="(?P<init>[^"]+)")|(?:#EXT-X-PROGRAM-DATE-TIME:(?P<date>\S+))'
    r"|(?P<segment>^segment-\d+\.m4s)",
    re.MULTILINE,
)


@dataclass(slots=True)
class Heard:
    """Seconds on the timeline of the media."""

    first_dts: float = math.inf
    clocks: list[tuple[float, int]] = field(default_factory=list)
    """(shown at, what its barcode says)"""
    flashes: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    _was_white: bool = True  # a flash that began before is none
    _loud_until: float = -math.inf

    @property
    def apart_ms(self) -> list[float]:
        """How much later than its flash each click is heard, where both are there."""
        found = []
        for flash in self.flashes:
            near = [click - flash for click in self.clicks if abs(click - flash) < 0.4]
            if near:
                found.append(min(near, key=abs) * 1000)
        return found

    def see(self, at: float, frame: av.VideoFrame) -> None:
        luma = memoryview(frame.planes[0])
        stride = frame.planes[0].line_size
        clock = barcode.read(luma, stride, frame.width)
        if clock is not None:
            self.clocks.append((at, clock))
        is_white = _is_white(luma, stride, frame.width, frame.height)
        if is_white and not self._was_white:
            self.flashes.append(at)
        self._was_white = is_white

    def hear(self, at: float, frame: av.AudioFrame) -> None:
        samples = array.array("f", bytes(frame.planes[0])[: 4 * frame.samples])
        for index, value in enumerate(samples):
            if abs(value) < _LOUD:
                continue
            second = at + index / frame.sample_rate
            if second > self._loud_until:
                self.clicks.append(second)
            self._loud_until = second + 0.1


def decode(media: bytes) -> Heard:
    """An init section and segments that follow each other."""
    heard = Heard()
    with av.open(io.BytesIO(media), format="mp4") as container:
        for packet in container.demux():
            if packet.stream.type == "video" and packet.dts is not None:
                heard.first_dts = min(heard.first_dts, float(packet.dts * packet.time_base))
            for frame in packet.decode():
                assert frame.pts is not None
                assert frame.time_base is not None
                at = float(frame.pts * frame.time_base)
                if isinstance(frame, av.VideoFrame):
                    heard.see(at, frame)
                elif isinstance(frame, av.AudioFrame):
                    heard.hear(at, frame)
    return heard


def _is_white(luma: memoryview, stride: int, width: int, height: int) -> bool:
    left, size = painted.flash_square(width, height)
    return luma[(height - size // 2) * stride + left + size // 2] > 128


async def fetch(house: VideoHouse, *, segments: int) -> tuple[bytes, datetime]:
    """The newest complete segments with their init section, and the wall time they begin at."""
    playlist = await house.until_playable()
    init, date = "", None
    listed: list[tuple[str, datetime]] = []
    for found in _ENTRY.finditer(playlist):
        if found["init"]:
            init = found["init"]
        elif found["date"]:
            date = datetime.fromisoformat(found["date"])
        else:
            assert date is not None
            listed.append((found["segment"], date))
    chosen = listed[-segments:]
    media = b""
    for name in (init, *(name for name, _ in chosen)):
        status, data = await house.fetch("GET", f"{house.hls}/video/{name}")
        assert status == 200, name
        media += data
    return media, chosen[0][1]


async def delay_ms(house: VideoHouse) -> float:
    """How much earlier than the stream's dates say its pictures were made: what a host measures
    who holds the camera at a flashing page."""
    media, date = await fetch(house, segments=3)
    heard = decode(media)
    assert heard.clocks
    return statistics.median(
        (date.timestamp() + shown - heard.first_dts) * 1000 - clock for shown, clock in heard.clocks
    )


def milliseconds(at: str) -> float:
    """Since 1970, of a time as the API writes it."""
    return datetime.fromisoformat(at).timestamp() * 1000
