"""A worker of another machine, or of another home: it serves the work pool, and leaves the rest to the first.

What is due, what is registered and what is told is the affair of the worker that `ratchet up` starts; this
one starts flow runs, each a process that reads the labels from the same database and has its own home.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from configs.addresses.web_url import shown
from configs.errors import ConfigError
from configs.loading import load_use_cases
from configs.security.printable import printable
from configs.settings import Settings, read_settings
from flows.scheduling.deployments import worker_name
from flows.scheduling.known_runs import KnownRunsWorker
from flows.scheduling.registering import PROCESS, PoolDiffers, forget_worker
from flows.servers.own_prefect import absence, refusal, wrong_address
from flows.stack.errors import StackError
from flows.stack.probes import answers
from store.database.connection import connect, database_url
from store.database.revisions import revision_problem
from store.database.sessions import ensure_sessions
from store.database.tls_files import ensure_tls_files
from store.errors import DatabaseUnavailable

NAME = "worker"
"""What its process is called where processes are told apart: as the first one is."""
SHARED = ("RATCHET_DATABASE_URL", "MLFLOW_TRACKING_URI", "PREFECT_API_URL")
"""What all workers have to have in common, and so cannot be what each starts for itself."""
FORGET_SECONDS = 5.0
"""How long the end of a worker may wait for Prefect."""

log = logging.getLogger("prefect.worker.ratchet")


class NothingToJoin(StackError):
    """No pool of another installation is named, or it is not there."""


def ensure_joinable(environ: Mapping[str, str]) -> None:
    """Refuse to join what only this home would know of.

    Raises:
        NothingToJoin: naming the variables.
    """
    if missing := [name for name in SHARED if not environ.get(name, "").strip()]:
        raise NothingToJoin(
            f"a second worker shares database, MLflow and Prefect with the first: set {', '.join(missing)} "
            "to those of the installation that it is to work for"
        )


def ensure_reachable(settings: Settings) -> None:
    """Refuse to take runs that could not but fail here.

    Raises:
        NothingToJoin: naming the variable of what does not answer, or is of another release.
    """
    try:
        ensure_tls_files(settings)
        ensure_sessions(settings)
        with connect(database_url(settings)) as conn:
            problem = revision_problem(conn)
    except DatabaseUnavailable as error:
        raise NothingToJoin(str(error)) from error
    if problem is not None:
        raise NothingToJoin(f"RATCHET_DATABASE_URL: {problem}")
    if not answers(f"{settings.mlflow_uri}/health"):
        raise NothingToJoin(f"MLFLOW_TRACKING_URI: nothing answers at {shown(settings.mlflow_uri)}")


async def ensure_pool_here(settings: Settings) -> None:
    """Refuse a pool that this worker cannot serve, and tell of runs that lack their configuration here.

    Raises:
        NothingToJoin: Prefect does not answer, lets nobody in, or has no such pool.
        PoolDiffers: it is one that Prefect's own workers serve.
    """
    try:
        async with get_client() as client:
            pool = await client.read_work_pool(settings.work_pool)
            deployments = await client.read_deployments(
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[settings.work_pool]))
            )
    except (httpx.HTTPError, ObjectNotFound, RuntimeError, ValueError) as error:
        raise NothingToJoin(_why_not(settings, error)) from None
    if pool.type != PROCESS:
        raise PoolDiffers(settings.work_pool, pool.type, PROCESS)
    wanted = {str(one.parameters["use_case"]) for one in deployments if "use_case" in one.parameters}
    if unknown := sorted(wanted - load_use_cases(settings.config_dirs).keys()):
        log.warning(
            "no file here describes %s, whose runs are left to other workers: set RATCHET_CONFIGS to folders "
            "with the files that the first worker has",
            ", ".join(unknown),
        )


def _why_not(settings: Settings, error: Exception) -> str:
    """What an error of Prefect's client means; where something else answers, it may be any."""
    if (problem := wrong_address(settings)) is not None:
        return problem
    if isinstance(error, ObjectNotFound):
        return (
            f"Prefect has no work pool '{settings.work_pool}'; the first worker makes it: start that "
            "with `ratchet up`, or name another in RATCHET_WORK_POOL"
        )
    if isinstance(error, PrefectHTTPStatusError):
        return refusal(settings, error.response.status_code)
    return absence(settings, str(error))


async def join(settings: Settings, *, most_runs: int) -> None:
    """Start the flow runs of the pool until this process is told to end."""
    name = joined_name(settings.home)
    worker = KnownRunsWorker(
        settings.config_dirs, work_pool_name=settings.work_pool, name=name, limit=most_runs
    )
    serving = asyncio.create_task(worker.start(printer=log.info))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
    await _forget(settings.work_pool, name)


def joined_name(home: Path) -> str:
    """What Prefect knows this worker by: the same at each start, and another than that of `ratchet up`."""
    return f"{worker_name(home)}:joined"


async def _forget(pool_name: str, name: str) -> None:
    """Have Prefect list it no longer; where it is away it tells that the worker is offline."""
    try:
        async with asyncio.timeout(FORGET_SECONDS), get_client() as client:
            await forget_worker(client, pool_name, name)
    except (httpx.HTTPError, PrefectHTTPStatusError, TimeoutError, RuntimeError) as error:
        log.info("Prefect goes on to list this worker, as one that is offline: %s", printable(str(error)))


def main(most_runs: int) -> None:
    """Join with the settings of the environment; what is in the way is said in one line."""
    settings = read_settings()
    try:
        ensure_reachable(settings)
        asyncio.run(ensure_pool_here(settings))
    except (StackError, ConfigError) as error:
        sys.exit(f"ratchet: {printable(str(error))}")
    asyncio.run(join(settings, most_runs=most_runs))


if __name__ == "__main__":
    main(int(sys.argv[1]))
