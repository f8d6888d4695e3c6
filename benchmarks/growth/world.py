"""A home of its own with its servers, in which one checkout takes the loop's steps at one size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console

from benchmarks.growth.made_up import CONFIG, NAME, write_rows
from benchmarks.growth.report import LAST
from benchmarks.harness import recipes
from benchmarks.harness.servers import Running
from configs.settings import CHECKOUT
from flows.retention.files import weigh
from store.database.connection import tool_url
from store.database.embedded import EmbeddedPostgres

STEP = CHECKOUT / "benchmarks" / "growth" / "step.py"
NEW = 1_000
"""Rows that come before a snapshot or a retrain."""
FILE = 1_000_000
"""Rows of a file, at most."""


@dataclass
class World:
    """Where one checkout works."""

    checkout: Path
    folder: Path
    postgres: EmbeddedPostgres
    environ: dict[str, str]
    console: Console
    rows: int = 0
    """So many came."""
    taken: dict[str, Any] = field(default_factory=dict)
    """What each step took."""

    def take(self, what: str, step: str, *given: str) -> dict[str, Any]:
        """A step in a process of its own; with it what PostgreSQL computed meanwhile."""
        before = _cpu(self.postgres)
        ended = subprocess.run(
            [sys.executable, "-P", str(STEP), step, *given],
            cwd=self.checkout, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(
                f"{what} failed in {self.checkout}:\n{ended.stdout[-2000:]}{ended.stderr[-6000:]}"
            )
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        found["postgres_cpu"] = round(_cpu(self.postgres) - before, 2)
        self.taken[what] = found
        if "seconds" in found:  # a run takes long: whoever waits sees how far it is
            self.console.print(
                f"  {what}: {found['seconds']:.1f} s, peak {found['peak_mb']:,} MB", highlight=False
            )
        return found

    def take_in(self, what: str, count: int, *, csv: bool = False) -> dict[str, Any]:
        """Made-up rows that come in a file."""
        path = self.folder / f"rows.{'csv' if csv else 'parquet'}"
        write_rows(path, self.rows, count)
        found = self.take(what, "ingest", str(path))
        path.unlink()
        assert found["rows"] == count, found
        self.rows += count
        return found

    def disk(self) -> dict[str, int]:
        """Bytes by what they are for, after what PostgreSQL frees in its own time."""
        home = self.folder / "home"
        sizes = {
            one.name: weigh(one)
            for one in home.iterdir()
            if one.is_dir() and one.name not in ("postgres", "work")
        }
        for name, url in (
            ("database", self.postgres.url),
            ("MLflow's database", tool_url(self.postgres.url, "mlflow")),
        ):
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute("VACUUM (ANALYZE)")
                row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
                sizes[name] = int(row[0]) if row else 0
        return sizes


@contextmanager
def open_world(checkout: Path, folder: Path, console: Console) -> Iterator[World]:
    """A home with PostgreSQL, MLflow and the use case; each step is told as it has been taken."""
    home, configs = folder / "home", folder / "configs"
    home.mkdir()
    configs.mkdir()
    (configs / f"{NAME}.yaml").write_text(CONFIG, encoding="utf-8")
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(home / "postgres")
        url = postgres.start()
        stack.callback(postgres.stop)
        environ = os.environ | {
            "PYTHONPATH": str(checkout),
            "RATCHET_HOME": str(home),
            "RATCHET_CONFIGS": str(configs),
            "RATCHET_DATABASE_URL": url,
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        world = World(checkout, folder, postgres, environ, console)
        world.take("migrate", "migrate")
        peer = recipes.mlflow_server(home, url)
        peer = replace(peer, cwd=checkout, environ={**peer.environ, "PYTHONPATH": str(checkout)})
        mlflow = Running(peer, folder, [])
        stack.callback(mlflow.stop)
        environ["RATCHET_MLFLOW_PORT"] = str(peer.port)
        yield world


def measure(world: World, size: int) -> dict[str, Any]:
    """All steps at a size: what each took, and what stays on disk of a retrain."""
    bulk = 0.0
    for first in range(0, size - LAST, FILE):
        bulk += world.take_in("bulk", min(FILE, size - LAST - first))["seconds"]
    last = world.take_in("ingest", LAST)
    world.disk()  # vacuums
    world.take("first model", "retrain", "thin")
    world.take_in("ingest of new", NEW, csv=True)
    world.take("snapshot", "retrain", "snapshot")
    world.take("questions", "questions")
    world.take("drift check", "drift")
    before = world.disk()
    world.take_in("ingest of new", NEW, csv=True)
    world.take("retrain", "retrain", "whole")
    after = world.disk()
    if (world.checkout / "models" / "streamed").is_dir():  # an older checkout has none
        world.take_in("ingest of new", NEW, csv=True)
        world.take("streamed retrain", "retrain", "streamed")
    grown = {name: after[name] - before.get(name, 0) for name in after}
    rates = {"all": round((size - LAST) / bulk), "last": round(LAST / last["seconds"])}
    return {"steps": world.taken, "grown": grown, "disk": after, "ingest": rates}


def _cpu(postgres: EmbeddedPostgres) -> float:
    """CPU seconds of PostgreSQL with all sessions that there were."""
    pid = postgres.pid()
    if pid is None:
        return 0.0
    parent = psutil.Process(pid)
    own = parent.cpu_times()
    used = [own.user + own.system + own.children_user + own.children_system]
    for child in parent.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended, and its parent counts it from the next time on
            times = child.cpu_times()
            used.append(times.user + times.system)
    return float(sum(used))
