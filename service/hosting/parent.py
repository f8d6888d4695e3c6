"""The process that started this worker, which ends with it, from its first moment on.

A worker is told who that is: the process may be killed before the worker is able to ask, and what it would
be told then is who takes in orphans, who lives as long as the machine does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import MutableMapping

TOLD_BY = "RATCHET_PROCESS_MANAGER"
ORPHAN_SECONDS = 1.0
_FIRST_PARENT = os.getppid()


def tell_workers(environ: MutableMapping[str, str]) -> None:
    """Have workers that are started with these variables know this process as the one that started them."""
    environ[TOLD_BY] = str(os.getpid())


def is_orphan() -> bool:
    """Whether the process that started this worker is gone: it was killed, as it ends after its workers."""
    return os.getppid() != int(os.environ.get(TOLD_BY, _FIRST_PARENT))


def end_with_parent() -> None:
    """Stop this worker when the process that started it was killed: nobody else would.

    While the worker is starting, it ends at once: it has taken nothing in hand.
    """
    if "--fd" in sys.argv:
        threading.Thread(target=_end_when_orphan, name="parent", daemon=True).start()


def _end_when_orphan() -> None:
    while not is_orphan():
        time.sleep(ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
