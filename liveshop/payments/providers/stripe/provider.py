"""The provider: one PaymentIntent for each payment, made when the order is placed.

An intent whose client secret was never handed out can be confirmed by nobody: a charge without a
reference is therefore ruled out without asking Stripe. Stripe forgets idempotency keys after a day,
so a refund is looked for before it is made.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
import stripe
import structlog

from liveshop.kernel.ids import new_code
from liveshop.kernel.money import Money
from liveshop.payments.model import (
    BadPaymentInput,
    CannotCapture,
    Charge,
    ChargeAnswer,
    ClientStep,
    Delivery,
    PaymentState,
    ProviderEvent,
    ProviderUnavailable,
    RefundAnswer,
    RefundWish,
    voided,
)
from liveshop.payments.providers.stripe import terms, webhook
from liveshop.payments.providers.stripe.client import (
    Http,
    RefusedByStripe,
    ask,
    client_of,
    note_refusal,
    refused,
)
from liveshop.settings import BadSettings, StripeSettings

_log = structlog.get_logger()

OFFICIAL_API = "https://api.stripe.com"
SCRIPT = "https://js.stripe.com/v3/"
_PAYMENT, _REFUND, _ORDER = "liveshop_payment", "liveshop_refund", "order"
_WITH_CHARGE = ["latest_charge"]
_GIVEN_UP = (
    "any more: what was authorised has expired or was given up. Let the buyer pay again, or cancel "
    "the order."
)
_NOT_PROMISED = "yet: the buyer has not confirmed the payment."


def problems_of(settings: StripeSettings) -> list[str]:
    """What is wrong with these settings, one sentence each; never a key in it."""
    found: list[str] = []
    if not settings.secret_key.startswith(("sk_", "rk_")):
        found.append("stripe.secret_key: the secret or restricted key of the account (sk_, rk_)")
    if not settings.publishable_key.startswith("pk_"):
        found.append("stripe.publishable_key: the publishable key of the account (pk_)")
    if not _secrets(settings):
        found.append("stripe.webhook_secret: what Stripe shows for its webhook endpoint (whsec_)")
    if not _is_safe(settings.api_url):
        found.append("stripe.api_url: https, as the secret key goes there")
    if not found and _is_test(settings.secret_key) != _is_test(settings.publishable_key):
        found.append("stripe: one key is for tests and the other for real money")
    return found


class Stripe:
    method = "stripe"
    deliveries: frozenset[Delivery] = frozenset({"ship", "pickup"})
    is_by_hand = False

    def __init__(
        self,
        settings: StripeSettings,
        *,
        capture: Literal["placing", "shipping"],
        timeout_seconds: float,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        """`session` stays the caller's to close. Raises BadSettings."""
        if problems := problems_of(settings):
            raise BadSettings(problems)
        self._settings = settings
        self._capture = capture
        self._http = Http(timeout_seconds, session)
        client = client_of(settings, self._http)
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    @property
    def is_test(self) -> bool:
        return _is_test(self._settings.secret_key)

    def options(self) -> Mapping[str, str]:
        """`script`: where Stripe.js is. `capture_method` and `method_types` (commas between; empty:
        automatic) are what its Elements want to know before there is an intent.
        """
        url = self._settings.api_url.rstrip("/")
        return {
            "publishable_key": self._settings.publishable_key,
            "script": SCRIPT if url == OFFICIAL_API else f"{url}/js.stripe.com/v3/",
            "capture_method": "manual" if self._capture == "shipping" else "automatic",
            "method_types": ",".join(self._settings.method_types),
        }

    def check(self, charge_input: str | None) -> None:
        if charge_input is not None:
            raise BadPaymentInput(
                "Cards are typed into the form of Stripe, which opens after this step. "
                "Send none with the order.",
                data={"field": "payment.card_number"},
            )

    async def charge(self, charge: Charge) -> ChargeAnswer:
        """Make the intent that the buyer then confirms. `declined`, with an error in the log, where
        Stripe takes nothing from us at all, so that the buyer can pay otherwise.
        """
        if charge.reference is not None:
            return self._answer(charge, await self._intent(charge.reference))
        if problem := terms.problem_of(charge.amount):
            return _declined(charge, problem)
        asked: stripe.params.PaymentIntentCreateParams = {
            "amount": terms.to_stripe(charge.amount),
            "currency": charge.amount.currency.lower(),
            "capture_method": "manual" if charge.capture == "later" else "automatic",
            "description": f"Order {charge.order_number}",
            "metadata": {_PAYMENT: charge.key, _ORDER: charge.order_number},
        }
        if self._settings.method_types:
            asked["allowed_payment_method_types"] = list(self._settings.method_types)
        else:
            asked["automatic_payment_methods"] = {"enabled": True}
        try:
            intent = await ask(
                self._intents.create_async(asked, {"idempotency_key": f"pi_{charge.key}"})
            )
        except stripe.InvalidRequestError as error:
            words = terms.OUT_OF_BOUNDS.get(error.code or "")
            if words is None:
                note_refusal(error)
            return _declined(charge, words or terms.NOT_TAKEN)
        except RefusedByStripe:
            return _declined(charge, terms.NOT_TAKEN)
        except stripe.CardError as error:
            return _declined(charge, terms.words_of_decline(error.code))
        if _is_replayed(intent):
            intent = await self._intent(intent.id)
        return self._answer(charge, intent)

    async def find(self, charge: Charge) -> ChargeAnswer | None:
        """Raises RefusedByStripe also."""
        if charge.reference is None:
            return None
        return self._answer(charge, await self._intent(charge.reference))

    async def void(self, charge: Charge) -> ChargeAnswer:
        if charge.reference is None:
            return voided(charge.key)
        intent = await self._intent(charge.reference)
        if intent.status not in ("succeeded", "canceled"):
            intent = await self._cancelled(charge, intent)
        answer = self._answer(charge, intent)
        if answer.state in ("action_required", "authorised"):
            raise ProviderUnavailable(
                "Stripe has not cancelled the payment yet. It is tried again."
            )
        return answer

    async def capture(self, charge: Charge) -> ChargeAnswer:
        """Raises RefusedByStripe also."""
        if charge.reference is None:
            raise _cannot_capture(charge, _NOT_PROMISED)
        intent = await self._intent(charge.reference)
        if intent.status == "requires_capture":
            intent = await self._captured(charge, intent)
        answer = self._answer(charge, intent)
        if answer.state == "processing":
            raise ProviderUnavailable("Stripe is still taking the money. It is asked again.")
        if answer.state != "paid":
            raise _cannot_capture(
                charge, _GIVEN_UP if intent.status == "canceled" else _NOT_PROMISED
            )
        return answer

    async def refund(self, wish: RefundWish) -> RefundAnswer:
        """Raises RefusedByStripe also, where Stripe does not know the payment. After a refusal that
        may end by itself the next attempt has another idempotency key: Stripe would repeat what it
        said for a day.
        """
        if wish.charge.reference is None:
            return RefundAnswer("failed", "", "Stripe has no payment for this order.")
        for key, _, answer in await self.refunds_of(wish.charge):
            if key == wish.key:
                return answer
        if problem := terms.problem_of(wish.amount):
            return RefundAnswer("failed", "", problem)
        attempt = f"_{wish.attempt}" if wish.attempt else ""
        try:
            made = await ask(
                self._refunds.create_async(
                    {
                        "payment_intent": wish.charge.reference,
                        "amount": terms.to_stripe(wish.amount),
                        "metadata": {_REFUND: wish.key, _ORDER: wish.charge.order_number},
                    },
                    {"idempotency_key": f"re_{wish.key}{attempt}"},
                )
            )
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            if error.code == "resource_missing":
                raise refused(error) from None
            note_refusal(error)
            if error.code in terms.NOT_NOW:
                words = f"Stripe cannot give it back just now ({error.code}). It is asked again."
                return RefundAnswer("due", new_code(), words)
            words = f"Stripe refused the refund ({error.code or 'no code given'})."
            return RefundAnswer("failed", "", words)
        return _refund_answer(made)

    async def refunds_of(self, charge: Charge) -> list[tuple[str, Money, RefundAnswer]]:
        """Newest first. Raises ProviderUnavailable, RefusedByStripe."""
        if charge.reference is None:
            return []
        try:
            return await ask(self._listed(charge.reference))
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            raise refused(error) from None

    async def _listed(self, reference: str) -> list[tuple[str, Money, RefundAnswer]]:
        page = await self._refunds.list_async({"payment_intent": reference, "limit": 100})
        return [
            (
                _metadata(one).get(_REFUND, ""),
                terms.from_stripe(one.amount, one.currency),
                _refund_answer(one),
            )
            async for one in page.auto_paging_iter()
        ]

    def read_event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> ProviderEvent:
        return webhook.read(headers, body, _secrets(self._settings), now)

    async def aclose(self) -> None:
        await self._http.close_async()

    async def _intent(self, reference: str) -> stripe.PaymentIntent:
        try:
            return await ask(self._intents.retrieve_async(reference, {"expand": _WITH_CHARGE}))
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            raise refused(error) from None

    async def _captured(self, charge: Charge, intent: stripe.PaymentIntent) -> stripe.PaymentIntent:
        """As it is once the money is taken, or where it had moved on; it is taken once whatever the
        key. Raises CannotCapture where Stripe does not take it, though it still could.
        """
        key = f"capture_{charge.key}_{getattr(intent.latest_charge, 'id', 'none')}"
        try:
            return await self._taken(intent.id, key)
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            refusal: stripe.StripeError = error
        if _is_repeated(refusal.headers):
            # So it was when somebody asked before, perhaps hours ago.
            try:
                return await self._taken(intent.id, f"{key}_{new_code()}")
            except (stripe.InvalidRequestError, stripe.CardError) as error:
                refusal = error
        seen = await self._intent(intent.id)
        if seen.status != "requires_capture":
            return seen
        note_refusal(refusal)
        raise _cannot_capture(
            charge,
            f"just now ({refusal.code or 'no code given'}), but still keeps it. Try again, and "
            "look at the payment at Stripe if that does not help.",
        )

    async def _taken(self, reference: str, key: str) -> stripe.PaymentIntent:
        return await ask(
            self._intents.capture_async(
                reference, {"expand": _WITH_CHARGE}, {"idempotency_key": key}
            )
        )

    async def _cancelled(
        self, charge: Charge, intent: stripe.PaymentIntent
    ) -> stripe.PaymentIntent:
        """As it is once it is cancelled, or where it had moved on. The idempotency key names what
        was seen: a refusal of then would be repeated for a day.
        """
        attempt = getattr(intent.latest_charge, "id", "none")
        try:
            return await ask(
                self._intents.cancel_async(
                    intent.id,
                    {"expand": _WITH_CHARGE},
                    {"idempotency_key": f"void_{charge.key}_{intent.status}_{attempt}"},
                )
            )
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            seen = await self._intent(intent.id)
            if seen.status == intent.status:
                note_refusal(error)
            return seen

    def _answer(self, charge: Charge, intent: stripe.PaymentIntent) -> ChargeAnswer:
        state = terms.STATES.get(intent.status)
        amount = intent.amount
        # localstripe leaves these two out.
        if state == "paid":
            amount = getattr(intent, "amount_received", amount)
        if state == "authorised":
            amount = getattr(intent, "amount_capturable", amount)
        money = terms.from_stripe(amount, intent.currency)
        if state is not None:
            client = self._client_step(intent) if state == "action_required" else None
            return ChargeAnswer(state, intent.id, _message(intent), money, client)
        if intent.status != "canceled":
            _log.error("stripe.unknown_status", payment_id=charge.key, status=intent.status)
            raise ProviderUnavailable("Stripe calls this payment something that is not known here.")
        was_authorised = getattr(intent.latest_charge, "status", None) == "succeeded"
        given_up: PaymentState = "voided" if was_authorised else "declined"
        return ChargeAnswer(given_up, intent.id, voided(charge.key).message, money)

    def _client_step(self, intent: stripe.PaymentIntent) -> ClientStep | None:
        secret = intent.client_secret
        return ClientStep(secret, self.options()) if secret else None


