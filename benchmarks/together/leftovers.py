"""What a demonstration would leave behind: namespaces, links, processes."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil


def leftovers(folder: Path) -> list[str]:
    """What is there still, in words; processes of the folder are ended by SIGKILL."""
    stem = f"rt{os.getpid()}"
    listed = {
        "namespace": _lines("ip", "netns", "list"),
        "link": [line.split(": ")[1] for line in _lines("ip", "-o", "link") if ": " in line],
    }
    left = [f"{kind} {name}" for kind, names in listed.items() for name in names if name.startswith(stem)]
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _is_of(process, str(folder)):
            with suppress(psutil.NoSuchProcess):
                left.append(f"process {process.pid} {process.name()}")
                process.kill()
    return left


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _is_of(process: psutil.Process, folder: str) -> bool:
    """Whether its home or its words lie below the folder."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(folder in text for text in (*process.cmdline(), *process.environ().values()))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
