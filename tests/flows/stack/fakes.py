"""Small processes in the place of the real servers."""

from __future__ import annotations

import sys
from pathlib import Path

from flows.stack.specs import Server

READY = "from pathlib import Path; Path('{ready}').touch()"
SLEEP = "import time; time.sleep(600)"


def fake(tmp_path: Path, name: str, code: str = "", **options: object) -> Server:
    """A server that is healthy once it has touched its file."""
    ready = tmp_path / f"{name}.ready"
    command = (sys.executable, "-c", f"{code}\n{READY.format(ready=ready)}\n{SLEEP}")
    return Server(name, command, healthy=lambda _pid: ready.exists(), **options)  # type: ignore[arg-type]


class Messages(list[tuple[str, str]]):
    """What was said of each server."""

    def __call__(self, name: str, message: str) -> None:
        self.append((name, message))
