"""How many rows lie beyond production's fence, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import UseCase
from flows.cli.terminal.status_lines import use_case_lines
from flows.status.use_cases import UseCaseStatus
from store.feedback import fence_counts
from store.feedback.fence_counts import FenceCounts, count_beyond, fence_facts
from tests.store.feedback.test_fences import ingest, people, register


def told(conn: psycopg.Connection[Any], use_case: UseCase) -> str | None:
    return use_case_lines(UseCaseStatus("people", "People", fence=fence_facts(conn, use_case)))[
        "beyond fence"
    ]


def test_without_a_fence_nothing_is_counted(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    ingest(conn, "leave_out", tmp_path)
    assert count_beyond(conn, people("leave_out")) is None
    register(conn, 1, 150.0)
    assert count_beyond(conn, people("off")) is None
    assert told(conn, people("off")) is None


def test_what_is_kept_is_counted_and_what_the_fit_made_of_it(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ingest(conn, "leave_out", tmp_path)
    register(conn, 1, 150.0)
    assert count_beyond(conn, people("leave_out")) == FenceCounts(2, 4, 0, left_out=2, cut=5)
    assert told(conn, people("leave_out")) == (
        "2 of the newest 4 labelled rows lie beyond production's fence; "
        "2 training rows were left out of production's fit; 5 values of its training rows were cut"
    )
    register(conn, 2, 1e12)
    assert count_beyond(conn, people("leave_out")) == FenceCounts(0, 4, 0, left_out=2, cut=5)


def test_what_is_refused_is_counted_for_as_long_as_it_is_there(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    register(conn, 1, 150.0)
    ingest(conn, "quarantine", tmp_path)
    assert count_beyond(conn, people("quarantine")) == FenceCounts(0, 2, 2, left_out=2, cut=5)
    assert str(told(conn, people("quarantine"))).startswith("2 rows are in quarantine for lying beyond it; ")
    off = count_beyond(conn, people("off"))
    assert off is not None
    assert (off.kept, off.looked_at, off.quarantined) == (0, 0, 2)


def test_of_a_version_of_which_nobody_wrote_it_down_the_fit_is_unknown(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    register(conn, 1, 150.0)
    conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
    conn.execute("UPDATE ledger SET evidence = evidence - 'beyond_fence'")
    ingest(conn, "leave_out", tmp_path)
    assert count_beyond(conn, people("leave_out")) == FenceCounts(2, 4, 0, left_out=None, cut=None)


def test_the_newest_rows_are_looked_at_and_those_that_fit_no_more_are_not(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(conn, 1, 150.0)
    ingest(conn, "leave_out", tmp_path)
    conn.execute("""UPDATE feedback SET record = '{"age": "old"}' WHERE record->>'age' = '30.0'""")
    assert count_beyond(conn, people("leave_out")) == FenceCounts(2, 3, 0, left_out=2, cut=5)
    monkeypatch.setattr(fence_counts, "LOOKED_AT", 1)
    assert count_beyond(conn, people("leave_out")) == FenceCounts(1, 1, 0, left_out=2, cut=5)


def test_nothing_beyond_is_no_sentence() -> None:
    assert FenceCounts(0, 1000, 0, left_out=0, cut=0).sentence is None
    assert str(FenceCounts(1, 1000, 1, left_out=1, cut=1).sentence) == (
        "1 of the newest 1,000 labelled rows lies beyond production's fence; "
        "1 row is in quarantine for lying beyond it; "
        "1 training row was left out of production's fit; 1 value of its training rows was cut"
    )
