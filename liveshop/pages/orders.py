"""The buyer's page of an order, and its invoice: `/o/{token}`, without an account or JavaScript.

The address is the permission, so nothing of it may leak: no index, no referrer, no cache. Forms are
answered with the page itself where something is wrong, what was typed kept, else with a redirect,
so that loading again sends nothing twice.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args
from urllib.parse import parse_qsl

import msgspec
import segno
from aiohttp import web

from liveshop.catalog import locations
from liveshop.catalog.model import Location
from liveshop.kernel.errors import NotFound, RateLimited, ShopError
from liveshop.kernel.ids import OrderId
from liveshop.kernel.text import BadText
from liveshop.orders import (
    feedback,
    fulfilment_store,
    history,
    invoice_http,
    return_store,
    store,
    wire,
)
from liveshop.orders.feedback import FeedbackService
from liveshop.orders.invoices import Invoices, NoInvoice, asked_for, drawn
from liveshop.orders.model import (
    Actor,
    Feedback,
    Fulfilment,
    Order,
    OrderEvent,
    Return,
    ReturnReason,
    UnknownOrder,
    invoice_number,
)
from liveshop.orders.moments import Moment, MomentOf, no_moment
from liveshop.orders.returnable import ReturnableLine, ReturnRules, returnable
from liveshop.orders.returns import Returns
from liveshop.orders.status_link import order_id_of, token_of
from liveshop.orders.wording import Wording, address_lines, wordings, zone_of
from liveshop.pages.site import Pages
from liveshop.payments import refund_store
from liveshop.payments.model import Refund
from liveshop.settings import Settings
from liveshop.storage import Database
from liveshop.web import PUBLIC, Call, Endpoint, RateLimit, RateLimiter
from liveshop.web.server import TooLarge, read_body

_POSTS = RateLimit(burst=10, per_second=0.1)
_MAX_FORM_BYTES = 64 * 1024
_MAX_FORM_FIELDS = 500
_MAX_LINES = 10_000
_REASONS: tuple[str, ...] = get_args(ReturnReason)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_WAYS = {
    "ship_from_warehouse": ("opened", "shipped", "delivered"),
    "ship_from_store": ("opened", "shipped", "delivered"),
    "pickup_in_store": ("opened", "ready", "collected"),
    "ship_to_store": ("opened", "to_store", "ready", "collected"),
}
"""The steps a buyer is shown of each kind of fulfilment."""
_ENDED_EARLY = ("released", "cancelled")
_WITH_BUYER = ("delivered", "collected")
_LOOKS = {"open": "warn", "shipped": "accent", "ready": "accent", "ready_part": "accent"}


@dataclass(frozen=True, slots=True)
class _Seen:
    """An order with what became of it."""

    order: Order
    fulfilments: Sequence[Fulfilment]
    events: Sequence[OrderEvent]
    refunds: Sequence[Refund]
    returns: Sequence[Return]
    returnable: Sequence[ReturnableLine]
    feedback: Feedback | None
    places: Sequence[Location]
    moment: Moment | None

    @property
    def place(self) -> Location | None:
        return next((one for one in self.places if one.id == self.order.store_id), None)


@dataclass(frozen=True, slots=True)
class _Form:
    """A form that was sent: what was typed, and what is wrong with it. `name`: return, feedback."""

    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    about: str = ""
    """What the error is about, to be said with it, such as a product's title."""


