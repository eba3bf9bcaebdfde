"""A promotion: one rule that changes a price, on every channel alike; and what it is applied to.

A rule is data, closed over a handful of kinds: what a kind does to a price is in `reductions`.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NewType

from liveshop.kernel.errors import Conflict, Invalid, NotFound
from liveshop.kernel.ids import LineId, ProductId, ShowId, VariantId, has_prefix
from liveshop.kernel.money import Money
from liveshop.kernel.rehearsals import OFFER, is_rehearsing
from liveshop.kernel.text import BadText, clean_line

PromotionId = NewType("PromotionId", str)
Level = Literal["line", "order", "shipping"]
MAX_CODE_LENGTH = 60
MAX_TEXT_LENGTH = 80


class UnknownPromotion(NotFound):
    code = "unknown_promotion"


class PromotionChanged(Conflict):
    """Somebody else changed it in the meantime; `data.version` is the present one."""

    code = "promotion_changed"


class PromotionEnded(Conflict):
    """It is over, and what it was is history: make a new one."""

    code = "promotion_ended"


class LimitBelowUsed(Conflict):
    """More has been used than the limit would allow; `data.used` says how much."""

    code = "limit_below_used"


class UsedUp(Conflict):
    """Others used it in the meantime; `data.promotion_id` names it."""

    code = "promotion_used_up"


class OtherCurrency(Conflict):
    """A product was stored in another currency than the shop sells in now."""

    code = "other_currency"


class BadPeriod(Invalid):
    code = "bad_period"


class EndsBeforeStart(BadPeriod):
    code = "ends_before_start"


class DiscountTooLarge(Invalid):
    """More than 100 % off."""

    code = "discount_too_large"


class NothingOff(Invalid):
    """An amount, a share or a number of units that is zero or less."""

    code = "nothing_off"


class WrongCurrency(Invalid):
    code = "wrong_currency"


class NoProducts(Invalid):
    code = "no_products"


class KindDoesNotFit(Invalid):
    """The parts of the promotion do not go together."""

    code = "kind_does_not_fit"


class OverlappingPromotion(Invalid):
    """Another exclusive promotion has the same claim; `data.promotion_ids` names which."""

    code = "overlapping_promotion"


class TextMissing(Invalid):
    code = "text_missing"


class CodeMissing(Invalid):
    code = "code_missing"


# Kinds. Shares are in per mille: 12.5 % is 125.


@dataclass(frozen=True, slots=True)
class PercentOff:
    permille: int


@dataclass(frozen=True, slots=True)
class AmountOff:
    """Off every unit."""

    amount: Money


@dataclass(frozen=True, slots=True)
class FixedPrice:
    """What a unit costs instead; a unit that is cheaper already stays so."""

    price: Money


@dataclass(frozen=True, slots=True)
class BuyXGetY:
    """For `buy` units at their price, `get` more with `off_permille` off: 1000 is free."""

    buy: int
    get: int
    off_permille: int = 1000


@dataclass(frozen=True, slots=True)
class OrderPercentOff:
    permille: int


@dataclass(frozen=True, slots=True)
class OrderAmountOff:
    amount: Money


@dataclass(frozen=True, slots=True)
class FreeShipping:
    """`from_goods`: only from this value of goods on, discounts already taken off."""

    from_goods: Money | None = None


Kind = (
    PercentOff | AmountOff | FixedPrice | BuyXGetY | OrderPercentOff | OrderAmountOff | FreeShipping
)


@dataclass(frozen=True, slots=True)
class Automatic:
    pass


@dataclass(frozen=True, slots=True)
class ByCode:
    """`codes` as `fold_code` gives them."""

    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Everywhere:
    pass


@dataclass(frozen=True, slots=True)
class InShow:
    """An offer: for those who are in the show, and for lines that were added there."""

    show_id: ShowId


@dataclass(frozen=True, slots=True)
class ForSegment:
    segment: str


@dataclass(frozen=True, slots=True)
class AllProducts:
    pass


@dataclass(frozen=True, slots=True)
class TheseProducts:
    product_ids: frozenset[ProductId]


@dataclass(frozen=True, slots=True)
class TheseVariants:
    variant_ids: frozenset[VariantId]


@dataclass(frozen=True, slots=True)
class InCategory:
    """`Home > Kitchen` and all below it."""

    prefix: str


Trigger = Automatic | ByCode
Scope = Everywhere | InShow | ForSegment
Products = AllProducts | TheseProducts | TheseVariants | InCategory


@dataclass(frozen=True, slots=True)
class Period:
    """From `starts_at` to before `ends_at`, both aware; None is open."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        return not self.is_before(moment) and not self.is_over(moment)

    def is_before(self, moment: datetime) -> bool:
        """Whether it has yet to start."""
        return self.starts_at is not None and moment < self.starts_at

    def is_over(self, moment: datetime) -> bool:
        return self.ends_at is not None and self.ends_at <= moment

    def meets(self, other: "Period") -> bool:
        return is_before(self.starts_at, other.ends_at) and is_before(other.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class Limit:
    """How often: counted in reduced units for line promotions, in orders for all others."""

    total: int | None = None
    per_customer: int | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One record for every channel.

    `texts`: its name by language. `stacking` says how it meets others of its level (line, order
    or shipping): `exclusive` stands alone, `stackable` goes on the price the ones before it left,
    the highest `priority` first. Of one `group`, one counts. `used`: how much of `limit.total` is
    gone.
    """

    id: PromotionId
    version: int
    texts: Mapping[str, str]
    kind: Kind
    stacking: Literal["exclusive", "stackable"]
    trigger: Trigger = Automatic()
    scope: Scope = Everywhere()
    products: Products = AllProducts()
    period: Period = Period()
    priority: int = 0
    group: str | None = None
    limit: Limit = Limit()
    used: int = 0

    @property
    def level(self) -> Level:
        if isinstance(self.kind, FreeShipping):
            return "shipping"
        return "order" if isinstance(self.kind, OrderPercentOff | OrderAmountOff) else "line"

    def text(self, language: str) -> str:
        """Its name in `language`, or else in English, or else in whatever there is."""
        for tag in (language, language.partition("-")[0], "en", *sorted(self.texts)):
            if tag in self.texts:
                return self.texts[tag]
        return ""


State = Literal["active", "paused"]


def is_rehearsed(promotion_id: str) -> bool:
    """Whether it was made in a rehearsal: what it says is no price of the shop's."""
    return has_prefix(promotion_id, OFFER)


def may_have(viewer_id: str, promotion_id: str) -> bool:
    """Whether this promotion is for a buyer as far as rehearsals go: what is made in one is for its
    guests. Who sees it at all is a matter of its show."""
    return is_rehearsing(viewer_id) or not is_rehearsed(promotion_id)


def uses_up(viewer_id: str, promotion_id: str) -> bool:
    """Whether what this buyer has of it is gone for others: in a rehearsal, nothing real is."""
    return is_rehearsing(viewer_id) == is_rehearsed(promotion_id)


Phase = Literal["paused", "planned", "running", "exhausted", "ended"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A promotion as it stands. Its `used` counts orders; `claimed` is what carts hold now."""

    promotion: Promotion
    state: State
    claimed: int
    created_at: datetime
    updated_at: datetime

    def phase(self, now: datetime) -> Phase:
        one = self.promotion
        if one.period.is_over(now):
            return "ended"
        if self.state == "paused":
            return "paused"
        if one.limit.total is not None and one.used >= one.limit.total:
            return "exhausted"
        return "planned" if one.period.is_before(now) else "running"

    def units_left(self) -> int | None:
        """How much of its limit nobody has; None without a limit."""
        total = self.promotion.limit.total
        return None if total is None else max(0, total - self.promotion.used - self.claimed)


@dataclass(frozen=True, slots=True)
class Version:
    """What a promotion said, from when to when it did."""

    promotion: Promotion
    valid_from: datetime
    valid_to: datetime | None

    def held(self) -> Promotion | None:
        """As a promotion of the period in which it counted, if it ever did."""
        period = self.promotion.period
        starts_at = max(filter(None, (period.starts_at, self.valid_from)))
        ends_at = min(filter(None, (period.ends_at, self.valid_to)), default=None)
        if not is_before(starts_at, ends_at):
            return None
        return replace(self.promotion, period=Period(starts_at, ends_at))


# Signals, sent in this process after the commit.


@dataclass(frozen=True, slots=True)
class PromotionsTouched:
    """These promotions are new or were changed, paused or ended."""

    promotion_ids: tuple[PromotionId, ...]


@dataclass(frozen=True, slots=True)
class Tier:
    """From `min_quantity` units of a variant on, each costs `price`."""

    min_quantity: int
    price: Money


@dataclass(frozen=True, slots=True)
class Item:
    """A variant, with all of it that its price depends on."""

    variant_id: VariantId
    product_id: ProductId
    title: str
    price: Money
    compare_at: Money | None = None
    tax_class: str = "standard"
    category: str | None = None
    tiers: tuple[Tier, ...] = ()
    weight_grams: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """`show_id`: the show it was added in, whose offers it keeps wherever the cart is opened."""

    id: LineId
    item: Item
    quantity: int
    show_id: ShowId | None = None


def covers(products: Products, item: Item) -> bool:
    match products:
        case AllProducts():
            return True
        case TheseProducts(product_ids):
            return item.product_id in product_ids
        case TheseVariants(variant_ids):
            return item.variant_id in variant_ids
        case InCategory(prefix):
            return item.category is not None and is_below(item.category, prefix)


def currency_of(kind: Kind) -> str | None:
    """The currency a kind speaks of, if it speaks of money."""
    match kind:
        case AmountOff(money) | OrderAmountOff(money) | FixedPrice(money):
            return money.currency
        case FreeShipping(Money(_, currency)):
            return currency
    return None


def fold_code(text: str) -> str:
    """A code as it is compared: no spaces, no case, compatible characters alike. Raises BadText."""
    line = clean_line(text, max_length=MAX_CODE_LENGTH, field="code")
    return "".join(unicodedata.normalize("NFKC", line).casefold().split())


def folded(text: str) -> str | None:
    """The same; None for what cannot be a code."""
    try:
        return fold_code(text)
    except BadText:
        return None


def _path(category: str) -> list[str]:
    steps = [" ".join(step.casefold().split()) for step in category.split(">")]
    return [step for step in steps if step]


def is_below(category: str, prefix: str) -> bool:
    """Whether a category is `prefix` or under it, case and spaces aside."""
    steps = _path(prefix)
    return bool(steps) and _path(category)[: len(steps)] == steps


def is_before(start: datetime | None, end: datetime | None) -> bool:
    """Whether a period so bounded has any length; None is open."""
    return start is None or end is None or start < end
