"""What a decoder configuration says of the picture: size, sampling, depth. Pure.

Read from the sequence parameter set since what encoders say elsewhere (onMetaData) is often what
was set in a dialogue, not what is sent. By ITU-T H.264 7.3.2.1.1 and ISO/IEC 14496-15 5.3.3.1.
"""

from dataclasses import dataclass
from typing import Final

from liveshop.video.model import BadTrack

_MAX_SPS_BYTES: Final = 4096
"""Usually thirty. Scaling lists and HRD parameters stay far below."""
_IDS_BYTES: Final = 24
"""Of a slice or parameter set: its first three numbers are in there."""
_CHROMA_PROFILES: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose SPS says how colour is sampled; for the others it is 4:2:0 in 8 bits."""


@dataclass(frozen=True, slots=True)
class Sps:
    """`width` and `height` as shown: after cropping, in square or other pixels.

    `chroma_format`: 1 is 4:2:0, the only one browsers play. `bit_depth`: the larger of both.
    """

    profile: int
    level: int
    width: int
    height: int
    chroma_format: int
    bit_depth: int


@dataclass(frozen=True, slots=True)
class Avcc:
    """`length_size`: bytes before each NAL unit of a picture."""

    length_size: int
    sequence_sets: tuple[bytes, ...]
    picture_sets: tuple[bytes, ...]


def sps_of(avcc: bytes) -> Sps:
    """The sequence parameter set of an AVCDecoderConfigurationRecord that its last picture
    parameter set names: encoders that change their size may leave the old ones in front. Raises
    BadTrack."""
    parsed = parse_avcc(avcc)
    return parse_sps(_named_by(parsed, parsed.picture_sets[-1]))


def narrowed(avcc: bytes) -> dict[int, bytes]:
    """By the id of each picture parameter set: the record with the one sequence parameter set it
    names, and all that name it too. Raises BadTrack."""
    parsed = parse_avcc(avcc)
    named = {_ids(one, 2)[0]: _named_by(parsed, one) for one in parsed.picture_sets}
    latest = {_ids(one, 2)[0]: one for one in parsed.picture_sets}
    return {
        wanted: _record(avcc, sps, [one for key, one in latest.items() if named[key] == sps])
        for wanted, sps in named.items()
    }


def picture_set_id(slice_unit: bytes) -> int:
    """The picture parameter set a slice is decoded with (7.3.3). Raises BadTrack."""
    return _ids(slice_unit, 3)[2]


def _named_by(parsed: Avcc, picture_set: bytes) -> bytes:
    """The last sequence parameter set of that id, as a decoder takes them; the last one of all
    where there is none."""
    if len(parsed.sequence_sets) == 1:
        return parsed.sequence_sets[0]
    wanted = _ids(picture_set, 2)[1]
    sets = {_sequence_set_id(one): one for one in parsed.sequence_sets}
    return sets.get(wanted, parsed.sequence_sets[-1])


def _sequence_set_id(nal_unit: bytes) -> int:
    return _ids(nal_unit[:1] + nal_unit[4:], 1)[0]  # after profile, constraints and level


def _ids(nal_unit: bytes, count: int) -> list[int]:
    """The first numbers of a parameter set or a slice."""
    bits = _Bits(nal_unit[1:_IDS_BYTES].replace(b"\0\0\3", b"\0\0"))
    return [bits.unsigned() for _ in range(count)]


def _record(avcc: bytes, sps: bytes, picture_sets: list[bytes]) -> bytes:
    sets = b"".join(len(one).to_bytes(2, "big") + one for one in picture_sets)
    # Chroma and depth, which follow for some profiles, are as the standard wants: 4:2:0, 8 bits.
    tail = b"\xfd\xf8\xf8\0" if sps[1] in {100, 110, 122, 144} else b""
    head = avcc[:1] + sps[1:4] + avcc[4:5] + b"\xe1" + len(sps).to_bytes(2, "big") + sps
    return head + bytes([len(picture_sets)]) + sets + tail


def parse_avcc(avcc: bytes) -> Avcc:
    """Raises BadTrack unless there is a parameter set of both kinds."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise BadTrack("the video has no H.264 decoder configuration (avcC)")
    sequence_sets, position = _parameter_sets(avcc, 6, avcc[5] & 31, kind=7)
    if position >= len(avcc):
        raise BadTrack("the video's avcC ends too early")
    picture_sets, _ = _parameter_sets(avcc, position + 1, avcc[position], kind=8)
    if not sequence_sets or not picture_sets:
        raise BadTrack("the video's avcC lacks a parameter set")
    return Avcc((avcc[4] & 3) + 1, sequence_sets, picture_sets)


