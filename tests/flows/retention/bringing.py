"""The worker's part that puts predictions back, in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest

from configs.settings import Settings
from flows.retention.bringing_back import bring_back_forever


@contextmanager
def bringing_back(settings: Settings, use_cases: Collection[str]) -> Iterator[None]:
    """Puts back what is asked for until the end."""
    loop = asyncio.new_event_loop()
    work = loop.create_task(bring_back_forever(settings, use_cases))

    def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(work)
        loop.run_until_complete(loop.shutdown_default_executor())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(work.cancel)
        thread.join(30)
        loop.close()
