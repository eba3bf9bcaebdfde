"""A fragmented-MP4 writer: one init segment, then fragments of samples. Pure.

Our own since a fragment is two hundred bytes of struct packing, while a muxer library would buffer,
renumber and cut where it likes. Boxes by ISO/IEC 14496-12 and -15, brands by CMAF (23000-19).
"""

import struct
from collections.abc import Sequence
from typing import Final

from liveshop.video.model import AacConfig, BadTrack, H264Config, Sample, Track

_SYNC: Final = 0x02000000
"""sample_depends_on = 2: a picture that needs no other."""
_NON_SYNC: Final = 0x01010000
"""sample_depends_on = 1, sample_is_non_sync_sample."""

_TRUN_VIDEO: Final = 0x000F01  # data offset; duration, size, flags, composition offset per sample
_TRUN_AUDIO: Final = 0x000301  # data offset; duration, size per sample
_TFHD_FLAGS: Final = 0x020000  # default-base-is-moof
_UNITY_MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MOVIE_TIMESCALE: Final = 1000
_LANGUAGE_UNDETERMINED: Final = 0x55C4  # "und", packed


def codecs(video: H264Config | None, audio: AacConfig | None) -> str:
    """For CODECS attributes and MSE: `avc1.64001F,mp4a.40.2`."""
    return ",".join(config.codec for config in (video, audio) if config is not None)


def init_segment(video: H264Config | None, audio: AacConfig | None) -> bytes:
    """What a player needs before the first fragment; the `EXT-X-MAP` of HLS.

    Tracks keep their ids, so that sound alone is track 2. Raises BadTrack where there is none.
    """
    traks: list[bytes] = []
    trexs: list[bytes] = []
    if video is not None:
        traks.append(_video_trak(video))
        trexs.append(_trex(Track.VIDEO))
    if audio is not None:
        traks.append(_audio_trak(audio))
        trexs.append(_trex(Track.AUDIO))
    if not traks:
        raise BadTrack("there is neither picture nor sound")
    mvhd = _full(
        b"mvhd", 0, 0,
        struct.pack(">4I", 0, 0, _MOVIE_TIMESCALE, 0),  # created, modified, timescale, duration
        struct.pack(">IH10x", 0x10000, 0x100),  # rate, volume
        _UNITY_MATRIX,
        struct.pack(">24xI", max(Track) + 1),  # next_track_ID
    )  # fmt: skip
    ftyp = _box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"cmfc", b"mp41")
    return ftyp + _box(b"moov", mvhd, *traks, _box(b"mvex", *trexs))


def segment_type() -> bytes:
    """The `styp` box that opens a media segment; its fragments follow."""
    return _box(b"styp", b"msdh", struct.pack(">I", 0), b"msdh", b"cmfs")


def fragment(sequence_number: int, video: Sequence[Sample], audio: Sequence[Sample]) -> bytes:
    """One `moof` and `mdat` with the samples of each track that has any, in decode order.

    `sequence_number` must rise from fragment to fragment, modulo 2**32. Decode times are 64-bit
    (tfdt version 1): 32 bits of a 90 kHz clock end after 13 hours of show.
    """
    tracks = [samples for samples in (video, audio) if samples]
    # mfhd 16; per track: traf 8, tfhd 16, tfdt 20, trun 20 and its rows.
    moof_size = 8 + 16 + 64 * len(tracks) + 16 * len(video) + 8 * len(audio)
    data_offset = moof_size + 8
    trafs: list[bytes] = []
    for samples in tracks:
        trafs.append(_traf(samples, data_offset))
        data_offset += sum(len(sample.data) for sample in samples)
    moof = _box(
        b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", sequence_number & 0xFFFFFFFF)), *trafs
    )
    return moof + _box(b"mdat", *(sample.data for samples in tracks for sample in samples))


def _traf(samples: Sequence[Sample], data_offset: int) -> bytes:
    track = samples[0].track
    flags = _TRUN_VIDEO if track is Track.VIDEO else _TRUN_AUDIO
    return _box(
        b"traf",
        _full(b"tfhd", 0, _TFHD_FLAGS, struct.pack(">I", track)),
        _full(b"tfdt", 1, 0, struct.pack(">Q", samples[0].dts)),
        # Version 1: composition offsets are signed.
        _full(b"trun", 1, flags, struct.pack(">Ii", len(samples), data_offset),
              _trun_rows(samples)),
    )  # fmt: skip


