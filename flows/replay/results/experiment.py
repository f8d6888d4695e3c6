"""A replay as an experiment in MLflow: one run a policy, with its accuracy period by period."""

from __future__ import annotations

import time
from pathlib import Path

from flows.replay.runner import Outcome
from models.production.registry import translated

PREFIX = "ratchet-replay-"


def log_replay(mlflow_uri: str, outcome: Outcome, picture: Path) -> str:
    """Log every policy; gives the id of the experiment.

    Raises:
        RegistryUnavailable: MLflow went away, or cannot reach where it keeps artifacts.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    with translated(mlflow_uri):
        client = MlflowClient(mlflow_uri)
        name = f"{PREFIX}{outcome.plan.use_case.name}"
        experiment = client.get_experiment_by_name(name)
        identifier = client.create_experiment(name) if experiment is None else experiment.experiment_id
        about = outcome.as_dict()
        for policy, played in outcome.played.items():
            run = client.create_run(identifier, run_name=policy).info.run_id
            now = int(time.time() * 1000)
            values = played.as_dict()
            totals = ("accuracy", "promotions", "worse", "harmful", "rollbacks", "retrains", "fit_seconds")
            metrics = [Metric(key, float(values[key]), now, 0) for key in totals]
            metrics += [
                Metric("period_accuracy", value, now, step) for step, value in enumerate(played.by_period)
            ]
            params = [Param(key, str(about[key])) for key in ("source", "periods", "rows", "delay")]
            client.log_batch(run, metrics=metrics[:1000], params=params)
            for start in range(1000, len(metrics), 1000):
                client.log_batch(run, metrics=metrics[start : start + 1000])
            if policy == "default":
                client.log_artifact(run, str(picture))
            client.set_terminated(run)
    return identifier
