"""The Vendure connector against a real Vendure: what it reads, what it writes, what it refuses."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from catalog_builders import GTIN, picture
from fakes.serving import serve
from vendure_server import Proxy, VendureProduct, VendureShop, shop_in

from connectors.sources.vendure import Vendure, VendureConfig, VendureSource
from liveshop.connect import (
    Accepted,
    BadRow,
    NeedsAttention,
    OrderAddress,
    OrderItem,
    OrderTarget,
    OutcomeUnknown,
    Refused,
    Secret,
    SkipListing,
    Source,
    SourceOrder,
    SourcePage,
    SourceProduct,
    SourceRow,
    StockWrite,
)
from liveshop.connect.contract import (
    DictMemory,
    FarOrder,
    FarProduct,
    Fault,
    SourceContract,
    SourceFarSide,
    kit_for,
)
from liveshop.kernel.money import Money


@asynccontextmanager
async def opened(
    config: VendureConfig, memory: DictMemory | None = None
) -> AsyncIterator[VendureSource]:
    async with kit_for(memory=memory) as kit, Vendure().open(config, kit) as source:
        yield source


@pytest.fixture
async def source(vendure: VendureShop) -> AsyncIterator[VendureSource]:
    async with opened(vendure.config) as one:
        yield one


async def read(pages: AsyncIterator[SourcePage]) -> tuple[list[SourceProduct], str | None]:
    found: list[SourceProduct] = []
    mark = None
    async for page in pages:
        for row in page.rows:
            assert isinstance(row, SourceRow), row
            found.append(row.product)
        mark = page.mark or mark
    return found, mark


def euros(amount: int) -> Money:
    return Money(amount, "EUR")


def order_of(
    product: VendureProduct, *, quantity: int = 2, total: int, **given: Any
) -> SourceOrder:
    """So many of the first variant, delivery at 4.90 in the total."""
    shipping = given.pop("shipping", 490)
    key = given.pop("key", "ord_01")
    item = OrderItem(
        source_id=product.variant_id,
        sku="any",
        title="Linen shirt",
        quantity=quantity,
        unit_price=euros(4990),
        total=euros(total - shipping),
    )
    return SourceOrder(
        key=f"{key}_{product.slug}",
        number="L-100001",
        email="ada@example.org",
        address=OrderAddress("Ada Example", "Weg 1", "20095", "Hamburg", "DE"),
        items=(item,),
        shipping=euros(shipping),
        total=euros(total),
        payment_method="card",
        payment_reference=f"ch_{product.slug}",
        **given,
    )


class FarVendure(SourceFarSide):
    """A shop in a real Vendure, behind a line that can be in trouble."""

    faults = (
        "expired",
        "revoked",
        "forbidden",
        "too_many",
        "too_many_until",
        "unavailable",
        "half_sent",
        "lost_answer",
    )

    def __init__(self, shop: VendureShop, proxy: Proxy, api_url: str) -> None:
        self._shop = shop
        self._proxy = proxy
        self._api_url = api_url
        self._slugs: dict[str, str] = {}

    @property
    def config(self) -> Mapping[str, object]:
        return self._shop.fields | {"api_url": self._api_url, "page_size": 3}

    async def fault(self, kind: Fault) -> None:
        self._proxy.play(kind)

    async def heal(self) -> None:
        self._proxy.heal()

    async def add_product(self, *, title: str, price: Money, quantity: int) -> FarProduct:
        made = await self._shop.product(title, price=price.amount, stock=quantity)
        self._slugs[made.id] = made.slug
        return FarProduct(made.id, made.variant_id)

    async def change_product(
        self,
        product: FarProduct,
        *,
        title: str | None = None,
        price: Money | None = None,
        quantity: int | None = None,
    ) -> None:
        if title is not None:
            words = {
                "languageCode": "en",
                "name": title,
                "slug": self._slugs[product.product_id],
                "description": "",
            }
            await self._shop.set_product(product.product_id, translations=[words])
        values = {} if price is None else {"price": price.amount}
        values |= {} if quantity is None else {"stockOnHand": quantity}
        if values:
            await self._shop.set_variant(product.variant_id, **values)

    async def remove_product(self, product: FarProduct) -> None:
        await self._shop.delete_product(product.product_id)

    async def spoil_product(self, product: FarProduct) -> None:
        await self._shop.delete_variant(product.variant_id)

    async def orders(self) -> Sequence[FarOrder]:
        return [
            FarOrder(
                reference=order["code"],
                is_paid=bool(order["payments"]),
                is_cancelled=order["state"] == "Cancelled",
                total=euros(order["totalWithTax"]),
                quantities={
                    line["productVariant"]["id"]: line["quantity"] for line in order["lines"]
                },
            )
            for order in await self._shop.orders()
        ]


class TestVendure(SourceContract):
    connector = "vendure"
    api_url = ""

    @pytest.fixture(autouse=True)
    def _running(self, vendure_url: str) -> None:
        self.api_url = vendure_url

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[SourceFarSide]:
        async with shop_in(self.api_url) as shop:
            proxy = Proxy(self.api_url)
            async with proxy.open(shop.config) as config:
                yield FarVendure(shop, proxy, config.api_url)


# Reading


async def test_it_is_a_source_and_takes_orders(source: VendureSource) -> None:
    assert isinstance(source, Source)
    assert isinstance(source, OrderTarget)
    assert list(await source.diagnose()) == []


async def test_a_product_comes_with_all_that_vendure_says_of_it(vendure: VendureShop) -> None:
    made = await vendure.product(sizes=("S", "M"), stock=(5, 3))
    await vendure.add_picture(made.id, picture())
    config = msgspec.structs.replace(
        vendure.config, product_url="https://shop.example/product/{slug}"
    )
    async with opened(config) as source:
        ((product,), _) = await read(source.products())
    assert product.source_id == made.id
    assert (product.title, product.description_html) == ("Linen shirt", "<p>Soft linen.</p>")
    assert product.option_names == ("Size",)
    assert product.url == f"https://shop.example/product/{made.slug}"
    assert product.is_active
    assert [
        (one.source_id, one.sku, one.values, one.price, one.quantity) for one in product.variants
    ] == [
        (made.variant_ids[0], f"{made.slug}-0", ("S",), euros(4990), 5),
        (made.variant_ids[1], f"{made.slug}-1", ("M",), euros(4990), 3),
    ]
    async with aiohttp.ClientSession() as http, http.get(product.image_urls[0]) as answer:
        assert await answer.read() == picture()


async def test_facets_give_brand_and_category_and_a_custom_field_the_gtin(
    vendure: VendureShop,
) -> None:
    made = await vendure.product()
    values = [
        await vendure.facet_value("maker", "Weaver"),
        await vendure.facet_value("category", "Shirts"),
        await vendure.facet_value("colour", "Sand"),
    ]
    await vendure.set_product(made.id, facetValueIds=values)
    await vendure.set_variant(made.variant_id, customFields={"ean": GTIN})
    config = msgspec.structs.replace(vendure.config, brand_facet="maker", gtin_field="ean")
    async with opened(config) as source:
        ((product,), _) = await read(source.products())
    assert (product.brand, product.category) == ("Weaver", "Shirts")
    assert product.variants[0].gtin == GTIN


async def test_prices_can_be_read_without_their_tax(vendure: VendureShop) -> None:
    await vendure.product(price=11900)
    config = msgspec.structs.replace(vendure.config, prices="without_tax")
    async with opened(config) as source:
        ((product,), _) = await read(source.products())
    assert product.variants[0].price == euros(10000)


async def test_what_belongs_to_orders_or_is_kept_back_cannot_be_sold(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=9)
    await vendure.sell(made.variant_id, 2)
    await vendure.set_variant(
        made.variant_id, useGlobalOutOfStockThreshold=False, outOfStockThreshold=3
    )
    ((product,), _) = await read(source.products())
    assert product.variants[0].quantity == 4
    assert await source.quantities([made.variant_id]) == {made.variant_id: 4}


async def test_stock_that_vendure_does_not_count_is_left_alone_or_as_configured(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(trackInventory="FALSE")
    ((product,), _) = await read(source.products())
    assert product.variants[0].quantity is None
    assert await source.quantities([made.variant_id]) == {}
    config = msgspec.structs.replace(vendure.config, untracked_quantity=99)
    async with opened(config) as generous:
        ((product,), _) = await read(generous.products())
        assert product.variants[0].quantity == 99
        assert await generous.quantities([made.variant_id]) == {made.variant_id: 99}


async def test_variants_not_for_sale_are_left_out_and_products_not_for_sale_inactive(
    vendure: VendureShop, source: VendureSource
) -> None:
    one = await vendure.product("One of two", sizes=("S", "M"))
    await vendure.set_variant(one.variant_ids[0], enabled=False)
    none = await vendure.product("None at all")
    await vendure.set_variant(none.variant_id, enabled=False)
    hidden = await vendure.product("Hidden")
    await vendure.set_product(hidden.id, enabled=False)
    (products, _) = await read(source.products())
    assert [(len(one.variants), one.is_active) for one in products] == [
        (1, True),
        (1, False),
        (1, False),
    ]


async def test_a_product_without_variants_is_named_and_spoils_nothing(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product()
    await vendure.delete_variant(made.variant_id)
    await vendure.product("Mug")
    (page,) = [page async for page in source.products()]
    bad, good = page.rows
    assert isinstance(bad, BadRow)
    assert (bad.source_id, bad.reason) == (made.id, "the product has no variants in Vendure")
    assert isinstance(good, SourceRow)


async def test_a_broken_run_goes_on_and_deletions_meanwhile_hide_nothing(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = [await vendure.product(f"Mug {number}", stock=1) for number in range(24)]
    pages = source.products()
    first = await anext(pages)
    assert len(first.rows) == 20
    assert first.cursor is not None
    # What follows moves up by five, all of them in the page that was read.
    for one in made[:5]:
        await vendure.delete_product(one.id)
    rest, mark = await read(source.products(first.cursor))
    assert [one.source_id for one in rest] == [one.id for one in made[20:]]
    assert mark is not None
    ids = [id_ async for part in source.product_ids() for id_ in part]
    assert ids == [one.id for one in made[5:]]


async def test_a_delta_brings_what_changed_and_what_was_sold_there(
    vendure: VendureShop, monkeypatch: pytest.MonkeyPatch, source: VendureSource
) -> None:
    monkeypatch.setattr("connectors.sources.vendure._OVERLAP", timedelta(0))
    renamed, repriced, restocked, sold, _ = [
        await vendure.product(f"Mug {number}") for number in range(5)
    ]
    mark = await _a_second_after_all(vendure)
    assert (await read(source.changes(mark)))[0] == []
    await vendure.set_product(
        renamed.id, translations=[{"languageCode": "en", "name": "Cup", "slug": renamed.slug}]
    )
    await vendure.set_variant(repriced.variant_id, price=1990)
    await vendure.set_variant(restocked.variant_id, stockOnHand=77)
    await vendure.sell(sold.variant_id, 2)
    (changed, next_mark) = await read(source.changes(mark))
    assert {one.source_id: one.variants[0].quantity for one in changed} == {
        renamed.id: 5,
        repriced.id: 5,
        restocked.id: 77,
        sold.id: 3,
    }
    assert next_mark is not None
    assert next_mark > mark


async def _a_second_after_all(vendure: VendureShop) -> str:
    """When something last changed; Vendure's own clock, which counts seconds, is past it."""
    told = await vendure.ask("query { products { items { updatedAt variants { updatedAt } } } }")
    last = max(
        datetime.fromisoformat(one["updatedAt"])
        for product in told["products"]["items"]
        for one in (product, *product["variants"])
    )
    async with asyncio.timeout(10):
        while True:
            async with vendure.http.get(vendure.api_url) as answer:
                if parsedate_to_datetime(answer.headers["Date"]) > last:
                    return last.isoformat()


