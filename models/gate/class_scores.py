"""How a version does class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import TargetConfig
from models.estimators.labels_and_thresholds import label_matrix
from models.gate.metrics import ClassScore, confusion, score_classes, score_labels
from models.versions.predictor import Answers


@dataclass(frozen=True)
class Detail:
    """What one number hides."""

    classes: tuple[str, ...]
    """The model's, then those that only the rows know (never those where a row has many)."""
    class_scores: Mapping[str, ClassScore]
    confusion: NDArray[np.int64] | None
    """Counts, true class by row; None where a row has many labels, as one is not then given for another."""


def detail_scores(target: TargetConfig, labels: Sequence[str], answers: Answers) -> Detail:
    """Class by class, what these answers are worth beside the true labels."""
    if target.task == "multilabel":
        truth = label_matrix(labels, answers.classes, target.separator)
        return Detail(answers.classes, score_labels(truth, answers.label_mask, answers.classes), None)
    classes, counts = confusion(labels, answers.labels, answers.classes)
    return Detail(classes, score_classes(labels, answers.labels, answers.classes), counts)
