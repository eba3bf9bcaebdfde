"""Small makers of what tests need, with sensible defaults: say only what the test is about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy
from yarl import URL

from liveshop.app import Liveshop
from liveshop.catalog.model import Option, Product, ProductDraft, VariantDraft
from liveshop.kernel.clock import Clock
from liveshop.kernel.ids import LocationId, ProductId, ShowId, VariantId, new_secret
from liveshop.kernel.money import Money
from liveshop.settings import Settings, load
from liveshop.shows import wire as shows_wire
from liveshop.web import PERMISSIONS, Principal

SECRET = "a-secret-for-tests-of-at-least-32-characters"
PASSWORD = "a-password-for-tests"
STOREFRONT_KEY = "a-storefront-key-of-at-least-32-characters"
ADDRESS = {
    "name": "Ada Example",
    "line1": "Weg 1",
    "postal_code": "20095",
    "city": "Hamburg",
    "country": "DE",
}
GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"


def test_settings(  # a maker, not a test
    folder: Path,
    *,
    database_url: str = "",  # noqa: PT028
    **overrides: Any,
) -> Settings:
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
            "checkout.adds_per_minute": 100_000,
            "checkout.orders_per_minute": 100_000,
            "mail.sender": "shop@shop.example",
            "mail.folder": str(folder / "mail"),
            "video.least_free_gib": 0.0,
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
    compare_at: int | None = None,
    tiers: Mapping[int, int] | None = None,
    tax_class: str = "standard",
    category: str | None = None,
    weight_grams: int = 0,
    max_per_customer: int | None = None,
    places: Sequence[LocationId] | None = None,
) -> Product:
    """A product with one variant, or one for each size; `stock` of each, by location."""
    values: list[tuple[str, ...]] = [(size,) for size in sizes] or [()]
    added = await shop.catalog.create_product(
        ProductDraft(
            title=title,
            category=category,
            max_per_customer=max_per_customer,
            options=(Option("Size", tuple(sizes)),) if sizes else (),
            variants=tuple(
                VariantDraft(
                    sku="-".join((title.upper()[:20], *value)),
                    values=value,
                    price=Money(price, "EUR"),
                    compare_at=None if compare_at is None else Money(compare_at, "EUR"),
                    tiers=tuple(
                        (quantity, Money(each, "EUR")) for quantity, each in (tiers or {}).items()
                    ),
                    tax_class=tax_class,
                    weight_grams=weight_grams,
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


async def bundle(
    shop: Liveshop,
    parts: Mapping[VariantId, int],
    *,
    title: str = "Breakfast set",
    price: int = 4900,
    max_per_customer: int | None = None,
) -> Product:
    """A product that is sold as so many of each part."""
    added = await shop.catalog.create_product(
        ProductDraft(
            title=title,
            max_per_customer=max_per_customer,
            variants=(
                VariantDraft(
                    sku=title.upper()[:20], price=Money(price, "EUR"), parts=tuple(parts.items())
                ),
            ),
        )
    )
    return added.product


async def live_show(shop: Liveshop, products: Sequence[ProductId] = ()) -> ShowId:
    created = await shop.shows.create_show(
        shows_wire.ShowInput(title="A show", host_name="Hedda", product_ids=list(products))
    )
    await shop.shows.change_state(created.id, "live")
    return created.id


async def available(shop: Liveshop, variant_id: VariantId) -> int:
    return (await shop.catalog.available([variant_id]))[variant_id]


ALL_RIGHTS = Principal(
    kind="staff", id="stf_tests", name="Tests", permissions=frozenset(PERMISSIONS)
)


async def staff_key(shop: Liveshop, *roles: str) -> str:
    """An API key with all rights of a new member of staff with these roles."""
    member = await shop.accounts.create_staff(
        email=f"{'-'.join(roles)}@shop.example",
        name=roles[0].title(),
        password=PASSWORD,
        roles=roles,
    )
    _, secret = await shop.accounts.create_key(
        name="tests", permissions=member.permissions, by=member.as_principal()
    )
    return secret


async def staff(shop: Liveshop, *roles: str) -> str:
    """A new member of staff with these roles and PASSWORD; their e-mail."""
    member = await shop.accounts.create_staff(
        email=f"{'-'.join(roles)}@shop.example",
        name=roles[0].title(),
        password=PASSWORD,
        roles=roles,
    )
    return member.email


async def key_with(shop: Liveshop, *permissions: str) -> str:
    """An API key with these permissions and no others."""
    owner = await shop.accounts.create_staff(
        email=f"{new_secret(6).lower()}@keys.example",
        name="Owner",
        password=PASSWORD,
        roles=["admin"],
    )
    _, secret = await shop.accounts.create_key(
        name="tests", permissions=permissions, by=owner.as_principal()
    )
    return secret


def storefront_jwt(clock: Clock, **claims: Any) -> str:
    """What a storefront says of its signed-in customer, in the name of `STOREFRONT_KEY`."""
    said = {
        "sub": "customer-1",
        "aud": "liveshop",
        "iat": clock.now(),
        "exp": clock.now() + timedelta(minutes=5),
    }
    return jwt.encode(said | claims, STOREFRONT_KEY, algorithm="HS256")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP, read to the end."""

    status: int
    headers: "CIMultiDictProxy[str]"
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Api:
    """A caller of the HTTP API over a real socket; `token` is sent with every call.

    Somebody signed in as staff has a `session` cookie instead, and its `csrf` token.
    """

    client: "TestClient[Any, Any]"
    token: str = ""
    session: str = ""
    csrf: str = ""

    def with_token(self, token: str) -> "Api":
        return Api(self.client, token)

    async def signed_in(self, email: str, password: str = PASSWORD) -> "Api":
        """A browser of staff: cookie and CSRF token."""
        answer = await self.fetch("POST", "/api/session", {"email": email, "password": password})
        assert answer.status == 200, answer.text
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        return Api(self.client, session=cookie, csrf=answer.json["csrf_token"])

    async def as_guest(self) -> "Api":
        status, answer = await self.call("POST", "/api/guests")
        assert status == 201, answer
        return self.with_token(answer["token"])

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """(status, decoded JSON or None); header names with underscores for dashes."""
        answer = await self.fetch(method, path, body, **headers)
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, answer.json if answer.body and is_json else None

    async def fetch(
        self, method: str, path: str, body: Any = None, *, raw: Any = None, **headers: str
    ) -> Answer:
        """The whole answer. `path` goes out as it stands, encoded already; `raw` bytes unasked."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if self.session:
            sent.setdefault("Cookie", self.session)
        if self.csrf:
            sent.setdefault("X-CSRF-Token", self.csrf)
        options: dict[str, Any] = {} if body is None else {"json": body}
        if raw is not None:
            options["data"] = raw
        url = self.client.make_url("/").join(URL(path, encoded=True))
        async with self.client.session.request(
            method, url, headers=sent, allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def order(
        self,
        key: str,
        *,
        expected_total: dict[str, Any] | None = None,
        method: str = "sandbox",
        card: str | None = GOOD_CARD,
        show_id: str | None = None,
        expected_lines: list[dict[str, Any]] | None = None,
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
            "expected_lines": expected_lines,
        }
        return await self.call("POST", "/api/orders", body, Idempotency_Key=key)


async def api_of(shop: Liveshop) -> Api:
    """Start the shop's web application on a free loopback port. Close with `api.client.close()`."""
    server = TestServer(shop.web_application())
    await server.start_server(access_log=None)  # as the real one is started
    client = TestClient(server, cookie_jar=aiohttp.DummyCookieJar())
    await client.start_server()
    return Api(client)
