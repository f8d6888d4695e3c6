from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs.settings import CHECKOUT
from models.estimators.checkpoints import FILE, Checkpoint, Checkpoints, open_checkpoints
from models.estimators.fit_watch import SilentWatch
from models.estimators.linear_text import LinearText

X = np.zeros((30, 2, 3), dtype=np.float32)
X[:, 0, 0], X[:, 1, 0] = np.arange(30) % 5, 1
Y = (np.arange(30) % 5 > 1).astype(np.int64)
PARAMS = {"epochs": 6, "batch_size": 4}

KILLED = """
import os, signal, sys
from pathlib import Path
from models.estimators.fit_watch import SilentWatch
from tests.models.estimators.test_checkpoints import PARAMS, X, Y, opened
from models.estimators.linear_text import LinearText

class Deadly(SilentWatch):
    def batch(self, epoch, batch, batches, metrics):
        if (epoch, batch) == (4, 2):
            os.kill(os.getpid(), signal.SIGKILL)

LinearText(PARAMS).fit_from(
    X, Y, n_classes=2, seed=1, watch=Deadly(), checkpoints=opened(Path(sys.argv[1]))
)
"""


def opened(folder: Path, seed: int = 1, **params: object) -> Checkpoints:
    return open_checkpoints(folder, "linear_text", {**PARAMS, **params}, seed, X, Y)


def fit(folder: Path, **params: int) -> tuple[LinearText, list[int]]:
    class Counting(SilentWatch):
        def epoch(self, epoch: int, epochs: int, metrics: object) -> None:  # noqa: ARG002
            ended.append(epoch)

    ended: list[int] = []
    model = LinearText({**PARAMS, **params})
    model.fit_from(X, Y, n_classes=2, seed=1, watch=Counting(), checkpoints=opened(folder, 1, **params))
    return model, ended


def test_a_killed_fit_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "a")],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    resumed, resumed_epochs = fit(tmp_path / "a")
    assert resumed_epochs == [4, 5, 6]
    uninterrupted, epochs = fit(tmp_path / "b")
    assert epochs == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(resumed.predict_proba(X), uninterrupted.predict_proba(X))


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    assert opened(tmp_path).load(6) is None
    opened(tmp_path).save(Checkpoint(3, {"a": np.arange(4)}))
    checkpoint = opened(tmp_path).load(6)
    assert checkpoint is not None
    assert (checkpoint.epoch, checkpoint.arrays["a"].tolist()) == (3, [0, 1, 2, 3])
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    opened(tmp_path).clear()
    assert opened(tmp_path).load(6) is None


def test_one_of_another_fit_is_none(tmp_path: Path) -> None:
    opened(tmp_path).save(Checkpoint(3, {}))
    assert opened(tmp_path, seed=2).load(6) is None
    assert opened(tmp_path, learning_rate=0.1).load(6) is None
    other = open_checkpoints(tmp_path, "linear_text", PARAMS, 1, X, Y[::-1])
    assert other.load(6) is None
    assert opened(tmp_path, epochs=12).load(12) is not None


def test_a_fit_of_fewer_epochs_begins_anew_and_one_of_more_goes_on(tmp_path: Path) -> None:
    fit(tmp_path / "a", epochs=5)
    fewer, epochs = fit(tmp_path / "a", epochs=2)
    assert epochs == [1, 2]
    alone, _ = fit(tmp_path / "b", epochs=2)
    np.testing.assert_array_equal(fewer.predict_proba(X), alone.predict_proba(X))
    more, epochs = fit(tmp_path / "a", epochs=5)
    assert epochs == [3, 4, 5]
    whole, _ = fit(tmp_path / "c", epochs=5)
    np.testing.assert_array_equal(more.predict_proba(X), whole.predict_proba(X))
    _, epochs = fit(tmp_path / "a", epochs=5)
    assert epochs == [], "it is whole"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"nothing of the kind"])
def test_a_damaged_one_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert opened(tmp_path).load(6) is None
