"""The worker that serves Ratchet's work pool: registers the deployments, then runs what is due or asked for.

`prefect worker start --pool ratchet` does the second half; in one process Prefect is imported once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from prefect.client.orchestration import PrefectClient, get_client

from configs.errors import ConfigError
from configs.loading import load_selected
from configs.schema import UseCase
from configs.served import read_served, with_served
from configs.settings import CHECKOUT, Settings, read_settings
from configs.variables import tell_set_in_vain
from flows.inbox_strays import tell_strays
from flows.mirroring.keeping import mirror
from flows.mirroring.priority import step_behind
from flows.retention.bringing_back import bring_back_forever
from flows.retention.daily import prune_daily
from flows.scheduling.deployments import EARLIER_WORKER, Entry, deployments, worker_name
from flows.scheduling.dispatching import EVENT, PREFECT_AWAY, dispatch, read_state
from flows.scheduling.known_runs import KnownRunsWorker
from flows.scheduling.notify import notify_forever
from flows.scheduling.registering import (
    PROCESS,
    ensure_pool,
    forget_worker,
    load_flow,
    register,
    remove_others,
    settle_runs,
)
from flows.scheduling.turns import Turn
from flows.stack.probes import ready_file
from flows.warm.keeping import kept_warm
from store.database.connection import connect, database_url
from store.database.faults import FAULTS, sentence
from store.runs.cut_off import ask_again, has_abandoned
from store.runs.lifecycle import GONE_SECONDS, requeue
from store.runs.rows import dispatched_runs
from store.runs.workers import WorkerMark

MOST_RUNS = 4
"""Flow runs at a time; each is a process that may hold a training."""
PATIENCE = 120.0
"""Seconds to wait for the Prefect server."""

SETTLE_SECONDS = 1.0
AGAIN_SECONDS = 5.0
"""Between two attempts to register, where Prefect is away."""

log = logging.getLogger("prefect.worker.ratchet")


@dataclass(frozen=True)
class Here:
    """This worker."""

    settings: Settings
    mark: WorkerMark
    sole: bool
    """Nobody but those that the database shows uses the pool, so what was left in it is theirs to settle."""


async def work(here: Here) -> None:
    """Serve the pool until the process is told to end; on SIGHUP read the configuration anew.

    Raises:
        TimeoutError: the Prefect server did not answer for `PATIENCE` seconds.
    """
    async with kept_warm(here.settings):
        await _work(here)


async def _work(here: Here) -> None:
    settings = here.settings
    ready = ready_file(settings.home)
    ready.unlink(missing_ok=True)
    use_cases = load_selected(settings.config_dirs, settings.use_cases)
    # Slow imports, while the servers, and what flow runs are forked from, may still be starting.
    entries = await asyncio.to_thread(_load_entries, use_cases, settings.work_pool)
    async with get_client() as client:
        await _wait_for(client)
        turn = await asyncio.to_thread(Turn.take, settings)
        await prepare(client, here, entries, turn)
        if here.sole:
            await requeue_crashed(client, settings, list(use_cases))
    await asyncio.to_thread(_settle_rows, settings, list(use_cases))
    name = worker_name(settings.home)
    worker = KnownRunsWorker(
        settings.config_dirs, work_pool_name=settings.work_pool, name=name, limit=MOST_RUNS
    )
    serves = settings.work_pool_type == PROCESS  # the runs of other pools Prefect's own workers start
    serving = asyncio.create_task(worker.start(printer=log.info) if serves else asyncio.Event().wait())
    following = asyncio.create_task(_follow(worker if serves else None, here, use_cases, turn))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (following, serving):
            task.cancel()
        results = await asyncio.gather(serving, following, return_exceptions=True)
    for error in results:  # to be cancelled is how it ends when it is told to
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error


async def _follow(
    worker: KnownRunsWorker | None, here: Here, use_cases: Mapping[str, UseCase], turn: Turn
) -> None:
    """Ask, hand over and tell of these use cases, and of those that SIGHUP says are to be served."""
    reload = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    while worker is not None and not worker.is_setup:
        await asyncio.sleep(0.05)
    while True:
        settings, listening, shown = here.settings, asyncio.Event(), asyncio.Event()
        if worker is not None:
            worker.config_dirs = settings.config_dirs

        def on_listening(events: tuple[asyncio.Event, ...] = (listening, shown)) -> None:
            for event in events:
                event.set()

        async with asyncio.TaskGroup() as tasks:
            at_work = [
                tasks.create_task(_dispatch(worker, here, use_cases, on_listening)),
                tasks.create_task(_register_when_shown(settings, use_cases, shown)),
                tasks.create_task(notify_forever(settings, use_cases)),
                tasks.create_task(prune_daily(settings, list(use_cases))),
                tasks.create_task(bring_back_forever(settings, list(use_cases))),
                tasks.create_task(_tell_ready(settings, listening, turn)),
                tasks.create_task(tell_strays(settings)),
                tasks.create_task(mirror(settings, use_cases)),
            ]
            while (read := await _reread(here, reload)) is None:
                pass  # what it could not take up
            for task in at_work:
                task.cancel()
        here, use_cases = read


async def _register_when_shown(
    settings: Settings, use_cases: Mapping[str, UseCase], shown: asyncio.Event
) -> None:
    """Bring back deployments, each time the database has shown this worker anew.

    Whoever began meanwhile saw none, and took them for those of use cases that are gone.
    """
    while True:
        await shown.wait()
        shown.clear()
        entries = await asyncio.to_thread(_load_entries, use_cases, settings.work_pool)
        try:
            async with get_client() as client:
                await bring_deployments(client, entries, sole=False)
        except PREFECT_AWAY as error:
            log.warning("whether deployments are there cannot be seen now: %s", error)
            await asyncio.sleep(AGAIN_SECONDS)
            shown.set()


async def _tell_ready(settings: Settings, listening: asyncio.Event, turn: Turn) -> None:
    """Say that labels are heard of from now on, and come after the service from then on.

    Not before: where a machine is busy whoever waits for the worker would wait for minutes. What it forked
    its runs from steps behind with it, and each run in its own session.
    """
    await listening.wait()
    turn.end()  # others see this worker now
    step_behind()
    ready_file(settings.home).write_text(f"{os.getpid()}\n", encoding="utf-8")


async def _reread(here: Here, reload: asyncio.Event) -> tuple[Here, dict[str, UseCase]] | None:
    """What is to be served from now on, once that is asked for; None: it is wrong, and all stays as it is."""
    await reload.wait()
    reload.clear()
    os.environ.update(read_served(here.settings.home))  # for flow runs too
    here = replace(here, settings=with_served(here.settings))
    settings, turn = here.settings, Turn()
    try:
        use_cases = load_selected(settings.config_dirs, settings.use_cases)
        entries = await asyncio.to_thread(_load_entries, use_cases, settings.work_pool)
        turn = await asyncio.to_thread(Turn.take, settings)
        others, _ = await asyncio.to_thread(turn.look, here.mark)
        async with get_client() as client:
            await ensure_pool(client, settings.work_pool, settings.work_pool_type, sole=here.sole)
            await bring_deployments(client, entries, sole=here.sole and others is False)
    except (ConfigError, *PREFECT_AWAY) as error:
        log.warning("the configuration cannot be taken up, so all goes on as it was: %s", error)
        return None
    finally:
        turn.end()
    return here, use_cases


async def prepare(client: PrefectClient, here: Here, entries: list[Entry], turn: Turn) -> None:
    """Bring pool, deployments and left-over runs on the server into order."""
    settings = here.settings
    await ensure_pool(client, settings.work_pool, settings.work_pool_type, sole=here.sole)
    if not here.sole:
        await bring_deployments(client, entries, sole=False)
        return
    others, held = await asyncio.to_thread(turn.look, here.mark)
    await bring_deployments(client, entries, sole=others is False)
    if others is None:
        return
    if others:
        log.warning(
            "another worker lives on this database: what is left over, and what only it has, is its affair"
        )
        return
    await forget_worker(client, settings.work_pool, EARLIER_WORKER)
    crashed, missed = await settle_runs(client, settings.work_pool, held=held)
    log.info("left over: %d runs marked as crashed, %d missed schedules dropped", crashed, missed)


async def bring_deployments(client: PrefectClient, entries: list[Entry], *, sole: bool) -> None:
    """Make the server's deployments those of the entries."""
    changed = await register(client, entries, CHECKOUT)
    log.info("%d deployments, %d of them new or changed", len(entries), changed)
    if sole:
        for name in await remove_others(client, [entry["name"] for entry in entries]):
            log.info("deployment %s removed: its use case is gone", name)


