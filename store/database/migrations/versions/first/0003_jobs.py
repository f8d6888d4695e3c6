"""Predictions asked for now and answered later."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE job (
    id uuid PRIMARY KEY,
    use_case text NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'processing', 'done', 'failed', 'expired')),
    request bytea,
    records int NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    worker text,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    status int,
    answer bytea
);
CREATE INDEX job_pending ON job (use_case, created_at, id) WHERE state = 'pending';
CREATE INDEX job_processing ON job (id) WHERE state = 'processing';
CREATE INDEX job_finished ON job (use_case, finished_at) WHERE finished_at IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE job")
