"""What MLflow is told: pictures, in which names of classes are texts, and parameters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from mlflow import MlflowClient

from configs.schema import GateConfig
from flows.retrain.outcome import version_tags
from flows.retrain.tracking import (
    CONFUSION_PICTURE,
    Confusion,
    Evidence,
    Logged,
    _metrics,
    _params,
    draw_confusion,
    draw_pictures,
)
from flows.retrain.training.challenger import Trained
from models.gate.checks import judge
from models.gate.class_scores import Detail
from models.shadows.evidence import RecordGain
from models.versions.artifact import Lineage, Manifest, MemberManifest
from tests.flows.retrain.turns import Orchard


@pytest.mark.parametrize("name", ["$\\frac$", "5$ to 10$", "\\$x$_{", "a\nb\x1b[2J"])
def test_what_stands_between_dollars_is_no_formula(name: str) -> None:
    figure = draw_confusion(np.eye(2, dtype=np.int64), [name, "b"], "full: judged rows")
    figure.savefig(io.BytesIO())
    shown = figure.axes[0].get_xticklabels()[0].get_text().replace("\\$", "$")
    assert shown == name.replace("\n", "\\n").replace("\x1b", "\\x1b")


def manifest(*members: MemberManifest) -> Manifest:
    return Manifest(
        format=3, use_case="any", kind="tabular", task="binary", classes=("no", "yes"), positive="yes",
        challenger="blend", fit="full", estimator="catboost", params={"depth": 3}, members=members, seed=7,
        rows=240, notes=(), runtime="onnx", input_shape=(4,), parity=None, lineage=Lineage(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC), files={},
    )  # fmt: skip


def test_members_of_a_blend_are_a_parameter() -> None:
    members = (
        MemberManifest(name="full", weight=0.6153846, rows=240),
        MemberManifest(name="newest_8", weight=0.3846154, rows=160, window=8),
        MemberManifest(name="newest_1", weight=0, rows=80, window=1),
    )
    params = {param.key: param.value for param in _params(manifest(*members))}
    assert params["members"] == "full 0.62, newest_8 0.38, newest_1 0"
    assert (params["estimator"], params["depth"]) == ("catboost", "3")
    assert "members" not in {param.key for param in _params(manifest())}


GAIN = RecordGain(rows=800, periods=3, gain=0.004, error=0.001, lower=0.003, lost=0.006, line=0.01, age=2)


def judged(record: RecordGain | None) -> Evidence:
    decision = judge(GateConfig(), rows=10, challenger=0.9, production=0.8, differences=None, record=record)
    return Evidence(Path("any"), manifest(), (), 1.0, decision, {}, None, {}, None, Detail((), {}, None))


def test_the_record_is_told_in_figures_and_in_a_sentence() -> None:
    told = {one.key: one.value for one in _metrics(judged(GAIN), 0) if one.key.startswith("record")}
    assert told == {
        "record_gain": 0.004, "record_lower": 0.003, "record_lost": 0.006, "record_line": 0.01,
        "record_rows": 800,
    }  # fmt: skip
    made = Trained("blend", Path("any"), manifest(), None, (), 1.0)  # type: ignore[arg-type]
    assert version_tags(made, judged(GAIN).decision)["ratchet.record"] == GAIN.shown
    assert "ratchet.record" not in version_tags(made, judged(None).decision)
    assert "ratchet.compute" not in version_tags(made, judged(None).decision)
    there = replace(made, compute="2 processes of this machine")
    assert version_tags(there, judged(None).decision)["ratchet.compute"] == "2 processes of this machine"
    assert [one.key for one in _metrics(judged(None), 0) if one.key.startswith("record")] == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that MLflow is asked for."""
    paths: list[str] = []
    send = requests.Session.send

    def noted(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        paths.append(request.path_url.partition("?")[0])
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", noted)
    yield paths


MOST_REQUESTS = 40
"""That MLflow gets of a retrain of one challenger, of which each file of its model is one."""


def test_a_retrain_asks_little_of_mlflow_and_draws_when_all_else_is_done(
    empty_orchard: Orchard, asked: list[str]
) -> None:
    one = empty_orchard.changed(training={"challengers": [{"name": "full", "fit": "full"}]})
    one.take_in(300, edge=0.5)
    one.retrain()  # of the first model, beside which a plain one stands
    one.take_in(200, edge=0.5, seed=2)
    asked.clear()
    turn = one.retrain()
    assert len(turn.trained) == 1
    assert 20 < len(asked) <= MOST_REQUESTS, asked
    assert not [path for path in asked if path.endswith(CONFUSION_PICTURE)]
    uri = one.context.settings.mlflow_uri
    client = MlflowClient(uri)
    run_id = str(client.get_model_version(one.name, str(turn.version)).run_id)
    confusion = Confusion(np.eye(2, dtype=np.int64), ["good", "poor"], "full: judged rows")
    draw_pictures(uri, [Logged(run_id, "models:/any", confusion), Logged(run_id, "models:/any")])
    names = {one.path for one in client.list_artifacts(run_id)}
    assert {"confusion_matrix.json", CONFUSION_PICTURE} <= names


def test_metrics_are_told_at_once_of_the_run_and_of_its_model(
    empty_orchard: Orchard, asked: list[str]
) -> None:
    empty_orchard.take_in(300, edge=0.5)
    turn = empty_orchard.retrain()
    assert not [path for path in asked if path.endswith("metrics/get-history")]
    assert sum(path.endswith("runs/log-batch") for path in asked) <= 2 * len(turn.trained)
    client = MlflowClient(empty_orchard.context.settings.mlflow_uri)
    version = client.get_model_version(empty_orchard.name, str(turn.version))
    run = client.get_run(str(version.run_id)).data
    model = client.get_logged_model(str(version.source).removeprefix("models:/"))
    told = {one.key: one.value for one in model.metrics or ()}
    assert {"accuracy", "train_rows", "artifact_bytes"} <= told.keys()
    assert told == {name: value for name, value in run.metrics.items() if name in told}
    assert run.params.items() <= (model.params or {}).items()
