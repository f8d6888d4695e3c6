"""The residual network: what it is made of, what it draws while learning, and what an update leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import ParamError
from models.estimators.fit_watch import SilentWatch
from models.estimators.keras.resnet import KerasResnet, ResnetParams, build_network
from models.versions.export import export_model

SMALL = {"filters": [4, 8], "epochs": 2, "batch_size": 16}


def rows_of(rows: int = 40, shape: tuple[int, ...] = (10, 12, 3)) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose brightest channel is their class."""
    random = np.random.default_rng(0)
    y = np.arange(rows) % 3
    x = random.random((rows, *shape), dtype=np.float32) * 0.4
    x[np.arange(rows), :, :, y] += 0.6
    return x, y.astype(np.int64)


def fitted(**params: object) -> KerasResnet:
    model = KerasResnet({**SMALL, **params})
    model.fit(*rows_of(), n_classes=3, seed=1, watch=SilentWatch())
    return model


def kinds_of(params: ResnetParams, shape: tuple[int, ...]) -> list[str]:
    return [type(layer).__name__ for layer in build_network(params, shape, 3).layers]


def test_large_pictures_are_halved_before_the_first_block() -> None:
    for side, halvings in [(8, 0), (16, 0), (32, 1), (33, 2), (64, 2), (200, 4)]:
        kinds = kinds_of(ResnetParams(), (side, side + 5, 3))
        assert kinds.count("MaxPooling2D") == halvings
        assert kinds.count("Add") == 3


def test_pictures_are_mirrored_by_default_in_colour_only() -> None:
    assert "RandomFlip" in kinds_of(ResnetParams(), (8, 8, 3))
    assert "RandomFlip" not in kinds_of(ResnetParams(), (8, 8, 1))
    assert "RandomFlip" in kinds_of(ResnetParams(flip=True), (8, 8, 1))
    plain = kinds_of(ResnetParams(flip=False, shift=0), (8, 8, 3))
    assert not any(kind.startswith("Random") for kind in plain)


@pytest.mark.parametrize("shape", [(10, 12, 3), (7, 5, 1)])
def test_what_is_exported_draws_nothing_and_agrees(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = KerasResnet(SMALL)
    x, y = rows_of(shape=shape) if shape[2] == 3 else (rows_of()[0][:, :7, :5, :1].copy(), rows_of()[1])
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    parity = export_model(model, tmp_path / "model.onnx", x)
    assert parity is not None and parity.agrees
    np.testing.assert_array_equal(model.predict_proba(x), model.predict_proba(x))


@pytest.mark.slow
def test_an_update_keeps_what_is_normalised_by(tmp_path: Path) -> None:
    model = fitted()
    means = [w for w in model.model.weights if "moving" in w.path]
    before = [np.asarray(one).copy() for one in means]
    x, y = rows_of(8)
    model.update(x, y, seed=1, watch=SilentWatch())
    after = [np.asarray(w) for w in model.model.weights if "moving" in w.path]
    assert len(before) > 4
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(layer.trainable for layer in model.model.layers)
    model.save(tmp_path)
    np.testing.assert_allclose(KerasResnet.load(tmp_path, SMALL).predict_proba(x), model.predict_proba(x))


def test_few_rows_are_gone_through_more_often() -> None:
    assert [KerasResnet({}).epochs(rows) for rows in (100, 64 * 25, 64 * 79)] == [100, 40, 20]
    assert KerasResnet({"epochs": 7}).epochs(100) == 7


def test_the_step_length_rises_and_falls() -> None:
    rate = KerasResnet({"epochs": 10, "learning_rate": 0.01, "batch_size": 10}).rate(100)
    lengths = [float(rate(step)) for step in range(101)]
    assert lengths[0] == pytest.approx(0.001)
    assert np.argmax(lengths) == 20
    assert lengths[20] == pytest.approx(0.01)
    assert lengths[100] < 0.0001
    assert (np.diff(lengths[20:]) <= 0).all()


def test_parameters_that_cannot_be_are_refused() -> None:
    with pytest.raises(ParamError, match=r"model\.params\.shift: keras_resnet got 0\.7"):
        KerasResnet({"shift": 0.7})
    with pytest.raises(ParamError, match=r"model\.params\.filters"):
        KerasResnet({"filters": []})
