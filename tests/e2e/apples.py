"""Apples: a use case made of one YAML file, and files of labelled rows whose rule can change."""

from __future__ import annotations

from pathlib import Path

import numpy as np

USE_CASE = "apples"
CONFIG = """
name: apples
title: Apples
kind: tabular
record:
  fields:
    - {name: weight, type: number}
    - {name: colour, type: category, categories: [red, green]}
target: {task: multiclass, column: grade, classes: [good, poor]}
model: {estimator: catboost, params: {iterations: 60}}
training: {holdout: {min_rows: 100}}
gate: {metric: accuracy, min_rows: 50}
schedule: {ingest: null, drift: null, retrain: null}
"""
"""Runs are started by the tests alone: one that the clock starts is in the way of theirs."""
TURNED = 1_200
"""Rows of a changed world that any draw of the held-out rows tells of: every stack draws with its own."""


def write_apples(path: Path, rows: int, *, edge: float, seed: int = 1, bad: int = 0) -> Path:
    """A CSV of apples that are good above a weight; a new edge is a changed world; bad rows come last."""
    random = np.random.default_rng([seed, int(edge * 1000)])
    weights, colours = random.uniform(0, 1, rows), random.choice(["red", "green"], rows)
    lines = [
        f"{weight:.6f},{colour},{'good' if weight > edge else 'poor'}"
        for weight, colour in zip(weights, colours, strict=True)
    ]
    lines += [f"heavy-{number},red,good" for number in range(bad)]
    path.write_text("\n".join(["weight,colour,grade", *lines]) + "\n", encoding="utf-8")
    return path
