"""A process killed at each step of a retrain: nothing is half-promoted, and the next run works."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg
import pytest

from models.errors import ModelError
from models.production import ledger
from models.production.registry import Registry
from models.versions.predictor import Predictor
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.faults.installation import Installation, callers_of, running, watch_for
from tests.faults.measuring import measure
from tests.faults.test_processes import KILLED

pytestmark = pytest.mark.faults

SLOW_CONFIG = (
    CONFIG.replace("iterations: 60", "iterations: 500").replace(
        "training: {holdout: {min_rows: 100}}",
        "training: {holdout: {fraction: 0.02, min_rows: 100}, challengers: [{name: newest, window: 450}]}",
    )
    + """labels: {most_loss: null, disagrees: null, hold_back: {contradicts: null}}
probation: {action: tell}
"""
)
"""Long enough to be killed in it. Learns from the newest rows, whoever sends them and whatever others say,
so that a new world is promoted each time, and stays so.
"""
NEW_ROWS = 4_000
"""More than callers label of an old world after its snapshot was taken: most that is judged on is new."""
THE_RUN = "run"
SECONDS_TO_END = 90.0
"""So long may a retrain go on, or wait, after something that it needs was killed."""
VICTIMS = {
    f"{kill}, at each step of a retrain": victim
    for kill, victim in {"kill -9 of the process of the retrain": THE_RUN, **KILLED}.items()
    if victim != "supervisor"
}
SLOW_LEDGER = """
CREATE OR REPLACE FUNCTION slow_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER slow_row BEFORE INSERT ON ledger FOR EACH ROW
    WHEN (NEW.event = 'promoted') EXECUTE FUNCTION slow_row();
"""


class Worlds:
    """Above which weight an apple is good: elsewhere than in what production has learned."""

    def __init__(self) -> None:
        self._edges = cycle((0.8, 0.2))
        self._edge = next(self._edges)
        self._production: int | None = None

    def edge(self, production: int | None) -> float:
        """The same until another version is production: of two new worlds none could be learned."""
        if production != self._production:
            self._production, self._edge = production, next(self._edges)
        return self._edge


WORLDS = Worlds()
Reached = Callable[[psycopg.Connection[Any], str, str | None, Registry], bool]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running(tmp_path_factory.mktemp("retrain"), config=SLOW_CONFIG) as up:
        yield up


def after_start(_conn: psycopg.Connection[Any], status: str, _step: str | None, _registry: Registry) -> bool:
    return status == "running"


def while_working(step: str) -> Reached:
    def reached(
        _conn: psycopg.Connection[Any], _status: str, present: str | None, _registry: Registry
    ) -> bool:
        return present == step

    return reached


def when_registered(
    conn: psycopg.Connection[Any], status: str, _step: str | None, registry: Registry
) -> bool:
    newest = ledger.history(conn, USE_CASE, limit=1)
    versions = [entry.to_version for entry in newest if entry.event == "registered"]
    return status == "running" and registry.alias_version(USE_CASE, "challenger") in versions


def when_intended(
    conn: psycopg.Connection[Any], _status: str, _step: str | None, _registry: Registry
) -> bool:
    return bool(ledger.open_intents(conn, USE_CASE))


def when_moved(conn: psycopg.Connection[Any], _status: str, _step: str | None, registry: Registry) -> bool:
    intents = ledger.open_intents(conn, USE_CASE)
    return bool(intents) and registry.alias_version(USE_CASE, "production") == intents[-1].to_version


STEPS: dict[str, Reached] = {
    "started": after_start,
    "training": while_working("train"),
    "logging": while_working("log"),
    "registered": when_registered,
    "intended": when_intended,
    "moved": when_moved,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", VICTIMS)
def test_a_kill_in_the_middle_of_a_retrain(
    installation: Installation, tmp_path: Path, fault: str, step: str
) -> None:
    if VICTIMS[fault] != THE_RUN:
        installation.forget_deaths()
    registry = Registry(installation.settings.mlflow_uri)
    before = registry.alias_version(USE_CASE, "production")
    edge = WORLDS.edge(before)
    rows = write_apples(tmp_path / "new.csv", NEW_ROWS, seed=time.time_ns(), edge=edge)
    installation.run("ingest", USE_CASE, str(rows))
    with installation.connect() as conn:
        conn.execute(SLOW_LEDGER)
    with callers_of(installation, edge) as callers, installation.started("retrain", USE_CASE) as process:
        killed = kill_when(installation, process, registry, VICTIMS[fault], STEPS[step])
        if VICTIMS[fault] == THE_RUN:
            ensure_nothing_half_done(installation, registry, step, before)
        watched = watch_for(installation, SECONDS_TO_END, until=lambda: process.poll() is not None)
        assert process.wait(0) is not None
        installation.wait_until_well(watched)
        with installation.connect() as conn:
            conn.execute("DROP TRIGGER slow_row ON ledger")
        output = installation.run("retrain", USE_CASE, "--json")
        assert '"outcome"' in output
        measure(fault, installation, callers, watched, killed)
    ensure_consistent(installation, registry, tmp_path / "cache")


def ensure_nothing_half_done(
    installation: Installation, registry: Registry, step: str, before: int | None
) -> None:
    """Right after the kill production is the old one or the one that was to be, of which the ledger knows."""
    production = registry.alias_version(USE_CASE, "production")
    with installation.connect() as conn:
        intended = {intent.to_version for intent in ledger.open_intents(conn, USE_CASE)}
    assert production == before or production in intended
    assert step != "moved" or production in intended
    assert bool(intended) == (step in ("intended", "moved"))


def ensure_consistent(installation: Installation, registry: Registry, cache: Path) -> None:
    """What the ledger says is what MLflow says, is whole, and is what serves; nothing is half-done."""
    with installation.connect() as conn:
        assert ledger.open_intents(conn, USE_CASE) == []
        move = ledger.last_move(conn, USE_CASE)
        assert move is not None
        assert move.to_version is not None
        assert move.to_version == registry.alias_version(USE_CASE, "production")
        unfinished = conn.execute("SELECT count(*) FROM run WHERE status IN ('running', 'queued')").fetchone()
        assert unfinished == (0,)
    Predictor.load(registry.download(USE_CASE, move.to_version, cache)).check_probe()
    until = time.monotonic() + 15
    while installation.health()["use_cases"][USE_CASE]["version"] != move.to_version:
        assert time.monotonic() < until
        time.sleep(0.1)


def kill_when(
    installation: Installation,
    process: subprocess.Popen[str],
    registry: Registry,
    victim: str,
    reached: Reached,
) -> float:
    """Kill when a step is reached; gives the time."""
    with installation.connect() as conn:
        while process.poll() is None:
            row = conn.execute(
                "SELECT status, progress->>'step' FROM run WHERE status = 'running' LIMIT 1"
            ).fetchone()
            status, step = row or ("", None)
            with suppress(ModelError):
                if reached(conn, status, step, registry):
                    killed = time.monotonic()
                    if victim == THE_RUN:
                        os.killpg(process.pid, signal.SIGKILL)
                    else:
                        installation.kill(victim)
                    return killed
            time.sleep(0.02)
    raise AssertionError(
        f"the run ended before it reached the step: {process.stdout and process.stdout.read()}"
    )
