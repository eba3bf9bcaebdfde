"""Which node has a show's video."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "show_origin",
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("node", sa.String(length=300), nullable=False),
        sa.Column("url", sa.String(length=300), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("is_sending", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["show_id"], ["show.id"], name=op.f("fk_show_origin_show_id_show")),
        sa.PrimaryKeyConstraint("show_id", name=op.f("pk_show_origin")),
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
