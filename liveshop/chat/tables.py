"""Chat in the database. `chat_author` is there to be locked: one author's messages queue there."""

import sqlalchemy as sa

from liveshop.storage import UtcDateTime, metadata

room = sa.Table(
    "chat_room",
    metadata,
    sa.Column("show_id", sa.String(40), primary_key=True),
    sa.Column("slow_mode_seconds", sa.Integer, nullable=False),
    sa.Column("links_allowed", sa.Boolean, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("pinned_message_id", sa.String(40)),
    sa.Column("hearts", sa.BigInteger, nullable=False, default=0),
)

message = sa.Table(
    "chat_message",
    metadata,
    # Ids made in one millisecond do not sort; the order of inserts is the order of the room.
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("id", sa.String(40), nullable=False, unique=True),
    sa.Column("show_id", sa.String(40), nullable=False),
    sa.Column("author_id", sa.String(40), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(12), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("deleted_at", UtcDateTime),
    sa.Column("deleted_by", sa.String(40)),
    sa.Index("ix_chat_message_show_id_seq", "show_id", "seq"),
    sa.Index("ix_chat_message_show_id_author_id_seq", "show_id", "author_id", "seq"),
    sa.Index("ix_chat_message_show_id_at", "show_id", "at"),
)

author = sa.Table(
    "chat_author",
    metadata,
    sa.Column("show_id", sa.String(40), primary_key=True),
    sa.Column("author_id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("address_mark", sa.String(32)),
    sa.Index("ix_chat_author_author_id", "author_id"),
)

sanction = sa.Table(
    "chat_sanction",
    metadata,
    sa.Column("viewer_id", sa.String(40), primary_key=True),
    sa.Column("scope", sa.String(40), primary_key=True),  # a show's id, or "*"
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("until", UtcDateTime),
    sa.Column("by_id", sa.String(40), nullable=False),
    sa.Column("by_name", sa.String(200), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("address_mark", sa.String(32)),
    sa.Column("address_until", UtcDateTime),
    sa.Index("ix_chat_sanction_address_mark", "address_mark"),
)
