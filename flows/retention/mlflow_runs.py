"""Deleting MLflow runs for good: files, models and rows; MLflow itself only hides what is deleted.

The files go first and the run last: cut off before, a run is still listed and goes the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MOST_RUNS = 500
"""Deleted at a time; what is left goes the next time."""
_PAGE = 200


def old_runs(client: MlflowClient, experiment: str, keep: int, kept: Collection[str]) -> list[Run]:
    """Runs of an experiment that are over, but the newest `keep` and those named, the oldest first."""
    named = client.get_experiment_by_name(experiment)
    if named is None:
        return []
    runs = list(_runs(client, named.experiment_id))[keep:]
    old = [run for run in runs if run.info.run_id not in kept and run.info.status != "RUNNING"]
    return old[::-1][:MOST_RUNS]


def runs_of_models(client: MlflowClient, model_uris: Iterable[str]) -> Iterator[str]:
    """Runs that logged the models at `models:/<id>`; none for a model that MLflow has no more."""
    from mlflow.exceptions import MlflowException

    for uri in model_uris:
        try:
            model = client.get_logged_model(uri.removeprefix("models:/"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        else:
            yield str(model.source_run_id)


def delete_run(client: MlflowClient, uri: str, run: Run, forget: Callable[[str], None]) -> None:
    """Delete a run with its files and the models that it logged.

    Args:
        forget: deletes the rows of a run that is deleted.
    """
    for model in _models(client, run):
        _delete_files(model.artifact_location, uri)
        client.delete_logged_model(model.model_id)
    _delete_files(run.info.artifact_uri, uri)
    client.delete_run(run.info.run_id)
    forget(run.info.run_id)


def make_forget(database_url: str | None) -> Callable[[str], None]:
    """Deletes the rows of a deleted run from the database of our own MLflow.

    Args:
        database_url: None where MLflow is yours, which keeps them until you run `mlflow gc`.
    """
    if database_url is None:
        return lambda _run_id: None
    from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from flows.servers.drivers import connect_by, libpq_address
    from flows.servers.mlflow import ARTIFACT_ROOT

    store: Any = SqlAlchemyStore(libpq_address(database_url), ARTIFACT_ROOT)  # type: ignore[no-untyped-call]
    connect_by(database_url, store.engine)
    store.engine.dispose()

    def forget(run_id: str) -> None:
        with store.ManagedSessionMaker() as session:
            models = session.query(SqlLoggedModel.model_id).filter(SqlLoggedModel.source_run_id == run_id)
            names = [model_id for (model_id,) in models]
        for name in names:
            store._hard_delete_logged_model(name)
        store._hard_delete_run(run_id)

    return forget


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    """Every run, the newest first."""
    token: str | None = None
    while token != "":
        page = client.search_runs(
            [experiment_id], max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token or ""


def _models(client: MlflowClient, run: Run) -> list[Any]:
    return list(
        client.search_logged_models(
            experiment_ids=[run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
        )
    )


def _delete_files(uri: str, tracking_uri: str) -> None:
    """Delete a folder of files; one that is gone is as it should be."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository: Any = get_artifact_repository(uri, tracking_uri=tracking_uri)
    repository.delete_artifacts()
