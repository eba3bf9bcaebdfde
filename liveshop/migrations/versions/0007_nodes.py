"""Nodes that share this database, and what one of them at a time does."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=300), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("node", sa.String(length=60), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
