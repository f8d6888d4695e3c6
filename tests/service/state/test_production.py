"""GET /v1/{use_case}/ledger: what moved production, with its evidence as it was written."""

from __future__ import annotations

from typing import Any

import psycopg

from models.production import ledger
from tests.service.conftest import Service

SERVED = ("digits", "plans")


def test_numbers_of_any_size_are_told(service: Service, conn: psycopg.Connection[Any]) -> None:
    """PostgreSQL writes 1e30 as a whole number of 31 digits."""
    evidence = {"fences": {"income": [-1e30, 9.5]}, "wealth": 1.5e300, "rows": 2**53 + 1}
    ledger.record(conn, "plans", "registered", actor="test", reason="", to_version=1, evidence=evidence)
    conn.commit()
    response = service.get("/v1/plans/ledger?limit=5")
    assert response.status_code == 200, response.text
    assert response.json()["entries"][0]["evidence"] == evidence
