"""Orders for real: refunds, webhooks, fulfilment, returns, stores, mails."""

import json
import unicodedata

import sqlalchemy as sa
from alembic import op

from liveshop.storage import Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('mail',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=120), nullable=True),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=True),
    sa.Column('recipient', sa.String(length=254), nullable=False),
    sa.Column('language', sa.String(length=5), nullable=False),
    sa.Column('subject', sa.String(length=300), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=True),
    sa.Column('code', sa.String(length=200), nullable=True),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('problem', sa.String(length=300), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('sent_at', UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mail')),
    sa.UniqueConstraint('key', name=op.f('uq_mail_key'))
    )
    with op.batch_alter_table('mail', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_mail_created_at'), ['created_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_mail_order_id'), ['order_id'], unique=False)

    op.create_table('payment_event',
    sa.Column('provider', sa.String(length=30), nullable=False),
    sa.Column('event_id', sa.String(length=120), nullable=False),
    sa.Column('type', sa.String(length=80), nullable=False),
    sa.Column('reference', sa.String(length=120), nullable=True),
    sa.Column('happened_at', UtcDateTime(), nullable=False),
    sa.Column('received_at', UtcDateTime(), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'event_id', name=op.f('pk_payment_event'))
    )
    with op.batch_alter_table('payment_event', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_payment_event_received_at'), ['received_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_payment_event_reference'), ['reference'], unique=False)

    op.create_table('sandbox_refund',
    sa.Column('key', sa.String(length=40), nullable=False),
    sa.Column('charge_key', sa.String(length=40), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_sandbox_refund'))
    )
    with op.batch_alter_table('sandbox_refund', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sandbox_refund_charge_key'), ['charge_key'], unique=False)

    op.create_table('fulfilment',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('location_id', sa.String(length=40), nullable=False),
    sa.Column('store_id', sa.String(length=40), nullable=True),
    sa.Column('carrier', sa.String(length=60), nullable=True),
    sa.Column('tracking', sa.String(length=120), nullable=True),
    sa.Column('collect_until', UtcDateTime(), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['shop_order.id'], name=op.f('fk_fulfilment_order_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fulfilment'))
    )
    with op.batch_alter_table('fulfilment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_fulfilment_collect_until'), ['collect_until'], unique=False)
        batch_op.create_index(batch_op.f('ix_fulfilment_location_id'), ['location_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_fulfilment_order_id'), ['order_id'], unique=False)
        batch_op.create_index('ix_fulfilment_state_created_at', ['state', 'created_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_fulfilment_store_id'), ['store_id'], unique=False)

    op.create_table('order_event',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('actor_kind', sa.String(length=10), nullable=False),
    sa.Column('actor_id', sa.String(length=40), nullable=True),
    sa.Column('actor_name', sa.String(length=120), nullable=True),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('data', Json(), nullable=False),
    sa.Column('note', sa.String(length=500), nullable=True),
    sa.ForeignKeyConstraint(['order_id'], ['shop_order.id'], name=op.f('fk_order_event_order_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_order_event'))
    )
    with op.batch_alter_table('order_event', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_order_event_order_id'), ['order_id'], unique=False)

    op.create_table('order_feedback',
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('effort', sa.SmallInteger(), nullable=True),
    sa.Column('satisfaction', sa.SmallInteger(), nullable=True),
    sa.Column('comment', sa.String(length=1000), nullable=True),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['shop_order.id'], name=op.f('fk_order_feedback_order_id')),
    sa.PrimaryKeyConstraint('order_id', name=op.f('pk_order_feedback'))
    )
    op.create_table('order_return',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('location_id', sa.String(length=40), nullable=True),
    sa.Column('refund_id', sa.String(length=40), nullable=True),
    sa.Column('goods_amount', sa.BigInteger(), nullable=True),
    sa.Column('shipping_amount', sa.BigInteger(), nullable=True),
    sa.Column('tax_added_amount', sa.BigInteger(), nullable=True),
    sa.Column('deduction_amount', sa.BigInteger(), nullable=True),
    sa.Column('note', sa.String(length=500), nullable=True),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['order_id'], ['shop_order.id'], name=op.f('fk_order_return_order_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_order_return'))
    )
    with op.batch_alter_table('order_return', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_order_return_order_id'), ['order_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_order_return_state'), ['state'], unique=False)

    op.create_table('refund',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('order_id', sa.String(length=40), nullable=False),
    sa.Column('payment_id', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('cause', sa.String(length=20), nullable=False),
    sa.Column('note', sa.String(length=500), nullable=True),
    sa.Column('key', sa.String(length=120), nullable=True),
    sa.Column('reference', sa.String(length=120), nullable=True),
    sa.Column('message', sa.String(length=300), nullable=True),
    sa.Column('check_at', UtcDateTime(), nullable=True),
    sa.Column('checks', sa.Integer(), server_default='0', nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_refund_amount_above_zero')),
    sa.ForeignKeyConstraint(['payment_id'], ['payment.id'], name=op.f('fk_refund_payment_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refund')),
    sa.UniqueConstraint('key', name=op.f('uq_refund_key'))
    )
    with op.batch_alter_table('refund', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_refund_check_at'), ['check_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_refund_order_id'), ['order_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_refund_payment_id'), ['payment_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_refund_reference'), ['reference'], unique=False)

    op.create_table('fulfilment_item',
    sa.Column('fulfilment_id', sa.String(length=40), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('variant_id', sa.String(length=40), nullable=False),
    sa.Column('pieces', sa.Integer(), nullable=False),
    sa.CheckConstraint('pieces > 0', name=op.f('ck_fulfilment_item_pieces_above_zero')),
    sa.ForeignKeyConstraint(['fulfilment_id'], ['fulfilment.id'], name=op.f('fk_fulfilment_item_fulfilment_id')),
    sa.PrimaryKeyConstraint('fulfilment_id', 'position', 'variant_id', name=op.f('pk_fulfilment_item'))
    )
    op.create_table('order_return_line',
    sa.Column('return_id', sa.String(length=40), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('reason', sa.String(length=20), nullable=False),
    sa.Column('note', sa.String(length=500), nullable=True),
    sa.Column('accepted', sa.Integer(), nullable=True),
    sa.Column('restocked', sa.Integer(), nullable=True),
    sa.CheckConstraint('0 <= restocked AND restocked <= accepted AND accepted <= quantity', name=op.f('ck_order_return_line_inspection')),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_order_return_line_quantity_above_zero')),
    sa.ForeignKeyConstraint(['return_id'], ['order_return.id'], name=op.f('fk_order_return_line_return_id')),
    sa.PrimaryKeyConstraint('return_id', 'position', name=op.f('pk_order_return_line'))
    )
    with op.batch_alter_table('location', schema=None) as batch_op:
        batch_op.add_column(sa.Column('address', Json(), nullable=True))
        batch_op.add_column(sa.Column('hours', Json(), nullable=True))
        batch_op.add_column(sa.Column('time_zone', sa.String(length=60), nullable=True))
        batch_op.add_column(sa.Column('phone', sa.String(length=60), nullable=True))
        batch_op.add_column(sa.Column('is_pickup', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('is_shipping', sa.Boolean(), server_default=sa.true(), nullable=False))

    with op.batch_alter_table('order_line', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_order_line_variant_id'))
        batch_op.create_index('ix_order_line_sku', ['sku', 'order_id'], unique=False)
        batch_op.create_index('ix_order_line_variant_id_order_id', ['variant_id', 'order_id'], unique=False)

    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.add_column(sa.Column('capture', sa.String(length=6), server_default='now', nullable=False))
        batch_op.add_column(sa.Column('captured_amount', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('refunded_amount', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('problem', sa.String(length=300), nullable=True))
        batch_op.add_column(sa.Column('dispute', sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column('is_void_wanted', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column('expires_at', UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('check_at', UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('checks', sa.Integer(), server_default='0', nullable=False))
        batch_op.alter_column('state',
               existing_type=sa.VARCHAR(length=12),
               type_=sa.String(length=16),
               existing_nullable=False)
        batch_op.drop_index(batch_op.f('ix_payment_state_created_at'))
        batch_op.create_index(batch_op.f('ix_payment_check_at'), ['check_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_payment_reference'), ['reference'], unique=False)

    _convert_payments()
    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.create_check_constraint(
            op.f('ck_payment_money_adds_up'),
            '0 <= refunded_amount AND refunded_amount <= captured_amount AND captured_amount <= amount',
        )

    with op.batch_alter_table('product', schema=None) as batch_op:
        batch_op.add_column(sa.Column('fit', sa.String(length=12), nullable=True))

    with op.batch_alter_table('sandbox_charge', schema=None) as batch_op:
        batch_op.alter_column('state',
               existing_type=sa.VARCHAR(length=12),
               type_=sa.String(length=16),
               existing_nullable=False)

    # Its table is made anew on SQLite, where an index on an expression cannot be read back.
    op.drop_index('ix_shop_order_lower_email', 'shop_order')
    with op.batch_alter_table('shop_order', schema=None) as batch_op:
        batch_op.add_column(sa.Column('language', sa.String(length=5), server_default='en', nullable=False))
        batch_op.add_column(sa.Column('delivery', sa.String(length=6), server_default='ship', nullable=False))
        batch_op.add_column(sa.Column('store_id', sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column('pickup_code', sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column('promised_from', UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('promised_until', UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('search_text', sa.String(length=400), server_default='', nullable=False))
        batch_op.add_column(sa.Column('invoice_number', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('invoiced_at', UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('invoice_year', sa.SmallInteger(), nullable=True))
        batch_op.create_index('ix_shop_order_search', ['id', 'state', 'delivery', 'store_id', 'search_text'], unique=False)
        batch_op.create_index(batch_op.f('ix_shop_order_store_id'), ['store_id'], unique=False)
        batch_op.create_unique_constraint(batch_op.f('uq_shop_order_invoice_number'), ['invoice_number'])
        batch_op.create_unique_constraint(batch_op.f('uq_shop_order_pickup_code'), ['pickup_code'])
    op.create_index('ix_shop_order_lower_email', 'shop_order', [sa.text('lower(email)')], unique=False)
    _make_searchable()
    _open_fulfilments()


def _make_searchable() -> None:
    """What orders are found by: kept beside them from now on."""
    orders = sa.table('shop_order', *map(sa.column, ('id', 'email', 'address', 'search_text')))
    conn = op.get_bind()
    rows = conn.execute(sa.select(orders.c.id, orders.c.email, orders.c.address)).all()
    found = [
        {'of': row.id, 'text': _search_text(row.email, json.loads(row.address)['name'])}
        for row in rows
    ]
    if found:
        conn.execute(
            sa.update(orders)
            .where(orders.c.id == sa.bindparam('of'))
            .values(search_text=sa.bindparam('text')),
            found,
        )


def _search_text(email: str, name: str) -> str:
    folded = (unicodedata.normalize('NFKC', text).casefold() for text in (email, name))
    return '\n'.join(folded)[:400]


def _convert_payments() -> None:
    """What was a state of the payment is a refund of its own; unclear payments are asked about."""
    op.execute("DELETE FROM job WHERE topic IN ('checkout.settle', 'checkout.refund')")
    op.execute("UPDATE payment SET check_at = created_at WHERE state = 'pending'")
    op.execute(
        "UPDATE payment SET captured_amount = amount WHERE state = 'paid'"
        " OR (state IN ('refund_due', 'refunded') AND method <> 'invoice')"
    )
    op.execute(
        "INSERT INTO refund (id, order_id, payment_id, state, amount, currency, cause, key,"
        " reference, message, check_at, checks, created_at, updated_at)"
        " SELECT 'rfd_' || substr(id, 5), order_id, id,"
        " CASE state WHEN 'refund_due' THEN 'due' ELSE 'done' END, amount, currency, 'late',"
        " 'late ' || order_id, CASE state WHEN 'refunded' THEN reference END, message,"
        " CASE state WHEN 'refund_due' THEN created_at END, 0, created_at, updated_at"
        " FROM payment WHERE state IN ('refund_due', 'refunded') AND method <> 'invoice'"
    )
    op.execute(
        "UPDATE payment SET state = 'paid', refunded_amount = amount"
        " WHERE state IN ('refund_due', 'refunded') AND method <> 'invoice'"
    )
    op.execute("UPDATE payment SET state = 'voided' WHERE state IN ('refund_due', 'refunded')")
    op.execute(
        "INSERT INTO sandbox_refund (key, charge_key, amount)"
        " SELECT 'rfd_' || substr(key, 5), key, amount FROM sandbox_charge"
        " WHERE state = 'refunded'"
    )
    op.execute("UPDATE sandbox_charge SET state = 'paid' WHERE state = 'refunded'")


def _open_fulfilments() -> None:
    """Orders that stand were all to be shipped; from which shelf is not known any more. Bundles
    are their parts, as they are now. Where there is no place nothing can be sent from it."""
    op.execute(
        "INSERT INTO fulfilment (id, order_id, kind, state, location_id, created_at, updated_at)"
        " SELECT 'ful_' || substr(id, 5), id, 'ship_from_warehouse', 'open',"
        " (SELECT location.id FROM location ORDER BY priority, location.id LIMIT 1),"
        " placed_at, placed_at FROM shop_order"
        " WHERE state = 'confirmed' AND EXISTS (SELECT 1 FROM location)"
    )
    op.execute(
        "INSERT INTO fulfilment_item (fulfilment_id, position, variant_id, pieces)"
        " SELECT fulfilment.id, line.position, coalesce(part.part_id, line.variant_id),"
        " line.quantity * coalesce(part.quantity, 1) FROM fulfilment"
        " JOIN order_line AS line ON line.order_id = fulfilment.order_id"
        " LEFT JOIN bundle_part AS part ON part.bundle_id = line.variant_id"
    )


def downgrade() -> None:
    raise RuntimeError("go back with a backup: what was written since cannot be kept")
