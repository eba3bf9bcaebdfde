"""What MediaRecorder records becomes pictures and sound. Blocks: for a thread of its own.

WebM, Matroska and fragmented MP4, demuxed by PyAV from what arrives, H.264 copied. Chromium puts
H.264 into Matroska as Annex B, without CodecPrivate, and says no delay for Opus though there is
one (seen in 156).
"""

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import av
from av.container import InputContainer

from liveshop.video.ingest.access_units import (
    BadMedia,
    VideoConfig,
    aac_config,
    picture_of,
    video_config,
)
from liveshop.video.ingest.camera_refused import CameraRefused
from liveshop.video.ingest.camera_sound import AacFrame, SoundDecoder, SoundMaker, aac_of
from liveshop.video.ingest.camera_thread import Give, Inbox, Made, Shown, Tracks
from liveshop.video.ingest.camera_tracks import OpusSound
from liveshop.video.ingest.camera_transcode import BEHIND_SECONDS, DECODERS, Slot, Transcoder
from liveshop.video.model import AacConfig, UnsupportedMedia

_SOUND_MISSED_US: Final = 2_500_000
"""Sound this far behind the picture is not coming. A fragment of MP4 has all its pictures before
its sound, and is a second long."""
_SILENCE_BEHIND_US: Final = 1_200_000
_PACKET_US: Final = 60_000
"""Of Chromium's Opus: what begins this long before a picture is heard with it."""

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SNIFFED: Final = 8
_SHORT_HEADER: Final = 8
_LONG_HEADER: Final = 16
"""Of a box, ISO/IEC 14496-12 4.2; those that matter are longer."""
_MOST_BOX_BYTES: Final = 1 << 20
_BUFFER_BYTES: Final = 64 << 10
_OPTIONS: Final = {
    # Everything is in the first blobs; waiting for more would only be late.
    "fpsprobesize": "0",
    "probesize": "65536",
    "analyzeduration": "200000",
    "max_streams": "8",
}
_BROKEN_MOST: Final = 30
"""Packets in a row that cannot be decoded."""
_NAMES: Final = {"av1": "AV1", "hevc": "HEVC (H.265)", "vorbis": "Vorbis", "mpeg4": "MPEG-4"}


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes
    arrived_at: datetime
    seconds: float
    """Of `time.monotonic`."""


def convert_recording(
    inbox: Inbox, give: Give, *, slot: Slot, behind_seconds: float = BEHIND_SECONDS
) -> None:
    """Blobs in; Tracks, then Shown and AacFrame out. Raises CameraRefused, BadMedia."""
    feed = _Feed(inbox, behind_seconds)
    try:
        with av.open(
            feed, "r", format=feed.format(), options=_OPTIONS, buffer_size=_BUFFER_BYTES
        ) as container:
            _Recording(container, feed, give, slot).run()
    except UnsupportedMedia as error:
        raise CameraRefused("video_unsupported", error.detail) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if not feed.is_over:
            raise BadMedia("the recording cannot be read") from error


class _Feed:
    """The file that the demuxer reads: it waits for what has not come yet."""

    def __init__(self, inbox: Inbox, behind_seconds: float) -> None:
        self._inbox = inbox
        self._behind_seconds = behind_seconds
        self._rest = memoryview(b"")
        self._boxes: _Boxes | None = None
        self._blob: Blob | None = None
        self.is_over = False

    @property
    def arrived_at(self) -> datetime:
        """Of what was read last."""
        assert self._blob is not None
        return self._blob.arrived_at

    @property
    def is_behind(self) -> bool:
        """Whether what was read last had to wait for too long."""
        return self._blob is not None and (
            time.monotonic() - self._blob.seconds > self._behind_seconds
        )

    def format(self) -> str:
        """Of the container, by its first bytes. Raises CameraRefused."""
        head = b""
        while len(head) < _SNIFFED and not self.is_over:
            head += self.read(_SNIFFED - len(head))
        head += bytes(self._rest)
        self._rest = memoryview(head)
        if head.startswith(_EBML):
            return "matroska"
        if head[4:8] == b"ftyp" or self.is_over:
            self._boxes = _Boxes()
            self._rest = memoryview(self._boxes.whole(head))
            return "mp4"
        raise CameraRefused(
            "video_unsupported",
            "This browser's recording is neither WebM nor MP4. Use another browser.",
        )

    def read(self, size: int) -> bytes:
        while not self._rest:
            # Asked again after the end, demuxers would wait for ever.
            blob = None if self.is_over else self._inbox.take()
            if blob is None:
                self.is_over = True
                return b""
            self._blob = blob
            self._rest = memoryview(self._boxes.whole(blob.data) if self._boxes else blob.data)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)


