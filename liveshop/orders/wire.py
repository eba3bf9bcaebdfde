"""Orders on the wire."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from liveshop.kernel.text import clean_line
from liveshop.orders import model
from liveshop.payments.model import PaymentState
from liveshop.web import MoneyOut, Wire

_Line = Annotated[str, Meta(min_length=1, max_length=120)]


class Address(Wire):
    name: _Line
    line1: _Line
    postal_code: Annotated[str, Meta(min_length=2, max_length=16)]
    city: _Line
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
    line2: Annotated[str, Meta(max_length=120)] | None = None

    def to_model(self) -> model.Address:
        """Cleaned; raises BadText with `data.field`."""

        def clean(name: str, value: str) -> str:
            return clean_line(value, max_length=120, field=f"address.{name}")

        return model.Address(
            name=clean("name", self.name),
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


class Payment(Wire):
    id: str
    method: str
    state: PaymentState
    reference: str | None
    message: str | None


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

    @classmethod
    def of(cls, order: model.Order) -> "Order":
        return cls(
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
            payment=Payment(
                id=order.payment.id,
                method=order.payment.method,
                state=order.payment.state,
                reference=order.payment.reference,
                message=order.payment.message,
            ),
            show_id=order.show_id,
        )


class OrderPage(Wire):
    orders: list[Order]
    next: str | None


class OrderQuery(Wire):
    show_id: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 30


class OrderPlaced(Wire):
    """`order.placed` in the room: a first name and a product, nothing more."""

    first_name: str
    product_id: str
    product_title: str


EVENTS: dict[str, type[Wire]] = {"order.placed": OrderPlaced}
