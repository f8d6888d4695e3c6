"""The dispatcher: hands runs that wait in the database to Prefect, and settles those it gave up on.

It runs in the worker's process. A run that is asked for over HTTP is a row first; with Prefect
away the row waits, and is handed over when Prefect is back. Handing over is repeatable: Prefect
knows a flow run by its idempotency key, so a crash between its answer and our row starts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psycopg
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, PrefectException

from configs.schema import UseCase
from configs.settings import Settings
from flows.scheduling import label_events
from flows.scheduling.label_events import ask_where_due
from models.errors import ModelError
from store.database.connection import connect, database_url
from store.errors import DatabaseUnavailable
from store.feedback.insertion import LABELS_CHANNEL
from store.runs import queue as run_queue
from store.runs.requests import repeat_lost_training
from store.runs.rows import CHANNEL, Run, mark_lost
from store.runs.workers import show_worker

POLL_SECONDS = 5.0
EVENT = "event:"
"""What is handed over by an event has this and the event's id in place of a flow run's."""
HEEDED_WITHIN = timedelta(seconds=30)
"""A server without the trigger (it was removed, or never registered) is asked directly after this."""
DATABASE_AWAY = (psycopg.OperationalError, DatabaseUnavailable)
PREFECT_AWAY = (httpx.HTTPError, PrefectException)

T = TypeVar("T")
log = logging.getLogger("prefect.worker.ratchet")


async def dispatch(client: PrefectClient, settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
    """Hand over what waits or is due, at once when told and now and then in any case, until cancelled."""
    while True:
        try:
            url = database_url(settings)
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as listener:
                await show_worker(listener)
                await listener.execute(f"LISTEN {CHANNEL}")
                await listener.execute(f"LISTEN {LABELS_CHANNEL}")
                suspects = set(use_cases)  # labels may have come while nobody listened
                while True:
                    left = await _ask_for(settings, {name: use_cases[name] for name in suspects})
                    await _try_to_hand_over(client, url, list(use_cases))
                    told = [
                        note.payload async for note in listener.notifies(timeout=POLL_SECONDS, stop_after=1)
                    ]
                    # Labels may be due when more have come, and when a run has ended.
                    suspects = left | (set(told) & use_cases.keys())
        except DATABASE_AWAY as error:
            log.warning("runs that wait cannot be handed over now: %s", error)
            await asyncio.sleep(POLL_SECONDS)


async def _try_to_hand_over(client: PrefectClient, url: str, use_cases: Sequence[str]) -> None:
    """Hand over what waits; with Prefect away the next look tries again, by a worker that lives."""
    try:
        await hand_over(client, url, use_cases)
    except PREFECT_AWAY as error:
        log.warning("runs that wait cannot be handed over now: %s", error)


async def _ask_for(settings: Settings, suspects: Mapping[str, UseCase]) -> set[str]:
    """Ask for a run where labels are due; returns those of which MLflow, being away, could not tell."""
    try:
        for name in await asyncio.to_thread(ask_where_due, settings, suspects) if suspects else ():
            log.info("%s has the labels for its next retrain", name)
    except ModelError as error:
        log.warning("whether labels are due cannot be told now: %s", error)
        return set(suspects)
    return set()


async def hand_over(client: PrefectClient, url: str, use_cases: Sequence[str]) -> None:
    """Give every waiting run whose place is free a flow run, and settle those whose flow run ended idle."""

    def read(conn: psycopg.Connection[Any]) -> tuple[list[Run], list[Run]]:
        for use_case in use_cases:
            mark_lost(conn, use_case)
            if again := repeat_lost_training(conn, use_case):
                log.warning("a training of %s was lost; run %s begins it anew", use_case, again)
        return run_queue.dispatched_runs(conn, use_cases), run_queue.waiting_runs(conn, use_cases)

    dispatched, waiting = await _in_database(url, read)
    for run in dispatched:
        await _settle(client, url, run)
    for run in waiting:
        flow_run_id = await _start(client, run)
        await _in_database(url, partial(run_queue.mark_dispatched, run_id=run.id, flow_run_id=flow_run_id))
        log.info("run %s of %s is flow run %s", run.id, run.use_case, flow_run_id)


async def _start(client: PrefectClient, run: Run) -> str:
    """Start a run, and return what Prefect knows it by."""
    if run.trigger == label_events.TRIGGER and run.dispatches == 0:
        return EVENT + await label_events.send_due(run)
    deployment = await client.read_deployment_by_name(f"retrain/{run.use_case}-retrain")
    flow_run = await client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"use_case": run.use_case, "trigger": run.trigger, "run_id": run.id},
        idempotency_key=f"ratchet-{run.id}-{run.dispatches}",
    )
    return str(flow_run.id)


async def _settle(client: PrefectClient, url: str, run: Run) -> None:
    """A flow run that is over and has not begun its run never will; nor will an event that nobody heeds."""
    if run.flow_run_id is not None and run.flow_run_id.startswith(EVENT):
        if datetime.now(UTC) - run.requested_at > HEEDED_WITHIN:
            await _in_database(url, partial(run_queue.requeue, run=run))
        return
    try:
        state = (await client.read_flow_run(UUID(run.flow_run_id))).state
    except ObjectNotFound:
        state = None
    if state is not None and not state.is_final():
        return
    await _in_database(url, lambda conn: _end(conn, run, state))


def _end(conn: psycopg.Connection[Any], run: Run, state: State[Any] | None) -> None:
    if state is None or state.is_completed():  # deleted, or it found the place taken
        run_queue.requeue(conn, run)
    elif state.is_cancelled():
        run_queue.give_up(conn, run, "stopped", "cancelled in Prefect before it began")
    else:
        reason = f"its flow run ended as {state.name} before it began: {state.message}"
        run_queue.give_up(conn, run, "failed", reason)


async def _in_database(url: str, work: Callable[[psycopg.Connection[Any]], T]) -> T:
    def run() -> T:
        with connect(url, autocommit=True) as conn:
            return work(conn)

    return await asyncio.to_thread(run)
