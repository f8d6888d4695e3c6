"""Labels that were taken back: who said so, when and why."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# `seq` is that of the row which the label decided until then; none where other sources decided it.
TABLE = """
CREATE TABLE label_taken_back (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    identity text NOT NULL,
    said_by text NOT NULL,
    seq bigint,
    record jsonb NOT NULL,
    label text NOT NULL,
    event_time timestamptz,
    received_at timestamptz NOT NULL,
    prediction_id text,
    record_id text,
    source text,
    taken_back_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX label_taken_back_of ON label_taken_back (use_case, identity, said_by);
CREATE INDEX label_taken_back_by_seq ON label_taken_back (use_case, seq) WHERE seq IS NOT NULL;
CREATE INDEX label_taken_back_by_prediction ON label_taken_back (use_case, prediction_id)
    WHERE prediction_id IS NOT NULL;
CREATE INDEX label_taken_back_by_record ON label_taken_back (use_case, record_id) WHERE record_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    raise NotImplementedError("which labels were taken back would be lost; go back to a backup instead")
