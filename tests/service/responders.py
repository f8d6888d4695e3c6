"""Versions for tests of what is said: the probabilities are given instead of learned."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from models.versions.artifact import Manifest
from models.versions.predictor import Answers, Predictor
from service.answers.responders import ModelResponder


class GivenPredictor(Predictor):
    """Answers with what it was given."""

    def __init__(self, classes: Sequence[str], thresholds: Sequence[float] | None = None) -> None:
        self.classes = tuple(classes)
        self.manifest = cast("Manifest", SimpleNamespace(estimator="given", params={}))
        self.thresholds = None if thresholds is None else np.array(thresholds, np.float32)

    @property
    def may_refuse(self) -> bool:
        return False

    def answers(self, probabilities: NDArray[np.float32]) -> Answers:
        return Answers(self.classes, probabilities, self.thresholds)

    def encode(self, columns: Any) -> Any:
        return columns["x"]

    def run(self, x: Any) -> NDArray[np.float32]:
        return np.asarray(x, dtype=np.float32)


def responder_of(classes: Sequence[str], thresholds: Sequence[float] | None = None) -> ModelResponder:
    """Says what the probabilities of these classes mean."""
    return ModelResponder(GivenPredictor(classes, thresholds))
