"""Rows that an earlier release stored are of the same records as those that come now."""

from __future__ import annotations

from dataclasses import replace

import psycopg
from alembic import command
from alembic.config import Config

from configs.schema import FieldConfig, RecordConfig
from features.records.contract import RecordContract
from store.database.connection import connect, migrate
from store.database.revisions import SCRIPTS
from store.feedback.corrections import FeedbackCounts
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import read_feedback
from store.history.draws import hashed_shares, read_draw
from tests.databases import with_database

X = FieldConfig(name="x", type="number")
BEFORE = """
    INSERT INTO prediction (id, use_case, record_id, record) VALUES ('1', 'u', '7', '{"x": 1}'),
        ('2', 'u', NULL, '{"x": 2}'), ('3', 'u', '9', '{"x": 3}');
    INSERT INTO feedback (use_case, identity, record, label, prediction_id) VALUES
        ('u', 'p:1', '{"x": 1}', 'a', '1'), ('u', 'i:7', '{"x": 1}', 'a', NULL),
        ('u', 'p:2', '{"x": 2}', 'a', NULL), ('u', 'h:aa#0', '{"x": 2.0}', 'a', NULL),
        ('u', 'p:3', '{"x": 3}', 'a', '3');
    INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq)
        VALUES ('d', 'u', '/nowhere', 5, 3, 2, 1, 5)"""


def test_rows_of_an_earlier_release_know_their_records(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE test_older_rows")
    url = with_database(postgres, "test_older_rows")
    config = Config()
    for name, value in SCRIPTS.items():
        config.set_main_option(name, value)
    config.attributes["url"] = url
    command.upgrade(config, "0005")
    with connect(url) as conn:
        conn.execute(BEFORE)
        conn.commit()
    migrate(url)
    with connect(url) as conn:
        entities: dict[str, int] = dict(
            conn.execute(
                "SELECT identity, feedback_entity(identity, record_id, record) FROM feedback"
            ).fetchall()
        )
        assert entities["p:1"] == entities["i:7"]
        assert entities["p:2"] == entities["h:aa#0"]
        assert len(set(entities.values())) == 3
        labelled = conn.execute("SELECT prediction_id FROM feedback WHERE identity LIKE 'p:%' ORDER BY 1")
        assert labelled.fetchall() == [("1",), ("2",), ("3",)], "live quality finds them by that"
        again = FeedbackBatch(["i:9"], ['{"x":3}'], ["a"], "file", told_now=False)
        assert add_feedback(conn, "u", again) == FeedbackCounts(duplicates=1)
        assert conn.execute("SELECT records FROM snapshot").fetchone() == (None,)
        assert conn.execute("SELECT count(*), count(record_group) FROM feedback").fetchone() == (5, 0)
        draw = read_draw(conn)
        assert (len(draw.secret), draw.since_seq) == (72, 5)
        rows = read_feedback(conn, "u", RecordContract(RecordConfig(fields=(X,))))
        assert draw.shares(rows).tolist() == hashed_shares(rows.identities).tolist(), "as before"
        late = replace(rows, seq=rows.seq + 5)
        assert not set(draw.shares(late)) & set(draw.shares(rows))
        assert draw.shares(late)[0] == draw.shares(late)[1], "two rows of one record are drawn together"
