"""MP4 files out of a recording: the index in front, one picture track, at most one of sound.

Where the pictures' parameters change in mid-film a further sample description follows, and the
parameter sets stand before the keyframes as well: players know how to find the one or the other.
"""

import io
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import av
from av.packet import PacketSideData, packet_sidedata_type_from_literal
from av.stream import Stream

from liveshop.video.fmp4 import init_segment
from liveshop.video.h264 import parse_avcc
from liveshop.video.making.decoding import TIME_BASE, packet_of
from liveshop.video.making.joining import Stretch
from liveshop.video.making.sound import SoundTrack
from liveshop.video.model import VIDEO_TIMESCALE, H264Config, Sample, Track

_OPTIONS: Final = {"movflags": "+faststart", "video_track_timescale": str(VIDEO_TIMESCALE)}


class PictureTrack(Protocol):
    """`config`: what it begins with. `now`: what the pictures taken last are to be decoded with."""

    @property
    def config(self) -> H264Config: ...

    @property
    def now(self) -> H264Config: ...

    def take(self, stretch: Stretch) -> list[Sample]: ...

    def finish(self) -> list[Sample]: ...


class CopiedPictures:
    """As they were sent."""

    def __init__(self, first: Stretch) -> None:
        self.config = self.now = first.video
        self._sets = b""
        """Parameter sets as they stand before a keyframe."""

    def take(self, stretch: Stretch) -> list[Sample]:
        if stretch.video != self.now:
            self.now = stretch.video
            self._sets = _parameter_sets(stretch.video)
        if not self._sets:
            return stretch.pictures
        return [self._with_sets(picture) for picture in stretch.pictures]

    def finish(self) -> list[Sample]:
        return []

    def _with_sets(self, one: Sample) -> Sample:
        if not one.is_keyframe:
            return one
        return Sample(one.track, one.dts, one.pts, one.duration, True, self._sets + one.data)


class Film:
    """`close` it whatever happens; whole it is after `finish`."""

    def __init__(
        self, path: Path, pictures: PictureTrack, sounds: SoundTrack | None, begun_at: datetime
    ) -> None:
        self._pictures = pictures
        self._sounds = sounds
        self._announced = pictures.config
        self._container = av.open(str(path), "w", format="mp4", options=dict(_OPTIONS))
        self._container.metadata["creation_time"] = begun_at.isoformat()
        # The muxer takes parameters only from a file that it has read.
        begun_like = init_segment(pictures.config, None if sounds is None else sounds.config)
        with av.open(io.BytesIO(begun_like), format="mp4") as template:
            self._streams: dict[Track, Stream] = {
                Track.VIDEO
                if stream.type == "video"
                else Track.AUDIO: self._container.add_stream_from_template(stream)
                for stream in template.streams
            }
        self._sound_base = TIME_BASE if sounds is None else Fraction(1, sounds.config.timescale)

    def close(self) -> None:
        self._container.close()

    def add(self, stretch: Stretch) -> None:
        """Raises UnreadablePicture, UnreadableSound, and OSError where the disk is full."""
        sounds = [] if self._sounds is None else self._sounds.take(stretch)
        self._write(self._pictures.take(stretch), sounds)

    def finish(self) -> None:
        """Raises as `add` does."""
        sounds = [] if self._sounds is None else self._sounds.finish()
        self._write(self._pictures.finish(), sounds)
        self._container.close()

    def _write(self, pictures: list[Sample], sounds: list[Sample]) -> None:
        position = 0
        for picture in pictures:
            # In turn, since the muxer holds back what is ahead of the other track.
            seconds = picture.dts * TIME_BASE
            while position < len(sounds) and sounds[position].dts * self._sound_base < seconds:
                self._mux(sounds[position], self._sound_base)
                position += 1
            self._mux(picture, TIME_BASE)
        for sound in sounds[position:]:
            self._mux(sound, self._sound_base)

    def _mux(self, sample: Sample, time_base: Fraction) -> None:
        packet: av.Packet[Any] = packet_of(sample, time_base)
        packet.stream = self._streams[sample.track]
        if sample.track is Track.VIDEO and self._pictures.now != self._announced:
            self._announced = self._pictures.now
            _announce(packet, self._announced)
        self._container.mux_one(packet)


def _announce(packet: "av.Packet[Any]", config: H264Config) -> None:
    kind = packet_sidedata_type_from_literal("new_extradata")
    # PyAV's stubs do not know what its side data is made of.
    told = PacketSideData(kind, len(config.avcc))  # type: ignore[call-arg]
    told.update(config.avcc)
    packet.set_sidedata(told)


def _parameter_sets(config: H264Config) -> bytes:
    avcc = parse_avcc(config.avcc)
    return b"".join(
        len(unit).to_bytes(avcc.length_size, "big") + unit
        for unit in (*avcc.sequence_sets, *avcc.picture_sets)
    )
