"""Recordings and what is made of them, chats read by time, destinations of simulcasts."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("show") as batch:
        batch.add_column(
            sa.Column("is_recorded", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.create_table(
        "show_recording",
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("byte_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gaps", sa.Integer(), server_default="0", nullable=False),
        sa.Column("shortage", sa.Text(), nullable=True),
        sa.Column("trim_from", UtcDateTime(), nullable=True),
        sa.Column("trim_until", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("loudness_lufs", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["show_id"], ["show.id"], name=op.f("fk_show_recording_show_id_show")
        ),
        sa.PrimaryKeyConstraint("show_id", name=op.f("pk_show_recording")),
    )
    op.create_index(op.f("ix_show_recording_expires_at"), "show_recording", ["expires_at"])
    op.create_table(
        "recording_file",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("percent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("product_id", sa.String(length=40), nullable=True),
        sa.Column("from_at", UtcDateTime(), nullable=True),
        sa.Column("until_at", UtcDateTime(), nullable=True),
        sa.Column("is_vertical", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_loudness_normal", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("data", Json(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["show_id"], ["show.id"], name=op.f("fk_recording_file_show_id_show")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_file")),
    )
    op.create_index(op.f("ix_recording_file_show_id"), "recording_file", ["show_id"])
    op.create_index("ix_chat_message_show_id_at", "chat_message", ["show_id", "at"])
    op.create_table(
        "destination",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=True),
        sa.Column("connection_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destination")),
    )
    op.create_table(
        "show_destination",
        sa.Column("show_id", sa.String(length=40), nullable=False),
        sa.Column("destination_id", sa.String(length=40), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["show_id"], ["show.id"], name=op.f("fk_show_destination_show_id_show")
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destination.id"],
            name=op.f("fk_show_destination_destination_id_destination"),
        ),
        sa.PrimaryKeyConstraint("show_id", "destination_id", name=op.f("pk_show_destination")),
    )
    op.create_index(
        "ix_show_destination_destination_id", "show_destination", ["destination_id"]
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
