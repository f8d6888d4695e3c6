"""Every N labels: a Prefect event, on which the retrain deployment has a trigger.

Whether it is time is read from the tables, never from memory: labels are due once, because the run
that the event asks for is a row before the event is sent, and its verdict counts them as tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

from configs.schema import UseCase
from configs.settings import Settings
from flows.scheduling.deployments import LABELS_DUE, resource_of
from models.production.registry_rest import open_reader
from models.retraining.backlog import decide, read_production, standing
from store.database.connection import connect, database_url
from store.errors import RunBusy
from store.runs.requests import request_run
from store.runs.rows import Run

TRIGGER = "labels"


def ask_where_due(settings: Settings, use_cases: Mapping[str, UseCase]) -> list[str]:
    """Write down a run for each use case whose labels make one due, and return their names.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    asked = []
    registry = open_reader(settings.mlflow_uri)
    with connect(database_url(settings), autocommit=True) as conn:
        for name, use_case in use_cases.items():
            if use_case.retrain.every_labels is None:
                continue
            now = standing(conn, name, read_production(conn, registry, name))
            decision = decide(conn, use_case, now)
            if (decision.verdict, decision.trigger) != ("retrain", TRIGGER):
                continue
            try:
                request_run(conn, name, "retrain", TRIGGER, runner="worker")
            except RunBusy:  # it may learn from them; if not, they are due when it has ended
                continue
            asked.append(name)
    return asked


async def send_due(run: Run) -> str:
    """Send the event for a run, and return its id."""
    event = Event(
        event=LABELS_DUE,
        resource=Resource({"prefect.resource.id": resource_of(run.use_case)}),
        payload=event_payload(run),
    )
    async with get_events_client(reconnection_attempts=0) as client:
        await client.emit(event)
    return str(event.id)


def event_payload(run: Run) -> dict[str, Any]:
    """What the event tells; the trigger of the deployment hands `run_id` to the flow."""
    return {"use_case": run.use_case, "run_id": run.id}
