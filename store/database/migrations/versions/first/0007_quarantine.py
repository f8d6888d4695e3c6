"""What is needed to count rows of quarantine by reason, and to try them again as they arrived."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE quarantine
    ADD COLUMN kind text NOT NULL DEFAULT 'row' CHECK (kind IN ('row', 'text', 'item', 'second', 'record')),
    ADD COLUMN rules text[] NOT NULL DEFAULT '{}',
    ADD COLUMN read_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN retry_requested timestamptz;
UPDATE quarantine SET
    kind = CASE
        WHEN reason LIKE 'id ''%stands earlier in the file with another record or label' THEN 'second'
        WHEN source = 'http' AND line IS NULL THEN 'item'
        WHEN "row" - 'line' = '{}' OR "row" - 'unreadable' = '{}' THEN 'text'
        ELSE 'row' END,
    rules = ARRAY[left(regexp_replace(reason, 'got .*; allowed: ', 'got …; allowed: '), 600)],
    read_at = at;
CREATE INDEX quarantine_by_reading ON quarantine (use_case, source, read_at, line, id);
CREATE INDEX quarantine_to_retry ON quarantine (use_case) WHERE retry_requested IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(COLUMNS)


def downgrade() -> None:
    op.execute("DROP INDEX quarantine_by_reading")
    for column in ("kind", "rules", "read_at", "retry_requested"):
        op.execute(f"ALTER TABLE quarantine DROP COLUMN {column}")