def _parameter_sets(
    avcc: bytes, position: int, count: int, *, kind: int
) -> tuple[tuple[bytes, ...], int]:
    found: list[bytes] = []
    for _ in range(count):
        start = position + 2
        end = start + int.from_bytes(avcc[position:start], "big")
        if end > len(avcc) or end <= start or avcc[start] & 31 != kind:
            raise BadTrack("a parameter set in the video's avcC is broken")
        found.append(avcc[start:end])
        position = end
    return tuple(found), position


def parse_sps(nal_unit: bytes) -> Sps:
    """Raises BadTrack."""
    if len(nal_unit) < 4 or nal_unit[0] & 31 != 7 or len(nal_unit) > _MAX_SPS_BYTES:
        raise BadTrack("the video's sequence parameter set is none")
    # Emulation prevention (7.4.1): 00 00 03 stands for 00 00. Not overlapping, as it is written.
    bits = _Bits(nal_unit[1:].replace(b"\0\0\3", b"\0\0"))
    profile, _, level = bits.take(8), bits.take(8), bits.take(8)
    bits.unsigned()  # seq_parameter_set_id
    chroma_format, bit_depth, has_planes_apart = 1, 8, False
    if profile in _CHROMA_PROFILES:
        chroma_format = bits.unsigned(3)
        has_planes_apart = chroma_format == 3 and bits.flag()
        bit_depth = 8 + max(bits.unsigned(6), bits.unsigned(6))
        bits.take(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.flag():
            _skip_scaling_lists(bits, 12 if chroma_format == 3 else 8)
    bits.unsigned(12)  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.unsigned(16)  # max_num_ref_frames
    bits.take(1)  # gaps_in_frame_num_value_allowed_flag
    width = 16 * (bits.unsigned(4095) + 1)
    map_units = bits.unsigned(4095) + 1
    is_interlaced = not bits.flag()
    fields = 2 if is_interlaced else 1
    height = 16 * map_units * fields
    if is_interlaced:
        bits.take(1)  # mb_adaptive_frame_field_flag
    bits.take(1)  # direct_8x8_inference_flag
    if bits.flag():
        left, right, top, bottom = (bits.unsigned(65535) for _ in range(4))
        is_subsampled = not has_planes_apart
        unit_x = 2 if is_subsampled and chroma_format in {1, 2} else 1
        unit_y = (2 if is_subsampled and chroma_format == 1 else 1) * fields
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if width <= 0 or height <= 0:
        raise BadTrack("the video's picture has no size")
    return Sps(profile, level, width, height, chroma_format, bit_depth)


def _skip_scaling_lists(bits: "_Bits", count: int) -> None:
    for index in range(count):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _skip_picture_order(bits: "_Bits") -> None:
    order_type = bits.unsigned(2)
    if order_type == 0:
        bits.unsigned(12)  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.take(1)  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(bits.unsigned(255)):
            bits.signed()  # offset_for_ref_frame


class _Bits:
    """Bits from the highest on. All methods raise BadTrack where they end."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise BadTrack("the video's sequence parameter set ends too early")
        return self._number >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.take(1) == 1

    def unsigned(self, maximum: int = (1 << 32) - 2) -> int:
        """ue(v), 9.1: as many zeros as bits follow the one."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 31:
                break
        value = (1 << zeros) - 1 + self.take(zeros)
        if zeros > 31 or value > maximum:
            raise BadTrack("a number in the video's sequence parameter set is out of range")
        return value

    def signed(self) -> int:
        """se(v), 9.1.1."""
        value = self.unsigned()
        return (value + 1) // 2 if value & 1 else -(value // 2)
