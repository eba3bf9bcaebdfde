"""A film read from an MP4 file into samples that can be played round and round without a seam.

Read whole and once: half a minute at 2.6 Mbit/s is 10 MB, and a loop then costs no file access.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from liveshop.video.model import AAC_FRAME_LENGTH, AacConfig, BadFilm, H264Config, Sample, Track


@dataclass(frozen=True, slots=True)
class Film:
    """`samples`: both tracks by decode time, from zero; each track lasts exactly `seconds`."""

    video: H264Config
    audio: AacConfig
    samples: tuple[Sample, ...]
    seconds: Fraction


class FilmCursor:
    """Reads a film on and on; timestamps run on from round to round."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._timescales = {
            Track.VIDEO: film.video.timescale,
            Track.AUDIO: film.audio.timescale,
        }
        self._lengths = {
            track: int(film.seconds * timescale) for track, timescale in self._timescales.items()
        }
        self._index = 0
        self._round = 0

    def take_until(self, seconds: float) -> list[Sample]:
        """The samples due at `seconds` since the start and not taken yet, in decode order."""
        taken: list[Sample] = []
        samples = self._film.samples
        while True:
            sample = samples[self._index]
            shift = self._round * self._lengths[sample.track]
            if sample.dts + shift > seconds * self._timescales[sample.track]:
                return taken
            taken.append(replace(sample, dts=sample.dts + shift, pts=sample.pts + shift))
            self._index += 1
            if self._index == len(samples):
                self._index = 0
                self._round += 1


def load_film(path: Path) -> Film:
    """Read an MP4 with one H.264 and one AAC track. Blocks: call it in a thread.

    Asked of the file: a keyframe first, no B-frames, and AAC frames that fill the length of the
    picture exactly (30 pictures a second and 48 kHz do at every multiple of 8 s). An encoder's
    priming before time zero, and sound past the end of the picture, are left out. Raises BadFilm.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or not container.streams.audio:
                raise BadFilm(f"{path.name} needs a video and an audio track")
            pictures, sound = container.streams.video[0], container.streams.audio[0]
            names = (pictures.codec_context.name, sound.codec_context.name)
            if names != ("h264", "aac"):
                raise BadFilm(f"{path.name} holds {names}; only h264 and aac can be played")
            video = H264Config(
                pictures.codec_context.extradata or b"", pictures.width, pictures.height
            )
            audio = AacConfig(sound.codec_context.extradata or b"")
            samples: dict[Track, list[Sample]] = {Track.VIDEO: [], Track.AUDIO: []}
            for packet in container.demux(pictures, sound):
                if packet.dts is None or packet.pts is None:
                    continue  # the empty packet that ends each stream
                is_video = packet.stream_index == pictures.index
                track, config = (Track.VIDEO, video) if is_video else (Track.AUDIO, audio)
                ticks = packet.time_base * config.timescale
                # Times are rounded, durations are their differences: so no rounding adds up.
                dts = round(packet.dts * ticks)
                duration = round((packet.dts + (packet.duration or 0)) * ticks) - dts
                pts = round(packet.pts * ticks)
                earlier = samples[track]
                if earlier:
                    earlier[-1] = replace(earlier[-1], duration=dts - earlier[-1].dts)
                earlier.append(Sample(track, dts, pts, duration, packet.is_keyframe, bytes(packet)))
    except (av.error.FFmpegError, OSError) as error:
        raise BadFilm(f"{path.name} cannot be read as a film: {error}") from error
    return _checked(path, video, audio, samples[Track.VIDEO], samples[Track.AUDIO])


def _checked(
    path: Path, video: H264Config, audio: AacConfig, pictures: list[Sample], sounds: list[Sample]
) -> Film:
    if any(picture.pts != picture.dts for picture in pictures):
        raise BadFilm(f"{path.name} has B-frames; encode it without (bf=0)")
    if not pictures or not pictures[0].is_keyframe or pictures[0].dts != 0:
        raise BadFilm(f"{path.name} must start with a keyframe at time zero")
    seconds = Fraction(pictures[-1].dts + pictures[-1].duration, video.timescale)
    sounds = [sound for sound in sounds if 0 <= sound.dts < seconds * audio.timescale]
    if (
        not sounds
        or sounds[0].dts != 0
        # A shorter last frame would still decode to its whole length, over the next round's start.
        or any(sound.duration != AAC_FRAME_LENGTH for sound in sounds)
        or Fraction(sounds[-1].dts + sounds[-1].duration, audio.timescale) != seconds
    ):
        raise BadFilm(
            f"the sound of {path.name} does not fill its {float(seconds):.3f} s of picture with"
            " whole AAC frames; at 48 kHz a multiple of 8 s does"
        )
    timescales = {Track.VIDEO: video.timescale, Track.AUDIO: audio.timescale}
    merged = sorted([*pictures, *sounds], key=lambda s: Fraction(s.dts, timescales[s.track]))
    return Film(video, audio, tuple(merged), seconds)
