"""Orders on the wire."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from liveshop.kernel.text import clean_line
from liveshop.orders import model
from liveshop.payments import model as payments
from liveshop.payments.model import Capture, Delivery, PaymentState, RefundCause, RefundState
from liveshop.web import MoneyOut, Wire

_Line = Annotated[str, Meta(min_length=1, max_length=120)]


class Address(Wire):
    """Who collects in a store need only give a name and the store's country."""

    name: _Line
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
    line1: Annotated[str, Meta(max_length=120)] = ""
    postal_code: Annotated[str, Meta(max_length=16)] = ""
    city: Annotated[str, Meta(max_length=120)] = ""
    line2: Annotated[str, Meta(max_length=120)] | None = None

    def to_model(self, *, is_whole: bool = True) -> model.Address:
        """Cleaned; raises BadText with `data.field`, also for what is missing where it must be
        `whole`.
        """

        def clean(name: str, value: str, *, empty: bool = not is_whole) -> str:
            return clean_line(value, max_length=120, field=f"address.{name}", empty=empty)

        return model.Address(
            name=clean("name", self.name, empty=False),
            line1=clean("line1", self.line1),
            line2=clean("line2", self.line2) if self.line2 and self.line2.strip() else None,
            postal_code=clean("postal_code", self.postal_code),
            city=clean("city", self.city),
            country=self.country,
        )


class TaxLine(Wire):
    included: Annotated[bool, Meta(description="inside the prices; else on top of them")]
    rate: Annotated[str, Meta(description="per cent, such as 19.0", examples=["19.0"])]
    basis: MoneyOut
    amount: MoneyOut

    @classmethod
    def of(cls, line: model.TaxLine) -> "TaxLine":
        return cls(
            included=line.is_included,
            rate=f"{line.rate_permille / 10:.1f}",
            basis=MoneyOut.of(line.basis),
            amount=MoneyOut.of(line.amount),
        )


class OrderLine(Wire):
    variant_id: str
    product_id: str
    title: str
    values: list[str]
    sku: str
    quantity: int
    unit_price: MoneyOut
    total: MoneyOut
    payable: Annotated[MoneyOut, Meta(description="after its share of the order's discounts")]


class OrderStep(Wire):
    """One step of the way to the total, in the buyer's words."""

    text: str
    amount: MoneyOut


class ClientStep(Wire):
    """What the player needs to let the buyer confirm the payment; only in answers to the buyer."""

    secret: str
    options: dict[str, str]


class Payment(Wire):
    id: str
    method: str
    state: PaymentState
    reference: str | None
    message: str | None
    amount: MoneyOut
    capture: Capture
    captured: MoneyOut
    refunded: Annotated[MoneyOut, Meta(description="refunds that have not failed, arrived or not")]
    expires_at: Annotated[datetime | None, Meta(description="until then the buyer may do his part")]
    problem: Annotated[str | None, Meta(description="what a person has to look at; staff only")]
    dispute: Annotated[str | None, Meta(description="staff only")]
    client: ClientStep | None = None

    @classmethod
    def of(
        cls, payment: payments.Payment, client: ClientStep | None = None, *, is_buyer: bool = False
    ) -> "Payment":
        currency = payment.amount.currency
        return cls(
            id=payment.id,
            method=payment.method,
            state=payment.state,
            reference=payment.reference,
            message=payment.message,
            amount=MoneyOut.of(payment.amount),
            capture=payment.capture,
            captured=MoneyOut(amount=payment.captured, currency=currency),
            refunded=MoneyOut(amount=payment.refunded, currency=currency),
            expires_at=payment.expires_at,
            problem=None if is_buyer else payment.problem,
            dispute=None if is_buyer else payment.dispute,
            client=client,
        )


class PromiseOut(Wire):
    """There, or ready in the store: not before, and not after."""

    from_: Annotated[datetime, Meta(description="on the wire `from`")] = msgspec.field(name="from")
    until: datetime

    @classmethod
    def of(cls, promise: model.Promise) -> "PromiseOut":
        return cls(from_=promise.from_, until=promise.until)


