"""A promotion as it is kept: JSON, tagged where the model has several kinds of a thing.

What was written once is never written again, so `read` must go on reading all it ever read.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from liveshop.promotions.model import (
    AllProducts,
    AmountOff,
    Automatic,
    BuyXGetY,
    ByCode,
    Everywhere,
    FixedPrice,
    ForSegment,
    FreeShipping,
    InCategory,
    InShow,
    Limit,
    OrderAmountOff,
    OrderPercentOff,
    PercentOff,
    Period,
    Promotion,
    PromotionId,
    TheseProducts,
    TheseVariants,
)

_TYPES: Mapping[str, type] = {
    "percent_off": PercentOff,
    "amount_off": AmountOff,
    "fixed_price": FixedPrice,
    "buy_x_get_y": BuyXGetY,
    "order_percent_off": OrderPercentOff,
    "order_amount_off": OrderAmountOff,
    "free_shipping": FreeShipping,
    "automatic": Automatic,
    "by_code": ByCode,
    "everywhere": Everywhere,
    "in_show": InShow,
    "for_segment": ForSegment,
    "all_products": AllProducts,
    "these_products": TheseProducts,
    "these_variants": TheseVariants,
    "in_category": InCategory,
}
_TAGS = {type_: tag for tag, type_ in _TYPES.items()}


def written(promotion: Promotion) -> dict[str, Any]:
    """All but its id, its version and how much of it is used."""
    return {
        "texts": dict(promotion.texts),
        "kind": _tagged(promotion.kind),
        "stacking": promotion.stacking,
        "trigger": _tagged(promotion.trigger),
        "scope": _tagged(promotion.scope),
        "products": _tagged(promotion.products),
        "period": msgspec.to_builtins(promotion.period),
        "priority": promotion.priority,
        "group": promotion.group,
        "limit": msgspec.to_builtins(promotion.limit),
    }


def read(promotion_id: PromotionId, version: int, stored: Mapping[str, Any]) -> Promotion:
    return Promotion(
        id=promotion_id,
        version=version,
        texts=stored["texts"],
        kind=_untagged(stored["kind"]),
        stacking=stored["stacking"],
        trigger=_untagged(stored["trigger"]),
        scope=_untagged(stored["scope"]),
        products=_untagged(stored["products"]),
        period=msgspec.convert(stored["period"], Period),
        priority=stored["priority"],
        group=stored["group"],
        limit=msgspec.convert(stored["limit"], Limit),
    )


def _tagged(part: object) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(part, order="deterministic")
    return {"type": _TAGS[type(part)], **fields}


def _untagged(stored: Mapping[str, Any]) -> Any:
    fields = {name: value for name, value in stored.items() if name != "type"}
    return msgspec.convert(fields, _TYPES[stored["type"]])
