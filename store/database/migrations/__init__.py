"""Revisions of the database schema, run by Alembic; what the tables hold is outside."""
