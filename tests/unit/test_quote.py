"""Quotes: what a cart costs, what shipping costs, and which tax is inside, to the last cent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveshop.checkout import model
from liveshop.checkout.model import Article, Cart, CartLine, Quote, Terms, first_name
from liveshop.kernel.ids import CartId, LineId, ProductId, VariantId, ViewerId
from liveshop.kernel.money import Money, included_tax, split
from liveshop.promotions.delivery import CountryTax, NotDelivered, Rates, ShippingStep
from liveshop.promotions.model import Item, OtherCurrency
from liveshop.promotions.pricing import Context

TAX = {"standard": 190, "reduced": 70, "zero": 0}


def rates(
    *,
    shipping: Mapping[str, int] | None = None,
    free_shipping_from: int = 0,
    tax_permille: Mapping[str, int] = TAX,
) -> Rates:
    """Tax is inside the prices."""
    flat = shipping or {"DE": 490, "AT": 890}
    free = (ShippingStep(0, from_goods=free_shipping_from),) if free_shipping_from else ()
    return Rates(
        tax={code: CountryTax(True, tax_permille) for code in flat},
        shipping={code: (ShippingStep(amount), *free) for code, amount in flat.items()},
    )


RATES = rates()


def quote_of(lines: Sequence[CartLine], country: str, rates: Rates) -> Quote:
    """The moment makes no difference without promotions."""
    cart = Cart(CartId("crt_1"), ViewerId("gst_1"), "EUR", tuple(lines))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return model.quote_of(cart, Context(now=now, currency="EUR", rates=rates, country=country))


def line(
    price: int, quantity: int = 1, tax_class: str = "standard", currency: str = "EUR"
) -> CartLine:
    item = Item(
        variant_id=VariantId("var_1"),
        product_id=ProductId("prd_1"),
        title="Mug",
        price=Money(price, currency),
        tax_class=tax_class,
    )
    return CartLine(
        id=LineId("lin_1"),
        article=Article(item=item, values=(), sku="MUG", image_id=None, is_for_sale=True),
        quantity=quantity,
        show_id=None,
        terms=Terms(600),
    )


def taxes(quote: Quote) -> list[tuple[int, int, int]]:
    """(rate in per mille, basis, tax) of each line of tax."""
    return [(tax.rate_permille, tax.basis.amount, tax.amount.amount) for tax in quote.taxes]


def test_goods_and_shipping_make_the_total_and_the_tax_is_inside() -> None:
    quote = quote_of([line(2800, 2)], "DE", RATES)
    assert quote.subtotal == Money(5600, "EUR")
    assert quote.shipping == Money(490, "EUR")
    assert quote.total == Money(6090, "EUR")
    assert taxes(quote) == [(190, 5118, 972)]  # 60.90 / 1.19 = 51.176


def test_shipping_depends_on_the_country() -> None:
    assert quote_of([line(2800)], "AT", RATES).shipping == Money(890, "EUR")
    with pytest.raises(NotDelivered) as refused:
        quote_of([line(2800)], "NZ", RATES)
    assert refused.value.data == {"field": "country", "countries": ["AT", "DE"]}


def test_goods_of_several_rates_are_taxed_rate_by_rate() -> None:
    quote = quote_of(
        [line(1190), line(1070, 1, "reduced"), line(500, 1, "zero")],
        "DE",
        rates(shipping={"DE": 0}),
    )
    assert taxes(quote) == [(0, 500, 0), (70, 1000, 70), (190, 1000, 190)]


def test_lines_of_one_rate_are_rounded_together_and_not_one_by_one() -> None:
    """Three times 0.10 at 19 % are 4.79 cents of tax; rounded one by one it would be 6."""
    quote = quote_of([line(10), line(10), line(10)], "DE", rates(shipping={"DE": 0}))
    assert taxes(quote) == [(190, 25, 5)]


def test_shipping_is_split_over_the_rates_by_largest_remainder() -> None:
    """490 over 1000 : 1000 : 1000 is 163.3 each; the cent left over goes to the lowest rate."""
    goods = [line(1000), line(1000, 1, "reduced"), line(1000, 1, "zero")]
    quote = quote_of(goods, "DE", RATES)
    assert [basis + tax for _, basis, tax in taxes(quote)] == [1164, 1163, 1163]
    # 490 over 2000 : 1000 is 326.67 and 163.33.
    quote = quote_of([line(2000), line(1000, 1, "reduced")], "DE", RATES)
    assert [basis + tax for _, basis, tax in taxes(quote)] == [1163, 2327]


def test_shipping_of_untaxed_goods_is_untaxed() -> None:
    assert taxes(quote_of([line(500, 3, "zero")], "DE", RATES)) == [(0, 1990, 0)]


@pytest.mark.parametrize(("goods", "shipping"), [(4999, 490), (5000, 0), (5001, 0)])
def test_shipping_is_free_from_the_threshold_on(goods: int, shipping: int) -> None:
    quote = quote_of([line(goods)], "DE", rates(free_shipping_from=5000))
    assert quote.shipping == Money(shipping, "EUR")
    assert quote.total == Money(goods + shipping, "EUR")


def test_without_a_threshold_shipping_is_never_free() -> None:
    assert quote_of([line(10**9)], "DE", RATES).shipping == Money(490, "EUR")


def test_two_currencies_are_never_added_up() -> None:
    with pytest.raises(OtherCurrency):
        quote_of([line(100), line(100, currency="USD")], "DE", RATES)


def test_tax_is_rounded_half_up_to_the_cent() -> None:
    assert included_tax(119, 190) == 19
    assert included_tax(1, 190) == 0
    assert included_tax(3, 200) == 1  # exactly half a cent
    assert included_tax(0, 190) == 0
    assert included_tax(10**15 + 7, 0) == 0


def test_only_a_first_name_is_for_the_room() -> None:
    assert first_name("Ada Example") == "Ada"
    assert first_name("  Ada  ") == "Ada"
    assert first_name("") == ""
    assert first_name("Anne-Marie Example") == "Anne-Marie"
    assert first_name("Łukasz") == "Łukasz"
    for loud in ("FREE-IPHONE.SCAM.COM/x", "4u", "<b>", "A" * 120, "@ada", "-", "buy!now"):
        assert first_name(f"{loud} you") == ""


goods = st.lists(
    st.builds(
        line,
        st.integers(1, 10**7),
        st.integers(1, 1000),
        st.sampled_from(["standard", "reduced", "zero"]),
    ),
    min_size=1,
    max_size=12,
)
shops = st.builds(
    rates,
    shipping=st.fixed_dictionaries({"DE": st.integers(0, 10**6)}),
    free_shipping_from=st.integers(0, 10**8),
    tax_permille=st.fixed_dictionaries(
        {name: st.integers(0, 300) for name in ("standard", "reduced", "zero")}
    ),
)
relentless = settings(max_examples=300, derandomize=True, deadline=None)


@relentless
@given(goods, shops)
def test_no_cent_appears_or_vanishes(lines: Sequence[CartLine], shop: Rates) -> None:
    quote = quote_of(lines, "DE", shop)
    assert quote.subtotal.amount == sum(
        one.article.item.price.amount * one.quantity for one in lines
    )
    assert quote.total == quote.subtotal + quote.shipping
    assert sum(basis + tax for _, basis, tax in taxes(quote)) == quote.total.amount
    assert all(basis >= 0 and tax >= 0 for _, basis, tax in taxes(quote))
    seen = [rate for rate, _, _ in taxes(quote)]
    assert seen == sorted(set(seen))


@relentless
@given(goods, shops)
def test_the_tax_is_within_half_a_cent_of_the_exact_one(
    lines: Sequence[CartLine], shop: Rates
) -> None:
    for rate, basis, tax in taxes(quote_of(lines, "DE", shop)):
        exact = Fraction((basis + tax) * rate, 1000 + rate)
        assert abs(tax - exact) <= Fraction(1, 2)


@relentless
@given(goods, shops, st.randoms(use_true_random=False))
def test_the_order_of_the_lines_does_not_matter(
    lines: list[CartLine], shop: Rates, random: Random
) -> None:
    mixed = list(lines)
    random.shuffle(mixed)
    one, other = quote_of(lines, "DE", shop), quote_of(mixed, "DE", shop)
    assert (one.total, one.taxes) == (other.total, other.taxes)


@relentless
@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_a_split_adds_up_and_is_within_a_cent_of_the_share(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        share = Fraction(amount * weight, whole) if whole else Fraction(amount, len(weights))
        assert abs(part - share) < 1


def test_a_split_over_nothing_or_by_negative_weights_is_refused() -> None:
    assert split(0, []) == []
    with pytest.raises(ValueError, match="nothing to split"):
        split(1, [])
    with pytest.raises(ValueError, match="negative"):
        split(1, [1, -1])
