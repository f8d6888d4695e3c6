"""Answers and labels as columns that a drift check can compare; comparing them is outside.

Answers are what production says of records: the label, how sure it was of it, and where classes are few how
probable each was. Both sides are answers of one version, to records that it has not learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from models.drift.columns import FREQUENT
from models.drift.decision import DriftDecision
from models.drift.drawn import DrawnRows
from models.drift.judging import judge_frames
from models.versions.predictor import Answers

FEW_CLASSES = 5
"""Of so many classes the probability of each is a column; of two classes that of one says all."""
MOST_LABELS = 30
"""Where a row may have many labels, each of the most common is a column."""
LABEL, SCORE, COUNT = "label", "score", "labels"


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


def judge_labelled(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, seed: int
) -> tuple[DriftDecision, DrawnRows]:
    """The decision on what `describe_answers` or `describe_labels` gave, oldest first: any column is enough.

    They are a family of their own: a column that has moved counts whatever the number of the data's columns,
    and is corrected for those beside it only.
    """
    before, now = _spread(reference, current)
    classes = 2 if LABEL not in before else max(2, before[LABEL].nunique())
    own = config.model_copy(update={"threshold": config.answers_threshold, "share": 0.0, "ignore": ()})
    # Of many classes, all alike, each is rarer than a category that is compared by itself elsewhere.
    return judge_frames(own, before, now, seed=seed, frequent=min(FREQUENT, 0.5 / classes))


def _spread(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lists of labels as their number and, of the most common in both, whether each is among them."""
    if not any(isinstance(one, list) for one in reference[LABEL].head(1)):
        return reference, current
    counts = Counter(label for frame in (reference, current) for one in frame[LABEL] for label in one)
    common = [label for label, _ in counts.most_common(MOST_LABELS)]
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
