"""The letters a buyer gets about an order: one for each event of its history that he hears of.

Written by a job of the outbox from what the order is when it runs: a letter that would no longer be
true (ready, and collected meanwhile) is not written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from liveshop.catalog import locations
from liveshop.catalog.model import Location
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import LocationId, OrderId, RefundId, ReturnId, ViewerId
from liveshop.kernel.money import Money, total
from liveshop.mail.model import CODE_PICTURE, Letter
from liveshop.mail.sending import MailRoom
from liveshop.orders import fulfilment_store, history, return_store, store
from liveshop.orders.invoices import Invoices, asked_for
from liveshop.orders.model import Fulfilment, Order, OrderEvent, Return, invoice_number
from liveshop.orders.moments import Moment, MomentOf, no_moment
from liveshop.orders.status_link import status_url
from liveshop.orders.templating import Templates
from liveshop.orders.wording import (
    Wording,
    address_lines,
    buyer_lines,
    iban_in_groups,
    wordings,
    zone_of,
)
from liveshop.payments import refund_store
from liveshop.payments.model import Refund
from liveshop.settings import Settings
from liveshop.storage import Database, Tx

TOPIC = history.TOPIC
_BACK_BY = {"invoice": "back.transfer", "at_pickup": "back.store"}
_COMING = frozenset({"open", "shipped"})


@dataclass(frozen=True, slots=True)
class _About:
    """All that a letter may be about."""

    event: OrderEvent
    order: Order
    fulfilments: Sequence[Fulfilment]
    refunds: Sequence[Refund]
    returns: Sequence[Return]
    places: Mapping[LocationId, Location]
    words: Wording
    moment: Moment | None
    now: datetime

    def fulfilment(self) -> Fulfilment | None:
        wanted = self.event.data.get("fulfilment_id")
        return next((one for one in self.fulfilments if one.id == wanted), None)

    def refund(self) -> Refund | None:
        wanted = RefundId(str(self.event.data.get("refund_id")))
        return next((one for one in self.refunds if one.id == wanted), None)

    def return_(self) -> Return | None:
        wanted = ReturnId(str(self.event.data.get("return_id")))
        return next((one for one in self.returns if one.id == wanted), None)

    def store(self) -> Location | None:
        return self.places.get(self.order.store_id) if self.order.store_id else None


class Letters:
    """`letter_job` is the handler of `TOPIC`. Make it before the loop runs: it reads files."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        mail_room: MailRoom,
        invoices: Invoices,
        moment_of: MomentOf = no_moment,
    ) -> None:
        self._moment_of = moment_of
        self._database = database
        self._clock = clock
        self._settings = settings
        self._mail_room = mail_room
        self._invoices = invoices
        self._templates = Templates.load()
        self._words = wordings(settings.shop.time_zone)
        self._writers = {
            "order.confirmed": self._confirmed,
            "order.cancelled": self._cancelled,
            "fulfilment.ready": self._ready,
            "fulfilment.shipped": self._shipped,
            "fulfilment.delivered": self._delivered,
            "fulfilment.collected": self._collected,
            "fulfilment.released": self._released,
            "refund.done": self._refund,
            "return.received": self._received,
            "return.refused": self._refused,
        }

    async def letter_job(self, payload: dict[str, Any]) -> None:
        """Write the letter of an event, once however often it is called.

        Nothing is locked while it is made, which takes far longer than to write it down.
        """
        event_id = payload["event_id"]
        now = self._clock.now()
        about = await self._about(event_id, now)
        if about is None:
            return
        order = about.order
        is_new = about.event.kind == "order.confirmed" and order.state == "confirmed"
        if is_new and order.invoice_number is None:
            async with self._database.write() as tx:
                locked = await store.locked(tx.conn, order.id)
                assert locked is not None, "an order is never deleted"
                if locked.state == "confirmed":
                    locked = await self._invoices.numbered(tx, locked, now)
            about = replace(about, order=locked)
        letter = await asyncio.to_thread(self._writers[about.event.kind], about)
        if letter is not None:
            async with self._database.write() as tx:
                await self._mail_room.write(tx, letter, f"letter {event_id}", now)

    async def forget(self, tx: Tx, viewer_id: str) -> None:
        """A viewer is erased: so are the mails about his orders."""
        await self._mail_room.forget(tx, await store.ids_of_viewer(tx.conn, ViewerId(viewer_id)))

    async def _about(self, event_id: str, now: datetime) -> _About | None:
        """None for an event no letter is written of."""
        async with self._database.read() as conn:
            event = await history.by_id(conn, event_id)
            if event is None or event.kind not in self._writers:
                return None
            order = await store.by_id(conn, event.order_id)
            if order is None:
                return None
            order_ids: list[OrderId] = [order.id]
            listed = await locations.locations_by_priority(conn) if order.store_id else []
            return _About(
                event=event,
                order=order,
                fulfilments=await fulfilment_store.of_order(conn, order.id),
                refunds=(await refund_store.of_orders(conn, order_ids)).get(order.id, ()),
                returns=await return_store.of_order(conn, order.id),
                places={one.id: one for one in listed},
                words=self._words.get(order.language, self._words["en"]),
                moment=await self._moment_of(conn, order),
                now=now,
            )

    # One for each kind of event; None: nothing (more) to tell.

    def _confirmed(self, about: _About) -> Letter | None:
        order, words = about.order, about.words
        if order.state != "confirmed":
            return None
        return self._letter(
            about,
            "order.confirmed",
            "confirmed",
            address_lines=buyer_lines(order.address, words),
            steps=[
                {"text": step.text, "amount": words.step(step.amount)} for step in order.explanation
            ],
            total=words.money(order.total),
            pay=self._pay(about),
            invoice=invoice_number(order),
        )

    def _cancelled(self, about: _About) -> Letter | None:
        return self._letter(
            about,
            "order.cancelled",
            "cancelled",
            back=self._back_or_nothing(about, {"cancelled", "late"}),
        )

    def _ready(self, about: _About) -> Letter | None:
        one = about.fulfilment()
        if one is None or one.state != "ready" or about.store() is None:
            return None
        owed = asked_for(about.order, about.fulfilments, about.returns)
        is_owed = about.order.payment.method == "at_pickup" and owed.amount > 0
        pay = self._say(about, "pay.at_pickup", amount=about.words.money(owed))
        return self._letter(
            about,
            "fulfilment.ready",
            "ready",
            code=about.order.pickup_code,
            fulfilment=one,
            items=_items(about.order, one),
            to_pay=pay if is_owed else "",
            is_rest=_is_rest(about, one),
        )

    def _shipped(self, about: _About) -> Letter | None:
        one = about.fulfilment()
        if one is None or one.store_id is not None:
            return None  # what goes to a store is told when it is there
        return self._letter(
            about,
            "fulfilment.shipped",
            "shipped",
            fulfilment=one,
            items=_items(about.order, one),
            address_lines=buyer_lines(about.order.address, about.words),
            is_rest=_is_rest(about, one),
        )

    def _delivered(self, about: _About) -> Letter | None:
        one = about.fulfilment()
        if one is None:
            return None
        return self._letter(
            about, "fulfilment.delivered", "delivered", items=_items(about.order, one)
        )

    def _collected(self, about: _About) -> Letter | None:
        one = about.fulfilment()
        if one is None or about.store() is None:
            return None
        return self._letter(
            about, "fulfilment.collected", "collected", items=_items(about.order, one)
        )

    def _released(self, about: _About) -> Letter | None:
        one = about.fulfilment()
        if one is None or about.store() is None:
            return None
        return self._letter(
            about,
            "fulfilment.released",
            "released",
            items=_items(about.order, one),
            back=self._back_or_nothing(about, {"not_collected"}),
        )

    def _refund(self, about: _About) -> Letter | None:
        one = about.refund()
        if one is None or one.state == "failed":
            return None
        return self._letter(
            about,
            "refund",
            "refund",
            amount=about.words.money(one.amount),
        )

    def _received(self, about: _About) -> Letter | None:
        one = about.return_()
        if one is None:
            return None
        owed = next((refund for refund in about.refunds if refund.id == one.refund_id), None)
        return self._letter(
            about,
            "return.received",
            "received",
            items=_returned(about.order, one),
            note=about.event.note or "",
            back=self._back(about, owed.amount) if owed is not None else "",
            is_nothing=one.credit is None or one.credit.total.amount == 0,
        )

    def _refused(self, about: _About) -> Letter | None:
        one = about.return_()
        if one is None:
            return None
        return self._letter(
            about,
            "return.refused",
            "refused",
            items=_returned(about.order, one),
            note=about.event.note or "",
        )

    def _letter(
        self, about: _About, template: str, name: str, *, code: str | None = None, **data: Any
    ) -> Letter:
        """`name`: of the words for its subject."""
        order, language = about.order, about.words.language
        place = about.store()
        subject = self._say(about, f"{name}.subject", number=order.number)
        data |= {
            "order": order,
            "subject": subject,
            "words": about.words,
            "now": about.now,
            "shop": self._settings.shop.name,
            "company": _company(self._settings, self._templates, language),
            "status_url": self._status_url(order),
            "moment_url": about.moment.url if about.moment else "",
            "lines": _lines(order, about.words),
            "store": place,
            "store_zone": zone_of(place) if place is not None else None,
            "store_lines": _place_lines(place),
            "code_picture": CODE_PICTURE,
        }
        return Letter(
            kind=about.event.kind,
            recipient=order.email,
            language=language,
            subject=subject,
            text=self._templates.plain(template, language, **data),
            html=self._templates.page(template, language, **data),
            order_id=order.id,
            code=code,
        )

    def _say(self, about: _About, key: str, **values: Any) -> str:
        return self._templates.line(key, about.words.language, **values)

    def _status_url(self, order: Order) -> str:
        return status_url(
            order.id,
            secret=self._settings.server.secret,
            public_url=self._settings.public_url,
        )

    def _pay(self, about: _About) -> str:
        """How the order is paid, in a sentence."""
        order = about.order
        if order.payment.state in ("paid", "processing"):
            return self._say(about, f"pay.{order.payment.state}")
        owed = asked_for(order, about.fulfilments, about.returns)
        if owed.amount <= 0:
            return ""
        amount = about.words.money(owed)
        if order.payment.method == "at_pickup":
            return self._say(about, "pay.at_pickup", amount=amount)
        if order.payment.method != "invoice":
            return self._say(about, "pay.later")
        company = self._settings.company
        reference = invoice_number(order) or order.number
        if not company.iban:
            return self._say(about, "pay.invoice", amount=amount, reference=reference)
        return self._say(
            about,
            "pay.invoice_account",
            amount=amount,
            reference=reference,
            iban=iban_in_groups(company.iban),
            holder=company.name or self._settings.shop.name,
        )

    def _back(self, about: _About, amount: Money) -> str:
        key = _BACK_BY.get(about.order.payment.method, "back.card")
        return self._say(about, key, amount=about.words.money(amount))

    def _back_or_nothing(self, about: _About, causes: set[str]) -> str:
        """What goes back for this event; that nothing was charged, where that is so."""
        payment = about.order.payment
        back = total(
            (
                one.amount
                for one in about.refunds
                if one.cause in causes
                and one.state != "failed"
                and one.created_at >= about.event.at
            ),
            payment.amount.currency,
        )
        if back.amount > 0:
            return self._back(about, back)
        return self._say(about, "back.none") if payment.captured == 0 else ""


