"""The text models beside plain ones: `make bench-texts`.

intents   CLINC150 in its own split: 150 intents and texts out of scope. The use case `intents` as configured
          learns from the training texts and answers the test; the confidence under which an answer is out
          of scope is chosen on the validation texts. Beside it tf-idf and a linear support vector machine.
papers    arXiv abstracts in order of time, the last 20% held out, the labels that 20 or more rows have. The
          use case `papers` as configured (thresholds chosen on its training rows) beside tf-idf and
          one-vs-rest logistic regression, plain and balanced, of words and of pairs. The gain is over each
          balanced one, in micro-F1, with a paired bootstrap interval at 95 percent.

Both answer from the artifact, as a server does. Data is looked for in `RATCHET_BENCH_DATA` (default
`../shared/data`), in the files `clinc150.json` and `arxiv_abstracts.csv`; a part whose file is absent is left
out. Ends with an error when CLINC150 is answered with less than 0.90 accuracy, or abstracts worse than by a
balanced regression. Whether the interval of the gain lies above zero is said: with some 390 rows held out,
only a gain of about 0.02 could be sure (docs/decisions/texts.md has what was tried).
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from configs.loading import load_use_case
from configs.schema import ChallengerConfig, UseCase
from configs.settings import CHECKOUT
from features.records.contract import Columns, RecordContract, take
from models.estimators.fit_watch import SilentWatch
from models.estimators.labels_and_thresholds import to_truth
from models.gate.bootstrap import resampled_differences
from models.metrics.catalogue import compute, score
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

DATA = Path(os.environ.get("RATCHET_BENCH_DATA", CHECKOUT.parent / "shared" / "data"))
RESULT = CHECKOUT / "benchmarks" / "results" / "texts.json"
OUT_OF_SCOPE_COST = 0.01
"""Share of right answers in scope that the chosen confidence may cost on validation texts."""
HELD_OUT = 0.2
LEAST_ROWS = 20
RESAMPLES = 5000
SINGLES = 500
FULL = ChallengerConfig(name="full")


@dataclass(frozen=True)
class Fitted:
    """A version that answers, and how long it took."""

    predictor: Predictor
    seconds: float


def main() -> int:
    """Measure, print, keep; 1 when something that must hold does not."""
    console = Console()
    report: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count()}
    failures: list[str] = []
    for name, measure in (("clinc150.json", measure_intents), ("arxiv_abstracts.csv", measure_papers)):
        if not (DATA / name).is_file():
            console.print(f"{name}: not in {DATA}; left out")
            continue
        measured, failed = measure(DATA / name)
        report |= measured
        failures += failed
    show(console, report)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1), encoding="utf-8")
    for failure in failures:
        console.print(f"[red]{failure}")
    return 1 if failures else 0


def measure_intents(path: Path) -> tuple[dict[str, Any], list[str]]:
    """CLINC150."""
    data = json.loads(path.read_text(encoding="utf-8"))
    parts = {name: list(zip(*data[name], strict=True)) for name in data}
    use_case = load_use_case(CHECKOUT / "configs" / "intents.yaml")
    field = use_case.record.fields[0].name
    texts = {name: check(use_case, {field: list(part[0])}) for name, part in parts.items()}
    fitted = fit(use_case, texts["train"], list(parts["train"][1]), texts["val"])
    right = {name: answered_right(fitted.predictor, texts[name], parts[name][1]) for name in ("val", "test")}
    confidence = choose_confidence(*right["val"])
    outside = np.array(fitted.predictor.predict(texts["oos_test"]).scores)
    hits, scores = right["test"]
    started = time.perf_counter()
    plain = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    machine = LinearSVC().fit(plain.fit_transform(parts["train"][0]), parts["train"][1])
    seconds = time.perf_counter() - started
    accuracy_plain = float(
        np.mean(machine.predict(plain.transform(parts["test"][0])) == np.array(parts["test"][1]))
    )
    result: dict[str, Any] = {
        "rows": {name: len(part[0]) for name, part in parts.items()},
        "intents": len(fitted.predictor.classes),
        "accuracy": float(hits.mean()),
        "accuracy_plain": accuracy_plain,
        "confidence": confidence,
        "accuracy_at_confidence": float((hits & (scores >= confidence)).mean()),
        "out_of_scope_recall": float((outside < confidence).mean()),
        "curve": [
            {
                "confidence": round(float(threshold), 2),
                "accuracy": float((hits & (scores >= threshold)).mean()),
                "out_of_scope_recall": float((outside < threshold).mean()),
            }
            for threshold in np.arange(0.05, 0.75, 0.05)
        ],
        "fit_seconds": fitted.seconds,
        "fit_seconds_plain": seconds,
        **speed(fitted.predictor, texts["test"]),
    }
    failed = [] if result["accuracy"] >= 0.90 else [f"CLINC150: accuracy {result['accuracy']:.4f} below 0.90"]
    return {"intents": result}, failed


def measure_papers(path: Path) -> tuple[dict[str, Any], list[str]]:
    """arXiv abstracts."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["date"])
    cut = int(len(rows) * (1 - HELD_OUT))
    counts = Counter(label for row in rows for label in set(row["subjects"].split("|")))
    classes = tuple(sorted(label for label, times in counts.items() if times >= LEAST_ROWS))
    shipped = load_use_case(CHECKOUT / "configs" / "papers.yaml")
    target = shipped.target.model_copy(update={"classes": classes})
    use_case = shipped.model_copy(update={"target": target})
    columns = check(
        use_case, {"article": [row["abstract"] for row in rows], "title": [row["title"] for row in rows]}
    )
    labels = ["|".join(sorted(set(row["subjects"].split("|")))) for row in rows]
    truth = to_truth(target, labels, classes)
    held_out = take(columns, slice(cut, None))
    fitted = fit(use_case, take(columns, slice(0, cut)), labels[:cut], held_out)
    answers = fitted.predictor.predict(held_out)
    texts = [f"{row['title']}\n{row['abstract']}" for row in rows]
    plain = {
        f"{terms}, {weights}": plain_answers(texts, truth, cut, terms, weights)
        for terms in ("words", "pairs")
        for weights in ("plain", "balanced")
    }
    one_resample = np.ones((1, len(rows) - cut))
    micro = {name: float(compute("f1_micro", truth[cut:], p, one_resample)[0]) for name, p in plain.items()}
    half = np.full(len(classes), 0.5, dtype=np.float32)
    thresholds = fitted.predictor.thresholds if fitted.predictor.thresholds is not None else half
    intervals = {}
    for name in (name for name in plain if name.endswith("balanced")):
        gains = resampled_differences(
            "f1_micro",
            truth[cut:],
            answers.probabilities,
            plain[name],
            resamples=RESAMPLES,
            seed=7,
            thresholds=(thresholds, half),
        )
        intervals[name] = np.quantile(gains, [0.025, 0.975]).tolist()
    scores = score(
        "multilabel", truth[cut:], answers.probabilities, classes, thresholds=fitted.predictor.thresholds
    )
    result: dict[str, Any] = {
        "rows": len(rows),
        "held_out": len(rows) - cut,
        "labels": len(classes),
        "scores": scores,
        "f1_micro_plain": micro,
        "gains": {name: scores["f1_micro"] - micro[name] for name in intervals},
        "intervals": intervals,
        "thresholds": fitted.predictor.manifest.thresholds,
        "fit_seconds": fitted.seconds,
        **speed(fitted.predictor, held_out),
    }
    failed = [f"abstracts: worse than {name}" for name, gain in result["gains"].items() if gain <= 0]
    return {"papers": result}, failed


