"""What the next snapshot is summed up from."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS summed jsonb, ADD COLUMN IF NOT EXISTS kept_lines bytea")


def downgrade() -> None:
    op.execute("ALTER TABLE snapshot DROP COLUMN summed, DROP COLUMN kept_lines")
