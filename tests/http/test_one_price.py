"""One price per variant and moment, whoever asks: pages, storefront, show, cart, order and desk.

Beside each other stand what everybody is told, and what it should be by a sum done on paper. With
and without the show it differs by the show's own offers and by nothing else.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any, Literal

import builders
import postgres_cluster
import pytest
from builders import Api

from liveshop.app import Browser, Liveshop, wire
from liveshop.catalog.model import Product
from liveshop.kernel.clock import ManualClock, rfc3339
from liveshop.kernel.ids import ShowId, VariantId
from liveshop.storage import Database

Place = Literal["in the show", "outside"]
Expected = int | tuple[int, int]
"""In the show and outside it, where that is not the same."""

TEXTS = {"en": "Winter evening", "de": "Winterabend"}
LISTED: dict[str, Expected] = {
    "plate": 2000,
    "mug": 2800,
    "shirt S": 4990,
    "shirt M": 4990,
    "lamp": 12900,
    "bowl": 999,
    "vase": 1500,
}
_keys = count(1)


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def percent(permille: int) -> dict[str, Any]:
    return {"type": "percent_off", "permille": permille}


def less(amount: int) -> dict[str, Any]:
    return {"type": "amount_off", "amount": eur(amount)}


def fixed(amount: int) -> dict[str, Any]:
    return {"type": "fixed_price", "price": eur(amount)}


@pytest.fixture
def site_wired(database_url: str, tmp_path: Path, clock: ManualClock) -> Liveshop:
    """The whole site, on both databases: prices are worked out of what SQL says."""
    settings = builders.test_settings(tmp_path / "data", database_url=database_url)
    database = Database.open(settings.database_url, pool_size=10)
    return wire(settings, database, Browser.load(settings), clock)


@dataclass(slots=True)
class House:
    """A shop with a live show of all its products, and another one beside it."""

    site: Api
    merchant: Api
    show: ShowId
    other: ShowId
    products: dict[str, Product]
    names: dict[str, str] = field(default_factory=dict)
    """What a variant is called here, by its id and by its SKU."""

    def __post_init__(self) -> None:
        for product in self.products.values():
            for variant in product.variants:
                name = " ".join([product.title, *variant.values])
                self.names[variant.id] = self.names[variant.sku] = name

    def variant(self, name: str) -> VariantId:
        return next(VariantId(id_) for id_, known in self.names.items() if known == name)

    async def get(self, path: str) -> Any:
        status, answer = await self.site.call("GET", path)
        assert status == 200, answer
        return answer

    async def change(self, method: str, path: str, body: Any) -> Any:
        status, answer = await self.merchant.call(method, path, body)
        assert status in (200, 201), answer
        return answer

    async def promote(self, kind: dict[str, Any], **more: Any) -> str:
        body = {"texts": TEXTS, "kind": kind} | more
        made: str = (await self.change("POST", "/api/promotions", body))["id"]
        return made

    async def turn(self, promotion_id: str, to: str) -> None:
        await self.change("POST", f"/api/promotions/{promotion_id}/state", {"to": to})

    async def offer(self, name: str, kind: dict[str, Any], **more: Any) -> str:
        """Start an offer; what its preview says is what it costs then."""
        product = self.products[name.split(maxsplit=1)[0]]
        body = {"product_id": product.id, "kind": kind, "seconds": 600} | more
        path = f"/api/shows/{self.show}/offers"
        seen = await self.change("POST", f"{path}/preview", body)
        made: str = (await self.change("POST", path, body))["id"]
        shown = await self.get(f"/api/shows/{self.show}/snapshot")
        [here] = [one for one in shown["products"] if one["id"] == product.id]
        assert prices(here) == prices(seen["product"])
        return made

    # who tells prices

    async def told(self) -> dict[tuple[str, Place], dict[str, int]]:
        """By variant and place: what each who was asked said one unit costs."""
        found: dict[tuple[str, Place], dict[str, int]] = {}
        answers: list[tuple[Place, str, Mapping[str, int]]] = [
            ("outside", "list of products", await self.listed()),
            ("outside", "product alone", await self.each_alone()),
            ("outside", "preview of a promotion", await self.previewed(None)),
            ("outside", "another show", await self.snapshot(self.other)),
            ("in the show", "snapshot", await self.snapshot(self.show)),
            ("in the show", "preview of a promotion", await self.previewed(self.show)),
            ("in the show", "preview of an offer", await self.offer_previewed()),
            *[("in the show", who, said) for who, said in await self.page(self.show)],
            *[("outside", f"other {who}", said) for who, said in await self.page(self.other)],
        ]
        carts: list[tuple[Place, str, ShowId | None]] = [("outside", "lamp", self.other)]
        for name in LISTED:
            carts += [("in the show", name, self.show), ("outside", name, None)]
        for place, name, show in carts:
            for who, amount in (await self.bought(name, 1, show)).items():
                answers.append((place, f"{who} {show}", {name: amount}))
        for place, who, said in answers:
            for name, amount in said.items():
                found.setdefault((name, place), {})[who] = amount
        return found

    async def listed(self) -> dict[str, int]:
        return self.named((await self.get("/api/products?limit=100"))["products"])

    async def each_alone(self) -> dict[str, int]:
        ids = [product.id for product in self.products.values()]
        return self.named([await self.get(f"/api/products/{id_}") for id_ in ids])

    async def snapshot(self, show: ShowId) -> dict[str, int]:
        return self.named((await self.get(f"/api/shows/{show}/snapshot"))["products"])

    def named(self, products: list[Any]) -> dict[str, int]:
        return {self.names[id_]: at for one in products for id_, at in prices(one).items()}

    async def page(self, show: ShowId) -> list[tuple[str, dict[str, int]]]:
        """What machines read there, and what people do: of each product the lowest price."""
        answer = await self.site.fetch("GET", f"/s/{show}?lang=en", Accept="text/html")
        assert answer.status == 200
        event = re.search(r'<script type="application/ld\+json"[^>]*>(.*?)</script>', answer.text)
        assert event is not None
        machines = {
            self.names[offer["itemOffered"]["sku"]]: cents(offer["price"])
            for offer in json.loads(event[1])["offers"]
        }
        people = {}
        for product in self.products.values():
            good = re.search(
                rf'id="{product.id}">.*?<p class="price">.*?<span>(.*?)</span>', answer.text, re.S
            )
            assert good is not None
            own = [machines[self.names[variant.id]] for variant in product.variants]
            cheapest = product.variants[own.index(min(own))]
            people[self.names[cheapest.id]] = cents(unescape(good[1]))
        return [("page for machines", machines), ("page for people", people)]

    async def previewed(self, show: ShowId | None) -> dict[str, int]:
        """The price now, beside a promotion that changes no price, with which it is the same."""
        body = {
            "promotion": {
                "texts": TEXTS,
                "kind": fixed(9_999_00),
                "priority": -1,
                "show_id": show,
            },
            "product_ids": [product.id for product in self.products.values()],
        }
        seen = await self.change("POST", "/api/promotions/preview", body)
        for one in seen["variants"]:
            channels = {channel["channel"]: channel["price"] for channel in one["channels"]}
            here = channels["show" if show else "storefront"]
            assert one["price"] == one["price_now"] == here, one
        return {
            self.names[one["variant_id"]]: one["price_now"]["amount"] for one in seen["variants"]
        }

    async def offer_previewed(self) -> dict[str, int]:
        """The same for offers, where there is none already."""
        found: dict[str, int] = {}
        for product in self.products.values():
            body = {"product_id": product.id, "kind": fixed(9_999_00), "seconds": 10}
            status, seen = await self.merchant.call(
                "POST", f"/api/shows/{self.show}/offers/preview", body
            )
            if status == 422:
                assert seen["code"] == "overlapping_promotion", seen
                continue
            assert status == 200, seen
            found |= self.named([seen["product"]])
        return found

    async def bought(self, name: str, quantity: int, show: ShowId | None) -> dict[str, int]:
        """What a new guest hears of one unit on the way from the cart to the order."""
        guest = await self.guest_with(name, quantity, show)
        return await self.paid(guest)

    async def guest_with(self, name: str, quantity: int, show: ShowId | None) -> Api:
        guest = await self.site.as_guest()
        line = {"variant_id": self.variant(name), "quantity": quantity, "show_id": show}
        status, cart = await guest.call("POST", "/api/cart/lines", line)
        assert status == 200, cart
        return guest

    async def paid(self, guest: Api) -> dict[str, int]:
        [in_cart] = (await guest.call("GET", "/api/cart"))[1]["lines"]
        status, quote = await guest.call("POST", "/api/cart/quote", {"country": "DE"})
        assert status == 200, quote
        [quoted] = quote["lines"]
        status, order = await guest.order(f"key-{next(_keys)}", expected_total=quote["total"])
        assert status in (200, 201), order
        [ordered] = order["lines"]
        charged = order["total"]["amount"] - order["shipping"]["amount"]
        assert charged == quoted["total"]["amount"] == ordered["payable"]["amount"]
        told = {
            "cart": in_cart["unit_price"]["amount"],
            "quote": quoted["unit_price"]["amount"],
            "order": ordered["unit_price"]["amount"],
        }
        return told | ({"charge": charged} if ordered["quantity"] == 1 else {})

    # what has to be true of it

    async def check(self, expected: Mapping[str, Expected]) -> None:
        """Everybody says the same, which is this; and names an offer exactly where it counts."""
        for (name, place), said in (await self.told()).items():
            wanted = expected[name]
            here = wanted if isinstance(wanted, int) else wanted[place == "outside"]
            assert said == dict.fromkeys(said, here), (name, place)
        storefront = (await self.get("/api/products?limit=100"))["products"]
        in_show = (await self.get(f"/api/shows/{self.show}/snapshot"))["products"]
        assert self.on_offer(storefront) == set()
        differ = {name for name, wanted in expected.items() if not isinstance(wanted, int)}
        assert self.on_offer(in_show) == differ
        await self.check_tiers(storefront, None)
        await self.check_tiers(in_show, self.show)

    def on_offer(self, products: list[Any]) -> set[str]:
        return {
            self.names[variant["id"]]
            for product in products
            for variant in product["variants"]
            if any(note["is_offer"] for note in variant["promotions"])
        }

    async def check_tiers(self, products: list[Any], show: ShowId | None) -> None:
        """The price shown for three is the one that three have."""
        [mug] = [one for one in products if one["id"] == self.products["mug"].id]
        [tier] = mug["variants"][0]["tiers"]
        assert tier["min_quantity"] == 3
        said = await self.bought("mug", 3, show)
        assert said == dict.fromkeys(said, tier["price"]["amount"])


def prices(product: Any) -> dict[str, int]:
    return {variant["id"]: variant["price"]["amount"] for variant in product["variants"]}


def cents(written: str) -> int:
    return int(re.sub(r"\D", "", written))


@pytest.fixture
async def house(site: Api, site_shop: Liveshop) -> House:
    products = [
        await builders.product(site_shop, title="plate", price=2000, stock=900),
        await builders.product(
            site_shop, title="mug", price=2800, compare_at=3500, tiers={3: 2500}, stock=900
        ),
        await builders.product(site_shop, title="shirt", price=4990, sizes=("S", "M"), stock=900),
        await builders.product(
            site_shop, title="lamp", price=12900, category="Home > Light", stock=900
        ),
        await builders.product(site_shop, title="bowl", price=999, stock=900),
        await builders.product(site_shop, title="vase", price=1500, stock=900),
    ]
    ids = [product.id for product in products]
    return House(
        site=site,
        merchant=await site.signed_in(await builders.staff(site_shop, "admin")),
        show=await builders.live_show(site_shop, ids),
        other=await builders.live_show(site_shop, ids),
        products={product.title: product for product in products},
    )


@postgres_cluster.slow_there
async def test_everybody_is_told_one_price(house: House, clock: ManualClock) -> None:
    def of(title: str) -> list[str]:
        return [house.products[title].id]

    expected = dict(LISTED)
    await house.check(expected)

    start = clock.now()
    everywhere = await house.promote(percent(100), product_ids=of("mug"))
    home = await house.promote(less(500), category="Home")
    small = await house.promote(fixed(3990), variant_ids=[house.variant("shirt S")])
    await house.promote({"type": "buy_x_get_y", "buy": 2, "get": 1}, product_ids=of("bowl"))
    both = {"product_ids": of("plate"), "stacking": "stackable"}
    await house.promote(less(100), **both)
    await house.promote(percent(100), **both, priority=1)
    later = {
        "starts_at": rfc3339(start + timedelta(hours=1)),
        "ends_at": rfc3339(start + timedelta(hours=2)),
    }
    await house.promote(percent(100), product_ids=of("vase"), **later)
    await house.promote(percent(500), codes=["WELCOME"])
    await house.promote(percent(600), segment="vip")
    expected |= {"mug": 2520, "lamp": 12400, "shirt S": 3990, "plate": 1700}
    await house.check(expected)

    await house.offer("lamp", percent(500), units=500)
    await house.offer("shirt M", fixed(1000), variant_ids=[house.variant("shirt M")])
    dearer = await house.offer("mug", fixed(2600), seconds=7200)
    on_top = await house.promote(percent(500), **both, show_id=house.show, priority=-1)
    expected |= {"lamp": (6450, 12400), "shirt M": (1000, 4990), "plate": (850, 1700)}
    await house.check(expected)

    await house.turn(everywhere, "paused")
    await house.turn(on_top, "paused")
    expected |= {"mug": (2600, 2800), "plate": 1700}
    await house.check(expected)

    clock.advance(timedelta(seconds=599, milliseconds=999))
    await house.check(expected)
    clock.advance(timedelta(milliseconds=1))  # the offers end with nobody doing anything
    await house.turn(everywhere, "active")
    await house.turn(on_top, "active")
    expected |= {"lamp": 12400, "shirt M": 4990, "mug": 2520, "plate": (850, 1700)}
    await house.check(expected)

    clock.advance(start + timedelta(hours=1) - clock.now())
    changed = {"texts": TEXTS, "kind": less(1000), "category": "Home"}
    await house.change("PUT", f"/api/promotions/{home}", changed)
    await house.turn(small, "ended")
    status, _ = await house.merchant.call("DELETE", f"/api/shows/{house.show}/offers/{dearer}")
    assert status == 200
    mug = {
        "title": "mug",
        "variants": [
            {
                "sku": "MUG",
                "list_price": eur(3000),
                "tiers": [{"min_quantity": 3, "price": eur(2400)}],
            }
        ],
    }
    await house.change("PUT", f"/api/products/{house.products['mug'].id}", mug)
    expected |= {"vase": 1350, "lamp": 11900, "shirt S": 4990, "mug": 2700}
    await house.check(expected)

    clock.advance(timedelta(hours=1))
    await house.turn(on_top, "ended")
    expected |= {"vase": 1500, "plate": 1700}
    await house.check(expected)


async def test_the_last_units_of_an_offer_have_one_price_for_who_has_them_and_one_for_the_rest(
    house: House, clock: ManualClock
) -> None:
    async def said_to_others() -> set[int]:
        """In the show, by whoever shows it; carts that look claim what there is, and let it go."""
        told = [await house.snapshot(house.show), await house.previewed(house.show)]
        told += [said for _, said in await house.page(house.show)]
        guest = await house.guest_with("lamp", 1, house.show)
        [line] = (await guest.call("GET", "/api/cart"))[1]["lines"]
        await guest.call("DELETE", f"/api/cart/lines/{line['id']}")
        return {one["lamp"] for one in told} | {line["unit_price"]["amount"]}

    await house.offer("lamp", percent(500), units=2, seconds=86_400)
    first = await house.guest_with("lamp", 1, house.show)
    assert await said_to_others() == {6450}
    second = await house.guest_with("lamp", 1, house.show)
    assert await said_to_others() == {12900}
    paid = await house.paid(first)
    assert paid == dict.fromkeys(paid, 6450)
    assert await said_to_others() == {12900}
    clock.advance(timedelta(hours=1))  # what the second had is to be had again
    assert await said_to_others() == {6450}
    third = await house.guest_with("lamp", 1, house.show)
    late = await house.paid(second)
    assert late == dict.fromkeys(late, 12900)
    paid = await house.paid(third)
    assert paid == dict.fromkeys(paid, 6450)
    assert await said_to_others() == {12900}
