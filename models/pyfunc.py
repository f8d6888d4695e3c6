"""A version as an MLflow model that a stranger can load with nothing of ours installed.

`mlflow.pyfunc.load_model(uri).predict(frame)` takes a DataFrame with the columns of the use
case's files (an image as nested or flat lists, arrays, or a PNG or JPEG) and gives one with `label`,
`score` and `scores.<class>`. The code travels in the model (`models.code_archive`). Servers do not
come this way: they load the artifact inside with the code they were installed with, as a
process that loads two models with code in them silently keeps the first one's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from configs.schema.features import STANDARD
from features.encoders.own import packages_behind_encoder
from features.encoders.text import MEANING
from features.errors import RecordError
from features.records.contract import RecordContract
from models.code_archive import write_code
from models.estimators.catalogue import packages_behind
from models.provenance.surroundings import distributions_of, installed_version
from models.versions.artifact import Manifest, read_manifest, read_probe
from models.versions.predictor import Answers, Predictor

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

ARTIFACT_NAME = "ratchet"
"""Folder of the artifact inside the MLflow model's `data`."""
REQUIRED = ("mlflow", "numpy", "onnxruntime", "orjson", "pandas", "pillow", "pyarrow", "pydantic")
REQUIRED_BY = {
    "catboost": ("catboost",),
    "catboost_mixed": (),
    "keras_cnn": ("keras", "tensorflow"),
    "keras_mixed": ("keras", "tensorflow"),
    "keras_resnet": ("keras", "tensorflow"),
    "linear_text": (),
    "logistic": ("scikit-learn", "skops"),
    "logistic_batches": (),
    "sklearn": ("scikit-learn", "scipy", "skops"),
    "xgboost": (),
}
"""Estimator to what it needs to answer without ONNX."""
BY_MEANING = ("tokenizers",)
"""What an encoder needs that knows texts by their meaning."""
EXAMPLE_ROWS = 2


class PyfuncModel:
    """What MLflow calls."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Answers, one row for each of the frame's and with its index.

        Raises:
            RecordError: a row is not valid; the message names row, field, what arrived and what is allowed.
        """
        columns = self.predictor.contract.check_table(*to_table(frame)).all_or_raise()
        if problems := self.predictor.problems(columns):
            raise RecordError(problems)
        return to_frame(self.predictor.predict(columns), frame.index)


def load_model(data_path: str) -> PyfuncModel:
    """The model of an artifact at a path, for `models.ratchet_model`."""
    return PyfuncModel(Predictor.load(Path(data_path)))


def log_model(artifact: Path) -> str:
    """Log the version in a directory to the active MLflow run; gives the URI of the MLflow model."""
    import mlflow

    manifest = read_manifest(artifact)
    predictor = Predictor.load(artifact)
    example = example_frame(read_probe(artifact).records[:EXAMPLE_ROWS], predictor.contract)
    with tempfile.TemporaryDirectory() as folder:
        # MLflow names the folder inside the model after the folder that it is given.
        named = Path(folder) / ARTIFACT_NAME
        loader, code = write_code(Path(folder))
        named.symlink_to(artifact.resolve(), target_is_directory=True)
        info = mlflow.pyfunc.log_model(
            name="model",
            loader_module=loader,
            data_path=str(named),
            code_paths=code,
            pip_requirements=requirements(manifest, predictor.use_case.features.encoder),
            signature=describe_signature(predictor),
            input_example=example,
        )
    return str(info.model_uri)


def requirements(manifest: Manifest, encoder: str = STANDARD) -> list[str]:
    """What must be installed to load a version with such an encoder, at the versions installed here."""
    more = set(distributions_of(packages_behind_encoder(encoder)))
    if manifest.runtime == "native":
        named = packages_behind(manifest.estimator, manifest.params)
        more |= {*REQUIRED_BY.get(manifest.estimator, ()), *distributions_of(named)}
    if any(name.startswith(f"{MEANING}/") for name in manifest.files):
        more |= set(BY_MEANING)
    return [f"{name}=={installed_version(name)}" for name in sorted({*REQUIRED, *more})]


def describe_signature(predictor: Predictor) -> ModelSignature:
    """Column names, and which may be left out.

    Types are left to the record contract: MLflow would refuse whole numbers where a fraction
    is allowed, and numbers with gaps where whole numbers are.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    any_type: Any = AnyType
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(any_type(), name=field.source_column, required=not field.nullable)
        for field in predictor.use_case.record.fields
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("string", "label"), ColSpec("double", "score")]
    outputs += [ColSpec("double", f"scores.{name}") for name in predictor.classes]
    return ModelSignature(Schema(inputs), Schema(outputs))


def example_frame(documents: Sequence[str], contract: RecordContract) -> pd.DataFrame:
    """Canonical records as a stranger would hold them; images as nested lists."""
    columns = contract.from_json(documents)
    rows = [orjson.loads(document) for document in documents]
    return pd.DataFrame(
        {
            field.source_column: _as_sent(columns[field.name], field.range).tolist()
            if field.type == "image"
            else pd.Series([row.get(field.name) for row in rows], dtype=object)
            for field in contract.record.fields
        }
    )


def _as_sent(levels: NDArray[np.uint8], sent: tuple[float, float]) -> NDArray[Any]:
    """Pixels between the darkest and brightest value that are sent."""
    low, high = sent
    return levels if (low, high) == (0, 255) else low + levels / 255 * (high - low)


def to_table(frame: pd.DataFrame) -> tuple[pa.Table, dict[str, list[Any]]]:
    """The frame as a table of a file, and the columns of several types, which none can hold."""
    arrays = {str(name): _to_array(frame[name]) for name in frame.columns}
    mixed = {name: array for name, array in arrays.items() if isinstance(array, list)}
    nothing = pa.nulls(len(frame))
    return pa.table({name: nothing if name in mixed else array for name, array in arrays.items()}), mixed


def to_frame(answers: Answers, index: pd.Index[Any]) -> pd.DataFrame:
    """Label, score and the probability of each class."""
    table: dict[str, Any] = {"label": answers.labels, "score": answers.scores}
    for place, name in enumerate(answers.classes):
        table[f"scores.{name}"] = answers.probabilities[:, place].astype(np.float64)
    return pd.DataFrame(table, index=index)


def _to_array(column: pd.Series[Any]) -> pa.Array | list[Any]:
    if column.dtype != object:
        return pa.array(column, from_pandas=True)
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in column]
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return values
