"""The state of a shop on loopback: products, stock, orders, as Shopify's resolvers see them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from liveshop.kernel.clock import Clock


@dataclass(slots=True)
class Variant:
    number: int
    price: str
    quantity: int
    """At the first location."""
    sku: str | None = None
    barcode: str | None = None
    compare_at: str | None = None
    values: tuple[str, ...] = ("Default Title",)
    is_tracked: bool = True
    image: str | None = None

    @property
    def gid(self) -> str:
        return f"gid://shopify/ProductVariant/{self.number}"


@dataclass(slots=True)
class Product:
    number: int
    title: str
    variants: list[Variant]
    updated_at: datetime
    options: tuple[str, ...] = ("Title",)
    description: str = ""
    vendor: str = "Nord"
    type: str = ""
    category: str | None = None
    status: str = "ACTIVE"
    url: str | None = None
    images: tuple[str, ...] = ()

    @property
    def gid(self) -> str:
        return f"gid://shopify/Product/{self.number}"


@dataclass(slots=True)
class Order:
    number: int
    given: Mapping[str, Any]
    cancelled_at: datetime | None = None

    @property
    def gid(self) -> str:
        return f"gid://shopify/Order/{self.number}"

    @property
    def total(self) -> Decimal:
        lines = sum(
            Decimal(line["priceSet"]["shopMoney"]["amount"]) * line["quantity"]
            for line in self.given["lineItems"]
        )
        shipping = sum(
            Decimal(line["priceSet"]["shopMoney"]["amount"]) for line in self.given["shippingLines"]
        )
        taxes = sum(
            Decimal(line["priceSet"]["shopMoney"]["amount"]) for line in self.given["taxLines"]
        )
        return lines + shipping + (0 if self.given["taxesIncluded"] else taxes)


class WrongQuery(Exception):
    """A search that Shopify's syntax does not know."""


@dataclass(slots=True)
class Shop:
    clock: Clock
    currency: str = "EUR"
    products: dict[int, Product] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    locations: list[int] = field(default_factory=lambda: [1])
    scopes: set[str] = field(
        default_factory=lambda: {
            "read_products",
            "write_inventory",
            "read_locations",
            "write_orders",
        }
    )
    search_sees_new_orders: bool = True
    jobs_are_slow: bool = False
    pending: dict[str, Callable[[], None]] = field(default_factory=dict)
    jobs_done: set[str] = field(default_factory=set)
    keys: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Idempotency key -> what was asked, what was answered."""
    _numbers: int = 1000

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def add(self, title: str, *variants: Variant, **more: Any) -> Product:
        product = Product(self.number(), title, list(variants), self.clock.now(), **more)
        self.products[product.number] = product
        return product

    def variant(self, price: str, quantity: int, **more: Any) -> Variant:
        return Variant(self.number(), price, quantity, **more)

    def touch(self, product: Product) -> None:
        self.clock_step()
        product.updated_at = self.clock.now()

    def clock_step(self) -> None:
        """Two changes have two times, also on a clock that stands still."""
        advance = getattr(self.clock, "advance", None)
        if advance is not None:
            advance(timedelta(seconds=1))

    def found(self, gid: str) -> tuple[Product, Variant] | None:
        for product in self.products.values():
            for variant in product.variants:
                if gid in (variant.gid, f"gid://shopify/InventoryItem/{variant.number}"):
                    return product, variant
        return None

    def finish_jobs(self) -> None:
        for id_, work in list(self.pending.items()):
            work()
            self.jobs_done.add(id_)
        self.pending.clear()

    # Searching

    def search_products(self, query: str | None) -> list[Product]:
        return [one for one in self.products.values() if _fits_product(one, query)]

    def search_orders(self, query: str | None) -> list[Order]:
        if not self.search_sees_new_orders:
            return []
        match = re.fullmatch(r'source_identifier:"((?:[^"\\]|\\.)*)"', query or "")
        if match is None:
            raise WrongQuery(query)
        wanted = match[1].replace('\\"', '"').replace("\\\\", "\\").lower()
        # Searching is by words and knows no case: more may be found than was meant.
        return [
            one
            for one in self.orders.values()
            if str(one.given.get("sourceIdentifier", "")).lower().startswith(wanted)
        ]

    # Changing

    def create_order(
        self, given: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[Order | None, list[dict[str, Any]]]:
        behaviour = options.get("inventoryBehaviour", "BYPASS")
        taken: list[tuple[Product, Variant, int]] = []
        for place, line in enumerate(given["lineItems"]):
            found = self.found(line["variantId"])
            if found is None:
                where = ["order", "lineItems", str(place), "variantId"]
                return None, [_error("INVALID", "The variant does not exist", where)]
            taken.append((*found, line["quantity"]))
        wanted: dict[int, int] = {}
        for _, variant, quantity in taken:
            wanted[variant.number] = wanted.get(variant.number, 0) + quantity
        if behaviour == "DECREMENT_OBEYING_POLICY" and any(
            variant.is_tracked and wanted[variant.number] > variant.quantity
            for _, variant, _ in taken
        ):
            return None, [_error("INVENTORY_CLAIM_FAILED", "Unable to claim inventory", ["order"])]
        if behaviour != "BYPASS":
            for product, variant, quantity in taken:
                variant.quantity -= quantity
                self.touch(product)
        order = Order(self.number(), given)
        self.orders[order.number] = order
        return order, []

    def cancel_order(self, order: Order) -> None:
        order.cancelled_at = self.clock.now()
        for line in order.given["lineItems"]:
            found = self.found(line["variantId"])
            if found is not None:
                found[1].quantity += line["quantity"]
                self.touch(found[0])

    def set_quantities(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """All or none."""
        errors: list[dict[str, Any]] = []
        changes: list[tuple[Product, Variant, int]] = []
        for place, entry in enumerate(entries):
            where = ["input", "quantities", str(place)]
            found = self.found(entry["inventoryItemId"])
            if found is None:
                errors.append(_error("INVALID_INVENTORY_ITEM", "Item not found", where))
                continue
            if entry["locationId"] not in [f"gid://shopify/Location/{n}" for n in self.locations]:
                errors.append(_error("INVALID_LOCATION", "Location not found", where))
                continue
            expected = entry["changeFromQuantity"]
            if expected is not None and expected != found[1].quantity:
                where.append("changeFromQuantity")
                errors.append(
                    _error("CHANGE_FROM_QUANTITY_STALE", "The quantity is another now", where)
                )
                continue
            changes.append((*found, entry["quantity"]))
        if not errors:
            for product, variant, quantity in changes:
                variant.quantity = quantity
                self.touch(product)
        return errors


def _error(code: str, message: str, where: list[str]) -> dict[str, Any]:
    return {"code": code, "message": message, "field": where}


def _fits_product(product: Product, query: str | None) -> bool:
    for term in (query or "").split(" AND "):
        if not term:
            continue
        if match := re.fullmatch(r"id:>(\d+)", term):
            fits = product.number > int(match[1])
        elif match := re.fullmatch(r"updated_at:>='([0-9TZ:.+-]+)'", term):
            fits = product.updated_at >= datetime.fromisoformat(match[1])
        else:
            raise WrongQuery(query)
        if not fits:
            return False
    return True
