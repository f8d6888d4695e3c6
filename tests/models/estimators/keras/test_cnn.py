from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from configs.settings import CHECKOUT
from models.errors import TrainingError, TrainingStopped
from models.estimators.fit_watch import SilentWatch
from models.estimators.keras.cnn import KerasCnn
from models.versions.export import export_model

SMALL = {"filters": [3], "kernel": 3, "dense": 8, "epochs": 2, "batch_size": 16}


def rows_of(rows: int = 40, shape: tuple[int, int] = (9, 11)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = np.arange(rows) % 3
    x = random.random((rows, *shape, 1), dtype=np.float32) * 0.3
    x[np.arange(rows), :, y * 4] += 0.7
    return x, y.astype(np.int64)


class Recorder(SilentWatch):
    def __init__(self, stop_after: int = 10**9) -> None:
        self.batches: list[tuple[int, int, int]] = []
        self.epochs: list[tuple[int, int]] = []
        self.metrics: Mapping[str, float] = {}
        self.stop_after = stop_after

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self.batches.append((epoch, batch, batches))

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append((epoch, epochs))
        self.metrics = metrics

    def should_stop(self) -> bool:
        return len(self.batches) >= self.stop_after


def test_the_watch_sees_every_batch_and_epoch() -> None:
    watch = Recorder()
    KerasCnn(SMALL).fit(*rows_of(), n_classes=3, seed=1, watch=watch)
    assert watch.batches == [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
    assert watch.epochs == [(1, 2), (2, 2)]
    assert set(watch.metrics) == {"loss", "accuracy"}


def test_it_stops_between_batches() -> None:
    watch = Recorder(stop_after=4)
    with pytest.raises(TrainingStopped):
        KerasCnn(SMALL).fit(*rows_of(), n_classes=3, seed=1, watch=watch)
    assert len(watch.batches) == 4


def test_the_learning_rate_decays() -> None:
    model = KerasCnn({**SMALL, "epochs": 3, "learning_rate": 0.01, "decay": 0.5})
    model.fit(*rows_of(), n_classes=3, seed=1, watch=SilentWatch())
    assert float(model.model.optimizer.learning_rate) == pytest.approx(0.01 * 0.5**3)


def test_few_rows_are_gone_through_more_often() -> None:
    usual = KerasCnn({})
    assert (usual.epochs(43 * 32), usual.epochs(200 * 32)) == (59, 15)
    assert KerasCnn({"epochs": 4}).epochs(43 * 32) == 4
    lengths = [float(usual.rate(rows)(usual.epochs(rows) * rows // 32)) for rows in (43 * 32, 200 * 32)]
    assert lengths == pytest.approx([0.002 * 0.85**15] * 2, rel=1e-4)


def test_given_epochs_fall_as_ever_and_are_another_fit() -> None:
    given, usual = KerasCnn({"epochs": 5}), KerasCnn({})
    assert float(given.rate(1000)(5 * 32)) == pytest.approx(0.002 * 0.85**5)
    assert (given.params.decay, usual.params.decay) == (0.85, None)
    assert KerasCnn({"epochs": 5, "decay": 0.5}).params.decay == 0.5


def test_an_update_is_gentle_by_default() -> None:
    params = KerasCnn({}).params
    assert (params.update_learning_rate, params.update_batch_size, params.update_epochs) == (0.001, 1, 2)


def test_an_update_continues(tmp_path: Path) -> None:
    x, y = rows_of()
    model = KerasCnn(SMALL)
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    model.save(tmp_path)
    loaded = KerasCnn.load(tmp_path, SMALL)
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    watch = Recorder()
    loaded.update(x[:5], y[:5], seed=1, watch=watch)
    assert [batch for _, batch, _ in watch.batches] == [1, 2, 3, 4, 5] * 2
    moved = np.abs(loaded.predict_proba(x) - model.predict_proba(x)).max()
    assert 0 < moved < 0.5


@pytest.mark.parametrize("shape", [(9, 11), (28, 28)])
def test_onnx_answers_any_number_of_rows(shape: tuple[int, int], tmp_path: Path) -> None:
    x, y = rows_of(shape=shape)
    model = KerasCnn(SMALL)
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    parity = export_model(model, tmp_path / "model.onnx", x)
    assert parity is not None
    assert parity.max_difference < 1e-5


def test_no_rows_get_no_answers() -> None:
    model = KerasCnn(SMALL)
    model.fit(*rows_of(), n_classes=3, seed=1, watch=SilentWatch())
    assert model.predict_proba(rows_of()[0][:0]).shape == (0, 3)


def test_an_image_too_small_for_the_blocks_is_named() -> None:
    with pytest.raises(TrainingError, match="images of 4x12 are too small for 2 blocks with kernel 5"):
        KerasCnn({"kernel": 5, "padding": "valid"}).fit(
            *rows_of(shape=(4, 4 * 3)), n_classes=3, seed=1, watch=SilentWatch()
        )


def test_by_default_pictures_of_any_size_are_learned() -> None:
    for shape in ((2, 9), (8, 9)):
        model = KerasCnn({"filters": [3, 3], "epochs": 1})
        model.fit(*rows_of(shape=shape), n_classes=3, seed=1, watch=SilentWatch())
        assert model.predict_proba(rows_of(shape=shape)[0]).shape == (40, 3)


@pytest.mark.slow
def test_loading_tensorflow_says_nothing() -> None:
    code = (
        "from models.estimators.keras.training import import_keras; import_keras(); "
        "import os; os.write(2, b'still there')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120
    )
    assert (shown.stdout, shown.stderr) == ("", "still there")


def test_an_update_leaves_weights_between_before_and_after() -> None:
    x, y = rows_of()
    model = KerasCnn(SMALL)
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    first = model.model
    left = {}
    for share in (1.0, 0.25):
        model.params = model.params.model_copy(update={"update_share": share})
        model.model = first
        model.update(x[:5], y[:5], seed=1, watch=SilentWatch())
        left[share] = model.model.get_weights()
    for before, whole, near in zip(first.get_weights(), left[1.0], left[0.25], strict=True):
        np.testing.assert_allclose(near, before + 0.25 * (whole - before), atol=1e-6)
