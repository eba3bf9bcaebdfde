"""Stripe's states, refusals and amounts in our words."""

from collections.abc import Mapping

from liveshop.kernel.money import Money
from liveshop.payments.model import PaymentState, RefundState

STATES: Mapping[str, PaymentState] = {
    "requires_payment_method": "action_required",
    "requires_confirmation": "action_required",
    "requires_action": "action_required",
    "processing": "processing",
    "requires_capture": "authorised",
    "succeeded": "paid",
}
"""Of a PaymentIntent; `canceled` is told apart by whether it had been authorised."""

REFUND_STATES: Mapping[str, RefundState] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "done",
    "failed": "failed",
    "canceled": "failed",
}

NOT_NOW = frozenset({"balance_insufficient", "lock_timeout", "rate_limit", "processing_error"})
"""`code`s of a refused refund that may end by themselves: the account has no money just now, or
others are at the same payment (docs.stripe.com/error-codes)."""

DECLINED = "The card was declined. Use another card or another way to pay."
_NUMBER = "The card number is not right. Check it, or use another card."
_CODE = "The security code of the card is not right. Check it and try again."
_EXPIRY = "The expiry date of the card is not right. Check it and try again."
_NOT_CONFIRMED = (
    "The payment was not confirmed with the bank, and nothing was charged. "
    "Try again, or use another way to pay."
)
DECLINES: Mapping[str, str] = {
    "insufficient_funds": (
        "The card has insufficient funds. Use another card or another way to pay."
    ),
    "expired_card": "The card has expired. Use another card or another way to pay.",
    "incorrect_number": _NUMBER,
    "invalid_number": _NUMBER,
    "incorrect_cvc": _CODE,
    "invalid_cvc": _CODE,
    "invalid_expiry_month": _EXPIRY,
    "invalid_expiry_year": _EXPIRY,
    "authentication_required": _NOT_CONFIRMED,
    "payment_intent_authentication_failure": _NOT_CONFIRMED,
    "processing_error": "The bank could not take the payment just now. Try again in a minute.",
    "currency_not_supported": (
        "The card does not take this currency. Use another card or another way to pay."
    ),
}
"""By `decline_code` or `code`. That a card is stolen or suspected is not told to whoever holds it
(docs.stripe.com/declines/codes)."""

NOT_TAKEN = "This way to pay cannot be used just now. Choose another way to pay."
OUT_OF_BOUNDS: Mapping[str, str] = {
    "amount_too_small": "This amount is too small to be paid online. Choose another way to pay.",
    "amount_too_large": "This amount is too large to be paid online. Choose another way to pay.",
}
"""By `code`. The least amount depends on the currency and on the account's own currency
(docs.stripe.com/currencies#minimum-and-maximum-charge-amounts), so Stripe is asked."""

_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""Without a minor unit in ISO 4217, and counted in hundredths by Stripe all the same
(docs.stripe.com/currencies#special-cases). Yen and the like it counts as ISO 4217 does."""
_IN_TENS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Three decimals, of which the last has to be 0."""
_OTHER_UNITS = frozenset({"MGA"})
"""ISO 4217 counts hundredths and Stripe does not: a mistake would be one of factor 100."""


def words_of_decline(*codes: object) -> str:
    """`codes`: what Stripe says, the most telling first."""
    return next(
        (DECLINES[one] for one in codes if isinstance(one, str) and one in DECLINES), DECLINED
    )


def problem_of(amount: Money) -> str | None:
    """Why Stripe cannot take this amount, as far as that is known without asking."""
    if amount.currency in _OTHER_UNITS:
        return f"Stripe cannot be used for {amount.currency}. Choose another way to pay."
    if amount.currency in _IN_TENS and amount.amount % 10:
        return f"Stripe takes {amount.currency} with two decimals only. Choose another way to pay."
    return None


def to_stripe(amount: Money) -> int:
    return amount.amount * 100 if amount.currency in _IN_HUNDREDTHS else amount.amount


def from_stripe(amount: int, currency: str) -> Money:
    """What is no whole amount in our units stays in Stripe's, so that it differs from any of ours
    and is seen.
    """
    ours = currency.upper()
    if ours in _IN_HUNDREDTHS and amount % 100 == 0:
        amount //= 100
    return Money(amount, ours)
