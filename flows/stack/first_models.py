"""Train a first model for each use case that has none, in a process of its own.

Training needs TensorFlow and a gigabyte; the process that starts the servers, and may stay to watch
them, should not keep that. The child says what it does on stdout, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from configs.loading import load_selected
from configs.served import read_use_cases
from configs.settings import CHECKOUT, Settings, read_settings
from features.errors import FeatureError
from flows.launch import retrain_now
from flows.servers.environment import child_environment
from flows.stack.processes import how_it_ended, log_end, marked_processes, wait_for_end
from flows.stack.specs import log_file
from models.errors import ModelError
from models.production.incumbent import find_incumbent
from models.production.registry_rest import open_registry
from store.database.connection import connect, database_url
from store.errors import RunBusy, StoreError
from store.feedback.rows import count_feedback
from store.ingest.failed_downloads import failed_lately
from store.service_workers import read_models

NAME = "first-models"
SERVED_SECONDS = 60.0
SERVED_POLL_SECONDS = 0.05
OTHERS_POLL_SECONDS = 1.0
OnProgress = Callable[[str, Mapping[str, Any]], None]


class FirstModelsFailed(Exception):
    """A first model that is not there; the message says why."""


def without_production(settings: Settings) -> list[str]:
    """Use cases that have never had production: one that lost its alias, or was deleted, does not count.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    registry = open_registry(settings.mlflow_uri)
    names = load_selected(settings.config_dirs, settings.use_cases)
    with connect(database_url(settings)) as conn:
        return [name for name in names if find_incumbent(conn, registry, name) is None]


def with_production(settings: Settings) -> list[str]:
    """Use cases that have had production; none where that cannot be asked."""
    try:
        without = without_production(settings)
    except (ModelError, StoreError):
        return []
    return [name for name in load_selected(settings.config_dirs, settings.use_cases) if name not in without]


