"""Orders and their lines. `shop_order`, because ORDER is a word of SQL."""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

shop_order = sa.Table(
    "shop_order",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("viewer_id", sa.String(40), nullable=False, index=True),
    sa.Column("show_id", sa.String(40), index=True),
    sa.Column("placed_at", UtcDateTime, nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("address", Json, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("subtotal_amount", sa.BigInteger, nullable=False),
    sa.Column("shipping_amount", sa.BigInteger, nullable=False),
    sa.Column("taxes", Json, nullable=False),
    # Tax that comes on top of the prices; 0 where they include it.
    sa.Column("tax_added_amount", sa.BigInteger, nullable=False, server_default="0"),
    # [{"text", "amount"}, ...] in the buyer's language: how the total came about.
    sa.Column("explanation", Json, nullable=False, server_default="[]"),
    sa.Column("total_amount", sa.BigInteger, nullable=False),
    sa.Column("idempotency_key", sa.String(200), nullable=False),
    sa.Column("request_hash", sa.String(64), nullable=False),
    # A customer is known by his address too, in whatever case it was typed. A migration that makes
    # this table anew on SQLite has to make this index again: Alembic cannot see it there.
    sa.Index("ix_shop_order_lower_email", sa.text("lower(email)")),
    sa.UniqueConstraint("viewer_id", "idempotency_key"),
    sa.CheckConstraint(
        "total_amount = subtotal_amount + shipping_amount + tax_added_amount", name="total"
    ),
)

order_line = sa.Table(
    "order_line",
    metadata,
    sa.Column("order_id", sa.ForeignKey("shop_order.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("variant_id", sa.String(40), nullable=False, index=True),
    sa.Column("product_id", sa.String(40), nullable=False),
    sa.Column("title", sa.String(300), nullable=False),
    sa.Column("option_values", Json, nullable=False),
    sa.Column("sku", sa.String(120), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_amount", sa.BigInteger, nullable=False),
    sa.Column("total_amount", sa.BigInteger, nullable=False),
    # After this line's share of the order's discounts: what a return of it is worth.
    sa.Column("payable_amount", sa.BigInteger, nullable=False),
    # Where it was put into the cart: a cart that comes back has the prices it had.
    sa.Column("show_id", sa.String(40)),
)

order_counter = sa.Table(
    "order_counter",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("last_number", sa.BigInteger, nullable=False),
)
"""One row. Numbers are consecutive because placing an order takes this row's lock."""
