"""holds and prices that never lie"""

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('promotion',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('is_automatic', sa.Boolean(), nullable=False),
    sa.Column('starts_at', UtcDateTime(), nullable=True),
    sa.Column('ends_at', UtcDateTime(), nullable=True),
    sa.Column('show_id', sa.String(length=40), nullable=True),
    sa.Column('limit_total', sa.Integer(), nullable=True),
    sa.Column('used', sa.Integer(), server_default='0', nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint('used <= limit_total', name=op.f('ck_promotion_used_within_limit')),
    sa.CheckConstraint('used >= 0', name=op.f('ck_promotion_used')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_promotion'))
    )
    with op.batch_alter_table('promotion', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_promotion_ends_at'), ['ends_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_promotion_show_id'), ['show_id'], unique=False)

    op.create_table('promotion_code',
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('promotion_id', sa.String(length=40), nullable=False),
    sa.ForeignKeyConstraint(['promotion_id'], ['promotion.id'], name=op.f('fk_promotion_code_promotion_id')),
    sa.PrimaryKeyConstraint('code', 'promotion_id', name=op.f('pk_promotion_code'))
    )
    with op.batch_alter_table('promotion_code', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_promotion_code_promotion_id'), ['promotion_id'], unique=False)

    op.create_table('cart_code',
    sa.Column('cart_id', sa.String(length=40), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('added_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['cart_id'], ['cart.id'], name=op.f('fk_cart_code_cart_id')),
    sa.PrimaryKeyConstraint('cart_id', 'code', name=op.f('pk_cart_code'))
    )
    op.create_table('promotion_claim',
    sa.Column('promotion_id', sa.String(length=40), nullable=False),
    sa.Column('owner', sa.String(length=40), nullable=False),
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('units', sa.Integer(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint('units > 0', name=op.f('ck_promotion_claim_units_above_zero')),
    sa.ForeignKeyConstraint(['promotion_id'], ['promotion.id'], name=op.f('fk_promotion_claim_promotion_id')),
    sa.PrimaryKeyConstraint('promotion_id', 'owner', name=op.f('pk_promotion_claim'))
    )
    with op.batch_alter_table('promotion_claim', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_promotion_claim_expires_at'), ['expires_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_promotion_claim_owner'), ['owner'], unique=False)

    op.create_table('promotion_use',
    sa.Column('promotion_id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('units', sa.Integer(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['promotion_id'], ['promotion.id'], name=op.f('fk_promotion_use_promotion_id')),
    sa.PrimaryKeyConstraint('promotion_id', 'order_id', name=op.f('pk_promotion_use'))
    )
    with op.batch_alter_table('promotion_use', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_promotion_use_order_id'), ['order_id'], unique=False)
        batch_op.create_index('ix_promotion_use_promotion_id_email', ['promotion_id', 'email'], unique=False)
        batch_op.create_index('ix_promotion_use_promotion_id_viewer_id', ['promotion_id', 'viewer_id'], unique=False)

    op.create_table('promotion_version',
    sa.Column('promotion_id', sa.String(length=40), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('definition', Json(), nullable=False),
    sa.Column('valid_from', UtcDateTime(), nullable=True),
    sa.Column('valid_to', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['promotion_id'], ['promotion.id'], name=op.f('fk_promotion_version_promotion_id')),
    sa.PrimaryKeyConstraint('promotion_id', 'version', name=op.f('pk_promotion_version'))
    )
    op.create_table('bundle_part',
    sa.Column('bundle_id', sa.String(length=40), nullable=False),
    sa.Column('part_id', sa.String(length=40), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_bundle_part_quantity_above_zero')),
    sa.ForeignKeyConstraint(['bundle_id'], ['variant.id'], name=op.f('fk_bundle_part_bundle_id')),
    sa.ForeignKeyConstraint(['part_id'], ['variant.id'], name=op.f('fk_bundle_part_part_id')),
    sa.PrimaryKeyConstraint('bundle_id', 'part_id', name=op.f('pk_bundle_part'))
    )
    with op.batch_alter_table('bundle_part', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_bundle_part_part_id'), ['part_id'], unique=False)

    op.create_table('variant_price',
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('compare_at_amount', sa.BigInteger(), nullable=True),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.ForeignKeyConstraint(['variant_id'], ['variant.id'], name=op.f('fk_variant_price_variant_id')),
    sa.PrimaryKeyConstraint('variant_id', 'at', name=op.f('pk_variant_price'))
    )
    op.create_table('waiting',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('viewer_id', sa.String(length=40), nullable=False),
    sa.Column('show_id', sa.String(length=40), nullable=True),
    sa.Column('joined_at', UtcDateTime(), nullable=False),
    sa.Column('offered_until', UtcDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['variant_id'], ['variant.id'], name=op.f('fk_waiting_variant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_waiting')),
    sa.UniqueConstraint('variant_id', 'viewer_id', name=op.f('uq_waiting_variant_id_viewer_id'))
    )
    with op.batch_alter_table('waiting', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_waiting_offered_until'), ['offered_until'], unique=False)
        batch_op.create_index(batch_op.f('ix_waiting_viewer_id'), ['viewer_id'], unique=False)
        batch_op.create_index('ix_waiting_variant_id_offered_until_joined_at', ['variant_id', 'offered_until', 'joined_at'], unique=False)

    with op.batch_alter_table('cart_line', schema=None) as batch_op:
        batch_op.add_column(sa.Column('extensions', sa.Integer(), server_default='0', nullable=False))

    # Before there were discounts on orders, a line was worth what it cost.
    with op.batch_alter_table('order_line', schema=None) as batch_op:
        batch_op.add_column(sa.Column('payable_amount', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('show_id', sa.String(length=40), nullable=True))
    op.execute('UPDATE order_line SET payable_amount = total_amount')
    with op.batch_alter_table('order_line', schema=None) as batch_op:
        batch_op.alter_column('payable_amount', existing_type=sa.BigInteger(), nullable=False)

    with op.batch_alter_table('product', schema=None) as batch_op:
        batch_op.add_column(sa.Column('max_per_customer', sa.Integer(), nullable=True))

    with op.batch_alter_table('shop_order', schema=None) as batch_op:
        batch_op.add_column(sa.Column('tax_added_amount', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('explanation', Json(), server_default='[]', nullable=False))
    with op.batch_alter_table('shop_order', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_shop_order_total'), type_='check')
        batch_op.create_check_constraint(
            op.f('ck_shop_order_total'),
            'total_amount = subtotal_amount + shipping_amount + tax_added_amount'
        )

    op.create_index('ix_shop_order_lower_email', 'shop_order', [sa.text('lower(email)')], unique=False)

    with op.batch_alter_table('show', schema=None) as batch_op:
        batch_op.add_column(sa.Column('hold_mode', sa.String(length=12), server_default='hold_on_add', nullable=False))
        batch_op.add_column(sa.Column('hold_seconds', sa.Integer(), nullable=True))

    with op.batch_alter_table('variant', schema=None) as batch_op:
        batch_op.add_column(sa.Column('tiers', Json(), nullable=True))
        batch_op.add_column(sa.Column('weight_grams', sa.Integer(), server_default='0', nullable=False))

    with op.batch_alter_table('viewer', schema=None) as batch_op:
        batch_op.add_column(sa.Column('segments', Json(), nullable=True))

    # What stands in the catalog now is all that is known of the past.
    op.execute(
        'INSERT INTO variant_price (variant_id, at, amount, compare_at_amount, currency) '
        'SELECT variant.id, product.updated_at, price_amount, compare_at_amount, currency '
        'FROM variant JOIN product ON product.id = variant.product_id'
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
