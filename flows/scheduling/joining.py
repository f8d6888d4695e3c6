"""A worker of another machine, or of another home: it serves the work pool, and leaves the rest to the first.

What is due, what is registered and what is told is the affair of the worker that `ratchet up` starts; this
one starts flow runs, each a process that reads the labels from the same database and has its own home.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from configs.settings import Settings, read_settings
from flows.scheduling.registering import PROCESS, PoolDiffers
from flows.stack.errors import StackError

NAME = "worker"
"""What its process is called where processes are told apart: as the first one is."""
SHARED = ("RATCHET_DATABASE_URL", "MLFLOW_TRACKING_URI", "PREFECT_API_URL")
"""What all workers have to have in common, and so cannot be what each starts for itself."""


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


async def join(settings: Settings, *, most_runs: int) -> None:
    """Start the flow runs of the pool until this process is told to end.

    Raises:
        NothingToJoin: the pool is not there.
        PoolDiffers: it is one that Prefect's own workers serve.
    """
    async with get_client() as client:
        try:
            pool = await client.read_work_pool(settings.work_pool)
        except ObjectNotFound:
            raise NothingToJoin(
                f"Prefect has no work pool '{settings.work_pool}'; the first worker makes it: start that "
                "with `ratchet up`, or name another in RATCHET_WORK_POOL"
            ) from None
    if pool.type != PROCESS:
        raise PoolDiffers(settings.work_pool, pool.type, PROCESS)
    name = f"{socket.gethostname()}-{os.getpid()}"
    worker = ProcessWorker(work_pool_name=settings.work_pool, name=name, limit=most_runs)
    serving = asyncio.create_task(worker.start(printer=log.info))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


def main(most_runs: int) -> None:
    """Join with the settings of the environment."""
    asyncio.run(join(read_settings(), most_runs=most_runs))


if __name__ == "__main__":
    main(int(sys.argv[1]))
