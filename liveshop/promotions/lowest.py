"""The lowest price of 30 days out of the database: `history` says by which rules.

What a reduction stands beside does not change while it lasts, so it is worked out once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import store as catalog_store
from liveshop.catalog.model import PricePoint
from liveshop.kernel.ids import ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.promotions import store
from liveshop.promotions.history import (
    DAYS,
    PriceChange,
    PriceHistory,
    counts_for_everyone,
    history_of,
)
from liveshop.promotions.model import Item, Promotion, PromotionId, Version, covers

_BEFORE = timedelta(days=DAYS + 2)
_LOOKED_BACK = 3 * _BEFORE
"""What came earlier is read only for reductions that have lasted long."""
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A promotion that is only thought of, `at` this moment, in place of the one it `replaces`."""

    promotion: Promotion
    at: datetime
    replaces: PromotionId | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """When the reduction began, and the lowest price before it."""

    started_at: datetime | None
    lowest: Money | None


class LowestPrices:
    def __init__(self, definitions: store.Definitions, zone: tzinfo) -> None:
        self._definitions = definitions
        self._zone = zone
        self._known: dict[tuple[object, ...], _Found] = {}

    async def of(
        self,
        conn: AsyncConnection,
        items: Sequence[Item],
        moment: datetime,
        show_id: ShowId | None,
        planned: Planned | None = None,
    ) -> dict[VariantId, Money | None]:
        """Of items that are announced as reduced at `moment`; None: it had no price before that.

        Two statements, and none without items.
        """
        if not items:
            return {}
        points = await catalog_store.price_points(conn, [item.variant_id for item in items])
        looked_back = moment - _LOOKED_BACK
        held = await self._held(conn, looked_back, planned)
        found = self._found(items, points, held, moment, show_id, planned)
        if any(one.started_at and one.started_at - _BEFORE < looked_back for one in found.values()):
            held = await self._held(conn, None, planned)
            found = self._found(items, points, held, moment, show_id, planned)
        return {id_: one.lowest for id_, one in found.items()}

    async def _held(
        self, conn: AsyncConnection, since: datetime | None, planned: Planned | None
    ) -> list[Promotion]:
        """Every version that counted for everybody, in the period in which it did."""
        versions = await store.versions_since(conn, self._definitions, since)
        if planned is not None:
            versions = _with(planned, versions)
        held = (version.held() for version in versions)
        return [one for one in held if one is not None and counts_for_everyone(one)]

    def _found(
        self,
        items: Iterable[Item],
        points: Mapping[VariantId, Sequence[PricePoint]],
        held: Sequence[Promotion],
        moment: datetime,
        show_id: ShowId | None,
        planned: Planned | None,
    ) -> dict[VariantId, _Found]:
        found = {}
        for item in items:
            changes = [
                PriceChange(point.at, point.amount, point.compare_at)
                for point in points.get(item.variant_id, ())
            ]
            covering = [one for one in held if covers(one.products, item)]
            history = history_of(item, changes, covering, self._zone)
            if planned is None:
                found[item.variant_id] = self._remembered(history, moment, show_id)
            else:
                found[item.variant_id] = _find(history, moment, planned.at, show_id)
        return found

    def _remembered(
        self, history: PriceHistory, moment: datetime, show_id: ShowId | None
    ) -> _Found:
        versions = tuple((one.id, one.version, one.period) for one in history.promotions)
        turns = history.turns_until(moment)
        # Not the variant: those that cost the same at the same times are alike.
        key = (show_id, history.changes, versions, turns)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = _find(history, moment, moment, show_id)
        return self._known[key]


def _find(
    history: PriceHistory, moment: datetime, known_at: datetime, show_id: ShowId | None
) -> _Found:
    started_at = history.reduction_started_at(moment, show_id)
    if started_at is None:
        return _Found(None, None)
    return _Found(started_at, history.lowest_before(known_at, started_at))


def _with(planned: Planned, versions: Iterable[Version]) -> list[Version]:
    """The versions as they would be, had the plan been carried out when it was thought of."""
    ended = [
        replace(one, valid_to=planned.at)
        if one.promotion.id == planned.replaces and one.valid_to is None
        else one
        for one in versions
    ]
    return [*ended, Version(planned.promotion, planned.at, None)]
