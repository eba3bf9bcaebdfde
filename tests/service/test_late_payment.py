"""A payment that takes longer than its stock is kept: the stock again, or the money back."""

from datetime import timedelta
from typing import Any

import builders
import pytest
from checkout_builders import Bank, audit, settler, viewer, wish, wish_of, with_bank

from liveshop.app import Liveshop
from liveshop.catalog.holds import OutOfStock
from liveshop.checkout.model import SoldOutWhilePaying
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import VariantId
from liveshop.orders import store as orders_store
from liveshop.orders.model import Order
from liveshop.payments import refund_store
from liveshop.payments.model import ProviderUnavailable

ADA, BOB = viewer(1), viewer(2)


@pytest.fixture
async def mug(shop: Liveshop) -> VariantId:
    return VariantId((await builders.product(shop, stock=3)).variants[0].id)


async def pays_late(
    shop: Liveshop, bank: Bank, mug: VariantId, clock: ManualClock, *, taken: int
) -> tuple[Order, Any]:
    """Ada's bank takes the money for all three mugs and falls silent; others come meanwhile."""

    async def away() -> None:
        raise ProviderUnavailable("The bank does not answer.")

    orders = with_bank(shop, bank)
    bank.after = away
    await shop.carts.add_to_cart(ADA, mug, 3, None)
    given = await wish_of(shop, ADA, method="bank")
    order = await orders.place_order(ADA, "key", given)
    assert order.state == "pending"
    clock.advance(timedelta(seconds=1799))
    with pytest.raises(OutOfStock):
        await shop.carts.add_to_cart(BOB, mug, 1, None)
    clock.advance(timedelta(seconds=1))
    if taken:
        await shop.carts.add_to_cart(BOB, mug, taken, None)
    return order, orders


async def test_stock_of_a_late_payment_is_taken_again_if_it_is_there(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    bank = Bank()
    order, orders = await pays_late(shop, bank, mug, clock, taken=0)
    await settler(shop, orders).run_due()
    async with shop.database.read() as conn:
        found = await orders_store.by_id(conn, order.id)
    assert found is not None
    assert (found.state, found.payment.state) == ("confirmed", "paid")
    assert [(row.on_hand, row.held) for row in await audit(shop.database)] == [(0, 0)]


async def test_a_late_payment_whose_stock_is_sold_goes_back_until_it_has_gone_back(
    shop: Liveshop, mug: VariantId, clock: ManualClock
) -> None:
    bank = Bank()
    order, orders = await pays_late(shop, bank, mug, clock, taken=1)
    worker = settler(shop, orders)

    async def away() -> None:
        raise ProviderUnavailable("The bank does not answer.")

    bank.on_refund = away
    await worker.run_due()
    with pytest.raises(SoldOutWhilePaying) as told:
        await orders.place_order(ADA, "key", wish(order.total, method="bank"))
    assert told.value.data == {"order_id": order.id}
    for _ in range(30):
        clock.advance(timedelta(hours=2))
        await worker.run_due()
    assert bank.refunds == []
    bank.on_refund = None
    clock.advance(timedelta(hours=2))
    await worker.run_due()
    clock.advance(timedelta(hours=2))
    await worker.run_due()
    assert bank.refunds == [order.payment.id]
    async with shop.database.read() as conn:
        found = await orders_store.by_id(conn, order.id)
        refunds = await refund_store.of_orders(conn, [order.id])
    assert found is not None
    assert (found.state, found.payment.state) == ("cancelled", "paid")
    assert (found.payment.captured, found.payment.refunded) == (order.total.amount,) * 2
    assert [(one.state, one.amount, one.cause) for one in refunds[order.id]] == [
        ("done", order.total, "late")
    ]
    assert [row.on_hand for row in await audit(shop.database)] == [3]
