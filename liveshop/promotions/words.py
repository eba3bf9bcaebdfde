"""The explanation in words, English and German. What the words say, the amounts beside them add up.

Other languages get the English phrases with their own numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_precision

from liveshop.kernel.money import Money
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Promotion,
)
from liveshop.promotions.priced import Priced, Step, UnitPrice, UnusedCode

_PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "goods": "{quantity} × {title} at {price}",
        "tier": "from {min_quantity} units {price} each",
        "percent": "{share} {name}",
        "amount": "{off} each {name}",
        "fixed": "now {price}: {name}",
        "free": "buy {all}, pay {buy}: {amount}",
        "cheaper": "buy {buy}, get {get} more at {share}: {amount}",
        "order": "{off} on the goods: {name}",
        "shipping": "shipping to {country}",
        "free_shipping": "free shipping: {name}",
        "tax_added": "plus {rate} tax",
        "tax_included": "of which {rate} VAT {tax}",
        "units": "{units} of {quantity}",
        "until": "until {end}",
        "unknown": "There is no code {code}.",
        "expired": "The code {code} has expired.",
        "not_yet": "The code {code} is not valid yet.",
        "exhausted": "The code {code} is used up.",
        "does_not_apply": "The code {code} is for nothing in this cart.",
        "not_combinable": "The code {code} cannot be combined with the better price you have.",
    },
    "de": {
        "goods": "{quantity} × {title} zu {price}",
        "tier": "ab {min_quantity} Stück je {price}",
        "percent": "{share} {name}",
        "amount": "je {off} {name}",
        "fixed": "jetzt {price}: {name}",
        "free": "nimm {all}, zahl {buy}: {amount}",
        "cheaper": "kauf {buy}, nimm {get} mehr mit {share}: {amount}",
        "order": "{off} auf die Waren: {name}",
        "shipping": "Versand ({country})",
        "free_shipping": "Versand gratis: {name}",
        "tax_added": "zzgl. {rate} Steuer",
        "tax_included": "darin {rate} MwSt. {tax}",
        "units": "{units} von {quantity}",
        "until": "bis {end}",
        "unknown": "Den Code {code} gibt es nicht.",
        "expired": "Der Code {code} ist abgelaufen.",
        "not_yet": "Der Code {code} gilt noch nicht.",
        "exhausted": "Der Code {code} ist aufgebraucht.",
        "does_not_apply": "Der Code {code} gilt für nichts in diesem Warenkorb.",
        "not_combinable": "Der Code {code} gilt nicht zusammen mit deinem besseren Preis.",
    },
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A step in words, what it adds to the total, and that amount written out."""

    text: str
    amount: Money
    amount_text: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: a language (`de`, `de-AT`), the time zone they are told times in, and when."""

    language: str
    zone: tzinfo
    now: datetime


def load(languages: Iterable[str]) -> None:
    """Read what Babel keeps in files, once: call it before the loop runs."""
    for language in languages:
        money_in_words(Money(1, "EUR"), language)
        format_date(datetime(2026, 1, 1, tzinfo=UTC), locale=language)
        format_decimal(1, locale=language)
        Locale.parse(language).territories.get("DE")


def explanation_in_words(priced: Priced | UnitPrice, reader: Reader) -> tuple[Sentence, ...]:
    """Each step of the explanation, in its order."""
    promotions = {str(one.id): one for one in priced.promotions}
    return tuple(
        Sentence(
            step_in_words(step, promotions.get(str(step.params.get("promotion_id"))), reader),
            step.amount,
            money_in_words(step.amount, reader.language),
        )
        for step in priced.explanation
    )


def step_in_words(step: Step, promotion: Promotion | None, reader: Reader) -> str:
    """One step; `promotion` is the one it names."""
    language, currency = reader.language, step.amount.currency

    def money(name: str) -> str:
        return money_in_words(Money(int(step.params[name]), currency), language)

    match step.code:
        case "goods":
            named = {"quantity": step.params["quantity"], "title": step.params["title"]}
            return _say(language, "goods", **named, price=money("price"))
        case "tier":
            least = step.params["min_quantity"]
            return _say(language, "tier", min_quantity=least, price=money("price"))
        case "shipping":
            code = str(step.params["country"])
            country = str(_locale(language).territories.get(code, code))
            return _say(language, "shipping", country=country)
        case "tax_added":
            rate = _percent(int(step.params["rate_permille"]), language)
            return _say(language, "tax_added", rate=rate)
        case "tax_included":
            rate = _percent(int(step.params["rate_permille"]), language)
            return _say(language, "tax_included", rate=rate, tax=money("tax"))
    assert promotion is not None, "the step names a promotion that was not given"
    return _promotion_in_words(step, promotion, reader)


def unused_code_in_words(unused: UnusedCode, language: str) -> str:
    return _say(language, unused.reason, code=unused.code)


@lru_cache(maxsize=4096)
def money_in_words(money: Money, language: str) -> str:
    """An amount as people write it; a true minus sign stands before everything else."""
    digits = get_currency_precision(money.currency)
    value = Decimal(abs(money.amount)).scaleb(-digits)
    written = format_currency(value, money.currency, locale=_locale(language))
    return f"−{written}" if money.amount < 0 else written


def _promotion_in_words(step: Step, promotion: Promotion, reader: Reader) -> str:
    language = reader.language
    name = promotion.text(language)
    notes = _notes(step, promotion, reader)
    match promotion.kind:
        case BuyXGetY(buy, get, off_permille):
            amount = money_in_words(step.amount, language)
            key = "free" if off_permille == 1000 else "cheaper"
            text = _say(
                language,
                key,
                all=buy + get,
                buy=buy,
                get=get,
                share=f"−{_percent(off_permille, language)}",
                amount=amount,
            )
            return f"{text} ({', '.join([name, *notes])})"
        case PercentOff(permille):
            text = _say(language, "percent", share=f"−{_percent(permille, language)}", name=name)
        case AmountOff(amount_off):
            off = money_in_words(amount_off * -1, language)
            text = _say(language, "amount", off=off, name=name)
        case FixedPrice(price):
            text = _say(language, "fixed", price=money_in_words(price, language), name=name)
        case OrderPercentOff(permille):
            text = _say(language, "order", off=f"−{_percent(permille, language)}", name=name)
        case OrderAmountOff(amount_off):
            off = money_in_words(amount_off * -1, language)
            text = _say(language, "order", off=off, name=name)
        case _:
            text = _say(language, "free_shipping", name=name)
    return f"{text} ({', '.join(notes)})" if notes else text


def _notes(step: Step, promotion: Promotion, reader: Reader) -> list[str]:
    """How many of the units, where not all; and until when, where it ends."""
    notes = []
    units, quantity = step.params.get("units"), step.params.get("quantity")
    if units != quantity and not isinstance(promotion.kind, BuyXGetY):
        notes.append(_say(reader.language, "units", units=units, quantity=quantity))
    if promotion.period.ends_at is not None:
        notes.append(_say(reader.language, "until", end=_end(promotion.period.ends_at, reader)))
    return notes


def _end(moment: datetime, reader: Reader) -> str:
    """The time alone on the same day, else with the day, and the year where that differs."""
    end, now = moment.astimezone(reader.zone), reader.now.astimezone(reader.zone)
    time = f"{end:%H:%M}"
    if end.date() == now.date():
        return time
    day = format_date(end.date(), "medium", locale=_locale(reader.language))
    return f"{day}, {time}"


@lru_cache(maxsize=1024)
def _percent(permille: int, language: str) -> str:
    number = format_decimal(Decimal(permille).scaleb(-1), locale=_locale(language))
    return f"{number}\u00a0%"


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")


def _say(language: str, key: str, **params: object) -> str:
    phrases = _PHRASES.get(language.partition("-")[0], _PHRASES["en"])
    return phrases[key].format(**params)