class Order(Wire):
    id: str
    number: str
    state: model.OrderState
    placed_at: datetime
    email: str
    address: Address
    lines: list[OrderLine]
    subtotal: MoneyOut
    shipping: MoneyOut
    taxes: list[TaxLine]
    tax_added: MoneyOut
    total: MoneyOut
    explanation: list[OrderStep]
    payment: Payment
    show_id: str | None
    language: str
    delivery: Delivery
    store_id: str | None
    pickup_code: Annotated[str | None, Meta(description="to be shown in the store; buyer only")]
    promise: PromiseOut | None
    invoice_number: str | None
    is_rehearsal: Annotated[bool, Meta(description="nothing was sold; gone with the rehearsal")]

    @classmethod
    def of(
        cls, order: model.Order, client: ClientStep | None = None, *, is_buyer: bool = False
    ) -> "Order":
        return cls(
            language=order.language,
            delivery=order.delivery,
            store_id=order.store_id,
            pickup_code=order.pickup_code if is_buyer else None,
            promise=PromiseOut.of(order.promise) if order.promise else None,
            invoice_number=model.invoice_number(order),
            is_rehearsal=order.is_rehearsal,
            id=order.id,
            number=order.number,
            state=order.state,
            placed_at=order.placed_at,
            email=order.email,
            address=msgspec.convert(order.address, Address, from_attributes=True),
            lines=[
                OrderLine(
                    variant_id=line.variant_id,
                    product_id=line.product_id,
                    title=line.title,
                    values=list(line.values),
                    sku=line.sku,
                    quantity=line.quantity,
                    unit_price=MoneyOut.of(line.unit_price),
                    total=MoneyOut.of(line.total),
                    payable=MoneyOut.of(line.payable),
                )
                for line in order.lines
            ],
            subtotal=MoneyOut.of(order.subtotal),
            shipping=MoneyOut.of(order.shipping),
            taxes=[TaxLine.of(line) for line in order.taxes],
            tax_added=MoneyOut.of(order.tax_added),
            total=MoneyOut.of(order.total),
            explanation=[
                OrderStep(text=step.text, amount=MoneyOut.of(step.amount))
                for step in order.explanation
            ],
            payment=Payment.of(order.payment, client, is_buyer=is_buyer),
            show_id=order.show_id,
        )


class OrderPage(Wire):
    """`fulfilments`: the states of each order's, by its id; an order without any is not in it."""

    orders: list[Order]
    next: str | None
    fulfilments: dict[str, list[model.FulfilmentState]] = msgspec.field(default_factory=dict)


class OrderQuery(Wire):
    """`q` finds an order number, an e-mail address or its beginning, part of a name, a SKU, or a
    pickup code."""

    show_id: str | None = None
    q: Annotated[str, Meta(max_length=120)] | None = None
    state: model.OrderState | None = None
    payment: PaymentState | None = None
    delivery: Delivery | None = None
    fulfilment: model.FulfilmentState | None = None
    store_id: str | None = None
    since: Annotated[datetime, Meta(tz=True, description="placed at or after")] | None = None
    before: Annotated[datetime, Meta(tz=True, description="placed before")] | None = None
    rehearsal: Annotated[bool, Meta(description="those of rehearsals instead")] = False
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 30


# What became of an order


class FulfilmentItem(Wire):
    position: int
    variant_id: str
    pieces: int
    title: str
    sku: str


class Fulfilment(Wire):
    id: str
    order_id: str
    order_number: str
    kind: model.FulfilmentKind
    state: model.FulfilmentState
    location_id: str
    location: Annotated[str, Meta(description="its name")]
    store_id: str | None
    store: str | None
    recipient: Annotated[str, Meta(description="the buyer's name")]
    items: list[FulfilmentItem]
    carrier: str | None
    tracking: str | None
    collect_until: datetime | None
    promise: PromiseOut | None
    created_at: datetime
    updated_at: datetime


class Fulfilments(Wire):
    fulfilments: list[Fulfilment]
    next: str | None = None


