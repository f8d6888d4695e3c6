"""Fits of a replay: what they answer, and that none is made twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.schema import (
    ChallengerConfig,
    FeaturesConfig,
    FieldConfig,
    MeaningFeatures,
    ModelConfig,
    RecordConfig,
    TextFeatures,
)
from features.meaning.reading import Reading
from features.meaning.sources import find_text_model
from features.pretrained.keeping import vectors_kept
from flows.replay import fits, workers
from flows.replay.fits import FitStore, Wanted, fit_key
from flows.replay.history import cut
from flows.replay.plan import Plan
from models.errors import TrainingError
from models.estimators.logistic import Logistic
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING, write_tiny_model
from tests.flows.replay.worlds import PERIOD, USE_CASE, world

FULL = ChallengerConfig(name="full")
TRAIN = np.arange(300)


def test_a_fit_answers_the_rows_that_it_has_not_learned_from(tmp_path: Path) -> None:
    history = world(5)
    train = np.setdiff1d(TRAIN, [7, 8])
    answers = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, train))
    assert answers.asked.tolist() == [7, 8, *range(300, 500)]
    assert answers.right(history, np.arange(300, 500)).mean() > 0.95
    assert answers.right(history, np.array([7, 8])).shape == (2,)
    assert answers.to(np.array([8, 400])).probabilities.sum(axis=1) == pytest.approx(1)
    assert (answers.classes, answers.positive) == (("low", "high"), "high")


def test_a_fit_is_made_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = world(5)
    made = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
    store = FitStore(tmp_path, history, USE_CASE)
    assert store.has(Wanted(FULL, TRAIN))
    monkeypatch.setattr(fits, "make_fit", None)
    again = store.get(Wanted(ChallengerConfig(name="another_name"), TRAIN))
    np.testing.assert_array_equal(again.probabilities, made.probabilities)
    np.testing.assert_array_equal(again.asked, made.asked)
    assert (again.classes, again.fit_seconds) == (made.classes, made.fit_seconds)
    assert store.asked_for == {fit_key(USE_CASE, Wanted(FULL, TRAIN)): made.fit_seconds}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04half of it", b"no archive"])
def test_a_fit_whose_file_is_damaged_is_made_again(tmp_path: Path, content: bytes) -> None:
    history = world(5)
    made = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(content)
    again = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
    np.testing.assert_array_equal(again.probabilities, made.probabilities)


def test_other_rows_parameters_features_or_windows_are_other_fits() -> None:
    other = USE_CASE.model_copy(update={"model": USE_CASE.model.model_copy(update={"params": {"c": 0.5}})})
    cut = USE_CASE.features.tabular.model_copy(update={"outliers": "clip"})
    clipped = USE_CASE.model_copy(update={"features": USE_CASE.features.model_copy(update={"tabular": cut})})
    own = ChallengerConfig(name="full", model=USE_CASE.model.model_copy(update={"params": {"c": 0.2}}))
    keys = {
        fit_key(USE_CASE, Wanted(own, TRAIN)),
        fit_key(USE_CASE, Wanted(FULL, TRAIN)),
        fit_key(clipped, Wanted(FULL, TRAIN)),
        fit_key(USE_CASE, Wanted(FULL, TRAIN[1:])),
        fit_key(USE_CASE, Wanted(ChallengerConfig(name="full", window=50), TRAIN)),
        fit_key(other, Wanted(FULL, TRAIN)),
    }
    assert len(keys) == 6
    assert fit_key(USE_CASE, Wanted(ChallengerConfig(name="else"), TRAIN)) in keys


def test_one_that_cannot_be_made_says_why_and_is_kept(tmp_path: Path) -> None:
    history = world(5)
    history.rows.labels[:300] = "low"
    for _ in range(2):
        answers = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
        assert answers.failure is not None
        assert "class" in answers.failure
        assert len(answers.classes) == 0


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("can't start new thread")])
def test_one_that_fails_for_what_the_machine_lacks_is_no_failure_of_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    history = world(5)
    with monkeypatch.context() as lacking:
        lacking.setattr(Logistic, "fit", fail)
        with pytest.raises(TrainingError, match="the machine lacks now: logistic cannot"):
            FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
    answers = FitStore(tmp_path, history, USE_CASE).get(Wanted(FULL, TRAIN))
    assert answers.failure is None
    assert answers.right(history, np.arange(300, 500)).mean() > 0.95


@pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
def test_fits_in_workers_share_the_vectors_of_texts_with_retrains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = world(4)
    texts = np.array([f"warm soup {number}" for number in range(len(history))], dtype=object)
    history = replace(history, rows=replace(history.rows, columns={"text": texts}))
    record = RecordConfig(fields=(FieldConfig(name="text", type="text"),))
    meaning = TextFeatures(meaning=MeaningFeatures(model=str(write_tiny_model(tmp_path / "model"))))
    use_case = USE_CASE.model_copy(
        update={
            "kind": "text",
            "record": record,
            "model": ModelConfig(estimator="linear_text", params={"epochs": 1}),
            "features": FeaturesConfig(text=meaning),
        }
    )
    plan = Plan(use_case, history, cut(history, PERIOD, 2), tmp_path / "plan", home=tmp_path)
    monkeypatch.setattr(workers, "_plan", plan)
    for rows in (PERIOD, 2 * PERIOD):
        workers._fit("default", Wanted(FULL, np.arange(rows)))
    with vectors_kept(tmp_path) as kept:
        find_text_model(str(tmp_path / "model")).model.embed(texts.tolist(), Reading(256, 32, 2048))
        assert (kept.found, kept.kept) == (len(texts), 0)
