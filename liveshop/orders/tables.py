"""Orders, how their goods reach the buyer and come back, and all that happened to them.

`shop_order` and `order_return`, because ORDER and RETURN are words of SQL.
"""

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
    sa.Column("language", sa.String(5), nullable=False, server_default="en"),
    # `ship`, or `pickup` at the store.
    sa.Column("delivery", sa.String(6), nullable=False, server_default="ship"),
    sa.Column("store_id", sa.String(40), index=True),
    # What the buyer shows to get his goods; null for what is shipped.
    sa.Column("pickup_code", sa.String(16), unique=True),
    # What the buyer was promised: there, or ready, not before and not after.
    sa.Column("promised_from", UtcDateTime),
    sa.Column("promised_until", UtcDateTime),
    # The e-mail address and, on the next line, the name, both folded and cut: what people search
    # for.
    sa.Column("search_text", sa.String(400), nullable=False, server_default=""),
    sa.Column("invoice_number", sa.BigInteger, unique=True),
    sa.Column("invoiced_at", UtcDateTime),
    # Of `invoiced_at` in the shop's zone: part of the number.
    sa.Column("invoice_year", sa.SmallInteger),
    sa.Column("idempotency_key", sa.String(200), nullable=False),
    sa.Column("request_hash", sa.String(64), nullable=False),
    # A customer is known by his address too, in whatever case it was typed. A migration that makes
    # this table anew on SQLite has to make this index again: Alembic cannot see it there.
    sa.Index("ix_shop_order_lower_email", sa.text("lower(email)")),
    # Read instead of the orders themselves, which are far wider, when many have to be looked at.
    sa.Index("ix_shop_order_search", "id", "state", "delivery", "store_id", "search_text"),
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
    sa.Column("variant_id", sa.String(40), nullable=False),
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
    sa.Index("ix_order_line_sku", "sku", "order_id"),
    # Ids sort by time: the newest of a variant are found without looking at all of them.
    sa.Index("ix_order_line_variant_id_order_id", "variant_id", "order_id"),
)

order_counter = sa.Table(
    "order_counter",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("last_number", sa.BigInteger, nullable=False),
)
"""Consecutive numbers, because whoever takes one takes its row's lock: 1 orders, 2 invoices."""

fulfilment = sa.Table(
    "fulfilment",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.ForeignKey("shop_order.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    # Where its goods were taken from.
    sa.Column("location_id", sa.String(40), nullable=False, index=True),
    # Where the buyer gets them; null for what is shipped.
    sa.Column("store_id", sa.String(40), index=True),
    sa.Column("carrier", sa.String(60)),
    sa.Column("tracking", sa.String(120)),
    # Not collected by then, it is released and refunded.
    sa.Column("collect_until", UtcDateTime, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index("ix_fulfilment_state_created_at", "state", "created_at"),
)

fulfilment_item = sa.Table(
    "fulfilment_item",
    metadata,
    sa.Column("fulfilment_id", sa.ForeignKey("fulfilment.id"), primary_key=True),
    # The order's line, and what of it: a bundle's parts may lie in different places.
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("variant_id", sa.String(40), primary_key=True),
    sa.Column("pieces", sa.Integer, nullable=False),
    sa.CheckConstraint("pieces > 0", name="pieces_above_zero"),
)

order_event = sa.Table(
    "order_event",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.ForeignKey("shop_order.id"), nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # buyer, staff, system or provider; and which.
    sa.Column("actor_kind", sa.String(10), nullable=False),
    sa.Column("actor_id", sa.String(40)),
    sa.Column("actor_name", sa.String(120)),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("note", sa.String(500)),
)
"""Who did what to an order, when and why. Rows are only ever added."""

order_return = sa.Table(
    "order_return",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("order_id", sa.ForeignKey("shop_order.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    # Where the goods came back to.
    sa.Column("location_id", sa.String(40)),
    sa.Column("refund_id", sa.String(40)),
    # What the inspection found it to be worth; null before it.
    sa.Column("goods_amount", sa.BigInteger),
    sa.Column("shipping_amount", sa.BigInteger),
    sa.Column("tax_added_amount", sa.BigInteger),
    sa.Column("deduction_amount", sa.BigInteger),
    sa.Column("note", sa.String(500)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

order_return_line = sa.Table(
    "order_return_line",
    metadata,
    sa.Column("return_id", sa.ForeignKey("order_return.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(20), nullable=False),
    sa.Column("note", sa.String(500)),
    # Of the inspection; null before it.
    sa.Column("accepted", sa.Integer),
    sa.Column("restocked", sa.Integer),
    sa.CheckConstraint("quantity > 0", name="quantity_above_zero"),
    sa.CheckConstraint(
        "0 <= restocked AND restocked <= accepted AND accepted <= quantity", name="inspection"
    ),
)

order_feedback = sa.Table(
    "order_feedback",
    metadata,
    sa.Column("order_id", sa.ForeignKey("shop_order.id"), primary_key=True),
    # 1 very hard to 7 very easy (customer effort score, CES 2.0).
    sa.Column("effort", sa.SmallInteger),
    # 1 very dissatisfied to 5 very satisfied (CSAT).
    sa.Column("satisfaction", sa.SmallInteger),
    sa.Column("comment", sa.String(1000)),
    sa.Column("at", UtcDateTime, nullable=False),
)
