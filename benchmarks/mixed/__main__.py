"""Texts beside columns: `python -m benchmarks.mixed [NAME ...]`, about half an hour on two cores.

Of each table 70 percent are learned from. Beside the estimators for `kind: mixed` stand what a person would
write with scikit-learn: tf-idf, one-hot categories and scaled numbers under a linear support vector machine
and under logistic regression, and gradient boosting of numbers, categories and 50 directions of tf-idf. The
interval (95 percent, paired bootstrap of the held-out rows) is of the accuracy of `catboost_mixed` over the
best of these three, chosen by the held-out rows, which is unfair to us. Records a second are of one thread's
processor time, from checked records to answers, in batches; `linear_text` answers the texts of the same
records, without the rest.

Ends with an error where an interval lies below zero.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from benchmarks.mixed.tables import Table, plain_columns, tables
from configs.schema import ChallengerConfig, ModelConfig, UseCase
from configs.settings import CHECKOUT
from features.encoders.contract import row_count
from features.records.contract import Columns, take
from models.estimators.fit_watch import SilentWatch
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

RESULT = CHECKOUT / "benchmarks" / "results" / "mixed.json"
LEARNED = 0.7
RESAMPLES = 2000
BATCHES = (1, 32, 256)
TIMED_ROWS = 512
FULL = ChallengerConfig(name="full")
NEW = "catboost_mixed"
Right = NDArray[np.bool_]


def main(names: list[str]) -> int:
    """Measure, print, keep; 1 when catboost_mixed is surely worse than a plain model somewhere."""
    console = Console(width=120)
    report: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count(), "tables": {}}
    lost = []
    for name, read in tables().items():
        if names and name not in names:
            continue
        result = measure(read())
        report["tables"][name] = result
        show(console, name, result)
        if result["interval"][1] < 0:
            lost.append(name)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name in lost:
        console.print(f"[red]{name}: {NEW} is surely worse than a plain model")
    return 1 if lost else 0


def measure(table: Table) -> dict[str, Any]:
    """Accuracy and speed of all on one table."""
    cut = int(LEARNED * len(table.labels))
    truth = np.array(table.labels[cut:])
    right: dict[str, Right] = {name: said == truth for name, said in plain_answers(table, cut).items()}
    best = max(right, key=lambda name: right[name].mean())
    speeds: dict[str, Any] = {}
    for estimator in (NEW, "keras_mixed"):
        model = ModelConfig(estimator=estimator)
        predictor = learn(
            table.use_case.model_copy(update={"model": model}), table.columns, table.labels, cut
        )
        right[estimator], speeds[estimator] = ask(predictor, table.columns, truth, cut)
    texts, only = texts_alone(table)
    right["linear_text"], speeds["linear_text"] = ask(learn(texts, only, table.labels, cut), only, truth, cut)
    gains = right[NEW].astype(float) - right[best]
    rows = len(gains)
    shares = np.random.default_rng(7).multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES) / rows
    return {
        "rows": len(table.labels),
        "classes": len(set(table.labels)),
        "accuracy": {name: float(hits.mean()) for name, hits in right.items()},
        "best_plain": best,
        "gain": float(gains.mean()),
        "interval": np.quantile(shares @ gains, [0.025, 0.975]).tolist(),
        "records_a_second": speeds,
    }


def plain_answers(table: Table, cut: int) -> dict[str, NDArray[Any]]:
    """What the three plain models say of the held-out rows."""
    frame, texts, numbers, categories = plain_columns(table)
    labels = np.array(table.labels)
    terms = {"sublinear_tf": True, "ngram_range": (1, 2), "min_df": 2}
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    said = {}
    for name, model in (("logistic", LogisticRegression(max_iter=500)), ("svm", LinearSVC())):
        columns = ColumnTransformer(
            [
                *((text, TfidfVectorizer(**terms), text) for text in texts),
                ("numbers", scaled, numbers),
                ("categories", OneHotEncoder(handle_unknown="ignore", min_frequency=3), categories),
            ]
        )
        fitted = make_pipeline(columns, model).fit(frame[:cut], labels[:cut])
        said[f"plain {name}"] = fitted.predict(frame[cut:])
    parts = [frame[numbers].to_numpy(np.float64)]
    for text in texts:
        vectors = TfidfVectorizer(**terms)
        learned = vectors.fit_transform(frame[text][:cut])
        directions = TruncatedSVD(min(50, learned.shape[1] - 1), random_state=0).fit(learned)
        parts.append(directions.transform(vectors.transform(frame[text])))
    if categories:
        order = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=200)
        parts.append(order.fit(frame[categories][:cut]).transform(frame[categories]))
    x = np.hstack(parts)
    boosted = HistGradientBoostingClassifier(random_state=0).fit(x[:cut], labels[:cut])
    said["plain boosting"] = boosted.predict(x[cut:])
    return said


def texts_alone(table: Table) -> tuple[UseCase, Columns]:
    """The same use case of its texts only, as `kind: text`."""
    fields = tuple(field for field in table.use_case.record.fields if field.type == "text")
    record = table.use_case.record.model_copy(update={"fields": fields})
    changes = {"kind": "text", "record": record, "model": ModelConfig(estimator="linear_text")}
    columns = {field.name: table.columns[field.name] for field in fields}
    return table.use_case.model_copy(update=changes), columns


def learn(use_case: UseCase, columns: Columns, labels: list[str], cut: int) -> Predictor:
    """A version, written and loaded as a server does."""
    fitted = fit_challenger(
        use_case, take(columns, slice(0, cut)), labels[:cut], challenger=FULL, watch=SilentWatch()
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "version"
        some = take(columns, slice(cut, cut + 100))
        write_artifact(directory, fitted, use_case, some, lineage=Lineage(), created_at=datetime.now(UTC))
        predictor = Predictor.load(directory)
        predictor.check_probe()
    return predictor


def ask(
    predictor: Predictor, columns: Columns, truth: NDArray[Any], cut: int
) -> tuple[Right, dict[str, float]]:
    """Which held-out rows are answered rightly, and how many records a second of processor time."""
    held_out = take(columns, slice(cut, None))
    right: Right = np.array(predictor.predict(held_out).labels) == truth
    speeds = {}
    for size in BATCHES:
        rows = take(held_out, slice(0, TIMED_ROWS))
        count = row_count(rows)
        parts = [take(rows, slice(start, start + size)) for start in range(0, count, size)]
        started = time.thread_time()
        for part in parts:
            predictor.predict(part)
        speeds[str(size)] = count / (time.thread_time() - started)
    return right, speeds


def show(console: Console, name: str, result: dict[str, Any]) -> None:
    console.print(f"[bold]{name}[/]: {result['rows']} rows, {result['classes']} classes", highlight=False)
    for model, accuracy in result["accuracy"].items():
        speeds = result["records_a_second"].get(model, {})
        told = ", ".join(f"{speed:,.0f}/s by {size}" for size, speed in speeds.items())
        console.print(f"  {model:16} {accuracy:.4f}  {told}", highlight=False)
    low, high = result["interval"]
    console.print(
        f"  {NEW} over {result['best_plain']}: {result['gain']:+.4f} ({low:+.4f} to {high:+.4f})",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
