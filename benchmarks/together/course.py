"""The course of the demonstration, from the first labels to what is looked at in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.together.bucket import Kept, kept_in_homes, read_bucket
from benchmarks.together.challengers import RECORDS
from benchmarks.together.installation import Installation, database_url
from benchmarks.together.processes import end, wait_for
from benchmarks.together.rows import NAME, made_records
from benchmarks.together.sessions import Sessions, refusal
from benchmarks.together.turns import Here, Killer, Turn, make_here, retrain, take_in
from tests.e2e.replicas.calls import Calls
from tests.e2e.replicas.networks import CLIENT

Say = Callable[[str], None]
REACH_SECONDS = 60.0


@dataclass
class Seen:
    """All that is judged in the end."""

    first: Turn
    """By the worker of the first machine: the first version."""
    here: list[Here] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    """By the second worker: with both Dask workers, then with one that is killed."""
    reached: list[dict[str, float]] = field(default_factory=list)
    """Of either turn, by server: seconds from the promotion to the first answer by the new version, and to
    the last by the one before."""
    served_differ: list[float] = field(default_factory=list)
    """Largest difference between what servers answer and the promoted challenger's own answers."""
    killed: Killer | None = None
    exit_code: int | None = None
    """Of the Dask worker that was killed."""
    sent: int = 0
    failed: int = 0
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sessions: Sessions | None = None
    plain: str | None = None
    """Why PostgreSQL refuses who comes without TLS."""
    stranger: str | None = None
    """Why a client refuses PostgreSQL where another authority is to have signed."""
    kept: Kept | None = None
    in_homes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "turns": [
                {
                    "outcome": one.result["outcome"],
                    "challenger": one.result["challenger"],
                    "steps": one.result["steps"],
                    "run_seconds": one.run.seconds,
                    "flow_seconds": round(one.flow_seconds, 2),
                    "train_rows": one.result["train_rows"],
                }
                for one in (self.first, *self.turns)
            ],
            "here_seconds": [round(one.seconds, 2) for one in self.here],
            "reached": self.reached,
            "answers": {name: dict(counted) for name, counted in self.answers.items()},
            "sessions": [] if self.sessions is None else self.sessions.as_dict(),
            "bucket": {} if self.kept is None else self.kept.sizes,
        }


def run_course(here: Installation, rows: int, say: Say) -> Seen:
    """All of it, with what was seen."""
    with Sessions(here.database_url) as sessions:
        say("the first labels, and a first version by the worker of the first machine")
        first = here.first_worker()
        take_in(here, 0, rows)
        wait_for(
            lambda: (here.home("first") / "worker.ready").exists(), "the first worker", first,
            here.folder / "logs" / "first worker.log", 240,
        )  # fmt: skip
        seen = Seen(retrain(here, first.pid), sessions=sessions)
        end(first)
        here.start_servers()
        second = here.second_worker()
        with _calls(here) as calls:
            say("both servers answer; the first worker has ended, the second one is there")
            _turn(here, seen, calls, 1, 3 * rows, second.pid, say)
            say("the same again, and a Dask worker is killed midway")
            _turn(here, seen, calls, 2, 6 * rows, second.pid, say, kills=True)
            time.sleep(2)
        seen.sent, seen.failed, seen.answers = calls.sent, calls.failed, calls.answers
        seen.plain = refusal(database_url(here.postgres, "sslmode=disable"))
        other = here.postgres.other.certificate
        seen.stranger = refusal(database_url(here.postgres, f"sslmode=verify-full&sslrootcert={other}"))
        seen.kept, seen.in_homes = read_bucket(here), kept_in_homes(here)
    return seen


def _turn(
    here: Installation,
    seen: Seen,
    calls: Calls,
    world: int,
    rows: int,
    worker: int,
    say: Say,
    kills: bool = False,
) -> None:
    before = seen.turns[-1] if seen.turns else seen.first
    take_in(here, world, rows)
    alone = make_here(here, f"here{world}")
    say(f"four challengers made here, without Dask, in {alone.seconds:.0f} s")
    seen.here.append(alone)
    made = _retrain_and_kill(here, seen, worker) if kills else retrain(here, worker)
    say(f"the retrain took {made.flow_seconds:.0f} s: {made.result['outcome']}: {made.result['reason']}")
    seen.turns.append(made)
    if made.promoted_at is None:
        return
    version = int(made.result["version"])
    until = time.monotonic() + REACH_SECONDS
    while time.monotonic() < until and not all((name, version) in calls.first for name in here.servers):
        time.sleep(0.1)
    time.sleep(2)
    old = int(before.result["version"])
    for name in here.servers:
        told = {"first": calls.first.get((name, version)), "last before": calls.last.get((name, old))}
        seen.reached.append(
            {
                f"{name}, {what}": float("inf") if at is None else at - made.promoted_at
                for what, at in told.items()
            }
        )
    seen.served_differ.append(_served_differ(here, made))


def _retrain_and_kill(here: Installation, seen: Seen, worker: int) -> Turn:
    from distributed import Client

    with Client(here.dask.address.replace("dask://", "tcp://"), set_as_default=False) as client:
        seen.killed = Killer(here, client)
        made = retrain(here, worker, seen.killed)
    victim = next((one for one in here.dask.workers if one.pid == seen.killed.pid), None)
    seen.exit_code = None if victim is None else victim.wait(30)
    return made


def _calls(here: Installation) -> Calls:
    urls = {name: server.url for name, server in here.servers.items()}
    headers = {"Authorization": f"Bearer {here.keys.token}"}
    return Calls(urls, f"/v1/{NAME}/predict", headers, {"records": made_records(1)}, CLIENT)


def _served_differ(here: Installation, made: Turn) -> float:
    """Between the answers of both servers and those of the challenger that was promoted."""
    wanted = made.answers[str(made.result["challenger"])]
    worst = 0.0
    for server in here.servers.values():
        told = server.predict(NAME, made_records(RECORDS))
        if told["model"]["version"] != made.result["version"]:
            return float("inf")
        scores = np.array([[one["scores"][name] for name in ("poor", "good")] for one in told["predictions"]])
        worst = max(worst, float(np.abs(scores - wanted).max()))
    return worst
