"""The lowest price of the last 30 days, which an announced reduction has to stand beside.

Directive 98/6/EC, article 6a(2): the prior price is the lowest one the trader applied during at
least the 30 days before the reduction was applied. The rules taken, with the Commission's guidance
(2021/C 526/02):

- Which prices count: those anybody could have. List prices, and automatic promotions per unit,
  everywhere or in a show: whoever opens a show has its price, limited or not. Taking show offers in
  can only lower the figure, so it never flatters a reduction. Segments and codes are left out: what
  only some are offered is no reduction announced to everyone (guidance, 2.3), and it is not the
  price others paid. A code that is told to everyone is an automatic promotion and belongs in the
  books as one. Buy X get Y, tiers, order discounts and shipping do not change the price of a unit.
- From when: for a reduction that grows step by step without interruption, from its first step
  (article 6a(5); in German law § 11(3) PAngV). Whenever the price rises, a new one begins.
- How long: 30 calendar days where the shop is, the first from its first hour on (regulation
  1182/71, article 3), so that a day of 23 or 25 hours is a day.
- A variant younger than that: since it has had a price (article 6a(4)).

Promotions are given as they were: one that was changed, once per version with the period in which
that version held; one that was stopped, with the moment as its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo

from liveshop.kernel.ids import ShowId
from liveshop.kernel.money import Money
from liveshop.promotions.delivery import Rates
from liveshop.promotions.model import (
    AmountOff,
    Automatic,
    FixedPrice,
    ForSegment,
    InShow,
    Item,
    Limit,
    PercentOff,
    Promotion,
)
from liveshop.promotions.pricing import Context, price_of

DAYS = 30


@dataclass(frozen=True, slots=True)
class PriceChange:
    """From `at` on, the list price is `amount`, announced as reduced from `compare_at`."""

    at: datetime
    amount: Money
    compare_at: Money | None = None


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """What a variant has cost. `item` tells promotions what it is; its own price is not looked at.

    Build with `history_of`.
    """

    item: Item
    changes: tuple[PriceChange, ...]
    promotions: tuple[Promotion, ...]
    zone: tzinfo

    def price(self, moment: datetime, show_id: ShowId | None = None) -> Money | None:
        """The price anybody had, outside shows or in this one; None before the first."""
        listed = self.list_price(moment)
        if listed is None:
            return None
        item = replace(self.item, price=listed, compare_at=None, tiers=())
        context = Context(
            now=moment,
            currency=listed.currency,
            rates=Rates({}, {}),
            show_id=show_id,
            promotions=self._open(moment),
        )
        return price_of(item, context).price

    def _open(self, moment: datetime) -> list[Promotion]:
        """A shop that makes offers all day has hundreds in a month, and one or two at a time."""
        return [one for one in self.promotions if one.period.holds(moment)]

    def list_price(self, moment: datetime) -> Money | None:
        listed = self._listed(moment)
        return None if listed is None else listed.amount

    def lowest_before(self, moment: datetime, reduction_started_at: datetime) -> Money | None:
        """The lowest price in the 30 days before a reduction, as known at `moment`.

        What happens from `moment` on does not count, so that a reduction can be announced ahead.
        None where the variant had no price then.
        """
        end = min(moment, reduction_started_at)
        first_day = reduction_started_at.astimezone(self.zone).date() - timedelta(days=DAYS)
        # In UTC: two moments of one zone would be compared by the clock on the wall.
        start = datetime.combine(first_day, time(), tzinfo=self.zone).astimezone(UTC)
        points = [point for point in (start, *self._turns()) if start <= point < end]
        prices = [self.price(point, show) for point in points for show in self._shows(point)]
        known = [price for price in prices if price is not None]
        return min(known, key=lambda price: price.amount, default=None)

    def reduction_started_at(
        self, moment: datetime, show_id: ShowId | None = None
    ) -> datetime | None:
        """When the reduction in force at `moment` began, whatever steps it took since.

        None where nothing is announced: the price is the list price, with no compare-at price. A
        list price that was lowered without one is no reduction but the price from then on.
        """
        started = None
        price_after: Money | None = None
        for point in sorted(self._turns(), reverse=True):
            if point > moment:
                continue
            listed, price = self._listed(point), self.price(point, show_id)
            if listed is None or price is None:
                break
            if price.amount >= (listed.compare_at or listed.amount).amount:
                break
            if price_after is not None and price.amount < price_after.amount:
                break
            if point == self.changes[0].at and price_after is not None and price_after != price:
                break  # It came into the shop as reduced: only the steps since have a price before.
            started, price_after = point, price
        return started

    def _shows(self, moment: datetime) -> set[ShowId | None]:
        """Where prices may differ then: outside shows, and in each that has an offer."""
        scopes = [one.scope for one in self._open(moment)]
        return {None, *(scope.show_id for scope in scopes if isinstance(scope, InShow))}

    def turns_until(self, moment: datetime) -> int:
        """How often the price may have changed by then: what is said of it changes with that."""
        return sum(turn <= moment for turn in self._turns())

    def _listed(self, moment: datetime) -> PriceChange | None:
        past = [change for change in self.changes if change.at <= moment]
        return past[-1] if past else None

    def _turns(self) -> set[datetime]:
        """The only moments at which a price can change."""
        periods = [promotion.period for promotion in self.promotions]
        bounds = {bound for period in periods for bound in (period.starts_at, period.ends_at)}
        return {change.at for change in self.changes} | {one for one in bounds if one is not None}


def history_of(
    item: Item, changes: Iterable[PriceChange], promotions: Iterable[Promotion], zone: tzinfo
) -> PriceHistory:
    """The history of a variant in its present currency, of prices that anybody could have.

    `zone` is where the shop is. Promotions of any kind may be given; those that count are taken.
    """
    currency = item.price.currency
    return PriceHistory(
        item=item,
        changes=tuple(
            sorted(
                (change for change in changes if change.amount.currency == currency),
                key=lambda change: change.at,
            )
        ),
        promotions=tuple(
            # Sold out or not, this was the price while it was offered.
            replace(promotion, limit=Limit(), used=0)
            for promotion in promotions
            if counts_for_everyone(promotion)
        ),
        zone=zone,
    )


def counts_for_everyone(promotion: Promotion) -> bool:
    """Whether it changes the price of a unit for anybody who comes."""
    return (
        isinstance(promotion.kind, PercentOff | AmountOff | FixedPrice)
        and isinstance(promotion.trigger, Automatic)
        and not isinstance(promotion.scope, ForSegment)
    )
