"""Runs that are asked for here and done elsewhere, and promotion that can be paused."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RUNS = """
ALTER TABLE run
    ADD COLUMN options jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN runner text NOT NULL DEFAULT 'caller' CHECK (runner IN ('caller', 'worker')),
    ADD COLUMN dispatches int NOT NULL DEFAULT 0,
    ADD CONSTRAINT run_kind_is_known CHECK (kind IN ('retrain', 'train'));
CREATE INDEX run_queued ON run (use_case, requested_at) WHERE status = 'queued';
"""

PAUSE = """
CREATE TABLE pause (
    use_case text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    reason text NOT NULL DEFAULT ''
);
"""


def upgrade() -> None:
    op.execute(RUNS)
    op.execute(PAUSE)


def downgrade() -> None:
    raise NotImplementedError("rows of the new columns would be lost; go back to a backup instead")
