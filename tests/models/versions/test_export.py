from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import ParityError
from models.versions.export import export_model, measure_parity
from models.versions.writing import OWN_LIBRARY, answers_by_itself
from tests.contract.cases import Case


def test_an_export_that_answers_differently_is_refused(
    trees: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = trees.fitted.estimator
    truth = estimator.predict_proba

    def drifted(x: np.ndarray) -> np.ndarray:
        return truth(x) + np.float32(0.001)

    monkeypatch.setattr(estimator, "predict_proba", drifted)
    x = trees.fitted.encoder.encode(trees.held_out)
    with pytest.raises(
        ParityError, match=r"differs from the native one by 0\.001 on 60 rows; allowed: 0\.0001"
    ):
        export_model(estimator, tmp_path / "model.onnx", x)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_never_agrees(trees: Case, broken: float) -> None:
    x = trees.fitted.encoder.encode(trees.held_out)
    parity = measure_parity(
        trees.fitted.estimator, lambda rows: np.full((len(rows), 3), broken, np.float32), x
    )
    assert not parity.agrees


def test_another_number_of_classes_never_agrees(trees: Case) -> None:
    x = trees.fitted.encoder.encode(trees.held_out)
    parity = measure_parity(trees.fitted.estimator, lambda rows: np.zeros((len(rows), 2), np.float32), x)
    assert not parity.agrees


def test_an_estimator_without_that_power_is_not_exported(native: Case, tmp_path: Path) -> None:
    x = native.fitted.encoder.encode(native.held_out)
    assert export_model(native.fitted.estimator, tmp_path / "model.onnx", x) is None
    assert not (tmp_path / "model.onnx").exists()


def test_a_version_that_answers_by_itself_says_why(trees: Case) -> None:
    assert answers_by_itself(trees.manifest) == ()
    noted = trees.manifest.model_copy(update={"notes": (f"{OWN_LIBRARY}: it differs by 0.1", "else")})
    (told,) = answers_by_itself(noted)
    assert told.endswith("is served by its own library, not through ONNX: it differs by 0.1")
