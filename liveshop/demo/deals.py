"""What the demo shop takes off: one promotion of each kind that is worth seeing."""

from liveshop.demo.shop import CURRENCY
from liveshop.promotions.wire import (
    BuyXGetY,
    FreeShipping,
    OrderPercentOff,
    PercentOff,
    PromotionInput,
)
from liveshop.shows.wire import OfferInput
from liveshop.web import MoneyOut

FREE_SHIPPING_FROM = 15000

PROMOTIONS: tuple[PromotionInput, ...] = (
    PromotionInput(
        texts={"en": "Warm light week", "de": "Woche des warmen Lichts"},
        kind=PercentOff(permille=150),
        category="Home > Lighting",
    ),
    PromotionInput(
        texts={"en": "Three caps for two", "de": "Drei Mützen zum Preis von zwei"},
        kind=BuyXGetY(buy=2, get=1),
        category="Wear > Accessories > Hats",
    ),
    PromotionInput(
        texts={"en": "Welcome to Lindholm", "de": "Willkommen bei Lindholm"},
        kind=OrderPercentOff(permille=100),
        codes=["WELCOME10"],
        limit_per_customer=1,
    ),
    PromotionInput(
        texts={"en": "From €150 on", "de": "Ab 150 €"},
        kind=FreeShipping(from_goods=MoneyOut(amount=FREE_SHIPPING_FROM, currency=CURRENCY)),
    ),
)


def offer_of(product_id: str) -> OfferInput:
    """What the host offers now and then."""
    return OfferInput(
        product_id=product_id,
        kind=PercentOff(permille=200),
        seconds=120,
        units=5,
        texts={"en": "Live offer", "de": "Live-Angebot"},
    )
