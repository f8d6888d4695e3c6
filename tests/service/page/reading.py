"""Digits learned in seconds: real drawings, one layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.schema import UseCase
from features.encoders.contract import fit_encoder
from features.files.datasets import load_dataset
from features.records.contract import RecordContract, take
from features.records.labels import LabelContract
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import Watch
from models.estimators.labels_and_thresholds import class_indices
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import write_artifact
from tests.service.tiny import CREATED, OneLayer, classes_of


class LearnedLayer(OneLayer):
    """The same layer, learned by logistic regression."""

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:  # noqa: ARG002
        from sklearn.linear_model import LogisticRegression

        learned = LogisticRegression(fit_intercept=False, C=0.02, max_iter=60, tol=1e-3)
        learned.fit(x.reshape(len(x), -1), y)
        self.weights = learned.coef_.T.astype(np.float32)
        self.shape = x.shape[1:]


def make_reader(directory: Path, use_case: UseCase) -> Path:
    """A version that reads digits, in `directory`, which must not exist."""
    from models.estimators.fit_watch import SilentWatch

    assert use_case.data.dataset is not None
    table = load_dataset(use_case.data.dataset)
    columns = RecordContract(use_case.record).check_table(table).all_or_raise()
    labels, _ = LabelContract(use_case.target).check(table[use_case.target.column].to_pylist())
    classes = classes_of(use_case)
    encoder = fit_encoder(use_case, columns)
    x = encoder.encode(columns)
    y = class_indices([label for label in labels if label is not None], classes)
    estimator = LearnedLayer({})
    estimator.fit(x, y, n_classes=len(classes), seed=0, watch=SilentWatch())
    fitted = FittedModel("full", "full", encoder, estimator, classes, {}, 0, len(x), ())
    directory.parent.mkdir(parents=True, exist_ok=True)
    some = take(columns, np.arange(8))
    write_artifact(directory, fitted, use_case, some, lineage=Lineage(), created_at=CREATED)
    return directory