class _Boxes:
    """MP4 in pieces that its demuxer can read: it goes back within a header, which fails where one
    came in two reads."""

    def __init__(self) -> None:
        self._held = b""
        self._media_left = 0
        """Of an `mdat`, which is handed on as it comes."""

    def whole(self, data: bytes) -> bytes:
        """What can be read now. Raises BadMedia."""
        data = self._held + data
        position = min(self._media_left, len(data))
        self._media_left -= position
        while not self._media_left and len(data) - position >= _LONG_HEADER:
            size = int.from_bytes(data[position : position + 4], "big")
            kind = data[position + 4 : position + 8]
            if size == 1:
                size = int.from_bytes(data[position + 8 : position + 16], "big")
            if size < _SHORT_HEADER or (kind != b"mdat" and size > _MOST_BOX_BYTES):
                raise BadMedia("a box of the recording has no such size")
            here = len(data) - position
            if kind != b"mdat" and size > here:
                break
            self._media_left = max(0, size - here)
            position += min(size, here)
        self._held = data[position:]
        return data[:position]


class _Recording:
    def __init__(self, container: InputContainer, feed: _Feed, give: Give, slot: Slot) -> None:
        self._feed = feed
        self._give = give
        if not container.streams.video:
            raise CameraRefused("video_unsupported", "There is no picture. Choose a camera.")
        self._container = container
        self._video = container.streams.video[0]
        self._audio = container.streams.audio[0] if container.streams.audio else None
        self._pictures = _pictures_of(self._video, slot)
        self._sounds = None if self._audio is None else _sounds_of(self._audio)
        self._config: VideoConfig | None = None
        self._heard_us: int | None = None
        """The last sound, or the end of the silence put in its place."""
        self._waiting: deque[Shown | Tracks] = deque()
        """Pictures whose sound has not come yet; players want both at once."""
        self._broken = 0

    def run(self) -> None:
        streams = [self._video, *([self._audio] if self._audio else [])]
        for packet in self._container.demux(*streams):
            if packet.pts is None or not packet.size:
                continue
            try:
                made = self._take(packet)
                self._broken = 0
            except BadMedia:
                self._broken += 1
                if self._broken > _BROKEN_MOST:
                    raise
                continue
            self._give(made)
        self._give(list(self._waiting))

    def _take(self, packet: "av.Packet[Any]") -> list[Made]:
        """Raises BadMedia."""
        us = _us(packet, packet.pts)
        made: list[Made] = []
        if packet.stream_index == self._video.index:
            self._see(packet)
            made += self._silence(us)
        elif self._sounds is not None:
            self._heard_us = max(us, us if self._heard_us is None else self._heard_us)
            made += self._sounds.take(us, bytes(packet))
        return made + self._released()

    def _see(self, packet: "av.Packet[Any]") -> None:
        for config, shown in self._pictures.take(packet, self._feed):
            if config is not None and config != self._config:
                self._config = config
                audio = None if self._sounds is None else self._sounds.config
                self._waiting.append(Tracks(config, audio))
            if self._config is not None:
                self._waiting.append(shown)

    def _silence(self, us: int) -> list[AacFrame]:
        if self._sounds is None:
            return []
        if self._heard_us is None:
            self._heard_us = us
        if us - self._heard_us <= _SOUND_MISSED_US:
            return []
        self._heard_us = us - _SILENCE_BEHIND_US
        return self._sounds.silence_until(self._heard_us)

    def _released(self) -> list[Made]:
        made: list[Made] = []
        while self._waiting:
            first = self._waiting[0]
            is_early = (
                isinstance(first, Shown)
                and self._sounds is not None
                and (self._heard_us is None or first.us > self._heard_us + _PACKET_US)
            )
            if is_early:
                break
            made.append(self._waiting.popleft())
        return made


