"""What units of a line are worth: together exactly what was paid for it."""

from hypothesis import given
from hypothesis import strategies as st

from liveshop.kernel.ids import ProductId, VariantId
from liveshop.kernel.money import Money
from liveshop.orders.model import OrderLine
from liveshop.orders.worth import unit_worth


def line(quantity: int, payable: int) -> OrderLine:
    price = Money(payable, "EUR")
    return OrderLine(
        VariantId("var"), ProductId("prd"), "A thing", (), "SKU", quantity, price, price, price
    )


def test_the_odd_cent_comes_with_the_last_unit() -> None:
    of_three = line(3, 1000)
    assert [unit_worth(of_three, already, 1).amount for already in range(3)] == [333, 333, 334]


@given(
    payable=st.integers(0, 10**9),
    steps=st.lists(st.integers(0, 7), min_size=1, max_size=12).filter(lambda steps: sum(steps) > 0),
)
def test_all_units_are_worth_what_was_paid_in_whatever_steps(
    payable: int, steps: list[int]
) -> None:
    whole = line(sum(steps), payable)
    gone, back = 0, 0
    for units in steps:
        worth = unit_worth(whole, gone, units).amount
        assert worth >= 0
        gone, back = gone + units, back + worth
    assert back == payable
    assert unit_worth(whole, gone, 5).amount == 0
