"""The text models beside plain ones: `make bench-texts`.

intents   CLINC150 in its own split: 150 intents and texts out of scope. The use case `intents` as configured,
          by words; and by words and meaning, and by meaning alone, with the defaults of `linear_text`. Each
          learns from the training texts and answers the test; whatever is chosen is chosen on the validation
          texts: the weight of meaning, the confidence under which an answer is out of scope, and the one
          under which a cascade (words first) asks the one that knows meaning too. Beside them tf-idf and a
          linear support vector machine.
papers    arXiv abstracts in order of time, the last 20% held out, the labels that 20 or more rows have. The
          use case `papers` as configured (thresholds chosen on its training rows), by words, and by words
          and meaning, beside tf-idf and one-vs-rest logistic regression, plain and balanced, of words and of
          pairs. Gains are over each balanced one, in micro-F1, with a paired bootstrap interval at 95%.

All answer from the artifact, as a server does. Data is looked for in `RATCHET_BENCH_DATA` (default
`../shared/data`), in the files `clinc150.json` and `arxiv_abstracts.csv`; a part whose file is absent is left
out, and so is meaning where its extra is not installed. Vectors of texts are kept in `RATCHET_HOME` while
models learn and are judged; speeds are measured without, in seconds of one core. Ends with an error when
CLINC150 is answered with less than 0.90 accuracy by words or 0.955 by words and meaning, or abstracts worse
than by a balanced regression. Whether the interval of a gain lies above zero is said: with some 390 rows held
out, only a gain of about 0.02 could be sure (docs/decisions/texts.md has what was tried).
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from configs.pretrained.text_models import TEXT_MODELS, TOKENIZERS, is_installed
from configs.schema import ChallengerConfig, MeaningFeatures, UseCase
from configs.settings import CHECKOUT, read_settings
from features.pretrained.keeping import vectors_kept
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
WORDS, BOTH, MEANING = "words", "words and meaning", "meaning"
INTENTS_WEIGHT = 1.5
"""Of meaning beside words: best on CLINC150's validation texts, of 1, 1.5, 2, 2.5, 3 and 4."""
PAPERS_WEIGHT = 3.0
"""The same, best in three folds of the abstracts to learn from."""
CASCADE_COST = 0.001
"""Share of right answers in scope that asking the words first may cost on validation texts."""

Answered = tuple[dict[str, tuple[NDArray[np.bool_], NDArray[np.float64]]], NDArray[np.float64]]
"""By part, whether answers are right and their scores; and scores of texts out of scope."""


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
    shipped = load_use_case(CHECKOUT / "configs" / "intents.yaml")
    field = shipped.record.fields[0].name
    texts = {name: check(shipped, {field: list(part[0])}) for name, part in parts.items()}
    labels = list(parts["train"][1])
    ways, answered = {}, {}
    for way, use_case in ways_of(shipped, INTENTS_WEIGHT, {}).items():
        fitted = fit(use_case, texts["train"], labels, texts["val"])
        with vectors_kept(read_settings().home):
            right = {
                name: answered_right(fitted.predictor, texts[name], parts[name][1])
                for name in ("val", "test")
            }
            outside = np.array(fitted.predictor.predict(texts["oos_test"]).scores)
        answered[way] = (right, outside)
        ways[way] = {
            "accuracy": float(right["test"][0].mean()),
            "fit_seconds": fitted.seconds,
            **speed(fitted.predictor, texts["test"]),
        }
    compare_scopes(ways, answered)
    started = time.perf_counter()
    plain = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    machine = LinearSVC().fit(plain.fit_transform(parts["train"][0]), parts["train"][1])
    seconds = time.perf_counter() - started
    answers = machine.predict(plain.transform(parts["test"][0]))
    result: dict[str, Any] = {
        "rows": {name: len(part[0]) for name, part in parts.items()},
        "intents": len(set(labels)),
        "accuracy_plain": float(np.mean(answers == np.array(parts["test"][1]))),
        "fit_seconds_plain": seconds,
        "ways": ways,
    }
    if BOTH in ways:
        result["cascade"] = measure_cascade(ways, answered)
    failed = [
        f"CLINC150 by {way}: accuracy {ways[way]['accuracy']:.4f} below {least}"
        for way, least in ((WORDS, 0.90), (BOTH, 0.955))
        if way in ways and ways[way]["accuracy"] < least
    ]
    return {"intents": result}, failed


def ways_of(use_case: UseCase, weight: float, params: Mapping[str, Any]) -> dict[str, UseCase]:
    """The use case by words; where that is installed, by words and meaning, and by meaning alone, too.

    Args:
        use_case: as configured.
        weight: of meaning beside words.
        params: of the estimators that know meaning.
    """
    ways = {WORDS: use_case}
    if is_installed(TOKENIZERS) and is_installed(TEXT_MODELS["minilm"].package):
        meaning = MeaningFeatures(model="minilm", weight=weight)
        both = use_case.features.text.model_copy(update={"meaning": meaning})
        alone = both.model_copy(update={"words": 0, "pieces": 0})
        for way, text in ((BOTH, both), (MEANING, alone)):
            features = use_case.features.model_copy(update={"text": text})
            model = use_case.model.model_copy(update={"params": dict(params)})
            ways[way] = use_case.model_copy(update={"features": features, "model": model})
    return ways


