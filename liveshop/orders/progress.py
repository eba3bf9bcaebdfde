"""What became of orders, put together for those who look: their buyers, and staff.

A buyer sees neither the history, which names staff, nor what only a person of the shop can act on.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import FulfilmentId, LocationId, OrderId
from liveshop.orders import feedback, fulfilment_store, history, return_store, store, wire
from liveshop.orders.acting import is_by_hand
from liveshop.orders.credit import units_gone
from liveshop.orders.model import Fulfilment, Order, OrderEvent, Return, UnknownOrder
from liveshop.orders.moments import MomentOf, no_moment
from liveshop.orders.returnable import returnable
from liveshop.orders.returns import ReturnOf, Returns
from liveshop.orders.status_link import status_url
from liveshop.orders.worth import unit_worth
from liveshop.payments import refund_store
from liveshop.payments.model import Refund
from liveshop.payments.service import Payments
from liveshop.settings import Settings
from liveshop.storage import Database
from liveshop.web import MoneyOut


class Progress:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        payments: Payments,
        returns: Returns,
        moment_of: MomentOf = no_moment,
    ) -> None:
        self._moment_of = moment_of
        self._database = database
        self._clock = clock
        self._secret = settings.server.secret
        self._public_url = settings.public_url
        self._payments = payments
        self._returns = returns

    async def for_staff(self, order_id: OrderId, *, may_act: bool = True) -> wire.OrderProgress:
        """All of it; the buyer's link only for who may act for him. Raises UnknownOrder."""
        async with self._database.read() as conn:
            order = await _known(conn, order_id)
            events = await history.of_order(conn, order_id)
            return await self._of(conn, order, is_buyer=False, may_act=may_act, events=events)

    async def for_buyer(self, order_id: OrderId) -> wire.OrderProgress:
        """What its buyer may see; whether it is his, the caller knows. Raises UnknownOrder."""
        async with self._database.read() as conn:
            order = await _known(conn, order_id)
            return await self._of(conn, order, is_buyer=True, may_act=True, events=())

    async def fulfilments(self, query: wire.FulfilmentQuery) -> wire.Fulfilments:
        """A page of what there is to do, the oldest first."""
        async with self._database.read() as conn:
            found = await fulfilment_store.page(
                conn,
                state=query.state,
                kind=query.kind,
                store_id=LocationId(query.store_id) if query.store_id else None,
                location_id=LocationId(query.location_id) if query.location_id else None,
                after=FulfilmentId(query.cursor) if query.cursor else None,
                limit=query.limit + 1,
            )
            shown = found[: query.limit]
            orders = await store.by_ids(conn, {one.order_id for one in shown})
            places = await _places(conn, shown)
        return wire.Fulfilments(
            fulfilments=[_fulfilment(one, orders[one.order_id], places) for one in shown],
            next=shown[-1].id if len(found) > query.limit else None,
        )

    async def fulfilment(self, one: Fulfilment) -> wire.Fulfilment:
        async with self._database.read() as conn:
            order = await _known(conn, one.order_id)
            return _fulfilment(one, order, await _places(conn, [one]))

    async def _of(
        self,
        conn: AsyncConnection,
        order: Order,
        *,
        is_buyer: bool,
        may_act: bool,
        events: Sequence[OrderEvent],
    ) -> wire.OrderProgress:
        fulfilments = await fulfilment_store.of_order(conn, order.id)
        returns = await return_store.of_order(conn, order.id)
        refunds = (await refund_store.of_orders(conn, [order.id]))[order.id]
        places = await _places(conn, fulfilments, order.store_id)
        answered = await feedback.of_order(conn, order.id)
        may = returnable(
            order, fulfilments, returns, rules=self._returns.rules, now=self._clock.now()
        )
        gone = units_gone(order, fulfilments, returns)
        return wire.OrderProgress(
            order=wire.Order.of(order, is_buyer=is_buyer),
            store=places.get(order.store_id) if order.store_id else None,
            fulfilments=[_fulfilment(one, order, places) for one in fulfilments],
            refunds=[self._refund(one, order, is_buyer=is_buyer) for one in refunds],
            returns=[self._return(one, order, refunds, is_buyer=is_buyer) for one in returns],
            returnable=[
                wire.Returnable(
                    position=one.position,
                    title=order.lines[one.position].title,
                    values=list(order.lines[one.position].values),
                    quantity=one.quantity,
                    unit_refund=MoneyOut.of(
                        unit_worth(order.lines[one.position], gone.get(one.position, 0), 1)
                    ),
                )
                for one in may
            ],
            returnable_until=max((one.until for one in may), default=None),
            feedback=wire.Feedback.of(answered) if answered else None,
            status_url=(
                status_url(order.id, secret=self._secret, public_url=self._public_url)
                if may_act
                else None
            ),
            moment=(
                wire.OrderMoment(at=moment.at, url=moment.url)
                if (moment := await self._moment_of(conn, order))
                else None
            ),
            events=[_event(one) for one in events],
        )

    def _refund(self, one: Refund, order: Order, *, is_buyer: bool) -> wire.RefundOut:
        out = wire.RefundOut.of(one, is_by_hand=is_by_hand(self._payments, order))
        if is_buyer:
            # Staff's words to staff, and the provider's to us.
            out.note = out.message = None
        return out

    def _return(
        self, one: Return, order: Order, refunds: Sequence[Refund], *, is_buyer: bool
    ) -> wire.Return:
        refund = next((refund for refund in refunds if refund.id == one.refund_id), None)
        out = self._returns.out(ReturnOf(one, order, refund))
        if refund is not None:
            out.refund = self._refund(refund, order, is_buyer=is_buyer)
        return out


async def _known(conn: AsyncConnection, order_id: OrderId) -> Order:
    order = await store.by_id(conn, order_id)
    if order is None:
        raise UnknownOrder("There is no such order.")
    return order


async def _places(
    conn: AsyncConnection, fulfilments: Sequence[Fulfilment], store_id: LocationId | None = None
) -> dict[LocationId, str]:
    """The names of all places there is talk of."""
    wanted = {one.location_id for one in fulfilments}
    wanted |= {one.store_id for one in fulfilments if one.store_id is not None}
    if store_id is not None:
        wanted.add(store_id)
    return await fulfilment_store.names_of_places(conn, wanted) if wanted else {}


def _fulfilment(one: Fulfilment, order: Order, places: dict[LocationId, str]) -> wire.Fulfilment:
    return wire.Fulfilment(
        id=one.id,
        order_id=one.order_id,
        order_number=order.number,
        kind=one.kind,
        state=one.state,
        location_id=one.location_id,
        location=places.get(one.location_id, ""),
        store_id=one.store_id,
        store=places.get(one.store_id) if one.store_id else None,
        recipient=order.address.name,
        items=[
            wire.FulfilmentItem(
                position=item.position,
                variant_id=item.variant_id,
                pieces=item.pieces,
                title=item.title,
                sku=item.sku,
            )
            for item in one.items
        ],
        carrier=one.carrier,
        tracking=one.tracking,
        collect_until=one.collect_until,
        promise=wire.PromiseOut.of(order.promise) if order.promise else None,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _event(one: OrderEvent) -> wire.OrderEvent:
    return wire.OrderEvent(
        at=one.at,
        actor=one.actor.kind,
        actor_name=one.actor.name,
        kind=one.kind,
        data=dict(one.data),
        note=one.note,
    )
