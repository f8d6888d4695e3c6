"""Three rows with numbers that cannot be meant: what a fit learns beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, UseCase
from features.records.contract import Columns
from models.estimators.fit_watch import SilentWatch
from models.versions.fit_checks import choose_fit_rows, count_beyond
from models.versions.fitting import FittedModel, fit_challenger

ABSURD = {"age": 1e9, "charges": 1e300}
LEFT_OUT = "3 rows with values that cannot be meant were left out of the fit"
ROUNDING = 1e-3
"""The same rows are learned from; only where the median and the mean lie moves, by three rows in 1,000."""


def use_case(estimator: str, fence: str) -> UseCase:
    return UseCase.model_validate(
        {
            "name": "bills",
            "title": "Bills",
            "kind": "tabular",
            "record": {"fields": [{"name": name, "type": "number"} for name in ABSURD]},
            "target": {"task": "binary", "column": "paid", "classes": ["no", "yes"], "positive": "yes"},
            "features": {"tabular": {"fence": fence}},
            "model": {
                "estimator": estimator,
                "params": {} if estimator == "logistic" else {"iterations": 30},
            },
        }
    )


def draw(rows: int, seed: int) -> tuple[Columns, list[str]]:
    """Ages, and charges with a long tail; who is old and pays much tends to pay."""
    rng = np.random.default_rng(seed)
    age, charges = rng.normal(45, 12, rows).clip(18, 95), rng.lognormal(4, 1.5, rows)
    odds = np.exp((age - 45) / 6 + (np.log(charges) - 4))
    return {"age": age, "charges": charges}, np.where(
        rng.random(rows) < odds / (1 + odds), "yes", "no"
    ).tolist()


def with_absurd(columns: Columns, labels: list[str], label: str = "no") -> tuple[Columns, list[str]]:
    """Three rows more, all with one label."""
    more = {name: np.append(column, [ABSURD[name]] * 3) for name, column in columns.items()}
    return more, [*labels, label, label, label]


def fit(config: UseCase, columns: Columns, labels: list[str]) -> FittedModel:
    return fit_challenger(
        config, columns, labels, challenger=ChallengerConfig(name="full"), watch=SilentWatch()
    )


def answers(fitted: FittedModel, columns: Columns) -> NDArray[Any]:
    return fitted.estimator.predict_proba(fitted.encoder.encode(columns))[:, 1]


@pytest.mark.parametrize("estimator", ["logistic", "catboost"])
def test_three_absurd_rows_do_not_move_what_is_answered(estimator: str) -> None:
    config = use_case(estimator, "leave_out")
    training, clean = draw(1000, 1), draw(500, 2)[0]
    spoiled = fit(config, *with_absurd(*training))
    moved = np.abs(answers(spoiled, clean) - answers(fit(config, *training), clean))
    assert moved.max() < ROUNDING
    assert spoiled.rows == 1000
    assert spoiled.notes[0] == LEFT_OUT
    assert "values of 'age' too far from all others to be meant were cut: 3" in spoiled.notes
    cut = sum(int(note.rpartition(" ")[2]) for note in spoiled.notes if " were cut: " in note)
    assert count_beyond(spoiled.notes) == {"left_out": 3, "cut": cut}


def test_only_cut_they_turn_what_is_linear() -> None:
    config = use_case("logistic", "clip")
    training, clean = draw(1000, 1), draw(500, 2)[0]
    spoiled = fit(config, *with_absurd(*training))
    moved = np.abs(answers(spoiled, clean) - answers(fit(config, *training), clean))
    assert moved.max() > 0.1
    assert spoiled.rows == 1003


def test_a_class_that_is_told_by_being_far_away_is_learned() -> None:
    """Of 1,003 rows three are fraud, and all of them far away."""
    columns, labels = with_absurd(draw(1000, 1)[0], ["no"] * 1000, "yes")
    fitted = fit(use_case("catboost", "leave_out"), columns, labels)
    assert fitted.rows == 1003
    assert not [note for note in fitted.notes if "left out" in note]


def test_labels_of_many_are_counted_each() -> None:
    columns, _ = with_absurd(*draw(1000, 1))
    encoder = fit(use_case("logistic", "leave_out"), *draw(1000, 1)).encoder
    frequent, rare = np.ones((1003, 2), dtype=np.int64), np.ones((1003, 2), dtype=np.int64)
    rare[:1000, 1] = 0
    assert choose_fit_rows(encoder, columns, frequent).absurd == 3
    assert choose_fit_rows(encoder, columns, rare).absurd == 0
