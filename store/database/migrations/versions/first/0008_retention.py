"""What deleting needs: which predictions have a label, and what a drift check's page was when it was kept."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX feedback_of_prediction ON feedback (prediction_id) WHERE prediction_id IS NOT NULL")
    op.execute("ALTER TABLE drift_check ADD COLUMN page_digest text")


def downgrade() -> None:
    op.execute("ALTER TABLE drift_check DROP COLUMN page_digest")
    op.execute("DROP INDEX feedback_of_prediction")
