"""Asking a process of its own that runs a module and says what it found as JSON, in its last line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from configs.settings import CHECKOUT


class AskedInVain(Exception):
    """The process ended without an answer."""

    def __init__(self, returncode: int, stderr: str) -> None:
        ends = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        super().__init__(f"ended with {returncode}: {ends}")


def ask(module: str, arguments: Iterable[str], environment: Mapping[str, str]) -> Any:
    """What `python -m module` tells.

    Raises:
        AskedInVain: what a package does when it is imported may end the process.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise AskedInVain(done.returncode, done.stderr)
    return json.loads(lines[-1])


def tell(found: object) -> None:
    """Say it, in a line by itself whatever was printed before."""
    sys.stdout.write(f"\n{json.dumps(found)}\n")
