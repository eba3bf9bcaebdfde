"""What Stripe is asked for and what it may answer: errors, amounts, states, names of fields."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import stripe_shapes
from builders import GOOD_CARD
from stripe_builders import ASKED, KEY, StripeHouse, begun, state, stripe_house
from stripe_server import (
    SECRET_KEY,
    Browser,
    Desk,
    StripeServer,
)

from liveshop.kernel.ids import PaymentId, RefundId
from liveshop.kernel.money import Money
from liveshop.payments.model import (
    BadPaymentInput,
    HearsEvents,
    ProviderUnavailable,
    RefundWish,
)
from liveshop.payments.providers.stripe import SCRIPT, RefusedByStripe, Stripe, problems_of
from liveshop.settings import BadSettings, StripeSettings


@pytest.fixture
async def house(stripe_server: StripeServer) -> AsyncIterator[StripeHouse]:
    async with stripe_house(stripe_server) as opened:
        yield opened


@pytest.fixture
def stripe(house: StripeHouse) -> Stripe:
    return house.stripe


@pytest.fixture
def browser(house: StripeHouse) -> Browser:
    return house.browser


@pytest.fixture
def desk(house: StripeHouse) -> Desk:
    return house.desk


async def test_stripe_that_does_not_answer_is_not_waited_for(
    stripe_server: StripeServer, desk: Desk
) -> None:
    hasty = Stripe(stripe_server.settings(), capture="placing", timeout_seconds=0.2)
    await desk.spoil(kind="slow")
    with pytest.raises(ProviderUnavailable):
        await hasty.charge(ASKED)
    await hasty.aclose()


async def test_a_caller_who_stops_waiting_breaks_nothing(stripe: Stripe, desk: Desk) -> None:
    await desk.spoil(kind="slow")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await stripe.charge(ASKED)
    await desk.start_anew()
    assert (await stripe.charge(ASKED)).state == "action_required"


async def test_no_server_at_all_is_not_known_rather_than_declined(
    stripe_server: StripeServer, unused_tcp_port: int
) -> None:
    nowhere = stripe_server.settings(api_url=f"http://127.0.0.1:{unused_tcp_port}")
    stripe = Stripe(nowhere, capture="placing", timeout_seconds=5)
    with pytest.raises(ProviderUnavailable):
        await stripe.charge(ASKED)
    await stripe.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"type": "invalid_request_error", "param": "amount"}),
        (401, {"type": "invalid_request_error", "message": f"Bad key {SECRET_KEY}"}),
        (403, {"type": "invalid_request_error"}),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}),
    ],
)
async def test_what_stripe_refuses_is_a_fault_of_ours_and_charges_nobody(
    stripe: Stripe, desk: Desk, status: int, error: dict[str, Any]
) -> None:
    await desk.spoil(kind="answer", times=5, status=status, body={"error": error})
    answer = await stripe.charge(ASKED)
    assert answer.state == "declined"
    assert "another way to pay" in (answer.message or "")
    known = replace(ASKED, reference="pi_known")
    for ask in (stripe.find, stripe.void, stripe.refunds_of):
        with pytest.raises(RefusedByStripe) as told:
            await ask(known)
        assert SECRET_KEY not in f"{told.value!r} {told.value.data} {told.value.__cause__!r}"
    with pytest.raises(RefusedByStripe):
        await stripe.refund(RefundWish(RefundId("rfd_1"), known, Money(1, "EUR")))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"type": "idempotency_error"}),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}),
        (429, {"type": "invalid_request_error", "code": "rate_limit"}),
        (500, {"type": "api_error"}),
        (503, {}),
    ],
)
async def test_what_stripe_cannot_say_is_not_known(
    stripe: Stripe, desk: Desk, status: int, error: dict[str, Any]
) -> None:
    await desk.spoil(kind="answer", times=100, status=status, body={"error": error})
    known = replace(ASKED, reference="pi_known")
    for ask in (stripe.charge, stripe.find, stripe.void, stripe.capture, stripe.refunds_of):
        with pytest.raises(ProviderUnavailable):
            await ask(known)
    with pytest.raises(ProviderUnavailable):
        await stripe.charge(ASKED)


async def test_what_is_no_json_is_not_known_rather_than_declined(
    stripe: Stripe, desk: Desk
) -> None:
    await desk.spoil(kind="answer", times=2, status=502, body={"odd": True})
    with pytest.raises(ProviderUnavailable):
        await stripe.charge(ASKED)


async def test_a_payment_of_another_account_is_refused_aloud(stripe: Stripe) -> None:
    unknown = replace(ASKED, reference="pi_of_another_account")
    for ask in (stripe.find, stripe.void, stripe.capture):
        with pytest.raises(RefusedByStripe, match="refused our request"):
            await ask(unknown)
    with pytest.raises(RefusedByStripe):
        await stripe.refund(RefundWish(RefundId("rfd_1"), unknown, Money(1, "EUR")))


@pytest.mark.parametrize(
    ("code", "size"), [("amount_too_small", "small"), ("amount_too_large", "large")]
)
async def test_an_amount_out_of_bounds_is_said_in_words(
    stripe: Stripe, desk: Desk, code: str, size: str
) -> None:
    error = {"type": "invalid_request_error", "code": code, "message": "Amount must be ..."}
    await desk.spoil(kind="answer", status=400, body={"error": error})
    answer = await stripe.charge(ASKED)
    assert answer.state == "declined"
    assert answer.message == (
        f"This amount is too {size} to be paid online. Choose another way to pay."
    )


@pytest.mark.parametrize(
    ("money", "sent"),
    [
        (Money(500, "JPY"), "500"),
        (Money(500, "ISK"), "50000"),
        (Money(5, "UGX"), "500"),
        (Money(5120, "KWD"), "5120"),
        (Money(99999999, "HUF"), "99999999"),
    ],
)
async def test_amounts_go_in_the_units_of_stripe_and_come_back_in_ours(
    stripe: Stripe, desk: Desk, money: Money, sent: str
) -> None:
    charge, _ = await begun(stripe, replace(ASKED, amount=money))
    asked = stripe_shapes.tree((await desk.requests())[0]["body"])
    assert (asked["amount"], asked["currency"]) == (sent, money.currency.lower())
    assert await state(stripe, charge) == "action_required"


@pytest.mark.parametrize("money", [Money(5124, "KWD"), Money(100, "MGA")])
async def test_amounts_stripe_cannot_express_are_declined_in_words(
    stripe: Stripe, desk: Desk, money: Money
) -> None:
    answer = await stripe.charge(replace(ASKED, amount=money))
    assert answer.state == "declined"
    assert money.currency in (answer.message or "")
    assert await desk.requests() == []


def intent_as_of_stripe(**given: Any) -> dict[str, Any]:
    """What localstripe leaves out."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 3290,
        "amount_received": 3290,
        "amount_capturable": 0,
        "currency": "eur",
        "status": "succeeded",
        "client_secret": None,
        "last_payment_error": None,
        "latest_charge": None,
        **given,
    }


