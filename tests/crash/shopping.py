"""Buyers who pay by Stripe at a shop that is killed under them, each like a real client.

They ask again with the same key when they are not answered, give up waiting and ask again, open two
tabs on one cart, decline, change their minds, or close the page in the middle.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import builders
import secrets_watch
from crash.serving import GONE, Server
from stripe_server import (
    DECLINED,
    DECLINED_AFTER_3D_SECURE,
    GOOD,
    WITH_3D_SECURE,
    Browser,
    StripeRefuses,
)

_THINKS_SECONDS = 0.05
_LATER = frozenset({429, 503})
_LOOK_AGAIN = frozenset(
    {
        "cart_changed",
        "cart_empty",
        "out_of_stock",
        "price_changed",
        "promise_changed",
        "sold_out_while_paying",
        "unknown_line",
    }
)
"""Refusals that a real screen answers with another look at the cart."""
_MOODS = {
    "pays": 52,
    "confirms with his bank": 10,
    "fails at his bank": 5,
    "is declined and takes another card": 8,
    "is declined and gives up": 5,
    "calls it off": 6,
    "never confirms": 5,
    "pays and closes the page": 9,
}


@dataclass
class Heard:
    """What buyers and staff were told for certain."""

    confirmed: dict[str, int] = field(default_factory=dict)
    """Order -> total in minor units."""
    cancelled: set[str] = field(default_factory=set)
    """By staff."""
    placed: set[str] = field(default_factory=set)
    sold_out: set[str] = field(default_factory=set)
    answers: int = 0
    cut: int = 0
    """Answers that never came."""


@dataclass
class Street:
    """What all on it share. `drops` are few pieces each; when one is gone, the next begins."""

    server: Server
    http: aiohttp.ClientSession
    browser: Browser
    drops: list[list[str]]
    staff_key: str
    heard: Heard = field(default_factory=Heard)
    keys: "itertools.count[int]" = field(default_factory=itertools.count)

    def on_offer(self) -> list[str]:
        """The variants of the first drops that are not sold out."""
        left = [drop for drop in self.drops if not self.heard.sold_out.issuperset(drop)]
        return [variant for drop in left[:2] for variant in drop]

    async def call(
        self, token: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Raises one of GONE when there was no whole answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with self.http.request(
            method, f"http://{self.server.address}{path}", json=body, headers=sent
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def until_answered(
        self,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        patience: float | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        """Ask, and if nobody answers, ask the same again. `patience`: seconds for the first try."""
        while True:
            await self.server.up.wait()
            try:
                async with asyncio.timeout(patience):
                    status, answer = await self.call(token, method, path, body, **headers)
            except GONE:
                self.heard.cut += 1
                patience = None
                continue
            self.heard.answers += 1
            if status not in _LATER:
                return status, answer
            await asyncio.sleep(0.1)


@dataclass
class Buyer:
    street: Street
    chance: random.Random

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            status, guest = await self.street.until_answered("", "POST", "/api/guests")
            assert status == 201, guest
            for _ in range(self.chance.randint(1, 3)):
                await self.go_shopping(guest["token"])

    async def go_shopping(self, token: str) -> None:
        for variant in self.chance.sample(self.street.on_offer(), self.chance.choice((1, 1, 2))):
            await self.think()
            line = {"variant_id": variant, "quantity": self.chance.choice((1, 1, 1, 2))}
            status, answer = await self.ask(token, "POST", "/api/cart/lines", line)
            if status == 409 and answer["data"].get("available") == 0:
                self.street.heard.sold_out.add(variant)
            assert status in (200, 409), answer
        tabs = 2 if self.chance.random() < 0.15 else 1
        await asyncio.gather(*(self.check_out(token) for _ in range(tabs)))

    async def check_out(self, token: str) -> None:
        """One tab: from the quote to the end of the payment."""
        key = f"order-{next(self.street.keys)}"
        await self.think()
        status, quote = await self.ask(token, "POST", "/api/cart/quote", {"country": "DE"})
        if status == 409:
            assert quote["code"] in _LOOK_AGAIN, quote
            return
        assert status == 200, quote
        await self.think()
        body = {
            "expected_total": quote["total"],
            "email": "ada@example.org",
            "address": builders.ADDRESS,
            "payment": {"method": "stripe"},
        }
        status, order = await self.ask(token, "POST", "/api/orders", body, Idempotency_Key=key)
        if status == 402:
            # Killed before the answer of Stripe, and ruled out before this asked again.
            assert order["code"] == "payment_declined", order
            return
        if status == 409:
            assert order["code"] in _LOOK_AGAIN, order
            return
        assert status == 201, order
        assert order["total"] == quote["total"]
        self.street.heard.placed.add(order["id"])
        await self.pay(token, order)

    async def pay(self, token: str, order: Mapping[str, Any]) -> None:
        client = order["payment"]["client"]
        [mood] = self.chance.choices(list(_MOODS), list(_MOODS.values()))
        await self.think()
        if client is not None:
            secrets_watch.register(client["secret"], "client secret")
        if mood == "never confirms":
            return
        if mood == "calls it off" or mood == "is declined and gives up":
            if client is not None and mood != "calls it off":
                await self.confirm(client["secret"], DECLINED)
            path = f"/api/orders/{order['id']}/payment/cancel"
            _, answer = await self.ask(token, "POST", path)
            self.look_at(answer)
            return
        if client is not None:
            await self.do_his_part(client["secret"], mood)
        if mood != "pays and closes the page":
            await self.wait_for_the_end(token, order["id"])

    async def do_his_part(self, secret: str, mood: str) -> None:
        """At Stripe."""
        if mood == "is declined and takes another card":
            await self.confirm(secret, DECLINED)
            await self.think()
        if mood not in ("confirms with his bank", "fails at his bank"):
            await self.confirm(secret, GOOD)
            return
        is_good = mood == "confirms with his bank"
        await self.confirm(secret, WITH_3D_SECURE if is_good else DECLINED_AFTER_3D_SECURE)
        await self.think()
        with contextlib.suppress(StripeRefuses):
            await self.street.browser.authenticate(secret, success=is_good)

    async def confirm(self, secret: str, card: str) -> None:
        # Refused where the card is declined, or the payment was given up meanwhile.
        with contextlib.suppress(StripeRefuses):
            await self.street.browser.confirm(secret, card)

    async def wait_for_the_end(self, token: str, order_id: str) -> None:
        """Looks again and again, and gives up after a while, as people do."""
        for _ in range(6):
            _, order = await self.ask(token, "POST", f"/api/orders/{order_id}/payment/check")
            if self.look_at(order):
                return
            await self.think()

    def look_at(self, order: Mapping[str, Any]) -> bool:
        """Whether it is decided."""
        if order.get("state") == "confirmed":
            self.street.heard.confirmed[order["id"]] = order["total"]["amount"]
        return order.get("state") != "pending"

    async def ask(
        self, token: str, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Now and then without the patience to wait: then the same is asked again."""
        patience = self.chance.uniform(0, 0.05) if self.chance.random() < 0.08 else None
        return await self.street.until_answered(
            token, method, path, body, patience=patience, **headers
        )

    async def think(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, _THINKS_SECONDS))


async def staff(street: Street, chance: random.Random) -> None:
    """Somebody calls off an order now and then. Until cancelled."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        standing = sorted(street.heard.confirmed.keys() - street.heard.cancelled)
        if not standing:
            continue
        order_id = chance.choice(standing)
        status, answer = await street.until_answered(
            street.staff_key,
            "POST",
            f"/api/orders/{order_id}/cancel",
            {"note": "The parcel fell into the river"},
        )
        assert status == 200, answer
        street.heard.cancelled.add(order_id)
