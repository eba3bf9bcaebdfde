"""Payments, refunds and what providers told us; and the ledger of the sandbox provider, which
stands for somebody else's database.
"""

import sqlalchemy as sa

from liveshop.storage import UtcDateTime, metadata

payment = sa.Table(
    "payment",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.String(40), nullable=False, index=True),
    sa.Column("method", sa.String(30), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    # When the money is taken: `now`, or `later` when the goods leave.
    sa.Column("capture", sa.String(6), nullable=False, server_default="now"),
    sa.Column("captured_amount", sa.BigInteger, nullable=False, server_default="0"),
    # Of the refunds that are not failed, whether they have arrived or not.
    sa.Column("refunded_amount", sa.BigInteger, nullable=False, server_default="0"),
    # The provider's own name for it.
    sa.Column("reference", sa.String(120), index=True),
    sa.Column("message", sa.String(300)),
    # What a person has to look at, such as another amount at the provider's.
    sa.Column("problem", sa.String(300)),
    # The state of the newest dispute, in the provider's words.
    sa.Column("dispute", sa.String(40)),
    # From now on nothing may be charged: the order came to nothing or was cancelled.
    sa.Column("is_void_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    # Until then the buyer may do his part.
    sa.Column("expires_at", UtcDateTime),
    # When to ask the provider next; null: nothing is unclear.
    sa.Column("check_at", UtcDateTime, index=True),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.CheckConstraint(
        "0 <= refunded_amount AND refunded_amount <= captured_amount AND captured_amount <= amount",
        name="money_adds_up",
    ),
)

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.String(40), nullable=False, index=True),
    sa.Column("payment_id", sa.ForeignKey("payment.id"), nullable=False, index=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    # Why: late, cancelled, not_collected, returned, goodwill, or provider (made there, not here).
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("note", sa.String(500)),
    # Whoever asks for the same again gets this one.
    sa.Column("key", sa.String(120), unique=True),
    sa.Column("reference", sa.String(120), index=True),
    sa.Column("message", sa.String(300)),
    sa.Column("check_at", UtcDateTime, index=True),
    sa.Column("checks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount_above_zero"),
)

payment_event = sa.Table(
    "payment_event",
    metadata,
    sa.Column("provider", sa.String(30), primary_key=True),
    sa.Column("event_id", sa.String(120), primary_key=True),
    sa.Column("type", sa.String(80), nullable=False),
    # Of the provider's payment it is about.
    sa.Column("reference", sa.String(120), index=True),
    sa.Column("happened_at", UtcDateTime, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False, index=True),
    # What came of it: asked, unknown_payment, dispute.
    sa.Column("outcome", sa.String(20), nullable=False),
)
"""The inbox of webhooks: each event once, in whatever order they come. Kept for 90 days."""

sandbox_charge = sa.Table(
    "sandbox_charge",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reference", sa.String(120), nullable=False),
    sa.Column("message", sa.String(300)),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
)

sandbox_refund = sa.Table(
    "sandbox_refund",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("charge_key", sa.String(40), nullable=False, index=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
)
