"""A guest signs on: what he had in his cart, with its holds and prices, is the customer's then.

A line the customer's cart has no room for stays in the guest's, held as it was: it is not lost, and
comes along when he signs on again with room for it.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from liveshop.catalog import holds, waiting
from liveshop.checkout import store
from liveshop.checkout.carts import Bought, Carts
from liveshop.checkout.holding import Need, give_back
from liveshop.checkout.model import Cart, CartLine, units_of
from liveshop.kernel.ids import ViewerId
from liveshop.storage import Tx


@dataclass(slots=True)
class _Plan:
    """`moved`: lines that change their cart; `joined`: the guest's and the customer's line of one
    article, and how many it is to be. Lines for which there is no room are in neither.
    """

    moved: list[tuple[CartLine, int]] = field(default_factory=list)
    joined: list[tuple[CartLine, CartLine, int]] = field(default_factory=list)


async def merge(
    tx: Tx, carts: Carts, guest_id: ViewerId, customer_id: ViewerId, now: datetime
) -> None:
    """Add the guest's cart to the customer's, as far as the limits allow; done twice it does
    nothing more.
    """
    both = [guest_id, customer_id]
    await store.lock(tx.conn, both, now)
    variant_ids = set((await store.variants_of_lines(tx.conn, both)).values())
    variant_ids |= {one.variant_id for one in await waiting.places_of(tx.conn, guest_id)}
    refreshed = await carts.shelf.refreshed(tx, variant_ids, now)
    loaded = await carts.load(tx.conn, both, now)
    guest, customer = loaded[guest_id], loaded[customer_id]
    await _move_places(tx, guest_id, customer_id)
    await _move_codes(tx, carts, guest, customer, now)
    if not guest.lines:
        return
    bought = await carts.bought(tx.conn, [replace(customer, lines=guest.lines)])
    plan = _planned(carts, guest, customer, bought)
    gone = [line.id for line, _, _ in plan.joined]
    needs = [
        Need(customer_id, line, quantity, line.held_until)
        for line, quantity in plan.moved
        if line.is_held and quantity < line.quantity
    ]
    still: list[CartLine] = [
        replace(line, quantity=quantity)
        for line, quantity in plan.moved
        if not (line.is_held and quantity < line.quantity)
    ]
    for theirs, own, quantity in plan.joined:
        joined = await _joined(tx, theirs, own)
        if joined.held:
            needs.append(Need(customer_id, joined, quantity, joined.held_until))
        else:
            still.append(replace(joined, quantity=quantity))
    ended = await carts.shelf.hold_each(tx, needs, refreshed, now)
    for need, one in zip(needs, ended, strict=True):
        # What is missing cannot be had: the line stays with what is held.
        still.append(one if isinstance(one, CartLine) else need.line)
    await store.move_lines(tx.conn, [line.id for line, _ in plan.moved], customer.id)
    await store.remove_lines(tx.conn, gone)
    await give_back(tx, gone)
    await store.change_lines(tx.conn, still)
    await carts.shelf.refreshed(tx, variant_ids, now)
    await carts.claim(tx, [(customer_id, line) for line in still], now)


def _planned(carts: Carts, guest: Cart, customer: Cart, bought: Bought) -> _Plan:
    """What becomes of each line of the guest, by the limits of a cart and of a customer."""
    plan = _Plan()
    there = {line.id: line for line in customer.lines}
    for line in guest.lines:
        own = customer.line_of(line.variant_id)
        had = own.quantity if own is not None else 0
        most = carts.limits.max_quantity
        rationed = line.article.max_per_customer
        if rationed is not None:
            others = units_of(list(there.values()), line.product_id) - had
            others += bought.get((customer.viewer_id, line.product_id), 0)
            most = min(most, rationed - others)
        quantity = max(had, min(had + line.quantity, most))
        if own is not None:
            plan.joined.append((line, own, quantity))
            there[own.id] = replace(own, quantity=quantity)
        elif quantity and len(there) < carts.limits.max_lines:
            plan.moved.append((line, quantity))
            there[line.id] = replace(line, quantity=quantity)
    return plan


async def _joined(tx: Tx, theirs: CartLine, own: CartLine) -> CartLine:
    """The customer's line with what both lines hold, as many units as that is."""
    until = own.held_until or theirs.held_until
    if theirs.held:
        await holds.hand_over(tx.conn, theirs.id, own.id, expires_at=until)
    held = theirs.held + own.held
    return replace(
        own,
        quantity=held // own.article.pieces or own.quantity,
        held=held,
        held_until=until,
        extensions=max(own.extensions, theirs.extensions),
    )


async def _move_places(tx: Tx, guest_id: ViewerId, customer_id: ViewerId) -> None:
    """Of two places for one article the customer keeps the one that is further in front."""
    places = await waiting.places_of_each(tx.conn, [guest_id, customer_id])
    own = {one.variant_id: one for one in places[customer_id]}
    moved, gone = [], []
    for place in places[guest_id]:
        rival = own.get(place.variant_id)
        if rival is not None and (rival.position, rival.joined_at) <= (
            place.position,
            place.joined_at,
        ):
            gone.append(place.id)
            continue
        moved.append(place.id)
        if rival is not None:
            gone.append(rival.id)
    await waiting.remove(tx.conn, gone)
    await store.move_places(tx.conn, moved, customer_id)
    if gone:
        await give_back(tx, gone)


async def _move_codes(tx: Tx, carts: Carts, guest: Cart, customer: Cart, now: datetime) -> None:
    if not guest.codes:
        return
    new = [code for code in guest.codes if code not in customer.codes]
    room = carts.limits.max_codes - len(customer.codes)
    await store.remove_codes(tx.conn, guest.id)
    await store.add_codes(tx.conn, customer.id, new[: max(0, room)], now)
