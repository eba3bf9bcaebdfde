"""The rules of the catalog, without a database."""

from dataclasses import replace

import pytest
from catalog_builders import GTIN, euros, shirt_draft
from hypothesis import given
from hypothesis import strategies as st

from liveshop.catalog.checks import check_gtin, check_url, checked, clean_html
from liveshop.catalog.model import BadProduct, Option, VariantDraft
from liveshop.kernel.errors import Invalid
from liveshop.kernel.ids import MediaId, VariantId
from liveshop.kernel.money import Money

CUP = VariantId("var_cup")
TIERS_WITHOUT_END = tuple((quantity, euros(4990 - quantity)) for quantity in range(2, 23))
PARTS_WITHOUT_END = tuple((VariantId(f"var_{number}"), 1) for number in range(21))


def refused(**changes: object) -> str:
    with pytest.raises(Invalid) as caught:
        checked(shirt_draft(**changes), "EUR")
    assert caught.value.data["field"]
    return caught.value.detail


def variant(**changes: object) -> VariantDraft:
    return replace(VariantDraft(sku="A", price=euros(4990), values=("S",)), **changes)


def test_a_good_draft_keeps_its_facts_and_gets_clean_texts() -> None:
    good = checked(shirt_draft(title="  Linen\u200b   shirt\n", brand="  ", category=" A "), "EUR")
    assert (good.title, good.brand, good.category) == ("Linen shirt", None, "A")
    assert good.variants == shirt_draft().variants


def test_a_product_may_have_no_options_or_many() -> None:
    plain = shirt_draft(options=(), variants=(VariantDraft(sku="A", price=euros(1)),))
    assert checked(plain, "EUR").variants[0].values == ()
    names = ("Size", "Colour", "Cut", "Length")
    many = shirt_draft(
        options=tuple(Option(name, ("x", "y")) for name in names),
        variants=(VariantDraft(sku="A", price=euros(1), values=("x", "y", "x", "y")),),
    )
    assert len(checked(many, "EUR").options) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": " \u200b "}, "empty"),
        ({"title": "x" * 301}, "too long"),
        ({"variants": ()}, "at least one"),
        ({"options": ()}, "1 values"),
        ({"options": (Option("Size", ("S", "M")), Option("Size", ("a",)))}, "twice"),
        ({"options": (Option("Size", ("S", "S")),)}, "twice"),
        ({"options": (Option("Size", ("M",)),)}, "not among"),
        ({"variants": (variant(), variant(values=("M",)))}, "sku"),
        ({"variants": (variant(), variant(sku="B"))}, "values"),
        ({"variants": (variant(price=euros(0)),)}, "above zero"),
        ({"variants": (variant(price=euros(-1)),)}, "above zero"),
        ({"variants": (variant(price=Money(1, "USD")),)}, "USD"),
        ({"variants": (variant(compare_at=euros(4990)),)}, "compare_at"),
        ({"variants": (variant(compare_at=Money(9990, "USD")),)}, "currencies"),
        ({"variants": (variant(tax_class="luxury"),)}, "tax_class"),
        ({"variants": (variant(sku="a\x00b"),)}, "printed"),
        ({"variants": (variant(image_index=0),)}, "picture number 0"),
        ({"variants": (variant(tiers=((1, euros(4000)),)),)}, "two units"),
        ({"variants": (variant(tiers=((3, euros(4000)), (3, euros(3000)))),)}, "two units"),
        ({"variants": (variant(tiers=((-3, euros(4000)),)),)}, "two units"),
        ({"variants": (variant(tiers=((3, euros(4990)),)),)}, "less than"),
        ({"variants": (variant(tiers=((3, euros(4000)), (5, euros(4000)))),)}, "less than"),
        ({"variants": (variant(tiers=((3, euros(0)),)),)}, "less than"),
        ({"variants": (variant(tiers=((3, Money(4000, "USD")),)),)}, "currency"),
        ({"variants": (variant(tiers=TIERS_WITHOUT_END),)}, "at most 20"),
        ({"variants": (variant(weight_grams=-1),)}, "weight_grams"),
        ({"variants": (variant(parts=((CUP, 1), (CUP, 2))),)}, "twice"),
        ({"variants": (variant(parts=((CUP, 0),)),)}, "parts"),
        ({"variants": (variant(parts=((CUP, 101),)),)}, "parts"),
        ({"variants": (variant(parts=PARTS_WITHOUT_END),)}, "at most 20"),
        ({"max_per_customer": 0}, "max_per_customer"),
        ({"image_ids": (MediaId("a"), MediaId("a"))}, "twice"),
        ({"url": "javascript:alert(1)"}, "web address"),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused_with_its_field(
    changes: dict[str, object], words: str
) -> None:
    assert words in refused(**changes)


def test_tiers_are_put_in_the_order_of_their_quantities() -> None:
    drafts = (variant(tiers=((10, euros(3990)), (3, euros(4490)))),)
    [good] = checked(shirt_draft(variants=drafts), "EUR").variants
    assert good.tiers == ((3, euros(4490)), (10, euros(3990)))


@pytest.mark.parametrize(
    "gtin", [GTIN, "96385074", "036000291452", "10614141000415", "4-006381-333931"]
)
def test_a_gtin_with_its_check_digit_is_taken(gtin: str) -> None:
    assert check_gtin(gtin) == gtin.replace("-", "")


@pytest.mark.parametrize("gtin", ["4006381333932", "123", "40063813339310", "٤006381333931", "abc"])
def test_a_gtin_with_a_wrong_digit_or_length_is_refused(gtin: str) -> None:
    with pytest.raises(BadProduct):
        check_gtin(gtin)


@given(st.integers(0, 10**12 - 1), st.integers(0, 12), st.integers(1, 9))
def test_every_single_wrong_digit_of_a_gtin_is_found(body: int, place: int, off: int) -> None:
    digits = f"{body:012d}"
    check = next(d for d in "0123456789" if _is_gtin(digits + d))
    whole = digits + check
    wrong = whole[:place] + str((int(whole[place]) + off) % 10) + whole[place + 1 :]
    assert not _is_gtin(wrong)


def _is_gtin(text: str) -> bool:
    try:
        return check_gtin(text) == text
    except BadProduct:
        return False


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@x.example/a.jpg",
        "ftp://x.example/a",
        "//x.example",
        "https://",
        "https://x.example/a b",
        "http://[::1",
        "x" * 3000,
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(BadProduct) as caught:
        check_url(url, "url")
    assert "secret" not in caught.value.detail


@given(st.text())
def test_cleaned_html_holds_nothing_that_runs(text: str) -> None:
    for wrapped in (text, f"<p {text}>", f"<script>{text}</script>", f'<a href="{text}">x</a>'):
        cleaned = clean_html(wrapped).lower()
        assert "<script" not in cleaned
        assert 'href="javascript' not in cleaned
        assert clean_html(cleaned) == cleaned
