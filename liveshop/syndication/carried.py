"""Which promotions channels may announce: those that all of them can say in time.

A price that one channel shows and another cannot is worse than one that none shows. So a promotion
is carried by every channel or by none; then they all show the price without it, and the merchant
is told so before he publishes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.promotions import store as promotions_store
from liveshop.promotions.model import (
    AmountOff,
    Automatic,
    Everywhere,
    FixedPrice,
    Limit,
    PercentOff,
    Promotion,
)
from liveshop.promotions.tables import promotion as promotion_table

_FETCHES = 2
"""A fetched channel may have read just before a change: one interval is not enough."""

_PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "whole": "Channels will not announce “{name}” and show the price without it: {why}.",
        "limited": "it is limited, and what is left of it cannot be told everywhere at once",
        "unscheduled": "{channels} cannot start and end a price at a set time",
        "too_short": "{channels} fetches prices every {hours} hours, so it would have to run for "
        "at least {least} hours",
        "and": "{first} and {last}",
    },
    "de": {
        "whole": "Die Kanäle kündigen „{name}“ nicht an und zeigen den Preis ohne sie: {why}.",
        "limited": "sie ist begrenzt, und was davon übrig ist, lässt sich nicht überall zugleich "
        "sagen",
        "unscheduled": "{channels} kann einen Preis nicht zu einer Zeit beginnen und enden lassen",
        "too_short": "{channels} holt Preise alle {hours} Stunden, sie müsste also mindestens "
        "{least} Stunden laufen",
        "and": "{first} und {last}",
    },
}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a channel can say in time. `fetched_every_seconds`: of a feed; None: it is pushed to."""

    title: str
    can_schedule_sales: bool
    fetched_every_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A promotion for everybody that no channel announces, because of these reasons in words."""

    promotion: Promotion
    reasons: tuple[str, ...]

    def in_words(self, language: str) -> str:
        name = self.promotion.text(language) or self.promotion.id
        return _say(language, "whole", name=name, why="; ".join(self.reasons))


@dataclass(frozen=True, slots=True)
class Carried:
    """The promotions in force or planned that channels announce, and those that they cannot."""

    promotions: tuple[Promotion, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Other promotions, or other versions of them, have another stamp."""
        return tuple((one.id, one.version) for one in self.promotions)


def is_for_everybody(promotion: Promotion) -> bool:
    """Whether the storefront shows it to whoever comes: what channels would announce."""
    return (
        isinstance(promotion.kind, PercentOff | AmountOff | FixedPrice)
        and isinstance(promotion.trigger, Automatic)
        and isinstance(promotion.scope, Everywhere)
    )


def why_not(
    promotion: Promotion, reaches: Iterable[Reach], known_at: datetime, language: str = "en"
) -> list[str]:
    """What keeps channels from announcing it; nothing if they can.

    `known_at`: when it was published as it is, or would be. The answer does not change as time
    goes by, or a promotion would be taken off before it ends.
    """
    channels = list(reaches)
    if not channels or not is_for_everybody(promotion):
        return []
    reasons = []
    if promotion.limit != Limit():
        reasons.append(_say(language, "limited"))
    rigid = [one.title for one in channels if not one.can_schedule_sales]
    if rigid:
        reasons.append(_say(language, "unscheduled", channels=_listed(rigid, language)))
    slowest = max((one.fetched_every_seconds or 0 for one in channels), default=0)
    period = promotion.period
    if slowest and period.ends_at is not None:
        begins = max(known_at, period.starts_at or known_at)
        if period.ends_at - begins < _FETCHES * timedelta(seconds=slowest):
            late = [one.title for one in channels if one.fetched_every_seconds == slowest]
            reasons.append(
                _say(
                    language,
                    "too_short",
                    channels=_listed(late, language),
                    hours=_hours(slowest),
                    least=_hours(_FETCHES * slowest),
                )
            )
    return reasons


async def carried(
    conn: AsyncConnection,
    definitions: promotions_store.Definitions,
    reaches: Sequence[Reach],
    now: datetime,
) -> Carried:
    """Of the promotions there are at this moment. One statement, and one for new definitions."""
    found = await promotions_store.stored(
        conn,
        definitions,
        now,
        promotions_store.is_active(),
        promotions_store.is_not_over(now),
        promotion_table.c.is_automatic,
        promotion_table.c.show_id.is_(None),
    )
    taken: list[Promotion] = []
    left_out: list[LeftOut] = []
    for stored in found:
        one = stored.promotion
        if not is_for_everybody(one):
            continue
        reasons = why_not(one, reaches, stored.updated_at)
        if reasons or one.limit != Limit():
            left_out.append(LeftOut(one, tuple(reasons)))
        else:
            taken.append(one)
    return Carried(tuple(sorted(taken, key=lambda one: one.id)), tuple(left_out))


def _hours(seconds: int) -> int:
    return -(-seconds // 3600)


def _listed(names: Sequence[str], language: str) -> str:
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        return distinct[0]
    return _say(language, "and", first=", ".join(distinct[:-1]), last=distinct[-1])


def _say(language: str, key: str, **params: object) -> str:
    phrases = _PHRASES.get(language.partition("-")[0], _PHRASES["en"])
    return phrases[key].format(**params)
