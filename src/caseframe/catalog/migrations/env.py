"""How Alembic reaches the catalog: always over the connection that the caller opened."""

from __future__ import annotations

from alembic import context

from caseframe.catalog.account_tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
