"""The tables of the loop."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE prediction (
    id text PRIMARY KEY,
    use_case text NOT NULL,
    record_id text,
    record jsonb NOT NULL,
    label text,
    score float8,
    scores jsonb,
    model_version int,
    source text,
    predicted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX prediction_by_time ON prediction (use_case, predicted_at);

CREATE SEQUENCE feedback_seq CACHE 1;
CREATE TABLE feedback (
    use_case text NOT NULL,
    identity text NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('feedback_seq'),
    record jsonb NOT NULL,
    label text NOT NULL,
    event_time timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    prediction_id text,
    source text,
    PRIMARY KEY (use_case, identity)
);
ALTER SEQUENCE feedback_seq OWNED BY feedback.seq;
CREATE INDEX feedback_by_seq ON feedback (use_case, seq);

CREATE TABLE feedback_correction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    identity text NOT NULL,
    seq bigint NOT NULL,
    record jsonb NOT NULL,
    label text NOT NULL,
    received_at timestamptz NOT NULL,
    superseded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feedback_correction_of ON feedback_correction (use_case, identity);

CREATE TABLE idempotency (
    use_case text NOT NULL,
    key text NOT NULL,
    response jsonb NOT NULL,
    body_digest text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (use_case, key)
);

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    source text NOT NULL,
    line int,
    reason text NOT NULL,
    "row" jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    digest text NOT NULL,
    UNIQUE (use_case, digest)
);

CREATE TABLE snapshot (
    digest text PRIMARY KEY,
    use_case text NOT NULL,
    path text NOT NULL,
    rows int NOT NULL,
    train_rows int NOT NULL,
    holdout_rows int NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE run_token;
CREATE TABLE run (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    use_case text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'stopped', 'lost')),
    trigger text NOT NULL,
    token bigint NOT NULL DEFAULT nextval('run_token'),
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    heartbeat_at timestamptz,
    finished_at timestamptz,
    stop_requested boolean NOT NULL DEFAULT false,
    progress jsonb,
    result jsonb,
    error text,
    flow_run_id text
);
ALTER SEQUENCE run_token OWNED BY run.token;
CREATE UNIQUE INDEX run_one_at_a_time ON run (use_case) WHERE status = 'running';
CREATE INDEX run_by_time ON run (use_case, requested_at);

CREATE TABLE run_event (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    payload jsonb NOT NULL
);
CREATE INDEX run_event_of ON run_event (run_id, seq);

CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    event text NOT NULL,
    actor text NOT NULL,
    from_version int,
    to_version int,
    reason text NOT NULL DEFAULT '',
    evidence jsonb NOT NULL DEFAULT '{}',
    run_id uuid
);
CREATE INDEX ledger_of ON ledger (use_case, id);

CREATE TABLE drift_check (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    verdict text NOT NULL,
    share float8,
    report jsonb NOT NULL DEFAULT '{}',
    model_version int
);
CREATE INDEX drift_check_of ON drift_check (use_case, id);
"""

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_is_never_emptied BEFORE TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(APPEND_ONLY)


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first revision; drop the database instead")
