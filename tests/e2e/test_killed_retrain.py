"""A retrain killed with kill -9 at any step: nothing is half-promoted, and the next run works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.settings import Settings
from flows.servers.environment import child_environment
from models.production import ledger
from models.production.registry import Registry
from models.versions.predictor import Predictor
from store.database.connection import connect, database_url
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import running_stack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

# Long enough to be killed in the middle; learns from the newest rows, so that a new world is worth promoting.
SLOW_CONFIG = CONFIG.replace("iterations: 60", "iterations: 3000").replace(
    "training: {holdout: {min_rows: 100}}",
    "training: {holdout: {fraction: 0.02, min_rows: 100}, challengers: [{name: newest, window: 450}]}",
)
EDGES = cycle((0.8, 0.2))
"""Above it an apple is good: in each new world at another place than in the one before."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("configs")
    (folder / "apples.yaml").write_text(SLOW_CONFIG, encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        run(settings, "ingest", USE_CASE, str(write_apples(folder / "first.csv", 600, edge=0.5)))
        yield settings


def command(settings: Settings, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("ratchet")), *words],
        env=child_environment(settings, "test"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(settings: Settings, *words: str) -> str:
    with command(settings, *words) as process:
        output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    return output


def after_start(_conn: psycopg.Connection[Any], status: str, _step: str | None, _registry: Registry) -> bool:
    return status == "running"


def while_working(step: str) -> Callable[..., bool]:
    def reached(_conn: psycopg.Connection[Any], _status: str, said: str | None, _registry: Registry) -> bool:
        return said == step

    return reached


def when_registered(
    conn: psycopg.Connection[Any], status: str, _step: str | None, registry: Registry
) -> bool:
    newest = ledger.history(conn, USE_CASE, limit=1)
    known = [entry.to_version for entry in newest if entry.event == "registered"]
    return status == "running" and registry.alias_version(USE_CASE, "challenger") in known


def when_intended(
    conn: psycopg.Connection[Any], _status: str, _step: str | None, _registry: Registry
) -> bool:
    return bool(ledger.open_intents(conn, USE_CASE))


def when_moved(conn: psycopg.Connection[Any], _status: str, _step: str | None, registry: Registry) -> bool:
    intents = ledger.open_intents(conn, USE_CASE)
    return bool(intents) and registry.alias_version(USE_CASE, "production") == intents[-1].to_version


SLOW_LEDGER = """
CREATE OR REPLACE FUNCTION slow_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
CREATE OR REPLACE TRIGGER slow_row BEFORE INSERT ON ledger FOR EACH ROW
    WHEN (NEW.event = 'promoted') EXECUTE FUNCTION slow_row();
"""


@pytest.mark.parametrize(
    "reached",
    [after_start, while_working("train"), while_working("log"), when_registered, when_intended, when_moved],
    ids=["started", "training", "logging", "registered", "intended", "moved"],
)
def test_a_killed_retrain_leaves_everything_consistent(
    stack: Settings, tmp_path: Path, reached: Callable[..., bool]
) -> None:
    registry = Registry(stack.mlflow_uri)
    url = database_url(stack)
    with connect(url, autocommit=True) as conn:
        conn.execute(SLOW_LEDGER)
        before = registry.alias_version(USE_CASE, "production")
        run(
            stack,
            "ingest",
            USE_CASE,
            str(write_apples(tmp_path / "new.csv", 600, seed=time.time_ns(), edge=next(EDGES))),
        )
        process = command(stack, "retrain", USE_CASE)
        killed = kill_when(process, conn, registry, reached)
        conn.execute("DROP TRIGGER slow_row ON ledger")

        assert killed, "the run ended before it reached the step"
        production = registry.alias_version(USE_CASE, "production")
        intended = {intent.to_version for intent in ledger.open_intents(conn, USE_CASE)}
        assert production == before or production in intended
        assert reached is not when_moved or production in intended
        assert bool(intended) == (reached in (when_intended, when_moved))

        output = run(stack, "retrain", USE_CASE, "--json")

        assert '"outcome"' in output
        assert ledger.open_intents(conn, USE_CASE) == []
        move = ledger.last_move(conn, USE_CASE)
        assert move is not None
        assert move.to_version is not None
        assert move.to_version == registry.alias_version(USE_CASE, "production")
        artifact = registry.download(USE_CASE, move.to_version, tmp_path / "cache")
        Predictor.load(artifact).check_probe()
        lost = conn.execute("SELECT count(*) FROM run WHERE status IN ('running', 'queued')").fetchone()
        assert lost == (0,)


def kill_when(
    process: subprocess.Popen[str],
    conn: psycopg.Connection[Any],
    registry: Registry,
    reached: Callable[..., bool],
) -> bool:
    """Kill the process when a step is reached; False when it ended before."""
    with process:
        while process.poll() is None:
            row = conn.execute(
                "SELECT status, progress->>'step' FROM run WHERE status = 'running' LIMIT 1"
            ).fetchone()
            status, step = row or ("", None)
            if reached(conn, status, step, registry):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.02)
        return False
