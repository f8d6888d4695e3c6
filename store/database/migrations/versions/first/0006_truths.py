"""Which labelled rows are of one record, when a truth was told, and how snapshots repeat."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE feedback ADD COLUMN record_id text, ADD COLUMN label_time timestamptz;
ALTER TABLE snapshot ADD COLUMN records int, ADD COLUMN contradicted int;
"""

# An own id is what a record is known by, else its content; the seed keeps the two apart.
ENTITY = """
CREATE FUNCTION feedback_entity(identity text, record_id text, record jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN identity LIKE 'i:%' THEN hashtextextended(substr(identity, 3), 1)
        WHEN record_id IS NOT NULL THEN hashtextextended(record_id, 1)
        ELSE jsonb_hash_extended(record, 0) END
$$;
"""

# Before the indexes, which it would have to keep.
FILL = """
UPDATE feedback f SET prediction_id = p.id, record_id = p.record_id
FROM prediction p
WHERE f.identity LIKE 'p:%' AND p.id = substr(f.identity, 3)
    AND (p.record_id IS NOT NULL OR f.prediction_id IS NULL);
"""

INDEXES = """
CREATE INDEX feedback_answers_by_entity ON feedback (use_case, feedback_entity(identity, record_id, record))
    WHERE prediction_id IS NOT NULL;
CREATE INDEX feedback_by_prediction ON feedback (use_case, prediction_id) WHERE prediction_id IS NOT NULL;
"""

ALIASES = """
CREATE TABLE feedback_alias (
    use_case text NOT NULL,
    identity text NOT NULL,
    stands_for text NOT NULL,
    PRIMARY KEY (use_case, identity),
    UNIQUE (use_case, stands_for)
);
"""


def upgrade() -> None:
    for statements in (COLUMNS, ENTITY, FILL, INDEXES, ALIASES):
        op.execute(statements)


def downgrade() -> None:
    raise NotImplementedError("which rows are one truth would be lost; go back to a backup instead")
