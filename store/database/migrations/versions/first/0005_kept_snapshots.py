"""Which rows a snapshot holds and how they are split, so that a damaged file can be made again."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE snapshot ADD COLUMN contents bytea")
    op.execute("ALTER TABLE feedback_correction ADD COLUMN event_time timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE feedback_correction DROP COLUMN event_time")
    op.execute("ALTER TABLE snapshot DROP COLUMN contents")
