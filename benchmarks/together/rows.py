"""Made-up labelled rows whose world changes twice, and what their labels are learned by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAME = "grains"
NUMBERS = tuple(f"number_{place}" for place in range(8))
KINDS = ("rye", "oats", "wheat", "barley")
POOL = ("trees", "newest", "line", "shallow")
"""The challengers of each retrain."""
CONFIG = f"""
name: {NAME}
title: Grains
kind: tabular
record:
  fields:
{"".join(f"    - {{name: {name}, type: number}}" + chr(10) for name in NUMBERS)}\
    - {{name: kind, type: category, categories: [{", ".join(KINDS)}]}}
target: {{task: binary, column: label, classes: [poor, good]}}
model: {{estimator: catboost, params: {{iterations: ITERATIONS}}}}
training:
  baseline: never
  challengers:
    - {{name: trees}}
    - {{name: newest, window: 6000}}
    - {{name: line, model: {{estimator: logistic}}}}
    - {{name: shallow, params: {{depth: 3}}}}
gate: {{metric: accuracy, min_rows: 100}}
retrain: {{max_age_days: null}}
probation: {{labels: 0}}
schedule: {{ingest: null, drift: null, retrain: null}}
"""
WORLDS = ((1.0, 0.0, 0.5), (-1.0, 1.0, 0.5), (0.3, -1.5, -0.5))
"""What makes a grain good, in turn: weights of two numbers and of the product of two others.

A version of one world would be taken back by labels of the next: so nothing is on probation."""


def write_config(folder: Path, iterations: int) -> None:
    """The use case, whose trees grow so many times."""
    folder.mkdir(parents=True, exist_ok=True)
    text = CONFIG.replace("ITERATIONS", str(iterations))
    (folder / f"{NAME}.yaml").write_text(text, encoding="utf-8")


def write_rows(path: Path, world: int, count: int) -> Path:
    """A CSV of labelled rows of one of the worlds, the same each time."""
    numbers, kinds, random = _draw(world, count)
    first, second, both = WORLDS[world]
    score = first * numbers[:, 0] + second * numbers[:, 1] + both * numbers[:, 2] * numbers[:, 3]
    score = score + 0.4 * (kinds % 2) - 0.2 + 0.5 * random.normal(size=count)
    labels = np.where(score > 0, "good", "poor")
    lines = [
        ",".join([*(f"{value:.5f}" for value in row), KINDS[kind], label])
        for row, kind, label in zip(numbers, kinds, labels, strict=True)
    ]
    path.write_text("\n".join([",".join([*NUMBERS, "kind", "label"]), *lines]) + "\n", encoding="utf-8")
    return path


def made_records(count: int) -> list[dict[str, Any]]:
    """Records without labels, which nobody learns from."""
    numbers, kinds, _ = _draw(len(WORLDS), count)
    return [
        {**dict(zip(NUMBERS, map(float, row), strict=True)), "kind": KINDS[kind]}
        for row, kind in zip(numbers, kinds, strict=True)
    ]


def _draw(seed: int, count: int) -> tuple[Any, Any, np.random.Generator]:
    random = np.random.default_rng((23, seed))
    return random.normal(size=(count, len(NUMBERS))), random.integers(0, len(KINDS), count), random
