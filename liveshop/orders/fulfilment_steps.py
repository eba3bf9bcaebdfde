"""What all steps of a fulfilment have in common: what is told of them, and goods put back."""

from collections.abc import Sequence

from liveshop.catalog import holds, shelves
from liveshop.catalog.model import StockTouched
from liveshop.catalog.shelves import Shelf
from liveshop.kernel.ids import LocationId
from liveshop.orders.allocation import pieces_of
from liveshop.orders.model import Fulfilment, FulfilmentState, NotNow
from liveshop.storage import Tx


def check_step(one: Fulfilment, to: FulfilmentState) -> None:
    """Raises NotNow when the declared machine has no such step from here."""
    if not one.may(to):
        raise NotNow(
            f"This is {one.state}, so it cannot become {to}. Look at the order again.",
            data={"state": one.state, "kind": one.kind, "fulfilment_id": one.id},
        )


def told(one: Fulfilment, to: FulfilmentState, **more: str | int) -> dict[str, str | int | None]:
    """What the history keeps of a step: enough to say it again without the fulfilment."""
    return {
        "fulfilment_id": one.id,
        "kind": one.kind,
        "from": one.state,
        "to": to,
        "pieces": sum(item.pieces for item in one.items),
        "location_id": one.location_id,
        "store_id": one.store_id,
        **more,
    }


def lies_at(one: Fulfilment) -> LocationId:
    """Where its goods are while they are in our hands."""
    if one.state == "ready" and one.store_id is not None:
        return one.store_id
    return one.location_id


async def restock(tx: Tx, fulfilments: Sequence[Fulfilment]) -> dict[Shelf, int]:
    """Put their goods on the shelves of where they lie now, and let those know who wait for them;
    the pieces by shelf. The order is locked."""
    back: dict[Shelf, int] = {}
    for one in fulfilments:
        for shelf, pieces in pieces_of(one.items, lies_at(one)).items():
            back[shelf] = back.get(shelf, 0) + pieces
    if back:
        variant_ids = tuple(sorted({variant_id for variant_id, _ in back}))
        await holds.lock(tx.conn, variant_ids)
        await shelves.restock(tx.conn, back)
        tx.notify(StockTouched(variant_ids))
    return back
