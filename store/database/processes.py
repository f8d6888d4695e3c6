"""Which processes work in a folder: a server is known by its working directory, not by its pid alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_PROC = Path("/proc")


def processes_in(folder: Path) -> set[int]:
    """Pids of live processes whose working directory is `folder`."""
    if (_PROC / "self" / "cwd").exists():
        return {
            int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and _works_in(entry, folder)
        }
    return _by_command_line(folder)


def _works_in(entry: Path, folder: Path) -> bool:
    try:
        return (entry / "cwd").readlink() == folder
    except OSError:  # gone, a zombie, or somebody else's
        return False


def _by_command_line(folder: Path) -> set[int]:
    """Where there is no /proc (macOS): processes whose command names the folder."""
    if shutil.which("ps") is None:
        return set()
    listing = subprocess.run(
        ["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False
    ).stdout
    lines = (line.strip().split(None, 1) for line in listing.splitlines())
    return {int(parts[0]) for parts in lines if len(parts) == 2 and str(folder) in parts[1]}
