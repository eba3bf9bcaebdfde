"""the first show"""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('cart',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cart'))
    )
    op.create_table('chat_author',
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('author_id', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('first_at', UtcDateTime(), nullable=False),
    sa.Column('last_at', UtcDateTime(), nullable=False),
    sa.Column('address_mark', sa.String(length=32), nullable=True),
    sa.PrimaryKeyConstraint('show_id', 'author_id', name=op.f('pk_chat_author'))
    )
    with op.batch_alter_table('chat_author', schema=None) as batch_op:
        batch_op.create_index('ix_chat_author_author_id', ['author_id'], unique=False)

    op.create_table('chat_message',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('author_id', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('role', sa.String(length=12), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('deleted_at', UtcDateTime(), nullable=True),
    sa.Column('deleted_by', sa.String(length=40), nullable=True),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_chat_message')),
    sa.UniqueConstraint('id', name=op.f('uq_chat_message_id'))
    )
    with op.batch_alter_table('chat_message', schema=None) as batch_op:
        batch_op.create_index('ix_chat_message_show_id_author_id_seq', ['show_id', 'author_id', 'seq'], unique=False)
        batch_op.create_index('ix_chat_message_show_id_seq', ['show_id', 'seq'], unique=False)

    op.create_table('chat_room',
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('slow_mode_seconds', sa.Integer(), nullable=False),
    sa.Column('links_allowed', sa.Boolean(), nullable=False),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('pinned_message_id', sa.String(length=40), nullable=True),
    sa.Column('hearts', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('show_id', name=op.f('pk_chat_room'))
    )
    op.create_table('chat_sanction',
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('scope', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('until', UtcDateTime(), nullable=True),
    sa.Column('by_id', sa.String(length=40), nullable=False),
    sa.Column('by_name', sa.String(length=200), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('address_mark', sa.String(length=32), nullable=True),
    sa.Column('address_until', UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('viewer_id', 'scope', 'kind', name=op.f('pk_chat_sanction'))
    )
    with op.batch_alter_table('chat_sanction', schema=None) as batch_op:
        batch_op.create_index('ix_chat_sanction_address_mark', ['address_mark'], unique=False)

    op.create_table('consent',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('subject', sa.String(length=254), nullable=False),
    sa.Column('purpose', sa.String(length=40), nullable=False),
    sa.Column('wording', sa.Text(), nullable=False),
    sa.Column('granted_at', UtcDateTime(), nullable=False),
    sa.Column('withdrawn_at', UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent'))
    )
    with op.batch_alter_table('consent', schema=None) as batch_op:
        batch_op.create_index('ix_consent_subject_purpose', ['subject', 'purpose'], unique=False)

    op.create_table('job',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('topic', sa.String(length=80), nullable=False),
    sa.Column('key', sa.String(length=120), nullable=True),
    sa.Column('payload', Json(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('not_before', UtcDateTime(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_job')),
    sa.UniqueConstraint('key', name=op.f('uq_job_key'))
    )
    with op.batch_alter_table('job', schema=None) as batch_op:
        batch_op.create_index('ix_job_state_not_before', ['state', 'not_before'], unique=False)

    op.create_table('location',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_location'))
    )
    op.create_table('media',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('extension', sa.String(length=8), nullable=False),
    sa.Column('width', sa.Integer(), nullable=False),
    sa.Column('height', sa.Integer(), nullable=False),
    sa.Column('alt', sa.String(length=500), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_media'))
    )
    with op.batch_alter_table('media', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_media_digest'), ['digest'], unique=False)

    op.create_table('order_counter',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('last_number', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_order_counter'))
    )
    op.create_table('payment',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('method', sa.String(length=30), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=True),
    sa.Column('message', sa.String(length=300), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payment'))
    )
    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_payment_order_id'), ['order_id'], unique=False)
        batch_op.create_index('ix_payment_state_created_at', ['state', 'created_at'], unique=False)

    op.create_table('product',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('source', sa.String(length=60), nullable=True),
    sa.Column('source_id', sa.String(length=200), nullable=True),
    sa.Column('title', sa.String(length=300), nullable=False),
    sa.Column('description_html', sa.Text(), nullable=False),
    sa.Column('brand', sa.String(length=200), nullable=True),
    sa.Column('category', sa.String(length=500), nullable=True),
    sa.Column('url', sa.String(length=2000), nullable=True),
    sa.Column('options', Json(), nullable=False),
    sa.Column('gallery', Json(), nullable=True),
    sa.Column('search_text', sa.Text(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('digest', sa.String(length=32), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_product')),
    sa.UniqueConstraint('source', 'source_id', name=op.f('uq_product_source_source_id'))
    )
    op.create_table('sandbox_charge',
    sa.Column('key', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=False),
    sa.Column('message', sa.String(length=300), nullable=True),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_sandbox_charge'))
    )
    op.create_table('shop_order',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=True),
    sa.Column('placed_at', UtcDateTime(), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('address', Json(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('subtotal_amount', sa.BigInteger(), nullable=False),
    sa.Column('shipping_amount', sa.BigInteger(), nullable=False),
    sa.Column('taxes', Json(), nullable=False),
    sa.Column('total_amount', sa.BigInteger(), nullable=False),
    sa.Column('idempotency_key', sa.String(length=200), nullable=False),
    sa.Column('request_hash', sa.String(length=64), nullable=False),
    sa.CheckConstraint('total_amount = subtotal_amount + shipping_amount', name=op.f('ck_shop_order_total')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_shop_order')),
    sa.UniqueConstraint('number', name=op.f('uq_shop_order_number')),
    sa.UniqueConstraint('viewer_id', 'idempotency_key', name=op.f('uq_shop_order_viewer_id_idempotency_key'))
    )
    with op.batch_alter_table('shop_order', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_shop_order_show_id'), ['show_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_shop_order_viewer_id'), ['viewer_id'], unique=False)

    op.create_table('show',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=12), nullable=False),
    sa.Column('languages', Json(), nullable=False),
    sa.Column('time_zone', sa.String(length=60), nullable=False),
    sa.Column('starts_at', UtcDateTime(), nullable=True),
    sa.Column('started_at', UtcDateTime(), nullable=True),
    sa.Column('ended_at', UtcDateTime(), nullable=True),
    sa.Column('host_name', sa.String(length=100), nullable=False),
    sa.Column('cover_id', sa.String(length=40), nullable=True),
    sa.Column('replay_url', sa.String(length=2000), nullable=True),
    sa.Column('peak_viewers', sa.Integer(), server_default='0', nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_show'))
    )
    with op.batch_alter_table('show', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_show_state'), ['state'], unique=False)

    op.create_table('staff',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('roles', Json(), nullable=False),
    sa.Column('password_hash', sa.String(length=255), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff')),
    sa.UniqueConstraint('email', name=op.f('uq_staff_email'))
    )
    op.create_table('viewer',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('display_name', sa.String(length=40), nullable=True),
    sa.Column('issuer', sa.String(length=255), nullable=True),
    sa.Column('external_id', sa.String(length=255), nullable=True),
    sa.Column('email', sa.String(length=200), nullable=True),
    sa.Column('full_name', sa.String(length=200), nullable=True),
    sa.Column('locale', sa.String(length=40), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('deleted_at', UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_viewer')),
    sa.UniqueConstraint('issuer', 'external_id', name=op.f('uq_viewer_issuer_external_id'))
    )
    op.create_table('api_key',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('secret_hash', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('permissions', Json(), nullable=False),
    sa.Column('created_by', sa.String(length=40), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=True),
    sa.Column('revoked_at', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['created_by'], ['staff.id'], name=op.f('fk_api_key_created_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_key')),
    sa.UniqueConstraint('secret_hash', name=op.f('uq_api_key_secret_hash'))
    )
    op.create_table('order_line',
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('title', sa.String(length=300), nullable=False),
    sa.Column('option_values', Json(), nullable=False),
    sa.Column('sku', sa.String(length=120), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('unit_amount', sa.BigInteger(), nullable=False),
    sa.Column('total_amount', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['shop_order.id'], name=op.f('fk_order_line_order_id')),
    sa.PrimaryKeyConstraint('order_id', 'position', name=op.f('pk_order_line'))
    )
    with op.batch_alter_table('order_line', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_order_line_variant_id'), ['variant_id'], unique=False)

    op.create_table('product_image',
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('url', sa.String(length=2000), nullable=True),
    sa.Column('media_id', sa.String(length=40), nullable=True),
    sa.Column('problem', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['media_id'], ['media.id'], name=op.f('fk_product_image_media_id')),
    sa.ForeignKeyConstraint(['product_id'], ['product.id'], name=op.f('fk_product_image_product_id')),
    sa.PrimaryKeyConstraint('product_id', 'key', name=op.f('pk_product_image'))
    )
    with op.batch_alter_table('product_image', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_product_image_key'), ['key'], unique=False)
        batch_op.create_index(batch_op.f('ix_product_image_media_id'), ['media_id'], unique=False)

    op.create_table('show_lineup',
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['product_id'], ['product.id'], name=op.f('fk_show_lineup_product_id')),
    sa.ForeignKeyConstraint(['show_id'], ['show.id'], name=op.f('fk_show_lineup_show_id')),
    sa.PrimaryKeyConstraint('show_id', 'product_id', name=op.f('pk_show_lineup'))
    )
    with op.batch_alter_table('show_lineup', schema=None) as batch_op:
        batch_op.create_index('ix_show_lineup_product_id', ['product_id'], unique=False)

    op.create_table('show_pin',
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=True),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['show_id'], ['show.id'], name=op.f('fk_show_pin_show_id')),
    sa.PrimaryKeyConstraint('show_id', 'number', name=op.f('pk_show_pin'))
    )
    op.create_table('show_reminder',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('language', sa.String(length=5), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('sent_at', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['show_id'], ['show.id'], name=op.f('fk_show_reminder_show_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_show_reminder')),
    sa.UniqueConstraint('show_id', 'email', name=op.f('uq_show_reminder_show_id_email'))
    )
    op.create_table('staff_session',
    sa.Column('secret_hash', sa.String(length=64), nullable=False),
    sa.Column('staff_id', sa.String(length=40), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['staff_id'], ['staff.id'], name=op.f('fk_staff_session_staff_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('secret_hash', name=op.f('pk_staff_session'))
    )
    with op.batch_alter_table('staff_session', schema=None) as batch_op:
        batch_op.create_index('ix_staff_session_expires_at', ['expires_at'], unique=False)
        batch_op.create_index('ix_staff_session_staff_id', ['staff_id'], unique=False)

    op.create_table('variant',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('product_id', sa.String(length=40), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('source', sa.String(length=60), nullable=True),
    sa.Column('source_id', sa.String(length=200), nullable=True),
    sa.Column('sku', sa.String(length=200), nullable=False),
    sa.Column('gtin', sa.String(length=14), nullable=True),
    sa.Column('option_values', Json(), nullable=False),
    sa.Column('price_amount', sa.BigInteger(), nullable=False),
    sa.Column('compare_at_amount', sa.BigInteger(), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('tax_class', sa.String(length=20), nullable=False),
    sa.Column('picture_key', sa.String(length=64), nullable=True),
    sa.Column('picture_url', sa.String(length=2000), nullable=True),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('digest', sa.String(length=32), nullable=True),
    sa.Column('source_quantity', sa.Integer(), nullable=True),
    sa.CheckConstraint('compare_at_amount > price_amount', name=op.f('ck_variant_compare_at_above_price')),
    sa.CheckConstraint('price_amount > 0', name=op.f('ck_variant_price_above_zero')),
    sa.ForeignKeyConstraint(['product_id'], ['product.id'], name=op.f('fk_variant_product_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_variant')),
    sa.UniqueConstraint('source', 'source_id', name=op.f('uq_variant_source_source_id'))
    )
    with op.batch_alter_table('variant', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_variant_product_id'), ['product_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_variant_sku'), ['sku'], unique=False)

    op.create_table('cart_line',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('cart_id', sa.String(length=40), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=True),
    sa.Column('added_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_cart_line_quantity')),
    sa.ForeignKeyConstraint(['cart_id'], ['cart.id'], name=op.f('fk_cart_line_cart_id')),
    sa.ForeignKeyConstraint(['variant_id'], ['variant.id'], name=op.f('fk_cart_line_variant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cart_line')),
    sa.UniqueConstraint('cart_id', 'variant_id', name=op.f('uq_cart_line_cart_id_variant_id'))
    )
    with op.batch_alter_table('cart_line', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_cart_line_show_id'), ['show_id'], unique=False)

    op.create_table('hold',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('owner', sa.String(length=40), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('location_id', sa.String(length=40), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=True),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_hold_quantity_above_zero')),
    sa.ForeignKeyConstraint(['location_id'], ['location.id'], name=op.f('fk_hold_location_id')),
    sa.ForeignKeyConstraint(['variant_id'], ['variant.id'], name=op.f('fk_hold_variant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hold'))
    )
    with op.batch_alter_table('hold', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_hold_expires_at'), ['expires_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_hold_owner'), ['owner'], unique=False)
        batch_op.create_index('ix_hold_variant_id_expires_at', ['variant_id', 'expires_at'], unique=False)

    op.create_table('stock',
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('location_id', sa.String(length=40), nullable=False),
    sa.Column('on_hand', sa.Integer(), nullable=False),
    sa.Column('held', sa.Integer(), nullable=False),
    sa.CheckConstraint('0 <= held AND held <= on_hand', name=op.f('ck_stock_held_within_on_hand')),
    sa.ForeignKeyConstraint(['location_id'], ['location.id'], name=op.f('fk_stock_location_id')),
    sa.ForeignKeyConstraint(['variant_id'], ['variant.id'], name=op.f('fk_stock_variant_id')),
    sa.PrimaryKeyConstraint('variant_id', 'location_id', name=op.f('pk_stock'))
    )


def downgrade() -> None:
    op.drop_table('stock')
    with op.batch_alter_table('hold', schema=None) as batch_op:
        batch_op.drop_index('ix_hold_variant_id_expires_at')
        batch_op.drop_index(batch_op.f('ix_hold_owner'))
        batch_op.drop_index(batch_op.f('ix_hold_expires_at'))

    op.drop_table('hold')
    with op.batch_alter_table('cart_line', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_cart_line_show_id'))

    op.drop_table('cart_line')
    with op.batch_alter_table('variant', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_variant_sku'))
        batch_op.drop_index(batch_op.f('ix_variant_product_id'))

    op.drop_table('variant')
    with op.batch_alter_table('staff_session', schema=None) as batch_op:
        batch_op.drop_index('ix_staff_session_staff_id')
        batch_op.drop_index('ix_staff_session_expires_at')

    op.drop_table('staff_session')
    op.drop_table('show_reminder')
    op.drop_table('show_pin')
    with op.batch_alter_table('show_lineup', schema=None) as batch_op:
        batch_op.drop_index('ix_show_lineup_product_id')

    op.drop_table('show_lineup')
    with op.batch_alter_table('product_image', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_product_image_media_id'))
        batch_op.drop_index(batch_op.f('ix_product_image_key'))

    op.drop_table('product_image')
    with op.batch_alter_table('order_line', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_order_line_variant_id'))

    op.drop_table('order_line')
    op.drop_table('api_key')
    op.drop_table('viewer')
    op.drop_table('staff')
    with op.batch_alter_table('show', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_show_state'))

    op.drop_table('show')
    with op.batch_alter_table('shop_order', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_shop_order_viewer_id'))
        batch_op.drop_index(batch_op.f('ix_shop_order_show_id'))

    op.drop_table('shop_order')
    op.drop_table('sandbox_charge')
    op.drop_table('product')
    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.drop_index('ix_payment_state_created_at')
        batch_op.drop_index(batch_op.f('ix_payment_order_id'))

    op.drop_table('payment')
    op.drop_table('order_counter')
    with op.batch_alter_table('media', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_media_digest'))

    op.drop_table('media')
    op.drop_table('location')
    with op.batch_alter_table('job', schema=None) as batch_op:
        batch_op.drop_index('ix_job_state_not_before')

    op.drop_table('job')
    with op.batch_alter_table('consent', schema=None) as batch_op:
        batch_op.drop_index('ix_consent_subject_purpose')

    op.drop_table('consent')
    with op.batch_alter_table('chat_sanction', schema=None) as batch_op:
        batch_op.drop_index('ix_chat_sanction_address_mark')

    op.drop_table('chat_sanction')
    op.drop_table('chat_room')
    with op.batch_alter_table('chat_message', schema=None) as batch_op:
        batch_op.drop_index('ix_chat_message_show_id_seq')
        batch_op.drop_index('ix_chat_message_show_id_author_id_seq')

    op.drop_table('chat_message')
    with op.batch_alter_table('chat_author', schema=None) as batch_op:
        batch_op.drop_index('ix_chat_author_author_id')

    op.drop_table('chat_author')
    op.drop_table('cart')
