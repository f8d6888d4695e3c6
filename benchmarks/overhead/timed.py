"""An estimator whose fit takes as long as it is told: what is left of a retrain is the loop's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingStopped
from models.estimators.contract import Params, read_params

FILE = "weights.npz"
BETWEEN_LOOKS = 0.2
"""Seconds of the processor between two questions whether to stop."""


class TimedParams(Params):
    """Parameters of `Timed`."""

    cpu_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Seconds of one core that a fit takes at least."""


class Timed:
    """The mean of each class, and nearness to it; the rest of its time it computes nothing of use."""

    name: ClassVar[str] = "timed"
    kinds: ClassVar[tuple[str, ...]] = ("tabular",)

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, TimedParams, params)
        self.means: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self.notes: tuple[str, ...] = ()

    def fit(self, x: Any, y: Any, *, n_classes: int, seed: int, watch: Any) -> None:  # noqa: ARG002
        """Learn the means, then compute until the time is over."""
        until = time.thread_time() + self.params.cpu_seconds
        rows = np.asarray(x, np.float32)
        self.means = np.stack(
            [
                rows[y == one].mean(axis=0) if (y == one).any() else rows.mean(axis=0)
                for one in range(n_classes)
            ]
        )
        pause = time.thread_time()
        while time.thread_time() < until:
            if time.thread_time() - pause > BETWEEN_LOOKS:
                pause = time.thread_time()
                if watch.should_stop():
                    raise TrainingStopped
            sum(range(10_000))
        watch.epoch(1, 1, {"accuracy": float((self.predict_proba(x).argmax(axis=1) == y).mean())})

    def predict_proba(self, x: Any) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        rows = np.asarray(x, np.float32)
        far = ((rows[:, None, :] - self.means[None]) ** 2).sum(axis=2)
        near = np.exp(far.min(axis=1, keepdims=True) - far)
        return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)

    def save(self, directory: Path) -> None:
        """Write the means."""
        np.savez(directory / FILE, means=self.means)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The estimator that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / FILE, allow_pickle=False) as file:
            loaded.means = file["means"]
        return loaded