def _message(intent: stripe.PaymentIntent) -> str | None:
    """Why the last try came to nothing, in the buyer's words, while he can try again."""
    error = intent.last_payment_error
    if error is None or intent.status != "requires_payment_method":
        return None
    return terms.words_of_decline(
        getattr(error, "decline_code", None), getattr(error, "code", None)
    )


def _refund_answer(refund: stripe.Refund) -> RefundAnswer:
    state = terms.REFUND_STATES.get(refund.status or "", "pending")
    reason = getattr(refund, "failure_reason", None) or refund.status
    message = f"Stripe could not give the money back ({reason})." if state == "failed" else None
    return RefundAnswer(state, refund.id, message)


def _metadata(refund: stripe.Refund) -> Mapping[str, Any]:
    told: Any = getattr(refund, "metadata", None)
    return told.to_dict() if isinstance(told, stripe.StripeObject) else told or {}


def _is_replayed(intent: stripe.PaymentIntent) -> bool:
    """Whether Stripe repeats its answer to an earlier request with this idempotency key, which may
    be long out of date.
    """
    last = intent.last_response
    return last is not None and _is_repeated(last.headers)


def _is_repeated(headers: Mapping[str, str] | None) -> bool:
    return headers is not None and headers.get("Idempotent-Replayed") == "true"


def _declined(charge: Charge, message: str) -> ChargeAnswer:
    """Nothing was made at Stripe."""
    return ChargeAnswer("declined", f"refused_{charge.key}", message)


def _cannot_capture(charge: Charge, why: str) -> CannotCapture:
    return CannotCapture(f"Stripe cannot take the money for order {charge.order_number} {why}")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_here)
    )


def _secrets(settings: StripeSettings) -> list[str]:
    return [one.strip() for one in settings.webhook_secret.split(",") if one.strip()]


def _is_test(key: str) -> bool:
    return "_test_" in key
