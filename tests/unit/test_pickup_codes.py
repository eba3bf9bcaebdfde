"""Pickup codes as people type them and scanners read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel.ids import new_code
from liveshop.orders.pickup_codes import read_code


@pytest.mark.parametrize(
    "scanned",
    [
        "7K2M9QXA01",
        "7k2m9-qxa01",
        " 7k2m9 qxaol \n",
        "7K2M9\u2013QXAOI",
        "\uff17K2M9QXA01",
        "https://shop.example/pickup?code=7K2M9-QXA01&x=1",
        "https://shop.example/desk#7k2m9qxa01",
        "HTTPS://SHOP.EXAMPLE/P/7K2M9QXA01/",
        "/pickup/7K2M9QXA01",
    ],
)
def test_a_code_is_read_however_it_was_typed(scanned: str) -> None:
    assert read_code(scanned) == "7K2M9QXA01"


@pytest.mark.parametrize(
    "scanned",
    [
        "",
        "   ",
        "7K2M",
        "7K2M9QXA017K2M9QXA01",
        "7K2M9QXA0U",
        "L-100234/5",
        "https://[broken/7K2M9QXA01",
        "https://shop.example/",
        "https://shop.example/o/01JCW8F3QZ5V4N7R2T9X6B1KDM-c2lnbmF0dXJlLW9mLWl0IQ",
        "\u0660" * 10 + "\u2603",
        "%" * 600,
    ],
)
def test_what_cannot_be_a_code_is_none(scanned: str) -> None:
    assert read_code(scanned) is None


@given(st.text(max_size=80))
def test_whatever_is_scanned_gives_a_code_or_none(scanned: str) -> None:
    code = read_code(scanned)
    assert code is None or read_code(code) == code


def test_a_new_code_is_read_as_itself() -> None:
    for code in (new_code() for _ in range(50)):
        assert read_code(code) == code
        assert read_code(f"{code[:5]}-{code[5:].lower()}") == code
