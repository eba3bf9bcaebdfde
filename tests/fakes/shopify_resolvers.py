"""What Shopify's schema asks a shop for, field by field.

A value is a mapping of fields, or of functions of their arguments. A field that is not there is one
that the fake does not know; it is told as a violation.
"""

# ruff: noqa: A002, N803  # arguments are named by the schema; `rest` are those with defaults

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, StringValueNode, VariableNode

from fakes.shopify_shop import Order, Product, Shop, Variant, WrongQuery
from liveshop.kernel.clock import rfc3339

MOST_IN_A_LIST = 250


def field_of(source: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
    value = (
        getattr(source, info.field_name) if isinstance(source, Root) else source[info.field_name]
    )
    return value(info, **given) if callable(value) else value


class Root:
    """Queries and mutations, by the names of the schema."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def shop(self, _: GraphQLResolveInfo) -> dict[str, Any]:
        return {"name": "Fake shop", "currencyCode": self._shop.currency}

    def currentAppInstallation(self, _: GraphQLResolveInfo) -> dict[str, Any]:
        return {"accessScopes": [{"handle": one} for one in sorted(self._shop.scopes)]}

    def products(
        self,
        _: GraphQLResolveInfo,
        first: int,
        query: str | None = None,
        sortKey: str = "ID",
        reverse: bool = False,
        **rest: Any,
    ) -> dict[str, Any]:
        found = _searched(self._shop.search_products, query)
        by = {"ID": lambda one: one.number, "UPDATED_AT": lambda one: one.updated_at}[sortKey]
        found.sort(key=by, reverse=reverse)
        return _page([_product(self._shop, one) for one in found], first, None)

    def product(self, _: GraphQLResolveInfo, id: str) -> dict[str, Any] | None:
        found = [one for one in self._shop.products.values() if one.gid == id]
        return _product(self._shop, found[0]) if found else None

    def nodes(self, _: GraphQLResolveInfo, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        _check_length(ids)
        found = [self._shop.found(id_) for id_ in ids]
        return [_variant(self._shop, one[1]) if one else None for one in found]

    def locations(self, _: GraphQLResolveInfo, first: int, **rest: Any) -> dict[str, Any]:
        return _page([_location(self._shop, one) for one in self._shop.locations], first, None)

    def location(self, _: GraphQLResolveInfo, id: str) -> dict[str, Any] | None:
        number = int(id.rpartition("/")[2])
        return _location(self._shop, number) if number in self._shop.locations else None

    def orders(self, _: GraphQLResolveInfo, first: int, query: str, **rest: Any) -> dict[str, Any]:
        found = _searched(self._shop.search_orders, query)
        return _page([_order(one) for one in found], first, None)

    def order(self, _: GraphQLResolveInfo, id: str) -> dict[str, Any] | None:
        found = [one for one in self._shop.orders.values() if one.gid == id]
        return _order(found[0]) if found else None

    def job(self, _: GraphQLResolveInfo, id: str) -> dict[str, Any] | None:
        known = id in self._shop.pending or id in self._shop.jobs_done
        return {"id": id, "done": id in self._shop.jobs_done} if known else None

    def inventorySetQuantities(
        self, info: GraphQLResolveInfo, input: Mapping[str, Any]
    ) -> dict[str, Any]:
        key = _idempotency_key(info)
        if key is None:
            raise GraphQLError("inventorySetQuantities needs @idempotent since 2026-04")
        if any("changeFromQuantity" not in entry for entry in input["quantities"]):
            raise GraphQLError("changeFromQuantity must be said since 2026-04, if only as null")
        _check_length(input["quantities"])
        if key in self._shop.keys:
            asked, answered = self._shop.keys[key]
            if asked != input:
                raise GraphQLError("one idempotency key for two different changes")
            return dict(answered)
        errors = self._shop.set_quantities(input["quantities"])
        group = None if errors else {"id": f"gid://shopify/InventoryAdjustmentGroup/{key}"}
        answer = {"inventoryAdjustmentGroup": group, "userErrors": errors}
        self._shop.keys[key] = (input, answer)
        return answer

    def orderCreate(
        self,
        info: GraphQLResolveInfo,
        order: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        if _idempotency_key(info) is not None:
            raise GraphQLError("orderCreate does not document @idempotent")
        made, errors = self._shop.create_order(order, options or {})
        return {"order": _order(made) if made else None, "userErrors": errors}

    def orderCancel(
        self, _: GraphQLResolveInfo, orderId: str, reason: str, restock: bool, **more: Any
    ) -> dict[str, Any]:
        if not restock or more.get("refundMethod") != {"originalPaymentMethodsRefund": False}:
            raise GraphQLError("the test shop restocks, and refunds nothing by itself")
        order = next((one for one in self._shop.orders.values() if one.gid == orderId), None)
        if order is None or order.cancelled_at is not None:
            error = {"code": "INVALID", "message": "Cannot be cancelled", "field": ["orderId"]}
            return {"job": None, "orderCancelUserErrors": [error]}
        id_ = f"gid://shopify/Job/{self._shop.number()}"
        self._shop.pending[id_] = lambda: self._shop.cancel_order(order)
        if not self._shop.jobs_are_slow:
            self._shop.finish_jobs()
        job = {"id": id_, "done": id_ in self._shop.jobs_done}
        return {"job": job, "orderCancelUserErrors": []}


def _idempotency_key(info: GraphQLResolveInfo) -> str | None:
    for directive in info.field_nodes[0].directives or ():
        if directive.name.value == "idempotent":
            value = directive.arguments[0].value
            if isinstance(value, VariableNode):
                # graphql-core 3.3 tells variables as they came and as they were understood.
                values = getattr(info.variable_values, "coerced", info.variable_values)
                return str(values[value.name.value])
            assert isinstance(value, StringValueNode)
            return value.value
    return None


def _check_length(items: Sequence[object]) -> None:
    if len(items) > MOST_IN_A_LIST:
        raise GraphQLError(f"a list of input has more than {MOST_IN_A_LIST} entries")


def _searched(search: Any, query: str | None) -> list[Any]:
    try:
        return list(search(query))
    except WrongQuery as error:
        raise GraphQLError(f"the search {error} is not one that the fake understands") from None


def _page(items: Sequence[dict[str, Any]], first: int, after: str | None) -> dict[str, Any]:
    if not 0 < first <= MOST_IN_A_LIST:
        raise GraphQLError(f"first: {first} is not from 1 to {MOST_IN_A_LIST}")
    start = int(after) if after else 0
    end = min(start + first, len(items))
    info = {"hasNextPage": end < len(items), "endCursor": str(end)}
    return {"nodes": list(items[start:end]), "pageInfo": info}


def _media(urls: Sequence[str]) -> Any:
    def media(_: GraphQLResolveInfo, first: int, **rest: Any) -> dict[str, Any]:
        films = [{"__typename": "Video"}] if urls else []
        pictures = [
            {
                "__typename": "MediaImage",
                "id": f"gid://shopify/MediaImage/{number}",
                "image": {"url": url},
            }
            for number, url in enumerate(urls, start=1)
        ]
        return _page([*pictures, *films], first, None)

    return media


def _product(shop: Shop, one: Product) -> dict[str, Any]:
    def variants(
        _: GraphQLResolveInfo, first: int, after: str | None = None, **rest: Any
    ) -> dict[str, Any]:
        return _page([_variant(shop, each, one) for each in one.variants], first, after)

    return {
        "__typename": "Product",
        "id": one.gid,
        "title": one.title,
        "descriptionHtml": one.description,
        "vendor": one.vendor,
        "productType": one.type,
        "status": one.status,
        "updatedAt": rfc3339(one.updated_at),
        "onlineStoreUrl": one.url,
        "hasOnlyDefaultVariant": one.options == ("Title",),
        "category": {"fullName": one.category} if one.category else None,
        "options": [{"name": name} for name in one.options],
        "media": _media(one.images),
        "variants": variants,
    }


def _variant(shop: Shop, one: Variant, product: Product | None = None) -> dict[str, Any]:
    if product is None:
        found = shop.found(one.gid)
        assert found is not None
        product = found[0]

    def level(_: GraphQLResolveInfo, locationId: str, **rest: Any) -> dict[str, Any] | None:
        if locationId != f"gid://shopify/Location/{shop.locations[0]}":
            return None
        return {
            "quantities": lambda _, names: [
                {"name": name, "quantity": one.quantity} for name in names
            ]
        }

    return {
        "__typename": "ProductVariant",
        "id": one.gid,
        "sku": one.sku,
        "barcode": one.barcode,
        "price": one.price,
        "compareAtPrice": one.compare_at,
        "selectedOptions": [
            {"name": name, "value": value}
            for name, value in zip(product.options, one.values, strict=True)
        ],
        "media": _media((one.image,) if one.image else ()),
        "sellableOnlineQuantity": one.quantity,
        "inventoryItem": {
            "id": f"gid://shopify/InventoryItem/{one.number}",
            "tracked": one.is_tracked,
            "inventoryLevel": level,
        },
    }


def _location(shop: Shop, number: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Location/{number}",
        "name": f"Location {number}",
        "isActive": number in shop.locations,
    }


def _order(one: Order) -> dict[str, Any]:
    return {
        "id": one.gid,
        "name": f"#{one.number}",
        "sourceIdentifier": one.given.get("sourceIdentifier"),
        "cancelledAt": rfc3339(one.cancelled_at) if one.cancelled_at else None,
    }
