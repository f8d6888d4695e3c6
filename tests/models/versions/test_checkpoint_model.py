"""Where a training stood, as a model that answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.loading import load_use_cases
from configs.schema import ModelConfig, UseCase
from configs.settings import CHECKOUT
from models.errors import ArtifactError, TrainingStopped
from models.estimators import arrays
from models.estimators.arrays import Features
from models.estimators.checkpoints import FILE
from models.estimators.fit_watch import SilentWatch
from models.versions.checkpoint_model import load_checkpoint
from tests.contract.cases import FULL, fit
from tests.contract.generate import make_columns, tiny

USE_CASES = load_use_cases([CHECKOUT / "configs"])
BY_ESTIMATOR = {one.model.estimator: one for one in USE_CASES.values()}
BY_ESTIMATOR["keras_resnet"] = BY_ESTIMATOR["keras_cnn"].model_copy(
    update={"model": ModelConfig(estimator="keras_resnet")}
)


class Stops(SilentWatch):
    """After a number of epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def epoch(self, epoch: int, epochs: int, metrics: object) -> None:  # noqa: ARG002
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("estimator", ["linear_text", "keras_mixed", "keras_cnn"])
def test_a_checkpoint_answers_as_a_fit_of_as_many_epochs(
    estimator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case = tiny(BY_ESTIMATOR[estimator])
    columns, labels = make_columns(use_case, 120, seed=1)
    with pytest.raises(TrainingStopped):
        fit(use_case, columns, labels, watch=Stops(2), checkpoint_dir=tmp_path / "a")
    model = load_checkpoint(tmp_path / "a")
    assert model.epoch == 2
    short = FULL.model_copy(update={"params": {"epochs": 2}})
    twin = fit(use_case, columns, labels, challenger=short, checkpoint_dir=tmp_path / "b")
    held_out, _ = make_columns(use_case, 20, seed=2)
    expected = twin.estimator.predict_proba(twin.encoder.encode(held_out))
    answers = load_checkpoint(tmp_path / "a" / FILE).predict(held_out)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    assert (answers.classes, len(answers.labels)) == (twin.classes, 20)
    width = int(np.prod(twin.encoder.input_shape))
    monkeypatch.setattr(arrays, "PART_BYTES", 3 * 4 * width)  # as of rows that are too wide for all at once
    asked: list[int] = []
    answer = model.estimator.predict_proba

    def counting(x: Features) -> Features:
        asked.append(len(x))
        return answer(x)

    monkeypatch.setattr(model.estimator, "predict_proba", counting)
    parts = model.predict(held_out).probabilities
    assert asked == [3] * 6 + [2]
    np.testing.assert_allclose(parts, expected, atol=1e-5)
    assert (answers.thresholds is not None) == (use_case.target.task == "multilabel")


@pytest.mark.slow
def test_steps_that_depend_on_the_number_of_epochs_go_on_in_a_fit_of_as_many(tmp_path: Path) -> None:
    use_case = tiny(BY_ESTIMATOR["keras_resnet"])
    columns, labels = make_columns(use_case, 120, seed=1)
    held_out, _ = make_columns(use_case, 20, seed=2)

    def answers(epochs: int, folder: str, watch: SilentWatch | None = None) -> np.ndarray:
        challenger = FULL.model_copy(update={"params": {"epochs": epochs}})
        made = fit(
            use_case, columns, labels, challenger=challenger, checkpoint_dir=tmp_path / folder,
            watch=watch or SilentWatch(),
        )  # fmt: skip
        return made.estimator.predict_proba(made.encoder.encode(held_out))

    for epochs in (4, 3):  # the second finds what the first left, and begins anew
        folder = f"stopped {epochs}"
        with pytest.raises(TrainingStopped):
            answers(4, folder, Stops(2))
        assert load_checkpoint(tmp_path / folder).epoch == 2
        np.testing.assert_allclose(answers(epochs, folder), answers(epochs, f"whole {epochs}"), atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    columns, labels = make_columns(texts(), 60, seed=1)
    fit(texts(), columns, labels, checkpoint_dir=tmp_path)
    return tmp_path


def texts() -> UseCase:
    return tiny(next(use_case for use_case in USE_CASES.values() if use_case.target.task == "multilabel"))


def test_a_damaged_or_missing_checkpoint_is_told(folder: Path) -> None:
    (folder / FILE).write_bytes(b"PK cut")
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_checkpoint(folder)
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_checkpoint(folder / "nowhere")


def test_a_checkpoint_of_an_earlier_fit_is_not_taken_for_one_of_the_new(folder: Path) -> None:
    columns, labels = make_columns(texts(), 80, seed=3)
    with pytest.raises(TrainingStopped):
        fit(texts(), columns, labels, watch=Stops(0), checkpoint_dir=folder)
    with pytest.raises(ArtifactError, match="another fit"):
        load_checkpoint(folder)


def test_estimators_without_checkpoints_leave_none(tmp_path: Path) -> None:
    use_case = tiny(BY_ESTIMATOR["catboost"])
    columns, labels = make_columns(use_case, 90, seed=1)
    fit(use_case, columns, labels, checkpoint_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()
