"""The catalog's tables. Stock keeps its invariant by CHECK, whatever the code above it does."""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

product = sa.Table(
    "product",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("source", sa.String(60)),
    sa.Column("source_id", sa.String(200)),
    sa.Column("title", sa.String(300), nullable=False),
    sa.Column("description_html", sa.Text, nullable=False),
    sa.Column("brand", sa.String(200)),
    sa.Column("category", sa.String(500)),
    sa.Column("url", sa.String(2000)),
    sa.Column("options", Json, nullable=False),
    # The addresses of pictures as the source gives them; null for products made by hand.
    sa.Column("gallery", Json),
    sa.Column("search_text", sa.Text, nullable=False),
    # How many units of it one customer may have, over all orders; null: as many as he likes.
    sa.Column("max_per_customer", sa.Integer),
    sa.Column("is_active", sa.Boolean, nullable=False),
    # What returns say of its size: runs_small or runs_large; null where they say nothing.
    sa.Column("fit", sa.String(12)),
    sa.Column("version", sa.Integer, nullable=False),
    # Of the facts as imported: what has this digest again says nothing new.
    sa.Column("digest", sa.String(32)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("source", "source_id"),
)

variant = sa.Table(
    "variant",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("product_id", sa.String(40), sa.ForeignKey("product.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("source", sa.String(60)),
    sa.Column("source_id", sa.String(200)),
    sa.Column("sku", sa.String(200), nullable=False, index=True),
    sa.Column("gtin", sa.String(14)),
    sa.Column("option_values", Json, nullable=False),
    sa.Column("price_amount", sa.BigInteger, nullable=False),
    sa.Column("compare_at_amount", sa.BigInteger),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("tax_class", sa.String(20), nullable=False),
    # [[from so many units, minor units each], ...]
    sa.Column("tiers", Json),
    sa.Column("weight_grams", sa.Integer, nullable=False, server_default="0"),
    sa.Column("picture_key", sa.String(64)),
    sa.Column("picture_url", sa.String(2000)),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("digest", sa.String(32)),
    # The quantity the source last gave: only a new one sets the stock, or an old file read again
    # would bring back what has been sold since.
    sa.Column("source_quantity", sa.Integer),
    sa.UniqueConstraint("source", "source_id"),
    sa.CheckConstraint("price_amount > 0", name="price_above_zero"),
    sa.CheckConstraint("compare_at_amount > price_amount", name="compare_at_above_price"),
)

variant_price = sa.Table(
    "variant_price",
    metadata,
    sa.Column("variant_id", sa.String(40), sa.ForeignKey("variant.id"), primary_key=True),
    sa.Column("at", UtcDateTime, primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("compare_at_amount", sa.BigInteger),
    sa.Column("currency", sa.String(3), nullable=False),
)
"""What a variant has cost before promotions, from `at` on: the lowest price of 30 days needs it."""

bundle_part = sa.Table(
    "bundle_part",
    metadata,
    sa.Column("bundle_id", sa.String(40), sa.ForeignKey("variant.id"), primary_key=True),
    sa.Column("part_id", sa.String(40), sa.ForeignKey("variant.id"), primary_key=True, index=True),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.CheckConstraint("quantity > 0", name="quantity_above_zero"),
)
"""A variant with parts has no stock of its own: it is as available as they are."""

REHEARSAL = "rehearsal"
"""The kind of location that is no place: what a rehearsal sells lies there. Nothing real counts it,
and nobody but the rehearsal's guests takes from it."""

location = sa.Table(
    "location",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    # {"line1", "line2", "postal_code", "city", "country"}; null: nobody may come here.
    sa.Column("address", Json),
    # {"weekly": {"1": [["09:00", "18:30"]], ...}, "exceptions": {"2026-12-24": []}}: by ISO weekday
    # and by date, in local time; null: never open.
    sa.Column("hours", Json),
    sa.Column("time_zone", sa.String(60)),
    sa.Column("phone", sa.String(60)),
    # Whether buyers may collect here, and whether parcels leave from here.
    sa.Column("is_pickup", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_shipping", sa.Boolean, nullable=False, server_default=sa.true()),
)

stock = sa.Table(
    "stock",
    metadata,
    sa.Column("variant_id", sa.String(40), sa.ForeignKey("variant.id"), primary_key=True),
    sa.Column("location_id", sa.String(40), sa.ForeignKey("location.id"), primary_key=True),
    sa.Column("on_hand", sa.Integer, nullable=False),
    sa.Column("held", sa.Integer, nullable=False, default=0),
    sa.CheckConstraint("0 <= held AND held <= on_hand", name="held_within_on_hand"),
)

media = sa.Table(
    "media",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, index=True),
    sa.Column("extension", sa.String(8), nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("alt", sa.String(500), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

product_image = sa.Table(
    "product_image",
    metadata,
    sa.Column("product_id", sa.String(40), sa.ForeignKey("product.id"), primary_key=True),
    # The digest of the address, or the media id of a picture that was uploaded.
    sa.Column("key", sa.String(64), primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("url", sa.String(2000)),
    sa.Column("media_id", sa.String(40), sa.ForeignKey("media.id"), index=True),
    sa.Column("problem", sa.Text),
)

hold = sa.Table(
    "hold",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    # A cart line, a place in the waitlist that has its turn, or the order that has the stock now.
    sa.Column("owner", sa.String(40), nullable=False, index=True),
    sa.Column("variant_id", sa.String(40), sa.ForeignKey("variant.id"), nullable=False),
    sa.Column("location_id", sa.String(40), sa.ForeignKey("location.id"), nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Null: held until somebody decides, as for an order whose payment is under way.
    sa.Column("expires_at", UtcDateTime, index=True),
    sa.CheckConstraint("quantity > 0", name="quantity_above_zero"),
    sa.Index("ix_hold_variant_id_expires_at", "variant_id", "expires_at"),
)

waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("variant_id", sa.String(40), sa.ForeignKey("variant.id"), nullable=False),
    sa.Column("viewer_id", sa.String(40), nullable=False, index=True),
    sa.Column("show_id", sa.String(40)),
    sa.Column("joined_at", UtcDateTime, nullable=False),
    # Set while this place has its turn: one unit is held for it until then.
    sa.Column("offered_until", UtcDateTime, index=True),
    sa.UniqueConstraint("variant_id", "viewer_id"),
    # In the order of a queue, so that a position is counted without looking at every row of it.
    sa.Index(
        "ix_waiting_variant_id_offered_until_joined_at",
        *("variant_id", "offered_until", "joined_at"),
    ),
)
"""Who waits for one unit of a variant, first come first served. It stands beside the holds because
what is waited for is not free for anybody else."""


def is_real(location_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether this is a location of the shop's own."""
    rehearsals = sa.select(location.c.id).where(location.c.kind == REHEARSAL)
    return location_id.not_in(rehearsals)
