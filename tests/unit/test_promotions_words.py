"""The explanation in words: short, in the reader's language, and true to the amounts beside it."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from promotions_builders import NOW, RATES, a_cart, context, eur, item, line, promotion

from liveshop.kernel.money import Money
from liveshop.promotions.model import (
    AmountOff,
    BuyXGetY,
    FixedPrice,
    FreeShipping,
    Kind,
    Limit,
    Line,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Period,
    Promotion,
    Tier,
)
from liveshop.promotions.priced import Reason, UnusedCode
from liveshop.promotions.pricing import price_cart, price_of
from liveshop.promotions.words import (
    Reader,
    explanation_in_words,
    money_in_words,
    unused_code_in_words,
)

BERLIN = ZoneInfo("Europe/Berlin")
UNTIL = Period(None, NOW + timedelta(minutes=15))  # 20:15 in Berlin


def said(
    *promotions: Promotion, lines: Sequence[Line], language: str = "en", **changes: Any
) -> list[str]:
    priced = price_cart(lines, context(*promotions, **changes))
    sentences = explanation_in_words(priced, Reader(language, BERLIN, NOW))
    return [sentence.text.replace("\u00a0", " ") for sentence in sentences]


def test_a_cart_explains_itself_in_english_and_german() -> None:
    promotions = [
        promotion(PercentOff(100), "1", period=UNTIL),
        promotion(OrderAmountOff(eur(500)), "2", texts={"en": "Welcome", "de": "Willkommen"}),
    ]
    assert said(*promotions, lines=[line(2800, 2)]) == [
        "2 × Fjord mug at €28.00",
        "−10 % Winter evening (until 20:15)",
        "−€5.00 on the goods: Welcome",
        "shipping to Germany",
        "of which 19 % VAT €8.03",
    ]
    assert said(*promotions, lines=[line(2800, 2)], language="de") == [
        "2 × Fjord mug zu 28,00 €",
        "−10 % Winterabend (bis 20:15)",
        "−5,00 € auf die Waren: Willkommen",
        "Versand (Deutschland)",
        "darin 19 % MwSt. 8,03 €",
    ]


@pytest.mark.parametrize(
    ("kind", "english", "german"),
    [
        (PercentOff(125), "−12.5 % Winter evening", "−12,5 % Winterabend"),
        (AmountOff(eur(500)), "−€5.00 each Winter evening", "je −5,00 € Winterabend"),
        (FixedPrice(eur(2000)), "now €20.00: Winter evening", "jetzt 20,00 €: Winterabend"),
        (
            BuyXGetY(2, 1),
            "buy 3, pay 2: −€28.00 (Winter evening)",
            "nimm 3, zahl 2: −28,00 € (Winterabend)",
        ),
        (
            BuyXGetY(2, 1, 500),
            "buy 2, get 1 more at −50 %: −€14.00 (Winter evening)",
            "kauf 2, nimm 1 mehr mit −50 %: −14,00 € (Winterabend)",
        ),
        (
            OrderPercentOff(100),
            "−10 % on the goods: Winter evening",
            "−10 % auf die Waren: Winterabend",
        ),
    ],
)
def test_each_kind_has_its_words(kind: Kind, english: str, german: str) -> None:
    lines = [line(2800, 3)]
    assert said(promotion(kind), lines=lines, country=None)[1] == english
    assert said(promotion(kind), lines=lines, country=None, language="de")[1] == german


def test_other_languages_keep_their_numbers_and_regions_their_customs() -> None:
    sale = promotion(AmountOff(eur(500)))
    lines = [line(2800)]
    swedish = said(sale, lines=lines, country=None, language="sv")
    assert swedish == ["1 × Fjord mug at 28,00 €", "−5,00 € each Winter evening"]
    austrian = said(sale, lines=lines, country=None, language="de-AT")
    assert austrian == ["1 × Fjord mug zu € 28,00", "je −€ 5,00 Winterabend"]


def test_tier_free_shipping_and_added_tax_have_their_words() -> None:
    lines = [line(item(1000, tiers=(Tier(3, eur(900)),)), 3)]
    free = promotion(FreeShipping())
    assert said(free, lines=lines, country="US") == [
        "3 × Fjord mug at €10.00",
        "from 3 units €9.00 each",
        "shipping to United States",
        "free shipping: Winter evening",
        "plus 8.2 % tax",
    ]
    assert said(free, lines=lines, country="US", language="de")[1:] == [
        "ab 3 Stück je 9,00 €",
        "Versand (Vereinigte Staaten)",
        "Versand gratis: Winterabend",
        "zzgl. 8,2 % Steuer",
    ]


def test_a_limited_offer_says_for_how_many_units_it_counts() -> None:
    offer = promotion(FixedPrice(eur(2000)), limit=Limit(3), period=UNTIL)
    assert said(offer, lines=[line(2800, 5)])[1] == (
        "now €20.00: Winter evening (3 of 5, until 20:15)"
    )


def test_an_end_on_another_day_is_told_with_the_day_where_the_reader_is() -> None:
    late = promotion(PercentOff(100), period=Period(None, NOW + timedelta(hours=5)))
    assert said(late, lines=[line()])[1] == "−10 % Winter evening (until Nov 22, 2026, 01:00)"
    assert (
        said(late, lines=[line()], language="de")[1] == "−10 % Winterabend (bis 22.11.2026, 01:00)"
    )


def test_today_is_today_where_the_reader_is() -> None:
    """23:30 and 00:30 in Berlin are one day in UTC and two for the reader."""
    sale = promotion(PercentOff(100), period=Period(None, NOW + timedelta(hours=4, minutes=30)))
    tokyo = Reader("en", ZoneInfo("Asia/Tokyo"), NOW)
    priced = price_cart([line()], context(sale))
    assert said(sale, lines=[line()])[1].endswith("(until Nov 22, 2026, 00:30)")
    assert explanation_in_words(priced, tokyo)[1].text.endswith("(until 08:30)")


def test_one_unit_explains_itself_too() -> None:
    found = price_of(item(), context(promotion(PercentOff(100))))
    sentences = explanation_in_words(found, Reader("en", BERLIN, NOW))
    assert [(one.text.replace("\u00a0", " "), one.amount_text) for one in sentences] == [
        ("1 × Fjord mug at €28.00", "€28.00"),
        ("−10 % Winter evening", "−€2.80"),
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "english", "german"),
    [
        (123456, "EUR", "€1,234.56", "1.234,56 €"),
        (-5, "EUR", "−€0.05", "−0,05 €"),
        (0, "EUR", "€0.00", "0,00 €"),
        (1500, "JPY", "¥1,500", "1.500 ¥"),
        (1500, "KWD", "KWD1.500", "1,500 KWD"),
        (10**17 + 1, "EUR", "€1,000,000,000,000,000.01", "1.000.000.000.000.000,01 €"),
    ],
)
def test_money_is_written_with_the_decimals_of_its_currency(
    amount: int, currency: str, english: str, german: str
) -> None:
    money = Money(amount, currency)
    assert money_in_words(money, "en").replace("\u00a0", " ") == english
    assert money_in_words(money, "de").replace("\u00a0", " ") == german


def test_every_reason_for_an_unused_code_has_words() -> None:
    for language in ("en", "de"):
        texts = {
            unused_code_in_words(UnusedCode("Win{0}ter", reason), language)
            for reason in get_args(Reason)
        }
        assert len(texts) == len(get_args(Reason))
        assert all("Win{0}ter" in text for text in texts)


def test_an_unknown_country_keeps_its_code() -> None:
    rates = type(RATES)(RATES.tax | {"QX": RATES.tax["DE"]}, {"QX": RATES.shipping["DE"]})
    assert said(lines=[line()], country="QX", rates=rates)[1] == "shipping to QX"


def test_whatever_the_cart_every_step_has_words_and_the_amounts_make_the_total() -> None:
    random = Random(7)
    for number in range(300):
        lines, asked = a_cart(random)
        priced = price_cart(lines, asked)
        reader = Reader(("en", "de")[number % 2], BERLIN, NOW)
        sentences = explanation_in_words(priced, reader)
        assert all(sentence.text for sentence in sentences)
        assert sum(sentence.amount.amount for sentence in sentences) == priced.total.amount