@pytest.mark.parametrize(
    ("given", "state", "amount"),
    [
        ({"amount_received": 3000}, "paid", Money(3000, "EUR")),
        ({"currency": "usd"}, "paid", Money(3290, "USD")),
        ({"amount": 1, "amount_received": 1}, "paid", Money(1, "EUR")),
        ({"status": "requires_capture", "amount_capturable": 7}, "authorised", Money(7, "EUR")),
        ({"currency": "isk", "amount_received": 50}, "paid", Money(50, "ISK")),
        ({"status": "canceled"}, "declined", Money(3290, "EUR")),
        (
            {"status": "canceled", "latest_charge": {"object": "charge", "status": "failed"}},
            "declined",
            Money(3290, "EUR"),
        ),
        (
            {"status": "canceled", "latest_charge": {"object": "charge", "status": "succeeded"}},
            "voided",
            Money(3290, "EUR"),
        ),
    ],
)
async def test_another_amount_or_currency_at_stripe_is_seen(
    stripe: Stripe, desk: Desk, given: dict[str, Any], state: str, amount: Money
) -> None:
    await desk.spoil(kind="answer", status=200, body=intent_as_of_stripe(**given))
    found = await stripe.find(replace(ASKED, reference="pi_1"))
    assert found is not None
    assert (found.state, found.amount) == (state, amount)


