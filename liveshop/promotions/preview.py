"""What a promotion would do, before anybody sees it: prices on every channel, and doubts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from liveshop.catalog.display import ShownPrice
from liveshop.catalog.model import Product, StockedProduct, Variant
from liveshop.kernel.ids import VariantId
from liveshop.promotions import announce, wire
from liveshop.promotions.lowest import Planned
from liveshop.promotions.model import (
    AmountOff,
    Automatic,
    ByCode,
    Everywhere,
    FixedPrice,
    ForSegment,
    InShow,
    PercentOff,
    Promotion,
    PromotionId,
    covers,
)
from liveshop.promotions.prices import Prices, item_of
from liveshop.web import MoneyOut

_Shown = Mapping[VariantId, ShownPrice]


@dataclass(frozen=True, slots=True)
class Look:
    """Prices with the promotion in force: for those it is for (`shown`), on the storefront and in
    the show; `now`: for those it is for, without it; `elsewhere`: what channels say if they leave
    it out. They hold the variants it is for.
    """

    now: _Shown
    shown: _Shown
    storefront: _Shown
    in_show: _Shown
    elsewhere: _Shown
    warnings: list[wire.PriceWarning]


async def look(
    conn: AsyncConnection,
    prices: Prices,
    promotion: Promotion,
    stocked: Sequence[StockedProduct],
    now: datetime,
    language: str,
    *,
    replaces: PromotionId | None = None,
) -> Look:
    """What this promotion would make of the prices of these products, from now or its start on."""
    products = [one.product for one in stocked]
    planned = Planned(promotion, now, replaces)
    scope, trigger = promotion.scope, promotion.trigger
    show_id = scope.show_id if isinstance(scope, InShow) else None
    segments = frozenset({scope.segment} if isinstance(scope, ForSegment) else ())
    codes = sorted(trigger.codes)[:1] if isinstance(trigger, ByCode) else []
    before = await prices.context(conn, now=now, show_id=show_id, segments=segments)
    moment = max(now, promotion.period.starts_at or now)
    then = await prices.context(conn, now=moment, show_id=show_id, segments=segments, codes=codes)
    others = [one for one in then.promotions if one.id not in (promotion.id, replaces)]
    then = replace(then, promotions=[*others, promotion])
    in_show = replace(then, codes=(), segments=frozenset())
    storefront = replace(in_show, show_id=None)
    elsewhere = replace(storefront, promotions=others)
    shown = await prices.shown_in(conn, products, then, planned=planned)
    return Look(
        now=await prices.shown_in(conn, products, before),
        shown=shown,
        storefront=await prices.shown_in(conn, products, storefront, planned=planned),
        in_show=await prices.shown_in(conn, products, in_show, planned=planned),
        elsewhere=await prices.shown_in(conn, products, elsewhere),
        warnings=_warnings(promotion, stocked, shown, language),
    )


def preview_of(
    promotion: Promotion,
    stocked: Sequence[StockedProduct],
    seen: Look,
    language: str,
    *,
    left_out: Sequence[wire.PriceWarning] = (),
) -> wire.Preview:
    """`left_out`: why channels will not announce it; they then say the price without it."""
    if left_out:
        seen = replace(seen, warnings=[*seen.warnings, *left_out])
    return wire.Preview(
        variants=[
            _previewed(promotion, product, variant, seen, language, is_left_out=bool(left_out))
            for product, variant in _covered(promotion, stocked)
        ],
        warnings=seen.warnings,
    )


def _covered(
    promotion: Promotion, stocked: Sequence[StockedProduct]
) -> list[tuple[Product, Variant]]:
    return [
        (one.product, variant)
        for one in stocked
        for variant in one.product.variants
        if covers(promotion.products, item_of(one.product, variant))
    ]


def _previewed(
    promotion: Promotion,
    product: Product,
    variant: Variant,
    seen: Look,
    language: str,
    *,
    is_left_out: bool,
) -> wire.PreviewedVariant:
    storefront, in_show = seen.storefront[variant.id], seen.in_show[variant.id]
    on_channels = seen.elsewhere[variant.id] if is_left_out else storefront
    lowest = seen.shown[variant.id].lowest_30_days

    def channel(name: wire.Channel, shown: ShownPrice) -> wire.ChannelPreview:
        also = [promotion.text(language)] if _is_told(promotion, name) else []
        return wire.ChannelPreview(
            channel=name,
            price=MoneyOut.of(shown.price),
            is_reduced=announce.is_reduced(shown, variant.price, variant.compare_at),
            text=announce.in_words(shown, variant.price, variant.compare_at, language, also=also),
        )

    return wire.PreviewedVariant(
        product_id=product.id,
        variant_id=variant.id,
        title=product.title,
        values=list(variant.values),
        list_price=MoneyOut.of(variant.price),
        price_now=MoneyOut.of(seen.now[variant.id].price),
        price=MoneyOut.of(seen.shown[variant.id].price),
        lowest_30_days=None if lowest is None else MoneyOut.of(lowest),
        channels=[
            channel("storefront", storefront),
            channel("show", in_show),
            channel("feed", on_channels),
            channel("social", on_channels),
        ],
    )


def _is_told(promotion: Promotion, channel: wire.Channel) -> bool:
    """Whether a channel names it beside a price that it does not change."""
    if _is_per_unit(promotion) or not isinstance(promotion.trigger, Automatic):
        return False
    if isinstance(promotion.scope, InShow):
        return channel == "show"
    return isinstance(promotion.scope, Everywhere)


def _is_per_unit(promotion: Promotion) -> bool:
    """Whether the price of a single unit changes."""
    return isinstance(promotion.kind, PercentOff | AmountOff | FixedPrice)


def _warnings(
    promotion: Promotion, stocked: Sequence[StockedProduct], shown: _Shown, language: str
) -> list[wire.PriceWarning]:
    covered = _covered(promotion, stocked)
    available = {id_: count for one in stocked for id_, count in one.available.items()}
    warnings: list[wire.PriceWarning] = []

    def warn(
        code: announce.WarningCode, about: Sequence[tuple[Product, Variant]] = (), **numbers: int
    ) -> None:
        names = list(dict.fromkeys(" ".join((one.title, *own.values)) for one, own in about))
        text = announce.warning_in_words(code, language, names=names, **numbers)
        warnings.append(wire.PriceWarning(code=code, text=text))

    if not covered:
        warn("no_products")
        return warnings
    counts = [
        (one, own)
        for one, own in covered
        if any(note.id == promotion.id for note in shown[own.id].promotions)
    ]
    if _is_per_unit(promotion) and not counts:
        warn("no_reduction", covered)
    not_below = [
        (one, own)
        for one, own in counts
        if (lowest := shown[own.id].lowest_30_days) is not None
        and shown[own.id].price.amount >= lowest.amount
    ]
    if not_below:
        warn("not_below_lowest", not_below)
    free = [(one, own) for one, own in counts if shown[own.id].price.amount == 0]
    if free:
        warn("free", free)
    sold_out = [(one, own) for one, own in covered if available.get(own.id, 0) <= 0]
    if sold_out:
        warn("sold_out", sold_out)
    there = sum(max(0, available.get(own.id, 0)) for _, own in covered)
    units = promotion.limit.total
    if promotion.level == "line" and units is not None and units > there:
        warn("more_than_stock", units=units, available=there)
    return warnings
