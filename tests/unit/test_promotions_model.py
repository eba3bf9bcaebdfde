"""Promotions that may be stored, and each way in which one may not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from promotions_builders import NOW, SHOW, eur, exclusive, promotion

from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.kernel.text import BadText
from liveshop.promotions.checks import checked, overlaps
from liveshop.promotions.model import (
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
    InShow,
    Kind,
    KindDoesNotFit,
    Limit,
    NoProducts,
    NothingOff,
    OrderAmountOff,
    OrderPercentOff,
    OverlappingPromotion,
    PercentOff,
    Period,
    Promotion,
    TextMissing,
    TheseProducts,
    TheseVariants,
    WrongCurrency,
    fold_code,
)

HOUR = timedelta(hours=1)
HALF = PercentOff(500)
MUGS = TheseProducts(frozenset({ProductId("prd_mug")}))
BOWLS = TheseProducts(frozenset({ProductId("prd_bowl")}))


def stored(given: Promotion, *others: Promotion) -> Promotion:
    return checked(given, currency="EUR", languages=("en", "de"), others=others)


@pytest.mark.parametrize(
    "kind",
    [
        PercentOff(1),
        PercentOff(1000),
        AmountOff(eur(1)),
        FixedPrice(eur(1)),
        BuyXGetY(2, 1),
        BuyXGetY(1, 1, 500),
        OrderPercentOff(1000),
        OrderAmountOff(eur(1)),
        FreeShipping(),
        FreeShipping(eur(5000)),
    ],
)
def test_a_promotion_of_every_kind_may_be_stored(kind: Kind) -> None:
    assert stored(promotion(kind)) == promotion(kind)


@pytest.mark.parametrize(
    ("kind", "error", "field"),
    [
        (PercentOff(1001), DiscountTooLarge, "kind.permille"),
        (OrderPercentOff(1001), DiscountTooLarge, "kind.permille"),
        (BuyXGetY(1, 1, 1001), DiscountTooLarge, "kind.off_permille"),
        (PercentOff(0), NothingOff, "kind.permille"),
        (OrderPercentOff(-1), NothingOff, "kind.permille"),
        (AmountOff(eur(0)), NothingOff, "kind.amount"),
        (OrderAmountOff(eur(-5)), NothingOff, "kind.amount"),
        (FixedPrice(eur(0)), NothingOff, "kind.price"),
        (BuyXGetY(0, 1), NothingOff, "kind.buy"),
        (BuyXGetY(1, -1), NothingOff, "kind.get"),
        (BuyXGetY(1, 1, 0), NothingOff, "kind.off_permille"),
        (FreeShipping(eur(0)), NothingOff, "kind.from_goods"),
        (AmountOff(Money(5, "USD")), WrongCurrency, "kind"),
        (FixedPrice(Money(5, "USD")), WrongCurrency, "kind"),
        (OrderAmountOff(Money(5, "USD")), WrongCurrency, "kind"),
        (FreeShipping(Money(5, "USD")), WrongCurrency, "kind"),
        ("half", KindDoesNotFit, "kind"),
    ],
)
def test_a_kind_that_makes_no_price_is_refused(kind: Any, error: type[Invalid], field: str) -> None:
    with pytest.raises(error) as refused:
        stored(promotion(kind))
    assert refused.value.data["field"] == field
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"period": Period(NOW, NOW)}, EndsBeforeStart, "ends_at"),
        ({"period": Period(NOW, NOW - HOUR)}, EndsBeforeStart, "ends_at"),
        ({"period": Period(datetime(2026, 1, 1))}, BadPeriod, "starts_at"),  # noqa: DTZ001
        ({"products": TheseProducts(frozenset())}, NoProducts, "products"),
        ({"products": TheseVariants(frozenset())}, NoProducts, "products"),
        ({"products": InCategory(" > ")}, NoProducts, "category"),
        ({"kind": OrderPercentOff(100), "products": MUGS}, KindDoesNotFit, "products"),
        ({"kind": FreeShipping(), "products": InCategory("Home")}, KindDoesNotFit, "products"),
        ({"trigger": ByCode(frozenset())}, CodeMissing, "codes"),
        ({"trigger": ByCode(frozenset({" "}))}, BadText, "code"),
        ({"trigger": ByCode(frozenset({"x" * 61}))}, BadText, "code"),
        ({"scope": ForSegment("")}, BadText, "segment"),
        ({"texts": {}}, TextMissing, "texts"),
        ({"texts": {"en": "Sale"}}, TextMissing, "texts"),
        ({"texts": {"en": "Sale", "de": " \u200b"}}, TextMissing, "texts"),
        ({"texts": {"en": "x" * 81, "de": "x"}}, BadText, "texts.en"),
        ({"limit": Limit(total=0)}, NothingOff, "limit_total"),
        ({"limit": Limit(per_customer=-1)}, NothingOff, "limit_per_customer"),
    ],
)
def test_a_promotion_that_contradicts_itself_is_refused(
    changes: dict[str, Any], error: type[Invalid], field: str
) -> None:
    with pytest.raises(error) as refused:
        stored(replace(promotion(HALF), **changes))
    assert refused.value.data["field"] == field


def test_texts_codes_and_names_are_cleaned() -> None:
    given = promotion(
        HALF,
        texts={"en": "  Big\u202e sale ", "de": "Schlussverkauf", "fr": ""},
        trigger=ByCode(frozenset({"Win ter-20", "WINTER-20"})),
        scope=ForSegment(" vip "),
        group=" ",
    )
    cleaned = stored(given)
    assert cleaned.texts == {"en": "Big sale", "de": "Schlussverkauf"}
    assert cleaned.trigger == ByCode(frozenset({"winter-20"}))
    assert (cleaned.scope, cleaned.group) == (ForSegment("vip"), None)


def test_missing_languages_are_named() -> None:
    with pytest.raises(TextMissing) as refused:
        stored(promotion(HALF, texts={"de": "Schlussverkauf"}))
    assert refused.value.data["languages"] == ["en"]


def test_a_name_is_given_in_the_nearest_language_there_is() -> None:
    named = promotion(HALF, texts={"en": "Sale", "de": "Rabatt"})
    assert [named.text(tag) for tag in ("de", "de-AT", "fr", "en")] == [
        "Rabatt",
        "Rabatt",
        "Sale",
        "Sale",
    ]
    assert promotion(HALF, texts={"fr": "Soldes"}).text("de") == "Soldes"
    assert promotion(HALF, texts={}).text("de") == ""


def test_codes_are_alike_whatever_their_case_and_spaces() -> None:
    assert {
        fold_code(code) for code in ("STRASSE 5", "straße5", " Straſse\u00a05", "straße５")
    } == {"strasse5"}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({}, {}, True),
        ({"priority": 1}, {}, False),
        ({"stacking": "stackable"}, {}, False),
        ({"kind": OrderPercentOff(100)}, {}, False),
        ({"kind": OrderPercentOff(100)}, {"kind": OrderAmountOff(eur(5))}, True),
        ({"scope": InShow(SHOW)}, {}, False),
        ({"scope": InShow(SHOW)}, {"scope": InShow(SHOW)}, True),
        ({"scope": InShow(SHOW)}, {"scope": InShow(ShowId("shw_9"))}, False),
        ({"period": Period(None, NOW)}, {"period": Period(NOW, None)}, False),
        ({"period": Period(None, NOW + HOUR)}, {"period": Period(NOW, None)}, True),
        ({"period": Period(NOW, NOW + HOUR)}, {}, True),
        ({"trigger": ByCode(frozenset({"a"}))}, {}, False),
        ({"trigger": ByCode(frozenset({"a"}))}, {"trigger": ByCode(frozenset({"b"}))}, False),
        (
            {"trigger": ByCode(frozenset({"a", "c"}))},
            {"trigger": ByCode(frozenset({"b", "c"}))},
            True,
        ),
        ({"products": MUGS}, {}, True),
        ({"products": MUGS}, {"products": BOWLS}, False),
        ({"products": MUGS}, {"products": MUGS}, True),
        ({"products": InCategory("Home > Kitchen")}, {"products": InCategory("home")}, True),
        ({"products": InCategory("Home")}, {"products": InCategory("Homework")}, False),
        ({"products": MUGS}, {"products": InCategory("Home")}, False),
        (
            {"products": TheseVariants(frozenset({VariantId("var_1")}))},
            {"products": TheseVariants(frozenset({VariantId("var_1"), VariantId("var_2")}))},
            True,
        ),
    ],
)
def test_exclusive_promotions_overlap_where_nothing_says_which_comes_first(
    one: dict[str, Any], other: dict[str, Any], meet: bool
) -> None:
    first, second = (
        replace(exclusive(HALF, name), **changes) for name, changes in (("1", one), ("2", other))
    )
    assert overlaps(first, second) is meet
    assert overlaps(second, first) is meet


def test_an_overlap_is_refused_by_name_and_a_promotion_never_overlaps_itself() -> None:
    old = exclusive(HALF, "old")
    with pytest.raises(OverlappingPromotion) as refused:
        stored(exclusive(PercentOff(100), "new"), old)
    assert refused.value.data["promotion_ids"] == ["prm_old"]
    assert stored(replace(old, version=2), old).version == 2
    assert stored(exclusive(HALF, "new", trigger=Automatic(), priority=1), old).priority == 1
