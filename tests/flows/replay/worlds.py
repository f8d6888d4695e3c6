"""Made-up histories with a rule that is known, for tests of replays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.schema import (
    FieldConfig,
    GateConfig,
    HoldoutConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from flows.replay.fits import FitStore
from flows.replay.history import History, cut
from flows.replay.playing import Stage
from store.feedback.rows import NO_KEY, FeedbackRows

PERIOD = 100
USE_CASE = UseCase(
    name="tides",
    title="Tides",
    kind="tabular",
    record=RecordConfig(
        fields=(FieldConfig(name="moon", type="number"), FieldConfig(name="wind", type="number")),
        id_column="id",
        time_column="at",
    ),
    target=TargetConfig(column="tide", task="binary", classes=("low", "high"), positive="high"),
    model=ModelConfig(estimator="logistic"),
    gate=GateConfig(metric="accuracy", min_rows=20, resamples=300),
    training=TrainingConfig(min_rows=20, holdout=HoldoutConfig(min_rows=30, max_rows=200)),
)


def world(periods: int, *, turns_at: int | None = None, seed: int = 1) -> History:
    """Rows whose label is that of the moon; from period `turns_at` on it is the other one."""
    count = periods * PERIOD
    values = np.random.default_rng(seed).normal(size=(count, 2))
    high = values[:, 0] > 0
    if turns_at is not None:
        high[turns_at * PERIOD :] ^= True
    numbers = np.arange(1, count + 1, dtype=np.int64)
    rows = FeedbackRows(
        {"moon": values[:, 0], "wind": values[:, 1]},
        np.where(high, "high", "low").astype(object),
        np.array([f"r:{number}" for number in numbers], dtype=object),
        numbers,
        np.datetime64("2026-01-01", "us") + numbers.astype("timedelta64[m]"),
        np.full(count, NO_KEY),
        numbers,
        np.full(count, NO_KEY),
    )
    return History(rows, "a world")


def stage(history: History, folder: Path, *, first: int = 2, delay: int = 0) -> Stage:
    """A history cut into periods of 100 rows, with fits kept in a folder."""
    return Stage(USE_CASE, history, cut(history, PERIOD, first), FitStore(folder, history, USE_CASE), delay)
