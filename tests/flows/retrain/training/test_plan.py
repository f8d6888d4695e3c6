"""Which challengers a run makes, and of which rows."""

from __future__ import annotations

import numpy as np
import pytest

from configs.run_options import RunOptions
from configs.schema import (
    ChallengerConfig,
    FieldConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from flows.retrain.training.plan import planned_challengers
from flows.retrain.training.rows import drawn
from store.snapshots.frames import Frame

FULL = ChallengerConfig(name="full")
LATE = ChallengerConfig(name="late", window=100)
WARM = ChallengerConfig(name="gentle", fit="warm", params={"update_epochs": 4})


def use_case(*challengers: ChallengerConfig, estimator: str = "keras_mixed") -> UseCase:
    return UseCase(
        name="apples",
        title="Apples",
        kind="tabular",
        record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
        target=TargetConfig(task="multiclass"),
        model=ModelConfig(estimator=estimator),
        training=TrainingConfig(challengers=challengers or (FULL,), warm={"update_batch_size": 8}),
    )


def names(config: UseCase, kind: str, *, has_production: bool = True, **options: object) -> list[str]:
    asked = RunOptions.model_validate(options)
    production = config.model if has_production else None
    planned = planned_challengers(config, kind, asked, production=production)
    return [one.name for one in planned]


def test_a_retrain_makes_what_is_configured() -> None:
    assert names(use_case(FULL, LATE, WARM), "retrain") == ["full", "late", "gentle"]


def test_from_scratch_continues_from_nothing() -> None:
    assert names(use_case(FULL, WARM), "retrain", from_scratch=True) == ["full"]
    assert names(use_case(FULL, WARM), "train", from_scratch=True) == ["full"]


def test_training_continues_from_production() -> None:
    assert names(use_case(FULL, WARM), "train") == ["gentle"]
    (own,) = planned_challengers(
        use_case(FULL), "train", RunOptions(), production=ModelConfig(estimator="keras_mixed")
    )
    assert (own.fit, own.params) == ("warm", {"update_batch_size": 8})


@pytest.mark.parametrize(("estimator", "has_production"), [("keras_mixed", False), ("logistic", True)])
def test_what_cannot_be_continued_learns_from_all(estimator: str, has_production: bool) -> None:
    assert names(use_case(estimator=estimator), "train", has_production=has_production) == ["full"]


SGD = {"class": "sklearn.linear_model.SGDClassifier", "loss": "log_loss"}
FOREST = {"class": "sklearn.ensemble.RandomForestClassifier"}


@pytest.mark.parametrize(
    ("params", "planned"),
    [(SGD, "warm"), (FOREST, "full"), ({"class": "gone.package.Classifier"}, "full")],
)
def test_whether_a_class_goes_on_from_production_is_asked_of_it(params: dict[str, str], planned: str) -> None:
    production = ModelConfig(estimator="sklearn", params=params)
    (own,) = planned_challengers(use_case(FULL), "train", RunOptions(), production=production)
    assert own.fit == planned


def test_epochs_are_those_of_each_fit() -> None:
    planned = planned_challengers(
        use_case(FULL, WARM), "retrain", RunOptions(epochs=2), production=ModelConfig(estimator="keras_mixed")
    )
    assert [dict(one.params) for one in planned] == [{"epochs": 2}, {"update_epochs": 2}]


def test_epochs_are_not_asked_of_another_estimator() -> None:
    plain = ChallengerConfig(name="plain", model=ModelConfig(estimator="logistic"))
    asked = RunOptions(epochs=2)
    planned = planned_challengers(use_case(FULL, plain), "retrain", asked, production=None)
    assert [dict(one.params) for one in planned] == [{"epochs": 2}, {}]


def test_drawn_rows_keep_their_order_and_are_drawn_the_same_again() -> None:
    rows = frame_of(50).rows
    picked = drawn(rows, 20, seed=3)
    assert len(picked) == 20
    assert (np.diff(picked.seq) > 0).all()
    assert [seq for batch in picked for seq in batch.seq] == picked.seq.tolist()
    assert (drawn(rows, 20, seed=3).seq == picked.seq).all()
    assert (drawn(rows, 20, seed=4).seq != picked.seq).any()
    assert drawn(rows, 50, seed=3) is rows
    assert drawn(rows, None, seed=3) is rows


def frame_of(rows: int) -> Frame:
    texts = np.array([str(number) for number in range(rows)], dtype=object)
    return Frame(
        {"weight": np.arange(rows, dtype=np.float64)},
        texts,
        texts,
        np.arange(rows, dtype=np.int64),
        np.arange(rows).astype("datetime64[us]"),
        np.full(rows, "train", dtype=object),
    )
