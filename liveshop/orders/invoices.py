"""Invoices: numbered once, one after another without a gap, and printed from what the order says.

The number is taken when an order is confirmed (in the letter's job) or when somebody opens the
invoice, whichever comes first; the counter's row stays locked until that commits, so that a number
that was taken is used. Refunds are listed on the invoice with what they are for. They are not
credit notes with numbers of their own: an order's lines do not say their tax rate, so what part of
a refund is which tax can only be said by people who keep the books.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import segno
import sqlalchemy as sa
from segno import helpers

from liveshop.catalog import locations
from liveshop.kernel.clock import Clock
from liveshop.kernel.errors import Conflict
from liveshop.kernel.ids import OrderId
from liveshop.kernel.money import Money
from liveshop.orders import fulfilment_store, overdue, return_store, store
from liveshop.orders.model import Fulfilment, Order, Return, UnknownOrder, invoice_number
from liveshop.orders.tables import order_counter, shop_order
from liveshop.orders.templating import Templates
from liveshop.orders.wording import Wording, buyer_lines, iban_in_groups, wordings
from liveshop.payments import refund_store
from liveshop.payments.model import Refund
from liveshop.settings import Settings
from liveshop.storage import Database, Tx, insert

_COUNTER = 2
_GONE = frozenset({"shipped", "delivered", "collected"})
_MAX_EPC_CENTS = 99_999_999_999


class NoInvoice(Conflict):
    """Nothing was sold, or not yet; `data.state` is the order's."""

    code = "no_invoice"


@dataclass(frozen=True, slots=True)
class _Sold:
    """An order with all that its invoice says."""

    order: Order
    fulfilments: list[Fulfilment]
    refunds: list[Refund]
    returns: list[Return]
    store_name: str | None


class Invoices:
    """Make it before the loop runs: it reads files."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._templates = Templates.load()
        self._words: Mapping[str, Wording] = wordings(settings.shop.time_zone)

    async def numbered(self, tx: Tx, order: Order, now: datetime) -> Order:
        """The order with its invoice number, taken now unless it has one. The order is locked
        (`store.locked`) by whoever calls.
        """
        if order.invoice_number is not None:
            return order
        year = self._words["en"].year_of(now)
        counted = insert(tx.conn, order_counter).values(id=_COUNTER, last_number=1)
        counted = counted.on_conflict_do_update(
            index_elements=["id"], set_={"last_number": order_counter.c.last_number + 1}
        )
        number = (
            await tx.conn.execute(counted.returning(order_counter.c.last_number))
        ).scalar_one()
        await tx.conn.execute(
            sa.update(shop_order)
            .where(shop_order.c.id == order.id)
            .values(invoice_number=number, invoiced_at=now, invoice_year=year)
        )
        return replace(order, invoice_number=number, invoiced_at=now, invoice_year=year)

    async def page(self, order_id: OrderId, nonce: str) -> str:
        """The invoice as HTML to be printed on A4; its style needs `nonce`. Raises UnknownOrder,
        NoInvoice.
        """
        sold = await self._sold(order_id)
        if sold.order.invoice_number is None:
            await self._number(order_id)
            sold = await self._sold(order_id)
        words = self._words.get(sold.order.language, self._words["en"])
        data = self._data(sold, words)
        return self._templates.page("invoice", words.language, nonce=nonce, **data)

    async def _number(self, order_id: OrderId) -> None:
        now = self._clock.now()
        async with self._database.write() as tx:
            order = await store.locked(tx.conn, order_id)
            if order is None:
                raise UnknownOrder("There is no such order.")
            if order.is_rehearsal:
                raise NoInvoice(
                    "There is no invoice for this order: it was placed in a rehearsal, and nothing "
                    "was sold."
                )
            if order.invoice_number is None and order.state != "confirmed":
                raise NoInvoice(
                    "There is no invoice for this order: nothing was sold.",
                    data={"state": order.state},
                )
            await self.numbered(tx, order, now)

    async def _sold(self, order_id: OrderId) -> _Sold:
        async with self._database.read() as conn:
            order = await store.by_id(conn, order_id)
            if order is None:
                raise UnknownOrder("There is no such order.")
            places = await locations.locations_by_priority(conn) if order.store_id else []
            return _Sold(
                order=order,
                fulfilments=await fulfilment_store.of_order(conn, order_id),
                refunds=(await refund_store.of_orders(conn, [order_id])).get(order_id, []),
                returns=await return_store.of_order(conn, order_id),
                store_name=next((one.name for one in places if one.id == order.store_id), None),
            )

    def _data(self, sold: _Sold, words: Wording) -> dict[str, Any]:
        order, company = sold.order, self._settings.company
        seller = company.name or self._settings.shop.name
        to_pay = asked_for(order, sold.fulfilments, sold.returns)
        number = invoice_number(order)
        assert order.invoiced_at is not None
        return {
            "order": order,
            "words": words,
            "company": company,
            "seller": seller,
            "iban": iban_in_groups(company.iban),
            "number": number,
            "invoiced_on": words.date_of(order.invoiced_at),
            "ordered_on": words.date_of(order.placed_at),
            "supplied": _supplied(sold, words),
            "address": buyer_lines(order.address, words),
            "store_name": sold.store_name,
            "refunds": [
                {
                    "on": words.date_of(one.created_at),
                    "cause": one.cause,
                    "is_done": one.state == "done",
                    "amount": words.money(one.amount * -1),
                }
                for one in sold.refunds
                if one.state != "failed"
            ],
            "to_pay": words.money(to_pay) if to_pay.amount > 0 else "",
            "transfer_code": self._transfer_code(order, to_pay, seller, number or order.number),
        }

    def _transfer_code(self, order: Order, to_pay: Money, seller: str, number: str) -> str:
        """A QR code that banking apps fill a transfer from (EPC069-12), as SVG; empty where there
        is nothing to transfer or it cannot say it.
        """
        company = self._settings.company
        if (
            order.payment.method != "invoice"
            or not company.iban
            or to_pay.currency != "EUR"
            or not 0 < to_pay.amount <= _MAX_EPC_CENTS
        ):
            return ""
        code = helpers.make_epc_qr(
            name=seller[:70],
            iban=company.iban.replace(" ", ""),
            bic=company.bic or None,
            amount=to_pay.amount / 100,
            text=number,
        )
        return drawn(code)


def drawn(code: segno.QRCode) -> str:
    """A QR code as inline SVG, as large as its box, dark on light whatever is around it."""
    return code.svg_inline(
        border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )


def asked_for(order: Order, fulfilments: Sequence[Fulfilment], returns: Sequence[Return]) -> Money:
    """What the buyer is asked to pay now, on his invoice, in his mails and on his page: what the
    till would ask for, and nothing for an order that is paid, or does not stand."""
    if order.state != "confirmed" or order.payment.state != "authorised":
        return Money(0, order.total.currency)
    return overdue.to_pay(order, fulfilments, returns)


def _supplied(sold: _Sold, words: Wording) -> str:
    """The day of the supply: when the goods left, or were handed over; the last of several. Empty
    while some are still here.
    """
    going = [one for one in sold.fulfilments if one.state not in ("cancelled", "released")]
    if not going or not all(_is_gone(one) for one in going):
        return ""
    return words.date_of(max(one.updated_at for one in going))


def _is_gone(one: Fulfilment) -> bool:
    """What goes to a store is supplied when it is collected there."""
    return one.state in _GONE and (one.store_id is None or one.state == "collected")