async def test_a_status_of_later_versions_is_not_guessed_at(stripe: Stripe, desk: Desk) -> None:
    await desk.spoil(kind="answer", status=200, body=intent_as_of_stripe(status="requires_luck"))
    with pytest.raises(ProviderUnavailable):
        await stripe.find(replace(ASKED, reference="pi_1"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "insufficient funds"),
        ({"code": "expired_card"}, "has expired"),
        ({"code": "card_declined", "decline_code": "stolen_card"}, "The card was declined."),
        ({"code": "incorrect_cvc"}, "security code"),
        ({}, "The card was declined."),
    ],
)
async def test_declines_are_told_in_words_for_buyers(
    stripe: Stripe, desk: Desk, error: dict[str, Any], words: str
) -> None:
    told = intent_as_of_stripe(status="requires_payment_method", last_payment_error=error)
    await desk.spoil(kind="answer", status=200, body=told)
    found = await stripe.find(replace(ASKED, reference="pi_1"))
    assert found is not None
    assert words in (found.message or "")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("succeeded", "done"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
async def test_how_refunds_stand(stripe: Stripe, desk: Desk, status: str, state: str) -> None:
    refund = {"object": "refund", "id": "re_1", "amount": 5, "currency": "eur", "status": status}
    page = {"object": "list", "url": "/v1/refunds", "has_more": False, "data": [refund]}
    await desk.spoil("GET /v1/refunds", kind="answer", status=200, body=page)
    (told,) = await stripe.refunds_of(replace(ASKED, reference="pi_1"))
    assert (told[0], told[2].state) == ("", state)
    assert (told[2].message is not None) == (state == "failed")


async def test_an_account_decides_on_the_methods_unless_we_name_some(
    stripe_server: StripeServer, stripe: Stripe, desk: Desk
) -> None:
    automatic = Stripe(
        stripe_server.settings(method_types=()), capture="placing", timeout_seconds=5
    )
    await automatic.charge(ASKED)
    await automatic.aclose()
    await stripe.charge(replace(ASKED, key=PaymentId("pay_2"), capture="later"))
    first, second = [stripe_shapes.tree(one["body"]) for one in await desk.requests()]
    assert first["automatic_payment_methods"] == {"enabled": "true"}
    assert first["capture_method"] == "automatic"
    assert "allowed_payment_method_types" not in first
    assert second["allowed_payment_method_types"] == {"0": "card"}
    assert second["capture_method"] == "manual"
    assert "automatic_payment_methods" not in second


async def test_every_request_that_changes_something_has_a_key_of_ours(
    stripe: Stripe, browser: Browser, desk: Desk
) -> None:
    charge, secret = await begun(stripe, replace(ASKED, capture="later"))
    await browser.confirm(secret)
    await stripe.capture(charge)
    await stripe.refund(RefundWish(RefundId("rfd_1"), charge, Money(1000, "EUR")))
    other, _ = await begun(stripe, replace(ASKED, key=PaymentId("pay_2")))
    await stripe.void(other)
    keys = [one["idempotency_key"] for one in await desk.requests() if one["method"] == "POST"]
    taken = (await desk.intent(charge.reference or ""))["latest_charge"]
    assert keys == [
        f"pi_{KEY}",
        f"capture_{KEY}_{taken if isinstance(taken, str) else taken['id']}",
        "re_rfd_1",
        "pi_pay_2",
        "void_pay_2_requires_payment_method_none",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("amount=3290&currency=eur&captur_method=manual", "captur_method is unknown"),
        ("amount=3290&currency=eur&metadata[a][b]=c", "metadata"),
        ("amount=3290", "currency is missing"),
        ("amount=32.90&currency=eur", "amount"),
        ("amount=1&currency=eur&capture_method=later", "capture_method"),
        ("amount=1&currency=eur&metadata[a]=b&automatic_payment_methods[x]=y", "x is unknown"),
        ("amount=1&currency=eur&automatic_payment_methods[enabled]=yes", "enabled"),
        ("amount=1&currency=eur&allowed_payment_method_types[0]=cart", "types[0]"),
        ("amount=1&currency=eur&payment_method_types[0]=card", "payment_method_types is unknown"),
        ("amount=1&currency=eur&api_key=sk", "api_key is unknown"),
    ],
)
def test_a_request_with_a_wrong_name_or_value_is_caught(wrong: str, told: str) -> None:
    asked = {"method": "POST", "path": "/v1/payment_intents", "query": "", "body": wrong}
    found = stripe_shapes.violations(asked)
    assert any(told in one for one in found), found
    assert not stripe_shapes.violations(asked | {"body": "amount=3290&currency=eur"})


