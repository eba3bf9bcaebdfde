"""Live video: stream keys, encoders' delays, the log of a show, shows for customers."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("show") as batch:
        batch.add_column(
            sa.Column(
                "audience", sa.String(length=12), server_default="everyone", nullable=False
            )
        )
    op.create_table(
        "stream_key",
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("person_name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=True),
        sa.Column("hint", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["show_id"], ["show.id"], name=op.f("fk_stream_key_show_id_show")
        ),
        sa.PrimaryKeyConstraint("show_id", "person_id", name=op.f("pk_stream_key")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_stream_key_secret_hash")),
    )
    op.create_table(
        "encoder_delay",
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_encoder_delay")),
    )
    op.create_table(
        "show_log",
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.ForeignKeyConstraint(["show_id"], ["show.id"], name=op.f("fk_show_log_show_id_show")),
        sa.PrimaryKeyConstraint("show_id", "number", name=op.f("pk_show_log")),
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