async def requeue_crashed(client: PrefectClient, settings: Settings, use_cases: list[str]) -> None:
    """Let runs wait again that the last worker was about to start: what ended is their flow run, not they.

    With the database away, or read-only, the dispatcher finds them later.
    """
    try:
        with connect(database_url(settings), autocommit=True) as conn:
            for run in dispatched_runs(conn, use_cases):
                state = None if (run.flow_run_id or "").startswith(EVENT) else await read_state(client, run)
                if state is not None and state.is_crashed():
                    requeue(conn, run)
                    log.info("run %s of %s waits again: its flow run was cut off", run.id, run.use_case)
    except FAULTS as error:
        log.warning("runs that were cut off cannot be told now: %s", sentence(error))


def _settle_rows(settings: Settings, use_cases: list[str]) -> None:
    """End what nobody holds any more and ask for it again, before anybody asks for the next.

    With the database away, or read-only, that is left to whoever asks for the next.
    """
    until = time.monotonic() + GONE_SECONDS + SETTLE_SECONDS
    try:
        with connect(database_url(settings), autocommit=True) as conn:
            while True:
                for run_id, use_case in ask_again(conn, use_cases).items():
                    log.info("a run of %s was cut off; run %s begins it anew", use_case, run_id)
                if not has_abandoned(conn, use_cases) or time.monotonic() > until:
                    return
                time.sleep(SETTLE_SECONDS / 2)
    except FAULTS as error:
        log.warning("runs whose process is gone cannot be told now: %s", sentence(error))


