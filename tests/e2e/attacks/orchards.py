"""Use cases for attacks on a whole stack, one for each attack and door; pool and record are as shipped."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np

from configs.api_keys import add_key
from configs.settings import Settings
from models.versions.predictor import Predictor
from store.database.connection import connect, database_url
from store.predictions.audits import is_audited
from tests.e2e.stacks import running_stack
from tests.e2e.test_turn import ratchet

Door = Literal["http", "file"]
DOORS: tuple[Door, ...] = ("http", "file")
Row = dict[str, Any]
"""A labelled apple: `id`, `at`, fields and `grade`, as a file has them."""
NUMBERS = count(1)
EDGE = 0.5
CONFIG = """
name: {name}
title: Apples
kind: tabular
record:
  id_column: id
  time_column: at
  fields:
    - {{name: weight, type: number}}
    - {{name: sugar, type: number}}
    - {{name: colour, type: category, categories: [red, green]}}
target: {{task: multiclass, column: grade, classes: [good, poor]}}
model: {{estimator: catboost, params: {{iterations: 30}}}}
training: {{holdout: {{min_rows: 100}}}}
gate: {{metric: accuracy, min_rows: 50}}
schedule: {{ingest: null, drift: null, retrain: null}}
"""
KEYS = ("shop", "mallory")


def grow(number: int, *, seed: int, name: str = "a", edge: float = EDGE, noise: float = 0.0) -> list[Row]:
    """Apples that are good above a weight, but for some that nobody could grade right."""
    random = np.random.default_rng(seed)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = []
    for place in range(number):
        weight, sugar = (round(float(one), 6) for one in random.uniform(size=2))
        is_good = (weight > edge) != (random.uniform() < noise)
        rows.append(
            {
                "id": f"{name}-{seed}-{place}", "at": now, "weight": weight, "sugar": sugar,
                "colour": str(random.choice(["red", "green"])), "grade": "good" if is_good else "poor",
            }
        )  # fmt: skip
    return rows


def soon(rows: Sequence[Row]) -> list[Row]:
    """The same, dated 20 hours ahead."""
    at = (datetime.now(UTC) + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [row | {"at": at} for row in rows]


def turned(rows: Sequence[Row], low: float = 0.0, high: float = 1.0) -> list[Row]:
    """The same, with the opposite label between two weights."""
    other = {"good": "poor", "poor": "good"}
    return [row | {"grade": other[row["grade"]]} if low < row["weight"] <= high else row for row in rows]


def record_of(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("at", "grade")}


@dataclass(frozen=True)
class Orchard:
    """One use case of a running stack, and the door through which its labels come."""

    settings: Settings
    tokens: dict[str, str]
    name: str
    door: Door
    folder: Path
    """Of configurations."""

    def configure(self, old: str, new: str) -> None:
        """Change the configuration, as a person does in the file."""
        path = self.folder / f"{self.name}.yaml"
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")

    def post(self, route: str, body: Any, *, key: str = "shop") -> Any:
        url = f"{self.settings.service_url}/v1/{self.name}/{route}"
        response = httpx.post(url, json=body, headers={"x-api-key": self.tokens[key]}, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def send(self, rows: Sequence[Row], *, key: str = "shop") -> None:
        """Label by the door of this orchard; over HTTP with this key."""
        if self.door == "file":
            self.write(rows)
            return
        items = [{"record": record_of(row), "label": row["grade"], "event_time": row["at"]} for row in rows]
        for start in range(0, len(items), 500):
            told = self.post("feedback", {"items": items[start : start + 500]}, key=key)
            assert told["rejected"] == [], told

    def write(self, rows: Sequence[Row]) -> None:
        """By `ratchet ingest`, whatever the door."""
        path = self.folder / f"{self.name}-{next(NUMBERS)}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        report = ratchet(self.settings, "ingest", self.name, str(path))
        assert report["quarantined"] == 0, report

    def answer(self, rows: Sequence[Row]) -> list[str]:
        """Ask what serves about records, and return the ids of the predictions."""
        ids = []
        for start in range(0, len(rows), 250):
            records = [record_of(row) for row in rows[start : start + 250]]
            ids += [one["id"] for one in self.post("predict", {"records": records})["predictions"]]
        return ids

    def retrain(self) -> Any:
        return ratchet(self.settings, "retrain", self.name)

    @property
    def production(self) -> int:
        """By the ledger."""
        with connect(database_url(self.settings)) as conn:
            row = conn.execute(
                "SELECT to_version FROM ledger WHERE use_case = %s AND event IN"
                " ('promoted', 'rolled_back', 'external') ORDER BY id DESC LIMIT 1",
                (self.name,),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def labels(self, rows: Sequence[Row]) -> list[str]:
        """What the version that serves says, asked on its artifact, so that no answer is logged."""
        kept = self.settings.home / "cache" / "models" / self.name / str(self.production)
        predictor = Predictor.load(kept)
        columns = {
            "weight": np.array([row["weight"] for row in rows]),
            "sugar": np.array([row["sugar"] for row in rows]),
            "colour": np.array([row["colour"] for row in rows], dtype=object),
        }
        read = {name: columns[name] for name in predictor.contract.names}
        return [str(one) for one in predictor.predict(read).labels]

    def accuracy(self) -> float:
        """Of what serves, on 1,000 apples that nobody lied about."""
        clean = grow(1000, seed=9_999)
        said = self.labels(clean)
        return float(np.mean([one == row["grade"] for one, row in zip(said, clean, strict=True)]))


def plant(orchard: Orchard, *, rows: int = 600, noise: float = 0.0) -> float:
    """Version 1 serves, which learned what is true; returns how often it is right."""
    orchard.write(grow(rows, seed=1, name="first", noise=noise))
    assert orchard.retrain()["outcome"] == "promoted"
    return orchard.accuracy()


@contextmanager
def orchards(folder: Path, home: Path, attacks: Sequence[str]) -> Iterator[dict[tuple[str, Door], Orchard]]:
    """A stack with keys, and in it a use case for each attack and door."""
    tokens = {name: add_key(home / "keys.yaml", name, ["admin"]) for name in KEYS}
    names = {(attack, door): f"{attack}_{door}" for attack in attacks for door in DOORS}
    for name in names.values():
        (folder / f"{name}.yaml").write_text(CONFIG.format(name=name), encoding="utf-8")
    with running_stack(home, configs=folder, use_cases=tuple(names.values())) as settings:
        yield {
            (attack, door): Orchard(settings, tokens, name, door, folder)
            for (attack, door), name in names.items()
        }


def audited(ids: Sequence[str]) -> list[bool]:
    return [is_audited(one) for one in ids]
