"""The audit sample is in the ids: found, counted and matched without a column of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from store.feedback.insertion import FeedbackBatch, add_feedback
from store.predictions.answer_sample import read_answer_sample
from store.predictions.audits import (
    IS_AUDITED,
    AuditCounts,
    AuditDemand,
    audited_rows,
    count_audits,
    waiting_audits,
)

NAME = "apples"
START = datetime(2026, 11, 1, tzinfo=UTC)
EVER = START - timedelta(days=1)


def answer(conn: psycopg.Connection, number: int, *, audited: bool, record: object = None) -> str:
    """Store an answer `good`, a minute after the one before."""
    name = f"01a1fe1e-7758-7000-9000-{number:011x}{int(audited)}"
    conn.execute(
        "INSERT INTO prediction (id, use_case, record, label, score, model_version, source, predicted_at)"
        " VALUES (%s, %s, %s, 'good', 0.75, 1, 'model', %s)",
        (name, NAME, json.dumps(record or {"x": number}), START + timedelta(minutes=number)),
    )
    return name


def label(conn: psycopg.Connection, prediction_id: str, truth: str, record: str = "{}") -> None:
    batch = FeedbackBatch([f"p:{prediction_id}"], [record], [truth], "http", prediction_id=[prediction_id])
    add_feedback(conn, NAME, batch)


def rows(conn: psycopg.Connection, *records: object, truth: str = "poor") -> None:
    """Rows of a file, which know of no prediction."""
    names = [f"h:{number}-{len(records)}" for number in range(len(records))]
    documents = [json.dumps(record) for record in records]
    add_feedback(conn, NAME, FeedbackBatch(names, documents, [truth] * len(records), "apples.csv"))


def test_answers_that_wait_for_their_label_come_newest_first(conn: psycopg.Connection) -> None:
    ids = [answer(conn, number, audited=number % 2 == 0) for number in range(6)]
    label(conn, ids[2], "good")
    label(conn, ids[0], "poor")
    waiting = waiting_audits(conn, NAME, limit=10)
    assert [one.id for one in waiting] == [ids[4]]
    assert waiting[0].as_dict()["predicted_at"] == "2026-11-01T00:04:00+00:00"
    assert count_audits(conn, NAME, since=EVER) == AuditCounts(answers=3, labelled=2, correct=1)
    assert count_audits(conn, NAME, since=START + timedelta(minutes=1)) == AuditCounts(2, 1, 1)
    assert count_audits(conn, NAME, since=EVER, except_by=[1]) == AuditCounts(0, 0, 0)
    assert waiting_audits(conn, "pears", limit=10) == []


def test_labelled_rows_of_the_sample_are_known_by_their_arrival(conn: psycopg.Connection) -> None:
    ids = [answer(conn, number, audited=number == 1) for number in range(3)]
    for one in ids:
        label(conn, one, "good")
    assert len(audited_rows(conn, NAME)) == 1


def test_the_index_is_used(conn: psycopg.Connection) -> None:
    conn.execute("SET LOCAL enable_seqscan = off")
    plan = conn.execute(
        f"EXPLAIN SELECT FROM prediction WHERE use_case = 'apples' AND {IS_AUDITED}"
        " ORDER BY predicted_at DESC LIMIT 5"
    ).fetchall()
    assert any("prediction_audited" in line for (line,) in plan)


def test_a_sample_is_all_answers_between_the_first_and_the_last_with_a_new_label(
    conn: psycopg.Connection,
) -> None:
    ids = [answer(conn, number, audited=number == 3) for number in range(8)]
    label(conn, ids[4], "poor")
    known = audited_rows(conn, NAME)
    assert known == []
    (since,) = conn.execute("SELECT max(seq) FROM feedback").fetchone() or (0,)
    for place, truth in ((2, "poor"), (3, "good"), (6, "good")):
        label(conn, ids[place], truth)
    sample = read_answer_sample(conn, NAME, since_seq=since, until_seq=10**9)
    assert sample.labelled.tolist() == [True, True, True, False, True]
    assert sample.correct.tolist() == [False, True, False, False, True]
    assert sample.audited.tolist() == [False, True, False, False, False]
    assert set(sample.origins) == {"1 model"}
    oldest = START + timedelta(minutes=3)
    assert len(read_answer_sample(conn, NAME, since_seq=since, until_seq=10**9, oldest=oldest)) == 4
    assert len(read_answer_sample(conn, NAME, since_seq=10**9, until_seq=10**9)) == 0
    newest = read_answer_sample(conn, NAME, since_seq=since, until_seq=10**9, most=1)
    assert newest.seq.tolist() == [sample.seq[-1]]  # of the answers up to the last that is labelled


@pytest.mark.parametrize(("times", "labelled"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_a_row_of_a_file_is_the_label_of_one_answer_to_an_equal_record(
    conn: psycopg.Connection, times: int, labelled: list[int]
) -> None:
    """The oldest first, whatever was drawn since; the first is the label that had come by the id."""
    named = answer(conn, 0, audited=False, record={"x": 7})
    for number in (1, 2):
        answer(conn, number, audited=number == 2, record={"x": 7})
    answer(conn, 3, audited=True, record={"x": 8})
    label(conn, named, "good", '{"x": 7}')
    rows(conn, *[{"x": 7}] * times, {"x": 9})
    sample = read_answer_sample(conn, NAME, since_seq=None, until_seq=10**9)
    assert np.flatnonzero(sample.labelled).tolist() == labelled
    assert set(sample.truths[labelled]) == {"poor"}
    assert len(set(sample.seq.tolist())) == len(labelled)


@pytest.mark.parametrize(
    ("demand", "missing", "undrawn", "told"),
    [
        (AuditDemand(60, 12, 12, 0, 30), 36, 0, "36 more labels are needed of audited answers (12 of 60"),
        (AuditDemand(60, 47, 47, 0, 30), 1, 0, "1 more label is needed of audited answers (47 of 60"),
        (AuditDemand(10, 4, 4, 20, 30), 6, 0, "and 10 in number (gate.min_rows: 30, with 20 rows of files)"),
        (AuditDemand(10, 8, 8, 0, 30), 22, 20, "but 20 must be drawn first: a share `serving.audit`"),
        (AuditDemand(0, 0, 0, 0, 30), 30, 30, "0 of 0 have one"),
        (AuditDemand(60, 48, 48, 0, 30), 0, 0, "enough audited answers have a label now (48 of 60 have one"),
    ],
)  # fmt: skip
def test_how_many_labels_are_missing_is_counted_and_said(
    demand: AuditDemand, missing: int, undrawn: int, told: str
) -> None:
    assert (demand.missing, demand.undrawn) == (missing, undrawn)
    sentence = demand.sentence(NAME)
    assert told in sentence
    assert ("`ratchet audits apples`" if missing else "`ratchet retrain apples`") in sentence
