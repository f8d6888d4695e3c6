"""Two servers on a network of namespaces: `python -m benchmarks.replicas`, as root, with HAProxy.

How soon a promotion is answered by at both, how soon one that has lost the database says so and catches up
once it is back, and what callers get while both are restarted behind a load balancer. About three minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from features.records.example import example_record
from tests.e2e.replicas.balancing import balanced
from tests.e2e.replicas.calls import Calls
from tests.e2e.replicas.fleet import DIGITS, ReplicaServer
from tests.e2e.replicas.installation import Fleet, running_fleet
from tests.e2e.replicas.networks import DATABASE, why_no_network

MOST_SECONDS = 60.0
DRAIN = "3"


def seconds_until(holds: Callable[[], bool]) -> float:
    """How long it takes."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > MOST_SECONDS:
            raise TimeoutError
        time.sleep(0.005)
    return time.monotonic() - began


def serves(server: ReplicaServer, version: int) -> Callable[[], bool]:
    """Whether it answers by that version."""
    return lambda: server.version() == version


def promotions(fleet: Fleet, times: int) -> list[float]:
    """Seconds from the end of each promotion until both answer by it."""
    took = []
    for _ in range(times):
        version = fleet.promote_next()
        began = time.monotonic()
        for server in fleet.servers:
            seconds_until(serves(server, version))
        took.append(time.monotonic() - began)
        time.sleep(0.5)
    return took


def cut_off(fleet: Fleet, seconds: float) -> tuple[float, float, float]:
    """Seconds until the lost one says so and, from its return on, until it follows and is heard."""
    one = fleet.servers[0]
    fleet.network.lose(one.place, DATABASE)
    began = time.monotonic()
    noticed = seconds_until(lambda: one.health()["server"]["cut_off"] is not None)
    version = fleet.promote_next()
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    fleet.network.find(one.place, DATABASE)
    followed = seconds_until(serves(one, version))
    return noticed, followed, followed + seconds_until(lambda: one.health()["server"]["cut_off"] is None)


def rolling(fleet: Fleet, folder: Path) -> Counter[str]:
    """What callers get while one server after the other is restarted."""
    headers = {"Authorization": f"Bearer {fleet.keys.token}"}
    body = {"records": [example_record(DIGITS.record)]}
    with (
        balanced(folder, fleet.servers) as url,
        Calls({"all": url}, "/v1/digits/predict", headers, body, each=8, rest=0.01) as calls,
    ):
        time.sleep(2)
        for number in (0, 1):
            fleet.servers[number].stop()
            fleet.start(number, RATCHET_DRAIN_SECONDS=DRAIN).wait_until_ready()
            time.sleep(2)
    return calls.told


def main() -> None:
    """Measure, and end with an error where a promotion took more than 2 seconds or a request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2, help="rolling restarts of both")
    asked = parser.parse_args()
    if (why := why_no_network()) is not None:
        sys.exit(why)
    console = Console()
    with (
        tempfile.TemporaryDirectory() as name,
        running_fleet(Path(name), RATCHET_DRAIN_SECONDS=DRAIN) as fleet,
    ):
        took = promotions(fleet, asked.promotions)
        median, most = statistics.median(took), max(took)
        console.print(f"promotion until both answer by it, s: median {median:.2f}, most {most:.2f}")
        for lost in (15.0, 45.0):
            noticed, followed, heard = cut_off(fleet, lost)
            console.print(
                f"cut off for {lost:.0f} s: noticed after {noticed:.1f} s; back: followed after "
                f"{followed:.1f} s, heard after {heard:.1f} s"
            )
        answers = sum((rolling(fleet, Path(name)) for _ in range(asked.rounds)), Counter())
        console.print(f"answers during {asked.rounds} rolling restarts: {dict(answers)}")
    if max(took) > 2 or set(answers) != {"200"}:
        sys.exit("a promotion took more than 2 s, or a request failed")


if __name__ == "__main__":
    main()
