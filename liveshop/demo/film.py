"""The demo's film: one loop of real video and music in which the shop's products take turns.

Encoded once, then looped by the packager: every second starts with a keyframe and nothing refers
across the end. Drawing and encoding 72 s must fit into a minute of one slow core.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from liveshop.demo.art import forget
from liveshop.demo.shop import DemoProduct
from liveshop.demo.sound import SAMPLE_RATE, Samples, music
from liveshop.demo.stage import FRAME_RATE, HEIGHT, WIDTH, Planes, Stage

CHAPTER_SECONDS = 6
CHAPTERS = 12
FILM_SECONDS = CHAPTERS * CHAPTER_SECONDS
AUDIO_FRAME = 1024  # samples of one AAC frame
_LEAD_FRAMES = 96  # AAC frames encoded before the loop and dropped: they carry priming and overlap
_BIT_RATE = 2_200_000
_AUDIO_BIT_RATE = 128_000

Progress = Callable[[int, int], None]


def chapter_at(seconds: float) -> int:
    """Return which product the film shows at a time; times past the end go round the loop."""
    return int(seconds % FILM_SECONDS // CHAPTER_SECONDS)


def make_film(
    path: Path,
    products: Sequence[DemoProduct],
    progress: Progress | None = None,
    *,
    chapter_seconds: int = CHAPTER_SECONDS,
) -> None:
    """Write the loop as an MP4: one chapter per product, H.264 and AAC, both from time 0.

    `progress(frames done, frames in all)` is called for each frame. The file appears whole or not
    at all. Raises ValueError when the length does not hold a whole number of AAC frames (every
    multiple of 8 seconds does), OSError when the file cannot be written.
    """
    seconds = len(products) * chapter_seconds
    if not products or seconds * SAMPLE_RATE % AUDIO_FRAME:
        raise ValueError(f"a loop of {seconds} s does not hold a whole number of AAC frames")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(
            str(unfinished),
            "w",
            format="mp4",
            options={"movflags": "+faststart", "use_editlist": "0"},
        ) as container:
            _encode(container, products, chapter_seconds, progress)
        os.replace(unfinished, path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        forget()


def _encode(
    container: OutputContainer,
    products: Sequence[DemoProduct],
    chapter_seconds: int,
    progress: Progress | None,
) -> None:
    video, sound = _video_stream(container), _audio_stream(container)
    packets = _audio_packets(sound, *music(len(products), float(chapter_seconds)))
    total = len(products) * chapter_seconds * FRAME_RATE
    stage = Stage(products, chapter_seconds)
    for number in range(total):
        frame = _frame(stage.compose(number))
        frame.pts = number
        frame.time_base = Fraction(1, FRAME_RATE)
        container.mux(video.encode(frame))
        if number % FRAME_RATE == 0:
            for _ in range(ceil(SAMPLE_RATE / AUDIO_FRAME)):
                packet = next(packets, None)
                if packet is not None:
                    container.mux(packet)
        if progress is not None:
            progress(number + 1, total)
    container.mux(video.encode(None))
    for packet in packets:
        container.mux(packet)


def _video_stream(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAME_RATE)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.bit_rate = _BIT_RATE
    context = stream.codec_context
    context.time_base = Fraction(1, FRAME_RATE)
    context.thread_count = 2  # while one frame is encoded the next is put together
    context.color_range, context.colorspace = 1, 1  # limited range, BT.709
    context.color_primaries, context.color_trc = 1, 1
    stream.options = {
        "preset": "veryfast",
        "profile": "high",
        "maxrate": "2800k",
        "bufsize": "2800k",
        # every second starts afresh, so the packager may cut there and the loop may close
        "x264-params": f"keyint={FRAME_RATE}:min-keyint={FRAME_RATE}:scenecut=0:bframes=0:"
        # calm pictures: a short look ahead and a simple search lose nothing the eye can find
        "open-gop=0:rc-lookahead=10:ref=1:subme=1:me=dia:weightp=0",
    }
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    stream.bit_rate = _AUDIO_BIT_RATE
    return stream


def _audio_packets(
    stream: AudioStream, left: Samples, right: Samples
) -> Iterator["av.Packet[AudioStream]"]:
    """Yield the AAC frames of one turn of the ring, timed from 0.

    Each AAC frame overlaps the one before it. Encoding starts in the end of the turn before, and
    those frames are dropped: the first frame kept continues the last one, without priming.
    """
    wanted = len(left) // AUDIO_FRAME
    kept = 0
    for index in range(-_LEAD_FRAMES, wanted + 3):
        start = index % wanted * AUDIO_FRAME
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=AUDIO_FRAME)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = (index + _LEAD_FRAMES) * AUDIO_FRAME
        for plane, channel in zip(frame.planes, (left, right), strict=True):
            plane.update(channel[start : start + AUDIO_FRAME].tobytes())
        for packet in stream.encode(frame):
            if packet.pts is None or packet.pts < _LEAD_FRAMES * AUDIO_FRAME or kept == wanted:
                continue
            packet.pts = packet.dts = kept * AUDIO_FRAME
            kept += 1
            yield packet


def _frame(planes: Planes) -> av.VideoFrame:
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, picture in zip(frame.planes, planes, strict=True):
        data = picture.tobytes()
        if plane.line_size != picture.width:
            gap = bytes(plane.line_size - picture.width)
            width = picture.width
            data = b"".join(data[i : i + width] + gap for i in range(0, len(data), width))
        plane.update(data)
    return frame
