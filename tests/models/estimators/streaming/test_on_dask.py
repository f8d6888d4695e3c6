"""Trees grown on a cluster of processes answer as those grown here, within what the decision names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import TrainingStopped
from models.estimators.arrays import ArrayRows
from models.estimators.contract import Partitioned, Takes, takes
from models.estimators.fit_watch import SilentWatch
from models.estimators.logistic import Logistic
from models.estimators.streaming.logistic import LogisticBatches
from models.estimators.streaming.xgboost import Xgboost
from models.versions.export import export_model

COUNT, TRAINED = 12_000, 9_000
PARAMS = {"trees": 40, "depth": 4}
DIFFERENT = 0.02
"""Mean difference of their answers: bins are found by other sketches, so some splits are others."""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def rows_of(classes: int) -> tuple[Any, Any]:
    random = np.random.default_rng(4)
    x = random.normal(size=(COUNT, 8)).astype(np.float32)
    score = x[:, 0] + x[:, 1] * x[:, 2] + 0.7 * random.normal(size=COUNT)
    y = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])).astype(np.int64)
    x[random.random(x.shape) < 0.05] = np.nan
    x[:, 7] = random.integers(0, 5, COUNT)
    return x, y


def made(**params: Any) -> Xgboost:
    estimator = Xgboost({**PARAMS, **params})
    estimator.take_categories({7: 5})
    return estimator


class Counting(SilentWatch):
    def __init__(self, patience: int = 1_000_000) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.losses: list[float] = []
        self.patience = patience

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append((epoch, epochs))
        self.losses.append(metrics["loss"])

    def should_stop(self) -> bool:
        return len(self.epochs) >= self.patience


def loss(answers: Any, y: Any) -> float:
    return float(-np.log(np.clip(answers[np.arange(len(y)), y], 1e-9, 1)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weights", ["equal", "balanced"])
def test_a_cluster_and_this_process_come_to_the_same(
    classes: int, weights: str, client: Any, tmp_path: Path
) -> None:
    x, y = rows_of(classes)
    rows = ArrayRows(x[:TRAINED], y[:TRAINED], most=2000)
    here, there, watch = made(class_weights=weights), made(class_weights=weights), Counting()
    here.fit_batches(rows, n_classes=classes, seed=3, watch=SilentWatch())
    there.fit_partitions(rows, client, n_classes=classes, seed=3, watch=watch)
    one, other = here.predict_proba(x[TRAINED:]), there.predict_proba(x[TRAINED:])
    assert np.abs(one - other).mean() < DIFFERENT
    assert abs(loss(one, y[TRAINED:]) - loss(other, y[TRAINED:])) < 0.01
    assert loss(other, y[TRAINED:]) < 0.8 * np.log(classes)
    assert watch.epochs == [(number, 40) for number in range(1, 41)]
    assert watch.losses[-1] < watch.losses[0]
    parity = export_model(there, tmp_path / "model.onnx", x[TRAINED:])
    assert parity is not None
    assert parity.agrees


@pytest.mark.slow
def test_a_training_on_a_cluster_stops_when_asked(client: Any) -> None:
    x, y = rows_of(2)
    estimator = made(trees=5000)
    watch = Counting(patience=3)
    with pytest.raises(TrainingStopped):
        estimator.fit_partitions(ArrayRows(x, y, most=3000), client, n_classes=2, seed=3, watch=watch)
    assert 3 <= len(watch.epochs) < 5000
    again = made()
    again.fit_partitions(ArrayRows(x, y, most=3000), client, n_classes=2, seed=3, watch=SilentWatch())
    assert again.predict_proba(x).shape == (COUNT, 2)


def test_estimators_say_how_they_take_rows() -> None:
    assert takes(Xgboost({})) is Takes.PARTITIONS
    assert takes(LogisticBatches({})) is Takes.BATCHES
    assert takes(Logistic({})) is Takes.ALL_ROWS
    assert isinstance(Xgboost({}), Partitioned)
