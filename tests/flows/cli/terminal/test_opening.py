"""What a command says whose database goes away amid its work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from flows import launch
from flows.cli.commands import training
from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.opening import BEGINS_ANEW, STORED_ONCE
from store.errors import StorageUnavailable
from tests.flows.cli.commands import test_sources
from tests.flows.cli.commands.test_sources import run

home = test_sources.home
END_SESSION = """
    CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
    CREATE TRIGGER end_session AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION end_session()
"""


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("ingest loans loans.csv", "what was stored is not stored twice: the same command goes on"),
        ("forget-label loans --source file/eve --reason typo --yes", "either all of it was done or nothing"),
        ("relabel loans --map paid=late", "or nothing; the same command does what is left"),
        ("relabel loans --map paid=late --map late=paid", "or nothing: look which labels there are before"),
    ],
)
def test_a_session_that_ends_amid_the_work_is_told_with_what_the_same_command_does(
    home: Path, database_url: str, command: str, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    begin, *rest = (home / "loans.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (home / "some.csv").write_text("".join([begin, *rest[:60]]), encoding="utf-8")
    assert run("ingest", "loans", "some.csv").exit_code == 0
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(END_SESSION.format(table="feedback"))
    cut_off = run(*command.split())
    assert cut_off.exit_code == 1, cut_off.output
    said = cut_off.stderr[cut_off.stderr.index("ratchet: ") :]
    assert said.startswith("ratchet: the database is restarting or was shut down (")
    assert again in said
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP FUNCTION end_session CASCADE")
    assert run(*command.split()).exit_code == 0


@pytest.fixture
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether it answers."""
    monkeypatch.setattr(training, "connected_settings", lambda _use_case: settings_here())


@pytest.mark.usefixtures("without_mlflow")
def test_a_retrain_with_a_file_that_is_cut_off_says_it_of_the_file(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(END_SESSION.format(table="feedback"))
    cut_off = run("retrain", "loans", "--data", "loans.csv")
    assert cut_off.exit_code == 1, cut_off.output
    assert STORED_ONCE in cut_off.stderr


@pytest.mark.usefixtures("home", "without_mlflow")
def test_a_run_whose_storage_goes_away_says_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_arguments: Any, **_options: Any) -> None:
        raise StorageUnavailable("s3://models", "it does not answer")

    monkeypatch.setattr(launch, "retrain_now", lose)
    lost = run("retrain", "loans")
    assert lost.exit_code == 1, lost.output
    assert lost.stderr.rstrip().endswith(f"it does not answer; {BEGINS_ANEW}")
