from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skops.io

from models.errors import TrainingStopped
from models.estimators.fit_watch import SilentWatch
from models.estimators.logistic import NATIVE_FILE, Logistic


def rows_of(rows: int = 90) -> tuple[np.ndarray, np.ndarray]:
    y = (np.arange(rows) % 2 * 2).astype(np.int64)
    return np.random.default_rng(0).normal(y[:, np.newaxis], 1, (rows, 3)).astype(np.float32), y


def fitted(**params: object) -> Logistic:
    model = Logistic(params)
    model.fit(*rows_of(), n_classes=4, seed=1, watch=SilentWatch())
    return model


def test_a_class_without_rows_has_probability_0(tmp_path: Path) -> None:
    model = fitted()
    x, y = rows_of()
    answers = model.predict_proba(x)
    assert answers.shape == (90, 4)
    assert (answers[:, [1, 3]] == 0).all()
    assert (answers.argmax(axis=1) == y).mean() > 0.8
    model.save(tmp_path)
    np.testing.assert_array_equal(Logistic.load(tmp_path, {}).predict_proba(x), answers)


def test_images_are_laid_flat() -> None:
    x, y = rows_of()
    images = np.repeat(x, 4, axis=1).reshape(-1, 3, 4, 1)
    model = Logistic({})
    model.fit(images, y, n_classes=3, seed=1, watch=SilentWatch())
    assert model.predict_proba(images).shape == (90, 3)


def test_a_solver_that_gave_up_is_noted() -> None:
    assert fitted(max_iter=1).notes == ("the solver had not converged after max_iter 1 steps",)
    assert fitted().notes == ()


def test_a_stop_asked_for_before_is_heard() -> None:
    class Impatient(SilentWatch):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(TrainingStopped):
        Logistic({}).fit(*rows_of(), n_classes=3, seed=1, watch=Impatient())


def test_a_file_with_other_types_is_refused(tmp_path: Path) -> None:
    skops.io.dump({"model": Path("x")}, tmp_path / NATIVE_FILE)
    with pytest.raises(Exception, match="Untrusted types"):
        Logistic.load(tmp_path, {})