def _load_entries(use_cases: Mapping[str, UseCase], pool: str) -> list[Entry]:
    """The deployments of use cases, with their flows imported."""
    entries = [entry for use_case in use_cases.values() for entry in deployments(use_case, pool)]
    for entry in entries:
        load_flow(entry)
    return entries


async def _dispatch(
    worker: KnownRunsWorker | None,
    here: Here,
    use_cases: Mapping[str, UseCase],
    on_listening: Callable[[], None],
) -> None:
    async with get_client() as client:
        poll = _nothing if worker is None else worker.get_and_submit_flow_runs
        await dispatch(client, here.settings, use_cases, here.mark, on_listening, poll)


async def _nothing() -> None:
    """Whose runs Prefect's own workers start, they poll for."""


async def _wait_for(client: PrefectClient) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while (error := await client.api_healthcheck()) is not None:
        if loop.time() > deadline:
            raise TimeoutError(f"Prefect at {client.api_url} does not answer: {error}")
        await asyncio.sleep(0.2)


def main(words: Sequence[str]) -> None:
    """Work with the settings of the environment, in a home that is made where there is none.

    Args:
        words: of the command line.
    """
    tell_set_in_vain(os.environ)
    settings = read_settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = WorkerMark.of(settings, keeps_models="--keeps-models" in words)
    asyncio.run(work(Here(settings, mark, sole="--sole" in words)))


if __name__ == "__main__":
    main(sys.argv[1:])
