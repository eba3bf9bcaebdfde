"""Handing goods over in a store, all or a part of them, once.

A part that is handed over becomes a fulfilment of its own; the rest stays ready.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from liveshop.kernel.ids import FulfilmentId, LocationId, VariantId, new_id
from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store as store
from liveshop.orders import history, wire
from liveshop.orders.fulfilment_steps import told
from liveshop.orders.model import (
    Actor,
    Fulfilment,
    FulfilmentItem,
    NotNow,
    Order,
    OrderEvent,
    UnknownFulfilment,
    WrongStore,
)
from liveshop.storage import Tx
from liveshop.web import MoneyOut


@dataclass(frozen=True, slots=True)
class HandOver:
    """What of a fulfilment is given to the buyer, and what of it stays."""

    fulfilment: Fulfilment
    given: tuple[FulfilmentItem, ...]
    rest: tuple[FulfilmentItem, ...]


def chosen(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    given: wire.CollectInput,
    zone: tzinfo,
) -> list[HandOver]:
    """What is asked to be handed over; all that is ready where nothing is named.

    Raises NotNow (not ready, collected before, more than lies there), WrongStore,
    UnknownFulfilment.
    """
    if order.store_id is None or given.store_id not in (None, order.store_id):
        raise WrongStore(
            "This order is collected in another store.", data={"store_id": order.store_id}
        )
    ready = [one for one in fulfilments if one.may("collected")]
    if given.items is None:
        if not ready:
            raise _nothing_ready(fulfilments, zone)
        return [HandOver(one, one.items, ()) for one in ready]
    known = {one.id: one for one in fulfilments}
    asked: dict[FulfilmentId, dict[tuple[int, VariantId], int]] = {}
    for item in given.items:
        of_one = asked.setdefault(FulfilmentId(item.fulfilment_id), {})
        key = (item.position, VariantId(item.variant_id))
        of_one[key] = of_one.get(key, 0) + item.pieces
    return [_part_of(known.get(id_), wanted, fulfilments, zone) for id_, wanted in asked.items()]


def _part_of(
    one: Fulfilment | None,
    wanted: Mapping[tuple[int, VariantId], int],
    fulfilments: Sequence[Fulfilment],
    zone: tzinfo,
) -> HandOver:
    if one is None:
        raise UnknownFulfilment("This does not belong to the order of this code.")
    if not one.may("collected"):
        raise _nothing_ready([one], zone)
    has = {(item.position, item.variant_id): item for item in one.items}
    for key, pieces in wanted.items():
        lies_there = has[key].pieces if key in has else 0
        if pieces > lies_there:
            raise NotNow(
                f"Only {lies_there} of this lie ready. Scan the code again.",
                data={"state": one.state, "fulfilment_id": one.id, "ready": lies_there},
            )
    given = tuple(replace(has[key], pieces=pieces) for key, pieces in sorted(wanted.items()))
    rest = tuple(
        replace(item, pieces=item.pieces - wanted.get(key, 0))
        for key, item in has.items()
        if item.pieces > wanted.get(key, 0)
    )
    return HandOver(one, given, rest)


def _nothing_ready(fulfilments: Sequence[Fulfilment], zone: tzinfo) -> NotNow:
    at = collected_at(fulfilments)
    if at is not None:
        return NotNow(
            f"This was collected on {at.astimezone(zone):%Y-%m-%d at %H:%M}.",
            data={"state": "collected", "collected_at": at.isoformat()},
        )
    state = min((one.state for one in fulfilments if one.state != "collected"), default="cancelled")
    return NotNow(f"Nothing of this order lies ready: it is {state}.", data={"state": state})


def collected_at(fulfilments: Sequence[Fulfilment]) -> datetime | None:
    """When the last of it was; None while anything may still be collected, or if nothing was."""
    if any(one.state in ("open", "shipped", "ready") for one in fulfilments):
        return None
    return max((one.updated_at for one in fulfilments if one.state == "collected"), default=None)


async def hand_over(
    tx: Tx, order: Order, parts: Sequence[HandOver], actor: Actor, now: datetime
) -> list[Fulfilment]:
    """Write down what was given to the buyer of an order that the caller has locked; these
    fulfilments as they are then."""
    collected: list[Fulfilment] = []
    events: list[OrderEvent] = []
    for part in parts:
        one = part.fulfilment
        out = replace(one, items=part.given, state="collected", collect_until=None, updated_at=now)
        left = sum(item.pieces for item in part.rest)
        if part.rest:
            out = replace(out, id=FulfilmentId(new_id("ful", now)))
            await store.keep_items(tx.conn, one.id, part.rest)
            await store.add(tx.conn, out)
        elif not await store.move(tx.conn, one, "collected", now, collect_until=None):
            raise NotNow("Somebody else has just handed this over.", data={"state": "collected"})
        told_of = replace(one, id=out.id, items=part.given)
        events.append(
            OrderEvent(
                order.id,
                now,
                actor,
                "fulfilment.collected",
                told(told_of, "collected", left=left),
            )
        )
        collected.append(out)
    await history.note(tx, *events)
    return collected


def pickup_out(
    order: Order,
    fulfilments: Sequence[Fulfilment],
    *,
    store: str,
    at_store: LocationId | None,
    to_pay: Money | None,
) -> wire.Pickup:
    """`at_store`: where it is asked; None: wherever the goods are."""
    assert order.store_id is not None
    is_here = at_store in (None, order.store_id)
    return wire.Pickup(
        order_id=order.id,
        order_number=order.number,
        name=order.address.name,
        store_id=order.store_id,
        store=store,
        items=[
            wire.PickupItem(
                fulfilment_id=one.id,
                position=item.position,
                variant_id=item.variant_id,
                pieces=item.pieces,
                title=item.title,
                sku=item.sku,
                state=one.state,
                is_here=is_here and one.state == "ready",
            )
            for one in fulfilments
            for item in one.items
        ],
        to_pay=MoneyOut.of(to_pay) if to_pay is not None else None,
        collected_at=collected_at(fulfilments),
    )
