"""Alembic's entry: runs the revisions on the database that `store.database.connection.migrate` names."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool


def run() -> None:
    """Apply the revisions, each in one transaction."""
    url = context.config.attributes["url"].split("://", 1)[1]
    engine = create_engine(f"postgresql+psycopg://{url}", poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection, version_table="ratchet_revision", transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()


run()
