"""Fixtures that the whole suite shares: a real PostgreSQL, and a fresh database for each test."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from store.database.connection import connect, migrate
from store.database.embedded import EmbeddedPostgres
from tests.databases import Databases, with_database
from tests.mlflow_servers import Server, running_mlflow
from tests.s3_servers import S3Server, running_s3

GC_THRESHOLDS = gc.get_threshold()
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "template_ratchet"
DRAW_SECRET = "of the suite"
MLFLOW_DATABASE = "shared_mlflow"
TRACKING_URI = "MLFLOW_TRACKING_URI"
LEFT_BY_MLFLOW = (TRACKING_URI, "MLFLOW_EXPERIMENT_ID")
"""What it writes into the environment for processes that its own begins."""
ONE_THREAD = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
LONG = 3600.0
"""Seconds until a slow test, or one of faults, is given up, unless it has more."""
NO_BROWSER = "no browser (chromium) was found"
"""Why tests of the page are skipped."""


@pytest.hookimpl(wrapper=True, tryfirst=True)  # after the list of skipped places, so that it is seen
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say what a run without a browser has not looked at; one process says it for all of xdist's."""
    yield
    reports = terminalreporter.stats.get("skipped", [])
    sentence = browser_sentence([str(report.longrepr) for report in reports])
    if sentence is not None:
        terminalreporter.write_line(sentence, yellow=True)


def browser_sentence(reasons: Sequence[str]) -> str | None:
    """How many tests were skipped for want of a browser, of those skipped for these reasons; None: none."""
    skipped = sum(NO_BROWSER in reason for reason in reasons)
    if skipped == 0:
        return None
    return f"{skipped} {'test was' if skipped == 1 else 'tests were'} skipped: {NO_BROWSER}"


def pytest_configure() -> None:
    """No test may write into the MLflow of whoever runs the suite, and none computes on all cores.

    Files of tests run side by side: where each of them has TensorFlow hand its small steps from thread to
    thread, all wait for each other's.
    """
    os.environ.pop(TRACKING_URI, None)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take long are given up late: none fails because the machine does other work too."""
    for item in items:
        takes_long = any(item.get_closest_marker(name) is not None for name in ("slow", "faults"))
        told = item.get_closest_marker("timeout")
        if takes_long and (told is None or told.args[0] < LONG):
            item.add_marker(pytest.mark.timeout(LONG), append=False)


def pytest_collection_finish() -> None:
    """What the suite and its libraries consist of is not looked through for garbage again and again."""
    settle_heap()


@pytest.fixture(scope="module", autouse=True)
def leave_no_garbage() -> Iterator[None]:
    """What a file leaves open is an error of its own, and not of whichever file is running later."""
    yield
    settle_heap()


def settle_heap() -> None:
    """Collect what is garbage, and take what is left out of later collections.

    Without it each whole collection goes through all tests, MLflow and TensorFlow: half a second, some
    hundred times, as each fit of a network asks for one. How often there are collections is as Python has it;
    a worker of the service that runs in this process sets that for itself.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leave_settings() -> Iterator[None]:
    """No test leaves settings in the environment: servers of later ones would take them for theirs."""
    with leaving_settings():
        yield


@contextmanager
def leaving_settings() -> Iterator[None]:
    """Fails where Ratchet's settings in the environment are not what they were, and takes them back."""
    before = _settings()
    yield
    left = sorted({name for name, _ in _settings().items() ^ before.items()})
    for name in left:
        os.environ.pop(name, None)
    os.environ.update(before)
    if left:
        pytest.fail(f"left in the environment: {', '.join(left)}; `own_environment` takes them back")


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("RATCHET_")}


@pytest.fixture
def own_environment() -> Iterator[None]:
    """For commands that run in this process, and write into its environment what servers read there."""
    with keeping_environment():
        yield


@contextmanager
def keeping_environment() -> Iterator[None]:
    """Has all variables at the end as they were."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def forget_what_mlflow_left() -> Iterator[None]:
    """Servers of later tests would find its address, and have MLflow check the variable before each start.

    What a file's own fixtures left there before its first test goes too.
    """
    yield
    for name in LEFT_BY_MLFLOW:
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def keep_umask() -> Iterator[None]:
    """A command keeps its process private from others; later tests are as the person who runs them likes."""
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL that the suite starts for itself, with a migrated template database."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("home") / "postgres", settings=FAST)
    url = server.start()
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            hash_password_once(conn)
            conn.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(with_database(url, TEMPLATE))
        with psycopg.connect(with_database(url, TEMPLATE), autocommit=True) as conn:
            # So that each run of the suite holds the same rows out.
            conn.execute("UPDATE draw_secret SET secret = %s", (DRAW_SECRET,))
        yield url
    finally:
        server.stop()


def hash_password_once(conn: psycopg.Connection) -> None:
    """Have the server ask for one round of hashing of a password, where 4,096 are half of each connection."""
    conn.execute("SET scram_iterations = 1")
    password = sql.Literal(conn.info.password)
    conn.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


@contextmanager
def empty_database(postgres: str) -> Iterator[str]:
    """Address of an empty database with Ratchet's tables, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield with_database(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def mlflow_server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An MLflow for all tests whose models have names that no others use; it takes seconds to start."""
    with running_mlflow(postgres, tmp_path_factory.mktemp("mlflow"), MLFLOW_DATABASE) as started:
        yield started


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server of S3's protocol; buckets have names that no others use."""
    with running_s3(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty bucket, with the variables that lead to it in the environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return s3_server.make_bucket(f"ratchet-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def databases(postgres: str) -> Iterator[Databases]:
    """Those of the tests."""
    with closing(Databases(postgres, TEMPLATE)) as made:
        yield made


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """Address of an empty database with Ratchet's tables, which is no more after the test."""
    with databases.empty() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres: str) -> Iterator[str]:
    """The same for all tests of a module."""
    with empty_database(postgres) as url:
        yield url


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to `database_url`, each statement a transaction of its own."""
    with connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def configs() -> Path:
    """Folder of the shipped configurations."""
    return Path(__file__).resolve().parent.parent / "configs"
