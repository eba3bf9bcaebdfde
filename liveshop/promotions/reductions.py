"""What promotions take off: which unit of which line, and which part of the order.

One principle where only one of several may count: the one that saves the buyer most counts. On a
tie the higher priority counts, then the lower id; so the order of a list never matters.

Amounts are whole minor units. A share is taken of each unit and rounded half up, so that a unit has
one price however many are bought; a share of the order is rounded once, half up, and then split.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from liveshop.kernel.money import split
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    Kind,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Promotion,
    PromotionId,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Units of one line at their price by quantity, and the line promotions open to it."""

    quantity: int
    price: int
    promotions: tuple[Promotion, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a promotion takes off one unit."""

    promotion: Promotion
    off: int


@dataclass(frozen=True, slots=True)
class Run:
    """Units of one line (by its place) that cost the same for the same reasons."""

    line: int
    units: int
    price: int
    cuts: tuple[Cut, ...]

    @property
    def total(self) -> int:
        return self.units * self.price

    @property
    def unit_price(self) -> int:
        """The price of one of these units bought alone: without what was given for others."""
        return self.price + sum(
            cut.off for cut in self.cuts if isinstance(cut.promotion.kind, BuyXGetY)
        )


@dataclass(frozen=True, slots=True)
class OrderCut:
    """What a promotion takes off the goods, and how much of it off each line."""

    promotion: Promotion
    off: int
    parts: tuple[int, ...]


def per_mille(amount: int, share: int) -> int:
    """`share` per mille of an amount, rounded half up."""
    return (2 * amount * share + 1000) // 2000


def precedence(promotion: Promotion) -> tuple[int, PromotionId]:
    """The order in which promotions go: highest priority first, then the lower id."""
    return -promotion.priority, promotion.id


def reduced_runs(lines: Sequence[Wanted], left: Mapping[PromotionId, int]) -> list[Run]:
    """All units of the lines, reduced, in the order of the lines.

    `left` holds how many units a limited promotion can still reduce. Units past that fall to the
    next best promotion. A buy X get Y takes all the lines it is open to, if that makes the goods
    cheaper: on them nothing exclusive counts beside it, and nothing at all if it is exclusive.
    """
    deals = {
        promotion.id: promotion
        for line in lines
        for promotion in line.promotions
        if isinstance(promotion.kind, BuyXGetY)
    }
    claims: dict[int, Promotion] = {}
    runs = _allotted(lines, claims, left)
    while deals:
        trials = []
        for deal in sorted(deals.values(), key=precedence):
            taken = claims | {
                place: deal for place, line in enumerate(lines) if deal in line.promotions
            }
            trials.append((deal, taken, _allotted(lines, taken, left)))
        deal, taken, best = min(trials, key=lambda trial: _total(trial[2]))
        if _total(best) >= _total(runs):
            break
        claims, runs = taken, best
        del deals[deal.id]
    return runs


def order_cuts(
    amounts: Sequence[int], offers: Sequence[tuple[Promotion, frozenset[int]]]
) -> list[OrderCut]:
    """What order promotions take off lines worth `amounts`; each with the lines it is open to."""
    places = {promotion.id: covered for promotion, covered in offers}
    promotions = sorted((promotion for promotion, _ in offers), key=precedence)

    def cuts_of(chosen: Sequence[Promotion]) -> list[OrderCut]:
        rest = list(amounts)
        cuts = []
        for promotion in chosen:
            weights = [
                amount if place in places[promotion.id] else 0 for place, amount in enumerate(rest)
            ]
            off = _order_off(promotion.kind, sum(weights))
            if off:
                parts = split(off, weights)
                rest = [amount - part for amount, part in zip(rest, parts, strict=True)]
                cuts.append(OrderCut(promotion, off, tuple(parts)))
        return cuts

    def saved(chosen: Sequence[Promotion]) -> int:
        return sum(cut.off for cut in cuts_of(chosen))

    return cuts_of(best_of(promotions, saved))


def best_of(
    promotions: Sequence[Promotion], saved: Callable[[Sequence[Promotion]], int]
) -> list[Promotion]:
    """Those of one level that count together: an exclusive one alone or the stackable ones.

    `saved` tells what a choice saves. The answer is in the order of application.
    """
    choices = [[one] for one in promotions if one.stacking == "exclusive"]
    stackable = [one for one in promotions if one.stacking == "stackable"]
    if stackable:
        choices.append(_one_per_group(stackable, saved))
    if not choices:
        return []
    if len(choices) == 1:
        return choices[0]
    return min(choices, key=lambda choice: (-saved(choice), precedence(choice[0])))


def _one_per_group(
    promotions: Sequence[Promotion], saved: Callable[[Sequence[Promotion]], int]
) -> list[Promotion]:
    best: dict[str, Promotion] = {}
    for one in sorted(promotions, key=precedence):
        if one.group is not None and (
            one.group not in best or saved([one]) > saved([best[one.group]])
        ):
            best[one.group] = one
    chosen = [one for one in promotions if one.group is None] + list(best.values())
    return sorted(chosen, key=precedence)


def _allotted(
    lines: Sequence[Wanted], claims: Mapping[int, Promotion], left: Mapping[PromotionId, int]
) -> list[Run]:
    """All lines reduced, each with its claim of a buy X get Y."""
    rest = dict(left)
    runs = []
    for place, line in enumerate(lines):
        runs += _runs_of(place, line, _beside(claims.get(place), line.promotions), rest)
    for deal in sorted({one.id: one for one in claims.values()}.values(), key=precedence):
        mine = {place for place, claim in claims.items() if claim.id == deal.id}
        others = [run for run in runs if run.line not in mine]
        pool = [run for run in runs if run.line in mine]
        runs = others + _rewarded(pool, deal, rest.get(deal.id))
    # The sort is stable: within a line, units that were given away stand after the others.
    return sorted(runs, key=attrgetter("line"))


def _beside(deal: Promotion | None, promotions: Iterable[Promotion]) -> list[Promotion]:
    """The promotions per unit that may count, also beside a buy X get Y."""
    per_unit = [one for one in promotions if not isinstance(one.kind, BuyXGetY)]
    if deal is None:
        return per_unit
    if deal.stacking == "exclusive":
        return []
    return [
        one
        for one in per_unit
        if one.stacking == "stackable" and (one.group is None or one.group != deal.group)
    ]


def _runs_of(
    place: int, line: Wanted, promotions: Sequence[Promotion], rest: dict[PromotionId, int]
) -> list[Run]:
    """The units of a line by what is the best for one of them, until each limit is used up."""

    def saved(chosen: Sequence[Promotion]) -> int:
        return sum(cut.off for cut in _cuts(line.price, chosen))

    runs = []
    units = line.quantity
    while units:
        still_open = [one for one in promotions if rest.get(one.id) != 0]
        cuts = _cuts(line.price, best_of(still_open, saved))
        limited = [cut.promotion.id for cut in cuts if cut.promotion.id in rest]
        taken = min([units, *(rest[one] for one in limited)])
        for one in limited:
            rest[one] -= taken
        price = line.price - sum(cut.off for cut in cuts)
        runs.append(Run(place, taken, price, tuple(cuts)))
        units -= taken
    return runs


def _cuts(price: int, promotions: Sequence[Promotion]) -> list[Cut]:
    """Each on the price that the one before it left; those that take nothing off are left out."""
    cuts = []
    for promotion in promotions:
        off = _unit_off(promotion.kind, price)
        if off:
            cuts.append(Cut(promotion, off))
            price -= off
    return cuts


def _unit_off(kind: Kind, price: int) -> int:
    match kind:
        case PercentOff(permille):
            return per_mille(price, permille)
        case AmountOff(amount):
            return min(price, amount.amount)
        case FixedPrice(fixed):
            return max(0, price - fixed.amount)
    return 0


def _order_off(kind: Kind, goods: int) -> int:
    match kind:
        case OrderPercentOff(permille):
            return per_mille(goods, permille)
        case OrderAmountOff(amount):
            return min(goods, amount.amount)
    return 0


def _rewarded(pool: Sequence[Run], deal: Promotion, left: int | None) -> list[Run]:
    """The runs with the deal's reward taken off the cheapest units.

    A set begun counts too: of "buy 2, get 2", three units are two paid and one free.
    """
    kind = deal.kind
    assert isinstance(kind, BuyXGetY)
    sets, begun = divmod(sum(run.units for run in pool), kind.buy + kind.get)
    rewards = sets * kind.get + max(0, begun - kind.buy)
    if left is not None:
        rewards = min(rewards, left)
    result = []
    for run in sorted(pool, key=attrgetter("price", "line")):
        given = min(rewards, run.units)
        rewards -= given
        off = per_mille(run.price, kind.off_permille)
        if not given or not off:
            result.append(run)
            continue
        if given < run.units:
            result.append(replace(run, units=run.units - given))
        result.append(
            replace(run, units=given, price=run.price - off, cuts=(*run.cuts, Cut(deal, off)))
        )
    return result


def _total(runs: Iterable[Run]) -> int:
    return sum(run.total for run in runs)
