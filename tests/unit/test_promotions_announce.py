"""A price in words: short, in the reader's language, with what the law wants beside it."""

from typing import get_args

import pytest
from promotions_builders import eur

from liveshop.catalog.display import ShownPrice
from liveshop.kernel.money import Money
from liveshop.promotions.announce import WarningCode, in_words, warning_in_words


def said(shown: ShownPrice, language: str, compare_at: Money | None = None) -> str:
    return in_words(shown, eur(1500), compare_at, language).replace("\u00a0", " ")


def test_a_price_without_reduction_is_the_price_alone() -> None:
    assert said(ShownPrice(eur(1500)), "en") == "€15.00"
    assert said(ShownPrice(eur(1500)), "de") == "15,00 €"


def test_a_reduced_price_names_the_old_one_and_the_lowest_of_thirty_days() -> None:
    shown = ShownPrice(eur(1200), eur(1300))
    assert said(shown, "de-AT").startswith("€ 12,00 statt € 15,00 · niedrigster Preis")
    assert said(shown, "en") == "€12.00 instead of €15.00 · lowest price of the last 30 days €13.00"
    assert said(ShownPrice(eur(1200)), "en") == "€12.00 instead of €15.00"


def test_a_compare_at_price_is_the_old_one_where_there_is_one() -> None:
    assert said(ShownPrice(eur(1500), eur(1600)), "en", eur(1900)) == (
        "€15.00 instead of €19.00 · lowest price of the last 30 days €16.00"
    )


def test_other_languages_have_english_words_and_their_own_numbers() -> None:
    assert said(ShownPrice(eur(1200)), "fr") == "12,00 € instead of 15,00 €"


def test_of_many_products_the_first_few_are_named() -> None:
    names = ["Mug", "Bowl", "Plate", "Jug", "Vase"]
    assert warning_in_words("sold_out", "en", names=names[:3]) == "Sold out: Mug, Bowl, Plate"
    assert warning_in_words("sold_out", "de", names=names) == (
        "Ausverkauft: Mug, Bowl, Plate und 2 weitere"
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_warning_has_words(language: str) -> None:
    told = {
        warning_in_words(code, language, names=["Mug"], units=5, available=2)
        for code in get_args(WarningCode)
    }
    assert len(told) == 6
    assert not any("{" in text for text in told)
