"""Alembic's entry: runs the revisions on the database that `store.database.connection.migrate` names."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from store.database.connection import connect
from store.database.revisions import VERSION_TABLE


def run() -> None:
    """Apply the revisions, each in one transaction."""
    url = context.config.attributes["url"]
    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(url), poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
