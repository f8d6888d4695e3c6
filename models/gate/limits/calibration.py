"""Can the scores of a challenger be taken at their word as well as those of production?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.gate.answers import JudgedAnswers
from models.gate.bootstrap import Interval, drawn_weights, interval_of
from models.metrics.arrays import Floats
from models.metrics.calibration import calibration_error, calibration_errors
from models.versions.predictor import Answers


@dataclass(frozen=True)
class Calibration:
    """How far scores are from how often answers are right (`models.metrics.calibration`)."""

    rows: int
    challenger: float
    production: float | None
    """None: there is none, or it does not answer."""
    rise: Interval | None
    """By how much more the challenger is off than production; None where the gate has no limit."""

    @property
    def is_worse(self) -> bool:
        """Whether it is proven that the challenger is further off than production."""
        return self.rise is not None and self.rise.low > 0


def weigh_calibration(
    use_case: UseCase,
    answers: JudgedAnswers,
    challenger: str,
    row_weights: NDArray[np.float64] | None = None,
) -> Calibration | None:
    """How a challenger and production do on the same rows; None without rows, or with many labels a row.

    Args:
        challenger: its name among the answers.
        row_weights: what each row counts for, shape (n,); default 1.
    """
    if use_case.target.task == "multilabel" or not len(answers.labels):
        return None
    gate, own = use_case.gate, _Scored.of(answers.challengers[challenger], answers.labels)
    error = calibration_error(own.right, own.scores, row_weights)
    if math.isnan(error):
        return None
    if answers.production is None:
        return Calibration(len(answers.labels), error, None, None)
    other = _Scored.of(answers.production, answers.labels)
    rise = None
    if gate.most_calibration_error is not None:
        draws = drawn_weights(len(answers.labels), gate.resamples, use_case.training.seed, row_weights)
        rises = [own.errors(weights) - other.errors(weights) for weights in draws]
        rise = interval_of(np.concatenate(rises), gate.confidence)
    had = calibration_error(other.right, other.scores, row_weights)
    return Calibration(len(answers.labels), error, had, rise)


@dataclass(frozen=True)
class _Scored:
    """n answers beside the truth: which are right, and how sure each is."""

    right: NDArray[np.bool_]
    scores: Floats

    @classmethod
    def of(cls, answers: Answers, labels: Sequence[str]) -> _Scored:
        """What one model answered."""
        same = np.array(answers.labels, dtype=object) == np.array(labels, dtype=object)
        return cls(np.asarray(same, dtype=np.bool_), np.array(answers.scores, dtype=np.float64))

    def errors(self, weights: Floats) -> Floats:
        """Of each row of weights."""
        return calibration_errors(self.right, self.scores, weights)
