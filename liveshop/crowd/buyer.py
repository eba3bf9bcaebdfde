"""Somebody who buys as a viewer does in the player: cart, quote, order; and looks afterwards.

An order is one key. Whatever is not answered is asked again under the same key, so that a server
that answers twice with different orders has been caught.
"""

import asyncio
from typing import Any

import msgspec

from liveshop.crowd.shop import NoAnswer, Refused, understood
from liveshop.crowd.tally import Outcome, count
from liveshop.crowd.viewer import Viewer
from liveshop.crowd.world import World

_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.4
_LONGEST_PAUSE_SECONDS = 5.0
_CHANGES = 3
"""How often a buyer accepts that the price has changed."""
_DOUBLE_TAPS = 0.2
"""The share of orders that are sent twice though the first was answered, as by a nervous thumb."""
_TEST_CARD = "4242 4242 4242 4242"
_STREETS = ("Weg", "Marktstraße", "Am Hafen", "Lindenallee")
_CITIES = (("20095", "Hamburg"), ("28195", "Bremen"), ("04109", "Leipzig"), ("50667", "Köln"))
_NAMES = ("Ada", "Bela", "Chris", "Dana", "Emil", "Fritzi", "Gesa", "Hanno", "Ines", "Jonas")


class _Variant(msgspec.Struct):
    id: str
    available: int


class _Product(msgspec.Struct):
    variants: list[_Variant]


class _Line(msgspec.Struct):
    variant_id: str
    quantity: int


class _Cart(msgspec.Struct):
    lines: list[_Line]


class _Quote(msgspec.Struct):
    total: dict[str, Any]
    lines: list[_Line]


class _Changed(msgspec.Struct):
    quote: _Quote


class _Order(msgspec.Struct):
    id: str
    state: str
    total: dict[str, Any]


_products = msgspec.json.Decoder(list[_Product])


class _GaveUp(Exception):
    """`str()` is the reason."""


