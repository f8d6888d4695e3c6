"""Ten tables that nobody here made, each by two commands: `python -m benchmarks.drafting`.

Which tables the rules were made on, and which ten are judged, follows from names and shapes alone
(`benchmarks/drafting/tables.py`); both lists are printed. Each of the ten is written to a CSV, `ratchet new`
drafts its use case, one `ratchet up --detach` on a stack of its own serves all of them, without an edit, and
each answers a request. Beside the held-out score stands that of `HistGradientBoostingClassifier` with its
defaults, by hand on the same rows and fields: texts as their length, as it takes none. Ends with an error
where a table is not served, or the leak is not named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table as Shown

from benchmarks.drafting.hand import score_by_hand
from benchmarks.drafting.tables import Table, judged_tables, leaking, names
from configs.loading import load_use_case
from configs.settings import CHECKOUT, Settings, read_settings
from models.metrics.catalogue import METRICS
from store.database.connection import connect, database_url
from store.snapshots.restoring import open_snapshot
from tests.ports import free_port

RESULT = CHECKOUT / "benchmarks" / "results" / "new.json"
MINUTES = 45


@dataclass(frozen=True)
class Row:
    """What came of one table."""

    name: str
    shape: str
    rows: int
    columns: int
    target: str
    guessed: str
    left_out: dict[str, str]
    leaks: dict[str, str]
    true_leaks: list[str]
    metric: str
    score: float | None
    by_hand: float | None
    held_out: int | None
    served: bool
    problem: str | None = None


def main() -> None:
    """Judge the ten, print them, and write the result."""
    console = Console(width=160)
    tables = judged_tables()
    console.print(
        f"free to be looked at: {len(names(judged=False))} tables: {', '.join(sorted(names(judged=False)))}"
    )
    console.print(f"judged: {', '.join(table.name for table in tables)}")
    with tempfile.TemporaryDirectory() as folder:
        rows = judge(tables, Path(folder), console)
    shown = Shown(
        "table",
        "shape",
        "rows",
        "columns",
        "guessed",
        "metric",
        "Ratchet",
        "by hand",
        "held out",
        "leak named",
    )
    for row in rows:
        named = ", ".join(row.leaks) or ("none" if not row.true_leaks else "NOT NAMED")
        shown.add_row(
            row.name, row.shape, f"{row.rows:,}", str(row.columns), row.guessed, row.metric,
            _number(row.score), _number(row.by_hand), str(row.held_out), named,
        )  # fmt: skip
    console.print(shown)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(row) for row in rows], indent=2), encoding="utf-8")
    problems = [f"{row.name}: {row.problem or 'not served'}" for row in rows if not row.served]
    problems += [
        f"{row.name}: a leak is not named"
        for row in rows
        if set(row.true_leaks) - set(row.leaks) - set(row.left_out)
    ]
    if problems:
        sys.exit("; ".join(problems))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def judge(tables: list[Table], folder: Path, console: Console) -> list[Row]:
    """Draft, serve and ask all tables on one stack."""
    configs = folder / "configs"
    configs.mkdir()
    environment = {
        **{
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("RATCHET", "PREFECT", "MLFLOW"))
        },
        "RATCHET_HOME": str(folder / "home"),
        "RATCHET_CONFIGS": str(configs),
        "RATCHET_PORT": str(free_port()),
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }
    drafts: dict[str, dict[str, Any]] = {}
    for place, table in enumerate(tables):
        name = f"table_{place}"
        file = folder / f"{name}.csv"
        table.frame.to_csv(file, index=False)
        drafted = _ratchet(environment, "new", name, str(file), "--target", table.target, "--json")
        drafts[name] = (
            json.loads(drafted.stdout) if drafted.returncode == 0 else {"problem": drafted.stderr.strip()}
        )
    made = [name for name, one in drafts.items() if "problem" not in one]
    environment["RATCHET_USE_CASES"] = ",".join(made)
    started = time.monotonic()
    try:
        up = _ratchet(environment, "up", "--detach")
        console.print(f"ratchet up: exit {up.returncode} after {time.monotonic() - started:.0f} s")
        if up.returncode:
            console.print(up.stdout[-3000:], up.stderr[-3000:])
        settings = read_settings(environment)
        return [
            _row(settings, environment, table, f"table_{place}", drafts[f"table_{place}"])
            for place, table in enumerate(tables)
        ]
    finally:
        _ratchet(environment, "down")


def _ratchet(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=MINUTES * 60,
    )  # fmt: skip


def _row(
    settings: Settings, environment: dict[str, str], table: Table, name: str, draft: dict[str, Any]
) -> Row:
    rows, columns = table.frame.shape
    leaks = leaking(table.frame, table.target)
    if "problem" in draft:
        return Row(
            table.name, table.shape, rows, columns, table.target, "–", {}, {}, leaks, "–", None, None, None,
            False, draft["problem"],
        )  # fmt: skip
    types = [field["type"] for field in draft["use_case"]["record"]["fields"]]
    target, metric = draft["use_case"]["target"], draft["use_case"]["gate"]["metric"]
    counts = ", ".join(f"{types.count(kind)} {kind}" for kind in dict.fromkeys(types))
    evaluated = _ratchet(environment, "evaluate", name, "--json")
    scores = json.loads(evaluated.stdout) if evaluated.returncode == 0 else None
    return Row(
        name=table.name,
        shape=table.shape,
        rows=rows,
        columns=columns,
        target=table.target,
        guessed=f"{draft['use_case']['kind']}, {target['task']} of "
        f"{len(target.get('classes', ()))}: {counts}; {draft['use_case']['model']['estimator']}",
        left_out={one["column"]: one["why"] for one in draft["left_out"]},
        leaks={one["column"]: one["why"] for one in draft["suspected_leaks"]},
        true_leaks=leaks,
        metric=metric,
        score=None if scores is None else scores["metrics"][metric],
        by_hand=_by_hand(settings, name, metric) if scores is not None else None,
        held_out=None if scores is None else scores["rows"],
        served=_answers(settings, environment, name),
        problem=None if scores is not None else evaluated.stderr.strip()[-500:],
    )


def _answers(settings: Settings, environment: dict[str, str], name: str) -> bool:
    """Whether a request is answered."""
    body = _ratchet(environment, "example", name, "--request").stdout.encode()
    asked = Request(
        f"{settings.service_url}/v1/{name}/predict", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urlopen(asked, timeout=60) as answer:
            return "label" in json.load(answer)["predictions"][0]
    except OSError:
        return False


def _by_hand(settings: Settings, name: str, metric: str) -> float | None:
    """On the rows of the snapshot that production learned from and was judged on."""
    use_case = load_use_case(settings.config_dirs[1] / f"{name}.yaml")
    if use_case.target.task == "multilabel" or metric not in METRICS:
        return None
    with connect(database_url(settings)) as conn:
        found = conn.execute(
            "SELECT digest FROM snapshot WHERE use_case = %s ORDER BY created_at LIMIT 1", (name,)
        ).fetchone()
        assert found is not None
        frame = open_snapshot(conn, use_case, settings.home, found[0])
    return score_by_hand(use_case, frame, use_case.target.classes, metric)


if __name__ == "__main__":
    main()