def compare_scopes(ways: dict[str, dict[str, Any]], answered: Mapping[str, Answered]) -> None:
    """Recall of texts out of scope: at a small cost, and at the in-scope accuracy that words have then."""
    accuracy = 0.0
    for way, (right, outside) in answered.items():
        confidence = choose_confidence(*right["val"])
        accuracy = accuracy or float(np.mean(right["val"][0] & (right["val"][1] >= confidence)))
        same = float(np.quantile(right["val"][1][right["val"][0]], 1 - accuracy / right["val"][0].mean()))
        for name, threshold in (("at_a_cost", confidence), ("as_right_as_words", same)):
            hits, scores = right["test"]
            ways[way][name] = {
                "confidence": threshold,
                "accuracy": float(np.mean(hits & (scores >= threshold))),
                "out_of_scope_recall": float(np.mean(outside < threshold)),
            }


def measure_cascade(
    ways: Mapping[str, Mapping[str, Any]], answered: Mapping[str, Answered]
) -> dict[str, float]:
    """Words first, and the model of both where their score is below what the validation texts ask for."""
    words, both = answered[WORDS][0], answered[BOTH][0]
    aim = both["val"][0].mean() - CASCADE_COST

    def right(part: str, threshold: float) -> NDArray[np.bool_]:
        return np.where(words[part][1] >= threshold, words[part][0], both[part][0])

    candidates = np.arange(0.02, 1.0, 0.02)
    threshold = float(next((one for one in candidates if right("val", one).mean() >= aim), 1.0))
    asked = float(np.mean(words["test"][1] < threshold))
    seconds = 1 / ways[WORDS]["texts_per_second"] + asked / ways[BOTH]["texts_per_second"]
    return {
        "confidence": threshold,
        "asked": asked,
        "accuracy": float(right("test", threshold).mean()),
        "texts_per_second": 1 / seconds,
    }


