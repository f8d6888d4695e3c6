"""The records that are sent: pictures, rows of 20 fields and short texts; and versions that answer them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import model
from configs.loading import load_use_case
from configs.schema import UseCase
from configs.settings import CHECKOUT

FOLDER = Path(__file__).parent
"""Of the configurations that are for benchmarks only."""
PICTURE, ROW, TEXT = "digits", "hot_row", "hot_text"
KINDS = {PICTURE: "28x28 picture", ROW: "row of 20 fields", TEXT: "short text"}
TRAINING_ROWS = 4000
WORDS = {
    "money": ("account", "card", "transfer", "balance", "loan", "interest", "bank", "pay", "fee", "refund"),
    "travel": (
        "flight",
        "hotel",
        "train",
        "ticket",
        "passport",
        "visa",
        "luggage",
        "airport",
        "seat",
        "city",
    ),
    "food": ("pizza", "recipe", "dinner", "restaurant", "salad", "coffee", "bread", "order", "table", "soup"),
    "home": ("lights", "heating", "door", "kitchen", "cleaner", "garden", "window", "music", "alarm", "lamp"),
}
FILLERS = (
    "please",
    "can",
    "you",
    "show",
    "me",
    "how",
    "to",
    "the",
    "my",
    "a",
    "for",
    "what",
    "is",
    "when",
    "with",
    "from",
)


def make_records(use_case: UseCase, count: int, seed: int = 7) -> tuple[list[dict[str, Any]], list[str]]:
    """Records and their labels, always the same for a seed."""
    random = np.random.default_rng(seed)
    if use_case.name == ROW:
        return _rows(use_case, count, random)
    records, labels = [], []
    for _ in range(count):
        topic = str(random.choice(list(WORDS)))
        words = [*random.choice(WORDS[topic], 3), *random.choice(FILLERS, 7)]
        random.shuffle(words)
        records.append({"text": " ".join(map(str, words))})
        labels.append(topic)
    return records, labels


def _rows(
    use_case: UseCase, count: int, random: np.random.Generator
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows whose outcome depends on three of their fields."""
    records, labels = [], []
    for _ in range(count):
        row: dict[str, Any] = {}
        for field in use_case.record.fields:
            if field.type == "category":
                row[field.name] = str(random.choice(field.categories))
            elif field.type == "boolean":
                row[field.name] = bool(random.random() < 0.5)
            else:
                value = random.normal(50, 20)
                row[field.name] = int(value) if field.type == "integer" else round(float(value), 2)
        leaning = (row["amount"] - row["balance"]) / 20 + (row["region"] == "north") - 0.5 * row["member"]
        labels.append("stays" if leaning < -0.5 else "buys" if leaning < 0.8 else "leaves")
        records.append(row)
    return records, labels


def use_case_of(kind: str) -> UseCase:
    """The configuration that declares a kind's records."""
    return load_use_case((CHECKOUT / "configs" if kind == PICTURE else FOLDER) / f"{kind}.yaml")


def requests_of(kind: str, count: int) -> list[dict[str, Any]]:
    """Records as callers send them."""
    if kind == PICTURE:
        return [{"image": image} for image in model.digit_images(count)]
    return make_records(use_case_of(kind), count, seed=11)[0]


def artifacts() -> dict[str, Path]:
    """The version that answers each kind; learned once and kept in `build/`."""
    found = {PICTURE: model.versions()[0]}
    for kind in (ROW, TEXT):
        content = (FOLDER / f"{kind}.yaml").read_bytes()
        folder = model.FOLDER / f"{kind}-{hashlib.sha256(content).hexdigest()[:12]}"
        if not folder.is_dir():
            command = [sys.executable, "-m", "benchmarks.hot_path.records", kind, str(folder)]
            subprocess.run(command, cwd=CHECKOUT, check=True)
        found[kind] = folder / "1"
    return found


def train(kind: str, folder: Path) -> None:
    """Learn a version, which is written below a folder."""
    from features.records.contract import RecordContract
    from models.estimators.fit_watch import SilentWatch
    from models.versions.artifact import Lineage
    from models.versions.fitting import fit_challenger
    from models.versions.writing import write_artifact

    use_case = use_case_of(kind)
    records, labels = make_records(use_case, TRAINING_ROWS)
    columns = RecordContract(use_case.record).check_records(records).all_or_raise()
    training = {name: column[:-500] for name, column in columns.items()}
    held_out = {name: column[-500:] for name, column in columns.items()}
    plan = use_case.training.challengers[0]
    fitted = fit_challenger(use_case, training, labels[:-500], challenger=plan, watch=SilentWatch())
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write_artifact(draft / "1", fitted, use_case, held_out, lineage=Lineage(), created_at=datetime.now(UTC))
    draft.rename(folder)


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]))
