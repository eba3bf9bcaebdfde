"""Mails that were written. What they say is kept for `mail.keep_days`, so that the desk can show
it; that they were written, to whom and what for, is kept."""

import sqlalchemy as sa

from liveshop.storage import UtcDateTime, metadata

mail = sa.Table(
    "mail",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    # Whoever writes the same again writes none.
    sa.Column("key", sa.String(120), unique=True),
    # What for: order.confirmed, fulfilment.ready, refund.done, ...
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("order_id", sa.String(40), index=True),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("language", sa.String(5), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("html", sa.Text),
    # Goes along as a picture to be scanned, such as a pickup code.
    sa.Column("code", sa.String(200)),
    # queued, sent, failed, or kept where no way to send is configured.
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("problem", sa.String(300)),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.Column("sent_at", UtcDateTime),
)
