"""The worker tries rows again where that was requested, under the configuration as its file is now."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
import pytest

from configs.loading import load_use_case
from configs.settings import Settings, read_settings
from flows.scheduling.quarantine_retry import retry_where_requested
from store.ingest import retrying
from store.quarantine.rows import count_rows, request_retry, where_retry_is_requested
from tests.flows.cli.commands.test_quarantine import configure
from tests.store.quarantine.cases import labels, read


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """With two loans in quarantine, whose retry was requested."""
    configure(tmp_path)
    text = "issued,amount,status\nMar-2018,5,paid\nMar-2018,x,late\n"
    read(database_url, load_use_case(tmp_path / "loans.yaml"), tmp_path / "loans.csv", text)
    with psycopg.connect(database_url) as conn:
        request_retry(conn, "loans")
    return read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_DATABASE_URL": database_url,
            "RATCHET_CONFIGS": str(tmp_path),
        }
    )


def test_under_the_configuration_of_now(settings: Settings, conn: psycopg.Connection, tmp_path: Path) -> None:
    retry_where_requested(settings, ["others"])
    assert where_retry_is_requested(conn) == {"loans"}
    configure(tmp_path, issued="category")
    retry_where_requested(settings, ["loans"])
    assert (labels(conn), count_rows(conn, "loans")) == (["paid"], 1)
    assert where_retry_is_requested(conn) == frozenset()


def test_a_configuration_that_cannot_be_read_leaves_them_waiting(
    settings: Settings, conn: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configure(tmp_path, issued="nonsense")
    with caplog.at_level(logging.WARNING):
        retry_where_requested(settings, ["loans"])
    assert "rows in quarantine cannot be tried again" in caplog.text
    assert where_retry_is_requested(conn) == {"loans"}


def test_a_defect_is_logged_and_not_repeated_for_ever(
    settings: Settings,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(retrying, "retry_rows", fail)
    retry_where_requested(settings, ["loans"])
    assert "ZeroDivisionError" in caplog.text
    assert (where_retry_is_requested(conn), count_rows(conn, "loans")) == (frozenset(), 2)
