"""The embedded server: it starts, survives kill -9, and is gone when stopped."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from configs.security.home import make_home_private
from configs.security.umask import OTHERS
from store.database import embedded_user as postgres_user
from store.database.embedded import EmbeddedPostgres, write_private
from store.database.processes import processes_in
from store.errors import PostgresFailed
from tests.conftest import FAST


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    server.stop()


def rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as conn:
        return conn.execute("SELECT x FROM kept").fetchall()


def test_a_server_that_was_never_started_has_no_address(server: EmbeddedPostgres) -> None:
    with pytest.raises(PostgresFailed, match="has not been started"):
        _ = server.url
    server.stop()


def test_the_life_of_a_server(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert url == server.url
    assert stat.S_IMODE((server.folder / "url").stat().st_mode) == 0o600
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS x")
    assert server.start() == url, "a second start finds it running"

    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert server.start() == url, "recovered on the same port"
    assert server.pid() != pid
    assert rows(url) == [(7,)]

    server.stop()
    assert server.pid() is None
    assert processes_in(server.data) == set()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)

    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    assert server.pid() is None, "a pid file that names a stranger"
    server.start()
    assert rows(server.url) == [(7,)]


def test_no_password_no_entry(server: EmbeddedPostgres) -> None:
    url = server.start()
    before, after = url.split("@")
    with pytest.raises(psycopg.OperationalError, match=r"authentication failed|no password"):
        psycopg.connect(before.rsplit(":", 1)[0] + ":wrong@" + after)


def test_a_half_made_cluster_is_made_anew(server: EmbeddedPostgres) -> None:
    server.folder.mkdir()
    for name in ("data.unfinished", "data"):
        (server.folder / name).mkdir()
        (server.folder / name / "scrap").write_text("x")
    server.start()
    assert not (server.data / "scrap").exists()


def test_a_port_taken_meanwhile_is_replaced(server: EmbeddedPostgres, postgres: str) -> None:
    server.start()
    server.stop()
    taken = postgres.rsplit(":", 1)[1].split("/")[0]
    own = server.url.rsplit(":", 1)[1].split("/")[0]
    write_private(server.folder / "url", server.url.replace(f":{own}/", f":{taken}/"))
    assert f":{taken}/" not in server.start()


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", settings={"max_connections": "plenty"})
    with pytest.raises(PostgresFailed, match="max_connections"):
        server.start()


def test_the_server_belongs_to_no_terminal(server: EmbeddedPostgres) -> None:
    server.start()
    pid = server.pid()
    assert pid is not None
    assert os.getsid(pid) != os.getsid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_namespaces_root_becomes_nobody_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_user, "namespaces_permitted", lambda: False)
    folder = tmp_path / "closed" / "postgres"
    folder.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    with pytest.raises(PostgresFailed, match="refuses to run as root"):
        postgres_user.launcher_for(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs it plainly")
def test_as_nobody_it_runs_in_a_home_that_nobody_may_look_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_user, "namespaces_permitted", lambda: False)
    before = os.umask(OTHERS)
    # Everybody may enter the folder around it, as they may not those of tests.
    with tempfile.TemporaryDirectory() as home:
        server = EmbeddedPostgres(Path(home) / "postgres", settings=FAST)
        try:
            with psycopg.connect(server.start()) as conn:
                assert conn.execute("SELECT 1").fetchone() == (1,)
            assert server.folder.stat().st_uid == postgres_user.NOBODY
            assert stat.S_IMODE(Path(home).stat().st_mode) == 0o701
            make_home_private(Path(home))
            assert stat.S_IMODE(Path(home).stat().st_mode) == 0o701
            readable = [path for path in Path(home).rglob("*") if path.stat().st_mode & 0o077]
            assert readable == []
        finally:
            server.stop()
            os.umask(before)


def test_processes_are_known_by_their_folder(tmp_path: Path) -> None:
    assert processes_in(tmp_path) == set()
    assert os.getpid() in processes_in(Path.cwd())


def test_a_private_file_is_replaced_at_once(tmp_path: Path) -> None:
    for number in range(3):
        write_private(tmp_path / "f", str(number))
    assert (tmp_path / "f").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