class FulfilmentQuery(Wire):
    state: model.FulfilmentState | None = None
    kind: model.FulfilmentKind | None = None
    store_id: str | None = None
    location_id: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class ShipInput(Wire):
    carrier: Annotated[str, Meta(max_length=60)] | None = None
    tracking: Annotated[str, Meta(max_length=120)] | None = None


class NoteInput(Wire):
    """Why, for the order's history."""

    note: Annotated[str, Meta(max_length=500)] | None = None


class RefundOut(Wire):
    id: str
    state: RefundState
    amount: MoneyOut
    cause: RefundCause
    note: str | None
    message: str | None
    created_at: datetime
    by_hand: Annotated[bool, Meta(description="no provider pays it back: staff does, and says so")]

    @classmethod
    def of(cls, refund: payments.Refund, *, is_by_hand: bool) -> "RefundOut":
        return cls(
            id=refund.id,
            state=refund.state,
            amount=MoneyOut.of(refund.amount),
            cause=refund.cause,
            note=refund.note,
            message=refund.message,
            created_at=refund.created_at,
            by_hand=is_by_hand,
        )


class RefundInput(Wire):
    amount: MoneyOut
    note: Annotated[str, Meta(min_length=1, max_length=500)]


class ReturnLine(Wire):
    position: int
    title: str
    sku: str
    quantity: int
    reason: model.ReturnReason
    note: str | None
    accepted: int | None
    restocked: int | None


class Return(Wire):
    id: str
    order_id: str
    order_number: str
    kind: model.ReturnKind
    state: model.ReturnState
    location_id: str | None
    note: str | None
    lines: list[ReturnLine]
    worth: Annotated[
        MoneyOut | None,
        Meta(description="by the inspection: refunded, or taken off what is still to be paid"),
    ]
    deduction: MoneyOut | None
    refund: RefundOut | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, one: model.Return, order: model.Order, refund: RefundOut | None) -> "Return":
        return cls(
            id=one.id,
            order_id=one.order_id,
            order_number=order.number,
            kind=one.kind,
            state=one.state,
            location_id=one.location_id,
            note=one.note,
            lines=[
                ReturnLine(
                    position=line.position,
                    title=order.lines[line.position].title,
                    sku=order.lines[line.position].sku,
                    quantity=line.quantity,
                    reason=line.reason,
                    note=line.note,
                    accepted=line.accepted,
                    restocked=line.restocked,
                )
                for line in one.lines
            ],
            worth=MoneyOut.of(one.credit.total) if one.credit else None,
            deduction=MoneyOut.of(one.credit.deduction) if one.credit else None,
            refund=refund,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )


class Returns(Wire):
    returns: list[Return]
    next: str | None = None


class ReturnQuery(Wire):
    state: model.ReturnState | None = None
    order_id: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class ReturnLineInput(Wire):
    position: Annotated[int, Meta(ge=0, description="of the order's line, from 0")]
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    reason: model.ReturnReason
    note: Annotated[str, Meta(max_length=500)] | None = None


class ReturnInput(Wire):
    kind: model.ReturnKind
    lines: Annotated[list[ReturnLineInput], Meta(min_length=1, max_length=200)]
    note: Annotated[str, Meta(max_length=500)] | None = None


class InspectedLine(Wire):
    """So many of the line are refunded, so many of these go back to where they can be sold."""

    position: Annotated[int, Meta(ge=0)]
    accepted: Annotated[int, Meta(ge=0, le=1000)]
    restocked: Annotated[int, Meta(ge=0, le=1000)]


class InspectionInput(Wire):
    location_id: Annotated[str, Meta(min_length=1, max_length=40)]
    lines: Annotated[list[InspectedLine], Meta(min_length=1, max_length=200)]
    refund_shipping: bool = False
    deduction: Annotated[MoneyOut | None, Meta(description="kept back for wear; needs a note")] = (
        None
    )
    note: Annotated[str, Meta(max_length=500)] | None = None


class Returnable(Wire):
    """How many units of a line may still be sent back, and what one is worth."""

    position: int
    title: str
    values: list[str]
    quantity: int
    unit_refund: MoneyOut


