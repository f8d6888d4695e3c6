"""All of it together: `python -m benchmarks.together`, as root, about ten minutes.

Two servers and a second `ratchet worker` on two addresses of a test network, and beside them what machines
share: PostgreSQL with TLS and verified certificates, MLflow, Prefect, an S3 server, a Dask cluster whose two
workers are on the two machines. A pool of four challengers is trained by Dask in a retrain that the second
worker runs, and one is promoted, while callers ask both servers; then once more, and a Dask worker is killed
midway. Told is what came of each claim, beside the same challengers made without Dask. Ends with an error
where one is not met, and leaves nothing behind. Where there are no network namespaces, it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from benchmarks.together.claims import Claim, judge, show
from benchmarks.together.course import Seen, run_course
from benchmarks.together.installation import installed
from benchmarks.together.leftovers import leftovers
from configs.settings import CHECKOUT
from tests.e2e.replicas.networks import why_no_network
from tests.tls_servers import INITDB

RESULTS = CHECKOUT / "benchmarks" / "results" / "together.json"


def why_not() -> str | None:
    """Why it cannot be shown here; None: it can."""
    if INITDB is None:
        return "no PostgreSQL with TLS is installed: apt install postgresql openssl"
    return why_no_network()


def end_in_order(_number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does, by SIGTERM too."""
    raise KeyboardInterrupt


def main() -> None:
    """Show it, write what was seen, and end with an error where a claim is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=4000, help="labels of the first model; 3 and 6 times as many come"
    )
    parser.add_argument("--iterations", type=int, default=1500, help="trees of a challenger")
    asked = parser.parse_args()
    console = Console(width=140)
    if (why := why_not()) is not None:
        console.print(f"Not shown: {why}.")
        return
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_in_order)
    seen: Seen | None = None
    with tempfile.TemporaryDirectory(prefix="together-") as name:
        folder = Path(name)
        try:
            with installed(folder, asked.iterations) as here:
                seen = run_course(here, asked.rows, lambda said: console.print(said, style="dim"))
        finally:
            left = leftovers(folder)
    claims = judge(seen, left)
    show(console, claims)
    _write(claims, seen)
    if not all(one.met for one in claims):
        sys.exit("a claim was not met")


def _write(claims: list[Claim], seen: Seen) -> None:
    told: dict[str, Any] = {"claims": [one.as_dict() for one in claims], "seen": seen.as_dict()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
