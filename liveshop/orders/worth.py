"""What pieces of an order are worth, after discounts: the one rule by which money goes back.

Each unit of a line is worth its share of `payable`, counted up from the first: however they go
back, all units together are worth exactly `payable`.
"""

from liveshop.kernel.money import Money
from liveshop.orders.model import OrderLine


def unit_worth(line: OrderLine, already: int, units: int) -> Money:
    """What the next `units` of a line are worth when `already` of them have gone back before."""
    payable = line.payable.amount

    def first(count: int) -> int:
        return payable * min(max(count, 0), line.quantity) // line.quantity

    return Money(first(already + units) - first(already), line.payable.currency)
