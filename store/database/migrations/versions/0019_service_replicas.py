"""The servers of one database: each of their processes says what it serves, every two seconds."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# A row is written anew again and again: with room on its page that touches no index.
TABLE = """
CREATE TABLE IF NOT EXISTS service_process (
    server text NOT NULL,
    pid int NOT NULL,
    address text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    state text NOT NULL,
    serving jsonb NOT NULL,
    PRIMARY KEY (server, pid)
) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE service_process")
