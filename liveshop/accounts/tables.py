"""Staff, sessions, API keys. Of every secret only its SHA-256 is stored.

Plain SHA-256 is enough for secrets of 256 random bits: there is nothing to guess. Passwords, which
people choose, are argon2id.
"""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

staff = sa.Table(
    "staff",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("roles", Json, nullable=False),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

staff_session = sa.Table(
    "staff_session",
    metadata,
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    sa.Column("staff_id", sa.ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Index("ix_staff_session_staff_id", "staff_id"),
    sa.Index("ix_staff_session_expires_at", "expires_at"),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("permissions", Json, nullable=False),
    sa.Column("created_by", sa.ForeignKey("staff.id"), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
)
