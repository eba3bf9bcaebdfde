"""A real Vendure for the tests: started once, and a channel of its own for each shop in it."""

import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from fakes.serving import serve
from npm_packages import npm_server

from connectors.sources.vendure import VendureConfig
from liveshop.connect import Secret

USER = "superadmin"
PASSWORD = "a-vendure-password-for-tests"
_numbers = itertools.count(1)


@contextmanager
def running() -> Iterator[str]:
    """Yields the address of its Admin API."""
    environment = {"VENDURE_USER": USER, "VENDURE_PASSWORD": PASSWORD}
    with npm_server(Path(__file__).parent / "vendure", environment) as told:
        yield told["admin_api"]


class VendureError(Exception):
    """What Vendure answered to the tests' own request."""


@dataclass
class VendureShop:
    """A merchant at work in Vendure: one channel, EUR, prices with 19 % tax in them."""

    api_url: str
    http: aiohttp.ClientSession
    channel: str
    session: str = ""
    channel_id: str = ""

    @property
    def config(self) -> VendureConfig:
        return VendureConfig(
            api_url=self.api_url,
            username=USER,
            password=Secret(PASSWORD),
            channel_token=self.channel,
            page_size=20,
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The same configuration as a form gives it."""
        return {
            "api_url": self.api_url,
            "username": USER,
            "password": PASSWORD,
            "channel_token": self.channel,
            "page_size": 20,
        }

    async def ask(self, document: str, **variables: Any) -> Any:
        headers = {"vendure-token": self.channel} if self.channel_id else {}
        if self.session:
            headers["Authorization"] = f"Bearer {self.session}"
        body = {"query": document, "variables": variables}
        async with self.http.post(self.api_url, json=body, headers=headers) as answer:
            self.session = answer.headers.get("vendure-auth-token", self.session)
            told = await answer.json()
        if told.get("errors"):
            raise VendureError(told["errors"])
        for result in told["data"].values():
            if isinstance(result, dict) and result.get("errorCode"):
                raise VendureError(result)
        return told["data"]

    async def product(
        self,
        name: str = "Linen shirt",
        *,
        price: int = 4990,
        stock: int | Sequence[int] = 5,
        sizes: Sequence[str] = (),
        description: str = "<p>Soft linen.</p>",
        **variant: Any,
    ) -> "VendureProduct":
        """With one variant, or one for each size."""
        slug = f"{re.sub(r'[^a-z]+', '-', name.casefold())}-{next(_numbers)}"
        words = {"languageCode": "en", "name": name, "slug": slug, "description": description}
        made = await self.ask(
            "mutation($input: CreateProductInput!) { createProduct(input: $input) { id } }",
            input={"translations": [words]},
        )
        id_ = made["createProduct"]["id"]
        options: list[list[str]] = [[]]
        if sizes:
            options = [[one] for one in await self._size_options(id_, sizes)]
        amounts = [stock] * len(options) if isinstance(stock, int) else list(stock)
        variants = await self.ask(
            "mutation($input: [CreateProductVariantInput!]!) "
            "{ createProductVariants(input: $input) { id } }",
            input=[
                {
                    "productId": id_,
                    "sku": f"{slug}-{place}",
                    "price": price,
                    "stockOnHand": amount,
                    "optionIds": chosen,
                    "translations": [{"languageCode": "en", "name": name}],
                }
                | variant
                for place, (chosen, amount) in enumerate(zip(options, amounts, strict=True))
            ],
        )
        return VendureProduct(
            id_, slug, tuple(one["id"] for one in variants["createProductVariants"])
        )

    async def _size_options(self, product_id: str, sizes: Sequence[str]) -> list[str]:
        def words(text: str) -> list[dict[str, str]]:
            return [{"languageCode": "en", "name": text}]

        made = await self.ask(
            "mutation($input: CreateProductOptionGroupInput!) "
            "{ createProductOptionGroup(input: $input) { id options { id } } }",
            input={
                "code": f"size-{next(_numbers)}",
                "translations": words("Size"),
                "options": [{"code": one.casefold(), "translations": words(one)} for one in sizes],
            },
        )
        group = made["createProductOptionGroup"]
        await self.ask(
            "mutation($product: ID!, $group: ID!) "
            "{ addOptionGroupToProduct(productId: $product, optionGroupId: $group) { id } }",
            product=product_id,
            group=group["id"],
        )
        return [one["id"] for one in group["options"]]

    async def set_variant(self, variant_id: str, **values: Any) -> None:
        """Such as `price`, `stockOnHand`, `enabled`, `trackInventory`."""
        await self.ask(
            "mutation($input: [UpdateProductVariantInput!]!) "
            "{ updateProductVariants(input: $input) { id } }",
            input=[{"id": variant_id} | values],
        )

    async def set_product(self, product_id: str, **values: Any) -> None:
        await self.ask(
            "mutation($input: UpdateProductInput!) { updateProduct(input: $input) { id } }",
            input={"id": product_id} | values,
        )

    async def facet_value(self, facet: str, value: str) -> str:
        """The id of a value of a new facet with this code."""
        made = await self.ask(
            "mutation($input: CreateFacetInput!) { createFacet(input: $input) { values { id } } }",
            input={
                "code": facet,
                "isPrivate": False,
                "translations": [{"languageCode": "en", "name": facet}],
                "values": [
                    {"code": value, "translations": [{"languageCode": "en", "name": value}]}
                ],
            },
        )
        return str(made["createFacet"]["values"][0]["id"])

    async def delete_product(self, product_id: str) -> None:
        await self.ask("mutation($id: ID!) { deleteProduct(id: $id) { result } }", id=product_id)

    async def delete_variant(self, variant_id: str) -> None:
        await self.ask(
            "mutation($id: ID!) { deleteProductVariant(id: $id) { result } }", id=variant_id
        )

    async def saleable(self, variant_id: str) -> int:
        told = await self.ask(
            "query($id: ID!) "
            "{ productVariant(id: $id) { stockLevels { stockOnHand stockAllocated } } }",
            id=variant_id,
        )
        return sum(
            level["stockOnHand"] - level["stockAllocated"]
            for level in told["productVariant"]["stockLevels"]
        )

    async def orders(self) -> list[Mapping[str, Any]]:
        """All of the channel, drafts too, in the order in which they were made."""
        told = await self.ask(
            """
            query {
              orders(options: { sort: { id: ASC }, take: 100 }) {
                items {
                  id code state totalWithTax shippingWithTax couponCodes
                  discounts { amountWithTax description }
                  customer { emailAddress }
                  shippingAddress { fullName streetLine1 postalCode city countryCode }
                  lines { quantity productVariant { id } }
                  payments { method transactionId amount state }
                  history { items { type data } }
                }
              }
            }
            """
        )
        found: list[Mapping[str, Any]] = told["orders"]["items"]
        return found

    async def promotions(self) -> list[str]:
        """The coupon codes of all there are."""
        told = await self.ask("query { promotions { items { couponCode } } }")
        return [one["couponCode"] for one in told["promotions"]["items"]]

    async def sell(self, variant_id: str, quantity: int = 1) -> str:
        """Sold in Vendure itself; the order's code."""
        made = await self.ask("mutation { createDraftOrder { id code } }")
        order = made["createDraftOrder"]
        steps = [
            "addItemToDraftOrder(orderId: $id, input: { productVariantId: $variant, "
            "quantity: $quantity }) { __typename ... on ErrorResult { errorCode message } }",
            "setCustomerForDraftOrder(orderId: $id, input: { emailAddress: "
            '"walk-in@example.org", firstName: "Walk", lastName: "In" }) '
            "{ __typename ... on ErrorResult { errorCode message } }",
            'setDraftOrderShippingAddress(orderId: $id, input: { streetLine1: "Weg 2", '
            'countryCode: "DE" }) { id }',
            'setDraftOrderShippingMethod(orderId: $id, shippingMethodId: "1") '
            "{ __typename ... on ErrorResult { errorCode message } }",
            'transitionOrderToState(id: $id, state: "ArrangingPayment") '
            "{ __typename ... on OrderStateTransitionError { errorCode message } }",
            'addManualPaymentToOrder(input: { orderId: $id, method: "cash", metadata: {} }) '
            "{ __typename ... on ErrorResult { errorCode message } }",
        ]
        for place, step in enumerate(steps):
            head = ", $variant: ID!, $quantity: Int!" if place == 0 else ""
            given = {"variant": variant_id, "quantity": quantity} if place == 0 else {}
            await self.ask(f"mutation($id: ID!{head}) {{ {step} }}", id=order["id"], **given)
        return str(order["code"])

    async def add_picture(self, product_id: str, data: bytes) -> None:
        form = aiohttp.FormData()
        form.add_field(
            "operations",
            '{"query": "mutation($file: Upload!) { createAssets(input: [{ file: $file }]) '
            '{ ... on Asset { id } } }", "variables": {"file": null}}',
        )
        form.add_field("map", '{"0": ["variables.file"]}')
        form.add_field("0", data, filename="shirt.jpg", content_type="image/jpeg")
        headers = {
            "Authorization": f"Bearer {self.session}",
            "vendure-token": self.channel,
            "apollo-require-preflight": "1",
        }
        async with self.http.post(self.api_url, data=form, headers=headers) as answer:
            told = await answer.json()
        if told.get("errors"):
            raise VendureError(told["errors"])
        asset_id = told["data"]["createAssets"][0]["id"]
        await self.set_product(product_id, featuredAssetId=asset_id, assetIds=[asset_id])


@dataclass(frozen=True, slots=True)
class VendureProduct:
    id: str
    slug: str
    variant_ids: tuple[str, ...]

    @property
    def variant_id(self) -> str:
        return self.variant_ids[0]


@dataclass
class Proxy:
    """Vendure behind a line that can be cut: before the n-th change is sent on, or after it was
    carried out and before the answer comes back."""

    target: str
    is_late: bool = False
    cut_at: int | None = None
    cut_after: str = ""
    """Or at a change of this name."""
    on_cut: Callable[[], None] = lambda: None
    """Such as killing the process that asked."""
    names: list[str] = field(default_factory=list)
    """Of the changes asked for since the cut was set."""
    fault: str = ""
    """One of the contract's, on every request."""
    _sessions: set[str] = field(default_factory=set)
    _expired: set[str] = field(default_factory=set)

    def play(self, fault: str) -> None:
        if fault == "expired":
            self._expired |= self._sessions
        elif fault == "lost_answer":
            self.is_late, self.cut_after = True, "addManualPaymentToOrder"
        else:
            self.fault = fault

    def heal(self) -> None:
        self.fault = self.cut_after = ""
        self._expired.clear()

    def cut(self, *, at: int) -> None:
        self.cut_at, self.names = at, []

    @asynccontextmanager
    async def open(self, config: VendureConfig) -> AsyncIterator[VendureConfig]:
        """Yields the configuration that leads through here."""
        app = web.Application()
        app.router.add_post("/admin-api", self.handle)
        async with serve(app) as base:
            yield msgspec.structs.replace(config, api_url=f"{base}/admin-api")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        document = msgspec.json.decode(body)["query"].lstrip()
        is_change = document.startswith("mutation") and "login(" not in document
        cut = False
        if is_change:
            self.names.append(re.split(r"[({]", document.split("{", 1)[1])[0].strip())
            cut = len(self.names) == self.cut_at or self.names[-1] == self.cut_after
        if cut and not self.is_late:
            return self._hang_up(request)
        faulty = await self._faulty(request, is_login="login(" in document)
        if faulty is not None:
            return faulty
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"authorization", "vendure-api-key", "vendure-token", "content-type"}
        }
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.target, data=body, headers=headers) as answer,
        ):
            content = await answer.read()
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() in {"vendure-auth-token", "date", "content-type"}
            }
        if cut:
            return self._hang_up(request)
        return web.Response(status=answer.status, body=content, headers=kept)

    async def _faulty(self, request: web.Request, *, is_login: bool) -> web.StreamResponse | None:
        session = request.headers.get("Authorization", "")
        self._sessions.add(session)
        forbidden = {"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}
        if session and session in self._expired:
            return web.json_response(forbidden)
        if self.fault in {"revoked", "forbidden"}:
            if not is_login:
                return web.json_response(forbidden)
            if self.fault == "revoked":
                refused = {"__typename": "InvalidCredentialsError", "message": "no"}
                return web.json_response({"data": {"login": refused}})
        if self.fault == "unavailable":
            return web.Response(status=503)
        if self.fault in {"too_many", "too_many_until"}:
            after = {"Retry-After": "120"} if self.fault == "too_many_until" else {}
            return web.Response(status=429, headers=after)
        if self.fault == "half_sent":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"data": ')
            return self._hang_up(request)
        return None

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.on_cut()
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def shop_in(api_url: str) -> AsyncIterator[VendureShop]:
    """A new channel of a running Vendure."""
    name = f"shop-{os.getpid()}-{next(_numbers)}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        shop = VendureShop(api_url, http, name)
        await shop.ask(
            "mutation($user: String!, $password: String!) { login(username: $user, "
            "password: $password) { ... on ErrorResult { errorCode message } } }",
            user=USER,
            password=PASSWORD,
        )
        made = await shop.ask(
            "mutation($input: CreateChannelInput!) { createChannel(input: $input) "
            "{ ... on Channel { id } ... on ErrorResult { errorCode message } } }",
            input={
                "code": name,
                "token": name,
                "defaultLanguageCode": "en",
                "pricesIncludeTax": True,
                "defaultCurrencyCode": "EUR",
                "defaultTaxZoneId": "1",
                "defaultShippingZoneId": "1",
            },
        )
        channel_id = made["createChannel"]["id"]
        await shop.ask(
            """
            mutation($id: ID!) {
              assignShippingMethodsToChannel(input: { shippingMethodIds: ["1"], channelId: $id })
                { id }
              assignStockLocationsToChannel(input: { stockLocationIds: ["1"], channelId: $id })
                { id }
            }
            """,
            id=channel_id,
        )
        shop.channel_id = channel_id
        yield shop
