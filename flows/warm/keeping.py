"""The worker's part: keeps the process at work that has the flows imported."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from configs.settings import CHECKOUT, Settings
from flows.warm.server import STALE
from flows.warm.wire import SOCKET

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Before one that has failed is started again."""

log = logging.getLogger("prefect.worker.ratchet")


@asynccontextmanager
async def kept_warm(settings: Settings) -> AsyncIterator[None]:
    """Have flow runs of this process forked from one that has imported them, where the system can."""
    if sys.platform != "linux" or not settings.warm_flows:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        os.environ[SOCKET] = str(Path(folder) / "warm")
        keeping = asyncio.create_task(_keep())
        try:
            yield
        finally:
            del os.environ[SOCKET]
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping


async def _keep() -> None:
    wait = FIRST_WAIT
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flows.warm.server", stdin=asyncio.subprocess.PIPE, cwd=CHECKOUT
        )
        code = await process.wait()
        if code == STALE:
            wait = FIRST_WAIT
            continue
        log.warning(
            "the process that flow runs are forked from ended with %d; they start by themselves", code
        )
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
