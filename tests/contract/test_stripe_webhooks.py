"""What Stripe posts to us: real deliveries of localstripe, and what anybody else could send."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe as official
from hypothesis import given
from hypothesis import strategies as st
from stripe_builders import begun, letter_box, stripe_house
from stripe_server import (
    DECLINED,
    WEBHOOK_SECRET,
    StripeRefuses,
    StripeServer,
)

from liveshop.payments.model import BadEvent, BadSignature, ProviderEvent
from liveshop.payments.providers.stripe import Stripe, webhook
from liveshop.settings import StripeSettings

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
OTHER_SECRET = "whsec_of_another_endpoint_0123"


def provider(secret: str = WEBHOOK_SECRET) -> Stripe:
    settings = StripeSettings(
        secret_key="sk_test_0123456789", publishable_key="pk_test_1", webhook_secret=secret
    )
    return Stripe(settings, capture="placing", timeout_seconds=5)


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: datetime = NOW) -> dict[str, str]:
    """By the official client."""
    header = official.WebhookSignature.generate_signature_header(
        body.decode(), secret, int(at.timestamp())
    )
    return {"Stripe-Signature": header}


def event(type_: str = "payment_intent.succeeded", **subject: Any) -> bytes:
    return json.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "type": type_,
            "created": int(NOW.timestamp()),
            "livemode": False,
            "data": {"object": {"id": "pi_1", "object": "payment_intent", **subject}},
        }
    ).encode()


async def test_what_localstripe_delivers_is_read_and_what_is_changed_on_the_way_is_not(
    stripe_server: StripeServer,
) -> None:
    async with stripe_house(stripe_server) as house, letter_box() as box:
        stripe = house.stripe
        await house.desk.send_webhooks_to(box.url)
        charge, secret = await begun(stripe)
        with pytest.raises(StripeRefuses):
            await house.browser.confirm(secret, DECLINED)
        await house.browser.confirm(secret)
        both = [await box.next_about(charge.reference) for _ in range(2)]
    assert {one.type for one in both} == {
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
    }
    now = datetime.now(UTC)
    for one in both:
        told = stripe.read_event(one.headers, one.body, now)
        assert told == stripe.read_event(one.headers, one.body, now), "twice says the same"
        assert (told.type, told.about, told.reference) == (one.type, "payment", charge.reference)
        assert abs(now - told.happened_at) < timedelta(minutes=1)
        with pytest.raises(BadSignature, match="not signed with the secret"):
            stripe.read_event(one.headers, one.body.replace(b"3290", b"1"), now)
        with pytest.raises(BadSignature, match="not signed with the secret"):
            provider(OTHER_SECRET).read_event(one.headers, one.body, now)
        with pytest.raises(BadSignature, match="more than five minutes ago"):
            stripe.read_event(one.headers, one.body, now + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("type_", "subject", "about", "reference", "dispute"),
    [
        ("payment_intent.succeeded", {}, "payment", "pi_1", None),
        ("payment_intent.canceled", {}, "payment", "pi_1", None),
        ("payment_intent.amount_capturable_updated", {}, "payment", "pi_1", None),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_2"}, "refund", "pi_2", None),
        ("refund.updated", {"id": "re_1", "payment_intent": "pi_2"}, "refund", "pi_2", None),
        ("refund.failed", {"id": "re_1", "payment_intent": {"id": "pi_2"}}, "refund", "pi_2", None),
        ("refund.created", {"id": "re_1", "payment_intent": None}, "nothing", None, None),
        (
            "charge.dispute.created",
            {"id": "dp_1", "payment_intent": "pi_2", "status": "needs_response"},
            "dispute",
            "pi_2",
            "needs_response",
        ),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": "pi_2"}, "nothing", None, None),
        ("balance.available", {"id": None}, "nothing", None, None),
    ],
)
def test_what_an_event_is_about(
    type_: str, subject: dict[str, Any], about: str, reference: str | None, dispute: str | None
) -> None:
    body = event(type_, **subject)
    told = provider().read_event(signed(body), body, NOW)
    assert told == ProviderEvent(
        "evt_1",
        type_,
        reference,
        NOW,
        about,
        dispute,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1",
        "v1=00",
        f"t={int(NOW.timestamp())},v1=",
        f"t={int(NOW.timestamp())},v1=\u00e9\u00e9",
        f"t={int(NOW.timestamp())},v0=00",
        f"t={int(NOW.timestamp())},t=1,v1=00",
        "t=\u0661\u0662,v1=00",
        "t=-1,v1=00",
        f"t={'9' * 5000},v1=00",
        ",,=,==",
    ],
)
def test_what_has_no_readable_signature_is_refused(header: str) -> None:
    with pytest.raises(BadSignature):
        provider().read_event({"Stripe-Signature": header}, event(), NOW)
    with pytest.raises(BadSignature):
        provider().read_event({}, event(), NOW)


def test_a_signature_counts_for_five_minutes_by_our_clock() -> None:
    body = event()
    headers = signed(body)
    provider().read_event(headers, body, NOW + timedelta(seconds=300))
    provider().read_event(headers, body, NOW - timedelta(seconds=30))
    with pytest.raises(BadSignature, match="five minutes"):
        provider().read_event(headers, body, NOW + timedelta(seconds=301))


def test_while_a_secret_is_replaced_both_count() -> None:
    body = event()
    both = provider(f"{WEBHOOK_SECRET}, {OTHER_SECRET}")
    for secret in (WEBHOOK_SECRET, OTHER_SECRET):
        assert both.read_event(signed(body, secret=secret), body, NOW).id == "evt_1"
    with pytest.raises(BadSignature):
        both.read_event(signed(body, secret="whsec_neither"), body, NOW)


def test_one_of_several_signatures_is_enough() -> None:
    body = event()
    right = signed(body)["Stripe-Signature"]
    stamp, _, signature = right.partition(",")
    several = f"{stamp},v1={'0' * 64},{signature},v0=abc"
    assert provider().read_event({"stripe-signature": several}, body, NOW).id == "evt_1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"object": "v2.core.event", "id": "evt_1", "type": "a", "created": "today"}',
        event().replace(b'"evt_1"', b'"' + b"e" * 121 + b'"'),
        event().replace(b'"evt_1"', b"1"),
        event().replace(b'"pi_1"', b"null"),
        event().replace(str(int(NOW.timestamp())).encode(), b"9" * 18),
        event("payment_intent." + "x" * 80),
    ],
)
def test_what_is_signed_and_no_event_is_said_to_be_none(body: bytes) -> None:
    stamp = int(NOW.timestamp())
    signature = webhook.signature_of(WEBHOOK_SECRET, stamp, body)
    headers = {"Stripe-Signature": f"t={stamp},v1={signature}"}
    with pytest.raises(BadEvent):
        provider().read_event(headers, body, NOW)


@given(body=st.binary(max_size=200), secret=st.text(min_size=1, max_size=40))
def test_we_sign_as_the_official_client_does(body: bytes, secret: str) -> None:
    stamp = int(NOW.timestamp())
    header = f"t={stamp},v1={webhook.signature_of(secret, stamp, body)}"
    webhook.verify(header, body, [secret], NOW)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return
    if secret.strip():
        assert official.WebhookSignature.verify_header(text, header, secret)
        assert header == official.WebhookSignature.generate_signature_header(text, secret, stamp)


@given(header=st.text(max_size=80), body=st.binary(max_size=80))
def test_nothing_anybody_sends_is_more_than_refused(header: str, body: bytes) -> None:
    with pytest.raises(BadSignature):
        provider().read_event({"Stripe-Signature": header}, body, NOW)
