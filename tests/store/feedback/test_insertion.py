"""The store: what arrives twice counts once, corrections supersede and keep what they replace."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.schema import FieldConfig, RecordConfig
from features.errors import RefusedRow
from features.records.contract import RecordContract
from store.database.connection import connect
from store.feedback.corrections import FeedbackCounts
from store.feedback.insertion import FeedbackBatch, add_feedback, find_predictions
from store.feedback.rows import count_feedback, read_feedback
from store.quarantine.rows import quarantine

NOW = datetime(2024, 5, 1, tzinfo=UTC)
CONTRACT = RecordContract(RecordConfig(fields=(FieldConfig(name="x", type="number"),)))


def batch(*rows: tuple[str, float, str], **more: Any) -> FeedbackBatch:
    return FeedbackBatch(
        identity=[row[0] for row in rows],
        record_json=[json.dumps({"x": row[1]}) for row in rows],
        label=[row[2] for row in rows],
        source="test",
        **more,
    )


def stored(conn: psycopg.Connection) -> dict[str, tuple[float, str]]:
    rows = conn.execute("SELECT identity, record, label FROM feedback WHERE use_case = 'u'")
    return {identity: (record["x"], label) for identity, record, label in rows}


def test_the_same_rows_again_are_duplicates(conn: psycopg.Connection) -> None:
    rows = batch(("a", 1, "no"), ("b", 2, "yes"))
    assert add_feedback(conn, "u", rows) == FeedbackCounts(new=2)
    assert add_feedback(conn, "u", rows) == FeedbackCounts(duplicates=2)
    assert add_feedback(conn, "other", rows) == FeedbackCounts(new=2)
    assert count_feedback(conn, "u") == 2


def test_a_correction_supersedes_and_keeps_the_old_row(conn: psycopg.Connection) -> None:
    add_feedback(conn, "u", batch(("a", 1, "no"), ("b", 2, "yes"), event_time=[NOW, None]))
    last = conn.execute("SELECT max(seq) FROM feedback").fetchone()
    assert last is not None
    mixed = batch(("a", 1, "yes"), ("b", 2, "yes"), ("c", 3, "no"))
    assert add_feedback(conn, "u", mixed) == FeedbackCounts(new=1, corrected=1, duplicates=1)
    assert stored(conn) == {"a": (1, "yes"), "b": (2, "yes"), "c": (3, "no")}
    assert conn.execute("SELECT identity, label, record FROM feedback_correction").fetchall() == [
        ("a", "no", {"x": 1})
    ]
    assert conn.execute("SELECT event_time FROM feedback WHERE identity = 'a'").fetchone() == (NOW,)
    assert count_feedback(conn, "u", since_seq=last[0]) == 2, "a corrected row is new again"


def test_another_record_is_a_correction_but_another_spelling_is_not(conn: psycopg.Connection) -> None:
    add_feedback(conn, "u", batch(("a", 1, "no")))
    assert add_feedback(conn, "u", batch(("a", 1.0, "no"))).duplicates == 1
    assert add_feedback(conn, "u", batch(("a", 2, "no"))).corrected == 1


def test_of_an_identity_that_repeats_the_last_row_stands(conn: psycopg.Connection) -> None:
    assert add_feedback(conn, "u", batch(("a", 1, "no"), ("a", 1, "yes"))) == FeedbackCounts(1, 0, 1)
    assert stored(conn) == {"a": (1, "yes")}


def test_texts_that_look_like_copy_syntax_arrive_as_they_are(conn: psycopg.Connection) -> None:
    odd = 'tab\there\\N \\. "quoted" \n line'
    add_feedback(conn, "u", batch((odd, 1, odd)))
    assert stored(conn) == {odd: (1, odd)}


def test_nothing_is_stored_when_the_transaction_fails(database_url: str) -> None:
    with connect(database_url) as conn:
        with pytest.raises(psycopg.DataError):
            add_feedback(conn, "u", FeedbackBatch(["a"], ["{broken"], ["x"], "test"))
        assert add_feedback(conn, "u", batch(("b", 1, "x"))) == FeedbackCounts(new=1)
    with connect(database_url) as conn:
        assert list(stored(conn)) == ["b"]


def test_two_batches_in_one_transaction(conn: psycopg.Connection) -> None:
    with conn.transaction():
        assert add_feedback(conn, "u", batch(("a", 1, "x"))) == FeedbackCounts(new=1)
        assert add_feedback(conn, "u", batch(("b", 1, "x"))) == FeedbackCounts(new=1)
    assert set(stored(conn)) == {"a", "b"}


def test_two_writers_of_the_same_rows_store_them_once(database_url: str) -> None:
    rows = batch(*((f"r{index}", index, "x") for index in range(500)))
    counts: list[FeedbackCounts] = []

    def write() -> None:
        with connect(database_url) as conn:
            counts.append(add_feedback(conn, "u", rows))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(count.new for count in counts) == 500
    assert sum(count.duplicates for count in counts) == 1500


def test_feedback_reads_back_in_order_of_time(conn: psycopg.Connection) -> None:
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    rows = batch(("now", 1, "x"), ("late", 2, "y"), ("early", 3, "z"), event_time=[None, late, early])
    add_feedback(conn, "u", rows)
    read = read_feedback(conn, "u", CONTRACT)
    assert read.identities.tolist() == ["early", "late", "now"]
    assert read.labels.tolist() == ["z", "y", "x"]
    assert read.columns["x"].tolist() == [3, 2, 1]
    assert read.time[0].item() == early.replace(tzinfo=None)
    assert len(read_feedback(conn, "nobody", CONTRACT)) == 0
    since = int(read.seq[2])
    assert read_feedback(conn, "u", CONTRACT, since_seq=since).identities.tolist() == ["early", "late"]


steps = st.lists(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from(["x", "y"])), max_size=5),
    max_size=5,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_store_is_a_dictionary_that_remembers(
    conn: psycopg.Connection, steps: list[list[tuple[str, int, str]]]
) -> None:
    conn.execute("TRUNCATE feedback, feedback_correction")
    expected: dict[str, tuple[float, str]] = {}
    total = FeedbackCounts()
    for rows in steps:
        total += add_feedback(conn, "u", batch(*((key, float(x), label) for key, x, label in rows)))
        expected.update({key: (x, label) for key, x, label in rows})
    assert stored(conn) == expected
    assert total.new == len(expected)
    assert total.new + total.corrected + total.duplicates == sum(map(len, steps))
    kept = conn.execute("SELECT count(*) FROM feedback_correction").fetchone()
    assert kept == (total.corrected,)


def test_predictions_are_found_by_id(conn: psycopg.Connection) -> None:
    for name in ("p1", "p2"):
        conn.execute(
            "INSERT INTO prediction (id, use_case, record_id, record, label, score, scores, model_version,"
            """ source) VALUES (%s, 'u', 'r', '{"x":1}', 'no', 0.5, '{"no":0.5}', 3, 'model')""",
            (name,),
        )
    predictions = find_predictions(conn, "u", ["p1", "unknown"])
    assert list(predictions) == ["p1"]
    assert predictions["p1"]["record_id"] == "r"
    assert predictions["p1"]["model_version"] == 3
    assert CONTRACT.from_json([predictions["p1"]["record"]])["x"].tolist() == [1.0]
    assert find_predictions(conn, "other", ["p1"]) == {}


def test_quarantined_rows_count_once(conn: psycopg.Connection) -> None:
    rows = [
        RefusedRow(3, "field 'x': missing", {"x": None, "raw": b"\xff\x00", "n\x00": "a\x00b"}),
        RefusedRow(None, "not an object", {"value": 3}),
    ]
    assert quarantine(conn, "u", "file.csv", rows) == 2
    assert quarantine(conn, "u", "file.csv", rows) == 0
    assert quarantine(conn, "u", "other.csv", rows[:1]) == 1
    assert quarantine(conn, "u", "file.csv", []) == 0
    kept = conn.execute('SELECT line, reason, "row" FROM quarantine ORDER BY id').fetchall()
    assert kept[0] == (3, "field 'x': missing", {"x": None, "raw": "��", "n�": "a�b"})


def test_batches_with_the_same_rows_in_another_order_do_not_wait_for_each_other(database_url: str) -> None:
    names = [f"i:{number}" for number in range(300)]

    def add(order: int) -> None:
        mine = names[::order]
        documents = [json.dumps({"x": order, "n": name}) for name in mine]
        with connect(database_url) as own:
            for _ in range(5):
                add_feedback(
                    own, "u", FeedbackBatch(mine, documents, [str(order)] * len(mine), source="test")
                )
                own.commit()

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(add, [1, -1, 1, -1]))
    with connect(database_url) as own:
        assert own.execute("SELECT count(*) FROM feedback").fetchone() == (300,)
