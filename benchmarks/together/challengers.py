"""What challengers answer: those that a run left in MLflow, and those made here from the same rows.

`python -m benchmarks.together.challengers FILE` makes the latter where the environment says, and takes no
run: whoever runs one next finds the same rows, and the same production.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from benchmarks.together.rows import NAME, made_records
from configs.settings import read_settings
from features.records.contract import Columns
from flows.context import open_context
from flows.retrain import steps
from flows.retrain.held_run import HeldRun
from flows.retrain.production import find_production
from flows.retrain.training.run import train_all
from flows.servers.environment import apply_environment
from models.production.registry import Registry
from models.production.tags import CHALLENGER_TAG, RUN_TAG
from models.versions.predictor import Predictor

RECORDS = 500
Answers = Mapping[str, NDArray[np.float64]]
"""Challenger to the probabilities of the same records, shape (records, classes)."""


def made_here(out: Path) -> None:
    """Make the challengers of the next retrain, and keep their answers and the digest of their rows."""
    settings = read_settings()
    apply_environment(settings)
    context = open_context(NAME, settings)
    held = HeldRun(str(uuid4()), 0, context.database_url, lambda _said: None)
    production = find_production(context)
    snapshot = steps.snapshot_rows(context, production)
    with context.workdir() as workdir:
        rows = steps.read_rows(context, held, production, snapshot, workdir)
        made, errors = train_all(context, held, production, snapshot, rows, trigger="person", workdir=workdir)
        if errors:
            sys.exit(f"not made: {errors}")
        answers = {name: answer(one.predictor) for name, one in made.items()}
    np.savez(out, snapshot=np.array(snapshot.digest), **answers)  # type: ignore[arg-type]


def read_made(path: Path) -> tuple[str, Answers]:
    """The digest of the rows, and the answers."""
    with np.load(path) as file:
        return str(file["snapshot"]), {name: file[name] for name in file.files if name != "snapshot"}


def logged_models(uri: str, run_id: str) -> dict[str, str]:
    """Challengers of a run, each with the id by which MLflow keeps its model."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(NAME)
    if experiment is None:
        return {}
    runs = client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{run_id}'")
    return {
        run.data.tags[CHALLENGER_TAG]: run.outputs.model_outputs[0].model_id
        for run in runs
        if run.outputs is not None
    }


def answers_of(uri: str, models: Mapping[str, str], folder: Path) -> Answers:
    """What challengers answer as MLflow hands them out."""
    found = {}
    for name, model in models.items():
        Registry(uri).download_logged(f"models:/{model}", folder / name)
        found[name] = answer(Predictor.load(folder / name))
    return found


def answer(predictor: Predictor) -> NDArray[np.float64]:
    """The probabilities of the same records."""
    columns: Columns = predictor.contract.check_records(made_records(RECORDS)).all_or_raise()
    return np.asarray(predictor.predict(columns).probabilities)


def largest_difference(one: Answers, other: Answers) -> float:
    """Between answers of the same challengers; infinite where they are not the same."""
    if one.keys() != other.keys():
        return float("inf")
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


if __name__ == "__main__":
    made_here(Path(sys.argv[1]))