# Orders


async def test_an_order_arrives_paid_with_our_reference_and_takes_its_stock(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=5)
    code = await source.place_order(order_of(made, total=2 * 4990 + 490))
    (order,) = await vendure.orders()
    assert (order["code"], order["state"]) == (code, "PaymentSettled")
    assert order["totalWithTax"] == 2 * 4990 + 490
    assert [(one["transactionId"], one["amount"]) for one in order["payments"]] == [
        (f"ch_{made.slug}", 2 * 4990 + 490)
    ]
    assert order["customer"] == {"emailAddress": "ada@example.org"}
    assert order["shippingAddress"] == {
        "fullName": "Ada Example",
        "streetLine1": "Weg 1",
        "postalCode": "20095",
        "city": "Hamburg",
        "countryCode": "DE",
    }
    assert await vendure.saleable(made.variant_id) == 3


@pytest.mark.parametrize(
    ("total", "shipping"),
    [(2 * 3493 + 490, 490), (2 * 5500 + 490, 490), (2 * 4990, 0), (2 * 4440, 0), (12000, 990)],
    ids=["cheaper", "dearer", "delivered for nothing", "both", "dearer delivery"],
)
async def test_the_total_is_what_was_paid_whatever_vendure_would_ask(
    vendure: VendureShop, source: VendureSource, total: int, shipping: int
) -> None:
    made = await vendure.product(stock=5)
    await source.place_order(order_of(made, total=total, shipping=shipping))
    (order,) = await vendure.orders()
    assert order["totalWithTax"] == total
    assert [one["amount"] for one in order["payments"]] == [total]
    # What made it so does not stay behind, for Vendure looks at every promotion for every cart.
    assert not [code for code in await vendure.promotions() if made.slug in code]