def train_first_models(
    settings: Settings, on_progress: OnProgress, on_wait: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Train what is missing and return what each run came to, by use case.

    Another command that is at it may not know of all that is missing here, so it is waited for, and the rest
    is trained then. A fit that ends its process fails by that, and another process goes on with the next use
    case.

    Args:
        on_wait: told in a sentence that there is another one.

    Raises:
        FirstModelsFailed: the process ended before it came to any.
    """
    missing = without_production(settings)
    if missing and _waited_for_others(settings, on_wait):
        missing = without_production(settings)
    results = put_off(settings, missing)
    if not set(missing) - set(results):
        return results
    while True:
        at, code, log = _train_until_it_ends(settings, results, on_progress)
        if code == 0:
            return results
        if at is None:
            raise FirstModelsFailed(
                f"the process that trains first models ended by itself, by {how_it_ended(code)}; {log}"
            )
        results[at] = {
            "outcome": "failed",
            "reason": f"its process ended while it was trained, by {how_it_ended(code)}; {log}",
        }
        if not set(without_production(settings)) - set(results):
            return results


def put_off(settings: Settings, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those without any rows whose data set could not be downloaded lately, with why they wait."""
    use_cases = load_selected(settings.config_dirs, settings.use_cases)
    now, waiting = datetime.now(UTC), {}
    for name in names:
        dataset = use_cases[name].data.dataset if name in use_cases else None
        if dataset is not None and (failed := failed_lately(settings.home, dataset, now)) is not None:
            waiting[name] = failed
    if not waiting:
        return {}
    with connect(database_url(settings)) as conn:
        waiting = {name: one for name, one in waiting.items() if count_feedback(conn, name) == 0}
    return {
        name: {
            "outcome": "skipped",
            "reason": f"{one.reason}; that was at {one.at:%H:%M} UTC, so it is not tried again before "
            f"{one.until:%Y-%m-%d %H:%M} UTC; `ratchet retrain {name}` tries now",
        }
        for name, one in waiting.items()
    }


def _train_until_it_ends(
    settings: Settings, results: dict[str, dict[str, Any]], on_progress: OnProgress
) -> tuple[str | None, int, str]:
    """Run one child until it ends; what is known by then is added to `results`.

    Returns:
        The use case that it was at, its exit code, and what its log says at the end.
    """
    log = log_file(settings, NAME)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        began = errors.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.stack.first_models", *results],
            env=child_environment(settings, NAME),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    at: str | None = None
    with child:
        try:
            for line in child.stdout or ():
                message = json.loads(line)
                name = message["use_case"]
                if message["kind"] == "begin":
                    at = name
                elif message["kind"] == "result":
                    at, results[name] = None, message["result"]
                else:
                    on_progress(name, message["progress"])
        except BaseException:
            child.terminate()
            raise
    return at, child.returncode, f"the end of {log}:\n{log_end(log, since=began)}"


def _waited_for_others(settings: Settings, on_wait: Callable[[str], None]) -> bool:
    """Whether another command trained first models, which has ended now."""
    waits = False
    while at_work := marked_processes(settings.home, NAME):
        if not waits:
            on_wait(f"another command trains first models (pid {at_work[0].pid}); waiting for it")
        waits = True
        wait_for_end(at_work[0], OTHERS_POLL_SECONDS)
    return waits


def wait_until_served(settings: Settings, names: Iterable[str], seconds: float = SERVED_SECONDS) -> list[str]:
    """Wait until every worker of the service has a model for these; returns those that are late.

    A worker loads a model in the background, and for its first it imports what such models need, so it takes
    a moment after the promotion. What is to be served no longer, by another command, is not waited for.
    """
    deadline, late = time.monotonic() + seconds, set(names)
    while late and time.monotonic() < deadline:
        workers = read_models(settings.home).values()
        late = {name for name in late if not workers or any(name not in models for models in workers)}
        if wanted := read_use_cases(settings.home):
            late &= set(wanted)
        time.sleep(SERVED_POLL_SECONDS)
    return sorted(late)


def ensure_first_models(
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    on_begin: Callable[[str], None] | None = None,
    on_result: OnProgress | None = None,
    without: Collection[str] = (),
) -> dict[str, dict[str, Any]]:
    """Train a first model for each use case that has data and has never had production.

    Args:
        on_progress: told of each while it is trained.
        on_begin: told before.
        on_result: told what came of it.
        without: names to pass by.

    Returns:
        What each of those runs came to; `failed`, with the reason, where the data could not be had or learned
        from, and `skipped` where another run is at it. One that fails does not keep the others from being
        trained.
    """
    results = {}
    for name in without_production(settings):
        if name in without:
            continue
        follow = None if on_progress is None else lambda progress, name=name: on_progress(name, progress)
        if on_begin is not None:
            on_begin(name)
        try:
            if name not in without_production(settings):  # made while those before it were trained
                continue
            results[name] = retrain_now(settings, name, trigger="first_model", on_progress=follow)
        except RunBusy as busy:
            results[name] = {"outcome": "skipped", "reason": str(busy)}
        except (FeatureError, StoreError, ModelError) as error:
            results[name] = {"outcome": "failed", "reason": str(error)}
        if on_result is not None:
            on_result(name, results[name])
    return results


def _main() -> None:
    # What libraries print, in C too, goes to the log; the pipe carries JSON only.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def write_message(kind: str, use_case: str, **more: Any) -> None:
        pipe.write(json.dumps({"kind": kind, "use_case": use_case, **more}, default=str) + "\n")
        pipe.flush()

    ensure_first_models(
        read_settings(),
        on_progress=lambda name, progress: write_message("progress", name, progress=dict(progress)),
        on_begin=lambda name: write_message("begin", name),
        on_result=lambda name, result: write_message("result", name, result=dict(result)),
        without=sys.argv[1:],
    )


if __name__ == "__main__":
    _main()
