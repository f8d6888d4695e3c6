"""What challengers were worth on the rows that came after them, and where those are that go on being scored."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE gate_period ("
        " use_case text NOT NULL,"
        " number int NOT NULL,"
        " last_seq bigint NOT NULL,"
        " snapshot text NOT NULL,"
        " run_id uuid,"
        " ended_at timestamptz NOT NULL DEFAULT now(),"
        " evidence jsonb NOT NULL,"
        " PRIMARY KEY (use_case, number))"
    )
    op.execute(
        "CREATE TABLE gate_shadow ("
        " use_case text NOT NULL,"
        " number int NOT NULL,"
        " challenger text NOT NULL,"
        " version int,"
        " model_uri text NOT NULL,"
        " digest text NOT NULL,"
        " PRIMARY KEY (use_case, number, challenger),"
        " FOREIGN KEY (use_case, number) REFERENCES gate_period ON DELETE CASCADE)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE gate_shadow")
    op.execute("DROP TABLE gate_period")