async def test_a_difference_that_vendure_cannot_take_is_noted_at_the_order(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=5)
    # A promotion takes nothing off the delivery: it can be free, but not cost less.
    await source.place_order(order_of(made, total=100, shipping=100))
    (order,) = await vendure.orders()
    notes = [one["data"]["note"] for one in order["history"]["items"] if "note" in one["data"]]
    assert order["totalWithTax"] == 490
    assert notes == ["Liveshop order L-100001: 1.00 EUR was paid; the total here is 4.90 EUR."]


async def test_one_payment_for_two_sources_makes_two_orders(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=9)
    one = order_of(made, total=9000, key="ord_01")
    assert await source.place_order(one) != await source.place_order(
        replace(one, key=one.key.replace("ord_01", "ord_02"))
    )


@pytest.mark.parametrize(("is_late", "every"), [(True, 1), (False, 4)], ids=["after", "before"])
async def test_cut_off_at_any_step_the_order_is_there_once(
    vendure: VendureShop, is_late: bool, every: int
) -> None:
    proxy = Proxy(vendure.api_url, is_late=is_late)
    notes = DictMemory()
    codes: list[str] = []
    async with proxy.open(vendure.config) as config, opened(config, notes) as source:
        made = await vendure.product("Mug", stock=1000)
        for step in itertools.count(1, every):
            proxy.cut(at=step)
            order = order_of(made, total=9000, key=f"ord_{step}")
            try:
                await source.place_order(order)
            except OutcomeUnknown:
                codes.append(await source.place_order(order))
            else:
                break
            # Drafts are orders too: none may be left lying about.
            orders = await vendure.orders()
            assert [one["code"] for one in orders] == codes, proxy.names
            assert orders[-1]["state"] == "PaymentSettled"
            assert orders[-1]["totalWithTax"] == 9000
            assert await vendure.saleable(made.variant_id) == 1000 - 2 * len(codes)
            assert [key for key in notes.texts if key.startswith("order:")] == []
    assert proxy.names == [
        "createDraftOrder",
        "addItemToDraftOrder",
        "setCustomerForDraftOrder",
        "setDraftOrderShippingAddress",
        "setDraftOrderBillingAddress",
        "setDraftOrderShippingMethod",
        "createPromotion",
        "applyCouponCodeToDraftOrder",
        "transitionOrderToState",
        "addManualPaymentToOrder",
        "deletePromotion",
    ]
    assert len(codes) == -(-len(proxy.names) // every)
    assert not [code for code in await vendure.promotions() if made.slug in code]


async def test_what_vendure_has_not_got_any_more_is_refused_and_leaves_nothing_behind(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=1)
    with pytest.raises(SkipListing, match="does not have enough"):
        await source.place_order(order_of(made, quantity=2, total=10470))
    assert await vendure.orders() == []
    await vendure.set_variant(made.variant_id, stockOnHand=2)
    assert await source.place_order(order_of(made, quantity=2, total=10470))


async def test_an_address_that_vendure_does_not_deliver_to_is_refused(
    vendure: VendureShop,
) -> None:
    made = await vendure.product(stock=5)
    config = msgspec.structs.replace(vendure.config, shipping_method="by-drone")
    async with opened(config) as source:
        assert list(await source.diagnose()) == [
            "Vendure has no shipping method by-drone on this channel; there are: standard-shipping."
        ]
        with pytest.raises(SkipListing, match="no shipping method by-drone for this address"):
            await source.place_order(order_of(made, total=10470))
    assert await vendure.orders() == []


async def test_a_deleted_variant_is_refused(vendure: VendureShop, source: VendureSource) -> None:
    made = await vendure.product(stock=5)
    await vendure.delete_variant(made.variant_id)
    with pytest.raises(SkipListing, match="does not take the order"):
        await source.place_order(order_of(made, total=10470))
    assert await source.quantities([made.variant_id]) == {made.variant_id: 0}


async def test_a_cancelled_order_gives_its_stock_back_once(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(stock=5)
    code = await source.place_order(order_of(made, total=9000))
    for _ in range(2):
        await source.cancel_order(code, reason="Cancelled in Liveshop")
        assert await vendure.saleable(made.variant_id) == 5
    (order,) = await vendure.orders()
    assert order["state"] == "Cancelled"
    with pytest.raises(SkipListing, match="no order NOSUCH"):
        await source.cancel_order("NOSUCH", reason="Cancelled in Liveshop")


# Stock


async def test_stock_is_set_only_where_vendure_has_what_was_expected(
    vendure: VendureShop, source: VendureSource
) -> None:
    made = await vendure.product(sizes=("S", "M", "L"), stock=(5, 5, 5))
    small, medium, large = made.variant_ids
    await vendure.sell(small, 2)
    verdicts = await source.write_stock(
        [
            StockWrite(small, 8, expected=3),
            StockWrite(medium, 8, expected=4),
            StockWrite(large, 0),
            StockWrite("987654", 1),
        ]
    )
    assert list(verdicts) == [
        Accepted(small),
        Refused(medium, "Vendure has 5 of it now, and 4 were expected."),
        Accepted(large),
        Refused("987654", "Vendure has no such variant any more."),
    ]
    assert [await vendure.saleable(one) for one in made.variant_ids] == [8, 5, 0]


# Bad days


async def test_a_wrong_password_or_channel_needs_a_person(vendure: VendureShop) -> None:
    wrong = msgspec.structs.replace(vendure.config, password=Secret("not-it"))
    async with opened(wrong) as source:
        assert list(await source.diagnose()) == [
            "Vendure does not accept the user name and password."
        ]
        with pytest.raises(NeedsAttention, match="does not accept"):
            await read(source.products())
    elsewhere = msgspec.structs.replace(vendure.config, channel_token="nowhere")
    async with opened(elsewhere) as source:
        with pytest.raises(NeedsAttention, match="channel"):
            await read(source.products())


async def test_an_account_with_too_few_permissions_is_told_which(vendure: VendureShop) -> None:
    made = await vendure.product()
    config = await _helper(vendure, READING)
    async with opened(config) as source:
        assert len((await read(source.products()))[0]) == 1
        (missing,) = await source.diagnose()
        assert missing.startswith("The role of the account lacks permissions on this channel: ")
        assert "CreateOrder" in missing
        assert "ReadCatalog" not in missing
        with pytest.raises(NeedsAttention, match="permissions"):
            await source.place_order(order_of(made, total=9000))
    assert await vendure.orders() == []


async def test_an_api_key_will_do(vendure: VendureShop) -> None:
    made = await vendure.product()
    config = await _keyed(vendure, [*READING, *ORDERING])
    async with opened(config) as source:
        assert list(await source.diagnose()) == []
        assert len((await read(source.products()))[0]) == 1
    # Cut off where the draft is made, the one thing that bears no mark of ours.
    notes = DictMemory()
    order = order_of(made, total=2 * 4990 + 490)
    proxy = Proxy(vendure.api_url, is_late=True, cut_at=1)
    async with proxy.open(config) as through, opened(through, notes) as source:
        with pytest.raises(OutcomeUnknown):
            await source.place_order(order)
    async with opened(config, notes) as source:
        await source.place_order(order)
    assert [one["state"] for one in await vendure.orders()] == ["PaymentSettled"]


async def test_an_api_key_with_too_few_permissions_is_noticed(vendure: VendureShop) -> None:
    config = await _keyed(vendure, READING)
    async with opened(config) as source:
        (missing,) = await source.diagnose()
        assert "give the role of the account the permissions" in missing
        assert config.api_key.reveal() not in missing


READING = ("ReadCatalog", "ReadStockLocation", "ReadShippingMethod")
ORDERING = (
    *("ReadOrder", "CreateOrder", "UpdateOrder", "DeleteOrder", "ReadCustomer"),
    *("ReadPromotion", "CreatePromotion", "DeletePromotion"),
)


async def _role(vendure: VendureShop, permissions: Sequence[str]) -> str:
    made = await vendure.ask(
        "mutation($input: CreateRoleInput!) { createRole(input: $input) { id } }",
        input={
            "code": f"role-{vendure.channel}",
            "description": "Liveshop",
            "permissions": list(permissions),
            "channelIds": [vendure.channel_id],
        },
    )
    return str(made["createRole"]["id"])


async def _helper(vendure: VendureShop, permissions: Sequence[str]) -> VendureConfig:
    """Signed in as an administrator of a role with these permissions."""
    email = f"{vendure.channel}@example.org"
    await vendure.ask(
        "mutation($input: CreateAdministratorInput!) { createAdministrator(input: $input) { id } }",
        input={
            "firstName": "Live",
            "lastName": "Shop",
            "emailAddress": email,
            "password": "a-password-of-its-own",
            "roleIds": [await _role(vendure, permissions)],
        },
    )
    own = {"username": email, "password": Secret("a-password-of-its-own")}
    changed: VendureConfig = msgspec.structs.replace(vendure.config, **own)
    return changed


async def _keyed(vendure: VendureShop, permissions: Sequence[str]) -> VendureConfig:
    made = await vendure.ask(
        "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey } }",
        input={
            "roleIds": [await _role(vendure, permissions)],
            "translations": [{"languageCode": "en", "name": "Liveshop"}],
        },
    )
    key = Secret(str(made["createApiKey"]["apiKey"]))
    own = {"username": "", "password": Secret(""), "api_key": key}
    changed: VendureConfig = msgspec.structs.replace(vendure.config, **own)
    return changed


async def test_an_address_without_vendure_says_so() -> None:
    async def a_page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    app = web.Application()
    app.router.add_post("/admin-api", a_page)
    async with serve(app) as base:
        config = VendureConfig(api_url=f"{base}/admin-api", api_key=Secret("key-for-tests"))
        async with opened(config) as source:
            with pytest.raises(NeedsAttention, match="no Admin API of Vendure") as caught:
                await read(source.products())
    assert "key-for-tests" not in str(caught.value)
