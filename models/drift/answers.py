"""Answers and labels as columns that a drift check can compare; comparing them is outside.

Answers are what production says of records: the label, how sure it was of it, and where classes are few how
probable each was. Both sides are answers of one version, to records that it has not learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from models.drift.columns import FREQUENT
from models.drift.decision import DriftDecision
from models.drift.drawn import DrawnRows
from models.drift.judging import Parts, judge_frames
from models.versions.predictor import Answers

FEW_CLASSES = 5
"""Of so many classes the probability of each is a column; of two classes that of one says all."""
MOST_LABELS = 30
"""Where a row may have many labels, each of the most common is a column."""
LABEL, SCORE, COUNT = "label", "score", "labels"


@dataclass(frozen=True)
class LearnedLabels:
    """Labels that were learned, of which not all are compared."""

    counts: Mapping[str, int]
    """Label to how many rows have it (`count_labels`)."""
    parts: Parts


def describe_answers(answers: Answers) -> pd.DataFrame:
    """Columns of n answers: `score`, `score of CLASS` where they are few, and `label`.

    Where a record may have many labels the last is the list of them, as `judge_labelled` takes it.
    """
    table: dict[str, object] = {SCORE: np.asarray(answers.scores, dtype=np.float64)}
    if 2 < len(answers.classes) <= FEW_CLASSES or (len(answers.classes) == 2 and _has_many(answers)):
        for place, name in enumerate(answers.classes):
            table[f"score of {name}"] = answers.probabilities[:, place].astype(np.float64)
    table[LABEL] = _objects(answers.label_sets if _has_many(answers) else answers.labels)
    return pd.DataFrame(table)


def describe_labels(labels: Sequence[str], separator: str | None) -> pd.DataFrame:
    """The column `label` of n true labels; where there may be many, the list of them."""
    if separator is None:
        return pd.DataFrame({LABEL: _objects(list(labels))})
    return pd.DataFrame({LABEL: _objects([one.split(separator) if one else [] for one in labels])})


def count_labels(counts: Mapping[str, int], separator: str | None) -> Mapping[str, int]:
    """Label to how many rows have it, of the labels as they are stored; where there may be many, of each."""
    if separator is None:
        return counts
    each: Counter[str] = Counter()
    for labels, rows in counts.items():
        for label in dict.fromkeys(labels.split(separator) if labels else []):
            each[label] += rows
    return each


def judge_labelled(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    seed: int,
    learned: LearnedLabels | None = None,
) -> tuple[DriftDecision, DrawnRows]:
    """The decision on what `describe_answers` or `describe_labels` gave, oldest first: any column is enough.

    They are a family of their own: a column that has moved counts whatever the number of the data's columns,
    and is corrected for those beside it only.

    Args:
        learned: of what the reference is a part; None: it is all of it.
    """
    counts = None if learned is None else learned.counts
    before, now = _spread(reference, current, counts)
    distinct = 0 if LABEL not in before else before[LABEL].nunique() if counts is None else len(counts)
    own = config.model_copy(update={"threshold": config.answers_threshold, "share": 0.0, "ignore": ()})
    # Of many classes, all alike, each is rarer than a category that is compared by itself elsewhere.
    frequent = min(FREQUENT, 0.5 / max(2, distinct))
    parts = None if learned is None else learned.parts
    return judge_frames(own, before, now, seed=seed, frequent=frequent, parts=parts)


def _spread(
    reference: pd.DataFrame, current: pd.DataFrame, learned: Mapping[str, int] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lists of labels as their number and, of the most common in both, whether each is among them."""
    if not any(isinstance(one, list) for one in reference[LABEL].head(1)):
        return reference, current
    counts = Counter(label for one in current[LABEL] for label in one)
    before = Counter(label for one in reference[LABEL] for label in one) if learned is None else learned
    common = [label for label, _ in (Counter(before) + counts).most_common(MOST_LABELS)]
    return _spread_one(reference, common), _spread_one(current, common)


def _spread_one(frame: pd.DataFrame, common: Sequence[str]) -> pd.DataFrame:
    sets = [set(one) for one in frame[LABEL]]
    table = {f"label {name}": _objects(["yes" if name in one else "no" for one in sets]) for name in common}
    counts = np.array([len(one) for one in sets], dtype=np.float64)
    return frame.drop(columns=LABEL).assign(**{COUNT: counts}, **table)


def _has_many(answers: Answers) -> bool:
    return answers.thresholds is not None


def _objects(values: Sequence[object]) -> pd.Series:
    return pd.Series(list(values), dtype=object)
