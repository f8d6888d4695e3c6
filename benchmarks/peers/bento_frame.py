"""BentoML with rows as a data frame, as its documentation shows it; one API batches."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import joblib  # type: ignore[import-untyped]
import pandas as pd


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Frames:
    """A classifier of rows or texts."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])
        self.classes = list(self.model.classes_)

    def answer(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Labels and scores of n rows."""
        return [
            {
                "label": self.classes[int(row.argmax())],
                "scores": dict(zip(self.classes, row.tolist(), strict=True)),
            }
            for row in self.model.predict_proba(rows)
        ]

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Answer each request on its own."""
        return self.answer(rows)

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]
    def batched(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Answer requests in batches."""
        return self.answer(rows)
