"""Plays a film file as a show's live video, forever and in real time. Nothing is encoded.

Wall time is read once and then follows the monotonic clock, so that a slewed clock cannot tear the
picture; only a clock that was set (or a machine that slept) moves the origin.
"""

import asyncio
import math
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import ShowId
from liveshop.video.ingest.film import FilmCursor, load_film
from liveshop.video.model import PublisherGone, Publishing
from liveshop.video.service import VideoService

_TICK_SECONDS: Final = 0.1
"""Samples are handed on this often. Segments appear when a keyframe is written, and keyframes fall
on whole ticks, so a finer grain buys nothing."""

_CLOCK_STEP_SECONDS: Final = 0.25
"""Wall and monotonic clock further apart than this: the wall clock was set."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """`index` into the starts asked for; `at`: the wall time its first picture is due."""

    index: int
    at: datetime


class _Playback:
    """The film's timeline on both clocks."""

    def __init__(self, *, film_seconds: float, origin: datetime, origin_seconds: float) -> None:
        self.film_seconds = film_seconds
        self.origin = origin
        """Wall time of media time zero: the film's first start."""
        self.origin_seconds = origin_seconds
        """The same moment on the event loop's clock."""
        self.stopped = asyncio.Event()

    def follow_clock(self, now: datetime, loop_seconds: float) -> None:
        wall_seconds = (now - self.origin).total_seconds()
        step = wall_seconds - (loop_seconds - self.origin_seconds)
        if abs(step) > _CLOCK_STEP_SECONDS:
            self.origin += timedelta(seconds=step)

    async def has_reached(self, media_seconds: float) -> bool:
        """Wait until the film gets there. False: it was stopped before."""
        try:
            async with asyncio.timeout_at(self.origin_seconds + media_seconds):
                await self.stopped.wait()
        except TimeoutError:
            return True
        return False


class LoopSource:
    """`run` in a supervised task; cancel it to stop.

    `head_start_seconds` of film count as already sent when a show begins with it, so that a player
    finds a full playlist at once. `gives_way`: it replaces nobody.
    """

    def __init__(
        self,
        path: Path,
        *,
        video: VideoService,
        show_id: ShowId,
        clock: Clock,
        head_start_seconds: float = 0.0,
        gives_way: bool = False,
    ) -> None:
        self.show_id = show_id
        self._path = path
        self._video = video
        self._clock = clock
        self._head_start_seconds = head_start_seconds
        self._gives_way = gives_way
        self._playback: _Playback | None = None
        self._has_started = asyncio.Event()

    async def run(self) -> None:
        """Play until cancelled, replaced by another publisher, or the show ends.

        Raises BadFilm when the file cannot be played.
        """
        film = await asyncio.to_thread(load_film, self._path)
        if self._gives_way and self._video.has_publisher(self.show_id):
            return
        loop = asyncio.get_running_loop()
        stream = self._video.stream(self.show_id)
        # Later, it would be dated before what others have sent.
        is_first = stream is None or not stream.has_begun
        head_start_seconds = self._head_start_seconds if is_first else 0.0
        publisher = self._video.publish(Publishing(self.show_id), film.video, film.audio)
        playback = self._playback = _Playback(
            film_seconds=float(film.seconds),
            origin=self._clock.now() - timedelta(seconds=head_start_seconds),
            origin_seconds=loop.time() - head_start_seconds,
        )
        cursor = FilmCursor(film)
        try:
            while True:
                loop_seconds = loop.time()
                playback.follow_clock(self._clock.now(), loop_seconds)
                media_seconds = loop_seconds - playback.origin_seconds
                publisher.write(cursor.take_until(media_seconds), origin=playback.origin)
                self._has_started.set()
                next_tick = (math.floor(media_seconds / _TICK_SECONDS) + 1) * _TICK_SECONDS
                await asyncio.sleep(playback.origin_seconds + next_tick - loop.time())
        except PublisherGone:
            return
        finally:
            publisher.close()
            self._playback = None
            self._has_started.clear()
            playback.stopped.set()

    async def wait_until_started(self) -> None:
        """Returns once samples are being sent. Does not return while `run` is not running."""
        await self._has_started.wait()

    def position(self, now: datetime) -> float:
        """Seconds into the film at that wall time; 0 while it does not play."""
        if self._playback is None:
            return 0.0
        elapsed_seconds = (now - self._playback.origin).total_seconds()
        return elapsed_seconds % self._playback.film_seconds

    async def chapters(self, starts: Sequence[float]) -> AsyncIterator[Chapter]:
        """The chapter now playing, at once; then each next one as it starts, until the film stops.

        `starts`: seconds into the film, ascending, within its length. Raises ValueError.
        """
        if not starts or starts[0] < 0 or any(a >= b for a, b in pairwise(starts)):
            raise ValueError("chapter starts must be ascending seconds")
        await self._has_started.wait()
        playback = self._playback
        if playback is None:
            return
        if starts[-1] >= playback.film_seconds:
            raise ValueError(f"the film has only {playback.film_seconds} s")
        elapsed = asyncio.get_running_loop().time() - playback.origin_seconds
        rounds, position = divmod(elapsed, playback.film_seconds)
        # Before the first start, the last chapter of the round before is still playing.
        count = int(rounds) * len(starts) + bisect_right(starts, position) - 1
        while True:
            whole_rounds, index = divmod(count, len(starts))
            media_seconds = whole_rounds * playback.film_seconds + starts[index]
            if not await playback.has_reached(media_seconds):
                return
            yield Chapter(index, playback.origin + timedelta(seconds=media_seconds))
            count += 1
