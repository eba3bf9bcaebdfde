"""Bodies of FLV tags, as RTMP carries them, to decoder configurations, pictures and sound. Pure.

H.264 and AAC only, in the classic form and in that of Enhanced RTMP; what else an encoder sends is
refused with words that say what to choose instead. By Adobe's "Video File Format" 10.1, annex E,
and Veovera's "Enhanced RTMP" v2.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from liveshop.video.ingest.access_units import (
    BadMedia,
    Picture,
    Sound,
    VideoConfig,
    aac_config,
    picture_of,
    video_config,
)
from liveshop.video.model import AacConfig, UnsupportedMedia

_CHOOSE_H264: Final = "Choose H.264 (x264, or the graphics card's H.264) in the encoder's settings."
_CHOOSE_AAC: Final = "Choose AAC in the encoder's settings."

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


@dataclass(frozen=True, slots=True)
class EndOfSequence:
    """No more pictures come with this configuration."""


@dataclass(frozen=True, slots=True)
class AudioConfig:
    config: AacConfig


VideoContent: TypeAlias = VideoConfig | Picture | EndOfSequence
AudioContent: TypeAlias = AudioConfig | Sound


def parse_video(body: bytes, *, length_size: int = 4) -> VideoContent | None:
    """None: nothing to show, such as a command. Raises BadMedia and UnsupportedMedia."""
    if not body:
        raise BadMedia("a video tag is empty")
    first = body[0]
    frame = first >> 4 & 7
    if first & 0x80:
        return _parse_enhanced_video(body, frame, length_size)
    if first & 15 != _AVC:
        raise _unsupported_video(_VIDEO_CODECS.get(first & 15))
    if frame == _COMMAND_FRAME:
        return None
    if len(body) < 5:
        raise BadMedia("a video tag ends too early")
    packet = body[1]
    if packet == 0:
        return _video_config(body[5:])
    if packet == 1:
        return _picture(frame, _signed_24(body, 2), body[5:], length_size)
    return EndOfSequence() if packet == 2 else None


def parse_audio(body: bytes) -> AudioContent | None:
    """None: nothing to hear. Raises BadMedia and UnsupportedMedia."""
    if not body:
        raise BadMedia("a sound tag is empty")
    kind = body[0] >> 4
    if kind == _EX_SOUND:
        return _parse_enhanced_audio(body)
    if kind != _AAC:
        raise _unsupported_sound(_SOUND_CODECS.get(kind))
    if len(body) < 2:
        raise BadMedia("a sound tag ends too early")
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
        raise BadMedia("a video tag ends too early")
    if fourcc != b"avc1":
        raise _unsupported_video(_FOURCC_CODECS.get(fourcc))
    if packet == _SEQUENCE_START:
        return _video_config(body[start:])
    if packet == _CODED_FRAMES:
        if len(body) < start + 3:
            raise BadMedia("a video tag ends too early")
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
        raise BadMedia("a sound tag ends too early")
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
            raise BadMedia("a tag ends too early")
        packet = body[position] & 15
        position += 1
    raise BadMedia("a tag has too many modifiers")


def _video_config(avcc: bytes) -> VideoConfig | None:
    return video_config(avcc) if avcc else None  # some send an empty one first


def _picture(frame: int, composition_ms: int, data: bytes, length_size: int) -> Picture | None:
    # The tag's word is taken where there is no IDR picture: recovery points of intra refresh and
    # open GOPs, where there may be none but the first.
    return picture_of(
        data,
        composition_ms=composition_ms,
        is_keyframe=frame in {_KEY_FRAME, _GENERATED_KEY_FRAME},
        length_size=length_size,
    )


def _audio(packet: int, data: bytes) -> AudioContent | None:
    if packet > 1 or not data:
        return None
    return AudioConfig(aac_config(data)) if packet == 0 else Sound(data)


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
