"""How much longer a replay takes than its fits: `python -m benchmarks.policies.speed FILE`.

Elec2 (a CSV file, the label last), 59 periods, three challengers: all rows, those of the newest eight
periods, and the blend. The same fits are made bare in the same run, by the same code, of the same rows, by
as many processes that have started already: nothing is asked of the models, kept or decided.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parents[1] / "results" / "replay_speed.json"
MOST = 1.3


def ratio(told: Sequence[Mapping[str, Mapping[str, float]]], way: str, bare: str, what: str) -> float:
    """Median over the rounds."""
    return median(one[way][what] / one[bare][what] for one in told)


def main() -> int:
    """Measure, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--periods", type=int, default=59, help="so many only")
    options = parser.parse_args()
    # Processes import the module that was started: as little as they do of the command `ratchet`.
    from rich.console import Console

    from benchmarks.harness.targets import Target, show_targets
    from benchmarks.policies.side_by_side import elec2_of, measure

    console = Console()
    told = measure(elec2_of(options.file, options.periods), options.jobs, options.rounds, console)
    of = partial(ratio, told)
    held = [
        Target("default, of its fits", of("default", "its fits", "wall"), "at most", MOST),
        Target("the command, of its fits", of("command", "its fits and learners", "wall"), "at most", MOST),
    ]
    console.print(
        f"processor time: {of('default', 'its fits', 'processor'):.2f} x, "
        f"{of('command', 'its fits and learners', 'processor'):.2f} x"
    )
    show_targets(console, held)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"rounds": told, "targets": [one.as_dict() for one in held]}) + "\n")
    return 0 if all(one.met for one in held) else 1


if __name__ == "__main__":
    sys.exit(main())
