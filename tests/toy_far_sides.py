"""The far sides of the toy vendor: how the contract suites look at it and switch its faults on."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from toy_vendor import TOY_STAGE, Toy, toy_price

from liveshop.connect import StageTarget
from liveshop.connect.contract import (
    ChannelFarSide,
    FarOrder,
    FarProduct,
    FarSide,
    Fault,
    PosterFarSide,
    SeenListing,
    SeenPost,
    SourceFarSide,
    StageFarSide,
)
from liveshop.kernel.money import Money

_ALL_FAULTS: tuple[Fault, ...] = (
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
)


class _ToyFar(FarSide):
    def __init__(self, url: str, toy: Toy) -> None:
        self._url = url
        self.toy = toy

    @property
    def config(self) -> Mapping[str, object]:
        return {"base_url": self._url, "key": "toy-key-4711"}

    @property
    def limits(self) -> Mapping[str, int]:
        return {"toy.batch": 5}

    @property
    def faults(self) -> Collection[Fault]:
        return _ALL_FAULTS

    async def fault(self, kind: Fault) -> None:
        self.toy.fault = kind
        if kind == "expired":
            self.toy.expired = set(self.toy.tokens_seen)

    async def heal(self) -> None:
        self.toy.fault = None
        self.toy.expired = set()


class ToyChannelFar(_ToyFar, ChannelFarSide):
    async def listings(self) -> Sequence[SeenListing]:
        return [
            SeenListing(key.split("#")[0], fields)
            for key, fields in self.toy.listings.items()
            if not fields["hidden"]
        ]

    async def refuse(self, listing_id: str) -> None:
        self.toy.refused.add(listing_id)


class ToyPosterFar(_ToyFar, PosterFarSide):
    async def posts(self) -> Sequence[SeenPost]:
        return [
            SeenPost(id_, post["text"], tuple(post["alts"]), post["link"])
            for id_, post in self.toy.posts.items()
        ]


class ToyStageFar(_ToyFar, StageFarSide):
    async def targets(self) -> Sequence[StageTarget]:
        return [StageTarget(TOY_STAGE, one["key"]) for one in self.toy.broadcasts.values()]


class ToySourceFar(_ToyFar, SourceFarSide):
    async def add_product(self, *, title: str, price: Money, quantity: int) -> FarProduct:
        serial = self.toy.next()
        id_ = f"t{serial:04}"
        self.toy.products[id_] = {
            "id": id_,
            "title": title,
            "price": toy_price(price),
            "quantity": quantity,
            "sold": 0,
            "serial": serial,
        }
        return FarProduct(id_, f"{id_}-v")

    async def change_product(
        self,
        product: FarProduct,
        *,
        title: str | None = None,
        price: Money | None = None,
        quantity: int | None = None,
    ) -> None:
        one = self.toy.products[product.product_id]
        one["serial"] = self.toy.next()
        for name, value in (("title", title), ("quantity", quantity)):
            if value is not None:
                one[name] = value
        if price is not None:
            one["price"] = toy_price(price)

    async def remove_product(self, product: FarProduct) -> None:
        del self.toy.products[product.product_id]

    async def spoil_product(self, product: FarProduct) -> None:
        self.toy.products[product.product_id]["price"] = "free"

    async def orders(self) -> Sequence[FarOrder]:
        await asyncio.sleep(0)
        return [
            FarOrder(
                id_,
                is_paid=True,
                is_cancelled=order["cancelled"],
                total=Money(*order["total"]),
                quantities={item["id"]: item["quantity"] for item in order["items"]},
            )
            for id_, order in self.toy.orders.items()
        ]
