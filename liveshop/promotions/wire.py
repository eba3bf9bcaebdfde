"""Promotions as the API takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from liveshop.kernel.ids import ProductId, ShowId, VariantId
from liveshop.promotions import model
from liveshop.promotions.announce import WarningCode
from liveshop.promotions.model import MAX_CODE_LENGTH, MAX_TEXT_LENGTH, KindDoesNotFit
from liveshop.web import MoneyOut, Wire

_Id = Annotated[str, Meta(min_length=1, max_length=40)]
_Permille = Annotated[int, Meta(ge=-1000, le=10_000, description="125 is 12.5 %")]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Label = Annotated[str, Meta(max_length=60)]
NextState = Literal["active", "paused", "ended"]
Channel = Literal["storefront", "show", "feed", "social"]
Texts = Annotated[
    dict[
        Annotated[str, Meta(pattern="^[a-z]{2}(-[A-Z]{2})?$")],
        Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)],
    ],
    Meta(max_length=20, description="by language"),
]


class PercentOff(Wire, tag="percent_off", tag_field="type"):
    permille: _Permille


class AmountOff(Wire, tag="amount_off", tag_field="type"):
    """Off every unit."""

    amount: MoneyOut


class FixedPrice(Wire, tag="fixed_price", tag_field="type"):
    """What a unit costs instead, unless it is cheaper already."""

    price: MoneyOut


class BuyXGetY(Wire, tag="buy_x_get_y", tag_field="type"):
    """For `buy` units at their price, `get` more with `off_permille` off; 1000 is free."""

    buy: Annotated[int, Meta(ge=1, le=1000)]
    get: Annotated[int, Meta(ge=1, le=1000)]
    off_permille: _Permille = 1000


class OrderPercentOff(Wire, tag="order_percent_off", tag_field="type"):
    permille: _Permille


class OrderAmountOff(Wire, tag="order_amount_off", tag_field="type"):
    amount: MoneyOut


class FreeShipping(Wire, tag="free_shipping", tag_field="type"):
    """`from_goods`: only from this value of goods on."""

    from_goods: MoneyOut | None = None


Kind = (
    PercentOff | AmountOff | FixedPrice | BuyXGetY | OrderPercentOff | OrderAmountOff | FreeShipping
)


class PromotionInput(Wire):
    """Automatic without `codes`. For everybody without `show_id` and `segment` (one of them at
    most); for all products without `product_ids`, `variant_ids` and `category` (one of them at
    most). `version` is the one that was read: it is replaced only if it still is.
    """

    texts: Texts
    kind: Kind
    stacking: Literal["exclusive", "stackable"] = "exclusive"
    codes: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_CODE_LENGTH)]],
        Meta(max_length=1000),
    ] = field(default_factory=list)
    show_id: _Id | None = None
    segment: _Label | None = None
    product_ids: Annotated[list[_Id], Meta(max_length=1000)] = field(default_factory=list)
    variant_ids: Annotated[list[_Id], Meta(max_length=1000)] = field(default_factory=list)
    category: Annotated[str, Meta(max_length=500)] | None = None
    starts_at: Annotated[datetime, Meta(tz=True)] | None = None
    ends_at: Annotated[datetime, Meta(tz=True)] | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    group: _Label | None = None
    limit_total: _Count | None = None
    limit_per_customer: _Count | None = None
    version: int | None = None


class Promotion(Wire):
    """`used` counts what orders took of `limit_total`, `claimed` what carts hold of it now."""

    id: str
    version: int
    state: model.State
    phase: model.Phase
    texts: dict[str, str]
    kind: Kind
    stacking: Literal["exclusive", "stackable"]
    codes: list[str]
    show_id: str | None
    segment: str | None
    product_ids: list[str]
    variant_ids: list[str]
    category: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    priority: int
    group: str | None
    limit_total: int | None
    limit_per_customer: int | None
    used: int
    claimed: int
    created_at: datetime
    updated_at: datetime


class Promotions(Wire):
    promotions: list[Promotion]
    next: str | None


class PromotionQuery(Wire):
    """`ended`: those that are over, in place of all others."""

    show_id: _Id | None = None
    ended: bool = False
    cursor: _Id | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class StateInput(Wire):
    """`ended` ends it now, for good."""

    to: NextState


class PreviewInput(Wire):
    """`promotion_id`: which stored one this would replace. Without `product_ids` the first few
    that it is for are shown."""

    promotion: PromotionInput
    promotion_id: _Id | None = None
    product_ids: Annotated[list[_Id], Meta(max_length=10)] = field(default_factory=list)


class PriceWarning(Wire):
    """Something to think of: allowed, but perhaps not meant."""

    code: Literal[WarningCode, "not_on_channels"]
    text: str


class ChannelPreview(Wire):
    """What one channel says; `text` in the language of the request."""

    channel: Channel
    price: MoneyOut
    is_reduced: bool
    text: str


class PreviewedVariant(Wire):
    product_id: str
    variant_id: str
    title: str
    values: list[str]
    list_price: MoneyOut
    price_now: Annotated[MoneyOut, Meta(description="with what is in force already")]
    price: Annotated[MoneyOut, Meta(description="with this promotion in force too")]
    lowest_30_days: MoneyOut | None
    channels: list[ChannelPreview]


class Preview(Wire):
    variants: list[PreviewedVariant]
    warnings: list[PriceWarning]


def kind_of(given: Kind) -> model.Kind:
    match given:
        case PercentOff():
            return model.PercentOff(given.permille)
        case AmountOff():
            return model.AmountOff(given.amount.to_money())
        case FixedPrice():
            return model.FixedPrice(given.price.to_money())
        case BuyXGetY():
            return model.BuyXGetY(given.buy, given.get, given.off_permille)
        case OrderPercentOff():
            return model.OrderPercentOff(given.permille)
        case OrderAmountOff():
            return model.OrderAmountOff(given.amount.to_money())
        case FreeShipping():
            threshold = given.from_goods
            return model.FreeShipping(None if threshold is None else threshold.to_money())


def kind_out(kind: model.Kind) -> Kind:
    match kind:
        case model.PercentOff(permille):
            return PercentOff(permille=permille)
        case model.AmountOff(amount):
            return AmountOff(amount=MoneyOut.of(amount))
        case model.FixedPrice(price):
            return FixedPrice(price=MoneyOut.of(price))
        case model.BuyXGetY(buy, get, off_permille):
            return BuyXGetY(buy=buy, get=get, off_permille=off_permille)
        case model.OrderPercentOff(permille):
            return OrderPercentOff(permille=permille)
        case model.OrderAmountOff(amount):
            return OrderAmountOff(amount=MoneyOut.of(amount))
        case model.FreeShipping(threshold):
            return FreeShipping(from_goods=None if threshold is None else MoneyOut.of(threshold))


def promotion_of(given: PromotionInput, id_: model.PromotionId, *, version: int) -> model.Promotion:
    """What the input means. Raises KindDoesNotFit where its parts contradict each other."""
    return model.Promotion(
        id=id_,
        version=version,
        texts=given.texts,
        kind=kind_of(given.kind),
        stacking=given.stacking,
        trigger=model.ByCode(frozenset(given.codes)) if given.codes else model.Automatic(),
        scope=_scope_of(given),
        products=_products_of(given),
        period=model.Period(given.starts_at, given.ends_at),
        priority=given.priority,
        group=given.group,
        limit=model.Limit(given.limit_total, given.limit_per_customer),
    )


def _scope_of(given: PromotionInput) -> model.Scope:
    if given.show_id is not None and given.segment is not None:
        raise KindDoesNotFit(
            "It is for a show or for a segment, not for both.", data={"field": "segment"}
        )
    if given.show_id is not None:
        return model.InShow(ShowId(given.show_id))
    if given.segment is not None:
        return model.ForSegment(given.segment)
    return model.Everywhere()


def _products_of(given: PromotionInput) -> model.Products:
    named: list[model.Products] = []
    if given.product_ids:
        named.append(model.TheseProducts(frozenset(map(ProductId, given.product_ids))))
    if given.variant_ids:
        named.append(model.TheseVariants(frozenset(map(VariantId, given.variant_ids))))
    if given.category is not None:
        named.append(model.InCategory(given.category))
    if len(named) > 1:
        raise KindDoesNotFit(
            "Choose products, variants or a category, not several of these.",
            data={"field": "products"},
        )
    return named[0] if named else model.AllProducts()


def promotion_out(stored: model.Stored, now: datetime) -> Promotion:
    one = stored.promotion
    trigger, scope, products = one.trigger, one.scope, one.products
    return Promotion(
        id=one.id,
        version=one.version,
        state=stored.state,
        phase=stored.phase(now),
        texts=dict(one.texts),
        kind=kind_out(one.kind),
        stacking=one.stacking,
        codes=sorted(trigger.codes) if isinstance(trigger, model.ByCode) else [],
        show_id=scope.show_id if isinstance(scope, model.InShow) else None,
        segment=scope.segment if isinstance(scope, model.ForSegment) else None,
        product_ids=(
            sorted(products.product_ids) if isinstance(products, model.TheseProducts) else []
        ),
        variant_ids=(
            sorted(products.variant_ids) if isinstance(products, model.TheseVariants) else []
        ),
        category=products.prefix if isinstance(products, model.InCategory) else None,
        starts_at=one.period.starts_at,
        ends_at=one.period.ends_at,
        priority=one.priority,
        group=one.group,
        limit_total=one.limit.total,
        limit_per_customer=one.limit.per_customer,
        used=one.used,
        claimed=stored.claimed,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )
