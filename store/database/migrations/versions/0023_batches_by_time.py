"""What the next batch of the history goes on from, found without the batches before the last."""

from __future__ import annotations

from alembic import op

from store.database.migrations.online import create_index, drop_index

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE history_batch ADD COLUMN IF NOT EXISTS last_change bigint")
    create_index("history_batch_by_time", "history_batch (use_case, at)")


def downgrade() -> None:
    drop_index("history_batch_by_time")
    op.execute("ALTER TABLE history_batch DROP COLUMN last_change")
