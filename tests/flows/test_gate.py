"""Challengers and production on the same rows: every way that the comparison can come out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from configs.schema import (
    ChallengerConfig,
    FieldConfig,
    GateConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    UseCase,
)
from features.records import Columns
from flows.gate import judge_challengers
from models.artifact import Lineage
from models.errors import ModelError
from models.estimator import SilentWatch
from models.fitting import fit_challenger, write_artifact
from models.predictor import Answers, Predictor
from tests.contract.cases import NOW

USE_CASE = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    gate=GateConfig(metric="accuracy", min_rows=50, resamples=500),
)


def rows(count: int, seed: int, *, edges: Sequence[float]) -> tuple[Columns, list[str]]:
    """Weights in 0..1, named by the first edge that they are under."""
    weights = np.random.default_rng(seed).uniform(0, 1, count)
    names = ("small", "medium", "large")
    return {"weight": weights}, [names[int(place)] for place in np.searchsorted(edges, weights)]


def predictor(folder: Path, name: str, edges: Sequence[float]) -> Predictor:
    columns, labels = rows(400, 1, edges=edges)
    fitted = fit_challenger(
        USE_CASE, columns, labels, challenger=ChallengerConfig(name="full"), watch=SilentWatch()
    )
    write_artifact(folder / name, fitted, USE_CASE, columns, lineage=Lineage(), created_at=NOW)
    return Predictor.load(folder / name)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("good"), "good", [0.3, 0.7])


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Knows two of the three classes."""
    return predictor(tmp_path_factory.mktemp("old"), "old", [0.5])


def test_the_better_model_is_promoted_though_it_knows_a_class_more(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    judgement = judge_challengers(USE_CASE, columns, labels, {"full": good}, old)
    decision = judgement.decisions["full"]
    assert (decision.verdict, decision.outcome) == ("promote", "beats_production")
    assert judgement.production_scores is not None
    assert decision.challenger == judgement.scores["full"]["accuracy"]
    assert decision.challenger > judgement.production_scores["accuracy"] + 0.2


def test_the_worse_model_is_rejected_and_the_same_one_ties(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    judgement = judge_challengers(USE_CASE, columns, labels, {"worse": old, "same": good}, good)
    assert judgement.decisions["worse"].outcome == "worse"
    assert judgement.decisions["same"].outcome == "tie"
    assert judgement.decisions["same"].interval is not None
    assert judgement.decisions["same"].interval.level == pytest.approx(0.95)


def test_no_production_few_rows_and_no_rows_are_outcomes(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(20, 2, edges=[0.3, 0.7])
    first = judge_challengers(USE_CASE, columns, labels, {"full": good}, None)
    few = judge_challengers(USE_CASE, columns, labels, {"full": good}, old)
    empty = judge_challengers(USE_CASE, {"weight": np.empty(0)}, [], {"full": good}, old)
    assert first.decisions["full"].outcome == "first_model"
    assert few.decisions["full"].outcome == "too_few_rows"
    assert empty.decisions["full"].outcome == "too_few_rows"


class Broken(Predictor):
    """A production that loads and does not answer."""

    def predict(self, columns: Columns) -> Answers:
        raise ModelError(f"no answer for {len(columns)} columns")


def test_a_production_that_does_not_answer_loses(good: Predictor, old: Predictor) -> None:
    columns, labels = rows(300, 2, edges=[0.3, 0.7])
    broken = Broken.__new__(Broken)
    broken.__dict__ = dict(old.__dict__)
    judgement = judge_challengers(USE_CASE, columns, labels, {"full": good}, broken)
    assert judgement.decisions["full"].outcome == "production_failed"
    assert "no answer for 1 columns" in judgement.decisions["full"].reason
    missing = judge_challengers(
        USE_CASE, columns, labels, {"full": good}, None, production_error="file model.onnx was changed"
    )
    assert missing.decisions["full"].outcome == "production_failed"
