"""Payments, and the ledger of the sandbox provider, which stands for somebody else's database."""

import sqlalchemy as sa

from liveshop.storage import UtcDateTime, metadata

payment = sa.Table(
    "payment",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.String(40), nullable=False, index=True),
    sa.Column("method", sa.String(30), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("reference", sa.String(120)),
    sa.Column("message", sa.String(300)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index("ix_payment_state_created_at", "state", "created_at"),
)

sandbox_charge = sa.Table(
    "sandbox_charge",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("reference", sa.String(120), nullable=False),
    sa.Column("message", sa.String(300)),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
)
