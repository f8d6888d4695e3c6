"""The dispatcher: hands runs that wait in the database to Prefect, and settles those it gave up on.

It runs in the worker's process. A run that is asked for over HTTP is a row first; with Prefect
away the row waits, and is handed over when Prefect is back. Handing over is repeatable: Prefect
knows a flow run by its idempotency key, so a crash between its answer and our row starts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psycopg
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, PrefectException

from configs.settings import Settings
from features import run_queue
from features.database import connect, database_url
from features.errors import DatabaseUnavailable
from features.runs import CHANNEL, Run, mark_lost

POLL_SECONDS = 5.0
AWAY = (psycopg.OperationalError, DatabaseUnavailable, httpx.HTTPError, PrefectException)

T = TypeVar("T")
log = logging.getLogger("prefect.worker.ratchet")


async def dispatch(client: PrefectClient, settings: Settings, use_cases: Sequence[str]) -> None:
    """Hand over what waits, at once when told and every few seconds in any case, until cancelled."""
    while True:
        try:
            url = database_url(settings)
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as listener:
                await listener.execute(f"LISTEN {CHANNEL}")
                while True:
                    await hand_over(client, url, use_cases)
                    async for _ in listener.notifies(timeout=POLL_SECONDS, stop_after=1):
                        pass
        except AWAY as error:
            log.warning("runs that wait cannot be handed over now: %s", error)
            await asyncio.sleep(POLL_SECONDS)


async def hand_over(client: PrefectClient, url: str, use_cases: Sequence[str]) -> None:
    """Give every waiting run whose place is free a flow run, and settle those whose flow run ended idle."""

    def read(conn: psycopg.Connection[Any]) -> tuple[list[Run], list[Run]]:
        for use_case in use_cases:
            mark_lost(conn, use_case)
        return run_queue.dispatched_runs(conn, use_cases), run_queue.waiting_runs(conn, use_cases)

    dispatched, waiting = await _in_database(url, read)
    for run in dispatched:
        await _settle(client, url, run)
    for run in waiting:
        flow_run_id = await _start(client, run)
        await _in_database(url, partial(run_queue.mark_dispatched, run_id=run.id, flow_run_id=flow_run_id))
        log.info("run %s of %s is flow run %s", run.id, run.use_case, flow_run_id)


async def _start(client: PrefectClient, run: Run) -> str:
    deployment = await client.read_deployment_by_name(f"retrain/{run.use_case}-retrain")
    flow_run = await client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"use_case": run.use_case, "trigger": run.trigger, "run_id": run.id},
        idempotency_key=f"ratchet-{run.id}-{run.dispatches}",
    )
    return str(flow_run.id)


async def _settle(client: PrefectClient, url: str, run: Run) -> None:
    """A flow run that is over and has not begun its run never will."""
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