def check(use_case: UseCase, values: dict[str, Sequence[str]]) -> Columns:
    """Texts by field as checked columns."""
    records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return RecordContract(use_case.record).check_records(records).all_or_raise()


def fit(use_case: UseCase, columns: Columns, labels: list[str], unseen: Columns) -> Fitted:
    """Make a version, write it, and load it as a server does."""
    started = time.perf_counter()
    fitted = fit_challenger(use_case, columns, labels, challenger=FULL, watch=SilentWatch())
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "version"
        write_artifact(directory, fitted, use_case, unseen, lineage=Lineage(), created_at=datetime.now(UTC))
        predictor = Predictor.load(directory)
        predictor.check_probe()
    return Fitted(predictor, seconds)


def answered_right(
    predictor: Predictor, columns: Columns, labels: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each answer is right, and its score."""
    answers = predictor.predict(columns)
    return np.array(answers.labels) == np.array(labels), np.array(answers.scores)


def choose_confidence(right: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The highest confidence that costs no more than a small share of the right answers."""
    return float(np.round(np.quantile(scores[right], OUT_OF_SCOPE_COST), 3))


def plain_answers(
    texts: Sequence[str], truth: NDArray[np.int64], cut: int, terms: str, weights: str
) -> NDArray[np.float32]:
    """tf-idf and one-vs-rest logistic regression."""
    options = {"ngram_range": (1, 2), "min_df": 2} if terms == "pairs" else {}
    vectors = TfidfVectorizer(sublinear_tf=True, **options)
    train_vectors, test_vectors = vectors.fit_transform(texts[:cut]), vectors.transform(texts[cut:])
    balance = "balanced" if weights == "balanced" else None
    model = OneVsRestClassifier(LogisticRegression(class_weight=balance, max_iter=1000))
    answers: NDArray[np.float32] = (
        model.fit(train_vectors, truth[:cut]).predict_proba(test_vectors).astype(np.float32)
    )
    return answers


def speed(predictor: Predictor, columns: Columns) -> dict[str, float]:
    """Milliseconds of one text alone, and texts a second in batches of 64, on one thread."""
    rows = len(next(iter(columns.values())))
    singles = [take(columns, slice(at % rows, at % rows + 1)) for at in range(SINGLES)]
    times = []
    for single in singles:
        started = time.perf_counter()
        predictor.predict(single)
        times.append(time.perf_counter() - started)
    batches = [take(columns, slice(at, at + 64)) for at in range(0, min(rows, 640), 64)]
    started = time.perf_counter()
    for batch in batches:
        predictor.predict(batch)
    texts = sum(len(next(iter(batch.values()))) for batch in batches)
    return {
        "single_ms": 1000 * float(np.median(times)),
        "single_p99_ms": 1000 * float(np.quantile(times, 0.99)),
        "texts_per_second": texts / (time.perf_counter() - started),
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """What was measured, as tables."""
    if "intents" in report:
        result = report["intents"]
        table = Table("CLINC150", "ratchet", "tf-idf and SVM", title=f"{result['intents']} intents")
        table.add_row("accuracy in scope", f"{result['accuracy']:.4f}", f"{result['accuracy_plain']:.4f}")
        table.add_row(
            f"... at confidence {result['confidence']}", f"{result['accuracy_at_confidence']:.4f}", ""
        )
        table.add_row("out-of-scope recall at it", f"{result['out_of_scope_recall']:.4f}", "")
        table.add_row("fit, s", f"{result['fit_seconds']:.1f}", f"{result['fit_seconds_plain']:.1f}")
        table.add_row("one text, ms (p99)", f"{result['single_ms']:.3f} ({result['single_p99_ms']:.3f})", "")
        console.print(table)
    if "papers" in report:
        result = report["papers"]
        table = Table(
            "abstracts", "micro-F1", title=f"{result['held_out']} held out, {result['labels']} labels"
        )
        table.add_row("ratchet", f"{result['scores']['f1_micro']:.4f}")
        for name, value in result["f1_micro_plain"].items():
            table.add_row(f"logistic regression of {name}", f"{value:.4f}")
        for name, (low, high) in result["intervals"].items():
            remark = "" if low > 0 else ", not sure"
            gain = result["gains"][name]
            table.add_row(f"gain over {name}", f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]{remark}")
        table.add_row("fit, s", f"{result['fit_seconds']:.1f}")
        table.add_row("one text, ms (p99)", f"{result['single_ms']:.3f} ({result['single_p99_ms']:.3f})")
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