class OrderEvent(Wire):
    at: datetime
    actor: Literal["buyer", "staff", "system", "provider"]
    actor_name: str | None
    kind: str
    data: dict[str, str | int | bool | None]
    note: str | None


class FeedbackInput(Wire):
    effort: Annotated[int, Meta(ge=1, le=7, description="7: very easy")] | None = None
    satisfaction: Annotated[int, Meta(ge=1, le=5, description="5: very satisfied")] | None = None
    comment: Annotated[str, Meta(max_length=1000)] | None = None


class Feedback(Wire):
    effort: int | None
    satisfaction: int | None
    comment: str | None
    at: datetime

    @classmethod
    def of(cls, given: model.Feedback) -> "Feedback":
        return cls(
            effort=given.effort,
            satisfaction=given.satisfaction,
            comment=given.comment,
            at=given.at,
        )


class FeedbackQuery(Wire):
    since: Annotated[datetime | None, Meta(description="answered at or after")] = None


class FeedbackNumbers(Wire):
    """Answers to one question. A mean of few answers says little: `count` is always told."""

    count: int
    mean: Annotated[float | None, Meta(description="null without an answer")]
    distribution: Annotated[list[int], Meta(description="answers by value, from 1")]


class FeedbackSummary(Wire):
    """`effort`: 1 very hard to 7 very easy (CES 2.0). `satisfaction`: 1 to 5 (CSAT)."""

    count: Annotated[int, Meta(description="orders with any answer")]
    effort: FeedbackNumbers
    satisfaction: FeedbackNumbers
    satisfied: Annotated[
        float | None, Meta(description="the share of 4 and 5 among the answers, 0 to 1")
    ]
    comments: int


class OrderMoment(Wire):
    """`url` plays the show from the moment the order came about."""

    at: datetime
    url: str


class OrderProgress(Wire):
    """What became of an order: `events` for staff only (empty for the buyer)."""

    order: Order
    store: Annotated[str | None, Meta(description="the store's name, where the buyer collects")]
    fulfilments: list[Fulfilment]
    refunds: list[RefundOut]
    returns: list[Return]
    returnable: list[Returnable]
    returnable_until: datetime | None
    feedback: Feedback | None
    status_url: Annotated[
        str | None,
        Meta(
            description="the buyer's page of this order; whoever has it acts as the buyer, so it "
            "is null for who may only read"
        ),
    ]
    moment: Annotated[
        OrderMoment | None, Meta(description="null while the show cannot be watched again")
    ]
    events: list[OrderEvent]


class PickupItem(Wire):
    fulfilment_id: str
    position: int
    variant_id: str
    pieces: int
    title: str
    sku: str
    state: model.FulfilmentState
    is_here: Annotated[bool, Meta(description="lies ready in the store that asks")]


class Pickup(Wire):
    """What staff sees who has scanned a pickup code."""

    order_id: str
    order_number: str
    name: str
    store_id: str
    store: str
    items: list[PickupItem]
    to_pay: Annotated[MoneyOut | None, Meta(description="to be paid before it is handed over")]
    collected_at: Annotated[datetime | None, Meta(description="when all of it was; null: not yet")]


class PickupQuery(Wire):
    store_id: Annotated[str | None, Meta(description="the store that asks; null: any")] = None


class HandedOver(Wire):
    fulfilment_id: str
    position: int
    variant_id: str
    pieces: Annotated[int, Meta(ge=1, le=1000)]


class CollectInput(Wire):
    """`items` null: all that is ready. `paid`: the money was taken at the till just now."""

    items: Annotated[list[HandedOver], Meta(min_length=1, max_length=200)] | None = None
    paid: bool = False
    store_id: Annotated[str | None, Meta(description="where it is handed over")] = None


class OrderPlaced(Wire):
    """`order.placed` in the room: a first name and a product, nothing more."""

    first_name: str
    product_id: str
    product_title: str


EVENTS: dict[str, type[Wire]] = {"order.placed": OrderPlaced}
