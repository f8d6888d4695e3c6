"""What training a network costs that does not depend on its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.estimators.checkpoints import Checkpoints
from models.estimators.fit_watch import SilentWatch
from models.estimators.keras.training import AdamSettings, import_keras, train


@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_step_is_traced_once(
    per_label: bool, is_kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = import_keras()
    losses: list[Any] = []
    compute_loss = keras.Model.compute_loss

    def counted(model: Any, *args: Any, **named: Any) -> Any:
        losses.append(model)
        return compute_loss(model, *args, **named)

    monkeypatch.setattr(keras.Model, "compute_loss", counted)
    keras.utils.set_random_seed(0)
    rows = keras.Input((4,))
    model = keras.Model(rows, keras.layers.Dense(3, activation="sigmoid" if per_label else "softmax")(rows))
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 4)).astype(np.float32)
    y = random.integers(0, 2, (20, 3)) if per_label else random.integers(0, 3, 20)
    settings = AdamSettings(rate=0.01, batch_size=8, epochs=3)
    train(model, x, y, settings, SilentWatch(), Checkpoints(tmp_path, "key") if is_kept else None)
    assert len(losses) == 1
