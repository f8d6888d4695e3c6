"""The dispatcher, in the worker's process: from stored labels to a flow run, read from top to bottom.

Labels that are due are asked for as a run, as people do over HTTP; what waits is handed over to Prefect; what
was handed over and came to nothing is settled. A run is a row first, so with Prefect away it waits. Whether
labels are due is read from the tables, never from memory: a run counts them as tried. Handing over is
repeatable: Prefect knows a flow run by its idempotency key, so a crash between its answer and our row
starts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
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
from flows.scheduling.canaries import agree_aliases, follow_canaries
from flows.scheduling.hearing import POLL_SECONDS, hearing
from flows.scheduling.label_events import send_labels_due
from flows.scheduling.promotions import look_where_due
from flows.scheduling.quarantine_retry import retry_where_requested
from models.errors import ModelError
from models.production.contract import RegistryReader
from models.production.registry_rest import open_registry
from models.retraining.backlog import decide_now
from store.database.connection import connect, database_url
from store.database.faults import FAULTS, sentence
from store.database.sessions import session_url
from store.errors import RunBusy, SnapshotError
from store.runs.lifecycle import give_up, mark_dispatched, repeat_lost, request_run, requeue
from store.runs.rows import Run, dispatched_runs, waiting_runs
from store.runs.tries import retry_at
from store.runs.workers import WorkerMark
from store.sources.holding import settle_sources

LABELS = "labels"
"""The trigger of a run that labels made due; it is handed over by an event the first time."""
EVENT = "event:"
"""What is handed over by an event has this and the event's id in place of a flow run's."""
HEEDED_WITHIN = timedelta(seconds=30)
"""A server without the trigger (it was removed, or never registered) is asked directly after this."""
PREFECT_AWAY = (httpx.HTTPError, PrefectException)

T = TypeVar("T")
log = logging.getLogger("prefect.worker.ratchet")


@dataclass(frozen=True)
class Queue:
    """Runs for the worker that have not begun, as the database has them at one moment."""

    waiting: Sequence[Run]
    """To hand over now: the place of their use case is free; oldest first."""
    handed_over: Sequence[Run]


async def dispatch(
    client: PrefectClient,
    settings: Settings,
    use_cases: Mapping[str, UseCase],
    mark: WorkerMark,
    on_listening: Callable[[], None] = lambda: None,
    look_for_runs: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Ask, hand over and settle, at once when told and now and then in any case, until cancelled.

    Args:
        mark: by which the database tells this worker from others.
        on_listening: called whenever the database shows this worker as living.
        look_for_runs: has this worker look at once for flow runs that are due, when one was just made.
    """
    while True:
        try:
            url = database_url(settings)
            async with hearing(session_url(settings), list(use_cases), mark) as changed_since:
                on_listening()
                have_agreed = False
                unchecked = set(use_cases)  # labels may have come while nobody listened
                while True:
                    changed = {name: use_cases[name] for name in unchecked}
                    unlooked = await asyncio.to_thread(look_where_due, settings, changed)
                    if not have_agreed:
                        have_agreed = await asyncio.to_thread(agree_aliases, settings, list(use_cases))
                    await asyncio.to_thread(follow_canaries, settings, use_cases)
                    unchecked = unlooked | await ask_where_due(settings, changed)
                    queue = await _in_database(url, partial(read_queue, use_cases=list(use_cases)))
                    await _if_prefect_answers(hand_over(client, url, queue.waiting))
                    if queue.waiting and look_for_runs is not None:
                        await _if_prefect_answers(look_for_runs())
                    await _if_prefect_answers(settle(client, url, queue.handed_over))
                    await asyncio.to_thread(retry_where_requested, settings, list(use_cases))
                    # Labels may be due when more have come, and when a run has ended.
                    unchecked |= await changed_since() & use_cases.keys()
        except FAULTS as error:
            log.warning("runs that wait cannot be handed over now: %s", sentence(error))
            await asyncio.sleep(POLL_SECONDS)


async def ask_where_due(settings: Settings, use_cases: Mapping[str, UseCase]) -> set[str]:
    """Ask for a run where labels are due; returns the names to look at again without a notice.

    Those are the ones that MLflow, being away, left unchecked, and those whose last run has just failed.
    """
    if not use_cases:
        return set()
    failed = await asyncio.to_thread(failed_lately, settings, list(use_cases))
    others = {name: use_case for name, use_case in use_cases.items() if name not in failed}
    try:
        names = await asyncio.to_thread(request_due_runs, settings, others) if others else []
    except ModelError as error:
        log.warning("whether labels are due cannot be told now: %s", error)
        return set(use_cases)
    for name in names:
        log.info("%s has the labels for its next retrain", name)
    return failed


