"""Small makers of what tests need, with sensible defaults: say only what the test is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from liveshop.app import Liveshop
from liveshop.catalog.model import Option, Product, ProductDraft, VariantDraft
from liveshop.kernel.ids import LocationId, ProductId, ShowId, VariantId
from liveshop.kernel.money import Money
from liveshop.settings import Settings, load
from liveshop.shows import wire as shows_wire
from liveshop.web import PERMISSIONS, Principal

SECRET = "a-secret-for-tests-of-at-least-32-characters"
PASSWORD = "a-password-for-tests"
ADDRESS = {
    "name": "Ada Example",
    "line1": "Weg 1",
    "postal_code": "20095",
    "city": "Hamburg",
    "country": "DE",
}
GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"


def test_settings(folder: Path, *, database_url: str = "", **overrides: Any) -> Settings:
    """Settings in test mode with both payment methods; dotted names override (`shop__name=`)."""
    return load(
        file=None,
        environ={},
        overrides={
            "mode": "test",
            "data_dir": str(folder),
            "database.url": database_url,
            "server.secret": SECRET,
            "payments.methods": ["sandbox", "invoice"],
            "mail.sender": "shop@shop.example",
            "mail.folder": str(folder / "mail"),
        }
        | {name.replace("__", "."): value for name, value in overrides.items()},
    )


test_settings.__test__ = False  # type: ignore[attr-defined]  # a maker, not a test


async def location(shop: Liveshop, name: str = "Warehouse", *, priority: int = 1) -> LocationId:
    return (await shop.catalog.create_location(name, kind="warehouse", priority=priority)).id


async def product(
    shop: Liveshop,
    *,
    title: str = "Mug",
    stock: int | Sequence[int] = 5,
    sizes: Sequence[str] = (),
    price: int = 2800,
    tax_class: str = "standard",
    places: Sequence[LocationId] | None = None,
) -> Product:
    """A product with one variant, or one for each size; `stock` of each, by location."""
    values: list[tuple[str, ...]] = [(size,) for size in sizes] or [()]
    added = await shop.catalog.create_product(
        ProductDraft(
            title=title,
            options=(Option("Size", tuple(sizes)),) if sizes else (),
            variants=tuple(
                VariantDraft(
                    sku="-".join((title.upper()[:20], *value)),
                    values=value,
                    price=Money(price, "EUR"),
                    tax_class=tax_class,
                )
                for value in values
            ),
        )
    )
    if places is None:
        known = await shop.catalog.locations()
        places = [known[0].id] if known else [await location(shop)]
    amounts = [stock] if isinstance(stock, int) else list(stock)
    for variant in added.product.variants:
        for place, amount in zip(places, amounts, strict=False):
            await shop.catalog.set_stock(variant.id, place, amount)
    return added.product


async def live_show(shop: Liveshop, products: Sequence[ProductId] = ()) -> ShowId:
    created = await shop.shows.create_show(
        shows_wire.ShowInput(title="A show", host_name="Hedda", product_ids=list(products))
    )
    await shop.shows.change_state(created.id, "live")
    return created.id


async def available(shop: Liveshop, variant_id: VariantId) -> int:
    return (await shop.catalog.available([variant_id]))[variant_id]


ALL_RIGHTS = Principal(kind="staff", id="stf_tests", name="Tests", permissions=frozenset(PERMISSIONS))


async def staff_key(shop: Liveshop, *roles: str) -> str:
    """An API key with all rights of a new member of staff with these roles."""
    member = await shop.accounts.create_staff(
        email=f"{'-'.join(roles)}@shop.example", name=roles[0].title(), password=PASSWORD,
        roles=roles,
    )
    _, secret = await shop.accounts.create_key(
        name="tests", permissions=member.permissions, by=member.as_principal()
    )
    return secret


@dataclass(slots=True)
class Api:
    """A caller of the HTTP API over a real socket; `token` is sent with every call."""

    client: "TestClient[Any, Any]"
    token: str = ""

    def with_token(self, token: str) -> "Api":
        return Api(self.client, token)

    async def as_guest(self) -> "Api":
        status, answer = await self.call("POST", "/api/guests")
        assert status == 201, answer
        return self.with_token(answer["token"])

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """(status, decoded JSON or None); header names with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        options: dict[str, Any] = {} if body is None else {"json": body}
        async with self.client.request(method, path, headers=sent, **options) as response:
            raw = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, await response.json(content_type=None) if raw and is_json else None

    async def order(
        self, key: str, *, expected_total: dict[str, Any] | None = None, method: str = "sandbox",
        card: str | None = GOOD_CARD, show_id: str | None = None,
    ) -> tuple[int, Any]:
        """Quote the cart (unless a total is given) and place the order."""
        if expected_total is None:
            status, quote = await self.call("POST", "/api/cart/quote", {"country": "DE"})
            assert status == 200, quote
            expected_total = quote["total"]
        body = {
            "expected_total": expected_total,
            "email": "ada@example.org",
            "address": ADDRESS,
            "payment": {"method": method, "card_number": card},
            "show_id": show_id,
        }
        return await self.call("POST", "/api/orders", body, Idempotency_Key=key)


async def api_of(shop: Liveshop) -> Api:
    """Start the shop's web application on a free loopback port. Close with `api.client.close()`."""
    client = TestClient(
        TestServer(shop.web_application()), cookie_jar=aiohttp.DummyCookieJar()
    )
    await client.start_server()
    return Api(client)
