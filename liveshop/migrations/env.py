"""Alembic's entry: the connection is handed in by `migrate`, never opened here."""

from alembic import context

from liveshop.storage import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
