"""The demo's autopilot: pins each product as the film shows it, starts an offer now and then, and
lets a person take over.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import cycle

from liveshop.demo.deals import offer_of
from liveshop.demo.film import CHAPTER_SECONDS, CHAPTERS
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import ProductId, ShowId
from liveshop.shows import store
from liveshop.shows.offers import OfferService
from liveshop.shows.service import ShowService
from liveshop.storage import Database
from liveshop.video.ingest.loop import LoopSource

_LEAVES_TO_PEOPLE = timedelta(minutes=5)
_OFFERED = (5, 1)
"""The chapters whose products are offered, in turn: one that was just cheap is no news."""
_LOOPS_PER_OFFER = 3


class Autopilot:
    """Run in a supervised task, beside the film. A pin by a person silences it for a while."""

    def __init__(
        self,
        shows: ShowService,
        offers: OfferService,
        database: Database,
        source: LoopSource,
        show_id: ShowId,
        lineup: list[ProductId],
        started: datetime,
    ) -> None:
        self._shows = shows
        self._offers = offers
        self._database = database
        self._source = source
        self._show_id = show_id
        self._lineup = lineup
        self._own = started
        """Pins up to this moment are the autopilot's, or of an earlier run."""

    async def run(self) -> None:
        starts = [float(index * CHAPTER_SECONDS) for index in range(CHAPTERS)]
        offers, passed = cycle(_OFFERED), 0
        offered = next(offers)
        async for chapter in self._source.chapters(starts):
            if await self._is_left_to_people(chapter.at):
                continue
            try:
                pin = await self._shows.pin_product(self._show_id, self._lineup[chapter.index])
            except ShopError:
                continue  # not live any more, or taken out of the lineup: not ours to say
            self._own = pin.at
            if chapter.index == offered:
                if passed % _LOOPS_PER_OFFER == 0:
                    await self._offer(self._lineup[chapter.index])
                    offered = next(offers)
                passed += 1

    async def _offer(self, product_id: ProductId) -> None:
        with suppress(ShopError):  # somebody has an offer of his own for it
            await self._offers.start_offer(self._show_id, offer_of(product_id))

    async def _is_left_to_people(self, now: datetime) -> bool:
        async with self._database.read() as conn:
            pins = await store.recent_pins(conn, self._show_id)
        return bool(pins) and pins[-1].at > self._own and now - pins[-1].at < _LEAVES_TO_PEOPLE
