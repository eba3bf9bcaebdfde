"""What is said between us and Shopify, without a shop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.shopify.admin import shop_domain
from connectors.sources.shopify.orders import lines_of
from connectors.sources.shopify.products import decimal_of, money_of
from liveshop.connect import BadValue, NeedsAttention, OrderItem
from liveshop.kernel.money import Money


@pytest.mark.parametrize(
    "given_as",
    [
        "my-shop",
        "my-shop.myshopify.com",
        "https://My-Shop.myshopify.com/admin",
        "https://admin.shopify.com/store/my-shop/products",
    ],
)
def test_a_shop_is_known_however_it_is_written(given_as: str) -> None:
    assert shop_domain(given_as) == "my-shop.myshopify.com"


@pytest.mark.parametrize("given_as", ["", "my shop", "https://a@b/", "käse"])
def test_a_shop_that_is_none_is_told(given_as: str) -> None:
    with pytest.raises(NeedsAttention, match=r"your-shop\.myshopify\.com"):
        shop_domain(given_as)


@given(st.integers(0, 10**11), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_money_is_the_same_there_and_back(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert money_of(decimal_of(money), currency) == money


@pytest.mark.parametrize("text", ["", "free", "12.345", "NaN", "Infinity"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        money_of(text, "EUR")


@given(st.integers(1, 500), st.integers(0, 10**7))
def test_the_lines_of_an_order_add_up_to_the_cent(quantity: int, amount: int) -> None:
    item = OrderItem(
        "gid://shopify/ProductVariant/1",
        "SKU",
        "Mug",
        quantity,
        Money(1000, "EUR"),
        Money(amount, "EUR"),
    )
    lines = list(lines_of(item))
    assert sum(line["quantity"] for line in lines) == quantity
    paid = [
        money_of(line["priceSet"]["shopMoney"]["amount"], "EUR").amount * line["quantity"]
        for line in lines
    ]
    assert sum(paid) == amount
