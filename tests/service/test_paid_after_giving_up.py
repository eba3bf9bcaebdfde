"""A buyer gives up while his money is on its way: it goes back, and nobody asks for it for ever."""

from datetime import timedelta

import builders
from checkout_builders import settler, viewer, wish_of, with_bank
from moving_bank import MovingBank
from payment_builders import due_at, refunds_of

from liveshop.app import Liveshop
from liveshop.kernel.clock import ManualClock
from liveshop.payments import store as payments_store


async def test_a_payment_that_went_back_is_not_asked_for_again_after_its_bank_has_called(
    shop: Liveshop, clock: ManualClock
) -> None:
    bank = MovingBank(mood="falls silent")
    orders = with_bank(shop, bank)
    mug = (await builders.product(shop)).variants[0].id
    await shop.carts.add_to_cart(viewer(1), mug, 1, None)
    wanted = await wish_of(shop, viewer(1), method="bank")
    order = await orders.place_order(viewer(1), "key-1", wanted)
    assert order.state == "pending"
    bank.mood = "well"
    given_up = await orders.cancel_payment(viewer(1), order.id)
    assert given_up.state == "payment_failed"
    assert [one.cause for one in await refunds_of(shop, order)] == ["late"]
    async with shop.database.write() as tx:  # as its webhook does
        await payments_store.ask_soon(tx.conn, order.payment.id, clock.now())
    worker = settler(shop, orders)
    while await worker.run_due():
        clock.advance(timedelta(seconds=1))
    assert await due_at(shop, order.payment.id) is None
