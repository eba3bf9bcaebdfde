"""Pictures of H.264 and frames of AAC as every source hands them on, and what is wrong with them.

Pure. RTMP, WebCodecs and the containers of MediaRecorder all carry them as MP4 does: a decoder
configuration apart, NAL units with their length before them, raw AAC frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from liveshop.video.h264 import narrowed, parse_avcc, picture_set_id, sps_of
from liveshop.video.model import AacConfig, BadTrack, H264Config, UnsupportedMedia

_MAX_NAL_UNITS: Final = 2048
"""Of one picture: a slice per row of macroblocks of 8K is 270."""


class BadMedia(Exception):
    """A picture, a sound or a configuration is broken."""


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """`config.avcc` says four bytes before each NAL unit, as pictures are handed on.

    `length_size`: what the encoder puts there. Give it to `picture_of` from then on. `choices`:
    with several sequence parameter sets, the configuration for each picture parameter set.
    """

    config: H264Config
    length_size: int = 4
    choices: Mapping[int, H264Config] = field(default_factory=dict)

    def config_of(self, keyframe: "Picture") -> H264Config:
        """What this one is decoded with: Chromium's encoder leaves the parameters of an earlier
        size in the record after a change."""
        if not self.choices:
            return self.config
        return self.choices.get(keyframe.parameters, self.config)


@dataclass(frozen=True, slots=True)
class Picture:
    """`data`: NAL units, each with its length in four bytes before it; at least one is a slice."""

    composition_ms: int
    is_keyframe: bool
    data: bytes

    @property
    def parameters(self) -> int:
        """The id of the picture parameter set of the first slice; -1 where that is broken."""
        position, data = 0, self.data
        while position < len(data):
            start = position + 4
            position = start + int.from_bytes(data[position:start], "big")
            if data[start] & 31 in {1, 5}:
                try:
                    return picture_set_id(data[start:position])
                except BadTrack:
                    break
        return -1


@dataclass(frozen=True, slots=True)
class Sound:
    """`data`: one raw AAC frame."""

    data: bytes


def video_config(avcc: bytes) -> VideoConfig:
    """Of an AVCDecoderConfigurationRecord. Raises BadMedia, and UnsupportedMedia for colours no
    browser shows."""
    try:
        parsed = parse_avcc(avcc)
        sps = sps_of(avcc)
        # lengthSizeMinusOne = 3 below six reserved ones, see picture_of.
        avcc = avcc[:4] + b"\xff" + avcc[5:]
        config = H264Config(avcc, sps.width, sps.height)
        choices = _choices(avcc) if len(parsed.sequence_sets) > 1 else {}
    except BadTrack as error:
        raise BadMedia(error.detail) from None
    if sps.chroma_format != 1 or sps.bit_depth != 8:
        raise UnsupportedMedia(
            "The encoder sends colours browsers cannot show"
            f" (4:{('0:0', '2:0', '2:2', '4:4')[sps.chroma_format]} in {sps.bit_depth} bits)."
            " Choose the colour format NV12 or I420 and the profile high, main or baseline."
        )
    return VideoConfig(config, parsed.length_size, choices)


def _choices(avcc: bytes) -> dict[int, H264Config]:
    """Raises BadTrack."""
    found: dict[int, H264Config] = {}
    for picture_set, record in narrowed(avcc).items():
        sps = sps_of(record)
        if (sps.chroma_format, sps.bit_depth) == (1, 8):
            found[picture_set] = H264Config(record, sps.width, sps.height)
    return found


def picture_of(
    data: bytes, *, composition_ms: int = 0, is_keyframe: bool, length_size: int = 4
) -> Picture | None:
    """None: without any slice, such as parameter sets alone. `is_keyframe`: what its sender says;
    an IDR picture is one whatever that is. Raises BadMedia."""
    spans: list[tuple[int, int]] = []
    has_slice = has_idr = False
    position, end = 0, len(data)
    while position < end:
        start = position + length_size
        position = start + int.from_bytes(data[position:start], "big")
        if not start < position <= end or data[start] & 0x80 or len(spans) >= _MAX_NAL_UNITS:
            raise BadMedia("a picture is not made of H.264 NAL units")
        kind = data[start] & 31
        has_slice |= 1 <= kind <= 5
        has_idr |= kind == 5
        spans.append((start, position))
    if not has_slice:
        return None
    if length_size != 4:
        data = b"".join(part for a, b in spans for part in ((b - a).to_bytes(4, "big"), data[a:b]))
    return Picture(composition_ms, is_keyframe or has_idr, data)


def aac_config(specific: bytes) -> AacConfig:
    """Of an AudioSpecificConfig. Raises UnsupportedMedia for what browsers cannot play."""
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
