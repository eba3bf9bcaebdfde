"""Stock written to Shopify: set only where it still has the count that we know of."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from connectors.sources.shopify.admin import Admin
from connectors.sources.shopify.queries import SET_STOCK
from liveshop.connect import Accepted, Deferred, Refused, StockWrite, Verdict

_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
_NOT_NOW = frozenset({"IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"})


async def set_quantities(
    admin: Admin, location_id: str, writes: Sequence[StockWrite], variants: Mapping[str, Any]
) -> dict[str, Verdict]:
    """Verdicts by source id. `variants`: what Shopify says of them now, by id.

    One that is refused makes Shopify refuse all of a request; the others are sent again without
    it, under a new idempotency key.
    """
    verdicts: dict[str, Verdict] = {}
    left: list[StockWrite] = []
    for write in writes:
        variant = variants.get(write.source_id)
        if variant is None:
            verdicts[write.source_id] = Refused(write.source_id, "Shopify has no such variant.")
        elif not variant["inventoryItem"]["tracked"]:
            verdicts[write.source_id] = Refused(
                write.source_id, "Shopify does not count this variant. Track its quantity there."
            )
        else:
            left.append(write)
    while left:
        errors = await _send(admin, location_id, left, variants)
        if not errors:
            verdicts |= {write.source_id: Accepted(write.source_id) for write in left}
            break
        refused = _by_write(errors, left)
        verdicts |= refused
        left = [write for write in left if write.source_id not in refused]
    return verdicts


async def _send(
    admin: Admin, location_id: str, writes: Sequence[StockWrite], variants: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    quantities = [
        {
            "inventoryItemId": variants[write.source_id]["inventoryItem"]["id"],
            "locationId": location_id,
            "quantity": write.quantity,
            "changeFromQuantity": write.expected,  # null must be said: it means without comparing
        }
        for write in writes
    ]
    variables = {
        "input": {"name": "available", "reason": "correction", "quantities": quantities},
        "key": str(uuid4()),
    }
    payload = (await admin.ask(SET_STOCK, variables))["inventorySetQuantities"]
    errors: Sequence[Mapping[str, Any]] = payload["userErrors"]
    return errors


def _by_write(
    errors: Sequence[Mapping[str, Any]], writes: Sequence[StockWrite]
) -> dict[str, Verdict]:
    """An error that names no entry, `["input", "quantities", "3", …]`, is about all of them."""
    verdicts: dict[str, Verdict] = {}
    for error in errors:
        place = [int(part) for part in error["field"] or () if str(part).isdecimal()]
        about = writes if not place or place[0] >= len(writes) else [writes[place[0]]]
        for write in about:
            verdicts.setdefault(write.source_id, _verdict(error, write))
    return verdicts


def _verdict(error: Mapping[str, Any], write: StockWrite) -> Verdict:
    if error["code"] in _NOT_NOW:
        return Deferred(write.source_id, "Shopify is busy with the same stock.", after=5.0)
    if error["code"] in _STALE:
        return Refused(
            write.source_id,
            f"Shopify no longer has {write.expected} of it; the stock is read again.",
        )
    return Refused(write.source_id, f"Shopify does not take the quantity: {error['message']}")
