"""A worker that answers jobs and nothing else: `python -m service.work [USE_CASE]...`, on any machine.

It needs the database (`RATCHET_DATABASE_URL`) and MLflow (`MLFLOW_TRACKING_URI`), follows production
as servers do, and listens on no port.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from configs.errors import ConfigError
from configs.loading import load_selected
from configs.logs import configure_logs
from configs.security.proxies import proxy_environment
from configs.security.umask import set_private_umask
from configs.settings import Settings, own_hosts, read_settings

log = logging.getLogger("ratchet.service")


async def work(settings: Settings) -> None:
    """Answer jobs until SIGTERM or SIGINT, then finish the batch in hand."""
    from service.worker import Worker

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    worker = Worker(settings, listens=False)
    await worker.start()
    log.info("answering jobs of %s", ", ".join(worker.slots))
    await stopping.wait()
    await worker.stop()


def main() -> None:
    """Answer jobs of the use cases that are named, else of those of the environment."""
    # One thread a model call: more workers, not more threads. Libraries read this when they are loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.argv[1:]:
        os.environ["RATCHET_USE_CASES"] = ",".join(sys.argv[1:])
    try:
        settings = read_settings()
        os.environ.update(proxy_environment(os.environ, own_hosts(settings)))
        load_selected(settings.config_dirs, settings.use_cases)
    except ConfigError as error:
        sys.exit(f"ratchet: {error}")
    configure_logs(settings.log_format)
    set_private_umask()
    settings.home.mkdir(parents=True, exist_ok=True)
    asyncio.run(work(settings))


if __name__ == "__main__":
    main()
