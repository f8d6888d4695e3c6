"""Quarantine over HTTP: why rows were refused, a page of them, and a retry that the worker does."""

from __future__ import annotations

import psycopg
import pytest

from features.errors import RefusedRow
from store.quarantine.rows import quarantine, where_retry_is_requested
from tests.service.conftest import Service

SERVED = ("digits", "plans")

PATH = "/v1/digits/quarantine"


@pytest.fixture(autouse=True)
def refused(conn: psycopg.Connection) -> None:
    rows = [RefusedRow(line, f"label: got '{line}'; allowed: one of '1'", {"y": line}) for line in (2, 3)]
    quarantine(
        conn,
        "digits",
        "digits.csv",
        [*rows, RefusedRow(4, "2 values; the header has 3", {"line": "a,b"}, "text")],
    )
    quarantine(conn, "plans", "plans.csv", [RefusedRow(1, "label: missing; allowed: text", {})])


def test_reasons_and_a_page_of_rows(service: Service) -> None:
    first = service.get(f"{PATH}?limit=2").json()
    assert (first["rows"], first["retry_requested"]) == (3, 0)
    assert [(one["rows"], one["source"], one["line"]) for one in first["reasons"]] == [
        (2, "digits.csv", 2), (1, "digits.csv", 4),
    ]  # fmt: skip
    assert [row["line"] for row in first["shown"]] == [2, 3]
    last = service.get(f"{PATH}?limit=2&after={first['next']}").json()
    assert ([row["line"] for row in last["shown"]], last["next"]) == ([4], None)
    assert service.get(f"{PATH}?limit=0").status_code == 422
    status = service.get("/v1/digits/retrain/status").json()
    assert status["quarantine"]["rows"] == 3
    assert "3 rows are in quarantine" in status["recommendation"]["reasons"][-1]


@pytest.mark.parametrize(
    ("body", "rows"),
    [(None, 2), ({}, 2), ({"source": "digits.csv"}, 2), ({"reason": "got '2'"}, 1), ({"source": "x"}, 0)],
)
def test_a_retry_is_durable_before_it_is_answered(
    service: Service, conn: psycopg.Connection, body: dict[str, str] | None, rows: int
) -> None:
    answer = service.post(f"{PATH}/retry", b"" if body is None else body)
    assert (answer.status_code, answer.headers["location"]) == (202, PATH)
    assert answer.json() == {"status": "requested" if rows else "nothing_to_retry", "rows": rows}
    assert where_retry_is_requested(conn) == ({"digits"} if rows else set())
    assert service.get(PATH).json()["retry_requested"] == rows


def test_an_unknown_option_is_refused(service: Service) -> None:
    answer = service.post(f"{PATH}/retry", {"reasons": "x"})
    assert answer.status_code == 422
    assert "reasons" in answer.json()["error"]["message"]
