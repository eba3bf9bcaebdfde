"""Promotions, every version they had, and who uses them: claimed by carts, used by orders."""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

promotion = sa.Table(
    "promotion",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    # `active` or `paused`; one that ended has its end in `ends_at`.
    sa.Column("state", sa.String(10), nullable=False),
    # Whether it needs no code; its codes stand in `promotion_code`.
    sa.Column("is_automatic", sa.Boolean, nullable=False),
    sa.Column("starts_at", UtcDateTime),
    sa.Column("ends_at", UtcDateTime, index=True),
    sa.Column("show_id", sa.String(40), index=True),
    sa.Column("limit_total", sa.Integer),
    # By orders; what carts have claimed of it stands in `promotion_claim`.
    sa.Column("used", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("used >= 0", name="used"),
    sa.CheckConstraint("used <= limit_total", name="used_within_limit"),
)

promotion_code = sa.Table(
    "promotion_code",
    metadata,
    # As `model.fold_code` gives it: folding may make a text longer.
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("promotion_id", sa.ForeignKey("promotion.id"), primary_key=True, index=True),
)

promotion_version = sa.Table(
    "promotion_version",
    metadata,
    sa.Column("promotion_id", sa.ForeignKey("promotion.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("definition", Json, nullable=False),
    # While it was active in this version; a pause ends a version, and `valid_from` is null in it.
    sa.Column("valid_from", UtcDateTime),
    sa.Column("valid_to", UtcDateTime),
)
"""What a promotion said when: never changed but for `valid_to`, so readers may keep them."""

promotion_claim = sa.Table(
    "promotion_claim",
    metadata,
    sa.Column("promotion_id", sa.ForeignKey("promotion.id"), primary_key=True),
    # The cart line whose units have this price for now.
    sa.Column("owner", sa.String(40), primary_key=True, index=True),
    sa.Column("viewer_id", sa.String(40), nullable=False),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    sa.CheckConstraint("units > 0", name="units_above_zero"),
)
"""Only of promotions with a limit. A claim lives and lapses with the hold of its line."""

promotion_use = sa.Table(
    "promotion_use",
    metadata,
    sa.Column("promotion_id", sa.ForeignKey("promotion.id"), primary_key=True),
    sa.Column("order_id", sa.String(40), primary_key=True, index=True),
    sa.Column("viewer_id", sa.String(40), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("units", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("ix_promotion_use_promotion_id_viewer_id", "promotion_id", "viewer_id"),
    sa.Index("ix_promotion_use_promotion_id_email", "promotion_id", "email"),
)
