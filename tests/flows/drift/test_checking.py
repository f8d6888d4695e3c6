"""A whole drift check on a real database and MLflow: what moved is told apart; chosen labels are no drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import mlflow
import numpy as np
import pytest
from psycopg.types.json import Jsonb

from flows.drift.checking import DriftReport, check_use_case, log_drift
from models.retraining.backlog import decide_now
from models.versions.predictor import Predictor
from store.drift.checks import last_check
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.predictions.audits import AUDITED, NOT_AUDITED, VARIANT
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)
CALLS = count(1)


@pytest.fixture
def orchard(mlflow_server: Server, database_url: str, tmp_path: Path) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    name = f"drifting_{next(NUMBERS)}"
    made = open_orchard(name, tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store)
    made.take_in(2000, edge=0.5)
    assert made.retrain().outcome == "promoted"
    return made


Weigh = Callable[[np.random.Generator], float]


def serve(orchard: Orchard, rows: int, weigh: Weigh, *, seed: int = 1) -> list[tuple[str, float, str]]:
    """Answers of production as the log has them: id, weight and label."""
    predictor, random = Predictor.load(orchard.kept(1)), np.random.default_rng(seed)
    colours = random.choice(["red", "green"], rows).tolist()
    records = [{"weight": weigh(random), "colour": colour} for colour in colours]
    answers = predictor.predict(predictor.contract.from_json([json.dumps(one) for one in records]))
    logged = []
    with orchard.context.connect() as conn:
        for record, label, score in zip(records, answers.labels, answers.scores, strict=True):
            drawn = AUDITED if random.random() < 0.05 else NOT_AUDITED
            made = f"01a1fe1e-7758-7{seed:03x}-{VARIANT}000-{next(CALLS):011x}{drawn}"
            conn.execute(
                "INSERT INTO prediction (id, use_case, record, label, score, model_version, source)"
                " VALUES (%s, %s, %s, %s, %s, 1, 'production')",
                (made, orchard.name, Jsonb(record), label, score),
            )
            logged.append((made, record["weight"], label))
        conn.commit()
    return logged


def send_labels(orchard: Orchard, answered: list[tuple[str, float, str]], truths: list[str]) -> None:
    """True labels of answers, by their ids."""
    batch = FeedbackBatch(
        [f"p:{one[0]}" for one in answered],
        [json.dumps({"weight": one[1], "colour": "red"}) for one in answered],
        truths,
        "http",
        prediction_id=[one[0] for one in answered],
    )
    with orchard.context.connect() as conn:
        add_feedback(conn, orchard.name, batch)
        conn.commit()


def check(orchard: Orchard, folder: Path) -> DriftReport:
    report = check_use_case(orchard.context, folder)
    assert report is not None
    return report


def evenly(random: np.random.Generator) -> float:
    return float(random.uniform())


def heavily(random: np.random.Generator) -> float:
    return float(random.uniform(0.3, 1.0))


@pytest.mark.slow
def test_records_as_before_are_no_drift_of_any_part(orchard: Orchard, tmp_path: Path) -> None:
    answered = serve(orchard, 400, evenly)
    send_labels(orchard, answered, ["good" if one[1] > 0.5 else "poor" for one in answered])
    found = check(orchard, tmp_path).findings
    assert {name: one.verdict for name, one in found.parts.items()} == dict.fromkeys(found.parts, "no_drift")
    assert not found.calls_for_retrain


def test_heavier_apples_move_data_and_answers_and_both_are_shown_everywhere(
    orchard: Orchard, tmp_path: Path
) -> None:
    serve(orchard, 400, heavily)
    report = check(orchard, tmp_path)
    found = report.findings
    assert found.drifted == ("data", "answers")
    assert found.labels.verdict == "too_little_evidence"
    assert found.labels.reason.startswith("0 recent and ")
    moved = found.answers.columns["label"].moved
    assert moved is not None
    assert moved.startswith('"good" 7')
    assert found.data.columns["weight"].moved is not None
    with orchard.context.connect() as conn:
        kept = last_check(conn, orchard.name)
    assert kept is not None
    assert (kept.verdict, kept.calls_for_retrain) == ("drift", True)
    assert kept.report["answers"]["columns"]["label"]["moved"] == moved
    assert report.html is not None
    assert "answers: label" in report.html.read_text(encoding="utf-8")
    assert log_drift(orchard.context, report) is not None
    (run,) = mlflow.search_runs(experiment_names=[f"{orchard.name}-drift"], output_format="list")
    assert run.data.tags["ratchet.drift.answers"] == "drift"
    assert run.data.metrics["drift_answers_ label"] == pytest.approx(found.answers.columns["label"].value)


def test_labels_that_turned_are_drift_of_labels_alone_and_call_for_a_retrain(
    orchard: Orchard, tmp_path: Path
) -> None:
    answered = serve(orchard, 400, evenly)
    send_labels(orchard, answered, ["good" if one[1] > 0.8 else "poor" for one in answered])
    changed = orchard.changed(retrain={"min_labels": 50, "drift_windows": 1, "drift_violations": 1})
    found = check(changed, tmp_path).findings
    assert found.drifted == ("labels",)
    assert found.reason.startswith("labels moved; data: 0 of 2 columns moved")
    with changed.context.connect() as conn:
        decision = decide_now(conn, changed.registry, changed.context.use_case)
    assert (decision.verdict, decision.trigger) == ("retrain", "drift")


def test_labels_of_wrong_answers_only_are_said_to_be_chosen_and_are_no_drift(
    orchard: Orchard, tmp_path: Path
) -> None:
    answered = serve(orchard, 3000, evenly)
    # The world has not moved; one in ten is labelled against its weight, and only those labels come.
    chosen = [one for one in answered if one[1] > 0.55][:250]
    send_labels(orchard, chosen, ["poor"] * len(chosen))
    labels = check(orchard, tmp_path).findings.labels
    assert labels.verdict == "too_little_evidence"
    assert "labels seem to be chosen (250 of " in labels.reason
    assert labels.columns == {}


def test_answers_alone_start_no_retrain_unless_that_is_configured(orchard: Orchard, tmp_path: Path) -> None:
    serve(orchard, 400, heavily)
    alone = {"ignore": ["weight", "colour"], "retrain_on": ["data", "labels"]}
    calm = check(orchard.changed(drift=alone), tmp_path).findings
    assert (calm.drifted, calm.calls_for_retrain) == (("answers",), False)
    eager = orchard.changed(drift=alone | {"retrain_on": ["answers"]})
    assert check(eager, tmp_path).findings.calls_for_retrain


def test_a_promotion_restarts_no_window_and_what_was_learned_is_not_compared_with_itself(
    orchard: Orchard, tmp_path: Path
) -> None:
    orchard.take_in(3000, edge=0.2, seed=7)
    answered = serve(orchard, 1000, evenly)
    send_labels(orchard, answered, ["good" if one[1] > 0.2 else "poor" for one in answered])
    turn = orchard.retrain()
    assert turn.outcome == "promoted", turn.decision.reason
    report = check(orchard.changed(drift={"current_rows": 300, "reference_rows": 50_000}), tmp_path)
    found = report.findings
    assert report.model_version == 2
    assert (found.data.current_rows, found.labels.current_rows) == (300, 300), (
        "they came before the promotion"
    )
    # Of one batch the last labels need not be those of the last answers.
    assert 6000 - 2 * 300 <= found.labels.reference_rows <= 6000 - 300


def test_production_that_cannot_be_asked_here_leaves_answers_out_and_the_rest_stands(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.errors import ArtifactError

    def fail(directory: Path) -> Predictor:
        raise ArtifactError(directory, "cannot be loaded: no such package")

    serve(orchard, 400, heavily)
    monkeypatch.setattr(Predictor, "load", fail)
    found = check(orchard, tmp_path).findings
    assert found.drifted == ("data",)
    assert found.answers.verdict == "too_little_evidence"
    assert "production cannot be asked here" in found.answers.reason
