"""Group commit of orders: what is placed at the same moment shares one transaction.

As with what is put into carts (see `reserve`), the next group gathers while one is being written,
and a wish that comes alone is written at once. Who can be refused by looking is refused before
anything is written. Who turns out later to get nothing is left out, and the others begin anew; he
is then looked at alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from liveshop.catalog import holds
from liveshop.catalog.shelves import Shelf
from liveshop.checkout import model, store
from liveshop.checkout.groups import one_each, together_or_alone
from liveshop.checkout.holding import Need
from liveshop.checkout.model import CartLine
from liveshop.checkout.offers import Answers, Asked, Offer, Offers
from liveshop.checkout.service import CartService
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import ShopError
from liveshop.kernel.ids import PaymentId, new_code, new_id
from liveshop.kernel.rehearsals import shelf_of
from liveshop.orders import store as orders
from liveshop.orders.model import Order, OrderLine, OrderStep, Promise
from liveshop.payments.model import Payment
from liveshop.payments.service import Payments
from liveshop.promotions import claims
from liveshop.promotions.words import explanation_in_words
from liveshop.storage import Database, Together, Tx

_AT_MOST = 64


class _Spoiled(Exception):
    """Some of a group turn out to be refused after something was written for them."""

    def __init__(self, errors: Mapping[int, ShopError]) -> None:
        super().__init__(sorted(errors))
        self.errors = errors


class _AllAnswered(Exception):
    """There is nothing to write."""


class Placing:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        carts: CartService,
        payments: Payments,
        *,
        payment_hold: timedelta,
        unclear: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._carts = carts
        self._deliveries = carts.deliveries
        self._payments = payments
        self._payment_hold = payment_hold
        self._unclear = unclear
        self._offers = Offers(carts, payments)
        self._groups = Together(self._answer, at_most=_AT_MOST)

    async def ask(self, asked: Asked) -> Order:
        """Everything the order is made of, and its stock, or nothing; with a key that was used, the
        order as it is.

        Raises what `PlaceOrder.place` raises before anybody is asked for money; UsedUp.
        """
        return await self._groups.ask(asked)

    async def _answer(self, asked: Sequence[Asked]) -> list[Order | Exception]:
        """Two wishes of one customer are in two transactions: the second counts the first."""
        return await one_each(
            self._each, asked, lambda one: (one.viewer_id, one.wish.email.casefold())
        )

    async def _each(self, group: Sequence[Asked]) -> list[Order | Exception]:
        return await together_or_alone(self._write, group)

    async def _write(self, group: Sequence[Asked]) -> list[Order | Exception]:
        answers: Answers = {}
        try:
            async with self._database.write() as tx:
                await self._write_down(tx, group, answers)
        except _AllAnswered:
            pass
        except _Spoiled as spoiled:
            if len(group) == 1:
                return [spoiled.errors[0]]
            return await self._without(group, spoiled.errors)
        return [answers[number] for number in range(len(group))]

    async def _without(
        self, group: Sequence[Asked], alone: Collection[int]
    ) -> list[Order | Exception]:
        """The same, with these of them in transactions of their own."""
        others = [number for number in range(len(group)) if number not in alone]
        told: Answers = {}
        if others:
            together = await self._each([group[number] for number in others])
            told |= dict(zip(others, together, strict=True))
        for number in sorted(alone):
            [told[number]] = await self._each([group[number]])
        return [told[number] for number in range(len(group))]

    async def _write_down(self, tx: Tx, group: Sequence[Asked], answers: Answers) -> None:
        """Raises _AllAnswered, _Spoiled; nothing may be kept then."""
        now = self._clock.now()
        await store.lock(tx.conn, [one.viewer_id for one in group], now)
        await self._same_again(tx, group, answers)
        offers = await self._offers.look(tx, group, answers, now)
        if not offers:
            raise _AllAnswered
        offers = await self._hold(tx, offers, answers, now)
        if not offers:
            raise _AllAnswered
        promises = await self._take(tx, offers, now)
        await self._use_promotions(tx, offers, now)
        numbers = await _numbers(tx, offers)
        new: list[orders.New] = []
        for number, offer in offers.items():
            order = self._order(offer, numbers[number], promises[number], now)
            new.append(orders.New(order, offer.asked.key, offer.wish.digest()))
            answers[number] = order
        await orders.add_all(tx.conn, new)
        await store.clear(tx.conn, [offer.cart.id for offer in offers.values()])

    async def _same_again(self, tx: Tx, group: Sequence[Asked], answers: Answers) -> None:
        """What was placed before stands, or refuses another wish under its key."""
        known = await orders.by_keys(tx.conn, {one.viewer_id: one.key for one in group})
        if not known:
            return
        before = await orders.by_ids(tx.conn, [order_id for order_id, _ in known.values()])
        for number, one in enumerate(group):
            if one.viewer_id not in known:
                continue
            order_id, digest = known[one.viewer_id]
            answers[number] = before[order_id]
            if digest != one.wish.digest():
                answers[number] = model.IdempotencyKeyReused(
                    "This Idempotency-Key belongs to another order. Use a new one."
                )

    # Taking

    async def _hold(
        self, tx: Tx, offers: Mapping[int, Offer], answers: Answers, now: datetime
    ) -> dict[int, Offer]:
        """What was held for nobody is held from now on, the first come first, all that one buyer
        misses or none; those who have everything. Raises _Spoiled."""
        needs: list[tuple[int, Need]] = []
        for number, offer in offers.items():
            withdrawn = next((one for one in offer.missing if not one.article.is_for_sale), None)
            if withdrawn is not None:
                answers[number] = holds.OutOfStock(
                    f"{withdrawn.article.item.title} is not sold any more. Remove it from the "
                    "cart.",
                    data={"variant_id": withdrawn.variant_id, "available": 0},
                )
                continue
            # Who pays also takes what its show holds for nobody before.
            terms = self._carts.carts.terms
            for line in offer.missing:
                wanted = replace(line, terms=terms)
                need = Need(offer.cart.viewer_id, wanted, line.quantity, terms.until(now))
                needs.append((number, need))
        if needs:
            shelf = self._carts.carts.shelf
            refreshed = await shelf.refreshed(tx, {one.line.variant_id for _, one in needs}, now)
            ended = await shelf.hold_each(tx, [one for _, one in needs], refreshed, now)
            granted = {
                number
                for (number, _), one in zip(needs, ended, strict=True)
                if isinstance(one, CartLine)
            }
            refused: dict[int, ShopError] = {}
            for (number, _), one in zip(needs, ended, strict=True):
                if not isinstance(one, CartLine):
                    refused.setdefault(number, one)
            if granted & refused.keys():
                raise _Spoiled({number: refused[number] for number in granted & refused.keys()})
            answers |= refused
        return {number: offer for number, offer in offers.items() if number not in answers}

    async def _take(
        self, tx: Tx, offers: Mapping[int, Offer], now: datetime
    ) -> dict[int, Promise | None]:
        """Everything in the carts is held for the orders, and lies where it can be delivered from;
        when it is there. Raises _Spoiled."""
        taken = await holds.hand_over_each(
            tx.conn,
            {line.id: offer.order_id for offer in offers.values() for line in offer.cart.lines},
            expires_at=now + self._payment_hold,
        )
        promises: dict[int, Promise | None] = {}
        refused: dict[int, ShopError] = {}
        for number, offer in offers.items():
            try:
                promises[number] = await self._promise(
                    tx, offer, taken.get(offer.order_id, {}), now
                )
            except ShopError as error:
                refused[number] = error
        if refused:
            raise _Spoiled(refused)
        return promises

    async def _promise(
        self, tx: Tx, offer: Offer, taken: Mapping[Shelf, int], now: datetime
    ) -> Promise | None:
        """Raises OutOfStock, CannotCollect, PromiseChanged."""
        lines, way, wish = offer.cart.lines, offer.way, offer.wish
        if sum(taken.values()) != sum(line.quantity * line.article.pieces for line in lines):
            # An order without its stock would be a promise nobody can keep.
            raise holds.OutOfStock(
                "Your reservation has just run out. Please look at your cart again.",
                data={"variant_id": lines[0].variant_id, "available": 0},
            )
        placed = await self._deliveries.arrange(tx.conn, offer.order_id, way, taken)
        if placed is None:
            # What others held too long may lie on just the right shelf.
            await self._carts.carts.shelf.refreshed(tx, {line.variant_id for line in lines}, now)
            placed = await self._deliveries.arrange(tx.conn, offer.order_id, way, taken)
        if placed is None:
            raise await self._deliveries.out_of_reach(
                tx.conn,
                [line.as_priced() for line in lines],
                offer.order_id,
                way,
                wish.language,
                now,
                shelf_of(offer.cart.viewer_id),
            )
        promise = self._deliveries.promise_at_placing(way, placed, now, wish.expected_until)
        if _is_later(promise, wish.expected_until):
            raise model.PromiseChanged(
                "It would come later than your screen showed. Please look again.",
                data=await self._offers.told(tx, offer, now, [offer.order_id]),
            )
        return promise

    async def _use_promotions(self, tx: Tx, offers: Mapping[int, Offer], now: datetime) -> None:
        """Raises _Spoiled where a promotion went in the meantime."""
        ids = {one for offer in offers.values() for one in offer.quote.priced.used}
        await claims.lock(tx.conn, ids)
        claimed: list[str] = []
        refused: dict[int, ShopError] = {}
        for number, offer in offers.items():
            owners = [line.id for line in offer.cart.lines]
            if not offer.quote.priced.used:
                claimed += owners
                continue
            try:
                await claims.record_uses(
                    tx.conn,
                    self._carts.carts.prices,
                    order_id=offer.order_id,
                    viewer_id=offer.cart.viewer_id,
                    email=offer.wish.email,
                    used=offer.quote.priced.used,
                    owners=owners,
                    now=now,
                )
            except ShopError as error:
                refused[number] = error
        if refused:
            raise _Spoiled(refused)
        await claims.release(tx.conn, claimed)

    def _order(
        self, offer: Offer, order_number: str, promise: Promise | None, now: datetime
    ) -> Order:
        wish, quote, way = offer.wish, offer.quote, offer.way
        reader = self._carts.carts.reader(wish.language, now)
        return Order(
            id=offer.order_id,
            number=order_number,
            state="pending",
            viewer_id=quote.cart.viewer_id,
            show_id=wish.show_id,
            placed_at=now,
            email=wish.email,
            address=wish.address,
            language=wish.language,
            lines=tuple(
                OrderLine(
                    variant_id=line.variant_id,
                    product_id=line.product_id,
                    title=line.article.item.title,
                    values=line.article.values,
                    sku=line.article.sku,
                    quantity=line.quantity,
                    unit_price=costs.unit_price,
                    total=costs.total,
                    payable=costs.payable,
                    show_id=line.show_id,
                )
                for line, costs in zip(quote.lines, quote.priced.lines, strict=True)
            ),
            subtotal=quote.subtotal,
            shipping=quote.shipping,
            taxes=quote.taxes,
            tax_added=quote.tax_added,
            total=quote.total,
            explanation=tuple(
                OrderStep(step.text, step.amount)
                for step in explanation_in_words(quote.priced, reader)
            ),
            payment=Payment(
                id=PaymentId(new_id("pay", now)),
                order_id=offer.order_id,
                method=wish.method,
                state="pending",
                amount=quote.total,
                reference=None,
                message=None,
                created_at=now,
                capture=self._payments.capture_of(wish.method),
                check_at=now + self._unclear,
            ),
            delivery=way.kind,
            store_id=way.store_id,
            pickup_code=new_code() if way.is_collected and not way.is_rehearsed else None,
            promise=promise,
        )


async def _numbers(tx: Tx, offers: Mapping[int, Offer]) -> dict[int, str]:
    found: dict[int, str] = {}
    for in_rehearsal in (False, True):
        these = [n for n, offer in offers.items() if offer.way.is_rehearsed == in_rehearsal]
        if these:
            numbers = await orders.next_numbers(tx.conn, len(these), in_rehearsal=in_rehearsal)
            found |= dict(zip(these, numbers, strict=True))
    return found


def _is_later(promise: Promise | None, shown_until: datetime | None) -> bool:
    """Whether this is less than the buyer was shown."""
    return shown_until is not None and (promise is None or promise.until > shown_until)
