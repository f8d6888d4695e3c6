"""A stream through the real servers, beside a replay of the labels that they then hold.

`python -m benchmarks.policies.served FILE` (Elec2 as a CSV file, the label last): each period is predicted
over HTTP, its labels are sent back, and `ratchet retrain` runs. The replay draws held-out rows by the same
secret of the database, and knows the audit sample.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import yaml
from rich.console import Console

from benchmarks.harness.targets import Target, show_targets
from benchmarks.policies.streams import Stream, elec2
from configs.settings import CHECKOUT
from flows.replay.starting import FIRST_PERIODS

RESULTS = CHECKOUT / "benchmarks" / "results" / "served.json"
AT_ONCE = 336
"""Records of a request."""
MOST_APART = 0.003


@dataclass(frozen=True)
class Served:
    """The servers of one stream, in a home of their own."""

    stream: Stream
    home: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What every command runs with."""
        own = {
            "RATCHET_HOME": str(self.home),
            "RATCHET_CONFIGS": str(self.home / "configs"),
            "RATCHET_USE_CASES": self.stream.name,
            "RATCHET_PORT": str(self.port),
            "RATCHET_MLFLOW_PORT": str(self.port + 1),
            "RATCHET_PREFECT_PORT": str(self.port + 2),
        }
        return {**os.environ, **own}

    def ratchet(self, *words: str) -> Any:
        """Run a command, and read what it prints."""
        command = [sys.executable, "-m", "flows.cli", *words, "--json"]
        done = subprocess.run(command, env=self.environment, cwd=CHECKOUT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout)

    def answer(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Predictions of these rows."""
        return [
            one for part in self._posted("predict", "records", _records(rows)) for one in part["predictions"]
        ]

    def label(self, predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
        """Send the true labels of predictions."""
        items = [
            {"prediction_id": one["id"], "label": label}
            for one, label in zip(predictions, labels, strict=True)
        ]
        self._posted("feedback", "items", items)

    def _posted(self, door: str, name: str, items: Sequence[Any]) -> list[Any]:
        url, parts = f"http://127.0.0.1:{self.port}/v1/{self.stream.name}/{door}", []
        for start in range(0, len(items), AT_ONCE):
            body = {name: items[start : start + AT_ONCE]}
            parts.append(httpx.post(url, json=body, timeout=60).raise_for_status().json())
        return parts


def drive(served: Served, periods: int | None, console: Console) -> tuple[float, int]:
    """Live accuracy, and how many retrains promoted."""
    rows, size = served.stream.rows, int(served.stream.period)
    first = served.home / "first.csv"
    rows.iloc[: FIRST_PERIODS * size].to_csv(first, index=False)
    served.ratchet("up", "--detach")
    served.ratchet("ingest", served.stream.name, str(first))
    served.ratchet("retrain", served.stream.name)
    right, promoted = [], 0
    starts = range(FIRST_PERIODS * size, len(rows) - size // 2, size)[:periods]
    for number, start in enumerate(starts):
        part = rows.iloc[start : start + size]
        answers = served.answer(part.drop(columns="y"))
        right += [one["label"] == label for one, label in zip(answers, part["y"], strict=True)]
        served.label(answers, part["y"].tolist())
        if start == starts[-1]:
            break
        result = served.ratchet("retrain", served.stream.name)
        promoted += result["outcome"] == "promoted"
        _wait(served, result["version"] if result["outcome"] == "promoted" else None)
        console.print(
            f"period {number + 1} of {len(starts)}: {sum(right[-len(part) :]) / len(part):.4f}, all "
            f"{sum(right) / len(right):.4f}; {result['outcome']}: {result['reason'][:160]}"
        )
    return sum(right) / len(right), promoted


def _wait(served: Served, version: int | None) -> None:
    """Until the service answers by a version."""
    url = f"http://127.0.0.1:{served.port}/v1/{served.stream.name}/model"
    while version is not None and httpx.get(url, timeout=60).json()["version"] != version:
        pass


def _records(rows: pd.DataFrame) -> list[Any]:
    return list(json.loads(rows.to_json(orient="records", double_precision=15)))


def main() -> int:
    """Drive the servers, replay, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--periods", type=int, help="so many only")
    parser.add_argument("--port", type=int, default=28300)
    options = parser.parse_args()
    console, stream = Console(), elec2(options.file)
    with tempfile.TemporaryDirectory() as folder:
        served = Served(stream, Path(folder), options.port)
        (served.home / "configs").mkdir()
        config = yaml.safe_dump(json.loads(stream.use_case.model_dump_json(exclude_defaults=True)))
        (served.home / "configs" / f"{stream.name}.yaml").write_text(config, encoding="utf-8")
        try:
            accuracy, promoted = drive(served, options.periods, console)
            replayed = served.ratchet("replay", stream.name, "--periods", stream.period)["policies"][
                "default"
            ]
        finally:
            served.ratchet("down")
    console.print(
        f"servers {accuracy:.4f} with {promoted} promotions, replay {replayed['accuracy']:.4f} with "
        f"{replayed['promotions']}"
    )
    held = [Target("apart", abs(accuracy - replayed["accuracy"]), "at most", MOST_APART, "")]
    show_targets(console, held)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"accuracy": accuracy, "promoted": promoted, "replayed": replayed}) + "\n",
        encoding="utf-8",
    )
    return 0 if all(one.met for one in held) else 1


if __name__ == "__main__":
    sys.exit(main())
