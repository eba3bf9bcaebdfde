"""A price as it is announced, in words: the reduction, and what the law wants beside it.

Every channel says it with these words. Other languages than German get the English ones.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from liveshop.catalog.display import ShownPrice
from liveshop.kernel.money import Money
from liveshop.promotions.words import money_in_words

WarningCode = Literal[
    "no_reduction",
    "not_below_lowest",
    "free",
    "sold_out",
    "no_products",
    "more_than_stock",
]
_NAMED = 3

_PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "instead": "{price} instead of {before}",
        "lowest": "lowest price of the last 30 days {lowest}",
        "no_reduction": "It makes nothing cheaper: {names}",
        "not_below_lowest": "Not below the lowest price of the last 30 days: {names}",
        "free": "It is given away: {names}",
        "sold_out": "Sold out: {names}",
        "no_products": "There is no product that it is for.",
        "more_than_stock": "It is limited to {units} units, and only {available} can be had.",
        "more": "{names} and {count} more",
    },
    "de": {
        "instead": "{price} statt {before}",
        "lowest": "niedrigster Preis der letzten 30 Tage {lowest}",
        "no_reduction": "Nichts wird dadurch billiger: {names}",
        "not_below_lowest": "Nicht unter dem niedrigsten Preis der letzten 30 Tage: {names}",
        "free": "Das wird verschenkt: {names}",
        "sold_out": "Ausverkauft: {names}",
        "no_products": "Es gibt kein Produkt, für das sie gilt.",
        "more_than_stock": "Sie gilt für {units} Stück, es sind aber nur {available} zu haben.",
        "more": "{names} und {count} weitere",
    },
}


def price_before(list_price: Money, compare_at: Money | None) -> Money:
    """What a reduced price is announced against."""
    return list_price if compare_at is None else compare_at


def is_reduced(shown: ShownPrice, list_price: Money, compare_at: Money | None) -> bool:
    return shown.price.amount < price_before(list_price, compare_at).amount


def in_words(
    shown: ShownPrice,
    list_price: Money,
    compare_at: Money | None,
    language: str,
    *,
    also: Sequence[str] = (),
) -> str:
    """`12,00 € statt 15,00 € · niedrigster Preis der letzten 30 Tage 13,00 €`.

    `also`: what else there is to say, such as the name of a promotion that needs several units.
    """
    price = money_in_words(shown.price, language)
    parts = [price]
    if is_reduced(shown, list_price, compare_at):
        before = money_in_words(price_before(list_price, compare_at), language)
        parts = [_say(language, "instead", price=price, before=before)]
        if shown.lowest_30_days is not None:
            lowest = money_in_words(shown.lowest_30_days, language)
            parts.append(_say(language, "lowest", lowest=lowest))
    return " · ".join([*parts, *also])


def warning_in_words(
    code: WarningCode, language: str, *, names: Sequence[str] = (), **numbers: int
) -> str:
    """`names`: the products it is about, of which the first few are said."""
    told = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        told = _say(language, "more", names=told, count=len(names) - _NAMED)
    return _say(language, code, names=told, **numbers)


def _say(language: str, key: str, **params: object) -> str:
    phrases = _PHRASES.get(language.partition("-")[0], _PHRASES["en"])
    return phrases[key].format(**params)
