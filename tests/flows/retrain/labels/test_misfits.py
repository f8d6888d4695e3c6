"""Retrains after the configuration changed: stored rows that do not fit it are left out, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import UseCase
from features.records.contract import RecordContract
from flows.drift.checking import check_use_case
from flows.retrain import steps
from flows.retrain.production import find_production
from models.gate.answers import ask_all
from store.database.connection import connect
from store.feedback.revisions.relabelling import LabelChanges, relabel_rows
from store.ingest.files import ingest_file
from tests.e2e.apples import write_apples
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    made = empty_orchard
    made.take_in(400, edge=0.5)
    assert made.retrain().outcome == "promoted"
    return made


def changed(orchard: Orchard, **changes: Any) -> Orchard:
    """The same under another configuration."""
    use_case = UseCase.model_validate(orchard.context.use_case.model_dump() | changes)
    return replace(orchard, context=replace(orchard.context, use_case=use_case))


def test_a_configuration_that_moved_on(orchard: Orchard, tmp_path: Path) -> None:
    old = orchard.context.use_case.model_dump()
    renamed = changed(orchard, target=old["target"] | {"classes": ["fine", "poor"]})
    context = renamed.context
    production, snapshot = find_production(context), steps.snapshot_rows(context, find_production(context))
    (told,) = steps.misfits(context, snapshot)
    assert "stored rows do not fit the configuration and were left out: label: got 'good' (text)" in told
    assert f"`ratchet relabel {context.use_case.name}` changes labels" in told
    held_back = steps.labels_left_out(context, production, snapshot)
    assert held_back is not None
    assert held_back.startswith("production answers 'good', which the configuration no longer has, and ")
    with connect(context.database_url) as conn:
        relabel_rows(conn, context.use_case, LabelChanges({"good": "fine"}))
    snapshot = steps.snapshot_rows(context, production)
    assert (snapshot.left_out_rows, steps.misfits(context, snapshot)) == (0, [])
    assert steps.labels_left_out(context, production, snapshot) is None

    fields = [old["record"]["fields"][0] | {"type": "category"}, old["record"]["fields"][1]]
    retyped = changed(orchard, record=old["record"] | {"fields": fields}).context
    snapshot = steps.snapshot_rows(retyped, production)
    assert (snapshot.rows, snapshot.left_out_rows) == (0, 400)
    missing = steps.not_enough(retyped, production, snapshot)
    assert missing is not None
    assert missing.startswith("0 rows to learn from; training needs 50; 400 stored rows do not fit")
    report = check_use_case(retyped, tmp_path)
    assert report is not None
    assert report.decision.verdict == "too_little_evidence"


def test_production_that_reads_a_retyped_field_otherwise_says_so(orchard: Orchard) -> None:
    predictor = find_production(orchard.context).predictor
    assert predictor is not None
    columns = predictor.contract.from_json(['{"weight": 0.7, "colour": "red"}'])
    assert ask_all(columns, ["good"], {}, predictor).production_error is None
    columns["weight"] = columns["colour"]
    error = ask_all(columns, ["good"], {}, predictor).production_error
    assert error == "it reads field 'weight' as number; the configuration has it otherwise"


def test_rows_that_production_refuses_where_it_serves_are_no_answers_of_its(
    orchard: Orchard, tmp_path: Path
) -> None:
    record = orchard.context.use_case.model_dump()["record"]
    weight, colour = record["fields"]
    wider = [weight, colour | {"categories": ["red", "green", "blue"]}]
    new = changed(orchard, record=record | {"fields": wider})
    path = new.context.settings.home / "blue.csv"
    write_apples(path, 400, edge=0.5, seed=7)
    path.write_text(path.read_text(encoding="utf-8").replace("green", "blue"), encoding="utf-8")
    with connect(new.context.database_url) as conn:
        ingest_file(conn, new.context.use_case, path)

    predictor = find_production(new.context).predictor
    assert predictor is not None
    rows = [
        {"weight": weight, "colour": colour} for weight, colour in ((0.9, "red"), (0.1, "blue"), (0.8, "red"))
    ]
    answers = ask_all(
        RecordContract(new.context.use_case.record).check_records(rows).columns,
        ["good", "poor", "good"],
        {},
        predictor,
    )
    assert answers.production is not None
    known = answers.production.probabilities[[0, 2]]
    assert np.allclose(answers.production.probabilities[1], known.mean(axis=0))

    report = check_use_case(new.context, tmp_path)
    assert report is not None
    blue = path.read_text(encoding="utf-8").count("blue")
    unread = f"{blue} of 400 recent records are none that production can read, and are not compared ("
    assert unread + "field 'colour'" in report.decision.reason

    turn = new.retrain()
    assert turn.outcome == "promoted", "blue apples are refused until another version serves"
    assert "of these rows where it serves" in turn.decision.reason
    assert "field 'colour': got 'blue' (text); allowed: one of 'red', 'green'" in turn.decision.reason


def test_production_that_refuses_every_row_does_not_answer(orchard: Orchard) -> None:
    predictor = find_production(orchard.context).predictor
    assert predictor is not None
    columns = predictor.contract.from_json(['{"weight": 0.7, "colour": "blue"}'])
    error = ask_all(columns, ["good"], {}, predictor).production_error
    assert error is not None
    assert error.startswith("it refuses every row, for instance: field 'colour': got 'blue' (text); allowed:")


def test_why_there_is_nothing_to_learn_from(orchard: Orchard, tmp_path: Path) -> None:
    path = tmp_path / "apples.csv"
    path.write_text("weight,colour,grade\nheavy,red,good\n", encoding="utf-8")
    with connect(orchard.context.database_url) as conn:
        conn.execute("DELETE FROM feedback")
        ingest_file(conn, orchard.context.use_case, path)
    production = find_production(orchard.context)
    snapshot = steps.snapshot_rows(orchard.context, production)
    assert steps.not_enough(orchard.context, production, snapshot) == (
        "0 rows to learn from; training needs 50; 1 row is in quarantine: "
        "field 'weight': got 'heavy' (text); allowed: a number - 1 row, "
        f"e.g. apples.csv line 2; `ratchet quarantine list {orchard.name}` shows them"
    )
