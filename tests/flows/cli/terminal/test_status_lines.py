"""What is told of a shadow version, figure by figure, and of servers that share a database."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from configs.settings import read_settings
from flows.cli.terminal.status_lines import shadow_lines, status_parts
from flows.status.prefect import PoolWorker
from flows.status.reading import Status, read_status
from flows.status.use_cases import UseCaseStatus
from store.database.connection import connect
from store.service_replicas import Replica, ServedUseCase, State, beat
from tests.ports import closed_port

ASKED: dict[str, Any] = {
    "since": "2026-11-27T05:08:39+00:00", "pairs": [{"served": "poor", "shadow": "good", "count": 1033}],
    "failures": [{"kind": "ValueError", "count": 3, "example": "ValueError: no"}], "left_out": 1200,
    "alone_ms": 0.2104, "production_ms": 0.1987, "batch_ms": 0.09,
    "scores": {"shadow_mean": 0.935, "served_mean": 0.982, "moved": True, "distance": 0.15},
    "right": {
        "better": 22, "worse": 0, "labelled": 278, "evidence_better": 89138.9,
        "evidence_worse": 0.0212, "line": 20.0,
    },
}  # fmt: skip


def test_every_figure_has_its_line() -> None:
    assert shadow_lines(ASKED) == {
        "since": "2026-11-27 05:08",
        "shadow where served": "good where poor: 1,033",
        "failures": "3 ValueError: no",
        "left out": "1,200 records",
        "computing": "0.21 ms a record by itself, production 0.199 ms; in batches 0.09 ms",
        "scores": "mean 0.935, served 0.982: moved (distance 0.150)",
        "evidence": "better on 22, worse on 0 of 278; evidence that it is better: 89,139, worse: 0.02, "
        "of the 20 that settle it",
    }


def test_what_is_not_known_has_none() -> None:
    nothing = dict.fromkeys(("since", "alone_ms", "production_ms", "batch_ms", "scores", "right"))
    assert shadow_lines(ASKED | nothing | {"pairs": [], "failures": [], "left_out": 0}) == {}
    assert (
        shadow_lines(ASKED | {"production_ms": None, "batch_ms": None})["computing"]
        == "0.21 ms a record by itself"
    )


def replica(address: str, state: State) -> Replica:
    at = datetime(2026, 11, 27, 20, 5, 9, tzinfo=UTC)
    return Replica("a", address, state, 1, at, at, {"plans": ServedUseCase((3,), at)})


def shown(*replicas: Replica, workers: tuple[PoolWorker, ...] = ()) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(*status_parts(Status((), (), (), replicas=replicas, workers=workers)))
    return console.export_text()


def test_what_there_is_nothing_on_shares_a_line() -> None:
    one = UseCaseStatus("apples", "Apples", production=None, labels=12, quarantine={"rows": 0, "reasons": []})
    console = Console(width=400, record=True, file=StringIO())
    console.print(*status_parts(Status((), (one,), ())))
    lines = console.export_text().partition("apples: Apples")[2].strip().splitlines()
    assert [line.split() for line in lines[:-1]] == [["production", "–"], ["labels", "12"], ["retrain", "–"]]
    assert lines[-1].split("  ")[1] == "nothing on"
    assert {"problem", "quarantine", "last run", "next"} <= set(lines[-1].split("  ")[2].split(", "))


def test_workers_are_listed_where_there_are_several() -> None:
    at = datetime(2026, 11, 28, 12, 19, 38, tzinfo=UTC)
    first, second = PoolWorker("ratchet", "online", at), PoolWorker("fast-0-4711", "silent", at)
    assert "online" not in shown(workers=(first,))
    assert "fast-0-4711" in shown(workers=(first, second))
    assert "2026-11-28 12:19:38" in shown(workers=(first, second))


def test_servers_of_one_database_are_listed_where_there_are_several_or_one_is_not_heard() -> None:
    assert "10.0.0.5" not in shown(replica("10.0.0.5:3000", "serving"))
    told = shown(replica("10.0.0.5:3000", "serving"), replica("10.0.0.6:3000", "silent"))
    assert "plans 3 since 2026-11-27 20:05" in told
    assert "10.0.0.6:3000" in told
    assert "silent" in told
    assert "draining" in shown(replica("10.0.0.5:3000", "draining"))


def test_a_silent_server_is_a_problem_of_the_status(database_url: str, tmp_path: Path) -> None:
    environ = {
        "RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url,
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{closed_port()}",
        "PREFECT_API_URL": f"http://127.0.0.1:{closed_port()}/api", "RATCHET_PORT": str(closed_port()),
    }  # fmt: skip
    with connect(database_url, autocommit=True) as conn:
        at = datetime.now(UTC)
        for server in ("a", "b"):
            beat(conn, server, 1, address=f"{server}:3000", started_at=at, state="serving", serving={})
        conn.execute("UPDATE service_process SET seen_at = now() - interval '1 minute' WHERE server = 'b'")
    status = read_status(read_settings(environ))
    assert [(one.address, one.state) for one in status.replicas] == [
        ("a:3000", "serving"),
        ("b:3000", "silent"),
    ]
    (problem,) = (one for one in status.problems if "silent" in one)
    assert problem.startswith("the service at b:3000 is silent since ")
    assert status.as_dict()["replicas"][1]["state"] == "silent"
