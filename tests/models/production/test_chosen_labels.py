"""The way out after chosen labels: counted now, told until a verdict believes labels again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from flows.cli.terminal.status_lines import use_case_lines
from flows.status.use_cases import UseCaseStatus
from models.gate.selection import LabelSelection, weigh_selection
from models.production import ledger
from models.production.chosen_labels import find_chosen_labels
from models.production.promotion import note_verdict, told_of
from models.retraining.backlog import TAKEN_BACK, TRAINED
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.runs.lifecycle import request_run
from tests.models.production.test_promotion import USE_CASE
from tests.models.production.test_record_history import APPLES, decide, keep

START = datetime(2026, 11, 1, tzinfo=UTC)


def answer(conn: psycopg.Connection[Any], number: int) -> str:
    """An audited one, a minute after the one before."""
    name = f"01a1fe1e-7758-7000-9000-{number:011x}1"
    conn.execute(
        "INSERT INTO prediction (id, use_case, record, label, score, model_version, source, predicted_at)"
        " VALUES (%s, %s, '{}', 'good', 0.75, 1, 'model', %s)",
        (name, USE_CASE, START + timedelta(minutes=number)),
    )
    return name


def label(conn: psycopg.Connection[Any], names: list[str]) -> None:
    keys, documents = [f"p:{name}" for name in names], ["{}"] * len(names)
    batch = FeedbackBatch(keys, documents, ["good"] * len(names), "http", prediction_id=names)
    add_feedback(conn, USE_CASE, batch)


def selection(others: int = 0) -> LabelSelection:
    """Of answers since the third minute."""
    words, none = np.array(["good"] * 4, dtype=object), np.zeros(4, dtype=np.bool_)
    made = weigh_selection(words, np.full(4, 0.5), words, none, none, none, expected=None, seed=0)
    return replace(made, since=(START + timedelta(minutes=2)).isoformat(), others_held_out=others)


def believe_nothing(conn: psycopg.Connection[Any], reason: str, chosen: LabelSelection) -> None:
    run_id = request_run(conn, USE_CASE, kind="retrain", trigger="person")
    decision = replace(decide(None, "labels_selected"), reason=reason, selection=chosen)
    note_verdict(
        conn, USE_CASE, "too_little_evidence", reason=reason, decision=decision, production=1, version=2,
        actor="schedule", run_id=run_id, challenger="blend",
    )  # fmt: skip
    conn.execute("DELETE FROM run")


def test_what_is_missing_is_counted_now_and_goes_with_the_next_verdict(conn: psycopg.Connection[Any]) -> None:
    least = APPLES.gate.min_rows
    names = [answer(conn, number) for number in range(2 + least)]
    assert find_chosen_labels(conn, APPLES) is None
    believe_nothing(conn, "labels may be selected: 30 more labels", selection())
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    assert told.as_dict().items() >= {"answers": least, "labelled": 0, "missing": least, "undrawn": 0}.items()
    label(conn, names[2:7])
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    assert told.as_dict()["missing"] == least - 5
    status = UseCaseStatus(USE_CASE, "Apples", chosen_labels=told.as_dict())
    line = use_case_lines(status)["chosen labels"]
    assert line == told.sentence
    assert f"{least - 5} more labels are needed of audited answers (5 of {least} have one" in told.sentence
    assert f"`ratchet audits {USE_CASE}`" in told.sentence
    label(conn, names[7:])
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    assert f"`ratchet retrain {USE_CASE}` judges on them" in told.sentence
    keep(conn, 3, None)
    assert find_chosen_labels(conn, APPLES) is None


def test_rows_of_files_are_judged_on_beside_audited_answers(conn: psycopg.Connection[Any]) -> None:
    for number in range(10):
        answer(conn, number)
    believe_nothing(conn, "labels may be selected: 2 more labels", selection(others=APPLES.gate.min_rows - 2))
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    assert told.as_dict().items() >= {"answers": 8, "missing": 7}.items()  # 80% of 8


def test_what_is_chosen_by_class_asks_for_no_audits(conn: psycopg.Connection[Any]) -> None:
    reason = "0 of 60 rows are 'poor'"
    believe_nothing(conn, reason, replace(selection(), by_class=True))
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    assert told.as_dict()["missing"] is None
    assert told.sentence == f"nothing is promoted, as {reason}"


OLDER = {
    "without what is chosen by class": ["by_class"],
    "without its answers": ["by_class", "since", "others_held_out"],
    "without a selection": [],
}
"""What verdicts of earlier releases lack of their selection; nothing: all of it."""


@pytest.mark.parametrize("lacking", OLDER)
def test_a_verdict_of_an_earlier_release_is_told_as_well(conn: psycopg.Connection[Any], lacking: str) -> None:
    for number in range(10):
        answer(conn, number)
    reason = "labels may be selected: 30 more labels"
    decision = replace(decide(None, "labels_selected"), reason=reason, selection=selection())
    evidence = told_of(decision, "blend")
    if OLDER[lacking]:
        evidence["selection"] = {
            key: value for key, value in evidence["selection"].items() if key not in OLDER[lacking]
        }
    else:
        del evidence["selection"]
    ledger.record(
        conn, USE_CASE, "too_little_evidence", actor="schedule", reason=reason, from_version=1, to_version=2,
        evidence=evidence,
    )  # fmt: skip
    told = find_chosen_labels(conn, APPLES)
    assert told is not None
    status = UseCaseStatus(USE_CASE, "Apples", chosen_labels=told.as_dict())
    assert use_case_lines(status)["chosen labels"] == told.sentence
    counted = told.as_dict()["answers"]
    if lacking == "without what is chosen by class":
        assert (counted, "more labels are needed of audited answers" in told.sentence) == (8, True)
    else:
        assert counted is None
        assert told.sentence == "nothing is promoted, as labels may be selected: 30 more labels"


def test_warnings_of_the_last_run_are_told() -> None:
    run = {"requested_at": START, "status": "succeeded", "trigger": "labels", "outcome": "tie", "error": None}
    for warnings, told in (
        (["source 'x' looks odd", "rows repeat"], "source 'x' looks odd; rows repeat"),
        ([], None),
    ):
        status = UseCaseStatus(USE_CASE, "Apples", last_run=run | {"warnings": warnings})
        assert use_case_lines(status)["warnings"] == told


def test_new_and_untried_labels_are_told_apart() -> None:
    status = UseCaseStatus(
        USE_CASE, "Apples", labels=900, new_labels=200, new_since=TRAINED, untried_labels=50
    )
    assert use_case_lines(status)["labels"] == (
        "900, of which 200 new since production was trained, 50 of them untried by a run"
    )
    status = replace(status, new_since=TAKEN_BACK)
    assert use_case_lines(status)["labels"] == (
        "900, of which 200 new since a later version was taken back, 50 of them untried by a run"
    )