class Buyer:
    """`placed`: the orders that were acknowledged."""

    def __init__(self, world: World, viewer: Viewer) -> None:
        self._world = world
        self._viewer = viewer
        self._random = world.random_of(viewer.person, "orders")
        self._address = viewer.person
        self.placed: list[_Order] = []

    async def buy(self) -> None:
        """All orders, spread over the show; what is under way at its end is brought to an end."""
        world = self._world
        orders = world.tally.orders
        moments = sorted(
            self._random.uniform(0.05, 0.8) * world.plan.seconds
            for _ in range(world.plan.orders_each)
        )
        for number, moment in enumerate(moments):
            await world.until(moment)
            while not self._viewer.has_been_in and not world.closing.is_set():
                await world.pause(0.1)
            if world.closing.is_set():
                orders.untried += len(moments) - number
                return
            try:
                await self._order(number)
            except Refused as error:
                count(orders.refused, error.code)
            except (_GaveUp, NoAnswer) as error:
                count(orders.failed, str(error))

    async def look(self) -> None:
        """Read back what was placed."""
        for order in self.placed:
            outcome = await self._read_back(order)
            count(self._world.tally.orders.read_back, outcome)

    async def _order(self, number: int) -> None:
        """Raises Refused, _GaveUp."""
        show_id = self._world.target.show_id
        variant_id = self._choose()
        await self._fill_cart({"variant_id": variant_id, "quantity": 1, "show_id": show_id})
        raw = await self._patiently("/api/cart/quote", {"country": self._world.target.country})
        quote = understood(raw, _Quote)
        for change in range(_CHANGES):
            try:
                order = await self._place(number, change, quote)
            except Refused as error:
                if error.code not in ("price_changed", "cart_changed") or change == _CHANGES - 1:
                    raise
                quote = msgspec.convert(error.data, _Changed).quote
            else:
                self.placed.append(order)
                self._world.tally.orders.placed += 1
                return

    def _choose(self) -> str:
        """Raises Refused where there is nothing to buy."""
        products = _products.decode(self._viewer.products or b"[]")
        variants = [variant for product in products for variant in product.variants]
        in_stock = [variant for variant in variants if variant.available > 0]
        if not in_stock:
            code = "out_of_stock" if variants else "nothing_to_buy"
            raise Refused(409, code, "There is nothing to buy here.", {})
        return self._random.choice(in_stock).id

    async def _fill_cart(self, line: dict[str, Any]) -> None:
        """An unanswered addition is looked for in the cart before it is made again: it has no key,
        and would be bought twice. Raises Refused, _GaveUp."""
        tries = _Tries(self._world)
        while True:
            try:
                await self._call("POST", "/api/cart/lines", line)
            except NoAnswer as error:
                await tries.failed("cart", error)
            else:
                return
            if await self._has_in_cart(line["variant_id"]):
                return

    async def _has_in_cart(self, variant_id: str) -> bool:
        try:
            cart = understood(await self._call("GET", "/api/cart"), _Cart)
        except NoAnswer:
            return False
        return any(line.variant_id == variant_id for line in cart.lines)

    async def _place(self, number: int, change: int, quote: _Quote) -> _Order:
        """Raises Refused, _GaveUp, NoAnswer where the answer makes no sense."""
        world, rng, person = self._world, self._random, self._viewer.person
        code, city = _CITIES[person % len(_CITIES)]
        body = {
            "expected_total": quote.total,
            "expected_lines": [
                {"variant_id": line.variant_id, "quantity": line.quantity} for line in quote.lines
            ],
            "email": f"crowd-{person}@example.org",
            "address": {
                "name": f"{_NAMES[person % len(_NAMES)]} Crowd",
                "line1": f"{_STREETS[person % len(_STREETS)]} {rng.randint(1, 99)}",
                "postal_code": code,
                "city": city,
                "country": world.target.country,
            },
            "payment": {
                "method": world.target.method,
                "card_number": None if world.target.method == "invoice" else _TEST_CARD,
            },
            "show_id": world.target.show_id,
        }
        key = f"crowd-{world.marks.tag}-{person}-{number}-{change}"
        before = world.tally.orders.tries
        order = understood(await self._patiently("/api/orders", body, key=key), _Order)
        if world.tally.orders.tries - before > 1 or rng.random() < _DOUBLE_TAPS:
            again = understood(await self._patiently("/api/orders", body, key=key), _Order)
            world.tally.orders.twice += again.id != order.id
        return order

    async def _patiently(self, path: str, body: dict[str, Any], *, key: str = "") -> bytes:
        """Ask until there is an answer. Raises Refused, _GaveUp."""
        tries = _Tries(self._world)
        while True:
            if key:
                self._world.tally.orders.tries += 1
            try:
                return await self._call("POST", path, body, key=key)
            except NoAnswer as error:
                await tries.failed(path.rsplit("/", 1)[1], error)

    async def _read_back(self, order: _Order) -> Outcome:
        tries = _Tries(self._world)
        while True:
            try:
                found = understood(await self._call("GET", f"/api/orders/{order.id}"), _Order)
            except Refused:
                return "lost"
            except NoAnswer as error:
                try:
                    await tries.failed("order", error)
                except _GaveUp:
                    return "unread"
            else:
                count(self._world.tally.orders.states, found.state)
                return "right" if found.total == order.total else "wrong_total"

    async def _call(self, method: str, path: str, body: Any = None, *, key: str = "") -> bytes:
        """Where there are several addresses, the next one after each that does not answer."""
        url = f"{self._world.base(self._address)}{path}"
        shop = self._world.shop_of(self._viewer.person)
        try:
            return await shop.call(method, url, body, token=self._viewer.token, key=key)
        except NoAnswer:
            self._address += 1
            raise


class _Tries:
    """Of one request. Waiting as long as the server asks for is not counted as a failure."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._failures = 0

    async def failed(self, what: str, error: NoAnswer) -> None:
        """Wait for the next try. Raises _GaveUp after too many, or long after the end."""
        plan = self._world.plan
        pause = error.retry_after
        if pause is None:
            pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
            self._failures += 1
        is_over = self._world.elapsed() + pause > plan.seconds + plan.settle_seconds
        if self._failures >= _TRIES or is_over:
            raise _GaveUp(f"{what}: {error}")
        await asyncio.sleep(pause * self._world.random.uniform(0.8, 1.2))
