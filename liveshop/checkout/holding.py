"""Turning lines of carts into holds, many at once, and giving holds back.

Everybody in a transaction takes his locks in one order: the order and its payment
(`orders.store.locked`), refunds, carts, stock, the rations of a customer (`orders.lock_rations`),
waitlist, promotions, the number of a new order; of each kind all at once, in one statement that
sorts them. Who knows a payment only, such as the reconciler, locks it before its refunds, and
nothing after them. A group of orders that has just been placed locks its payments last: nobody
else waits for them but with the order.

Whoever takes stock first lets those have theirs who wait for it, and the locks of `refreshed` last
until the commit, so that nobody overtakes the queue.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog import holds, waiting
from liveshop.catalog.holds import OutOfStock
from liveshop.catalog.model import StockTouched
from liveshop.catalog.store import available_by_variant
from liveshop.checkout import store, wire
from liveshop.checkout.model import CartLine
from liveshop.kernel.ids import (
    LineId,
    LocationId,
    OrderId,
    PlaceId,
    ShowId,
    VariantId,
    ViewerId,
)
from liveshop.kernel.rehearsals import shelf_of
from liveshop.promotions import claims
from liveshop.promotions.claims import Claim
from liveshop.promotions.prices import Prices
from liveshop.shows.service import room_of
from liveshop.storage import Tx

Turns = Mapping[tuple[ViewerId, VariantId], PlaceId]


@dataclass(frozen=True, slots=True)
class Need:
    """A line as it stands, and how many units it is to have from now on.

    `until`: when its hold ends if it begins now; None where its show is first paid, first served.
    """

    viewer_id: ViewerId
    line: CartLine
    quantity: int
    until: datetime | None

    @property
    def missing(self) -> int:
        """Units that are still to be taken."""
        had = self.line.quantity if self.line.is_held else 0
        return max(0, self.quantity - had)

    @property
    def goes_on(self) -> bool:
        """Whether the hold that there is stays, with its end."""
        return self.line.is_held and self.until is not None

    @property
    def ends_hold(self) -> bool:
        """Whether the hold that there is ends once the line has what it is to have."""
        return self.line.held > 0 and not self.goes_on

    @property
    def is_less(self) -> bool:
        return self.goes_on and self.quantity < self.line.quantity


class Shelf:
    """Takes and gives back stock for carts."""

    def __init__(self, *, waitlist_seconds: int) -> None:
        self._turn = timedelta(seconds=waitlist_seconds)

    async def refreshed(
        self, tx: Tx, variant_ids: Collection[VariantId] | None, now: datetime
    ) -> waiting.Refreshed:
        """Let those have what is free who wait for it, and tell them. Locks the variants."""
        found = await waiting.refresh(tx.conn, variant_ids, now, now + self._turn)
        if found.changed:
            tx.notify(StockTouched(tuple(found.changed)))
        by_room: dict[tuple[ShowId, VariantId], list[waiting.Served]] = {}
        for one in found.served:
            if one.show_id is not None:
                by_room.setdefault((one.show_id, one.variant_id), []).append(one)
        for (show_id, variant_id), served in by_room.items():
            moved = wire.WaitlistMoved(
                variant_id=variant_id,
                product_id=served[0].product_id,
                place_ids=[one.place_id for one in served],
            )
            tx.publish(room_of(show_id), "waitlist.moved", moved, at=now)
        return found

    async def hold_each(
        self, tx: Tx, needs: Sequence[Need], refreshed: waiting.Refreshed, now: datetime
    ) -> list[CartLine | OutOfStock]:
        """Each line as it stands then, or why it stays as it was, with what it holds; the first
        come first.

        `refreshed` is that of the lines' variants, in this transaction. Lines whose show is first
        paid, first served hold nothing, and want one unit to be there.
        """
        turns = await self._turns(tx.conn, needs, refreshed, now)
        refusals = await self._take(tx.conn, needs, turns, now)
        granted = [need for need, why in zip(needs, refusals, strict=True) if why is None]
        ended = [need for need in granted if need.ends_hold]
        if ended:
            await give_back(tx, [need.line.id for need in ended if need.until is None])
            await claims.release(tx.conn, [need.line.id for need in ended])
        answers: list[CartLine | OutOfStock] = []
        passed: dict[PlaceId, tuple[LineId, datetime]] = {}
        for need, refusal in zip(needs, refusals, strict=True):
            if refusal is not None:
                answers.append(_refused(need, refusal, turns))
                continue
            line = _held(need)
            answers.append(line)
            place_id = _turn_of(need, turns)
            if place_id is not None and line.held_until is not None:
                passed[place_id] = line.id, line.held_until
        for place_id, (line_id, until) in passed.items():
            await holds.hand_over(tx.conn, place_id, line_id, expires_at=until)
        if passed:
            await waiting.remove(tx.conn, list(passed))
        await self.tell(
            tx, (one for one in answers if isinstance(one, CartLine) and one.held_until)
        )
        # After everybody has had his share of what was free before: what is given back is for those
        # who wait.
        less = [need for need in granted if need.is_less]
        await holds.lessen(
            tx.conn, {need.line.id: (need.quantity, need.line.quantity) for need in less}
        )
        if less or ended:
            await self.refreshed(tx, {need.line.variant_id for need in (*less, *ended)}, now)
        return answers

    async def tell(self, tx: Tx, lines: Iterable[CartLine]) -> None:
        """Rooms hear that stock of these articles, and of the parts of bundles, has moved."""
        touched = {line.variant_id for line in lines}
        bundles = {line.variant_id for line in lines if line.article.pieces > 1}
        if bundles:
            touched |= await store.parts_of(tx.conn, bundles)
        if touched:
            tx.notify(StockTouched(tuple(touched)))

    async def _turns(
        self,
        conn: AsyncConnection,
        needs: Sequence[Need],
        refreshed: waiting.Refreshed,
        now: datetime,
    ) -> Turns:
        pairs = [
            (need.viewer_id, need.line.variant_id)
            for need in needs
            if need.missing and need.until and need.line.variant_id in refreshed.on_turn
        ]
        return await waiting.turns(conn, pairs, now) if pairs else {}

    async def _take(
        self, conn: AsyncConnection, needs: Sequence[Need], turns: Turns, now: datetime
    ) -> list[OutOfStock | None]:
        refusals: list[OutOfStock | None] = [None] * len(needs)
        wanted: dict[int, holds.Wanted] = {}
        instead: list[str] = []
        unheld: dict[int, Need] = {}
        for number, need in enumerate(needs):
            if need.until is None:
                unheld[number] = need
                continue
            until = need.line.held_until if need.goes_on else need.until
            units = need.missing - (1 if _turn_of(need, turns) else 0)
            if units or need.ends_hold:
                wanted[number] = holds.Wanted(
                    need.line.id, need.line.variant_id, units, until, shelf_of(need.viewer_id)
                )
            if need.ends_hold:
                instead.append(need.line.id)
        if wanted:
            taken = await holds.take_each(conn, list(wanted.values()), now, instead=instead)
            for number, refusal in zip(wanted, taken, strict=True):
                refusals[number] = refusal
        for shelf in {shelf_of(need.viewer_id) for need in unheld.values() if need.missing}:
            here = {n: need for n, need in unheld.items() if shelf_of(need.viewer_id) == shelf}
            asking = [need.line.variant_id for need in here.values() if need.missing]
            letting_go = [need.line.id for need in here.values() if need.ends_hold]
            free = await self._free_without(conn, letting_go, asking, now, shelf)
            for number, need in here.items():
                variant_id = need.line.variant_id
                if need.missing and not free[variant_id]:
                    refusals[number] = sold_out(variant_id, 0)
        return refusals

    async def _free_without(
        self,
        conn: AsyncConnection,
        owners: Sequence[str],
        variant_ids: Sequence[VariantId],
        now: datetime,
        rehearsal: LocationId | None,
    ) -> Mapping[VariantId, int]:
        """What would be available if these owners held nothing."""
        if not owners:
            return await available_by_variant(conn, variant_ids, now, rehearsal=rehearsal)
        trial = await conn.begin_nested()
        await holds.release(conn, owners)
        free = await available_by_variant(conn, variant_ids, now, rehearsal=rehearsal)
        # Who is refused keeps what he has, so nothing is given back before that is known.
        await trial.rollback()
        return free


def sold_out(variant_id: VariantId, available: int) -> OutOfStock:
    return OutOfStock(
        "This is sold out." if available == 0 else f"Only {available} left.",
        data={"variant_id": variant_id, "available": available},
    )


def _turn_of(need: Need, turns: Turns) -> PlaceId | None:
    return turns.get((need.viewer_id, need.line.variant_id)) if need.missing else None


def _refused(need: Need, refusal: OutOfStock, turns: Turns) -> OutOfStock:
    """Of what there is, this line has some itself."""
    own = need.line.quantity if need.line.is_held else 0
    own += 1 if _turn_of(need, turns) else 0
    return sold_out(need.line.variant_id, refusal.data["available"] + own)


def _held(need: Need) -> CartLine:
    line = need.line
    if need.until is None:
        return replace(line, quantity=need.quantity, held=0, held_until=None, extensions=0)
    return replace(
        line,
        quantity=need.quantity,
        held=need.quantity * line.article.pieces,
        held_until=line.held_until if need.goes_on else need.until,
        extensions=line.extensions if need.goes_on else 0,
    )


async def give_back(tx: Tx, owners: Sequence[str]) -> None:
    """Release what these lines or places hold, with what they claim. Their variants are locked."""
    if not owners:
        return
    changed = await holds.release(tx.conn, owners)
    await claims.release(tx.conn, owners)
    if changed:
        tx.notify(StockTouched(tuple(changed)))


async def claim(
    tx: Tx,
    prices: Prices,
    lines: Iterable[tuple[ViewerId, CartLine, frozenset[str]]],
    now: datetime,
    *,
    instead_of: OrderId | None = None,
) -> None:
    """Keep the prices of limited promotions for lines that hold their goods, as long as they do.

    `instead_of`: an order that came to nothing, which gives back what it used.
    """
    wanted = [
        Claim(
            owner=line.id,
            viewer_id=viewer_id,
            line=line.as_priced(),
            segments=segments,
            expires_at=line.held_until,
        )
        for viewer_id, line, segments in lines
        if line.held_until is not None
    ]
    if wanted or instead_of is not None:
        await claims.claim(tx.conn, prices, wanted, now, instead_of=instead_of)
