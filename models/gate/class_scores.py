"""How a version does class by class, and which class of those that it learned is not judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import TargetConfig
from models.estimators.labels_and_thresholds import label_matrix
from models.gate.selection import LEVEL
from models.metrics.classes import ClassScore, confusion, score_classes, score_labels
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


def missing_class(
    target: TargetConfig, labels: Sequence[str], usual: Mapping[str, float], least: float
) -> str | None:
    """That hardly any of n labels are of one class, in words; None: each has enough, or chance may be why.

    A challenger that says this class less often gains on such rows, and nothing in them shows what it loses.

    Args:
        usual: share of each class among what production learned from.
        least: part of its usual share that a class must have.
    """
    from scipy.stats import binom  # slow, and most of what imports this needs it not

    if target.task == "multilabel":
        return None
    for label, share in sorted(usual.items(), key=lambda pair: -pair[1]):
        count = sum(one == label for one in labels)
        is_rare = count < least * share * len(labels)
        if is_rare and float(binom.cdf(count, len(labels), share)) <= LEVEL:
            return f"{count} of {len(labels)} are '{label}', and {share:.0%} of what production learned from"
    return None
