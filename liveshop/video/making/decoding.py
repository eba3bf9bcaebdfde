"""Pictures of a recording decoded: single keyframes, and all of a stretch."""

from fractions import Fraction
from typing import Final, cast

import av

from liveshop.video.model import VIDEO_TIMESCALE, H264Config, Sample

_MOST_PIXELS: Final = 4096 * 2304
"""What claims to be larger takes gigabytes to decode."""
TIME_BASE: Final = Fraction(1, VIDEO_TIMESCALE)


def decoder_for(video: H264Config, *, threads: int = 1) -> av.VideoCodecContext:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = video.avcc
    decoder.thread_count = threads
    decoder.options = {"max_pixels": str(_MOST_PIXELS)}
    return decoder


def packet_of(sample: Sample, time_base: Fraction = TIME_BASE) -> "av.Packet[av.VideoStream]":
    packet = cast("av.Packet[av.VideoStream]", av.Packet(sample.data))
    packet.dts, packet.pts, packet.time_base = sample.dts, sample.pts, time_base
    packet.duration = sample.duration
    packet.is_keyframe = sample.is_keyframe
    return packet


def still(video: H264Config, keyframe: Sample) -> av.VideoFrame | None:
    """The picture of a keyframe, alone; None where it cannot be decoded."""
    if not keyframe.data:
        return None
    decoder = decoder_for(video)
    try:
        frames = [*decoder.decode(packet_of(keyframe)), *decoder.decode(None)]
    except av.error.FFmpegError:
        return None
    return frames[0] if frames else None
