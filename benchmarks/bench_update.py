"""Learning a new campaign from a hundred verdicts: `make bench-update`.

The use case `spam_accounts` as configured learns from made-up accounts of all campaigns but one. Then
that one begins: verdicts on accounts seen while it runs are learned from by a warm start on a copy, in a
process of its own as a worker does it, TensorFlow's import included. Recall is measured on fresh accounts of
the campaign, accuracy on the original holdout: what was learned, and what forgotten. Each campaign takes
its turn as the new one.

Ends with an error where the recall of a campaign that was not found already rises by less than 0.2, or
accuracy falls by more than 0.01.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from configs.loading import load_use_case
from configs.schema import ChallengerConfig, UseCase
from configs.settings import CHECKOUT
from features.files.batches import Batch
from features.files.labelled_rows import RowReader
from features.files.synthetic.accounts import END, make_accounts
from features.files.synthetic.campaigns import CAMPAIGNS
from features.records.contract import Columns
from models.estimators.fit_watch import SilentWatch
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

RESULT = CHECKOUT / "benchmarks" / "results" / "update.json"
KNOWN, HELD_OUT, VERDICTS, FRESH = 6000, 1500, 100, 600
LEAST_RISE, MOST_FALL = 0.2, 0.01
NEW = tuple(CAMPAIGNS)
KNOWN_ALREADY = 0.75
"""A campaign with this recall before the update does not count: little is left to learn."""
Rows = tuple[Columns, list[str]]


def main(arguments: list[str]) -> int:
    """Measure, print, keep; 1 when something that must hold does not."""
    if arguments:
        update(Path(arguments[0]), arguments[1], Path(arguments[2]))
        return 0
    console = Console()
    rows = [measure(campaign) for campaign in NEW]
    table = Table("new campaign", "recall before", "after", "accuracy before", "after", "genuine", "seconds")
    for row in rows:
        table.add_row(
            row["campaign"],
            *(f"{row[name]:.3f}" for name in ("recall_before", "recall_after")),
            *(f"{row[name]:.4f}" for name in ("accuracy_before", "accuracy_after")),
            f"{row['specificity_before']:.3f} {row['specificity_after']:.3f}",
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    unknown = [row for row in rows if row["recall_before"] < KNOWN_ALREADY]
    rise = min((row["recall_after"] - row["recall_before"] for row in unknown), default=0.0)
    fall = max(row["accuracy_before"] - row["accuracy_after"] for row in rows)
    report = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count(), "rows": rows}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1), encoding="utf-8")
    console.print(f"least rise of recall where it was below {KNOWN_ALREADY}: {rise:+.3f}")
    console.print(f"most fall of accuracy: {fall:+.4f}")
    return 0 if rise >= LEAST_RISE and fall <= MOST_FALL else 1


def measure(campaign: str) -> dict[str, Any]:
    """What a hundred verdicts on a new campaign bring, and cost."""
    use_case = shipped()
    other_campaigns = [name for name in CAMPAIGNS if name != campaign]
    training = read(use_case, make_accounts(KNOWN, seed=7, campaigns=other_campaigns))
    original = read(use_case, make_accounts(HELD_OUT, seed=8, campaigns=other_campaigns))
    fresh_table = later(FRESH, 9, campaign)
    fresh = read(use_case, fresh_table)
    is_new = np.array(fresh_table["campaign"].to_pylist()) == campaign
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted = fit_challenger(
            use_case, *training, challenger=ChallengerConfig(name="full"), watch=SilentWatch()
        )
        write_artifact(
            folder / "before", fitted, use_case, original[0], lineage=Lineage(), created_at=datetime.now(UTC)
        )
        started = time.perf_counter()
        command = [sys.executable, "-m", "benchmarks.bench_update", str(folder / "before"), campaign]
        subprocess.run([*command, str(folder / "after")], check=True, cwd=CHECKOUT)
        result: dict[str, Any] = {"campaign": campaign, "seconds": time.perf_counter() - started}
        for when in ("before", "after"):
            predictor = Predictor.load(folder / when)
            labels = np.array(predictor.predict(fresh[0]).labels)
            right = np.array(predictor.predict(original[0]).labels) == np.array(original[1])
            result[f"recall_{when}"] = float((labels[is_new] == "spam").mean())
            result[f"specificity_{when}"] = float((labels[~is_new] == "genuine").mean())
            result[f"accuracy_{when}"] = float(right.mean())
    return result


def update(before: Path, campaign: str, after: Path) -> None:
    """Learn from a hundred verdicts on a copy, as a worker does."""
    use_case = shipped()
    verdicts = read(use_case, later(VERDICTS, 10, campaign))
    warm = ChallengerConfig(name="warm", fit="warm")
    fitted = fit_challenger(use_case, *verdicts, challenger=warm, watch=SilentWatch(), parent=before)
    write_artifact(after, fitted, use_case, verdicts[0], lineage=Lineage(), created_at=datetime.now(UTC))


def shipped() -> UseCase:
    """The use case as it comes."""
    return load_use_case(CHECKOUT / "configs" / "spam_accounts.yaml")


def later(rows: int, seed: int, campaign: str) -> pa.Table:
    """Accounts seen in the two months after the known ones, when only the new campaign runs."""
    return make_accounts(rows, seed=seed, campaigns=[campaign], start=END, end=END + timedelta(days=60))


def read(use_case: UseCase, table: pa.Table) -> Rows:
    """Checked columns and labels."""
    checked = RowReader(use_case).read(Batch(table, np.arange(table.num_rows)))
    return checked.columns, checked.labels


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
