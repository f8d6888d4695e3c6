"""What the forks of these tests run: it does what the variable PREFECT__TASK says."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from pathlib import Path

ENDED_BY_TERM = 7
REFUSED = "it was refused"


def main() -> None:
    """Say who and where, then do it."""
    task = os.environ["PREFECT__TASK"]
    colour, imported = os.environ.get("RATCHET_COLOUR"), "json.tool" in sys.modules
    say(f"{os.getpid()} {Path.cwd()} {colour} {imported}")
    if task == "fail":
        sys.exit(3)
    if task == "refuse":
        sys.exit(REFUSED)
    if task == "raise":
        raise LookupError(REFUSED)
    if task == "interrupt":
        raise KeyboardInterrupt
    if task == "leave work":
        atexit.register(sys.stdout.write, "at exit\n")
        threading.Timer(0.3, say, ["in a thread"]).start()
        sys.stdout.write("not flushed, ")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED_BY_TERM))
        say("waits")
        time.sleep(60)


def say(line: str) -> None:
    """At once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
