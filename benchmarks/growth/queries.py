"""Queries that a person or the page waits for, at sizes of a history: `python -m benchmarks.growth.queries`.

An embedded PostgreSQL of its own is filled by SQL, one use case of `--rows` labelled rows beside another of a
million at most; a fifth of the rows label answers, some were corrected, refused, taken back. Then all that
`ratchet status`, /metrics, /health and the page's reports ask is asked, each statement timed by itself: the
table has a line for each statement, with the milliseconds of its best of three by rows as columns. The fill
takes about a minute for a million rows and 1.5 GB of disk. Ends with an error when a statement takes longer
than `MOST_MS`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
from prometheus_client import CollectorRegistry
from rich.console import Console

from benchmarks.growth.filling import fill, train
from configs.schema import UseCase
from configs.settings import CHECKOUT, read_settings
from flows.status.use_cases import stored_facts
from models.production.contract import RegistryReader, Version
from models.production.tags import SNAPSHOT_TAG
from service.metrics import Metrics
from service.state.audits import describe_audits
from service.state.drift import describe_drift
from service.state.gauges import Gauges
from service.state.health import read_facts
from service.state.quality import describe_quality
from service.state.quarantine import describe_quarantine
from service.storage.database import Database
from store.database.connection import connect, migrate
from store.database.embedded import EmbeddedPostgres

RESULTS = CHECKOUT / "benchmarks" / "results" / "queries.json"
SIZES = (100_000, 1_000_000)
BESIDE = 1_000_000
"""Rows of the other use case, at most; never more than of the one that is asked for."""
MOST_MS = 100.0
ROUNDS = 3
NAME, OTHER = "bench", "beside"

_FIELDS = [
    *({"name": name, "type": "category"} for name in ("plan", "city", "colour", "shop")),
    *({"name": f"f{number}", "type": "number"} for number in range(1, 17)),
]


class TimedCursor(psycopg.Cursor[Any]):
    """Notes how many milliseconds each statement takes until all of its rows are here."""

    noted: dict[str, float]

    def execute(self, query: Any, params: Any = None, **options: Any) -> TimedCursor:
        """As `psycopg.Cursor.execute`."""
        began = time.perf_counter()
        super().execute(query, params, **options)
        text = " ".join(query.split()) if isinstance(query, str) else repr(query)
        self.noted[text] = self.noted.get(text, 0.0) + 1000 * (time.perf_counter() - began)
        return self


class OneVersion:
    """A registry with one version, which is production."""

    def version(self, use_case: str, version: int) -> Version:
        """As it was made half an hour ago, of the rows of `filling.train`."""
        made = int(1000 * (time.time() - 1800))
        return Version(use_case, version, "run", {SNAPSHOT_TAG: f"bench-{use_case}"}, ("production",), made)

    def alias_version(self, _use_case: str, alias: str) -> int | None:
        """Production is version 1."""
        return 1 if alias == "production" else None


def main() -> int:
    """Measure every size, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    sizes = sorted(parser.parse_args().rows)
    measured = {rows: measure(rows) for rows in sizes}
    show(Console(), measured)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "ms": measured}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(max(max(one.values()) for one in measured.values()) > MOST_MS)


def measure(rows: int) -> dict[str, float]:
    """Milliseconds of each statement at one size, by what asks and the statement."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        url = server.start()
        try:
            migrate(url)
            with connect(url) as conn:
                for name, count in ((OTHER, min(rows, BESIDE)), (NAME, rows)):
                    fill(conn, name, count)
                train(conn, NAME)
            with connect(url, autocommit=True) as conn:
                conn.execute("VACUUM (ANALYZE)")  # as autovacuum does in its own time
            return ask_all(url)
        finally:
            server.stop()


def ask_all(url: str) -> dict[str, float]:
    """The best of some rounds, of each statement."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for asker, ask in askers(url).items():
            noted: dict[str, float] = {}
            ask(noted)
            for text, ms in noted.items():
                key = f"{asker}: {text}"
                best[key] = min(best.get(key, ms), ms)
    return best


def askers(url: str) -> Mapping[str, Callable[[dict[str, float]], object]]:
    """What is asked, by who asks: each notes its statements in what it is given."""
    use_case = UseCase.model_validate(
        {"name": NAME, "title": "Bench", "kind": "tabular", "record": {"fields": _FIELDS},
         "target": {"task": "binary", "classes": ["no", "yes"]}, "model": {"estimator": "logistic"}}
    )  # fmt: skip
    settings = read_settings({"RATCHET_DATABASE_URL": url})

    def timed(noted: dict[str, float]) -> psycopg.Connection[Any]:
        conn = connect(url, autocommit=True)
        conn.cursor_factory = type("Noting", (TimedCursor,), {"noted": noted})
        return conn

    def status(noted: dict[str, float]) -> None:
        with timed(noted) as conn:
            stored_facts(conn, use_case, cast(RegistryReader, OneVersion()))

    def by_service(ask: Callable[[Database], object], noted: dict[str, float]) -> None:
        database = Database(settings)
        database.open = partial(timed, noted)  # type: ignore[method-assign]
        ask(database)
        database.close()

    def gauges(database: Database) -> None:
        metrics = Metrics(CollectorRegistry())
        Gauges({NAME: use_case}, {}, database, metrics, settings.home / "lock").set_from_database()

    return {
        "status": status,
        "metrics": partial(by_service, gauges),
        "health": partial(by_service, lambda database: read_facts(database, [NAME, OTHER])),
        "quality": partial(by_service, lambda database: describe_quality(database, use_case, 30, 720)),
        "quarantine": partial(by_service, lambda database: describe_quarantine(database, NAME, 20, 0)),
        "audits": partial(by_service, lambda database: describe_audits(database, NAME, 20, 30)),
        "drift": partial(by_service, lambda database: describe_drift(database, NAME, 20)),
    }


def show(console: Console, measured: Mapping[int, Mapping[str, float]]) -> None:
    """A line a statement, the slowest of the greatest size first, then what each asker takes."""
    last = list(measured.values())[-1]
    console.print("milliseconds, best of three", *(f"{rows:>12,}" for rows in measured), "rows")
    for text in sorted(last, key=lambda text: -last[text]):
        figures = (f"{one.get(text, float('nan')):>12.1f}" for one in measured.values())
        console.print(*figures, "", text, no_wrap=True, overflow="ellipsis", highlight=False)
    for asker in dict.fromkeys(text.partition(":")[0] for text in last):
        sums = (sum(ms for text, ms in one.items() if text.startswith(asker)) for one in measured.values())
        console.print(*(f"{ms:>12.1f}" for ms in sums), "", f"all of {asker}")


if __name__ == "__main__":
    sys.exit(main())
