"""Made-up labelled rows by the million: 14 numbers, 6 categories, id, time, and a label to be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

NAME = "growth"
START = np.datetime64("2015-01-01", "s")
SECONDS = 25
"""Between two rows: ten million of them take eight years."""
NUMBERS = tuple(f"amount_{number}" for number in range(6)) + tuple(f"count_{number}" for number in range(8))
CATEGORIES = {"plan": 5, "city": 60, "device": 40, "channel": 4, "shop": 50, "segment": 6}
"""Name to how many different values it has."""
CONFIG = f"""
name: {NAME}
title: Rows by the million
kind: tabular
record:
  id_column: id
  time_column: happened
  fields:
{"".join(f"    - {{name: {name}, type: number}}" + chr(10) for name in NUMBERS)}\
{"".join(f"    - {{name: {name}, type: category}}" + chr(10) for name in CATEGORIES)}\
target: {{task: binary, column: label, classes: ["no", "yes"]}}
model: {{estimator: logistic}}
training: {{baseline: never, challengers: [{{name: full, fit: full, window: 1000000}}]}}
gate: {{metric: accuracy, min_rows: 100}}
"""


def write_rows(path: Path, first: int, count: int) -> Path:
    """`count` rows from `first` on of an endless table, the same each time; CSV or Parquet, by the name."""
    table = made_up(first, count)
    (pacsv.write_csv if path.suffix == ".csv" else pq.write_table)(table, path)
    return path


def made_up(first: int, count: int) -> pa.Table:
    """Amounts of money, counts, and categories some of which are much more common than others."""
    random = np.random.default_rng([7, first])
    columns: dict[str, Any] = {"id": [f"row-{first + number:09}" for number in range(count)]}
    for name in NUMBERS:
        is_amount = name.startswith("amount")
        drawn = random.lognormal(3, 1, count) if is_amount else random.poisson(20, count)
        columns[name] = np.round(drawn, 2).astype(np.float64)
    chosen = {name: random.zipf(1.5, count) % values for name, values in CATEGORIES.items()}
    for name, places in chosen.items():
        names = np.array([f"{name} {number}" for number in range(CATEGORIES[name])], dtype=object)
        columns[name] = names[places]
    score = (
        np.log(columns["amount_0"])
        - 0.7 * np.log(columns["amount_1"])
        + 0.05 * (columns["count_0"] - columns["count_1"])
        + 0.4 * (chosen["plan"] - 1)
        - 0.02 * chosen["city"]
        - 0.9
    )
    columns["label"] = np.where(random.random(count) < 1 / (1 + np.exp(-score)), "yes", "no").astype(object)
    times = START + SECONDS * (first + np.arange(count))
    columns["happened"] = np.char.add(np.datetime_as_string(times, unit="s"), "Z")
    return pa.table(columns)
