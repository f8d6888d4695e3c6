"""The Prefect event that labels are due: the retrain deployment has a trigger on it."""

from __future__ import annotations

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client
from prefect.exceptions import PrefectException

from flows.scheduling.deployments import LABELS_DUE, resource_of
from store.runs.rows import Run


class EventNotSent(PrefectException):
    """Prefect's stream of events is away, or did not take the event."""


async def send_labels_due(run: Run) -> str:
    """Send the event for a run, and return its id; the trigger hands the run's `run_id` to the flow.

    Raises:
        EventNotSent: Prefect did not take it.
    """
    event = Event(
        event=LABELS_DUE,
        resource=Resource({"prefect.resource.id": resource_of(run.use_case)}),
        payload={"use_case": run.use_case, "run_id": run.id},
    )
    try:
        async with get_events_client(reconnection_attempts=0) as client:
            await client.emit(event)
    except Exception as error:  # the client lets errors of sockets, of websockets and bare ones through
        raise EventNotSent(f"{type(error).__name__}: {error}") from error
    return str(event.id)
