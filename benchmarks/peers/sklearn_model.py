"""The model that others serve for rows and texts: a scikit-learn pipeline, as their users would write it.

`python -m benchmarks.peers.sklearn_model KIND FOLDER` fits it and writes `model.joblib`, and `mlflow/`, the
same as MLflow keeps it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.hot_path.records import FOLDER, ROW, TRAINING_ROWS, make_records
from configs.loading import load_use_case

FILE, MLFLOW = "model.joblib", "mlflow"


def fit(kind: str) -> tuple[Any, pd.DataFrame]:
    """The pipeline, and rows as it takes them."""
    records, labels = make_records(load_use_case(FOLDER / f"{kind}.yaml"), TRAINING_ROWS)
    frame = pd.DataFrame(records)
    columns: Any = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=["object", "string"])),
        (StandardScaler(), make_column_selector(dtype_include=["number", "bool"])),
    )
    if kind != ROW:
        columns = make_column_transformer((TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), "text"))
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, labels), frame


def main() -> None:
    """Fit and write."""
    import mlflow.sklearn

    kind, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    model, _ = fit(kind)
    joblib.dump(model, folder / FILE)
    mlflow.sklearn.save_model(model, folder / MLFLOW, serialization_format="cloudpickle")


if __name__ == "__main__":
    main()
