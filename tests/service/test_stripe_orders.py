"""Orders paid by Stripe, from the cart to the money: over HTTP, with localstripe as Stripe."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import secrets_watch
import sqlalchemy as sa
from builders import Api, api_of, product, test_settings
from checkout_builders import audit
from stripe_builders import Delivery, begun, letter_box
from stripe_server import (
    DECLINED,
    WITH_3D_SECURE,
    Browser,
    Desk,
    StripeRefuses,
    StripeServer,
)

from liveshop.app import Liveshop, wire
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.ids import PaymentId
from liveshop.kernel.money import Money
from liveshop.payments import store as payments
from liveshop.payments.model import Payment
from liveshop.payments.providers.stripe import Stripe
from liveshop.payments.refunds import owe
from liveshop.payments.tables import payment, payment_event
from liveshop.storage import Database

NOWHERE = "http://127.0.0.1:9/hooks/stripe"


@dataclass
class Street:
    """A shop that takes Stripe, a buyer with a full cart, his browser, and Stripe's own desk."""

    shop: Liveshop
    clock: ManualClock
    buyer: Api
    browser: Browser
    desk: Desk

    async def ordered(self, key: str = "order-1") -> dict[str, Any]:
        """An order that waits for its buyer to confirm the payment."""
        variant = (await product(self.shop, stock=5)).variants[0].id
        status, answer = await self.buyer.call(
            "POST", "/api/cart/lines", {"variant_id": variant, "quantity": 1}
        )
        assert status in (200, 201), answer
        status, order = await self.buyer.order(key, method="stripe", card=None)
        assert status in (201, 202), order
        assert order["state"] == "pending"
        secrets_watch.register(order["payment"]["client"]["secret"], "client secret")
        return dict(order)

    @property
    def elsewhere(self) -> Stripe:
        """Another system that uses the same account at Stripe."""
        provider = self.shop.payments.provider("stripe")
        assert isinstance(provider, Stripe)
        return provider

    async def deliver(self, one: Delivery) -> int:
        answer = await self.buyer.fetch(
            "POST",
            "/hooks/stripe",
            raw=one.body,
            Stripe_Signature=one.headers["Stripe-Signature"],
            Content_Type="application/json",
        )
        return answer.status

    async def events(self, reference: str | None) -> list[tuple[str, str]]:
        """(type, what came of it) of what was heard about a payment."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                sa.select(payment_event.c.type, payment_event.c.outcome).where(
                    payment_event.c.reference == reference
                )
            )
        return [(row.type, row.outcome) for row in rows]

    async def order(self, order_id: str) -> dict[str, Any]:
        status, order = await self.buyer.call("GET", f"/api/orders/{order_id}")
        assert status == 200
        return dict(order)

    async def payment(self, order: dict[str, Any]) -> Payment:
        async with self.shop.database.read() as conn:
            found = await payments.by_id(conn, PaymentId(order["payment"]["id"]))
        assert found is not None
        return found

    async def until(self, order_id: str, state: str) -> dict[str, Any]:
        return await until(lambda: self.order(order_id), lambda found: found["state"] == state)

    async def check(self, order_id: str) -> dict[str, Any]:
        status, order = await self.buyer.call("POST", f"/api/orders/{order_id}/payment/check")
        assert status == 200, order
        return dict(order)


async def until(
    look: Callable[[], Awaitable[dict[str, Any]]], is_it: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while not is_it(found := await look()):
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
def capture() -> str:
    return "placing"


@pytest.fixture
def stripe_shop(
    database_url: str, tmp_path: Path, stripe_server: StripeServer, capture: str
) -> Liveshop:
    """By the time that localstripe has, for it signs with that."""
    stripe = stripe_server.settings()
    settings = test_settings(
        tmp_path / "data",
        database_url=database_url,
        payments__methods=["stripe", "sandbox"],
        payments__capture=capture,
        stripe__secret_key=stripe.secret_key,
        stripe__publishable_key=stripe.publishable_key,
        stripe__webhook_secret=stripe.webhook_secret,
        stripe__api_url=stripe.api_url,
        stripe__method_types=list(stripe.method_types),
    )
    clock = ManualClock(datetime.now(UTC))
    return wire(settings, Database.open(database_url, pool_size=10), None, clock)


@pytest.fixture
async def street(stripe_shop: Liveshop, stripe_server: StripeServer) -> AsyncIterator[Street]:
    shop = stripe_shop
    assert isinstance(shop.clock, ManualClock)
    api = await api_of(shop)
    async with aiohttp.ClientSession() as http:
        desk = Desk(stripe_server, http)
        await desk.start_anew()
        await desk.send_webhooks_to(str(api.client.make_url("/hooks/stripe")))
        buyer = await api.as_guest()
        yield Street(shop, shop.clock, buyer, Browser(stripe_server, http), desk)
        await desk.send_webhooks_to(NOWHERE)
    await api.client.close()
    await shop.syndication.close()
    await shop.payments.close()
    await asyncio.to_thread(shop.media.close)
    await shop.database.close()


async def test_the_webhook_confirms_an_order_though_its_buyer_has_gone(street: Street) -> None:
    order = await street.ordered()
    client = order["payment"]["client"]
    assert client["options"]["publishable_key"].startswith("pk_")
    assert order["payment"]["state"] == "action_required"
    await street.browser.confirm(client["secret"])
    confirmed = await street.until(order["id"], "confirmed")
    assert confirmed["payment"]["state"] == "paid"
    assert confirmed["payment"]["captured"] == order["total"]
    assert confirmed["payment"]["client"] is None
    await audit(street.shop.database)


async def test_a_buyer_who_stays_is_answered_without_a_webhook(street: Street) -> None:
    await street.desk.send_webhooks_to(NOWHERE)
    order = await street.ordered()
    await street.browser.confirm(order["payment"]["client"]["secret"])
    confirmed = await street.check(order["id"])
    assert (confirmed["state"], confirmed["payment"]["state"]) == ("confirmed", "paid")


async def test_a_lost_webhook_is_made_up_for_by_asking(street: Street) -> None:
    await street.desk.send_webhooks_to(NOWHERE)
    order = await street.ordered()
    await street.browser.confirm(order["payment"]["client"]["secret"])
    assert (await street.order(order["id"]))["state"] == "pending"
    street.clock.advance(timedelta(seconds=40))
    street.shop.reconciler.wake()
    await street.until(order["id"], "confirmed")


async def test_after_a_decline_the_same_order_is_paid_with_another_card(street: Street) -> None:
    order = await street.ordered()
    secret = order["payment"]["client"]["secret"]
    with pytest.raises(StripeRefuses):
        await street.browser.confirm(secret, DECLINED)
    declined = await street.check(order["id"])
    assert declined["state"] == "pending"
    assert "declined" in declined["payment"]["message"]
    assert declined["payment"]["client"]["secret"] == secret
    await street.browser.confirm(secret)
    assert (await street.check(order["id"]))["state"] == "confirmed"


async def test_3d_secure_abandoned_gives_the_cart_back_and_is_never_charged(
    street: Street,
) -> None:
    order = await street.ordered()
    secret = order["payment"]["client"]["secret"]
    await street.browser.confirm(secret, WITH_3D_SECURE)
    street.clock.advance(timedelta(minutes=16))
    street.shop.reconciler.wake()
    await street.until(order["id"], "payment_failed")
    status, cart = await street.buyer.call("GET", "/api/cart")
    assert status == 200
    assert len(cart["lines"]) == 1
    with pytest.raises(StripeRefuses):
        await street.browser.authenticate(secret, success=True)
    assert (await street.desk.intent(order["payment"]["reference"]))["status"] == "canceled"
    await audit(street.shop.database)


async def test_a_buyer_who_changes_his_mind_has_his_cart_back_at_once(street: Street) -> None:
    order = await street.ordered()
    status, failed = await street.buyer.call("POST", f"/api/orders/{order['id']}/payment/cancel")
    assert (status, failed["state"]) == (200, "payment_failed")
    with pytest.raises(StripeRefuses):
        await street.browser.confirm(order["payment"]["client"]["secret"])


async def test_a_direct_debit_turned_down_after_the_order_stood_cancels_it(
    street: Street,
) -> None:
    order = await street.ordered()
    secret = order["payment"]["client"]["secret"]
    await street.browser.pay_by_sepa(secret, "DE62370400440532013001")
    under_way = await street.check(order["id"])
    assert (under_way["state"], under_way["payment"]["state"]) == ("confirmed", "processing")
    lost = await street.until(order["id"], "cancelled")
    assert lost["payment"]["state"] == "declined"
    await audit(street.shop.database)


async def test_a_payment_stripe_was_not_reached_for_is_not_charged_and_not_forgotten(
    street: Street,
) -> None:
    await street.desk.spoil("POST /v1/payment_intents", kind="lost_answer", times=2)
    variant = (await product(street.shop, stock=5)).variants[0].id
    await street.buyer.call("POST", "/api/cart/lines", {"variant_id": variant, "quantity": 1})
    _, order = await street.buyer.order("order-1", method="stripe", card=None)
    assert order["state"] == "pending"
    street.clock.advance(timedelta(seconds=40))
    street.shop.reconciler.wake()
    await street.until(order["id"], "payment_failed")
    assert {one["status"] for one in await street.desk.intents()} == {"requires_payment_method"}


async def test_two_tabs_paying_one_cart_pay_once(street: Street) -> None:
    order = await street.ordered()
    status, again = await street.buyer.order(
        "order-1", method="stripe", card=None, expected_total=order["total"]
    )
    assert status in (200, 201, 202)
    assert again["id"] == order["id"]
    assert again["payment"]["client"] == order["payment"]["client"]
    status, _ = await street.buyer.order(
        "order-2", method="stripe", card=None, expected_total=order["total"]
    )
    assert status == 409
    await street.browser.confirm(order["payment"]["client"]["secret"])
    await street.until(order["id"], "confirmed")
    assert [one["status"] for one in await street.desk.intents()] == ["succeeded"]


async def test_a_refund_made_by_a_person_at_stripe_is_taken_over(street: Street) -> None:
    order = await street.ordered()
    await street.browser.confirm(order["payment"]["client"]["secret"])
    confirmed = await street.until(order["id"], "confirmed")
    await street.desk.refund_by_hand(confirmed["payment"]["reference"], 500)
    await street.shop.reconciler.look(confirmed["payment"]["id"])
    refunded = await street.order(order["id"])
    assert refunded["payment"]["refunded"]["amount"] == 500


async def test_what_is_owed_goes_back_once_in_parts_and_whole(street: Street) -> None:
    order = await street.ordered()
    await street.browser.confirm(order["payment"]["client"]["secret"])
    paid = (await street.check(order["id"]))["payment"]
    total = order["total"]["amount"]
    for key, amount in (("a", 500), ("a", 500), ("b", total - 500)):
        async with street.shop.database.write() as tx:
            await owe(
                tx,
                await street.payment(order),
                Money(amount, "EUR"),
                cause="goodwill",
                key=key,
                now=street.clock.now(),
            )
        street.shop.reconciler.wake()
        # Asked for by two processes at once.
        await asyncio.gather(street.shop.reconciler.run_due(), street.shop.reconciler.run_due())

    async def gone() -> dict[str, Any]:
        back = await street.desk.refunds(paid["reference"])
        return {"amounts": sorted(one["amount"] for one in back)}

    await until(gone, lambda found: found["amounts"] == sorted([500, total - 500]))
    assert (await street.order(order["id"]))["payment"]["refunded"]["amount"] == total


@pytest.mark.parametrize("capture", ["shipping"])
async def test_money_is_only_kept_until_the_goods_leave(street: Street) -> None:
    order = await street.ordered()
    await street.browser.confirm(order["payment"]["client"]["secret"])
    confirmed = await street.check(order["id"])
    assert (confirmed["state"], confirmed["payment"]["state"]) == ("confirmed", "authorised")
    assert confirmed["payment"]["captured"]["amount"] == 0
    reference = confirmed["payment"]["reference"]
    assert (await street.desk.intent(reference))["status"] == "requires_capture"
    kept = await street.payment(order)
    assert (await street.shop.payments.capture(order["number"], kept)).state == "paid"
    assert (await street.desk.intent(reference))["status"] == "succeeded"
    assert (await street.order(order["id"]))["payment"]["captured"] == order["total"]


async def test_a_forged_webhook_changes_nothing(street: Street) -> None:
    order = await street.ordered()
    for headers in ({}, {"Stripe_Signature": "t=1,v1=00"}):
        status, problem = await street.buyer.call(
            "POST", "/hooks/stripe", {"type": "payment_intent.succeeded"}, **headers
        )
        assert (status, problem["code"]) == (400, "bad_signature")
    assert (await street.order(order["id"]))["state"] == "pending"


async def test_webhooks_come_twice_and_in_any_order_and_count_once(street: Street) -> None:
    async with letter_box() as box:
        await street.desk.send_webhooks_to(box.url)
        order = await street.ordered()
        secret = order["payment"]["client"]["secret"]
        with pytest.raises(StripeRefuses):
            await street.browser.confirm(secret, DECLINED)
        await street.browser.confirm(secret)
        reference = order["payment"]["reference"]
        both = {one.type: one for one in [await box.next_about(reference) for _ in range(2)]}
    late_first = [both["payment_intent.succeeded"], both["payment_intent.payment_failed"]]
    for one in [*late_first, *late_first, *late_first]:
        assert await street.deliver(one) == 200
    confirmed = await street.until(order["id"], "confirmed")
    assert confirmed["payment"]["captured"] == order["total"]
    assert sorted(await street.events(reference)) == [
        ("payment_intent.payment_failed", "asked"),
        ("payment_intent.succeeded", "asked"),
    ]
    assert [one["status"] for one in await street.desk.intents()] == ["succeeded"]
    await audit(street.shop.database)


async def test_an_event_about_a_payment_that_is_not_ours_is_noted_and_left_alone(
    street: Street,
) -> None:
    async with letter_box() as box:
        await street.desk.send_webhooks_to(box.url)
        charge, secret = await begun(street.elsewhere)
        await street.browser.confirm(secret)
        told = await box.next_about(charge.reference)
    assert await street.deliver(told) == 200
    assert await street.events(charge.reference) == [
        ("payment_intent.succeeded", "unknown_payment")
    ]


@pytest.mark.parametrize("changed", [{"amount": 1}, {"currency": "usd"}])
async def test_another_amount_or_currency_at_stripe_confirms_nothing(
    street: Street, changed: dict[str, Any]
) -> None:
    order = await street.ordered()
    await street.desk.change(order["payment"]["reference"], changed)
    await street.browser.confirm(order["payment"]["client"]["secret"])
    found = await street.check(order["id"])
    assert found["state"] == "pending"
    async with street.shop.database.read() as conn:
        problem = await conn.scalar(sa.select(payment.c.problem))
    assert problem == "The provider has another amount for this payment. Compare the two."
