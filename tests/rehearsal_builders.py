"""Makers for tests of rehearsals: a show in one, its guests, and what a database holds."""

import importlib
import pkgutil
from collections.abc import Collection
from typing import Any

import builders
import sqlalchemy as sa
from checkout_builders import wish_of

import liveshop
from liveshop.app import Liveshop
from liveshop.kernel.ids import ProductId, ShowId, VariantId, ViewerId
from liveshop.kernel.rehearsals import new_guest
from liveshop.orders.model import Order
from liveshop.shows import wire
from liveshop.shows.model import Rehearsal
from liveshop.storage import metadata

for _module in pkgutil.walk_packages(liveshop.__path__, "liveshop."):
    if _module.name.endswith(".tables"):
        importlib.import_module(_module.name)

OWN = {"show_rehearsal"}
"""Tables that say that there was a rehearsal."""


async def rehearsed(
    shop: Liveshop, products: Collection[ProductId], *, came_from: str = "draft", **given: Any
) -> ShowId:
    made = await shop.shows.create_show(
        wire.ShowInput(
            title="An evening with mugs",
            host_name="Hedda",
            product_ids=list(products),
            starts_at=shop.clock.now(),
            **given,
        )
    )
    if came_from == "scheduled":
        await shop.shows.change_state(made.id, "scheduled")
    await shop.shows.change_state(made.id, "rehearsal")
    return made.id


async def rehearsal_of(shop: Liveshop, show_id: ShowId) -> Rehearsal:
    async with shop.database.read() as conn:
        show = await shop.shows.visible(conn, show_id, builders.ALL_RIGHTS)
    assert show.rehearsal is not None
    return show.rehearsal


async def guest_of(shop: Liveshop, show_id: ShowId) -> ViewerId:
    return new_guest((await rehearsal_of(shop, show_id)).id)


async def bought(
    shop: Liveshop, guest: ViewerId, show_id: ShowId, variant_id: VariantId, **given: Any
) -> Order:
    await shop.carts.add_to_cart(guest, variant_id, 1, show_id)
    wish = await wish_of(shop, guest, **{"method": "rehearsal", "show_id": show_id} | given)
    return await shop.orders.place_order(guest, f"key {guest}", wish)


async def everything(shop: Liveshop) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    async with shop.database.read() as conn:
        for table in metadata.sorted_tables:
            rows = await conn.execute(sa.select(table).order_by(*table.primary_key))
            found[table.name] = [tuple(row) for row in rows]
    return found


def differing(
    before: dict[str, list[tuple[Any, ...]]], after: dict[str, list[tuple[Any, ...]]]
) -> dict[str, tuple[list[Any], list[Any]]]:
    """By table, the rows that are gone and those that are new."""
    found = {}
    for name, rows in before.items():
        gone = [row for row in rows if row not in after[name]]
        new = [row for row in after[name] if row not in rows]
        if gone or new:
            found[name] = (gone, new)
    return found
