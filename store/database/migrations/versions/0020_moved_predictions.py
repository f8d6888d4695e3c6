"""Which old predictions lie in a table of their own, and which of them are asked for."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Ids begin with their time, so the first and the last of a batch tell where one may lie.
TABLES = """
CREATE SEQUENCE IF NOT EXISTS prediction_batch_number;
CREATE TABLE IF NOT EXISTS prediction_batch (
    batch bigint PRIMARY KEY,
    use_case text NOT NULL,
    name text NOT NULL,
    table_id text NOT NULL,
    rows int NOT NULL,
    first_id text COLLATE "C" NOT NULL,
    last_id text COLLATE "C" NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now(),
    thinned_at timestamptz
);
CREATE INDEX IF NOT EXISTS prediction_batch_by_id ON prediction_batch (last_id);
CREATE TABLE IF NOT EXISTS prediction_asked (
    id text PRIMARY KEY,
    use_case text,
    asked_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    is_back boolean NOT NULL DEFAULT false
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT 1 FROM prediction_batch WHERE rows > 0 LIMIT 1").first():
        raise NotImplementedError("predictions that were moved would be lost; go back to a backup instead")
    op.execute("DROP TABLE prediction_asked")
    op.execute("DROP TABLE prediction_batch")
    op.execute("DROP SEQUENCE prediction_batch_number")
