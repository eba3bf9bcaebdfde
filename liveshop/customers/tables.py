"""Viewers worth a row, and what they consented to.

`issuer` and `external_id` are unique together and empty for guests and the forgotten: NULLs never
collide, so a forgotten customer who returns is somebody new.
"""

import sqlalchemy as sa

from liveshop.storage import Json, UtcDateTime, metadata

viewer = sa.Table(
    "viewer",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("display_name", sa.String(40)),
    sa.Column("issuer", sa.String(255)),
    sa.Column("external_id", sa.String(255)),
    sa.Column("email", sa.String(200)),
    sa.Column("full_name", sa.String(200)),
    sa.Column("locale", sa.String(40)),
    # What the storefront says of its customer, such as ["loyal"]; promotions may ask for one.
    sa.Column("segments", Json),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("deleted_at", UtcDateTime),
    sa.UniqueConstraint("issuer", "external_id"),
)

consent = sa.Table(
    "consent",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("subject", sa.String(254), nullable=False),
    sa.Column("purpose", sa.String(40), nullable=False),
    sa.Column("wording", sa.Text, nullable=False),
    sa.Column("granted_at", UtcDateTime, nullable=False),
    sa.Column("withdrawn_at", UtcDateTime),
    sa.Index("ix_consent_subject_purpose", "subject", "purpose"),
)
