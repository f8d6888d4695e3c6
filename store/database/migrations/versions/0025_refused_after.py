"""After which label a row was refused: what is stored since then is told whatever the clock was set back to."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS last_seq bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE quarantine DROP COLUMN last_seq")
