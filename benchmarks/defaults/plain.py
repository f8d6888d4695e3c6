"""A plain line of scikit-learn for each kind of data, with its own defaults."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from benchmarks.defaults.data_set import DataSet
from benchmarks.defaults.ours import Answered

SEED = 7
MOST_CATEGORIES = 255
"""That the trees take; the rarer ones of a column with more become one."""


def plain_models(data: DataSet) -> dict[str, Any]:
    """Name to a model that has not learned yet."""
    if data.table is not None:
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        columns = make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        )
        return {
            "histogram": HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=SEED),
            "logistic": make_pipeline(columns, LogisticRegression(max_iter=1000)),
        }
    if data.pictures is not None:
        return {
            "svc": make_pipeline(StandardScaler(), SVC(random_state=SEED)),
            "svc_unscaled": SVC(random_state=SEED),
        }
    return {"tfidf_svc": make_pipeline(TfidfVectorizer(), LinearSVC(random_state=SEED))}


def inputs_of(data: DataSet) -> Any:
    """The rows as scikit-learn takes them: categories as pandas' own, pictures flat from 0 to 1."""
    if data.table is not None:
        words = data.table.select_dtypes(exclude="number").columns
        table = data.table.assign(**{name: _few_categories(data.table[name]) for name in words})
        return table.astype(dict.fromkeys(words, "category"))
    if data.pictures is not None:
        return data.pictures.reshape(len(data.pictures), -1) / 255
    return np.array(data.texts, dtype=object)


def _few_categories(values: pd.Series[Any]) -> pd.Series[Any]:
    frequent = values.astype(str).value_counts().index[: MOST_CATEGORIES - 1]
    if values.nunique() <= MOST_CATEGORIES:
        return values
    return values.astype(str).where(values.isna() | values.astype(str).isin(frequent), "another")


def answer_plainly(
    data: DataSet, classes: tuple[str, ...], train: NDArray[np.intp], test: NDArray[np.intp]
) -> Mapping[str, Answered]:
    """The answers of each plain model to the held-out rows, one class a row, as 0 and 1."""
    x = inputs_of(data)
    first, others = (x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows] for rows in (train, test))
    answers = {}
    for name, model in plain_models(data).items():
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(first, data.labels[train])
            seconds = time.perf_counter() - started
            given = model.predict(others)
        answers[name] = Answered((given[:, np.newaxis] == np.array(classes)).astype(np.float32), seconds)
    return answers
