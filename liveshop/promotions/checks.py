"""Whether a promotion may be stored: a bad one is refused by name before it prices anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from liveshop.kernel.clock import EARLIEST_YEAR, LATEST_YEAR
from liveshop.kernel.money import Money
from liveshop.kernel.text import clean_line
from liveshop.promotions.model import (
    MAX_TEXT_LENGTH,
    AllProducts,
    AmountOff,
    Automatic,
    BadPeriod,
    BuyXGetY,
    ByCode,
    CodeMissing,
    DiscountTooLarge,
    EndsBeforeStart,
    FixedPrice,
    ForSegment,
    FreeShipping,
    InCategory,
    Kind,
    KindDoesNotFit,
    NoProducts,
    NothingOff,
    OrderAmountOff,
    OrderPercentOff,
    OverlappingPromotion,
    PercentOff,
    Period,
    Products,
    Promotion,
    Scope,
    TextMissing,
    TheseProducts,
    TheseVariants,
    Trigger,
    WrongCurrency,
    currency_of,
    fold_code,
    is_before,
    is_below,
)


@dataclass(frozen=True, slots=True)
class _Part:
    """A number of a kind, and what it has to be."""

    field: str
    value: int
    maximum: int | None = None


def checked(
    promotion: Promotion,
    *,
    currency: str,
    languages: Sequence[str],
    others: Iterable[Promotion] = (),
) -> Promotion:
    """The promotion with texts and codes cleaned, fit to be stored.

    `others` are the promotions it would live beside; itself among them is skipped. Raises
    EndsBeforeStart, DiscountTooLarge, NothingOff, WrongCurrency, NoProducts, KindDoesNotFit,
    BadPeriod, CodeMissing, TextMissing, OverlappingPromotion, or BadText, with `data.field`.
    """
    _check_kind(promotion.kind, currency)
    _check_products(promotion)
    _check_period(promotion.period)
    for name, allowed in (
        ("total", promotion.limit.total),
        ("per_customer", promotion.limit.per_customer),
    ):
        if allowed is not None and allowed <= 0:
            raise NothingOff("A limit is at least one.", data={"field": f"limit_{name}"})
    cleaned = replace(
        promotion,
        texts=_checked_texts(promotion.texts, languages),
        trigger=_checked_trigger(promotion.trigger),
        scope=_checked_scope(promotion.scope),
        group=_checked_group(promotion.group),
    )
    rivals = [one.id for one in others if one.id != cleaned.id and overlaps(cleaned, one)]
    if rivals:
        raise OverlappingPromotion(
            "Another exclusive promotion of this priority is for the same products at the same "
            "time. Change the priority, the period or the products of one of them.",
            data={"field": "priority", "promotion_ids": rivals[:20]},
        )
    return cleaned


def overlaps(one: Promotion, other: Promotion) -> bool:
    """Whether nothing but chance says which of two exclusive promotions comes first.

    That is: same level, priority and scope, periods and products that meet, both automatic or
    with a code in common. Products picked in different ways (by id, by category) meet in the
    catalog only, which is not asked here: they count as apart.
    """
    return (
        one.stacking == other.stacking == "exclusive"
        and one.level == other.level
        and one.priority == other.priority
        and one.scope == other.scope
        and one.period.meets(other.period)
        and _triggers_meet(one.trigger, other.trigger)
        and _products_meet(one.products, other.products)
    )


def _check_kind(kind: Kind, currency: str) -> None:
    if currency_of(kind) not in (None, currency):
        raise WrongCurrency(f"The shop sells in {currency}.", data={"field": "kind"})
    for part in _parts(kind):
        data = {"field": f"kind.{part.field}"}
        if part.value <= 0:
            raise NothingOff(f"{part.field} must be above zero.", data=data)
        if part.maximum is not None and part.value > part.maximum:
            raise DiscountTooLarge("More than 100 % cannot be taken off.", data=data)


def _parts(kind: Kind) -> list[_Part]:
    match kind:
        case PercentOff(permille) | OrderPercentOff(permille):
            return [_Part("permille", permille, maximum=1000)]
        case AmountOff(amount) | OrderAmountOff(amount):
            return [_Part("amount", amount.amount)]
        case FixedPrice(price):
            return [_Part("price", price.amount)]
        case BuyXGetY(buy, get, off_permille):
            shares = _Part("off_permille", off_permille, maximum=1000)
            return [_Part("buy", buy), _Part("get", get), shares]
        case FreeShipping(None):
            return []
        case FreeShipping(Money(amount, _)):
            return [_Part("from_goods", amount)]
    raise KindDoesNotFit("There is no such kind of promotion.", data={"field": "kind"})


def _check_products(promotion: Promotion) -> None:
    data = {"field": "products"}
    match promotion.products:
        case AllProducts():
            return
        case TheseProducts(ids) if not ids:
            raise NoProducts("Choose at least one product.", data=data)
        case TheseVariants(ids) if not ids:
            raise NoProducts("Choose at least one variant.", data=data)
        case InCategory(prefix) if not is_below(prefix, prefix):
            raise NoProducts("Choose a category.", data={"field": "category"})
    if promotion.level != "line":
        raise KindDoesNotFit(
            "A discount on the order or its shipping is for all products. To reduce some "
            "products, take a discount per unit.",
            data=data,
        )


def _check_period(period: Period) -> None:
    for name, moment in (("starts_at", period.starts_at), ("ends_at", period.ends_at)):
        if moment is not None and moment.utcoffset() is None:
            raise BadPeriod(f"{name} needs a time zone.", data={"field": name})
        if moment is not None and not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
            raise BadPeriod(
                f"{name} lies between the years {EARLIEST_YEAR} and {LATEST_YEAR}. Leave it out "
                "for a promotion without one.",
                data={"field": name},
            )
    if not is_before(period.starts_at, period.ends_at):
        raise EndsBeforeStart("It would end before it starts.", data={"field": "ends_at"})


def _checked_texts(texts: Mapping[str, str], languages: Sequence[str]) -> dict[str, str]:
    cleaned = {
        tag: clean_line(text, max_length=MAX_TEXT_LENGTH, field=f"texts.{tag}", empty=True)
        for tag, text in texts.items()
    }
    missing = [tag for tag in languages if not cleaned.get(tag)]
    if missing or not any(cleaned.values()):
        raise TextMissing(
            f"A name is missing in: {', '.join(missing) or 'every language'}.",
            data={"field": "texts", "languages": missing},
        )
    return {tag: text for tag, text in cleaned.items() if text}


def _checked_trigger(trigger: Trigger) -> Trigger:
    if isinstance(trigger, Automatic):
        return trigger
    if not trigger.codes:
        raise CodeMissing("Give at least one code.", data={"field": "codes"})
    return ByCode(frozenset(fold_code(code) for code in trigger.codes))


def _checked_scope(scope: Scope) -> Scope:
    if isinstance(scope, ForSegment):
        return ForSegment(clean_line(scope.segment, max_length=60, field="segment"))
    return scope


def _checked_group(group: str | None) -> str | None:
    if group is None:
        return None
    return clean_line(group, max_length=60, field="group", empty=True) or None


def _triggers_meet(one: Trigger, other: Trigger) -> bool:
    if isinstance(one, ByCode) and isinstance(other, ByCode):
        return not one.codes.isdisjoint(other.codes)
    return isinstance(one, Automatic) and isinstance(other, Automatic)


def _products_meet(one: Products, other: Products) -> bool:
    match (one, other):
        case (AllProducts(), _) | (_, AllProducts()):
            return True
        case (TheseProducts(ids), TheseProducts(others)):
            return not ids.isdisjoint(others)
        case (TheseVariants(variants), TheseVariants(others)):
            return not variants.isdisjoint(others)
        case (InCategory(prefix), InCategory(other_prefix)):
            return is_below(prefix, other_prefix) or is_below(other_prefix, prefix)
    return False
