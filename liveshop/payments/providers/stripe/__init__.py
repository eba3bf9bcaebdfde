"""Payment by Stripe: cards, wallets and whatever else the account has switched on (extra `stripe`).

The order is placed first and a PaymentIntent made for it; the buyer confirms that in Stripe's own
form in his browser, so no card number ever passes this server. What became of it is always asked
for: a webhook only says when to ask. Amounts, states and refunds are Stripe's, never ours repeated.

Tested against `localstripe` behind a front of the tests, and against the shapes of requests that
Stripe publishes; never against a real account. localstripe ignores idempotency keys (the front
keeps them), knows no automatic payment methods, no `allowed_payment_method_types` and no
`description` (the front takes them out), no received and capturable amounts, no minimum amounts, no
pending or refused refunds, no expiry of what was authorised, no events about refunds, disputes,
actions and authorised amounts, and no Stripe.js with its Payment Element.
"""

from liveshop.payments.providers.stripe.client import RefusedByStripe
from liveshop.payments.providers.stripe.provider import SCRIPT, Stripe, problems_of

__all__ = ["SCRIPT", "RefusedByStripe", "Stripe", "problems_of"]
