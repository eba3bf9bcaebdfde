"""Bodies of FLV tags, as RTMP carries them, to decoder configurations, pictures and sound. Pure.

H.264 and AAC only, in the classic form and in that of Enhanced RTMP; what else an encoder sends is
refused with words that say what to choose instead. By Adobe's "Video File Format" 10.1, annex E,
and Veovera's "Enhanced RTMP" v2.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from liveshop.video.h264 import parse_avcc, parse_sps
from liveshop.video.model import AacConfig, BadTrack, H264Config, UnsupportedMedia

_CHOOSE_H264: Final = "Choose H.264 (x264, or the graphics card's H.264) in the encoder's settings."
_CHOOSE_AAC: Final = "Choose AAC in the encoder's settings."

_MAX_NAL_UNITS: Final = 2048
"""Of one picture: a slice per row of macroblocks of 8K is 270."""

# Classic tags
_KEY_FRAME, _GENERATED_KEY_FRAME, _COMMAND_FRAME = 1, 4, 5
_AVC, _AAC = 7, 10
_VIDEO_CODECS: Final = {
    2: "Sorenson H.263",
    3: "Screen Video",
    4: "VP6",
    5: "VP6",
    6: "Screen Video",
    12: "HEVC (H.265)",  # a number Chinese encoders took before there was Enhanced RTMP
    13: "AV1",
}
_SOUND_CODECS: Final = {
    0: "uncompressed sound",
    1: "ADPCM",
    2: "MP3",
    3: "uncompressed sound",
    4: "Nellymoser",
    5: "Nellymoser",
    6: "Nellymoser",
    7: "G.711",
    8: "G.711",
    11: "Speex",
    14: "MP3",
}

# Enhanced RTMP
_EX_SOUND: Final = 9
_SEQUENCE_START, _CODED_FRAMES, _SEQUENCE_END, _CODED_FRAMES_X = 0, 1, 2, 3
_VIDEO_METADATA, _VIDEO_MULTITRACK = 4, 6
_SOUND_MULTICHANNEL, _SOUND_MULTITRACK = 4, 5
_MOD_EX: Final = 7
_MAX_MOD_EX: Final = 8
_FOURCC_CODECS: Final = {
    b"hvc1": "HEVC (H.265)",
    b"hev1": "HEVC (H.265)",
    b"vvc1": "VVC (H.266)",
    b"av01": "AV1",
    b"vp08": "VP8",
    b"vp09": "VP9",
    b"Opus": "Opus",
    b".mp3": "MP3",
    b"fLaC": "FLAC",
    b"ac-3": "Dolby AC-3",
    b"ec-3": "Dolby E-AC-3",
}


class BadTag(Exception):
    """The body of a tag is broken."""


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """`config.avcc` says four bytes before each NAL unit, as pictures are handed on.

    `length_size`: what the encoder puts there. Give it to `parse_video` from then on.
    """

    config: H264Config
    length_size: int = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """`data`: NAL units, each with its length in four bytes before it; at least one is a slice."""

    composition_ms: int
    is_keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfSequence:
    """No more pictures come with this configuration."""


@dataclass(frozen=True, slots=True)
class AudioConfig:
    config: AacConfig


@dataclass(frozen=True, slots=True)
class Sound:
    """`data`: one raw AAC frame."""

    data: bytes


VideoContent: TypeAlias = VideoConfig | Picture | EndOfSequence
AudioContent: TypeAlias = AudioConfig | Sound


def parse_video(body: bytes, *, length_size: int = 4) -> VideoContent | None:
    """None: nothing to show, such as a command or metadata. Raises BadTag and UnsupportedMedia."""
    if not body:
        raise BadTag("a video tag is empty")
    first = body[0]
    frame = first >> 4 & 7
    if first & 0x80:
        return _parse_enhanced_video(body, frame, length_size)
    if first & 15 != _AVC:
        raise _unsupported_video(_VIDEO_CODECS.get(first & 15))
    if frame == _COMMAND_FRAME:
        return None
    if len(body) < 5:
        raise BadTag("a video tag ends too early")
    packet = body[1]
    if packet == 0:
        return _video_config(body[5:])
    if packet == 1:
        return _picture(frame, _signed_24(body, 2), body[5:], length_size)
    return EndOfSequence() if packet == 2 else None


def parse_audio(body: bytes) -> AudioContent | None:
    """None: nothing to hear. Raises BadTag and UnsupportedMedia."""
    if not body:
        raise BadTag("a sound tag is empty")
    kind = body[0] >> 4
    if kind == _EX_SOUND:
        return _parse_enhanced_audio(body)
    if kind != _AAC:
        raise _unsupported_sound(_SOUND_CODECS.get(kind))
    if len(body) < 2:
        raise BadTag("a sound tag ends too early")
    return _audio(body[1], body[2:])


def _parse_enhanced_video(body: bytes, frame: int, length_size: int) -> VideoContent | None:
    packet, position = _skip_mod_ex(body, body[0] & 15)
    if packet == _VIDEO_MULTITRACK:
        raise UnsupportedMedia(
            "The encoder sends several pictures in one stream (multitrack video)."
            " Turn that off; one picture is taken."
        )
    if frame == _COMMAND_FRAME and packet != _VIDEO_METADATA:
        return None
    fourcc, start = body[position : position + 4], position + 4
    if len(fourcc) < 4:
        raise BadTag("a video tag ends too early")
    if fourcc != b"avc1":
        raise _unsupported_video(_FOURCC_CODECS.get(fourcc))
    if packet == _SEQUENCE_START:
        return _video_config(body[start:])
    if packet == _CODED_FRAMES:
        if len(body) < start + 3:
            raise BadTag("a video tag ends too early")
        return _picture(frame, _signed_24(body, start), body[start + 3 :], length_size)
    if packet == _CODED_FRAMES_X:
        return _picture(frame, 0, body[start:], length_size)
    return EndOfSequence() if packet == _SEQUENCE_END else None


def _parse_enhanced_audio(body: bytes) -> AudioContent | None:
    packet, position = _skip_mod_ex(body, body[0] & 15)
    if packet == _SOUND_MULTITRACK:
        raise UnsupportedMedia(
            "The encoder sends several sound tracks in one stream (multitrack audio)."
            " Turn that off; one track is taken."
        )
    fourcc, start = body[position : position + 4], position + 4
    if len(fourcc) < 4:
        raise BadTag("a sound tag ends too early")
    if fourcc != b"mp4a":
        raise _unsupported_sound(_FOURCC_CODECS.get(fourcc))
    return _audio(packet, body[start:])


def _skip_mod_ex(body: bytes, packet: int) -> tuple[int, int]:
    """The packet type behind all ModEx, and where the tag goes on."""
    position = 1
    for _ in range(_MAX_MOD_EX):
        if packet != _MOD_EX:
            return packet, position
        size = int.from_bytes(body[position : position + 1], "big") + 1
        position += 1
        if size == 256:
            size = int.from_bytes(body[position : position + 2], "big") + 1
            position += 2
        position += size
        if position >= len(body):
            raise BadTag("a tag ends too early")
        packet = body[position] & 15
        position += 1
    raise BadTag("a tag has too many modifiers")


def _video_config(avcc: bytes) -> VideoConfig | None:
    if not avcc:
        return None  # some send an empty one first
    try:
        parsed = parse_avcc(avcc)
        sps = parse_sps(parsed.sequence_sets[0])
        # lengthSizeMinusOne = 3 below six reserved ones, see _picture.
        config = H264Config(avcc[:4] + b"\xff" + avcc[5:], sps.width, sps.height)
    except BadTrack as error:
        raise BadTag(error.detail) from None
    if sps.chroma_format != 1 or sps.bit_depth != 8:
        raise UnsupportedMedia(
            "The encoder sends colours browsers cannot show"
            f" (4:{('0:0', '2:0', '2:2', '4:4')[sps.chroma_format]} in {sps.bit_depth} bits)."
            " Choose the colour format NV12 or I420 and the profile high, main or baseline."
        )
    return VideoConfig(config, parsed.length_size)


def _picture(frame: int, composition_ms: int, data: bytes, length_size: int) -> Picture | None:
    """None: without any slice, such as parameter sets alone."""
    spans: list[tuple[int, int]] = []
    has_slice = has_idr = False
    position, end = 0, len(data)
    while position < end:
        start = position + length_size
        position = start + int.from_bytes(data[position:start], "big")
        if not start < position <= end or data[start] & 0x80 or len(spans) >= _MAX_NAL_UNITS:
            raise BadTag("a picture is not made of H.264 NAL units")
        kind = data[start] & 31
        has_slice |= 1 <= kind <= 5
        has_idr |= kind == 5
        spans.append((start, position))
    if not has_slice:
        return None
    if length_size != 4:
        data = b"".join(part for a, b in spans for part in ((b - a).to_bytes(4, "big"), data[a:b]))
    # An IDR picture is one whatever the tag says. The tag's word is taken for others: recovery
    # points of intra refresh and open GOPs, where there may be no IDR picture but the first.
    is_keyframe = has_idr or frame in {_KEY_FRAME, _GENERATED_KEY_FRAME}
    return Picture(composition_ms, is_keyframe, data)


def _audio(packet: int, data: bytes) -> AudioContent | None:
    if packet > 1 or not data:
        return None
    return AudioConfig(_aac_config(data)) if packet == 0 else Sound(data)


def _aac_config(specific: bytes) -> AacConfig:
    try:
        config = AacConfig(specific)
    except BadTrack as error:
        raise UnsupportedMedia(
            f"The encoder's sound cannot be used: {error.detail}. Choose AAC, 48 kHz, stereo."
        ) from None
    object_type = specific[0] >> 3
    # 2 is LC, 5 and 29 are HE-AAC. Of LC, frames may have 960 samples: radio, and no browser.
    if object_type not in {2, 5, 29} or (object_type == 2 and specific[1] & 4):
        raise UnsupportedMedia(
            "The encoder sends a kind of AAC browsers cannot play. Choose AAC-LC, 48 kHz, stereo."
        )
    return config


def _signed_24(body: bytes, position: int) -> int:
    return int.from_bytes(body[position : position + 3], "big", signed=True)


def _unsupported_video(name: str | None) -> UnsupportedMedia:
    return UnsupportedMedia(
        f"The encoder sends {name or 'a kind of video that is not known here'}. {_CHOOSE_H264}"
    )


def _unsupported_sound(name: str | None) -> UnsupportedMedia:
    return UnsupportedMedia(
        f"The encoder sends {name or 'a kind of sound that is not known here'}. {_CHOOSE_AAC}"
    )