def test_cards_are_never_sent_to_us(stripe_server: StripeServer) -> None:
    stripe = Stripe(stripe_server.settings(), capture="placing", timeout_seconds=5)
    stripe.check(None)
    for sent in ("", GOOD_CARD):
        with pytest.raises(BadPaymentInput) as refused:
            stripe.check(sent)
        assert not sent or sent not in refused.value.detail


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"secret_key": ""}, "secret_key"),
        ({"secret_key": "pk_test_1"}, "secret_key"),
        ({"publishable_key": SECRET_KEY}, "publishable_key"),
        ({"webhook_secret": " , "}, "webhook_secret"),
        ({"secret_key": "sk_live_0123456789"}, "one key is for tests"),
        ({"api_url": "http://stripe.example"}, "api_url: https"),
        ({"api_url": "https://"}, "api_url: https"),
        ({"api_url": "http://[stripe"}, "api_url: https"),
    ],
)
def test_keys_that_cannot_be_are_told_at_the_start_without_telling_them(
    stripe_server: StripeServer, given: Mapping[str, str], problem: str
) -> None:
    settings: StripeSettings = stripe_server.settings(**given)
    (told,) = problems_of(settings)
    assert problem in told
    assert SECRET_KEY not in told
    with pytest.raises(BadSettings, match=problem):
        Stripe(settings, capture="placing", timeout_seconds=5)


def test_what_the_player_is_told(stripe_server: StripeServer) -> None:
    keys = {"secret_key": "rk_live_0123456789", "publishable_key": "pk_live_1"}
    real = StripeSettings(**keys, webhook_secret="whsec_x")
    stripe = Stripe(real, capture="shipping", timeout_seconds=5)
    assert not stripe.is_test
    assert stripe.options() == {
        "publishable_key": "pk_live_1",
        "script": SCRIPT,
        "capture_method": "manual",
        "method_types": "",
    }
    test = Stripe(stripe_server.settings(), capture="placing", timeout_seconds=5)
    assert test.is_test
    assert test.options()["method_types"] == "card"
    assert isinstance(test, HearsEvents)


async def test_the_clients_log_tells_no_body(
    stripe: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="stripe")
    _, secret = await begun(stripe)
    assert caplog.text == ""
    assert secret not in caplog.text


def test_without_the_extra_its_name_is_told() -> None:
    code = "import sys; sys.modules['stripe'] = None; import liveshop.payments.providers.stripe"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("payment by Stripe needs: pip install 'liveshop[stripe]'")
