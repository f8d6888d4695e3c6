"""FastAPI as its documentation shows it: records and answers declared by types, a function for each request.

`python -m benchmarks.peers.fastapi_app PORT KIND MODEL`, a pipeline (`.joblib`) or a graph (`.onnx`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.declared import Answers, body_type
from benchmarks.peers.graph import Graph

Answering = Callable[[Sequence[BaseModel]], list[dict[str, Any]]]


def by_graph(kind: str, path: Path) -> Answering:
    """Answers of an ONNX graph."""
    return Graph(kind, path, attrgetter).answers


def by_pipeline(path: Path) -> Answering:
    """Answers of a scikit-learn pipeline."""
    import joblib  # type: ignore[import-untyped]
    import pandas as pd

    model = joblib.load(path)
    classes = list(model.classes_)

    def answer(rows: Sequence[BaseModel]) -> list[dict[str, Any]]:
        scores = model.predict_proba(pd.DataFrame([row.model_dump() for row in rows]))
        return [
            {"label": classes[int(row.argmax())], "scores": dict(zip(classes, row.tolist(), strict=True))}
            for row in scores
        ]

    return answer


def make_app(kind: str, answer: Answering) -> FastAPI:
    """The application."""
    body, app = body_type(kind), FastAPI()

    # On the event loop: for a short call, a thread of the pool costs more than it saves.
    async def predict(content: body) -> Any:  # type: ignore[valid-type]
        return {"predictions": answer(content.records)}  # type: ignore[attr-defined]

    predict.__annotations__["content"] = body  # FastAPI reads types, and this one has no name to be found by
    app.post("/predict", response_model=Answers)(predict)
    return app


if __name__ == "__main__":
    port, kind_served, model_path = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    onnx = model_path.suffix == ".onnx"
    answering = by_graph(kind_served, model_path) if onnx else by_pipeline(model_path)
    uvicorn.run(make_app(kind_served, answering), port=port, access_log=False, log_level="warning")
