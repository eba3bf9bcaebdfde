"""Segments of a show as its packager makes them, and recordings of them."""

from datetime import timedelta
from pathlib import Path

from sample_builders import AUDIO, ORIGIN, VIDEO, interleaved, pictures, sounds

from liveshop.video.ingest.film import Film, FilmCursor
from liveshop.video.model import H264Config
from liveshop.video.packager import Packager, Segment
from liveshop.video.recording_files import RecordingFiles

Segments = list[tuple[Segment, bytes]]
"""With their init sections."""


class Host:
    """Sends pictures second by second, and has what its packager completes at hand."""

    def __init__(
        self, first_number: int = 1000, *, keyframe_every: int = 30, late_seconds: float = 0
    ) -> None:
        self.packager = Packager(first_number=first_number)
        self.origin = ORIGIN + timedelta(seconds=late_seconds)
        self._keyframe_every = keyframe_every
        self._second = 0

    def begin(self, video: H264Config = VIDEO) -> list[Segment]:
        self.packager.begin_run(video, AUDIO)
        self._second = 0
        return []

    def send(self, seconds: int) -> Segments:
        made: list[Segment] = []
        for _ in range(seconds):
            made += self.packager.add(
                interleaved(
                    pictures(1, start=self._second, keyframe_every=self._keyframe_every),
                    sounds(1, start=self._second),
                ),
                origin=self.origin,
            )
            self._second += 1
        return self._with_init(made)

    def go(self) -> Segments:
        return self._with_init(self.packager.finish_run())

    def _with_init(self, made: list[Segment]) -> Segments:
        return [(one, self.packager.init(one.entry.init_number)) for one in made]


def recorded(
    folder: Path, host: Host, seconds: int, *, keep_seconds: int = 3600, is_kept: bool = False
) -> RecordingFiles:
    """What is written as it comes; the last chunk is open still."""
    files = RecordingFiles(folder, keep_seconds=keep_seconds, is_kept=is_kept)
    for segment in host.send(seconds):
        files.add(*segment)
    return files


def film_segments(film: Film, seconds: float, *, late_seconds: float = 0.0) -> Segments:
    """A film as a show of that length, from `ORIGIN` on or later."""
    packager = Packager(first_number=1000 + round(100 * late_seconds))
    packager.begin_run(film.video, film.audio)
    samples = FilmCursor(film).take_until(seconds - 1e-6)
    made = packager.add(samples, origin=ORIGIN + timedelta(seconds=late_seconds))
    made += packager.finish_run()
    return [(one, packager.init(one.entry.init_number)) for one in made]
