"""Carts, quotes and the order form on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from liveshop.catalog import waiting
from liveshop.catalog.wire import Image, PriceTier
from liveshop.checkout import model
from liveshop.kernel.ids import LineId
from liveshop.orders.wire import Address, Order, PromiseOut, TaxLine
from liveshop.payments.model import Delivery
from liveshop.promotions.model import MAX_CODE_LENGTH, Promotion, PromotionId
from liveshop.promotions.priced import Priced, PricedLine, Reason
from liveshop.promotions.words import Reader, explanation_in_words
from liveshop.web import MoneyOut, Wire

Quantity = Annotated[int, Meta(ge=1, le=1000)]
Id = Annotated[str, Meta(min_length=1, max_length=40)]
LANGUAGES = ("en", "de")
Language = Literal["en", "de"]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]


@dataclass(frozen=True, slots=True)
class Room:
    """How much others have left of a line's article, and how much of it the line may have."""

    available: int
    max_quantity: int


class Discount(Wire):
    """What a promotion takes off; `amount` is below zero. `texts`: its name by language."""

    promotion_id: str
    texts: dict[str, str]
    units: int
    amount: MoneyOut


class CartLine(Wire):
    """`list_price` is without promotions, `unit_price` that of the first unit with them; `total`
    is after the line's discounts. `hold` is `none` where the show is first paid, first served.
    `available` is what others have left: it does not count what this line holds.
    """

    id: str
    product_id: str
    variant_id: str
    title: str
    values: list[str]
    sku: str
    image: Image | None
    quantity: int
    list_price: MoneyOut
    unit_price: MoneyOut
    tier: PriceTier | None
    discounts: list[Discount]
    total: MoneyOut
    hold: Literal["held", "lapsed", "none"]
    held_until: datetime | None
    can_extend: bool
    available: int
    max_quantity: int
    show_id: str | None

    @classmethod
    def of(
        cls,
        line: model.CartLine,
        costs: PricedLine,
        named: Mapping[PromotionId, Promotion],
        *,
        image: Image | None,
        room: Room,
        can_extend: bool,
    ) -> "CartLine":
        tier = costs.tier
        return cls(
            id=line.id,
            product_id=line.product_id,
            variant_id=line.variant_id,
            title=line.article.item.title,
            values=list(line.article.values),
            sku=line.article.sku,
            image=image,
            quantity=line.quantity,
            list_price=MoneyOut.of(costs.list_price),
            unit_price=MoneyOut.of(costs.unit_price),
            tier=PriceTier(tier.min_quantity, MoneyOut.of(tier.price)) if tier else None,
            discounts=[
                Discount(
                    promotion_id=one.promotion_id,
                    texts=dict(named[one.promotion_id].texts),
                    units=one.units,
                    amount=MoneyOut.of(one.amount * -1),
                )
                for one in costs.discounts
            ],
            total=MoneyOut.of(costs.total),
            hold=line.hold,
            held_until=line.held_until,
            can_extend=can_extend,
            available=room.available,
            max_quantity=room.max_quantity,
            show_id=line.show_id,
        )


class CartCode(Wire):
    """A code in the cart. `reason` says why it takes nothing off at the moment; null: it does."""

    code: str
    reason: Reason | None


class Cart(Wire):
    """`subtotal` sums the lines; `goods` is after `order_discounts`. Neither shipping nor tax that
    comes on top is in it: ask for a quote.
    """

    id: str
    currency: str
    lines: list[CartLine]
    subtotal: MoneyOut
    order_discounts: list[Discount]
    goods: MoneyOut
    codes: list[CartCode]
    held_until: datetime | None
    can_extend: bool
    at: Annotated[datetime, Meta(description="the server's time, to count down against")]

    @classmethod
    def of(
        cls,
        cart: model.Cart,
        priced: Priced,
        *,
        images: Mapping[str, Image],
        room: Mapping[LineId, Room],
        extensions: int,
        now: datetime,
    ) -> "Cart":
        named = {one.id: one for one in priced.promotions}
        lines = [
            CartLine.of(
                line,
                costs,
                named,
                image=images.get(line.article.image_id or ""),
                room=room[line.id],
                can_extend=line.may_extend(extensions),
            )
            for line, costs in zip(cart.lines, priced.lines, strict=True)
        ]
        return cls(
            id=cart.id,
            currency=cart.currency,
            lines=lines,
            subtotal=MoneyOut.of(priced.subtotal),
            order_discounts=_order_discounts(priced, named),
            goods=MoneyOut.of(priced.goods),
            codes=_codes(cart.codes, priced),
            held_until=cart.held_until,
            can_extend=any(line.can_extend for line in lines),
            at=now,
        )


def _order_discounts(priced: Priced, named: Mapping[PromotionId, Promotion]) -> list[Discount]:
    """What each promotion takes off the order, in the order in which they count."""
    shares: dict[PromotionId, int] = {}
    for line in priced.lines:
        for one in line.order_discounts:
            shares[one.promotion_id] = shares.get(one.promotion_id, 0) + one.amount.amount
    currency = priced.total.currency
    return [
        Discount(
            promotion_id=id_, texts=dict(named[id_].texts), units=1, amount=MoneyOut(-off, currency)
        )
        for id_, off in shares.items()
    ]


def _codes(codes: Sequence[str], priced: Priced) -> list[CartCode]:
    unused = {one.code: one.reason for one in priced.unused_codes}
    return [CartCode(code=code, reason=unused.get(code)) for code in codes]


class LineInput(Wire):
    variant_id: Id
    quantity: Quantity = 1
    show_id: Id | None = None


class QuantityInput(Wire):
    quantity: Quantity


class CodeInput(Wire):
    code: Annotated[str, Meta(min_length=1, max_length=MAX_CODE_LENGTH)]


