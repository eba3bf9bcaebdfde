"""One job, done: reads a recording, writes a file. Blocks for as long as it takes."""

import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from liveshop.video.fmp4_reading import BrokenChunk
from liveshop.video.making import pictures
from liveshop.video.making.film import CopiedPictures, Film, PictureTrack
from liveshop.video.making.joining import Joiner, Stretch
from liveshop.video.making.model import Job, Made, MakingFailed, MakingHeldUp, Wanted
from liveshop.video.making.reading import BrokenPiece, configs_in
from liveshop.video.making.sound import Loudness, SoundTrack, UnreadableSound, encoded_config
from liveshop.video.making.upright import UnreadablePicture, UprightPictures
from liveshop.video.model import AacConfig, BadTrack
from liveshop.video.recorded import Facts, Piece, facts, pieces

_CLIP_SECONDS: Final = 1.0
"""Channels take nothing shorter."""
_NOTHING: Final = "Nothing is recorded of what was asked for."

Tell = Callable[[float], None]
"""How much of the whole is done, from 0 to 1."""


def do(job: Job, tell: Tell) -> Made:
    """Raises MakingFailed, with nothing left behind."""
    output = Path(job.output)
    unfinished = Path(job.unfinished)
    try:
        return _Work(job, tell).done(output, unfinished)
    except (BrokenPiece, BrokenChunk, BadTrack) as error:
        raise MakingFailed(f"The recording is damaged: {error}.") from error
    except UnreadablePicture as error:
        raise MakingFailed("The recording's pictures cannot be decoded.") from error
    except UnreadableSound as error:
        raise MakingFailed("The recording's sound cannot be decoded.") from error
    except FileNotFoundError as error:
        # Fetched back from the archive, they are removed again after a while.
        raise MakingHeldUp("Parts of the recording are not on the disk.") from error
    except OSError as error:
        raise _held_up(error) from error
    finally:
        unfinished.unlink(missing_ok=True)


class _Work:
    def __init__(self, job: Job, tell: Tell) -> None:
        self._job = job
        self._wanted: Wanted = job.wanted
        self._folder = Path(job.folder)
        self._tell = tell
        found = facts(self._folder)
        if found is None:
            raise MakingFailed(_NOTHING)
        self._facts = found
        self._seconds = _most_seconds(found, job.wanted)
        self._joiner = Joiner()

    def done(self, output: Path, unfinished: Path) -> Made:
        if self._wanted.kind == "loudness":
            return self._loudness()
        output.parent.mkdir(parents=True, exist_ok=True)
        if self._wanted.kind in ("mp4", "clip"):
            width, height, data = self._film(unfinished)
        else:
            width, height, data = self._picture(unfinished)
        unfinished.replace(output)
        self._tell(1.0)
        return self._made(output.stat().st_size, width, height, data)

    # -- kinds

    def _film(self, unfinished: Path) -> tuple[int, int, dict[str, Any]]:
        self._need_room(unfinished.parent)
        wanted = self._wanted
        config = _first_sound(self._pieces())
        gain_db: float | None = None
        share = 0.0
        if wanted.is_loudness_normal and config is not None:
            share = 0.3
            gain_db = self._measured(share).gain_db
            config = encoded_config(config)
        sounds = None if config is None else SoundTrack(config, gain_db=gain_db)
        self._joiner = Joiner()
        film: Film | None = None
        track: PictureTrack | None = None
        try:
            for stretch in self._stretches(share):
                if film is None or track is None:
                    is_upright = wanted.kind == "clip" and wanted.is_vertical
                    track = UprightPictures(stretch) if is_upright else CopiedPictures(stretch)
                    film = Film(unfinished, track, sounds, stretch.starts_at)
                film.add(stretch)
            if film is None or track is None:
                raise MakingFailed(_NOTHING)
            film.finish()
        finally:
            if film is not None:
                film.close()
        if wanted.kind == "clip" and self._joiner.seconds < _CLIP_SECONDS:
            raise MakingFailed("A clip has to be at least a second long.")
        return track.config.width, track.config.height, {}

    def _picture(self, unfinished: Path) -> tuple[int, int, dict[str, Any]]:
        if self._wanted.kind == "poster":
            poster = pictures.best(self._stretches(), self._seconds)
            if poster is None:
                raise MakingFailed("None of the recording's pictures can be decoded.")
            unfinished.write_bytes(pictures.jpeg(poster.image))
            self._joiner.from_at = self._joiner.until_at = poster.at
            return poster.image.width, poster.image.height, {}
        sheet = pictures.Sheet()
        apart = pictures.tiles_apart(self._seconds)
        for one in pictures.stills(self._stretches(), apart_seconds=apart):
            sheet.add(one)
        if not sheet:
            raise MakingFailed("None of the recording's pictures can be decoded.")
        assert self._joiner.from_at is not None
        image, data = sheet.made(self._joiner.from_at)
        unfinished.write_bytes(pictures.tile_jpeg(image))
        return image.width, image.height, data

    def _loudness(self) -> Made:
        loudness = self._measured(1.0)
        return self._made(0, 0, 0, {"lufs": loudness.lufs})

    # -- what they share

    def _measured(self, share: float) -> Loudness:
        loudness = Loudness()
        for stretch in self._stretches(until=share):
            loudness.take(stretch)
        return loudness

    def _pieces(self) -> Iterator[Piece]:
        return pieces(self._folder, self._wanted.from_at, self._wanted.until_at)

    def _stretches(self, since: float = 0.0, until: float = 1.0) -> Iterator[Stretch]:
        """What is wanted, while telling how far it is: this share of all the work."""
        for stretch in self._joiner.joined(self._pieces()):
            yield stretch
            done = min(1.0, self._joiner.seconds / self._seconds)
            self._tell(since + (until - since) * done)

    def _made(self, byte_count: int, width: int, height: int, data: dict[str, Any]) -> Made:
        from_at, until_at = self._joiner.from_at, self._joiner.until_at
        if from_at is None or until_at is None:
            raise MakingFailed(_NOTHING)
        seconds = round(self._joiner.seconds, 3)
        return Made(byte_count, seconds, width, height, from_at, until_at, data)

    def _need_room(self, folder: Path) -> None:
        """Raises MakingFailed before work is done that has to end like this."""
        share = min(1.0, self._seconds / max(self._facts.seconds, 0.001))
        needed = int(self._facts.byte_count * share * 1.05) + self._job.least_free_bytes
        if shutil.disk_usage(folder).free < needed:
            raise _held_up(OSError(errno.ENOSPC, ""))


def _first_sound(found: Iterator[Piece]) -> AacConfig | None:
    return next((audio for piece in found for audio in [_sound_of(piece)] if audio), None)


def _sound_of(piece: Piece) -> AacConfig | None:
    return configs_in(piece.init)[1]


def _most_seconds(found: Facts, wanted: Wanted) -> float:
    """How long what is wanted plays, at most; never 0."""
    from_at = max(wanted.from_at or found.started_at, found.started_at)
    until_at = min(wanted.until_at or found.ended_at, found.ended_at)
    return max(0.1, min(found.seconds, (until_at - from_at).total_seconds()))


def _held_up(error: OSError) -> MakingHeldUp:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MakingHeldUp("There is not enough room on the disk.")
    return MakingHeldUp(f"The disk does not work: {error.strerror or error}.")
