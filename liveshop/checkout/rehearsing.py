"""What was bought in a rehearsal goes with it."""

from liveshop.catalog import rehearsing
from liveshop.checkout import store
from liveshop.customers import store as customers
from liveshop.orders import store as orders
from liveshop.promotions import store as promotions
from liveshop.promotions.model import PromotionsTouched
from liveshop.shows.model import Rehearsal
from liveshop.storage import Tx


async def clear(tx: Tx, rehearsal: Rehearsal) -> None:
    """Orders, carts and guests of it, its shelf, and the offers it made. Locks are taken in the
    order of `holding`."""
    await orders.forget_rehearsed(tx.conn, rehearsal.id)
    await store.forget_rehearsed(tx.conn, rehearsal.id)
    await rehearsing.take_down(tx.conn, rehearsal.shelf)
    gone = await promotions.forget_rehearsed(tx.conn, rehearsal.show_id, rehearsal.id)
    if gone:
        tx.notify(PromotionsTouched(tuple(gone)))
    await customers.forget_rehearsed(tx.conn, rehearsal.id)
