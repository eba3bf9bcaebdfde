"""Connections, listings, the prices channels may say, and posts.

A listing's row is its own job: what has to be sent is what differs in it, so a product that changes
ten times while a channel is away is sent once, and no second queue can disagree with the rows.
"""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

connection = sa.Table(
    "connection",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("connector", sa.String(60), nullable=False),
    sa.Column("title", sa.String(120), nullable=False),
    sa.Column("roles", Json, nullable=False),
    # What is no secret; secrets and tokens lie sealed beside it.
    sa.Column("config", Json, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    # `active`, `paused`, `attention` or `removed`.
    sa.Column("state", sa.String(12), nullable=False),
    # What a person has to do, in words; null when nothing.
    sa.Column("attention", sa.Text),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # Who works on it now: two syncs at once would send twice what only one may send.
    sa.Column("lease_owner", sa.String(40)),
    sa.Column("lease_until", UtcDateTime),
    # A source: where an import that broke off goes on, and since when changes are to be read.
    sa.Column("cursor", sa.Text),
    sa.Column("mark", sa.Text),
    # When its next turn is: to read changes from a source, to send to a channel after a wait.
    sa.Column("due_at", UtcDateTime),
    # After a failure: whatever asks for a turn, none before then.
    sa.Column("not_before", UtcDateTime),
    sa.Column("whole_at", UtcDateTime),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)
"""`whole_at`: when it was last gone through completely: a source read, a channel planned."""

connection_memory = sa.Table(
    "connection_memory",
    metadata,
    sa.Column("connection_id", sa.ForeignKey("connection.id"), primary_key=True),
    sa.Column("key", sa.String(120), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""What a connector asked to keep."""

feed_address = sa.Table(
    "feed_address",
    metadata,
    # Of the token in the path, so that the database alone opens no feed.
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connection.id"), nullable=False, unique=True),
    sa.Column("etag", sa.String(64)),
    sa.Column("fetched_at", UtcDateTime),
    sa.Column("fetched_by", sa.String(200)),
)

listing = sa.Table(
    "listing",
    metadata,
    sa.Column("connection_id", sa.ForeignKey("connection.id"), primary_key=True),
    sa.Column("variant_id", sa.String(40), primary_key=True, index=True),
    sa.Column("product_id", sa.String(40), nullable=False),
    # pending, sent, live, rejected, drifted, paused, withdrawn
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    # Why, in words for the merchant.
    sa.Column("reason", sa.Text),
    # {"field", "ours", "theirs"} while it is drifted.
    sa.Column("drift", Json),
    # What it shall say and what was last accepted, as digests of the whole listing; null: nothing.
    sa.Column("wanted", sa.String(32)),
    sa.Column("accepted", sa.String(32)),
    # Whether people may be able to see it there: set before a request that could show it is sent,
    # taken back when the channel has confirmed that it does not.
    sa.Column("may_show", sa.Boolean, nullable=False),
    sa.Column("remote_id", sa.String(200)),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Not before then; null: nothing is to be sent.
    sa.Column("due_at", UtcDateTime),
    sa.Column("read_at", UtcDateTime),
    sa.Index("ix_listing_connection_id_due_at", "connection_id", "due_at"),
    sa.Index("ix_listing_connection_id_state_read_at", "connection_id", "state", "read_at"),
    sa.Index("ix_listing_connection_id_product_id", "connection_id", "product_id"),
)
"""One variant on one channel."""

announced_price = sa.Table(
    "announced_price",
    metadata,
    sa.Column("variant_id", sa.String(40), primary_key=True),
    # {"price", "sale", "starts_at", "ends_at", "lowest"}: the one price all channels may say now,
    # and the one they shall say next; null: nothing is under way.
    sa.Column("says", Json, nullable=False),
    sa.Column("next", Json),
)
"""Channels cannot be told at one moment. So a price is first taken off every channel that shows the
old one, then becomes the announced one, and only then is sent to all."""

touched_product = sa.Table(
    "touched_product",
    metadata,
    sa.Column("product_id", sa.String(40), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
)
"""Products to be planned again. `*` stands for all."""

sync_run = sa.Table(
    "sync_run",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connection.id"), nullable=False, index=True),
    # plan, push, read_back, import
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    # running, done, failed
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("total", sa.Integer),
    sa.Column("done", sa.Integer, nullable=False),
    # {"accepted": 3, "refused": 1, ...}
    sa.Column("counts", Json, nullable=False),
    sa.Column("problem", sa.Text),
)

order_export = sa.Table(
    "order_export",
    metadata,
    sa.Column("order_id", sa.String(40), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connection.id"), primary_key=True),
    # waiting, placed, refused, cancelled
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("reference", sa.String(200)),
    # Why it is refused, or still waiting, in words for the merchant.
    sa.Column("reason", sa.Text),
    # The order does not stand any more; where the source has it, it is to cancel it too.
    sa.Column("is_off", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # When it was first sent: from then on only the source knows whether it has it.
    sa.Column("begun_at", UtcDateTime),
    # When the source had last answered: placed, refused or cancelled it.
    sa.Column("settled_at", UtcDateTime),
    sa.Index("ix_order_export_connection_id_state", "connection_id", "state"),
    sa.Index("ix_order_export_connection_id_settled_at", "connection_id", "settled_at"),
)
"""What goes back to a source: one row for each order and source."""

post = sa.Table(
    "post",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connection.id"), nullable=False, index=True),
    sa.Column("show_id", sa.String(40), index=True),
    sa.Column("product_id", sa.String(40)),
    # announce, reminder, live_now, product_moment, replay
    sa.Column("kind", sa.String(20), nullable=False),
    # scheduled, sending, unclear, sent, live, refused, cancelled, removed
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("language", sa.String(8), nullable=False),
    # The merchant's own template; null: that of the kind.
    sa.Column("template", sa.Text),
    sa.Column("is_paid_partnership", sa.Boolean, nullable=False),
    # Exactly what was sent, from the moment of sending on.
    sa.Column("text", sa.Text),
    sa.Column("link", sa.String(2000)),
    sa.Column("remote_id", sa.String(200)),
    sa.Column("remote_url", sa.String(2000)),
    # at, on_announced, before_start, on_live, on_pin, on_replay
    sa.Column("timing", sa.String(12), nullable=False),
    sa.Column("minutes_before", sa.Integer),
    sa.Column("send_at", UtcDateTime),
    # Not before then; null: it waits for something, or nothing is left to do.
    sa.Column("due_at", UtcDateTime, index=True),
    # When it was first tried: nothing older on the channel can be this post.
    sa.Column("sending_at", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("read_at", UtcDateTime),
    # What makes it once only, such as `live_now:sho_...:con_...`.
    sa.Column("once", sa.String(160), unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
