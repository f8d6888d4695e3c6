"""The place of a process behind others: later for a core, or last, first out of memory, gone with its parent.

Niceness alone is not enough: where Linux groups processes by session (autogroups), a core is shared out among
sessions first, and niceness counts within one only. So the session itself is made the last one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import psutil

NICENESS = 19
RUNS_NICENESS = 10
"""Of runs of flows: whoever waits for an answer waits milliseconds, and nobody waits so for a retrain."""
GIGABYTE = 1024**3
LEAST_MEMORY, MOST_MEMORY = GIGABYTE, 4 * GIGABYTE
MEMORY_SHARE = 0.25
"""Of what the machine has, between those two, that a shadow version may take."""
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
"""Variables by which the libraries under a model take one thread each."""
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def step_behind() -> None:
    """Come after the service for cores and disk, with all that is started from here, in its own session."""
    os.setpriority(os.PRIO_PROCESS, 0, max(RUNS_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)
        if os.getsid(0) == os.getpid():
            _write("/proc/self/autogroup", str(RUNS_NICENESS))


def stand_back() -> None:
    """Come last for cores and disk, and first to be ended when memory is short; of its own session only."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
        _write("/proc/self/oom_score_adj", "1000")
        if os.getsid(0) == os.getpid():
            _write("/proc/self/autogroup", str(NICENESS))


def limit_memory() -> None:
    """Have allocations fail beyond what a shadow version may take."""
    most = int(min(MOST_MEMORY, max(LEAST_MEMORY, MEMORY_SHARE * psutil.virtual_memory().total)))
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def end_with(parent: int) -> None:
    """End at once when the process that started this one does, however either of them fares.

    The system sees to it on Linux, even where no thread of this process comes to run; elsewhere a thread
    waits for the end of standard input, which the parent holds open.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_wait_for_end_of_input, name="parent", daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _write(path: str, text: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).write_text(text, encoding="ascii")
