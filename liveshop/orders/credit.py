"""What a return is worth: pure. All of an order that comes back is worth exactly its total,
whatever came back in how many parts and in which order.
"""

from collections.abc import Mapping, Sequence

from liveshop.kernel.errors import Invalid
from liveshop.kernel.money import Money, total
from liveshop.orders.model import Credit, Fulfilment, NotNow, Order, Return
from liveshop.orders.returnable import units_of
from liveshop.orders.worth import unit_worth


class BadDeduction(Invalid):
    """More is to be kept back than the goods are worth, or nobody says why; `data.goods`."""

    code = "bad_deduction"


def credit_of(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    before: Sequence[Return],
    accepted: Mapping[int, int],
    *,
    with_shipping: bool,
    deduction: Money,
) -> Credit:
    """What `accepted` units by line are worth, after those that went back `before`: in returns, or
    because nobody collected them.

    Tax that was added on top of the prices goes back in proportion to goods and shipping. Raises
    NotNow when the shipping has gone back before, BadDeduction.
    """
    currency = order.total.currency
    found = [one.credit for one in before if one.credit is not None]
    nothing = Money(0, currency)
    shipping = order.shipping if with_shipping else nothing
    shipped_back = total((one.shipping for one in found), currency)
    if with_shipping and shipped_back.amount > 0:
        raise NotNow(
            "The shipping of this order has been refunded before. Leave it out.",
            data={"field": "refund_shipping"},
        )
    gone = units_gone(order, fulfilments, before)
    goods = total(
        (
            unit_worth(order.lines[position], gone.get(position, 0), units)
            for position, units in accepted.items()
        ),
        currency,
    )
    goods_before = total(
        (unit_worth(order.lines[position], 0, units) for position, units in gone.items()), currency
    )
    if deduction.currency != currency:
        raise BadDeduction(
            f"This order was paid in {currency}. Give the deduction in {currency}.",
            data={"field": "deduction"},
        )
    if not 0 <= deduction.amount <= goods.amount:
        raise BadDeduction(
            "A deduction is at most what the accepted goods are worth.",
            data={"field": "deduction", "goods": goods.amount, "currency": currency},
        )
    net_before = goods_before + shipped_back
    tax_added = _tax_on(order, net_before + goods + shipping) - _tax_on(order, net_before)
    return Credit(goods, shipping, tax_added, deduction)


def units_gone(
    order: Order, fulfilments: Sequence[Fulfilment], before: Sequence[Return]
) -> dict[int, int]:
    """Units by line that are paid back or taken off already: accepted in returns, or released
    because nobody collected them."""
    gone: dict[int, int] = {}
    for position in range(len(order.lines)):
        released = units_of(order, fulfilments, position, "released")
        if released:
            gone[position] = released
    for one in before:
        if one.state == "received":
            for line in one.lines:
                gone[line.position] = gone.get(line.position, 0) + (line.accepted or 0)
    return gone


def _tax_on(order: Order, net: Money) -> Money:
    """The share of the added tax that lies on so much of goods and shipping."""
    whole = order.subtotal.amount + order.shipping.amount
    if whole == 0:
        return Money(0, order.total.currency)
    return Money(order.tax_added.amount * net.amount // whole, order.total.currency)
