"""A challenger that cannot be made is a named outcome: the others go on."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from configs.schema import UseCase
from configs.settings import read_settings
from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.production import NO_PRODUCTION
from flows.retrain.training.challenger import Trained
from flows.retrain.training.run import train_all
from flows.retrain.training.watching import ReportingWatch
from models.errors import NoChallenger, TrainingError
from models.estimators.logistic import Logistic
from models.production.registry import Registry
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.index import Snapshot
from store.snapshots.uses import HOLDOUT, TRAIN

ROWS = 80
NEW_ROWS = 20
CONSTANT = "catboost has nothing to split by: every field has one value in all these rows"


def use_case(*windows: int, baseline: str = "never") -> UseCase:
    """One with a challenger of each window of rows."""
    challengers = [{"name": f"window_{window}", "fit": "full", "window": window} for window in windows]
    return UseCase.model_validate(
        {
            "name": "shares",
            "title": "Shares",
            "kind": "tabular",
            "record": {"fields": [{"name": "n", "type": "number"}]},
            "target": {"task": "binary", "column": "y", "classes": ["no", "yes"], "positive": "yes"},
            "model": {"estimator": "catboost", "params": {"iterations": 5}},
            "training": {"challengers": challengers, "baseline": baseline},
        }
    )


def frame() -> Frame:
    """Rows of which the newest are all the same."""
    labels = np.array(["no", "yes"] * (ROWS // 2), dtype=object)
    numbers = (labels == "yes").astype(float)
    numbers[-NEW_ROWS:] = 7.0
    return Frame(
        {"n": numbers},
        labels,
        np.array([f"row-{row}" for row in range(ROWS)], dtype=object),
        np.arange(ROWS),
        np.zeros(ROWS, dtype="datetime64[us]"),
        np.where(np.arange(ROWS) % 5 == 0, HOLDOUT, TRAIN).astype(object),
    )


def train(config: UseCase, home: Path) -> tuple[dict[str, Trained], dict[str, str]]:
    settings = read_settings({"RATCHET_HOME": str(home)})
    context = LoopContext(settings, config, "", cast("Registry", None))
    snapshot = cast("Snapshot", _Digest())
    held = HeldRun("run", 1, "", lambda _: None)
    return train_all(
        context, held, NO_PRODUCTION, snapshot, SplitRows.of(frame()), trigger="person", workdir=home / "work"
    )


class _Digest:
    digest = "abc"


def test_the_other_challengers_go_on(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    made, failed = train(use_case(10, 60), tmp_path)
    assert set(made) == {"window_60"}
    assert failed == {"window_10": CONSTANT}


def test_where_none_is_left_all_their_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoChallenger) as failed:
        train(use_case(10, 12), tmp_path)
    assert str(failed.value) == (f"no challenger could be made: window_10: {CONSTANT}; window_12: {CONSTANT}")


def test_the_reason_of_a_single_one_stands_alone(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as failed:
        train(use_case(10), tmp_path)
    assert str(failed.value) == CONSTANT


def test_a_loss_that_is_no_number_is_left_out_of_the_progress() -> None:
    said: list[Any] = []
    held = HeldRun("run", 1, "", said.append)
    watch = ReportingWatch(partial(held.say, "train", challenger="full"), held.should_stop)
    watch.epoch(1, 3, {"loss": math.nan, "accuracy": 0.5})
    watch.batch(2, 1, 3, {"loss": math.inf})
    assert "loss" not in said[0]
    assert said[0]["accuracy"] == 0.5


def test_a_plain_model_is_made_beside_others_and_in_nobodys_place(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    made, _ = train(use_case(60, baseline="first"), tmp_path)
    assert list(made) == ["window_60", "plain"]
    assert made["plain"].manifest.estimator == "sklearn"
    with pytest.raises(TrainingError) as failed:
        train(use_case(10, baseline="first"), tmp_path)
    assert str(failed.value) == CONSTANT


class Doubled(Logistic):
    """One of another package whose answers are twice what they should be."""

    kinds = ("tabular",)

    def predict_proba(self, x: Any) -> Any:
        return super().predict_proba(x) * 2


def test_one_whose_answers_are_no_probabilities_is_a_failed_challenger(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    liar = f"{__name__}:Doubled"
    config = use_case(60).model_dump()
    doubled = {"name": "doubled", "fit": "full", "model": {"estimator": liar}}
    config["training"]["challengers"] = [*config["training"]["challengers"], doubled]
    made, failed = train(UseCase.model_validate(config), tmp_path)
    assert set(made) == {"window_60"}
    assert failed["doubled"].startswith(f"{liar} gives no probabilities: its answers lie between ")
    assert failed["doubled"].endswith("allowed: probabilities, 0 to 1")
