"""How many labels each source has, and how many rows it decides, kept as they come and go, and an index of votes by when they came.

As with `feedback_count` nobody has to wait while a large table migrates: what was there before is counted in
one view of all tables, less what the triggers had counted by then.
"""

from __future__ import annotations

from alembic import op

from store.database.migrations.online import create_index, drop_index

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# `kind`: 'label' of a row that only its source has labelled, 'voted' where votes have decided it, as that of
# whose label it has, and 'vote'. Each session counts into rows of its own, whatever the order in which it meets sources: no two ever wait for
# each other. `store.sources.counts` puts together what sessions have left.
TABLE = """
CREATE TABLE IF NOT EXISTS label_count (
    use_case text NOT NULL,
    said_by text NOT NULL,
    kind text NOT NULL,
    session int NOT NULL,
    labels bigint NOT NULL,
    PRIMARY KEY (use_case, said_by, kind, session)
) WITH (fillfactor = 50);
CREATE OR REPLACE FUNCTION kind_of_label(voted boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN voted THEN 'voted' ELSE 'label' END
$$;
CREATE OR REPLACE FUNCTION note_label_counts(counted_use_case text, source text, counted text, more bigint)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO label_count AS kept (use_case, said_by, kind, session, labels)
    VALUES (counted_use_case, source, counted, pg_backend_pid(), more)
    ON CONFLICT (use_case, said_by, kind, session) DO UPDATE SET labels = kept.labels + excluded.labels
$$;
CREATE OR REPLACE FUNCTION count_labels_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM label_count WHERE kind <> 'vote';
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM note_label_counts(use_case, name, kind_of_label(voted), sum(one)::bigint) FROM (
            SELECT use_case, coalesce(said_by, 'earlier') AS name, voted, -1 AS one FROM rows_before
            UNION ALL
            SELECT use_case, coalesce(said_by, 'earlier'), voted, 1 FROM rows_after
        ) AS moved GROUP BY use_case, name, voted HAVING sum(one) <> 0;
    ELSE
        PERFORM note_label_counts(use_case, coalesce(said_by, 'earlier'), kind_of_label(voted),
            CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * count(*))
        FROM moved_rows GROUP BY use_case, coalesce(said_by, 'earlier'), voted;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION count_labels_of_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM label_count WHERE kind = 'vote';
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM note_label_counts(use_case, said_by, 'vote', sum(one)::bigint) FROM (
            SELECT use_case, said_by, -1 AS one FROM votes_before
            UNION ALL
            SELECT use_case, said_by, 1 FROM votes_after
        ) AS moved GROUP BY use_case, said_by HAVING sum(one) <> 0;
    ELSE
        PERFORM note_label_counts(use_case, said_by, 'vote',
            CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * count(*))
        FROM moved_votes GROUP BY use_case, said_by;
    END IF;
    RETURN NULL;
END $$;
"""
TRIGGERS = "".join(
    f"""
CREATE OR REPLACE TRIGGER labels_come AFTER INSERT ON {table} REFERENCING NEW TABLE AS moved_{of}
    FOR EACH STATEMENT EXECUTE FUNCTION count_labels_of_{of}();
CREATE OR REPLACE TRIGGER labels_go AFTER DELETE ON {table} REFERENCING OLD TABLE AS moved_{of}
    FOR EACH STATEMENT EXECUTE FUNCTION count_labels_of_{of}();
CREATE OR REPLACE TRIGGER labels_change AFTER UPDATE ON {table}
    REFERENCING OLD TABLE AS {of}_before NEW TABLE AS {of}_after
    FOR EACH STATEMENT EXECUTE FUNCTION count_labels_of_{of}();
CREATE OR REPLACE TRIGGER labels_are_emptied AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION count_labels_of_{of}();
"""
    for table, of in (("feedback", "rows"), ("feedback_vote", "votes"))
)
# Session 0 has what was there before the triggers.
COUNT_EARLIER = """
INSERT INTO label_count AS kept (use_case, said_by, kind, session, labels)
SELECT use_case, said_by, kind, 0, sum(labels) FROM (
    SELECT use_case, coalesce(said_by, 'earlier') AS said_by, kind_of_label(voted) AS kind, count(*) AS labels
    FROM feedback GROUP BY 1, 2, 3
    UNION ALL
    SELECT use_case, said_by, 'vote', count(*) FROM feedback_vote GROUP BY 1, 2
    UNION ALL
    SELECT use_case, said_by, kind, -labels FROM label_count WHERE session <> 0
) AS counted GROUP BY 1, 2, 3
ON CONFLICT (use_case, said_by, kind, session) DO UPDATE SET labels = excluded.labels
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(TRIGGERS)
    # Commits what is above: triggers count from here on.
    create_index("feedback_vote_by_time", "feedback_vote (use_case, received_at)")
    op.execute(COUNT_EARLIER)


def downgrade() -> None:
    drop_index("feedback_vote_by_time")
    for table in ("feedback", "feedback_vote"):
        for trigger in ("labels_come", "labels_go", "labels_change", "labels_are_emptied"):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in ("count_labels_of_rows()", "count_labels_of_votes()"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP FUNCTION kind_of_label(boolean)")
    op.execute("DROP FUNCTION note_label_counts(text, text, text, bigint)")
    op.execute("DROP TABLE label_count")
