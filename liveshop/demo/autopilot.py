"""The demo's autopilot: pins each product as the film shows it, and lets a person take over."""

from datetime import datetime, timedelta

from liveshop.demo.film import CHAPTER_SECONDS, CHAPTERS
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows import store
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.video.ingest.loop import LoopSource

_LEAVES_TO_PEOPLE = timedelta(minutes=5)


class Autopilot:
    """Run in a supervised task, beside the film. A pin by a person silences it for a while."""

    def __init__(
        self,
        shows: ShowService,
        database: Database,
        source: LoopSource,
        show_id: ShowId,
        lineup: list[ProductId],
        started: datetime,
    ) -> None:
        self._shows = shows
        self._database = database
        self._source = source
        self._show_id = show_id
        self._lineup = lineup
        self._own = started
        """Pins up to this moment are the autopilot's, or of an earlier run."""

    async def run(self) -> None:
        starts = [float(index * CHAPTER_SECONDS) for index in range(CHAPTERS)]
        async for chapter in self._source.chapters(starts):
            if await self._is_left_to_people(chapter.at):
                continue
            try:
                pin = await self._shows.pin_product(self._show_id, self._lineup[chapter.index])
            except ShopError:
                continue  # not live any more, or taken out of the lineup: not ours to say
            self._own = pin.at

    async def _is_left_to_people(self, now: datetime) -> bool:
        async with self._database.read() as conn:
            pins = await store.recent_pins(conn, self._show_id)
        return bool(pins) and pins[-1].at > self._own and now - pins[-1].at < _LEAVES_TO_PEOPLE
