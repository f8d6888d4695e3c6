"""Which labelled rows each batch of the history table holds, and which rows are no longer what they were."""

from __future__ import annotations

from alembic import op

from store.database.migrations.online import create_index, drop_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# `seq` is that of the row until then, `now_seq` the one that it has since; null: it is gone.
TABLES = """
CREATE TABLE IF NOT EXISTS feedback_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    identity text NOT NULL,
    seq bigint NOT NULL,
    now_seq bigint,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS feedback_change_by_time ON feedback_change (use_case, at);
CREATE TABLE IF NOT EXISTS history_batch (
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
ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS history jsonb, ADD COLUMN IF NOT EXISTS held_out bytea, ADD COLUMN IF NOT EXISTS unused bytea,
    ADD COLUMN IF NOT EXISTS used bytea;
"""
# A trigger sees every door: whatever makes a row another one, or takes it away, is written down with it.
TRIGGERS = """
CREATE OR REPLACE FUNCTION note_feedback_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_change (use_case, identity, seq, now_seq)
    SELECT o.use_case, o.identity, o.seq, n.seq
    FROM feedback_before o JOIN feedback_after n ON n.use_case = o.use_case AND n.identity = o.identity
    WHERE o.seq <> n.seq OR o.record_group IS DISTINCT FROM n.record_group
        OR o.said_by IS DISTINCT FROM n.said_by OR o.record_id IS DISTINCT FROM n.record_id
        OR o.event_time IS DISTINCT FROM n.event_time OR o.label <> n.label OR o.record <> n.record;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_feedback_removals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_change (use_case, identity, seq, now_seq)
    SELECT o.use_case, o.identity, o.seq, NULL FROM feedback_before o;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER feedback_changes AFTER UPDATE ON feedback
    REFERENCING OLD TABLE AS feedback_before NEW TABLE AS feedback_after
    FOR EACH STATEMENT EXECUTE FUNCTION note_feedback_changes();
CREATE OR REPLACE TRIGGER feedback_removals AFTER DELETE ON feedback
    REFERENCING OLD TABLE AS feedback_before
    FOR EACH STATEMENT EXECUTE FUNCTION note_feedback_removals();
"""


COLUMNS = ("history", "held_out", "unused", "used")


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TRIGGERS)
    create_index("feedback_correction_by_seq", "feedback_correction (use_case, seq)")


def downgrade() -> None:
    if op.get_bind().exec_driver_sql("SELECT 1 FROM snapshot WHERE history IS NOT NULL LIMIT 1").first():
        raise NotImplementedError("which rows snapshots hold would be lost; go back to a backup instead")
    for trigger in ("feedback_changes", "feedback_removals"):
        op.execute(f"DROP TRIGGER {trigger} ON feedback")
    op.execute("DROP FUNCTION note_feedback_changes()")
    op.execute("DROP FUNCTION note_feedback_removals()")
    op.execute("ALTER TABLE snapshot " + ", ".join(f"DROP COLUMN {name}" for name in COLUMNS))
    op.execute("DROP TABLE history_batch")
    op.execute("DROP TABLE feedback_change")
    drop_index("feedback_correction_by_seq")
