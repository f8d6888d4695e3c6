"""Rows beyond production's fence, by every way in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import UseCase
from models.production import ledger
from models.production.artifact_digests import note_registered
from store.feedback.fence_counts import count_beyond
from store.feedback.fences import production_fences
from store.ingest.files import ingest_file
from store.ingest.report import IngestReport
from store.ingest.retrying import retry_rows

RUN = "00000000-0000-4000-8000-000000000001"
REASON = "field 'age': got 1e+09; allowed: 0 to 150, production's fence"


def people(fence: str, age: dict[str, Any] | None = None) -> UseCase:
    return UseCase.model_validate(
        {
            "name": "people",
            "title": "People",
            "kind": "tabular",
            "record": {"fields": [{"name": "age", **(age or {"type": "number"})}]},
            "target": {"task": "binary", "column": "came", "classes": ["no", "yes"], "positive": "yes"},
            "features": {"tabular": {"fence": fence}},
            "model": {"estimator": "logistic"},
        }
    )


def register(
    conn: psycopg.Connection[Any],
    version: int,
    high: float,
    *,
    promoted: bool = True,
    dates: Sequence[str] = (),
) -> None:
    note_registered(
        conn, "people", version,
        digest="d", actor="retrain", mlflow_run="m", run_id=RUN, tags={}, fences={"age": (0.0, high)},
        dates=dates, beyond_fence={"left_out": 2, "cut": 5},
    )  # fmt: skip
    if promoted:
        ledger.record(conn, "people", "promoted", actor="retrain", reason="", to_version=version)
    conn.commit()


def ingest(conn: psycopg.Connection[Any], fence: str, folder: Path) -> IngestReport:
    file = folder / "people.csv"
    file.write_text("age,came\n30,yes\n1e9,no\n40,no\n2e9,no\n", "utf-8")
    return ingest_file(conn, people(fence), file)


def test_fences_are_those_of_production(conn: psycopg.Connection[Any]) -> None:
    assert production_fences(conn, people("leave_out")).bounds == {}
    register(conn, 1, 150.0)
    register(conn, 2, 99.0, promoted=False)
    assert production_fences(conn, people("leave_out")).bounds == {"age": (0.0, 150.0)}
    register(conn, 3, 80.0)
    assert production_fences(conn, people("clip")).bounds == {"age": (0.0, 80.0)}
    ledger.record(conn, "people", "rolled_back", actor="ann", reason="", from_version=3, to_version=1)
    assert production_fences(conn, people("quarantine")).bounds == {"age": (0.0, 150.0)}
    assert production_fences(conn, people("off")).bounds == {}


@pytest.mark.parametrize(
    "now",
    [{"type": "category"}, {"type": "text"}, {"type": "boolean"}, {"type": "datetime", "epoch": "s"}],
    ids=lambda now: str(now["type"]),
)
def test_a_field_of_another_type_than_production_learned_has_no_fence(
    conn: psycopg.Connection[Any], tmp_path: Path, now: dict[str, str]
) -> None:
    register(conn, 1, 0.5)
    changed = people("quarantine", now)
    file = tmp_path / "people.csv"
    file.write_text("age,came\n1,yes\n0,no\n", "utf-8")
    assert ingest_file(conn, changed, file).new == 2
    assert production_fences(conn, changed).bounds == {}
    assert count_beyond(conn, changed) is None


def test_fences_of_dates_are_none_of_numbers(conn: psycopg.Connection[Any]) -> None:
    register(conn, 1, 20_000.0, dates=["age"])
    assert production_fences(conn, people("clip")).bounds == {}
    dated = people("clip", {"type": "datetime"})
    assert production_fences(conn, dated).bounds == {"age": (0.0, 20_000.0)}


def test_fences_of_before_it_was_written_down_which_are_of_dates_count(
    conn: psycopg.Connection[Any],
) -> None:
    register(conn, 1, 150.0)
    conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
    conn.execute("UPDATE ledger SET evidence = evidence - 'fence_dates' WHERE event = 'registered'")
    conn.execute("ALTER TABLE ledger ENABLE TRIGGER USER")
    for kind in ("integer", "datetime"):
        assert production_fences(conn, people("clip", {"type": kind})).bounds == {"age": (0.0, 150.0)}
    assert production_fences(conn, people("clip", {"type": "text"})).bounds == {}


def test_a_file_names_them_and_keeps_them(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    register(conn, 1, 150.0)
    report = ingest(conn, "leave_out", tmp_path)
    assert (report.new, report.quarantined) == (4, 0)
    (sentence,) = report.beyond_fence
    assert sentence.startswith("2 rows, e.g. line ")
    assert "field 'age': got 1e+09, beyond production's fence, 0 to 150; it is kept" in sentence


def test_a_file_without_production_or_with_fences_off_names_none(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    assert ingest(conn, "quarantine", tmp_path).beyond_fence == ()
    register(conn, 1, 150.0)
    report = ingest(conn, "off", tmp_path)
    assert (report.beyond_fence, report.quarantined, report.duplicates) == ((), 0, 4)


def test_where_they_are_refused_they_stay_so_until_the_fence_moves(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    register(conn, 1, 150.0)
    report = ingest(conn, "quarantine", tmp_path)
    assert (report.new, report.quarantined, report.beyond_fence) == (2, 2, ())
    assert report.reasons[0].example == REASON
    assert retry_rows(conn, people("quarantine")).refused == 2
    register(conn, 2, 1.5e9)
    retried = retry_rows(conn, people("quarantine"))
    assert (retried.new, retried.refused) == (1, 1)
    assert retry_rows(conn, people("leave_out")).new == 1
