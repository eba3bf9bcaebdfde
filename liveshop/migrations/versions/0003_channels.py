"""Connections to shop systems and channels: listings, posts, and the prices they may say."""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('announced_price',
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('says', Json(), nullable=False),
    sa.Column('next', Json(), nullable=True),
    sa.PrimaryKeyConstraint('variant_id', name=op.f('pk_announced_price'))
    )
    op.create_table('connection',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connector', sa.String(length=60), nullable=False),
    sa.Column('title', sa.String(length=120), nullable=False),
    sa.Column('roles', Json(), nullable=False),
    sa.Column('config', Json(), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('attention', sa.Text(), nullable=True),
    sa.Column('language', sa.String(length=8), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('lease_owner', sa.String(length=40), nullable=True),
    sa.Column('lease_until', UtcDateTime(), nullable=True),
    sa.Column('cursor', sa.Text(), nullable=True),
    sa.Column('mark', sa.Text(), nullable=True),
    sa.Column('due_at', UtcDateTime(), nullable=True),
    sa.Column('not_before', UtcDateTime(), nullable=True),
    sa.Column('whole_at', UtcDateTime(), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_connection'))
    )
    op.create_table('touched_product',
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('product_id', name=op.f('pk_touched_product'))
    )
    with op.batch_alter_table('touched_product', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_touched_product_at'), ['at'], unique=False)

    op.create_table('connection_memory',
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=120), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_connection_memory_connection_id')),
    sa.PrimaryKeyConstraint('connection_id', 'key', name=op.f('pk_connection_memory'))
    )
    op.create_table('feed_address',
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('etag', sa.String(length=64), nullable=True),
    sa.Column('fetched_at', UtcDateTime(), nullable=True),
    sa.Column('fetched_by', sa.String(length=200), nullable=True),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_feed_address_connection_id')),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_feed_address')),
    sa.UniqueConstraint('connection_id', name=op.f('uq_feed_address_connection_id'))
    )
    op.create_table('listing',
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('since', UtcDateTime(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('drift', Json(), nullable=True),
    sa.Column('wanted', sa.String(length=32), nullable=True),
    sa.Column('accepted', sa.String(length=32), nullable=True),
    sa.Column('may_show', sa.Boolean(), nullable=False),
    sa.Column('remote_id', sa.String(length=200), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('due_at', UtcDateTime(), nullable=True),
    sa.Column('read_at', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_listing_connection_id')),
    sa.PrimaryKeyConstraint('connection_id', 'variant_id', name=op.f('pk_listing'))
    )
    with op.batch_alter_table('listing', schema=None) as batch_op:
        batch_op.create_index('ix_listing_connection_id_due_at', ['connection_id', 'due_at'], unique=False)
        batch_op.create_index('ix_listing_connection_id_product_id', ['connection_id', 'product_id'], unique=False)
        batch_op.create_index('ix_listing_connection_id_state_read_at', ['connection_id', 'state', 'read_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_listing_variant_id'), ['variant_id'], unique=False)

    op.create_table('order_export',
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('reference', sa.String(length=200), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('is_off', sa.Boolean(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('begun_at', UtcDateTime(), nullable=True),
    sa.Column('settled_at', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_order_export_connection_id')),
    sa.PrimaryKeyConstraint('order_id', 'connection_id', name=op.f('pk_order_export'))
    )
    with op.batch_alter_table('order_export', schema=None) as batch_op:
        batch_op.create_index('ix_order_export_connection_id_settled_at', ['connection_id', 'settled_at'], unique=False)
        batch_op.create_index('ix_order_export_connection_id_state', ['connection_id', 'state'], unique=False)

    op.create_table('post',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=True),
    sa.Column('product_id', sa.String(length=40), nullable=True),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('since', UtcDateTime(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('language', sa.String(length=8), nullable=False),
    sa.Column('template', sa.Text(), nullable=True),
    sa.Column('is_paid_partnership', sa.Boolean(), nullable=False),
    sa.Column('text', sa.Text(), nullable=True),
    sa.Column('link', sa.String(length=2000), nullable=True),
    sa.Column('remote_id', sa.String(length=200), nullable=True),
    sa.Column('remote_url', sa.String(length=2000), nullable=True),
    sa.Column('timing', sa.String(length=12), nullable=False),
    sa.Column('minutes_before', sa.Integer(), nullable=True),
    sa.Column('send_at', UtcDateTime(), nullable=True),
    sa.Column('due_at', UtcDateTime(), nullable=True),
    sa.Column('sending_at', UtcDateTime(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('read_at', UtcDateTime(), nullable=True),
    sa.Column('once', sa.String(length=160), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_post_connection_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_post')),
    sa.UniqueConstraint('once', name=op.f('uq_post_once'))
    )
    with op.batch_alter_table('post', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_post_connection_id'), ['connection_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_post_due_at'), ['due_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_post_show_id'), ['show_id'], unique=False)

    op.create_table('sync_run',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('connection_id', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('started_at', UtcDateTime(), nullable=False),
    sa.Column('ended_at', UtcDateTime(), nullable=True),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('total', sa.Integer(), nullable=True),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('counts', Json(), nullable=False),
    sa.Column('problem', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['connection_id'], ['connection.id'], name=op.f('fk_sync_run_connection_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sync_run'))
    )
    with op.batch_alter_table('sync_run', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sync_run_connection_id'), ['connection_id'], unique=False)


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
