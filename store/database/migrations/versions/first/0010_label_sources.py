"""Who says what label a row has: votes of rows with several sources, and how sources stand."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Rows of earlier releases have no source: all of them count as one.
COLUMNS = """
ALTER TABLE feedback ADD COLUMN said_by text, ADD COLUMN voted boolean NOT NULL DEFAULT false;
ALTER TABLE quarantine ADD COLUMN said_by text;
ALTER TABLE job ADD COLUMN said_by text;
"""

VOTES = """
CREATE SEQUENCE feedback_vote_seq CACHE 1;
CREATE TABLE feedback_vote (
    use_case text NOT NULL,
    identity text NOT NULL,
    said_by text NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('feedback_vote_seq'),
    record jsonb NOT NULL,
    label text NOT NULL,
    event_time timestamptz,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    source text,
    PRIMARY KEY (use_case, identity, said_by)
);
ALTER SEQUENCE feedback_vote_seq OWNED BY feedback_vote.seq;
CREATE INDEX feedback_vote_by_seq ON feedback_vote (use_case, seq);
"""

SOURCES = """
CREATE TABLE label_source (
    use_case text NOT NULL,
    name text NOT NULL,
    labels bigint NOT NULL DEFAULT 0,
    compared bigint NOT NULL DEFAULT 0,
    contradicts bigint NOT NULL DEFAULT 0,
    held_since timestamptz,
    reason text,
    told text CHECK (told IN ('hold', 'release')),
    actor text,
    told_at timestamptz,
    PRIMARY KEY (use_case, name)
);
CREATE TABLE label_source_count (
    use_case text PRIMARY KEY,
    vote_seq bigint NOT NULL,
    rules text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    for statements in (COLUMNS, VOTES, SOURCES):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("which source says what would be lost; go back to a backup instead")
