"""Carts, quotes and the order form on the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta

from liveshop.catalog.wire import Image
from liveshop.checkout import model
from liveshop.orders.wire import Address, TaxLine
from liveshop.promotions.words import Reader, explanation_in_words
from liveshop.web import MoneyOut, Wire

Quantity = Annotated[int, Meta(ge=1, le=1000)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
LANGUAGES = ("en", "de")
Language = Literal["en", "de"]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]


class CartLine(Wire):
    id: str
    product_id: str
    variant_id: str
    title: str
    values: list[str]
    sku: str
    image: Image | None
    quantity: int
    unit_price: MoneyOut
    compare_at: MoneyOut | None
    total: MoneyOut
    hold: Literal["held", "lapsed"]
    held_until: datetime | None
    available: int
    show_id: str | None


class Cart(Wire):
    id: str
    currency: str
    lines: list[CartLine]
    subtotal: MoneyOut
    held_until: datetime | None
    at: Annotated[datetime, Meta(description="the server's time, to count down against")]

    @classmethod
    def of(cls, cart: model.Cart, *, images: Mapping[str, Image], now: datetime) -> "Cart":
        return cls(
            id=cart.id,
            currency=cart.currency,
            lines=[
                CartLine(
                    id=line.id,
                    product_id=line.product_id,
                    variant_id=line.variant_id,
                    title=line.title,
                    values=list(line.values),
                    sku=line.sku,
                    image=images.get(line.image_id) if line.image_id else None,
                    quantity=line.quantity,
                    unit_price=MoneyOut.of(line.unit_price),
                    compare_at=MoneyOut.of(line.compare_at) if line.compare_at else None,
                    total=MoneyOut.of(line.total),
                    hold=line.hold,
                    held_until=line.held_until,
                    available=line.available,
                    show_id=line.show_id,
                )
                for line in cart.lines
            ],
            subtotal=MoneyOut.of(cart.subtotal),
            held_until=cart.held_until,
            at=now,
        )


class LineInput(Wire):
    variant_id: Id
    quantity: Quantity = 1
    show_id: Id | None = None


class QuantityInput(Wire):
    quantity: Quantity


class QuoteInput(Wire):
    country: Country
    language: Language = "en"


class QuoteLine(Wire):
    line_id: str
    variant_id: str
    title: str
    quantity: int
    unit_price: MoneyOut
    total: MoneyOut


class QuoteStep(Wire):
    """One step of the way to the total: the amounts of all steps add up to it."""

    text: str
    amount: MoneyOut


class Quote(Wire):
    lines: list[QuoteLine]
    explanation: list[QuoteStep]
    subtotal: MoneyOut
    shipping: MoneyOut
    taxes: Annotated[list[TaxLine], Meta(description="included in the prices")]
    total: MoneyOut
    country: str
    at: datetime

    @classmethod
    def of(cls, quote: model.Quote, now: datetime, language: str) -> "Quote":
        reader = Reader(language, UTC, now)
        return cls(
            explanation=[
                QuoteStep(text=step.text, amount=MoneyOut.of(step.amount))
                for step in explanation_in_words(quote.priced, reader)
            ],
            lines=[
                QuoteLine(
                    line_id=line.id,
                    variant_id=line.variant_id,
                    title=line.title,
                    quantity=line.quantity,
                    unit_price=MoneyOut.of(line.unit_price),
                    total=MoneyOut.of(line.total),
                )
                for line in quote.lines
            ],
            subtotal=MoneyOut.of(quote.subtotal),
            shipping=MoneyOut.of(quote.shipping),
            taxes=[TaxLine.of(line) for line in quote.taxes],
            total=MoneyOut.of(quote.total),
            country=quote.country,
            at=now,
        )


class PaymentInput(Wire):
    method: Annotated[str, Meta(min_length=1, max_length=30)]
    card_number: Annotated[str, Meta(max_length=30, description="sandbox only")] | None = None


class ExpectedLine(Wire):
    variant_id: Id
    quantity: Quantity


class OrderInput(Wire):
    expected_total: Annotated[MoneyOut, Meta(description="the total the screen showed")]
    email: Annotated[str, Meta(min_length=3, max_length=254)]
    address: Address
    payment: PaymentInput
    show_id: Id | None = None
    language: Language = "en"
    expected_lines: (
        Annotated[
            list[ExpectedLine],
            Meta(max_length=200, description="the articles the screen showed; null: not compared"),
        ]
        | None
    ) = None


class ShippingCountry(Wire):
    code: str
    shipping: MoneyOut


class PaymentMethodChoice(Wire):
    id: str
    test: bool


class Shop(Wire):
    name: str
    currency: str
    languages: list[str]
    countries: list[ShippingCountry]
    payment_methods: list[PaymentMethodChoice]
    hold_seconds: int
    reminders: bool
    demo: bool