def _trun_rows(samples: Sequence[Sample]) -> bytes:
    if samples[0].track is Track.AUDIO:
        return b"".join(struct.pack(">2I", s.duration, len(s.data)) for s in samples)
    return b"".join(
        struct.pack(
            ">3Ii", s.duration, len(s.data), _SYNC if s.is_keyframe else _NON_SYNC, s.pts - s.dts
        )
        for s in samples
    )


def _video_trak(config: H264Config) -> bytes:
    avc1 = _box(
        b"avc1",
        struct.pack(">6xH16x", 1),  # data_reference_index
        struct.pack(">2H2I4x", config.width, config.height, 0x480000, 0x480000),  # 72 dpi
        struct.pack(">H32xHh", 1, 0x18, -1),  # frames per sample, no name, depth, no palette
        _box(b"avcC", config.avcc),
    )
    return _trak(
        Track.VIDEO,
        config.timescale,
        _full(b"hdlr", 0, 0, b"\0\0\0\0vide", bytes(12), b"video\0"),
        _full(b"vmhd", 0, 1, bytes(8)),
        avc1,
        size=(config.width, config.height),
    )


def _audio_trak(config: AacConfig) -> bytes:
    mp4a = _box(
        b"mp4a",
        struct.pack(">6xH8x", 1),  # data_reference_index
        struct.pack(">2H4xI", config.channels, 16, min(config.sample_rate, 0xFFFF) << 16),
        _esds(config.specific),
    )
    return _trak(
        Track.AUDIO,
        config.timescale,
        _full(b"hdlr", 0, 0, b"\0\0\0\0soun", bytes(12), b"sound\0"),
        _full(b"smhd", 0, 0, bytes(4)),
        mp4a,
        size=(0, 0),
    )


def _trak(
    track: Track,
    timescale: int,
    handler: bytes,
    media_header: bytes,
    sample_entry: bytes,
    *,
    size: tuple[int, int],
) -> bytes:
    volume = 0x100 if track is Track.AUDIO else 0
    tkhd = _full(
        b"tkhd", 0, 7,  # enabled, in the movie, in the preview
        struct.pack(">5I8x", 0, 0, track, 0, 0),  # created, modified, id, reserved, duration
        struct.pack(">2hH2x", 0, 0, volume),  # layer, alternate group
        _UNITY_MATRIX,
        struct.pack(">2I", size[0] << 16, size[1] << 16),
    )  # fmt: skip
    mdhd = _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, timescale, 0, _LANGUAGE_UNDETERMINED, 0))
    dinf = _box(
        b"dinf",
        _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)),  # this file
    )
    stbl = _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), sample_entry),
        _full(b"stts", 0, 0, bytes(4)),
        _full(b"stsc", 0, 0, bytes(4)),
        _full(b"stsz", 0, 0, bytes(8)),
        _full(b"stco", 0, 0, bytes(4)),
    )
    return _box(
        b"trak", tkhd, _box(b"mdia", mdhd, handler, _box(b"minf", media_header, dinf, stbl))
    )


def _trex(track: Track) -> bytes:
    default_flags = _NON_SYNC if track is Track.VIDEO else _SYNC
    return _full(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, default_flags))


def _esds(specific: bytes) -> bytes:
    """ISO/IEC 14496-1 7.2.6. Every descriptor fits one length byte."""
    decoder_specific = _descriptor(5, specific)
    # 0x40: MPEG-4 audio; 0x15: audio stream; buffer size and bit rates unknown.
    decoder_config = _descriptor(4, b"\x40\x15", bytes(11), decoder_specific)
    sync_layer = _descriptor(6, b"\x02")
    es = _descriptor(3, struct.pack(">HB", Track.AUDIO, 0), decoder_config, sync_layer)
    return _full(b"esds", 0, 0, es)


def _descriptor(tag: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return bytes((tag, len(body))) + body


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)
