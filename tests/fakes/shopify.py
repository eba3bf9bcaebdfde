"""Shopify's Admin API on loopback: a small shop behind Shopify's own schema.

Requests are validated and executed by graphql-core with the schema of version 2026-10; answers are
validated by the same execution, scalars included. What breaks the schema, or a rule that the schema
only tells in words, is answered with 599 and stands in `violations`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Literal

from aiohttp import web
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    execute_sync,
    parse,
    validate,
)

from fakes.faults import broken_off, lost
from fakes.shopify_resolvers import Root, field_of
from fakes.shopify_schema import VERSION, schema
from fakes.shopify_shop import Shop
from liveshop.connect.contract import TOKEN_PREFIX, WAIT_SECONDS
from liveshop.kernel.clock import Clock, SystemClock

Fault = Literal[
    "expired",
    "revoked",
    "forbidden",
    "too_many",
    "too_many_until",
    "unavailable",
    "half_sent",
    "lost_answer",
    "throttled",
    "frozen",
]
CLIENT_ID = "fake-client-id"
CLIENT_SECRET = f"{TOKEN_PREFIX}shopify-client-secret"
FIXED_TOKEN = f"{TOKEN_PREFIX}shopify-fixed"
_SCOPES = {
    "products": "read_products",
    "product": "read_products",
    "nodes": "read_products",
    "locations": "read_locations",
    "location": "read_locations",
    "orders": "read_orders",
    "order": "read_orders",
    "inventorySetQuantities": "write_inventory",
    "orderCreate": "write_orders",
    "orderCancel": "write_orders",
}
_MOST_POINTS = 1000


@dataclass(slots=True)
class Bucket:
    maximum: float = 20_000.0
    rate: float = 1000.0
    available: float = 20_000.0
    at: datetime | None = None

    def refill(self, now: datetime) -> None:
        if self.at is not None:
            gone = max(0.0, (now - self.at).total_seconds())
            self.available = min(self.maximum, self.available + gone * self.rate)
        self.at = now


@dataclass
class FakeShopify:
    """`faults`: what is wrong now; `fault_in`: only with this operation, where it is set."""

    clock: Clock = field(default_factory=SystemClock)
    faults: set[Fault] = field(default_factory=set)
    fault_in: str | None = None
    violations: list[str] = field(default_factory=list)
    bucket: Bucket = field(default_factory=Bucket)
    most_points: int = _MOST_POINTS
    operations: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=lambda: {FIXED_TOKEN})
    version: str = VERSION

    def __post_init__(self) -> None:
        self.shop = Shop(self.clock)
        self.schema = schema()
        self._tokens_given = 0

    # HTTP

    async def token(self, request: web.Request) -> web.StreamResponse:
        given = await request.post()
        if given.get("grant_type") != "client_credentials":
            return self._violated("the token request has another grant_type")
        if "revoked" in self.faults:
            return web.json_response({"error": "application_cannot_be_found"}, status=400)
        if "unavailable" in self.faults:
            return web.Response(status=503)
        if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        self._tokens_given += 1
        token = f"{TOKEN_PREFIX}shopify-{self._tokens_given}"
        self.tokens.add(token)
        scope = ",".join(sorted(self.shop.scopes))
        return web.json_response({"access_token": token, "scope": scope, "expires_in": 86399})

    async def graphql(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not isinstance(body, dict) or body.keys() - {"query", "variables", "operationName"}:
            return self._violated("the body is not that of a GraphQL request")
        try:
            document = parse(body["query"])
        except GraphQLError as error:
            return self._violated(f"syntax: {error.message}")
        if errors := validate(self.schema, document):
            return self._violated("; ".join(error.message for error in errors))
        operation = _operation(document)
        name = operation.name.value if operation.name else ""
        self.operations.append(name)
        faults = self.faults if self.fault_in in (None, name) else set()
        if "expired" in faults and request.headers.get("X-Shopify-Access-Token") in self.tokens:
            self.tokens.clear()
            self.faults.discard("expired")
        if (refusal := self._refusal(request, faults)) is not None:
            return refusal
        variables = body.get("variables") or {}
        response = self._answer(document, variables)
        response.headers["X-Shopify-API-Version"] = self.version
        response.headers["Date"] = format_datetime(self.clock.now(), usegmt=True)
        if "half_sent" in faults:
            return await broken_off(request, response)
        if "lost_answer" in faults:
            return await lost(request, response)
        return response

    def _refusal(self, request: web.Request, faults: set[Fault]) -> web.Response | None:
        token = request.headers.get("X-Shopify-Access-Token", "")
        if "revoked" in faults or token not in self.tokens:
            told = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return web.json_response({"errors": told}, status=401)
        if "too_many" in faults:
            return web.json_response({"errors": "Too many requests"}, status=429)
        if "too_many_until" in faults:
            after = {"Retry-After": f"{WAIT_SECONDS}.0"}
            return web.json_response({"errors": "Too many requests"}, status=429, headers=after)
        if "unavailable" in faults:
            return web.Response(status=503, text="<html>unavailable</html>")
        if "frozen" in faults:
            return web.json_response({"errors": "Unavailable Shop"}, status=402)
        return None

    def _answer(self, document: DocumentNode, variables: Mapping[str, Any]) -> web.Response:
        operation = _operation(document)
        points = _Points(document, variables).of(operation.selection_set)
        points += 10 if operation.operation.value == "mutation" else 0
        self.bucket.refill(self.clock.now())
        if points > self.most_points:
            message = f"Query cost is {points}, which exceeds the single query max cost limit."
            return self._errors("MAX_COST_EXCEEDED", message, points)
        if points > self.bucket.available or "throttled" in self.faults:
            return self._errors("THROTTLED", "Throttled", points)
        self.bucket.available -= points
        for selection in operation.selection_set.selections:
            assert isinstance(selection, FieldNode)
            scope = "none" if "forbidden" in self.faults else _SCOPES.get(selection.name.value)
            if scope and not self._allows(scope):
                if scope == "none":
                    scope = "read_products"
                name = selection.name.value
                message = (
                    f"Access denied for {name} field. Required access: `{scope}` access scope."
                )
                return self._errors("ACCESS_DENIED", message, points)
        result = execute_sync(
            self.schema,
            document,
            root_value=Root(self.shop),
            variable_values=dict(variables),
            field_resolver=field_of,
            type_resolver=lambda value, *_: value["__typename"],
        )
        if result.errors and "'CountryCode' enum" in result.errors[0].message:
            message = (
                "Variable $order of type OrderCreateOrderInput! was provided invalid value for "
                "shippingAddress.countryCode (Expected it to be one of: AC, AD, …)"
            )
            return self._errors("INVALID_VARIABLE", message, points)
        if result.errors:
            return self._violated("; ".join(str(error.message) for error in result.errors))
        return web.json_response({"data": result.data, "extensions": self._extensions(points)})

    def _allows(self, scope: str) -> bool:
        scopes = self.shop.scopes
        return scope in scopes or scope.replace("read_", "write_", 1) in scopes

    def _errors(self, code: str, message: str, points: int) -> web.Response:
        error = {"message": message, "extensions": {"code": code}}
        return web.json_response({"errors": [error], "extensions": self._extensions(points)})

    def _extensions(self, points: int) -> dict[str, Any]:
        return {
            "cost": {
                "requestedQueryCost": points,
                "actualQueryCost": points,
                "throttleStatus": {
                    "maximumAvailable": self.bucket.maximum,
                    "currentlyAvailable": math.floor(self.bucket.available),
                    "restoreRate": self.bucket.rate,
                },
            }
        }

    def _violated(self, what: str) -> web.Response:
        self.violations.append(what)
        return web.json_response({"errors": [{"message": what}]}, status=599)


def make_app(clock: Clock | None = None) -> tuple[web.Application, FakeShopify]:
    fake = FakeShopify(clock or SystemClock())
    app = web.Application()
    app.router.add_post("/admin/oauth/access_token", fake.token)
    app.router.add_post("/admin/api/{version}/graphql.json", fake.graphql)
    return app, fake


def make_demo_app() -> tuple[web.Application, FakeShopify]:
    """By hand: with a few products, and the credentials `CLIENT_ID` and `CLIENT_SECRET`."""
    app, fake = make_app()
    shop = fake.shop
    for title, price in (("Mug", "12.00"), ("Bowl", "18.50"), ("Jug", "29.00")):
        shop.add(title, shop.variant(price, 10, sku=title.upper()))
    sizes = [shop.variant("49.90", 5, sku=f"SHIRT-{size}", values=(size,)) for size in "SML"]
    shop.add("Linen shirt", *sizes, options=("Size",), description="<p>Soft.</p>")
    return app, fake


# Costs. Shopify publishes what objects and changes cost, and of lists only that their size counts.


@dataclass(slots=True)
class _Points:
    document: DocumentNode
    variables: Mapping[str, Any]

    def of(self, selected: SelectionSetNode | None) -> int:
        return sum(self._of_one(one) for one in selected.selections) if selected else 0

    def _of_one(self, one: object) -> int:
        if isinstance(one, InlineFragmentNode):
            return self.of(one.selection_set)
        if isinstance(one, FragmentSpreadNode):
            fragments = {
                part.name.value: part
                for part in self.document.definitions
                if isinstance(part, FragmentDefinitionNode)
            }
            return self.of(fragments[one.name.value].selection_set)
        if not isinstance(one, FieldNode) or one.selection_set is None:
            return 0
        inner = self.of(one.selection_set)
        if one.name.value == "nodes" and one.arguments:  # each of the ids asked for
            return len(self.variables["ids"]) * (1 + inner)
        length = self._length(one)
        return 1 + inner if length is None else 2 + math.isqrt(length) * max(1, inner)

    def _length(self, one: FieldNode) -> int | None:
        for argument in one.arguments or ():
            if argument.name.value == "first":
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                assert isinstance(argument.value, VariableNode)
                return int(self.variables[argument.value.name.value])
        return None


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))
