"""BentoML with rows as a data frame, as its documentation shows it; one API batches."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import joblib  # type: ignore[import-untyped]
import pandas as pd

from benchmarks.hot_path.records import requests_of
from benchmarks.peers.declared import record_type

KIND = os.environ["BENCH_KIND"]
Record: Any = record_type(KIND)


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Frames:
    """A classifier of rows or texts."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["BENCH_MODEL"])
        self.classes = list(self.model.classes_)
        # A slow first call would be what BentoML's batcher learns to wait for.
        self.answer(pd.DataFrame(requests_of(KIND, 1)))

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
    def batched(self, rows: list[Record]) -> list[dict[str, Any]]:
        """Answer requests in batches; of records, as BentoML's batcher fails at counting rows of a frame."""
        return self.answer(pd.DataFrame([row.model_dump() for row in rows]))
