"""A version beside the one that was made again: answers to the probe and to held-out rows, and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.estimators.labels_and_thresholds import to_truth
from models.metrics.catalogue import score
from models.versions.predictor import Answers, Predictor
from store.snapshots.frames import Frame


@dataclass(frozen=True)
class Agreement:
    """How two versions answer the same rows."""

    rows: int
    max_difference: float
    """Largest difference of two probabilities."""
    same_labels: float
    """Share of the rows that get the same label or labels."""


@dataclass(frozen=True)
class Metric:
    """What both reach on the held-out rows."""

    registered: float
    reproduced: float

    @property
    def difference(self) -> float:
        """How far they are apart; two that are not there are the same."""
        if np.isnan(self.registered) and np.isnan(self.reproduced):
            return 0.0
        return abs(self.registered - self.reproduced)


@dataclass(frozen=True)
class Comparison:
    """All that is compared."""

    probe: Agreement
    holdout: Agreement
    metrics: Mapping[str, Metric]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON, which has no NaN."""
        values = {name: {**asdict(one), "difference": one.difference} for name, one in self.metrics.items()}
        metrics = {
            name: {key: value if np.isfinite(value) else None for key, value in one.items()}
            for name, one in values.items()
        }
        return {"probe": asdict(self.probe), "holdout": asdict(self.holdout), "metrics": metrics}

    @property
    def largest(self) -> float:
        """Largest difference of all; NaN where an answer is no number."""
        metrics = [one.difference for one in self.metrics.values()]
        return float(np.max([self.probe.max_difference, self.holdout.max_difference, *metrics]))


def compare(
    registered: Predictor, reproduced: Predictor, probe: Sequence[str], holdout: Frame
) -> Comparison | None:
    """Ask both what they were to answer the same; None where they do not know the same classes.

    Args:
        probe: records that the version is tried with at each load, as canonical JSON.
        holdout: rows that neither has learned from.
    """
    if registered.classes != reproduced.classes:
        return None
    theirs, ours = (one.predict(holdout.columns) for one in (registered, reproduced))
    scores = [_scores(one, answers, holdout) for one, answers in ((registered, theirs), (reproduced, ours))]
    return Comparison(
        _agreement(*(one.predict(one.contract.from_json(probe)) for one in (registered, reproduced))),
        _agreement(theirs, ours),
        {name: Metric(value, scores[1][name]) for name, value in scores[0].items()},
    )


def _agreement(theirs: Answers, ours: Answers) -> Agreement:
    differences = np.abs(theirs.probabilities.astype(np.float64) - ours.probabilities)
    same = (theirs.label_mask == ours.label_mask).all(axis=1)
    return Agreement(len(same), float(differences.max(initial=0.0)), float(same.mean()) if len(same) else 1.0)


def _scores(predictor: Predictor, answers: Answers, rows: Frame) -> dict[str, float]:
    manifest = predictor.manifest
    truth = to_truth(predictor.use_case.target, list(rows.labels), answers.classes)
    return score(
        manifest.task, truth, answers.probabilities, answers.classes, manifest.positive, answers.thresholds
    )
