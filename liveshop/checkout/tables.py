"""Carts. What a cart holds stands in the ledger of holds (`catalog.holds`), owned by its lines."""

import sqlalchemy as sa

from liveshop.storage import UtcDateTime, metadata

cart = sa.Table(
    "cart",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    # Not unique: the id is made of it, and PostgreSQL's upsert can yield to one constraint only.
    sa.Column("viewer_id", sa.String(40), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)

cart_line = sa.Table(
    "cart_line",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("cart_id", sa.ForeignKey("cart.id"), nullable=False),
    sa.Column("variant_id", sa.ForeignKey("variant.id"), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("show_id", sa.String(40), index=True),
    sa.Column("added_at", UtcDateTime, nullable=False),
    # How often the hold of this line has been prolonged.
    sa.Column("extensions", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("cart_id", "variant_id"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
)

cart_code = sa.Table(
    "cart_code",
    metadata,
    sa.Column("cart_id", sa.ForeignKey("cart.id"), primary_key=True),
    # As `promotions.model.fold_code` gives it: folding may make a text longer.
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("added_at", UtcDateTime, nullable=False),
)
