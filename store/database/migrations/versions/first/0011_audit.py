"""Which answers are of the audit sample, found without a look at the others."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX prediction_audited ON prediction (use_case, predicted_at)"
        " WHERE substr(id, 20, 1) || substr(id, 36, 1) = '91'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX prediction_audited")
