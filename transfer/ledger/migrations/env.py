"""What Alembic runs around the scripts: they get the connection and the transaction of the caller."""

from __future__ import annotations

from alembic import context

from transfer.ledger.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # also true of SQLite, where we say when transactions begin
)
context.run_migrations()
