"""The worker that serves Ratchet's work pool: registers the deployments, then runs what is due or asked for.

`prefect worker start --pool ratchet` does the second half; in one process Prefect is imported once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping

from prefect.client.orchestration import PrefectClient, get_client
from prefect.workers.process import ProcessWorker

from configs.loading import load_use_cases, select
from configs.schema import UseCase
from configs.settings import CHECKOUT, Settings, read_settings
from flows.inbox_files import make_inbox
from flows.scheduling.deployments import POOL, Entry, deployments
from flows.scheduling.dispatching import dispatch
from flows.scheduling.notify import notify_forever
from flows.scheduling.registering import ensure_pool, load_flow, register, remove_others, settle_runs
from flows.stack.probes import ready_file
from store.database.connection import connect, database_url
from store.runs.lifecycle import mark_lost

NAME = "ratchet"
MOST_RUNS = 4
"""Flow runs at a time; each is a process that may hold a training."""
PATIENCE = 120.0
"""Seconds to wait for the Prefect server."""

log = logging.getLogger("prefect.worker.ratchet")


async def work(settings: Settings, *, sole: bool) -> None:
    """Serve the pool until the process is told to end.

    Args:
        sole: nobody else uses the pool, so what was left in it is ours to settle.

    Raises:
        TimeoutError: the Prefect server did not answer for `PATIENCE` seconds.
    """
    ready = ready_file(settings.home)
    ready.unlink(missing_ok=True)
    use_cases = select(load_use_cases(settings.config_dirs), settings.use_cases)
    entries = [entry for use_case in use_cases.values() for entry in deployments(use_case)]
    for entry in entries:
        load_flow(entry)  # slow imports, while the server may still be starting
    for name in use_cases:
        make_inbox(settings.home, name)
    async with get_client() as client:
        await _wait_for(client)
        await prepare(client, entries, sole=sole)
    _settle_rows(settings, list(use_cases))
    async with asyncio.TaskGroup() as tasks:
        worker = ProcessWorker(work_pool_name=POOL, name=NAME, limit=MOST_RUNS)
        serving = tasks.create_task(worker.start(printer=log.info))
        dispatching = tasks.create_task(_dispatch(settings, use_cases))
        notifying = tasks.create_task(notify_forever(settings, use_cases))
        serving.add_done_callback(lambda _: (dispatching.cancel(), notifying.cancel()))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        while not worker.is_setup and not serving.done():
            await asyncio.sleep(0.05)
        ready.write_text(f"{os.getpid()}\n", encoding="utf-8")


async def prepare(client: PrefectClient, entries: list[Entry], *, sole: bool) -> None:
    """Bring pool, deployments and left-over runs on the server into order."""
    await ensure_pool(client, sole=sole)
    changed = await register(client, entries, CHECKOUT)
    log.info("%d deployments, %d of them new or changed", len(entries), changed)
    if sole:
        for name in await remove_others(client, [entry["name"] for entry in entries]):
            log.info("deployment %s removed: its use case is gone", name)
        crashed, missed = await settle_runs(client)
        log.info("left over: %d runs marked as crashed, %d missed schedules dropped", crashed, missed)


def _settle_rows(settings: Settings, use_cases: list[str]) -> None:
    """Say of runs whose process is gone that they are lost, before anybody asks for the next."""
    with connect(database_url(settings)) as conn:
        for use_case in use_cases:
            for run_id in mark_lost(conn, use_case):
                log.info("run %s of %s is lost: its process is gone", run_id, use_case)


async def _dispatch(settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
    async with get_client() as client:
        await dispatch(client, settings, use_cases)


async def _wait_for(client: PrefectClient) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while (error := await client.api_healthcheck()) is not None:
        if loop.time() > deadline:
            raise TimeoutError(f"Prefect at {client.api_url} does not answer: {error}")
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(work(read_settings(), sole="--sole" in sys.argv[1:]))
