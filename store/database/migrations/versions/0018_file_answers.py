"""Which parts of a file are answered, so that a call that was killed goes on where it was."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS file_answering (
    id uuid PRIMARY KEY,
    use_case text NOT NULL,
    version int NOT NULL,
    file text NOT NULL,
    output text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    rows bigint,
    refused bigint
);
CREATE INDEX IF NOT EXISTS file_answering_by_time ON file_answering (use_case, started_at);
CREATE TABLE IF NOT EXISTS file_answering_part (
    answering uuid NOT NULL REFERENCES file_answering ON DELETE CASCADE,
    number int NOT NULL,
    first_line bigint NOT NULL,
    rows int NOT NULL,
    refused int NOT NULL,
    digest text NOT NULL,
    answered_by text NOT NULL,
    seconds float8 NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (answering, number)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE file_answering_part")
    op.execute("DROP TABLE file_answering")
