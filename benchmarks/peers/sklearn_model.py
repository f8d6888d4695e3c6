"""The model that others serve for rows and texts: a scikit-learn pipeline, as their users would write it.

`python -m benchmarks.peers.sklearn_model KIND ARTIFACT FOLDER` writes `model.joblib`; `mlflow/`, the same as
MLflow keeps it; and `model.onnx`, the same as a graph that takes the fields as they are sent. Of rows it is
the very model of the artifact: what that learned is put in place of what was fitted here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.hot_path.records import ROW, TRAINING_ROWS, make_records, use_case_of
from benchmarks.peers.graph import inputs_of

FILE, MLFLOW, GRAPH = "model.joblib", "mlflow", "model.onnx"


def fit_rows(rows: Any, labels: Sequence[str], columns: Sequence[Sequence[Any]], artifact: Path) -> Any:
    """The pipeline of rows, with what the artifact's model learned.

    Args:
        columns: of the numbers, and of the categories, by name or by place.
    """
    from models.estimators.logistic import Logistic

    use_case = use_case_of(ROW)
    categories = [list(field.categories) for field in use_case.record.fields if field.categories]
    scale, one_hot = StandardScaler(), OneHotEncoder(categories=categories, handle_unknown="ignore")
    model = make_pipeline(
        make_column_transformer((scale, list(columns[0])), (one_hot, list(columns[1]))),
        LogisticRegression(max_iter=1000),
    ).fit(rows, labels)
    learned = Logistic.load(artifact / "native", {}).model
    state = json.loads((artifact / "encoder.json").read_text(encoding="utf-8"))
    scaler = model[0].named_transformers_["standardscaler"]
    scaler.mean_, scaler.scale_ = np.array(state["mean"]), np.array(state["scale"])
    model[-1].coef_, model[-1].intercept_ = learned.coef_, learned.intercept_
    model[-1].classes_ = np.array(use_case.target.classes)
    return model


def fit_texts(texts: Any, labels: Sequence[str], column: Any) -> Any:
    """The pipeline of texts, its classes in the order of the use case."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    model = make_pipeline(make_column_transformer((words, column)), LogisticRegression(max_iter=1000))
    last = model.fit(texts, labels)[-1]
    classes = list(use_case_of("hot_text").target.classes or ())
    order = [list(last.classes_).index(name) for name in classes]
    last.coef_, last.intercept_, last.classes_ = last.coef_[order], last.intercept_[order], np.array(classes)
    return model


def write_graph(model: Any, kind: str, path: Path) -> None:
    """The pipeline as ONNX: one input for the numbers, one for the categories; or one for the text."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs = [
        (name, (FloatTensorType if name == "numbers" else StringTensorType)([None, len(fields)]))
        for name, fields in inputs_of(kind).items()
    ]
    options: dict[Any, Any] = {LogisticRegression: {"zipmap": False}}
    if kind != ROW:
        # Which every machine has; the texts are English.
        options[TfidfVectorizer] = {"locale": "C"}
    graph = to_onnx(model, initial_types=inputs, options=options)
    path.write_bytes(graph.SerializeToString())


def main() -> None:
    """Fit and write."""
    import mlflow.sklearn

    kind, artifact, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    records, labels = make_records(use_case_of(kind), TRAINING_ROWS)
    fields = list(inputs_of(kind).values())
    frame = pd.DataFrame(records)
    cells = frame[[name for names in fields for name in names]].to_numpy(object)
    if kind == ROW:
        places = [range(len(fields[0])), range(len(fields[0]), len(fields[0]) + len(fields[1]))]
        model, by_place = (
            fit_rows(rows, labels, columns, artifact) for rows, columns in ((frame, fields), (cells, places))
        )
    else:
        model, by_place = fit_texts(frame, labels, "text"), fit_texts(cells, labels, 0)
    joblib.dump(model, folder / FILE)
    mlflow.sklearn.save_model(model, folder / MLFLOW, serialization_format="cloudpickle")
    write_graph(by_place, kind, folder / GRAPH)


if __name__ == "__main__":
    main()
