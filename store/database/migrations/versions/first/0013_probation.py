"""How versions stand that were promoted, beside the version before each."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE probation ("
        " move bigint PRIMARY KEY,"
        " use_case text NOT NULL,"
        " last_seq bigint NOT NULL,"
        " looked_at timestamptz NOT NULL DEFAULT now(),"
        " ended boolean NOT NULL DEFAULT false,"
        " evidence jsonb NOT NULL)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE probation")
