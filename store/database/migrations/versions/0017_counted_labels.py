"""How many labelled rows each use case has, kept as they come and go, and an index by when they came.

Nobody has to wait while a large table migrates: the index is made beside their work, and what was there
before is counted in a view of its own, less what the triggers had counted by then.
"""

from __future__ import annotations

from alembic import op

from store.database.migrations.online import create_index, drop_index

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Sessions count each into a part of their own, so that no two wait for one row; a sum of few rows is the count.
TABLE = """
CREATE TABLE IF NOT EXISTS feedback_count (
    use_case text NOT NULL,
    part smallint NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (use_case, part)
) WITH (fillfactor = 50);
CREATE OR REPLACE FUNCTION count_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM feedback_count;
    ELSE
        INSERT INTO feedback_count AS kept (use_case, part, rows)
        SELECT use_case, mod(pg_backend_pid(), 32), CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * count(*)
        FROM changed GROUP BY use_case
        ON CONFLICT (use_case, part) DO UPDATE SET rows = kept.rows + excluded.rows;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER feedback_comes AFTER INSERT ON feedback REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_feedback();
CREATE OR REPLACE TRIGGER feedback_goes AFTER DELETE ON feedback REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_feedback();
CREATE OR REPLACE TRIGGER feedback_is_emptied AFTER TRUNCATE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION count_feedback();
"""
# One statement has one view of both tables, in which the triggers have counted what came since they are there.
COUNT_EARLIER = """
INSERT INTO feedback_count AS kept (use_case, part, rows)
SELECT use_case, -1, count(*) - coalesce((
    SELECT sum(k.rows) FROM feedback_count k WHERE k.use_case = f.use_case AND k.part >= 0), 0)
FROM feedback f GROUP BY use_case
ON CONFLICT (use_case, part) DO UPDATE SET rows = excluded.rows
"""
# Of a table of millions a fifth is a long time to wait: counting goes by pages that a vacuum has seen.
VACUUM_SOONER = (
    "ALTER TABLE {table} SET (autovacuum_vacuum_insert_scale_factor = 0.02,"
    " autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02)"
)


def upgrade() -> None:
    op.execute(TABLE)
    for table in ("feedback", "prediction"):
        op.execute(VACUUM_SOONER.format(table=table))
    create_index("feedback_by_time", "feedback (use_case, received_at) INCLUDE (seq)")
    drop_index("feedback_by_arrival")
    op.execute(COUNT_EARLIER)


def downgrade() -> None:
    op.execute("CREATE INDEX feedback_by_arrival ON feedback USING brin (received_at) WITH (autosummarize = on)")
    drop_index("feedback_by_time")
    for table in ("feedback", "prediction"):
        op.execute(
            f"ALTER TABLE {table} RESET (autovacuum_vacuum_insert_scale_factor,"
            " autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)"
        )
    for trigger in ("feedback_comes", "feedback_goes", "feedback_is_emptied"):
        op.execute(f"DROP TRIGGER {trigger} ON feedback")
    op.execute("DROP FUNCTION count_feedback()")
    op.execute("DROP TABLE feedback_count")
