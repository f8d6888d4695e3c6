"""What another version says of the records that were answered, and how it stands."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# `served` and `served_score` are what the caller got, so that counting need not look each prediction up.
TABLES = """
CREATE TABLE shadow_answer (
    prediction_id text NOT NULL,
    version int NOT NULL,
    use_case text NOT NULL,
    predicted_at timestamptz NOT NULL,
    served text,
    served_score float8,
    label text,
    score float8,
    ms real,
    error text,
    PRIMARY KEY (prediction_id, version)
);
CREATE INDEX shadow_answer_by_time ON shadow_answer (use_case, predicted_at);
CREATE TABLE shadow_standing (
    use_case text PRIMARY KEY,
    alias text NOT NULL,
    version int,
    state text NOT NULL,
    why text,
    since timestamptz NOT NULL DEFAULT now(),
    counted_until timestamptz,
    answered bigint NOT NULL DEFAULT 0,
    audited bigint NOT NULL DEFAULT 0,
    differing bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    left_out bigint NOT NULL DEFAULT 0,
    alone_ms real,
    production int,
    production_ms real,
    changed_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE shadow_standing")
    op.execute("DROP TABLE shadow_answer")