def measure_papers(path: Path) -> tuple[dict[str, Any], list[str]]:
    """arXiv abstracts."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["date"])
    cut = int(len(rows) * (1 - HELD_OUT))
    counts = Counter(label for row in rows for label in set(row["subjects"].split("|")))
    classes = tuple(sorted(label for label, times in counts.items() if times >= LEAST_ROWS))
    shipped = load_use_case(CHECKOUT / "configs" / "papers.yaml")
    target = shipped.target.model_copy(update={"classes": classes})
    values = {"article": [row["abstract"] for row in rows], "title": [row["title"] for row in rows]}
    columns = check(shipped, values)
    labels = ["|".join(sorted(set(row["subjects"].split("|")))) for row in rows]
    truth = to_truth(target, labels, classes)
    texts = [f"{row['title']}\n{row['abstract']}" for row in rows]
    plain = {
        f"{terms}, {weights}": plain_answers(texts, truth, cut, terms, weights)
        for terms in ("words", "pairs")
        for weights in ("plain", "balanced")
    }
    one_resample = np.ones((1, len(rows) - cut))
    micro = {name: float(compute("f1_micro", truth[cut:], p, one_resample)[0]) for name, p in plain.items()}
    balanced = {name: plain[name] for name in plain if name.endswith("balanced")}
    ways = {
        way: measure_papers_way(
            use_case.model_copy(update={"target": target}), columns, labels, truth, cut, balanced
        )
        for way, use_case in ways_of(shipped, PAPERS_WEIGHT, shipped.model.params).items()
        if way != MEANING
    }
    for way in ways.values():
        way["gains"] = {name: way["scores"]["f1_micro"] - micro[name] for name in balanced}
    result: dict[str, Any] = {
        "rows": len(rows),
        "held_out": len(rows) - cut,
        "labels": len(classes),
        "f1_micro_plain": micro,
        "ways": ways,
    }
    failed = [
        f"abstracts by {way}: worse than {name}"
        for way, one in ways.items()
        for name, gain in one["gains"].items()
        if gain <= 0
    ]
    return {"papers": result}, failed


def measure_papers_way(
    use_case: UseCase,
    columns: Columns,
    labels: list[str],
    truth: NDArray[np.int64],
    cut: int,
    balanced: Mapping[str, NDArray[np.float32]],
) -> dict[str, Any]:
    """One version, and intervals of its gain over each balanced regression."""
    held_out = take(columns, slice(cut, None))
    fitted = fit(use_case, take(columns, slice(0, cut)), labels[:cut], held_out)
    with vectors_kept(read_settings().home):
        answers = fitted.predictor.predict(held_out)
    classes = use_case.target.classes
    half = np.full(len(classes), 0.5, dtype=np.float32)
    thresholds = fitted.predictor.thresholds if fitted.predictor.thresholds is not None else half
    intervals = {}
    for name, other in balanced.items():
        gains = resampled_differences(
            "f1_micro",
            truth[cut:],
            answers.probabilities,
            other,
            resamples=RESAMPLES,
            seed=7,
            thresholds=(thresholds, half),
        )
        intervals[name] = np.quantile(gains, [0.025, 0.975]).tolist()
    return {
        "scores": score("multilabel", truth[cut:], answers.probabilities, classes, thresholds=thresholds),
        "intervals": intervals,
        "thresholds": fitted.predictor.manifest.thresholds,
        "fit_seconds": fitted.seconds,
        **speed(fitted.predictor, held_out),
    }


def check(use_case: UseCase, values: Mapping[str, Sequence[str]]) -> Columns:
    """Texts by field as checked columns."""
    records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return RecordContract(use_case.record).check_records(records).all_or_raise()


def fit(use_case: UseCase, columns: Columns, labels: list[str], unseen: Columns) -> Fitted:
    """Make a version, write it, and load it as a server does."""
    started = time.perf_counter()
    with vectors_kept(read_settings().home):
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
    """Milliseconds of one text alone, and texts a second in batches of 64, in time of one core."""
    rows = len(next(iter(columns.values())))
    singles = [take(columns, slice(at % rows, at % rows + 1)) for at in range(SINGLES)]
    times = []
    for single in singles:
        started = time.process_time()
        predictor.predict(single)
        times.append(time.process_time() - started)
    batches = [take(columns, slice(at, at + 64)) for at in range(0, min(rows, 640), 64)]
    started = time.process_time()
    for batch in batches:
        predictor.predict(batch)
    texts = sum(len(next(iter(batch.values()))) for batch in batches)
    return {
        "single_ms": 1000 * float(np.median(times)),
        "single_p99_ms": 1000 * float(np.quantile(times, 0.99)),
        "texts_per_second": texts / (time.process_time() - started),
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """What was measured, as tables."""
    if "intents" in report:
        show_intents(console, report["intents"])
    if "papers" in report:
        result = report["papers"]
        table = Table(
            "abstracts", "micro-F1", title=f"{result['held_out']} held out, {result['labels']} labels"
        )
        for name, value in result["f1_micro_plain"].items():
            table.add_row(f"logistic regression of {name}", f"{value:.4f}")
        for way, one in result["ways"].items():
            table.add_row(f"ratchet, by {way}", f"{one['scores']['f1_micro']:.4f}")
            for name, (low, high) in one["intervals"].items():
                remark = "" if low > 0 else ", not sure"
                gain = one["gains"][name]
                table.add_row(f"... gain over {name}", f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]{remark}")
            table.add_row("... fit, s", f"{one['fit_seconds']:.1f}")
            table.add_row("... one text, ms (p99)", f"{one['single_ms']:.3f} ({one['single_p99_ms']:.3f})")
        console.print(table)


def show_intents(console: Console, result: Mapping[str, Any]) -> None:
    """CLINC150, a column for each way."""
    ways: Mapping[str, Any] = result["ways"]
    table = Table("CLINC150", *ways, "tf-idf and SVM", title=f"{result['intents']} intents")
    accuracies = [f"{way['accuracy']:.4f}" for way in ways.values()]
    table.add_row("accuracy in scope", *accuracies, f"{result['accuracy_plain']:.4f}")
    for name, told in (("at_a_cost", "own confidence"), ("as_right_as_words", "as right as words at theirs")):
        scopes = [way[name] for way in ways.values()]
        table.add_row(f"{told}:", *(f"{scope['confidence']:.3f}" for scope in scopes))
        table.add_row("... accuracy in scope", *(f"{scope['accuracy']:.4f}" for scope in scopes))
        table.add_row("... out-of-scope recall", *(f"{scope['out_of_scope_recall']:.3f}" for scope in scopes))
    seconds = [f"{way['fit_seconds']:.1f}" for way in ways.values()]
    table.add_row("fit, s", *seconds, f"{result['fit_seconds_plain']:.1f}")
    single = [f"{way['single_ms']:.3f} ({way['single_p99_ms']:.3f})" for way in ways.values()]
    table.add_row("one text, ms (p99)", *single)
    table.add_row("texts a second, one core", *(f"{way['texts_per_second']:.0f}" for way in ways.values()))
    console.print(table)
    if cascade := result.get("cascade"):
        console.print(
            f"cascade: words first; both are asked below {cascade['confidence']:.2f}, which are "
            f"{cascade['asked']:.1%}: accuracy {cascade['accuracy']:.4f}, "
            f"{cascade['texts_per_second']:.0f} texts a second"
        )


if __name__ == "__main__":
    sys.exit(main())
