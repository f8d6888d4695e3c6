"""Live quality where labels come for wrong answers: the audited ones say how good all answers are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from configs.schema import (
    FieldConfig,
    ModelConfig,
    RecordConfig,
    RetentionConfig,
    TargetConfig,
    UseCase,
)
from flows.cli.terminal.status_lines import use_case_lines
from flows.status.use_cases import UseCaseStatus
from models.production.live_quality import live_quality, quality_now
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.predictions.labelled_answers import least_id

USE_CASE = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)
NOW = datetime.now(UTC)
ANSWERS = 400
FIRST = NOW - timedelta(minutes=ANSWERS)
"""The oldest answer, which is an audited one."""


def answer(conn: psycopg.Connection, *, labelled_audits: int) -> None:
    """Every tenth answer is drawn, every fifth is wrong; labels came for the wrong and some drawn ones."""
    ids, truths, drawn = [], [], 0
    for number in range(ANSWERS):
        at = NOW - timedelta(minutes=ANSWERS - number)
        is_audited, is_wrong = number % 10 == 0, number % 5 == (number // 10) % 5
        name = f"{least_id(at + timedelta(milliseconds=1))}-7000-9000-{number:011x}{int(is_audited)}"
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, model_version, predicted_at)"
            " VALUES (%s, %s, '{}', 'good', 1, %s)",
            (name, USE_CASE.name, at),
        )
        drawn += is_audited
        if is_wrong or (is_audited and drawn <= labelled_audits):
            ids.append(name)
            truths.append("poor" if is_wrong else "good")
    batch = FeedbackBatch([f"p:{one}" for one in ids], ["{}"] * len(ids), truths, "http", prediction_id=ids)
    add_feedback(conn, USE_CASE.name, batch)


def test_the_audited_answers_are_believed_where_the_others_are_chosen(conn: psycopg.Connection) -> None:
    """80 of 400 answers are wrong, and all of these have labels."""
    answer(conn, labelled_audits=40)
    now = quality_now(conn, USE_CASE)
    assert now.window is not None
    assert now.window.counts.accuracy == pytest.approx(32 / 112)
    assert now.coverage.warning is not None
    assert now.audits.are_enough
    assert now.accuracy == now.audits.right == 0.8
    told = now.as_dict()["audits"]
    assert told["low"] < 0.8 < told["high"]
    assert told["sentence"] == (
        f"40 of 40 audited answers since {FIRST:%Y-%m-%d %H:%M}, by what serves now, have "
        "a label, 80.0% of these are right (65.2% to 89.5%): so are all "
        "answers, whatever other labels were sent"
    )
    live = live_quality(conn, USE_CASE, windows=5, hours=24)
    of_a_day = live.as_dict()["audits"]
    assert of_a_day["sentence"].startswith(f"40 of 40 audited answers since {FIRST:%Y-%m-%d %H:%M} have")
    assert of_a_day | {"sentence": None} == told | {"sentence": None}
    lines = use_case_lines(UseCaseStatus("apples", "Apples", quality=now.as_dict()))
    assert lines["audits"] == told["sentence"]


def test_until_most_of_them_have_labels_they_are_asked_for(conn: psycopg.Connection) -> None:
    answer(conn, labelled_audits=20)
    now = quality_now(conn, USE_CASE)
    assert now.window is not None
    assert not now.audits.are_enough
    assert now.accuracy == now.window.counts.accuracy
    line = use_case_lines(UseCaseStatus("apples", "Apples", quality=now.as_dict()))["audits"]
    assert line is not None
    assert line.startswith("24 of 40 audited answers since ")
    assert " have a label, 66.7% of these are right" in line
    assert "too few to say that of all answers; 80%, and 30 at least, do" in line
    assert line.endswith("; ratchet audits apples")


def test_answers_count_that_the_database_keeps(conn: psycopg.Connection) -> None:
    """Of older ones only those are there that somebody has asked for, and these have labels."""
    answer(conn, labelled_audits=40)
    conn.execute(
        "UPDATE prediction SET predicted_at = predicted_at - interval '25 hours' WHERE id <= ("
        "SELECT id FROM prediction ORDER BY id OFFSET 99 LIMIT 1)"
    )
    kept = USE_CASE.model_copy(update={"retention": RetentionConfig(prediction_database_days=1)})
    for use_case, answers in ((USE_CASE, 400), (kept, 300)):
        now = quality_now(conn, use_case)
        live = live_quality(conn, use_case, windows=5, hours=100)
        assert now.coverage.answers == live.coverage.answers == answers
        assert now.audits.answers == live.audits.answers == answers // 10
    assert datetime.now(UTC) - live.since < timedelta(hours=25)


def test_without_any_drawn_nothing_is_said(conn: psycopg.Connection) -> None:
    now = quality_now(conn, USE_CASE)
    assert (now.audits.answers, now.audits.sentence(NOW), now.accuracy) == (0, None, None)
    assert use_case_lines(UseCaseStatus("apples", "Apples", quality=now.as_dict()))["audits"] is None
