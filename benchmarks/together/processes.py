"""Processes of the demonstration: each with its log, and gone at the end with all that it has started."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from configs.settings import CHECKOUT

GRACE = 45.0
"""Seconds to end by SIGTERM."""


def environment(**changes: str) -> dict[str, str]:
    """That of this process without its own settings of Ratchet and its tools, and with these."""
    theirs = ("RATCHET_", "PREFECT_", "MLFLOW_", "BENTOML_", "AWS_", "PG")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return {**inherited, "PYTHONPATH": str(CHECKOUT), **changes}


@contextmanager
def started(
    command: Sequence[str], variables: Mapping[str, str], log: Path, inside: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process while this lasts; not in the terminal's group, so that Ctrl-C ends them in order.

    Args:
        inside: words before the command, such as `ip netns exec NAME`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*inside, *command], env=dict(variables), cwd=CHECKOUT,
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """By SIGTERM, or else by SIGKILL, with whatever it has started."""
    family = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    process.kill()
    process.wait(20)


def done(command: Sequence[str], variables: Mapping[str, str], seconds: float = 600) -> str:
    """Run a command to its end, and give what it printed."""
    ended = subprocess.run(
        command, env=dict(variables), cwd=CHECKOUT,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds,
        start_new_session=True,
    )  # fmt: skip
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    return ended.stdout


def wait_for(
    holds: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None, log: Path, seconds: float
) -> None:
    """Until it is so; a process that ends meanwhile is an error, with the end of its log."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until or (process is not None and process.poll() is not None):
            raise RuntimeError(f"{what}: not in time, or its process ended: {log.read_text()[-4000:]}")
        time.sleep(0.2)
