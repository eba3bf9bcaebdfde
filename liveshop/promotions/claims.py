"""Who has a limited price for now: claimed by the lines of carts, used up by orders.

A claim lives as long as the hold of its line. Without it a limited price would be promised to
everybody who looks, and refused to most of them when they pay.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.ids import OrderId, ViewerId
from liveshop.promotions import claim_store, store
from liveshop.promotions.model import (
    Line,
    Promotion,
    PromotionId,
    UsedUp,
    covers,
    may_have,
    uses_up,
)
from liveshop.promotions.prices import Prices
from liveshop.promotions.pricing import Context, price_cart


@dataclass(frozen=True, slots=True)
class Claim:
    """What a line of a cart would have, until its hold ends. `owner` is the id of the line."""

    owner: str
    viewer_id: ViewerId
    line: Line
    segments: frozenset[str]
    expires_at: datetime


async def claim(
    conn: AsyncConnection,
    prices: Prices,
    claims: Sequence[Claim],
    now: datetime,
    *,
    instead_of: OrderId | None = None,
) -> None:
    """Claim what is left of limited prices for these lines, the first first; what their owners
    had claimed before is given up for it.

    Only promotions with a total limit, per unit, that need no code. One statement where there are
    none for these lines. The caller has locked their stock.

    `instead_of`: an order that came to nothing, whose uses are given back before. Both need locks,
    which are taken together: one after the other they would not be in order.
    """
    used = set() if instead_of is None else await claim_store.used_in(conn, instead_of)
    if not claims and not used:
        return
    owners = [one.owner for one in claims]
    context = await prices.context(conn, now=now, owners=owners)
    limited = _limited(context, claims)
    if not limited and not used:
        return
    await claim_store.lock_rows(conn, limited | used)
    if instead_of is not None and used:
        await claim_store.give_back(conn, instead_of)
    if not limited:
        return
    if used or conn.dialect.name == "postgresql":
        # Others may have claimed while we waited.
        context = await prices.context(conn, now=now, owners=owners)
        limited &= _limited(context, claims)
    rationed = {one.id for one in context.promotions if one.limit.per_customer is not None}
    viewers = {one.viewer_id for one in claims}
    taken = await claim_store.taken_by(conn, rationed, viewers, now=now, without=owners)
    rows = []
    for one, promotion_id, units in _allotted(claims, context, limited, taken):
        rows.append(
            {
                "promotion_id": promotion_id,
                "owner": one.owner,
                "viewer_id": one.viewer_id,
                "units": units,
                "expires_at": one.expires_at,
            }
        )
    await claim_store.replace_claims(conn, owners, rows)


def _limited(context: Context, claims: Sequence[Claim]) -> set[PromotionId]:
    return {
        one.id
        for one in context.promotions
        if one.limit.total is not None
        and one.level == "line"
        and any(
            covers(one.products, wanted.line.item) and uses_up(wanted.viewer_id, one.id)
            for wanted in claims
        )
    }


def _allotted(
    claims: Sequence[Claim],
    context: Context,
    limited: Collection[PromotionId],
    taken: Mapping[tuple[PromotionId, ViewerId], int],
) -> list[tuple[Claim, PromotionId, int]]:
    """How many units each line gets of each promotion, as the price function says.

    `taken`: what each viewer has of those that are rationed. One that is rationed and not limited
    is never claimed, but where it is used up for a viewer, a limited one comes in its place.
    """
    promotions: dict[PromotionId, Promotion] = {one.id: one for one in context.promotions}
    by_viewer = dict(taken)
    found = []
    for one in claims:
        if one.line.item.price.currency != context.currency:
            continue
        asked = replace(
            context,
            segments=one.segments,
            promotions=[
                promotion
                for promotion in promotions.values()
                if may_have(one.viewer_id, promotion.id)
            ],
            used_by_customer={
                id_: units
                for (id_, viewer_id), units in by_viewer.items()
                if viewer_id == one.viewer_id
            },
        )
        for id_, units in price_cart([one.line], asked).used.items():
            if id_ not in limited or not uses_up(one.viewer_id, id_):
                continue
            found.append((one, id_, units))
            promotions[id_] = replace(promotions[id_], used=promotions[id_].used + units)
            key = (id_, one.viewer_id)
            by_viewer[key] = by_viewer.get(key, 0) + units
    return found


async def release(conn: AsyncConnection, owners: Collection[str]) -> None:
    """Give up everything these owners claimed."""
    await claim_store.replace_claims(conn, owners, [])


async def extend(conn: AsyncConnection, owners: Mapping[str, datetime]) -> None:
    """Let the claims of each owner end at this moment, as its hold does."""
    await claim_store.extend_claims(conn, owners)


async def sweep(conn: AsyncConnection, now: datetime) -> None:
    """Forget claims that have lapsed; nobody counts them any more."""
    await claim_store.delete_lapsed_claims(conn, now)


async def lock(conn: AsyncConnection, promotion_ids: Collection[PromotionId]) -> None:
    """From here to the commit nobody else claims or uses any of these. For who records the uses of
    several orders, all at once."""
    await claim_store.lock_rows(conn, promotion_ids)


async def record_uses(
    conn: AsyncConnection,
    prices: Prices,
    *,
    order_id: OrderId,
    viewer_id: ViewerId,
    email: str,
    used: Mapping[PromotionId, int],
    owners: Collection[str],
    now: datetime,
) -> None:
    """An order uses up what it was priced with, and the claims of its lines are done. One of a
    rehearsal uses up nothing that is real.

    Raises UsedUp where others have used or claimed it in the meantime, or this customer in another
    order; the transaction must then roll back.
    """
    ids = sorted(id_ for id_ in used if uses_up(viewer_id, id_))
    if ids:
        await claim_store.lock_rows(conn, ids)
        gone = await store.gone(conn, prices.definitions, ids, now=now, owners=owners)
        rationed = [one.id for one in gone if one.limit.per_customer is not None]
        uses = await claim_store.uses_of(conn, rationed, viewer_ids=[viewer_id], emails=[email])
        had = claim_store.used_by(uses, viewer_id, email)
        for one in gone:
            _check_left(one, used[one.id], had.get(one.id, 0))
        for id_ in ids:
            if not await claim_store.use_up(conn, id_, used[id_]):
                raise _used_up(id_)
        await claim_store.add_uses(
            conn,
            order_id=order_id,
            viewer_id=viewer_id,
            email=email,
            used={id_: used[id_] for id_ in ids},
            now=now,
        )
    await claim_store.replace_claims(conn, owners, [])


def _check_left(promotion: Promotion, units: int, had: int) -> None:
    total, per_customer = promotion.limit.total, promotion.limit.per_customer
    if total is not None and promotion.used + units > total:
        raise _used_up(promotion.id)
    if per_customer is not None and had + units > per_customer:
        raise _used_up(promotion.id)


def _used_up(promotion_id: PromotionId) -> UsedUp:
    return UsedUp(
        "Somebody else was faster: a discount in this order is used up. Look at the new total.",
        data={"promotion_id": promotion_id},
    )


async def give_back_uses(conn: AsyncConnection, order_id: OrderId) -> None:
    """The order came to nothing. Done twice it gives back once."""
    await claim_store.lock_rows(conn, await claim_store.used_in(conn, order_id))
    await claim_store.give_back(conn, order_id)