def _is_rest(about: _About, one: Fulfilment) -> bool:
    """Whether the buyer still waits for more than this."""
    return any(other.id != one.id and other.state in _COMING for other in about.fulfilments)


def _lines(order: Order, words: Wording) -> list[dict[str, Any]]:
    return [
        {
            "quantity": line.quantity,
            "title": line.title,
            "detail": ", ".join(line.values),
            "amount": words.money(line.total),
        }
        for line in order.lines
    ]


def _items(order: Order, one: Fulfilment) -> list[dict[str, Any]]:
    rows = []
    for item in one.items:
        line = order.lines[item.position]
        is_part = item.variant_id != line.variant_id
        detail = line.title if is_part else ", ".join(line.values)
        rows.append({"quantity": item.pieces, "title": item.title, "detail": detail, "amount": ""})
    return rows


def _returned(order: Order, one: Return) -> list[dict[str, Any]]:
    return [
        {
            "quantity": line.quantity,
            "title": order.lines[line.position].title,
            "detail": ", ".join(order.lines[line.position].values),
            "amount": "",
        }
        for line in one.lines
    ]


def _place_lines(place: Location | None) -> list[str]:
    if place is None:
        return []
    return [place.name, *(address_lines(place.address) if place.address else [])]


def _company(settings: Settings, templates: Templates, language: str) -> dict[str, Any]:
    given = settings.company
    vat = templates.line("vat_id", language, number=given.vat_id) if given.vat_id else ""
    lines = [*given.address, given.email, given.phone, given.register, vat]
    return {"name": given.name or settings.shop.name, "lines": [line for line in lines if line]}
