"""What was kept before the networks shared a base: each answers, goes on and is updated as it did then.

`kept/NAME` has a network of three epochs (`model.keras`), where a fit of three stood after two
(`checkpoint.npz`), and what the release that wrote them answered (`answers.npz`): by the network kept, by the
fit that went on, and after an update with the first six rows.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.estimators.catalogue import estimator_class
from models.estimators.checkpoints import FILE, Checkpoints, read_checkpoint
from models.estimators.fit_watch import SilentWatch

KEPT = Path(__file__).parent / "kept"
NAMES = ("keras_cnn", "keras_mixed", "keras_resnet")
CLOSE = 1e-4
"""Another processor may add in another order."""


class Epochs(SilentWatch):
    """Notes which have been done."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def epoch(self, epoch: int, epochs: int, metrics: object) -> None:  # noqa: ARG002
        self.done.append(epoch)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def params_of(name: str) -> dict[str, Any]:
    params: dict[str, Any] = json.loads((KEPT / name / "params.json").read_text(encoding="utf-8"))
    return params


def answers_of(name: str) -> dict[str, np.ndarray]:
    with np.load(KEPT / name / "answers.npz") as file:
        return dict(file)


def test_a_kept_network_answers_as_it_did(name: str) -> None:
    then = answers_of(name)
    model = estimator_class(name).load(KEPT / name, params_of(name))
    np.testing.assert_allclose(model.predict_proba(then["x"]), then["kept"], atol=CLOSE)


def test_a_kept_network_is_updated_as_it_was(name: str) -> None:
    then = answers_of(name)
    model: Any = estimator_class(name).load(KEPT / name, params_of(name))
    model.update(then["x"][:6], then["y"][:6], seed=5, watch=SilentWatch())
    np.testing.assert_allclose(model.predict_proba(then["x"]), then["updated"], atol=CLOSE)
    assert np.abs(then["updated"] - then["kept"]).max() > 10 * CLOSE


def test_a_fit_goes_on_from_a_kept_checkpoint(name: str, tmp_path: Path) -> None:
    then = answers_of(name)
    shutil.copy(KEPT / name / FILE, tmp_path)
    saved = read_checkpoint(tmp_path / FILE)
    assert saved is not None and saved[1].epoch == 2
    model: Any = estimator_class(name)(params_of(name))
    watch = Epochs()
    model.fit_from(
        then["x"],
        then["y"],
        n_classes=3,
        seed=5,
        watch=watch,
        checkpoints=Checkpoints(tmp_path, saved[0]),
    )
    assert watch.done == [3]
    np.testing.assert_allclose(model.predict_proba(then["x"]), then["went_on"], atol=CLOSE)
    restored: Any = estimator_class(name)(params_of(name))
    restored.restore(
        saved[1].arrays, input_shape=then["x"].shape[1:], n_classes=3, per_label=then["y"].ndim == 2
    )
    before = np.abs(restored.predict_proba(then["x"]) - then["went_on"]).max()
    assert 10 * CLOSE < before < 0.5