def failed_lately(settings: Settings, use_cases: Sequence[str]) -> set[str]:
    """Those whose last run failed, and for which nothing is asked for by itself yet."""
    now = datetime.now(UTC)
    with connect(database_url(settings), autocommit=True) as conn:
        retries = {name: retry_at(conn, name) for name in use_cases}
    return {name for name, retry in retries.items() if retry is not None and retry > now}


def request_due_runs(settings: Settings, use_cases: Mapping[str, UseCase]) -> list[str]:
    """Write down a run for each use case whose labels make one due, and return their names.

    Of one whose production was made on another database that is not known, and said so.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    asked = []
    registry = open_registry(settings.mlflow_uri)
    with connect(database_url(settings), autocommit=True) as conn:
        for use_case in use_cases.values():  # labels of a source that is held back make nothing due
            settle_sources(conn, use_case, always=False)
        for name, use_case in use_cases.items():
            try:
                if labels_due(conn, registry, use_case) and _request(conn, name):
                    asked.append(name)
            except SnapshotError as error:
                log.warning("whether labels of %s are due cannot be told: %s", name, error)
    return asked


def labels_due(conn: psycopg.Connection[Any], registry: RegistryReader, use_case: UseCase) -> bool:
    """Whether labels, rather than drift or age, make a retrain due.

    Raises:
        SnapshotError: production's snapshot is not known here.
    """
    if use_case.retrain.every_labels is None:
        return False
    decision = decide_now(conn, registry, use_case)
    return decision.verdict == "retrain" and decision.trigger == LABELS


def _request(conn: psycopg.Connection[Any], use_case: str) -> bool:
    """Ask for a run; False: one is active, which may learn from them, or they are due when it has ended."""
    try:
        request_run(conn, use_case, "retrain", LABELS, runner="worker")
    except RunBusy:
        return False
    return True


def read_queue(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> Queue:
    """What is to be done, after runs whose process is gone have been asked for anew."""
    for use_case in use_cases:
        if run_id := repeat_lost(conn, use_case):
            log.warning("a run of %s was lost; run %s begins it anew", use_case, run_id)
    return Queue(waiting_runs(conn, use_cases), dispatched_runs(conn, use_cases))


async def hand_over(client: PrefectClient, url: str, waiting: Sequence[Run]) -> None:
    """Give each run a flow run, and write down which."""
    for run in waiting:
        flow_run_id = await _start(client, run)
        await _in_database(url, partial(mark_dispatched, run_id=run.id, flow_run_id=flow_run_id))
        log.info("run %s of %s is flow run %s", run.id, run.use_case, flow_run_id)


async def _start(client: PrefectClient, run: Run) -> str:
    """Start a run, and return what Prefect knows it by."""
    if run.trigger == LABELS and run.dispatches == 0:
        return EVENT + await send_labels_due(run)
    deployment = await client.read_deployment_by_name(f"retrain/{run.use_case}-retrain")
    flow_run = await client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"use_case": run.use_case, "trigger": run.trigger, "run_id": run.id},
        idempotency_key=f"ratchet-{run.id}-{run.dispatches}",
    )
    return str(flow_run.id)


async def settle(client: PrefectClient, url: str, handed_over: Sequence[Run]) -> None:
    """Let wait again, or end, what will never begin: its flow run is over, or nobody heeded its event."""
    for run in handed_over:
        if (run.flow_run_id or "").startswith(EVENT):
            if datetime.now(UTC) - run.requested_at > HEEDED_WITHIN:
                await _in_database(url, partial(requeue, run=run))
            continue
        state = await read_state(client, run)
        if state is None or state.is_final():
            await _in_database(url, partial(_end, run=run, state=state))


async def read_state(client: PrefectClient, run: Run) -> State[Any] | None:
    """State of a run's flow run; None: it was deleted."""
    try:
        flow_run = await client.read_flow_run(UUID(run.flow_run_id))
    except ObjectNotFound:
        return None
    return flow_run.state


def _end(conn: psycopg.Connection[Any], run: Run, state: State[Any] | None) -> None:
    if state is None or state.is_completed():  # deleted, or it found the place taken
        requeue(conn, run)
    elif state.is_cancelled():
        give_up(conn, run, "stopped", "cancelled in Prefect before it began")
    else:
        reason = f"its flow run ended as {state.name} before it began: {state.message}"
        give_up(conn, run, "failed", reason)


async def _if_prefect_answers(work: Awaitable[object]) -> None:
    """Do a part of a round; with Prefect away the next round tries again, by a worker that lives."""
    try:
        await work
    except PREFECT_AWAY as error:
        log.warning("runs that wait cannot be handed over now: %s", error)


async def _in_database(url: str, work: Callable[[psycopg.Connection[Any]], T]) -> T:
    def run() -> T:
        with connect(url, autocommit=True) as conn:
            return work(conn)

    return await asyncio.to_thread(run)
