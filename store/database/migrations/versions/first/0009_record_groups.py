"""What a row is grouped by, the secret that draws held-out rows, and what a snapshot cannot have had yet."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE feedback ADD COLUMN record_group text;
ALTER TABLE feedback_correction ADD COLUMN record_group text;
ALTER TABLE prediction ADD COLUMN record_group text;
ALTER TABLE snapshot ADD COLUMN settled_at timestamptz;
"""

# Rows that came before keep the share that earlier releases gave them by their identity alone.
SECRET = """
CREATE TABLE draw_secret (secret text NOT NULL, since_seq bigint NOT NULL);
INSERT INTO draw_secret
SELECT gen_random_uuid()::text || gen_random_uuid()::text, coalesce(max(seq), 0) FROM feedback;
"""

# A few pages for a million rows: rows that come in order need no more, and it costs nothing to write.
ARRIVAL = "CREATE INDEX feedback_by_arrival ON feedback USING brin (received_at) WITH (autosummarize = on)"


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(SECRET)
    op.execute(ARRIVAL)


def downgrade() -> None:
    op.execute("DROP INDEX feedback_by_arrival")
    op.execute("DROP TABLE draw_secret")
    op.execute("ALTER TABLE snapshot DROP COLUMN settled_at")
    for table in ("feedback", "feedback_correction", "prediction"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN record_group")