class _Copied:
    """H.264, as MP4 holds it; as Annex B where the container brought no avcC. A picture does not
    tell which: a length of 256 to 511 looks like a start code."""

    def __init__(self, extradata: bytes) -> None:
        self._config = video_config(extradata) if extradata[:1] == b"\x01" else None
        self._is_annex_b = self._config is None
        self._sets: dict[int, bytes] = {}

    def take(self, packet: "av.Packet[Any]", feed: _Feed) -> list[tuple[VideoConfig | None, Shown]]:
        data = bytes(packet)
        if self._is_annex_b:
            data = self._from_annex_b(data)
        if self._config is None:
            return []
        dts = packet.pts if packet.dts is None else packet.dts
        composition_us = _us(packet, packet.pts) - _us(packet, dts)
        picture = picture_of(
            data,
            composition_ms=round(composition_us / 1000),
            is_keyframe=packet.is_keyframe,
            length_size=self._config.length_size,
        )
        if picture is None:
            return []
        return [(self._config, Shown(_us(packet, dts), picture, feed.arrived_at))]

    def _from_annex_b(self, data: bytes) -> bytes:
        """With lengths instead of start codes, and the parameter sets apart."""
        units: list[bytes] = []
        sets = dict(self._sets)
        for piece in data.split(b"\0\0\1"):
            unit = piece.rstrip(b"\0")
            if not unit:
                continue
            kind = unit[0] & 31
            if kind in {7, 8}:
                sets[kind] = unit
            elif kind != 9:  # access unit delimiters have no place in MP4
                units.append(unit)
        if sets != self._sets and len(sets) == 2:
            self._config = video_config(_avcc(sets[7], sets[8]))
        self._sets = sets
        return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


class _Transcoded:
    def __init__(self, codec: str) -> None:
        self._transcoder = Transcoder(codec)
        self._config: VideoConfig | None = None

    def take(self, packet: "av.Packet[Any]", feed: _Feed) -> list[tuple[VideoConfig | None, Shown]]:
        us, data = _us(packet, packet.pts), bytes(packet)
        made = self._transcoder.picture(us, data, is_behind=feed.is_behind)
        return [(one.config, Shown(one.us, one.picture, feed.arrived_at)) for one in made]


class _Opus:
    def __init__(self, channels: int) -> None:
        self.config = aac_of(channels)
        self._decoder = SoundDecoder(OpusSound(channels), channels)
        self._maker = SoundMaker(channels)
        self._delay_us: int | None = None

    def take(self, us: int, data: bytes) -> list[AacFrame]:
        if self._delay_us is None:
            # Where the container told the delay, the demuxer has taken it off.
            self._delay_us = 0 if us < 0 else self._decoder.delay_us
        return self._maker.add(us - self._delay_us, self._decoder.decode(data))

    def silence_until(self, us: int) -> list[AacFrame]:
        return self._maker.silence_until(us)


class _CopiedAac:
    def __init__(self, specific: bytes) -> None:
        self.config: AacConfig = aac_config(specific)

    def take(self, us: int, data: bytes) -> list[AacFrame]:
        return [AacFrame(us, data)]

    def silence_until(self, us: int) -> list[AacFrame]:
        return []


def _pictures_of(stream: Any, slot: Slot) -> "_Copied | _Transcoded":
    codec = stream.codec_context.name
    if codec == "h264":
        return _Copied(stream.codec_context.extradata or b"")
    name = codec.removeprefix("lib")
    if name not in DECODERS:
        raise _foreign(codec)
    if not slot.take():
        raise no_transcoder_free()
    return _Transcoded(name)


def _sounds_of(stream: Any) -> "_Opus | _CopiedAac":
    codec, channels = stream.codec_context.name, stream.codec_context.channels
    if codec in {"opus", "libopus"}:
        if not 1 <= channels <= 2:
            raise CameraRefused(
                "video_unsupported",
                f"The microphone has {channels} channels; one or two are taken.",
            )
        return _Opus(channels)
    if codec == "aac":
        return _CopiedAac(stream.codec_context.extradata or b"")
    raise _foreign(codec)


def no_transcoder_free() -> CameraRefused:
    return CameraRefused(
        "no_transcoder_free",
        "This browser cannot send H.264, and as many of its kind as this server can convert are"
        " live already. Use Chrome, Edge or Safari, or an app such as OBS.",
        retry_after=30,
    )


def _foreign(codec: str) -> CameraRefused:
    return CameraRefused(
        "video_unsupported",
        f"This browser records {_NAMES.get(codec, codec[:20])}; H.264, VP8 and VP9 with Opus or"
        " AAC are taken. Use another browser.",
    )


def _us(packet: "av.Packet[Any]", ticks: int | None) -> int:
    assert ticks is not None
    return round(ticks * packet.time_base * 1_000_000)


def _avcc(sequence_set: bytes, picture_set: bytes) -> bytes:
    """ISO/IEC 14496-15 5.3.3.1."""
    head = b"\x01" + sequence_set[1:4] + b"\xff\xe1"
    sets = len(sequence_set).to_bytes(2, "big") + sequence_set
    return head + sets + b"\x01" + len(picture_set).to_bytes(2, "big") + picture_set