class WaitInput(Wire):
    variant_id: Id
    show_id: Id | None = None


class Place(Wire):
    """A place in the waitlist for one unit; `position` 1 is next. While it is `offered`, a unit is
    held for its owner alone until `offered_until`: adding the variant to the cart takes it.
    """

    id: str
    variant_id: str
    product_id: str
    title: str
    values: list[str]
    image: Image | None
    state: Literal["waiting", "offered"]
    position: int
    joined_at: datetime
    offered_until: datetime | None
    show_id: str | None

    @classmethod
    def of(
        cls, place: waiting.Place, article: model.Article, images: Mapping[str, Image]
    ) -> "Place":
        return cls(
            id=place.id,
            variant_id=place.variant_id,
            product_id=place.product_id,
            title=article.item.title,
            values=list(article.values),
            image=images.get(article.image_id or ""),
            state="waiting" if place.offered_until is None else "offered",
            position=place.position,
            joined_at=place.joined_at,
            offered_until=place.offered_until,
            show_id=place.show_id,
        )


class Places(Wire):
    places: list[Place]
    at: Annotated[datetime, Meta(description="the server's time, to count down against")]


class WaitlistMoved(Wire):
    """The turn of these places has come. A place's id is known to its owner alone. Who has another
    place for this variant may ask for it again later: thousands may have one.
    """

    variant_id: str
    product_id: str
    place_ids: list[str]


EVENTS: dict[str, type[Wire]] = {"waitlist.moved": WaitlistMoved}


class DeliveryInput(Wire):
    """How the goods are to reach the buyer: shipped, or collected at a store."""

    kind: Delivery = "ship"
    store_id: Id | None = None


class QuoteInput(Wire):
    country: Country
    language: Language = "en"
    delivery: DeliveryInput = field(default_factory=DeliveryInput)


class OptionsInput(Wire):
    country: Country
    language: Language = "en"


class DeliveryOption(Wire):
    """A way in which this cart can reach its buyer, or why it cannot (`problem`).

    `here`: how much of it lies in the store already; the rest is sent there.
    """

    kind: Delivery
    store_id: str | None
    title: Annotated[str, Meta(description="the store's name; empty for shipping")]
    address: Annotated[str, Meta(description="the store's, in one line; empty for shipping")]
    hours_today: Annotated[
        list[tuple[str, str]] | None,
        Meta(description="when the store is open today, HH:MM; null for shipping"),
    ]
    price: MoneyOut | None
    promise: PromiseOut | None
    here: Literal["all", "some", "none"] | None
    problem: str | None
    payment_methods: list[str]
    time_zone: Annotated[
        str | None, Meta(description="of the promise and the hours; null: the shop's")
    ] = None


class DeliveryOptions(Wire):
    options: list[DeliveryOption]
    at: datetime


class VariantDelivery(Wire):
    """When one unit of a variant could reach a buyer, by each way there is."""

    variant_id: str
    options: list[DeliveryOption]
    at: datetime


class DeliveryQuery(Wire):
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
    codes: list[CartCode]
    subtotal: Annotated[MoneyOut, Meta(description="the goods, all discounts taken off")]
    shipping: MoneyOut
    taxes: list[TaxLine]
    total: MoneyOut
    country: str
    at: datetime
    delivery: DeliveryOption | None = None

    @classmethod
    def of(cls, quote: model.Quote, reader: Reader) -> "Quote":
        return cls(
            explanation=[
                QuoteStep(text=step.text, amount=MoneyOut.of(step.amount))
                for step in explanation_in_words(quote.priced, reader)
            ],
            lines=[
                QuoteLine(
                    line_id=line.id,
                    variant_id=line.variant_id,
                    title=line.article.item.title,
                    quantity=line.quantity,
                    unit_price=MoneyOut.of(costs.unit_price),
                    total=MoneyOut.of(costs.total),
                )
                for line, costs in zip(quote.lines, quote.priced.lines, strict=True)
            ],
            codes=_codes(quote.cart.codes, quote.priced),
            subtotal=MoneyOut.of(quote.subtotal),
            shipping=MoneyOut.of(quote.shipping),
            taxes=[TaxLine.of(line) for line in quote.taxes],
            total=MoneyOut.of(quote.total),
            country=quote.country,
            at=reader.now,
        )


class PaymentInput(Wire):
    method: Annotated[str, Meta(min_length=1, max_length=30)]
    card_number: Annotated[str, Meta(max_length=30, description="sandbox only")] | None = None


class SandboxInput(Wire):
    """What a buyer does where a real provider asks him to confirm: he does, fails to, or leaves."""

    outcome: Literal["succeed", "fail", "abandon"]


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
    delivery: DeliveryInput = field(default_factory=DeliveryInput)
    expected_until: (
        Annotated[
            datetime,
            Meta(tz=True, description="the end of the promise the screen showed"),
        ]
        | None
    ) = None


class ShippingCountry(Wire):
    code: str
    shipping: MoneyOut


class PaymentMethodChoice(Wire):
    """`options` is what the player must know to offer it, such as a publishable key."""

    id: str
    test: bool
    deliveries: list[Delivery]
    options: dict[str, str]


class KnownBuyer(Wire):
    """What the last order of a viewer said, so that nobody types it twice; `pending` is an order
    whose payment waits for him."""

    email: str | None
    address: Address | None
    delivery: DeliveryInput | None
    method: str | None
    pending: Order | None


class Shop(Wire):
    name: str
    currency: str
    languages: list[str]
    countries: list[ShippingCountry]
    payment_methods: list[PaymentMethodChoice]
    hold_seconds: int
    hold_warning_seconds: int
    hold_extensions: int
    waitlist_seconds: int
    reminders: bool
    demo: bool
    time_zone: str = "UTC"
