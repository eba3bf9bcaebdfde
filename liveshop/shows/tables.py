"""Shows, lineups, pins, reminders; who may send video to them, what became of it, and where else
it goes.

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
    # There is a recording of our own; `replay_url` goes before it.
    sa.Column("is_recorded", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("peak_viewers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

show_rehearsal = sa.Table(
    "show_rehearsal",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("show_id", sa.ForeignKey("show.id"), nullable=False, index=True),
    # The state the show goes back to: `draft` or `scheduled`.
    sa.Column("came_from", sa.String(12), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    # What the real show had before, and has again: counters, and the rules of its chat.
    sa.Column("before", Json, nullable=False),
    # Null: it goes on. The row stays until nothing is left of it.
    sa.Column("ended_at", UtcDateTime),
    # When the room was emptied for its start, or for its end; null: it still has to be.
    sa.Column("emptied_at", UtcDateTime),
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

# Which node has the show's video, or had it last; where there is but one, none.
show_origin = sa.Table(
    "show_origin",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    sa.Column("node", sa.String(300), nullable=False),
    # How the others reach it.
    sa.Column("url", sa.String(300), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    # When it last said that it has it, by the database's clock.
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("is_sending", sa.Boolean, nullable=False),
)

show_recording = sa.Table(
    "show_recording",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    # `recording`, `ended`, `deleted`
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("byte_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("gaps", sa.Integer, nullable=False, server_default="0"),
    # Why something is missing, in words.
    sa.Column("shortage", sa.Text),
    # What viewers see of it; null: from the beginning, to the end.
    sa.Column("trim_from", UtcDateTime),
    sa.Column("trim_until", UtcDateTime),
    # Null: until somebody deletes it.
    sa.Column("expires_at", UtcDateTime, index=True),
    sa.Column("loudness_lufs", sa.Float),
)

recording_file = sa.Table(
    "recording_file",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("show_id", sa.ForeignKey("show.id"), nullable=False, index=True),
    # `mp4`, `poster`, `sprites`, `clip`
    sa.Column("kind", sa.String(12), nullable=False),
    # `waiting`, `making`, `ready`, `failed`
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("percent", sa.Integer, nullable=False, server_default="0"),
    sa.Column("product_id", sa.String(40)),
    sa.Column("from_at", UtcDateTime),
    sa.Column("until_at", UtcDateTime),
    sa.Column("is_vertical", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_loudness_normal", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("byte_count", sa.BigInteger),
    sa.Column("seconds", sa.Float),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    # Of sprites: their geometry and which moment each shows.
    sa.Column("data", Json),
    # Why it failed, in words.
    sa.Column("detail", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
)

destination = sa.Table(
    "destination",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    # Without the key. Empty: a connection supplies both.
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("sealed_key", sa.Text),
    sa.Column("connection_id", sa.String(40)),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

show_destination = sa.Table(
    "show_destination",
    metadata,
    sa.Column("show_id", sa.ForeignKey("show.id"), primary_key=True),
    sa.Column("destination_id", sa.ForeignKey("destination.id"), primary_key=True),
    sa.Column("added_at", UtcDateTime, nullable=False),
    sa.Index("ix_show_destination_destination_id", "destination_id"),
)
