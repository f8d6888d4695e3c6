"""FastAPI as its documentation shows it: records declared by types, a function for each request.

`python -m benchmarks.peers.fastapi_app PORT KIND MODEL.joblib`
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import joblib  # type: ignore[import-untyped]
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from benchmarks.hot_path.records import FOLDER
from configs.loading import load_use_case

TYPES = {"number": float, "integer": int, "boolean": bool, "text": str}


def make_app(kind: str, model: Any) -> FastAPI:
    """The application."""
    fields: dict[str, Any] = {
        field.name: (Literal[field.categories] if field.categories else TYPES[field.type], ...)
        for field in load_use_case(FOLDER / f"{kind}.yaml").record.fields
    }
    record = create_model("Record", **fields)
    body = create_model("Body", records=(list[record], ...))
    app, classes = FastAPI(), list(model.classes_)

    def predict(content: body) -> dict[str, Any]:
        rows: list[BaseModel] = content.records  # type: ignore[attr-defined]
        scores = model.predict_proba(pd.DataFrame([row.model_dump() for row in rows]))
        return {
            "predictions": [
                {"label": classes[int(row.argmax())], "scores": dict(zip(classes, row.tolist(), strict=True))}
                for row in scores
            ]
        }

    predict.__annotations__["content"] = body  # FastAPI reads types, and this one has no name to be found by
    app.post("/predict")(predict)
    return app


if __name__ == "__main__":
    application = make_app(sys.argv[2], joblib.load(sys.argv[3]))
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="warning")
