"""The Prefect event that labels are due: the retrain deployment has a trigger on it."""

from __future__ import annotations

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

from flows.scheduling.deployments import LABELS_DUE, resource_of
from store.runs.rows import Run


async def send_labels_due(run: Run) -> str:
    """Send the event for a run, and return its id; the trigger hands the run's `run_id` to the flow."""
    event = Event(
        event=LABELS_DUE,
        resource=Resource({"prefect.resource.id": resource_of(run.use_case)}),
        payload={"use_case": run.use_case, "run_id": run.id},
    )
    async with get_events_client(reconnection_attempts=0) as client:
        await client.emit(event)
    return str(event.id)
