"""Which MLflow run holds a drift check's page, and notices that are sent once each."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE drift_check ADD COLUMN mlflow_run text;

CREATE TABLE notice_start (
    use_case text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE notice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    event text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    happened_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'given_up')),
    attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (source, target)
);
CREATE INDEX notice_due ON notice (due_at) WHERE state = 'due';
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE notice, notice_start; ALTER TABLE drift_check DROP COLUMN mlflow_run")
