"""Indexes of tables that may be large, made and dropped while others read and write them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text


def create_index(name: str, on: str) -> None:
    """Make an index beside the work of others; what a migration that was cut off has left is made anew.

    Whatever the revision did before is committed first, so it has to be safe to do again.

    Args:
        on: what stands behind `ON`, such as `feedback (use_case, seq)`.
    """
    unfinished = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
    if op.get_bind().execute(unfinished, {"name": name}).first() is not None:
        drop_index(name)
    with op.get_context().autocommit_block():
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")


def drop_index(name: str) -> None:
    """Drop an index that others may be at."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
