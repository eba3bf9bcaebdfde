"""Shows, lineups, pins, reminders; who may send video to them, and what became of it.

Of a stream key only its SHA-256 is stored (256 random bits: there is nothing to guess).
"""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

show = sa.Table(
    "show",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("languages", Json, nullable=False),
    sa.Column("time_zone", sa.String(60), nullable=False),
    sa.Column("starts_at", UtcDateTime),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("host_name", sa.String(100), nullable=False),
    sa.Column("cover_id", sa.String(40)),
    sa.Column("replay_url", sa.String(2000)),
    # `hold_on_add`, or `first_paid`: then carts of this show hold nothing.
    sa.Column("hold_mode", sa.String(12), nullable=False, server_default="hold_on_add"),
    # Null: as the shop's settings say.
    sa.Column("hold_seconds", sa.Integer),
    # `everyone`, or `customers`: whom the storefront signed on.
    sa.Column("audience", sa.String(12), nullable=False, server_default="everyone"),
    sa.Column("peak_viewers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

show_lineup = sa.Table(
    "show_lineup",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    sa.Column("product_id", sa.ForeignKey("product.id"), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Index("ix_show_lineup_product_id", "product_id"),
)

show_pin = sa.Table(
    "show_pin",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("product_id", sa.String(40)),
    sa.Column("at", UtcDateTime, nullable=False),
)

show_reminder = sa.Table(
    "show_reminder",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("show_id", sa.ForeignKey("show.id"), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("language", sa.String(5), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.UniqueConstraint("show_id", "email"),
)

stream_key = sa.Table(
    "stream_key",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    # A member of staff or an API key: whoever made it for themselves.
    sa.Column("person_id", sa.String(40), primary_key=True),
    sa.Column("person_name", sa.String(100), nullable=False),
    # Null: revoked.
    sa.Column("secret_hash", sa.String(64), unique=True),
    # The last characters, to tell one from another.
    sa.Column("hint", sa.String(8), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_used_at", UtcDateTime),
)

encoder_delay = sa.Table(
    "encoder_delay",
    metadata,
    sa.Column("person_id", sa.String(40), primary_key=True),
    sa.Column("milliseconds", sa.Integer, nullable=False),
    sa.Column("set_at", UtcDateTime, nullable=False),
)

show_log = sa.Table(
    "show_log",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.String(30), nullable=False),
    sa.Column("data", Json, nullable=False),
)