class _Wrong(Exception):
    """A form that cannot be taken; `error` names the words for it."""

    def __init__(self, error: str, about: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.about = about


class OrderPages:
    """Make it before the loop runs: it reads files."""

    def __init__(
        self,
        pages: Pages,
        database: Database,
        settings: Settings,
        returns: Returns,
        answers: FeedbackService,
        invoices: Invoices,
        moment_of: MomentOf = no_moment,
    ) -> None:
        self._moment_of = moment_of
        self._pages = pages
        self._database = database
        self._settings = settings
        self._returns = returns
        self._answers = answers
        self._invoices = invoices
        self._rules = ReturnRules.of(settings)
        self._words = wordings(settings.shop.time_zone)
        self._posts = RateLimiter(_POSTS)

    def endpoints(self) -> list[Endpoint]:
        return [
            _endpoint("GET", "/o/{token}", self.status, "The buyer's page of an order"),
            _endpoint("GET", "/o/{token}/invoice", self.invoice, "Its invoice, to be printed"),
            _endpoint("POST", "/o/{token}/return", self.send_back, "The buyer sends goods back"),
            _endpoint("POST", "/o/{token}/feedback", self.answer, "The buyer's two answers"),
        ]

    async def status(self, call: Call) -> web.Response:
        order_id = self._order_id(call)
        said = call.request.query.get("said", "")
        return await self._page(call, order_id, said=said if said in ("return", "feedback") else "")

    async def invoice(self, call: Call) -> web.Response:
        nonce = secrets.token_urlsafe(12)
        try:
            html = await self._invoices.page(self._order_id(call), nonce)
        except NoInvoice as error:
            raise NotFound(error.detail) from error
        return invoice_http.response(html, nonce)

    async def send_back(self, call: Call) -> web.Response:
        async def act(order: Order, values: Mapping[str, str]) -> None:
            given = _return_input(values)
            await self._returns.request(order.id, given, Actor("buyer", order.viewer_id))

        return await self._posted(call, "return", act)

    async def answer(self, call: Call) -> web.Response:
        async def act(order: Order, values: Mapping[str, str]) -> None:
            given = wire.FeedbackInput(
                effort=_number(values.get("effort", ""), feedback.EFFORT_VALUES),
                satisfaction=_number(values.get("satisfaction", ""), feedback.SATISFACTION_VALUES),
                comment=values.get("comment", ""),
            )
            if given.effort is None and given.satisfaction is None:
                raise _Wrong("no_answer")
            await self._answers.give(order.id, given, Actor("buyer", order.viewer_id))

        return await self._posted(call, "feedback", act)

    async def _posted(self, call: Call, name: str, act: Any) -> web.Response:
        """Take a form, or show the page again with what is wrong with it."""
        order_id = self._order_id(call)
        values: dict[str, str] = {}
        try:
            self._posts.check(order_id, call.now.timestamp(), "Too often.")
            values = await _form(call.request)
            async with self._database.read() as conn:
                order = await store.by_id(conn, order_id)
            if order is None:
                raise UnknownOrder("There is no such order.")
            await act(order, values)
        except UnknownOrder:
            raise
        except _Wrong as wrong:
            form, status = _Form(name, values, wrong.error, wrong.about), 422
        except TooLarge as error:
            form, status = _Form(name, {}, "too_long"), error.status
        except RateLimited as error:
            form, status = _Form(name, values, "too_often"), error.status
        except BadText as error:
            form, status = _Form(name, values, "too_long"), error.status
        except ShopError as error:
            if error.retryable:
                raise
            form, status = _Form(name, values, error.code), error.status
        else:
            token = token_of(order_id, self._settings.server.secret)
            there = web.Response(status=303)
            there.headers["Location"] = f"/o/{token}?said={name}#{name}"
            return _private(there)
        return await self._page(call, order_id, form=form, status=status)

    def _order_id(self, call: Call) -> OrderId:
        order_id = order_id_of(call.params["token"], self._settings.server.secret)
        if order_id is None:
            raise UnknownOrder("There is no order at this address. Check that it is complete.")
        return order_id

    async def _seen(self, order_id: OrderId, now: datetime) -> _Seen:
        async with self._database.read() as conn:
            order = await store.by_id(conn, order_id)
            if order is None:
                raise UnknownOrder("There is no order at this address. Check that it is complete.")
            fulfilments = await fulfilment_store.of_order(conn, order_id)
            returns = await return_store.of_order(conn, order_id)
            return _Seen(
                order=order,
                fulfilments=fulfilments,
                events=await history.of_order(conn, order_id),
                refunds=(await refund_store.of_orders(conn, [order_id])).get(order_id, []),
                returns=returns,
                returnable=returnable(order, fulfilments, returns, rules=self._rules, now=now),
                feedback=await feedback.of_order(conn, order_id),
                places=await locations.locations_by_priority(conn),
                moment=await self._moment_of(conn, order),
            )

    async def _page(
        self,
        call: Call,
        order_id: OrderId,
        *,
        form: _Form | None = None,
        said: str = "",
        status: int = 200,
    ) -> web.Response:
        seen = await self._seen(order_id, call.now)
        words = self._words.get(seen.order.language, self._words["en"])
        response = self._pages.render(
            "order.html.j2",
            call.request,
            lang=words.language,
            status=status,
            token=call.params["token"],
            said=said,
            form=form or _Form(),
            words=words,
            company=self._settings.company,
            **_told(seen, words, call.now),
        )
        response.headers["Content-Security-Policy"] = _POLICY
        return _private(response)


def _endpoint(method: str, path: str, handler: Any, what: str) -> Endpoint:
    is_form = method == "POST"
    return Endpoint(
        method,
        path,
        handler,
        PUBLIC,
        what,
        "pages",
        raw=True,
        produces=("text/html",),
        consumes=("application/x-www-form-urlencoded",) if is_form else ("application/json",),
        documented=False,
        is_by_link=True,
    )


def _private(response: web.Response) -> web.Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _told(seen: _Seen, words: Wording, now: datetime) -> dict[str, Any]:
    """What the template shows."""
    order, place = seen.order, seen.place
    zone = zone_of(place) if place is not None else None
    ready = [one for one in seen.fulfilments if one.state == "ready"]
    kept = [one.collect_until for one in ready if one.collect_until is not None]
    promise = order.promise
    is_waiting = any(one.state in ("open", "shipped") for one in seen.fulfilments)
    to_pay = asked_for(order, seen.fulfilments, seen.returns)
    return {
        "order": order,
        "moment_url": seen.moment.url if seen.moment and not order.is_rehearsal else "",
        "headline": _headline(seen),
        "look": _look(seen),
        "is_sold_out": any(event.data.get("reason") == "sold_out" for event in seen.events),
        "promise": _promised(order, words, zone) if promise and is_waiting else "",
        "parcels": [_parcel(one, seen, words, zone) for one in seen.fulfilments],
        "place": place,
        "place_lines": address_lines(place.address) if place and place.address else [],
        "week": words.week(place, now) if place is not None else [],
        "pickup_code": order.pickup_code if ready or is_waiting else None,
        "pickup_picture": _picture(order.pickup_code) if ready and order.pickup_code else "",
        "kept_until": words.until(min(kept), zone) if kept else "",
        "placed_on": words.moment(order.placed_at),
        "to_pay": words.money(to_pay) if to_pay.amount > 0 else "",
        "has_invoice": not order.is_rehearsal
        and (order.state == "confirmed" or order.invoice_number is not None),
        "invoice_number": invoice_number(order),
        "country": words.country(order.address.country),
        "refunds": [one for one in seen.refunds if one.state != "failed"],
        "returns": seen.returns,
        "returnable": seen.returnable,
        "returnable_until": words.until(max(one.until for one in seen.returnable))
        if seen.returnable
        else "",
        "reasons": _REASONS,
        "stores": [one for one in seen.places if one.is_pickup],
        "may_answer": order.state == "confirmed" and not order.is_rehearsal,
        "asks_satisfaction": any(one.state in _WITH_BUYER for one in seen.fulfilments),
        "feedback": seen.feedback,
    }


def _headline(seen: _Seen) -> str:
    """The one thing to know now; the name of its words."""
    order = seen.order
    if order.is_rehearsal and order.state != "payment_failed":
        return "rehearsal"
    if order.state == "pending":
        is_action = order.payment.state == "action_required"
        return "action_required" if is_action else "pending"
    if order.state != "confirmed":
        return order.state
    states = {one.state for one in seen.fulfilments} - {"cancelled"}
    for state in ("ready", "open", "shipped"):
        if state in states:
            if state == "ready" and states & {"open", "shipped"}:
                return "ready_part"
            is_to_store = state == "shipped" and order.delivery == "pickup"
            return "open" if is_to_store else state
    if not states:
        return "open"
    return "released" if states == {"released"} else _arrived(order)


def _arrived(order: Order) -> str:
    return "collected" if order.delivery == "pickup" else "delivered"


def _look(seen: _Seen) -> str:
    head = _headline(seen)
    if head in ("delivered", "collected"):
        return "good"
    if head in ("payment_failed", "cancelled", "released"):
        return "bad"
    return _LOOKS.get(head, "warn")


def _promised(order: Order, words: Wording, zone: Any) -> str:
    assert order.promise is not None
    if order.delivery == "pickup":
        return words.ready(order.promise, zone)
    return words.days(order.promise)


def _parcel(one: Fulfilment, seen: _Seen, words: Wording, zone: Any) -> dict[str, Any]:
    """A fulfilment and its steps, done and to come."""
    moments = {"opened": seen.order.placed_at}
    for event in seen.events:
        if event.kind == "order.confirmed":
            moments["opened"] = event.at
        if event.data.get("fulfilment_id") == one.id:
            name = event.kind.removeprefix("fulfilment.")
            is_to_store = name == "shipped" and one.kind == "ship_to_store"
            moments["to_store" if is_to_store else name] = event.at
    steps = list(_WAYS[one.kind])
    if one.state in _ENDED_EARLY:
        steps = [*(step for step in steps if step in moments), one.state]
        moments.setdefault(one.state, one.updated_at)
    elif one.state == "collected":
        moments.setdefault("collected", one.updated_at)
    last = max((steps.index(step) for step in steps if step in moments), default=0)
    link = one.tracking if one.tracking and one.tracking.startswith("https://") else None
    return {
        "kind": one.kind,
        "state": one.state,
        "items": one.items,
        "carrier": one.carrier,
        "tracking": one.tracking,
        "tracking_link": link,
        "steps": [
            {
                "name": step,
                "at": words.moment(moments[step], zone) if step in moments else "",
                "iso": moments[step].isoformat() if step in moments else "",
                "is_done": number <= last,
                "is_bad": step in _ENDED_EARLY,
            }
            for number, step in enumerate(steps)
        ],
    }


def _picture(code: str) -> str:
    return drawn(segno.make(code, error="m", micro=False))


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form. Raises TooLarge, or _Wrong for what is none."""
    body = await read_body(request, _MAX_FORM_BYTES)
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FORM_FIELDS,
            errors="strict",
        )
    except ValueError as error:  # not ASCII, not UTF-8 inside, or too many fields
        raise _Wrong("unreadable") from error
    if any("\x00" in value for _, value in fields):
        raise _Wrong("unreadable")
    return dict(fields)


def _return_input(values: Mapping[str, str]) -> wire.ReturnInput:
    """Raises _Wrong."""
    lines = []
    for name in sorted(values, key=lambda one: (len(one), one)):
        position = name.removeprefix("quantity-")
        if position == name or not values[name].strip():
            continue
        number = _number(position, range(_MAX_LINES))
        if number is None:
            raise _Wrong("unreadable")
        quantity = _number(values[name], range(1001))
        if quantity is None:
            raise _Wrong("bad_quantity")
        if quantity:
            reason = values.get(f"reason-{position}", "")
            if not reason:
                raise _Wrong("no_reason")
            lines.append({"position": number, "quantity": quantity, "reason": reason})
    if not lines:
        raise _Wrong("nothing_chosen")
    if not values.get("kind"):
        raise _Wrong("no_kind")
    note = values.get("note", "").strip()
    given = {"kind": values["kind"], "lines": lines, "note": note or None}
    try:
        return msgspec.convert(given, wire.ReturnInput)
    except msgspec.ValidationError as error:
        raise _Wrong("too_long" if len(note) > 500 else "unreadable") from error


def _number(text: str, allowed: range) -> int | None:
    """None for no number, or one that is not allowed."""
    text = text.strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 4:
        return None
    return int(text) if int(text) in allowed else None
