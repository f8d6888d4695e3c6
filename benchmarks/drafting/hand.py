"""What a person would do by hand on the same rows: scikit-learn's boosted trees, with their defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from configs.schema import UseCase
from models.metrics.catalogue import score
from store.snapshots.frames import Frame

MOST_CATEGORIES = 255
"""That the trees take; the rarer ones of a column with more become one."""


def score_by_hand(
    use_case: UseCase, frame: Frame, classes: tuple[str, ...], metric: str, seed: int = 7
) -> float:
    """The score of boosted trees on the held-out rows of a snapshot, learned from its training rows."""
    train, held_out = frame.train, frame.holdout
    tables = _tables(use_case, train, held_out)
    model = HistGradientBoostingClassifier(random_state=seed, categorical_features="from_dtype")
    with threadpool_limits(
        1
    ):  # its threads wait for each other busily, which takes minutes on a busy machine
        model.fit(tables[0], train.labels.astype(str))
        probabilities = model.predict_proba(tables[1])
    answers = np.zeros((len(held_out), len(classes)), dtype=np.float32)
    for place, label in enumerate(model.classes_):
        answers[:, classes.index(label)] = probabilities[:, place]
    truth = np.array([classes.index(label) for label in held_out.labels])
    return score(use_case.target.task, truth, answers, classes, use_case.target.positive)[metric]


def _tables(use_case: UseCase, train: Frame, held_out: Frame) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for field in use_case.record.fields:
        values = [_plain(field.type, frame.columns[field.name]) for frame in (train, held_out)]
        if field.type == "category":
            known = pd.Series(values[0]).value_counts().index[:MOST_CATEGORIES].tolist()
            values = [pd.Categorical(one, categories=known) for one in values]
        for table, one in zip(columns, values, strict=True):
            table[field.name] = one
    return pd.DataFrame(columns[0]), pd.DataFrame(columns[1])


def _plain(kind: str, column: NDArray[Any]) -> Any:
    """Numbers; of a text how long it is, of a time its seconds."""
    if kind == "datetime":
        seconds = column.astype("datetime64[s]").astype(np.float64)
        seconds[np.isnat(column)] = np.nan
        return seconds
    if kind == "text":
        return np.array([np.nan if one is None else float(len(one)) for one in column.tolist()])
    return column if kind == "category" else column.astype(np.float64)
