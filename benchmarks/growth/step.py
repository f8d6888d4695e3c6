"""One step of the loop in a process of its own, measured: a file that runs by the checkout of `PYTHONPATH`.

Prints one line of JSON: seconds and CPU seconds of the step without imports, by part where it has some, and
the peak memory of the process.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numpy as np

# Each step imports what it needs: a file of rows is read without what trains, by less memory.
from configs.settings import read_settings

if TYPE_CHECKING:
    from flows.context import LoopContext
    from flows.retrain.held_run import HeldRun
    from flows.retrain.sequence import Conduct

THIN = 20_000
"""Rows that the first model is fitted on; its snapshot has all."""
ROUNDS = 5
NAME = "growth"
Found = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


def cpu() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_bytes() -> int:
    """Of this process by itself; what `getrusage` tells has that of who started it in it."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [one for one in told.splitlines() if one.startswith("VmHWM:")]
    return 1024 * int(line.split()[1])


class Watch:
    """Seconds and CPU seconds since a step has what it imports."""

    def begin(self) -> None:
        """From now on."""
        self._began, self._used = time.perf_counter(), cpu()

    def read(self) -> Found:
        """So far, and the peak memory of the process."""
        return {
            "seconds": round(time.perf_counter() - self._began, 3),
            "cpu": round(cpu() - self._used, 3),
            "peak_mb": round(peak_bytes() / 1e6),
        }


def timed(held: HeldRun, *, thin: bool) -> tuple[Conduct, dict[str, float]]:
    """The steps as they are, and the CPU seconds of each part; `thin`: fits get a few of the rows."""
    from flows.retrain.sequence import Conduct

    used: dict[str, float] = {}

    class Timed(Conduct):
        @contextmanager
        def part(self, name: str) -> Iterator[None]:
            began = cpu()
            with super().part(name):
                yield
            used[name] = round(cpu() - began, 3)

        def taking(self, step: Callable[P, R]) -> Callable[P, R]:
            taken = super().taking(step)
            reads = step.__name__ in ("read_frame", "read_rows")  # an older checkout has the first
            return cast("Callable[P, R]", thinned(taken)) if thin and reads else taken

    return Timed(held), used


def thinned(read: Callable[..., Any]) -> Callable[..., Any]:
    """Reads the rows with few of those to learn from, the newest."""

    def read_thin(*given: Any, **named: Any) -> Any:
        frame = read(*given, **named)
        if hasattr(frame, "learn"):
            from models.streamed.sources import newest

            return replace(frame, learn=newest(frame.learn, THIN))
        learned = np.flatnonzero(frame.split == "train")
        return frame.take(np.union1d(np.flatnonzero(frame.split == "holdout"), learned[-THIN:]))

    return read_thin


def ingest(context: LoopContext, watch: Watch, file: str) -> Found:
    """Read a file of labelled rows, as `ratchet ingest` does."""
    from store.ingest.files import ingest_file

    watch.begin()
    with context.connect() as conn:
        report = ingest_file(conn, context.use_case, Path(file))
    return {"rows": report.new}


def retrain(context: LoopContext, watch: Watch, how: str) -> Found:
    """A retrain from its first step to its last, fitted on the newest million rows; `thin`: on few;
    `streamed`: on all, by an estimator that learns in batches; `snapshot`: no further.
    """
    from flows.retrain.held_run import holding_run
    from flows.retrain.sequence import carry_out, prepare

    if how == "streamed":
        context = streamed(context)
    watch.begin()
    with holding_run(
        context.database_url, NAME,
        trigger="person", run_id=None, flow_run_id=None, on_progress=lambda _said: None,
    ) as held:  # fmt: skip
        conduct, used = timed(held, thin=how == "thin")
        ground = prepare(context, conduct, "person")
        rows, outcome = ground.snapshot.rows, str(ground.missing or "snapshot")
        if how != "snapshot":
            assert ground.missing is None, ground.missing
            outcome = carry_out(context, conduct, "person", ground).outcome
    return {"outcome": outcome, "rows": rows, "parts": conduct.seconds, "cpu_parts": used}


def streamed(context: LoopContext) -> LoopContext:
    """The same, of which all rows are learned, in batches."""
    from configs.schema import ChallengerConfig, ModelConfig

    model = ModelConfig(estimator="logistic_batches")
    use_case = context.use_case
    training = use_case.training.model_copy(
        update={"challengers": (ChallengerConfig(name="full", model=model),)}
    )
    return replace(context, use_case=use_case.model_copy(update={"training": training}))


def drift(context: LoopContext, watch: Watch) -> Found:
    """A drift check with its page and what MLflow is told."""
    from flows.drift.checking import check_use_case, log_drift

    watch.begin()
    with context.workdir() as workdir:
        report = check_use_case(context, workdir)
        assert report is not None
        log_drift(context, report)
    return {"outcome": report.findings.verdict, "reason": report.findings.reason}


def _stored_facts() -> Callable[..., object]:
    """What `ratchet status` asks of database and registry; all of it was one file in older checkouts."""
    try:
        room: Any = import_module("flows.status.use_cases")
    except ModuleNotFoundError:
        room = import_module("flows.status")
    found: Callable[..., object] = getattr(room, "stored_facts", None) or room._stored
    return found


def questions(context: LoopContext, watch: Watch) -> Found:
    """What `ratchet status`, /health, /metrics and the page's reports ask of database and registry."""
    from prometheus_client import CollectorRegistry

    from models.production.registry_rest import open_registry
    from service.metrics import Metrics
    from service.state import health
    from service.state.audits import describe_audits
    from service.state.drift import describe_drift
    from service.state.gauges import Gauges
    from service.state.quality import describe_quality
    from service.state.quarantine import describe_quarantine
    from service.storage.database import Database

    watch.begin()
    settings, use_case = context.settings, context.use_case
    database, registry = Database(settings), open_registry(settings.mlflow_uri)
    stored = _stored_facts()
    facts = getattr(health, "read_facts", None) or cast(Any, health)._read_facts

    def ask_status() -> None:
        with context.connect() as conn:
            stored(conn, use_case, registry)

    def ask_gauges() -> None:
        metrics = Metrics(CollectorRegistry())
        Gauges({NAME: use_case}, {}, database, metrics, settings.home / "lock").set_from_database()

    asked: dict[str, Callable[[], object]] = {
        "status": ask_status,
        "metrics": ask_gauges,
        "health": lambda: facts(database, [NAME]),
        "quality": lambda: describe_quality(database, use_case, 30, 720),
        "quarantine": lambda: describe_quarantine(database, NAME, 20, 0),
        "audits": lambda: describe_audits(database, NAME, 20, 30),
        "drift report": lambda: describe_drift(database, NAME, 20),
    }
    taken = {name: _median(ask) for name, ask in asked.items()}
    database.close()
    return {"ms": taken}


def _median(ask: Callable[[], object]) -> float:
    ask()  # connects, imports
    milliseconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        milliseconds.append(1000 * (time.perf_counter() - began))
    return round(float(np.median(milliseconds)), 1)


STEPS: dict[str, Callable[..., Found]] = {
    "ingest": ingest, "retrain": retrain, "drift": drift, "questions": questions,
}  # fmt: skip


def main() -> None:
    """Take the step that the command line names."""
    logging.basicConfig(level=logging.WARNING)
    from store.database.connection import database_url, migrate

    name, *given = sys.argv[1:]
    if name == "migrate":
        migrate(database_url(read_settings()))
        print(json.dumps({}))  # noqa: T201
        return
    from flows.context import open_context

    watch = Watch()
    found = STEPS[name](open_context(NAME), watch, *given) | watch.read()
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
