"""Rehearsals: a show that is real in all but visibility, stock and money."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "show_rehearsal",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("came_from", sa.String(length=12), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("before", Json(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("emptied_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["show_id"], ["show.id"], name=op.f("fk_show_rehearsal_show_id_show")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_show_rehearsal")),
    )
    op.create_index(op.f("ix_show_rehearsal_show_id"), "show_rehearsal", ["show_id"])


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
