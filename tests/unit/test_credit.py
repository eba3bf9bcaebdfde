"""What returned goods are worth: nothing is lost and nothing is given away, in any currency."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from order_desk_builders import confirmed, made_order

from liveshop.kernel.ids import (
    FulfilmentId,
    LocationId,
    ProductId,
    ReturnId,
    VariantId,
)
from liveshop.kernel.money import Money
from liveshop.orders.credit import BadDeduction, credit_of, units_gone
from liveshop.orders.fit import fit_of
from liveshop.orders.model import (
    Fulfilment,
    FulfilmentItem,
    FulfilmentState,
    NotNow,
    Order,
    Return,
    ReturnLine,
)
from liveshop.orders.overdue import to_pay
from liveshop.orders.returnable import ReturnRules, returnable

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
RULES = ReturnRules(
    return_days=30,
    transit_days={"DE": 3},
    working_days=(1, 2, 3, 4, 5),
    zone=ZoneInfo("Europe/Berlin"),
)
PLACE = LocationId("loc_1")


def article(number: int) -> tuple[ProductId, VariantId]:
    return ProductId(f"prd_{number}"), VariantId(f"var_{number}")


def fulfilment(
    items: list[tuple[int, str, int]], *, state: FulfilmentState = "delivered", at: datetime = NOW
) -> Fulfilment:
    return Fulfilment(
        id=FulfilmentId(f"ful_{len(items)}"),
        order_id=made_order([(article(0), 1, 1)], now=NOW).id,
        kind="ship_from_warehouse",
        state=state,
        location_id=PLACE,
        store_id=None,
        items=tuple(
            FulfilmentItem(place, VariantId(part), pieces) for place, part, pieces in items
        ),
        carrier=None,
        tracking=None,
        collect_until=None,
        created_at=at,
        updated_at=at,
    )


def received(order: Order, units: dict[int, int], before: list[Return], **of: Any) -> Return:
    nothing = Money(0, order.total.currency)
    credit = credit_of(
        order,
        of.pop("fulfilments", []),
        before,
        units,
        with_shipping=of.pop("shipping", False),
        deduction=of.pop("deduction", nothing),
    )
    return Return(
        id=ReturnId(f"ret_{len(before)}"),
        order_id=order.id,
        kind="by_post",
        state="received",
        location_id=PLACE,
        refund_id=None,
        note=None,
        lines=tuple(
            ReturnLine(position, count, "other", accepted=count, restocked=0)
            for position, count in units.items()
        ),
        created_at=NOW,
        updated_at=NOW,
        credit=credit,
    )


@st.composite
def bought(draw: st.DrawFn) -> Order:
    lines = draw(
        st.lists(st.tuples(st.integers(1, 12), st.integers(0, 100_000)), min_size=1, max_size=4)
    )
    shipping = draw(st.integers(0, 2000))
    is_taxed = shipping > 0 or any(payable for _, payable in lines)
    return confirmed(
        made_order(
            [
                (article(number), quantity, payable)
                for number, (quantity, payable) in enumerate(lines)
            ],
            now=NOW,
            shipping=shipping,
            tax_added=draw(st.sampled_from([0, 1, 777, 12_345])) if is_taxed else 0,
            currency=draw(st.sampled_from(["EUR", "JPY", "USD", "KWD"])),
        )
    )


@given(order=bought(), data=st.data())
def test_however_it_comes_back_all_of_an_order_is_worth_its_total(
    order: Order, data: st.DataObject
) -> None:
    left = {position: line.quantity for position, line in enumerate(order.lines)}
    with_shipping = data.draw(st.integers(0, 3))
    back: list[Return] = []
    while any(left.values()):
        units = {
            position: data.draw(st.integers(0, rest)) for position, rest in left.items() if rest
        }
        last = len(back) >= 3
        units = {position: left[position] if last else count for position, count in units.items()}
        one = received(order, units, back, shipping=len(back) == with_shipping)
        assert one.credit is not None
        assert min(one.credit.goods.amount, one.credit.tax_added.amount) >= 0
        assert to_pay(order, (), [*back, one]).amount >= 0
        back.append(one)
        for position, count in units.items():
            left[position] -= count
    if len(back) <= with_shipping:
        back.append(received(order, {0: 0}, back, shipping=True))

    assert sum(one.credit.total.amount for one in back if one.credit) == order.total.amount
    assert to_pay(order, (), back) == Money(0, order.total.currency)


@given(order=bought(), data=st.data())
def test_a_deduction_lessens_the_refund_by_itself_and_never_below_nothing(
    order: Order, data: st.DataObject
) -> None:
    units = {
        position: data.draw(st.integers(0, line.quantity))
        for position, line in enumerate(order.lines)
    }
    whole = received(order, units, []).credit
    assert whole is not None
    kept = Money(data.draw(st.integers(0, whole.goods.amount)), order.total.currency)
    less = received(order, units, [], deduction=kept).credit
    assert less is not None
    assert whole.total - less.total == kept
    assert less.total.amount >= 0
    more = Money(whole.goods.amount + 1, order.total.currency)
    with pytest.raises(BadDeduction):
        received(order, units, [], deduction=more)


def test_a_deduction_is_in_the_currency_that_was_paid() -> None:
    order = made_order([(article(0), 1, 1000)], now=NOW)
    with pytest.raises(BadDeduction, match="EUR"):
        received(order, {0: 1}, [], deduction=Money(1, "USD"))


def test_shipping_goes_back_once() -> None:
    order = made_order([(article(0), 2, 1000)], now=NOW)
    first = received(order, {0: 1}, [], shipping=True)
    with pytest.raises(NotNow):
        received(order, {0: 1}, [first], shipping=True)


def test_what_nobody_collected_counts_as_gone_before() -> None:
    order = made_order([(article(0), 3, 1000)], now=NOW, shipping=0)
    parts = [fulfilment([(0, "var_0", 1)], state="released"), fulfilment([(0, "var_0", 2)])]

    assert units_gone(order, parts, []) == {0: 1}
    worth = received(order, {0: 2}, [], fulfilments=parts).credit
    assert worth is not None
    assert worth.goods.amount == 667  # of 333, 333 and 334 those that are left


def test_a_bundle_has_arrived_with_the_last_of_its_parts() -> None:
    order = confirmed(made_order([(article(0), 2, 1000)], now=NOW))
    first = fulfilment([(0, "cup", 4), (0, "pot", 1)], at=NOW - timedelta(days=29))
    second = fulfilment([(0, "pot", 1)], state="shipped", at=NOW)

    may = returnable(order, [first, second], [], rules=RULES, now=NOW)
    assert [(one.position, one.quantity) for one in may] == [(0, 2)]
    # Sent on Saturday, there on Wednesday, and thirty days from then until the day is over.
    assert may[0].until == datetime(2026, 12, 26, tzinfo=ZoneInfo("Europe/Berlin"))
    # The first unit's time is over, and what came back before was that one.
    later = NOW + timedelta(days=5)
    assert [one.quantity for one in returnable(order, [first, second], [], rules=RULES, now=later)]
    gone = received(order, {0: 1}, [])
    [rest] = returnable(order, [first, second], [gone], rules=RULES, now=later)
    assert rest.quantity == 1


def test_without_all_of_its_parts_no_unit_has_arrived() -> None:
    order = confirmed(made_order([(article(0), 1, 1000)], now=NOW))
    here = fulfilment([(0, "cup", 2)])
    waiting = fulfilment([(0, "pot", 1)], state="open")
    assert returnable(order, [here, waiting], [], rules=RULES, now=NOW) == []
    assert returnable(order, [], [], rules=RULES, now=NOW) == []


@pytest.mark.parametrize(
    ("sold", "small", "large", "told"),
    [
        (20, 5, 0, "runs_small"),
        (20, 4, 0, None),  # too few to say anything
        (34, 5, 0, None),  # less than 15 in a hundred
        (20, 0, 6, "runs_large"),
        (20, 6, 2, "runs_small"),
        (20, 5, 2, None),  # in both directions
        (10, 3, 3, None),
        (0, 0, 0, None),
    ],
)
def test_a_hint_about_the_size_is_given_where_returns_are_clear(
    sold: int, small: int, large: int, told: str | None
) -> None:
    assert fit_of(sold=sold, too_small=small, too_large=large) == told
