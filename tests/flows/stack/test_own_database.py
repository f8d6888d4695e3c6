"""A PostgreSQL of the user's own that cannot be used: said before anything starts, and by each command."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from configs.settings import CHECKOUT, Settings, read_settings
from flows import doctor
from flows.cli import app
from flows.scheduling.joining import NothingToJoin, ensure_reachable
from flows.servers.sharing import ensure_models_here
from flows.stack import starting
from flows.stack.errors import NotAlone
from flows.stack.specs import servers
from flows.stack.starting import bring_up
from flows.stack.state import running
from models.production.artifact_digests import note_registered
from store.database import prepare
from store.database.connection import connect, connect_async
from store.errors import DatabaseUnavailable, ModelsElsewhere
from store.runs import workers
from store.runs.workers import WorkerMark
from tests.poolers import needs_pgbouncer, pooled
from tests.ports import free_port


def test_doctor_and_up_say_it_before_anything_starts(database_url: str, tmp_path: Path) -> None:
    separator = "&" if "?" in database_url else "?"
    url = f"{database_url}{separator}sslmode=prefer&sslrootcert=/nowhere.pem"
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": url})
    finding = next(one for one in doctor.examine(settings) if one.what == "database")
    assert not finding.ok
    assert "sslrootcert in RATCHET_DATABASE_URL names '/nowhere.pem'" in finding.found
    with pytest.raises(DatabaseUnavailable, match="sslrootcert"):
        bring_up(settings, lambda _name, _state: None)


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_environment: None) -> str:  # noqa: ARG001
    """A home with a database that is not there; its host and port."""
    place = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RATCHET_DATABASE_URL", f"postgresql://me:s3cret@{place}/r")
    for name in ("RATCHET_MLFLOW_PORT", "RATCHET_PREFECT_PORT", "RATCHET_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    return place


@pytest.mark.parametrize(
    "line",
    [
        "retrain plans", "drift plans", "prune", "ledger plans", "runs plans",
        "ingest plans {file}", "train plans {file}", "demo", "replay plans", "evaluate plans",
        "predict plans {file}", "rollback plans", "pause plans", "stop plans", "quarantine list plans",
        "sources list plans", "forget-label plans --source shop --dry-run", "canary end plans",
        "probation plans",
    ],
)  # fmt: skip
def test_each_command_names_the_variable_and_the_server(line: str, away: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("tenure,contract\n1,One year\n", encoding="utf-8")
    result = CliRunner().invoke(app, line.format(file=tmp_path / "rows.csv").split())
    told = f"RATCHET_DATABASE_URL: database at {away}/r cannot be reached: "
    assert (result.exit_code, told in result.stderr) == (1, True), result.stderr
    assert result.stderr.strip().endswith("; see that it runs and lets this user in, or name another")
    assert "s3cret" not in result.output


def test_up_says_it_in_one_line_and_starts_nothing(away: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "flows.cli", "up", "--detach"],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout == ""
    told = f"ratchet: RATCHET_DATABASE_URL: database at {away}/r cannot be reached: "
    assert [line.startswith(told) for line in ended.stderr.splitlines()] == [True]
    assert "s3cret" not in ended.stderr
    assert not (tmp_path / "home" / "logs").exists()


def test_so_do_those_that_tell_what_is_wrong(away: str) -> None:
    for line in ("status", "doctor"):
        result = CliRunner().invoke(app, [line])
        shown = " ".join(result.stdout.split())
        assert result.exit_code == 1
        assert f"RATCHET_DATABASE_URL: database at {away}/r cannot be reached" in shown
        assert "s3cret" not in result.output


def test_so_do_a_worker_elsewhere_and_migrations(away: str) -> None:
    with pytest.raises(NothingToJoin, match=f"^RATCHET_DATABASE_URL: database at {away}/r"):
        ensure_reachable(read_settings())
    with pytest.raises(SystemExit, match=f"^ratchet: RATCHET_DATABASE_URL: database at {away}/r"):
        prepare.main()


def test_the_direct_address_is_named_where_that_one_is_away(
    database_url: str, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_DATABASE_DIRECT_URL", f"postgresql://me:s3cret@{away}/r")
    monkeypatch.setenv("RATCHET_DATABASE_URL", database_url)
    with pytest.raises(DatabaseUnavailable, match=f"^RATCHET_DATABASE_DIRECT_URL: database at {away}/r"):
        bring_up(read_settings(), lambda _name, _state: None)


def test_up_is_refused_beside_another_that_works_on_the_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.3)
    environ = {"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": database_url}
    environ |= {
        name: str(free_port()) for name in ("RATCHET_PORT", "RATCHET_MLFLOW_PORT", "RATCHET_PREFECT_PORT")
    }
    settings = read_settings(environ)

    async def beside_a_worker(mark: WorkerMark) -> None:
        async with await connect_async(database_url) as conn:
            await workers.show_worker(conn, mark)
            await asyncio.to_thread(bring_up, settings, lambda _name, _state: None)

    with pytest.raises(NotAlone, match=r"it is connected from \S+\. Two MLflow servers"):
        asyncio.run(beside_a_worker(WorkerMark("elsewhere", shares=False)))
    assert not running(settings.home)
    (tmp_path / "shared").mkdir()
    url = f"file://{tmp_path / 'shared'}"
    settings = read_settings({**environ, "RATCHET_STORAGE": url})
    with pytest.raises(NotAlone, match=rf"in different places, this one at {url}, cannot serve"):
        asyncio.run(beside_a_worker(WorkerMark("elsewhere", shares=False)))
    assert not running(settings.home)


def test_the_worker_is_told_whether_the_mlflow_that_it_has_is_of_this_home(tmp_path: Path) -> None:
    words = {}
    for name, url in (("own", ""), ("given", "http://127.0.0.1:5000")):
        environ = {"RATCHET_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": url}
        (server,) = (one for one in servers(read_settings(environ)) if one.name == "worker")
        words[name] = server.command[3:]
    assert words == {"own": ("--sole", "--keeps-models"), "given": ("--sole",)}


def test_up_is_refused_where_the_models_that_the_database_knows_are_not_unless_they_are_lost(
    database_url: str, conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": database_url})
    ensure_models_here(settings)
    note_registered(
        conn, "plans", 3, digest="d", actor="ann", mlflow_run="m", run_id=str(uuid4()), tags={}, fences={},
        dates=[], beyond_fence={},
    )  # fmt: skip
    conn.commit()
    told = f"the database knows models of plans, and file://{home} has the files of none"
    with pytest.raises(ModelsElsewhere, match=told):
        bring_up(settings, lambda _name, _state: None)
    assert not running(home)
    assert "ratchet storage copy" in doctor_says(settings)
    monkeypatch.setattr(starting, "servers", lambda _settings: [])
    monkeypatch.setattr(starting, "migrate", lambda _url: None)
    assert bring_up(settings, lambda _name, _state: None, models_lost=True) == []
    elsewhere = {"RATCHET_HOME": str(home), "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    ensure_models_here(read_settings({**elsewhere, "RATCHET_DATABASE_URL": database_url}))
    (home / "mlflow" / "1").mkdir(parents=True)
    (home / "mlflow" / "1" / "model").write_bytes(b"model")
    ensure_models_here(settings)


def doctor_says(settings: Settings) -> str:
    (finding,) = (one for one in doctor.examine(settings) if one.what == "storage")
    assert not finding.ok
    return finding.found


HOME = WorkerMark("one:/home", shares=False)
OTHER_HOME = WorkerMark("two:/home", shares=False)
STORAGE = WorkerMark("s3://bucket", shares=True)
OTHER_STORAGE = WorkerMark("s3://other", shares=True)
GIVEN = WorkerMark("given", shares=True)


def test_a_mark_says_where_models_are(tmp_path: Path) -> None:
    home = {"RATCHET_HOME": str(tmp_path)}
    (tmp_path / "shared").mkdir()
    storage = {"RATCHET_STORAGE": f"file://{tmp_path / 'shared'}"}
    marks = [
        WorkerMark.of(read_settings(one), keeps_models=keeps)
        for one, keeps in ((home, True), ({**home, **storage}, True), ({**home, **storage}, False))
    ]
    assert [mark.shares for mark in marks] == [False, True, True]
    assert marks[0].models.endswith(f":{tmp_path}")
    assert [mark.models for mark in marks[1:]] == [storage["RATCHET_STORAGE"], "given"]
    assert len({mark.process for mark in marks}) == 3


@pytest.mark.parametrize(
    ("lives", "comes", "refused"),
    [
        (HOME, OTHER_HOME, True),
        (HOME, STORAGE, True),
        (STORAGE, HOME, True),
        (STORAGE, OTHER_STORAGE, True),
        (STORAGE, STORAGE, False),
        (GIVEN, HOME, False),  # that home's own MLflow, as may be
        (GIVEN, STORAGE, False),
        (HOME, HOME, False),  # what is left of the same home's
    ],
)
@pytest.mark.parametrize("is_starting", [False, True])
def test_who_works_beside_whom(
    database_url: str,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    lives: WorkerMark,
    comes: WorkerMark,
    refused: bool,
    is_starting: bool,
) -> None:
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.3)
    conn.autocommit = True
    waits: list[str] = []

    async def beside() -> None:
        async with await connect_async(database_url) as other:
            await workers.show_worker(other, lives)
            with workers.starting(conn, comes, waits.append) as address:
                assert (address is not None) is refused

    if is_starting:
        with (
            connect(database_url, autocommit=True) as other,
            workers.starting(other, lives, waits.append) as first,
            workers.starting(conn, comes, waits.append) as second,
        ):
            assert first is None
            assert (second is not None) is refused
    else:
        asyncio.run(beside())
    assert len(waits) == refused
    assert all("." in address or address == "a socket" for address in waits)


@pytest.mark.parametrize(("comes", "refused"), [(HOME, True), (STORAGE, False)])
def test_of_a_worker_of_an_earlier_release_nobody_knows_where_its_models_are(
    database_url: str,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    comes: WorkerMark,
    refused: bool,
) -> None:
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.3)
    conn.autocommit = True
    with connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock_shared(hashtextextended('worker of flows', 0))")
        with workers.starting(conn, comes, lambda _address: None) as address:
            assert (address is not None) is refused


def test_who_looks_is_waited_for_and_an_earlier_release_that_starts_is_told(
    database_url: str, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.15)
    conn.autocommit = True
    with connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('worker of flows:start', 0))")
        with workers.starting(conn, STORAGE, lambda _address: None) as address:
            assert address is not None
    with workers.starting(conn, STORAGE, lambda _address: None) as address:
        assert address is None


@needs_pgbouncer
def test_of_two_that_start_at_once_behind_a_pooler_one_is_refused(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "GONE_SECONDS", 0.3)
    waits: list[str] = []
    with ExitStack() as stack:
        url = stack.enter_context(pooled(database_url, tmp_path / "pooler"))
        conn, other = (stack.enter_context(connect(url, autocommit=True)) for _ in range(2))
        with (
            workers.starting(other, HOME, waits.append) as first,
            workers.starting(conn, STORAGE, waits.append) as second,
        ):
            assert (first, second) == (None, "127.0.0.1")
        with workers.starting(conn, STORAGE, waits.append) as next_one:
            assert next_one is None


def test_a_worker_that_has_just_ended_is_waited_for(database_url: str, conn: psycopg.Connection) -> None:
    waits: list[str] = []

    async def ends_soon() -> str | None:
        async with await connect_async(database_url) as other:
            await workers.show_worker(other, HOME)
            found = asyncio.create_task(
                asyncio.to_thread(workers.stranger_that_stays, conn, STORAGE, waits.append)
            )
            await asyncio.sleep(0.3)
            assert not found.done()
        return await found

    conn.autocommit = True
    assert asyncio.run(ends_soon()) is None
    assert len(waits) == 1
