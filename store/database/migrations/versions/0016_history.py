"""Which labelled rows each batch of the history table holds, and which rows are no longer what they were."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# `seq` is that of the row until then, `now_seq` the one that it has since; null: it is gone.
TABLES = """
CREATE TABLE feedback_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    identity text NOT NULL,
    seq bigint NOT NULL,
    now_seq bigint,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feedback_change_by_time ON feedback_change (use_case, at);
CREATE INDEX feedback_correction_by_seq ON feedback_correction (use_case, seq);
CREATE TABLE history_batch (
    use_case text NOT NULL,
    batch int NOT NULL,
    rows bytea NOT NULL,
    superseded bytea NOT NULL,
    gone bytea NOT NULL,
    changes bytea NOT NULL,
    last_seq bigint NOT NULL,
    settled_at timestamptz NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (use_case, batch)
);
ALTER TABLE snapshot ADD COLUMN history jsonb, ADD COLUMN held_out bytea, ADD COLUMN unused bytea,
    ADD COLUMN used bytea;
"""
# A trigger sees every door: whatever makes a row another one, or takes it away, is written down with it.
TRIGGERS = """
CREATE FUNCTION note_feedback_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_change (use_case, identity, seq, now_seq)
    SELECT o.use_case, o.identity, o.seq, n.seq
    FROM feedback_before o JOIN feedback_after n ON n.use_case = o.use_case AND n.identity = o.identity
    WHERE o.seq <> n.seq OR o.record_group IS DISTINCT FROM n.record_group
        OR o.said_by IS DISTINCT FROM n.said_by OR o.record_id IS DISTINCT FROM n.record_id
        OR o.event_time IS DISTINCT FROM n.event_time OR o.label <> n.label OR o.record <> n.record;
    RETURN NULL;
END $$;
CREATE FUNCTION note_feedback_removals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_change (use_case, identity, seq, now_seq)
    SELECT o.use_case, o.identity, o.seq, NULL FROM feedback_before o;
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_changes AFTER UPDATE ON feedback
    REFERENCING OLD TABLE AS feedback_before NEW TABLE AS feedback_after
    FOR EACH STATEMENT EXECUTE FUNCTION note_feedback_changes();
CREATE TRIGGER feedback_removals AFTER DELETE ON feedback
    REFERENCING OLD TABLE AS feedback_before
    FOR EACH STATEMENT EXECUTE FUNCTION note_feedback_removals();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TRIGGERS)


def downgrade() -> None:
    raise NotImplementedError("which rows snapshots hold would be lost; go back to a backup instead")
