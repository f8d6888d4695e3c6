"""A database that takes no writes, restarts, is full or locked: what the service says, and that it heals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.service.conftest import USE_CASES, Service, StartService, record_of
from tests.service.swap.test_watcher import wait_for

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]
WRITES = {
    "feedback": {"items": [{"record": record_of(DIGITS), "label": "3"}]},
    "train": {"items": [{"record": record_of(DIGITS), "label": "4"}]},
    "predictions": {"records": [record_of(DIGITS)]},
    "predict": {"records": [record_of(DIGITS)], "labels": ["5"]},
    "retrain": {},
}
READS = ("ledger", "retrain/status", "retrain/history", "drift", "quality")


@contextmanager
def read_only(database_url: str) -> Iterator[None]:
    """New sessions may not write, as on a replica; those that there are end, as in a failover."""
    name = urlsplit(database_url).path[1:]
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        end_sessions(admin)
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def end_sessions(admin: psycopg.Connection[Any]) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def send(service: Service, route: str) -> httpx.Response:
    return service.post(f"/v1/digits/{route}", WRITES[route])


def refused(response: httpx.Response, code: str) -> str:
    """The message of a 503 that says when to come again."""
    assert response.status_code == 503, response.text
    assert response.headers["retry-after"] == "2"
    assert response.json()["error"]["code"] == code
    return str(response.json()["error"]["message"])


def test_a_read_only_database_is_said_and_all_writes_go_on_when_it_is_writable(
    service: Service, database_url: str
) -> None:
    for route in WRITES:
        assert send(service, route).status_code in (200, 202)
        service.post("/v1/digits/retrain/stop", {})
    with read_only(database_url):
        for _ in range(4):  # whichever thread has which connection
            for route in WRITES:
                message = refused(send(service, route), "database_read_only")
                assert "read-only" in message
                assert message.endswith("nothing was stored")
        answer = service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]})
        assert answer.status_code == 200
        for route in READS:
            assert service.get(f"/v1/digits/{route}").status_code == 200
        health = service.get("/health").json()
        assert health["status"] == "degraded"
        assert "read-only" in health["dependencies"]["database"]["error"]
        assert health["use_cases"]["digits"]["labels"] > 0, "what can be read is shown"
    for _ in range(4):
        for route in WRITES:
            assert send(service, route).status_code in (200, 202)
            service.post("/v1/digits/retrain/stop", {})
    assert service.get("/health").json()["dependencies"]["database"] == {"ok": True}
    with psycopg.connect(database_url) as conn:
        made = answer.json()["predictions"][0]["id"]
        look = "SELECT 1 FROM prediction WHERE id = %s"
        wait_for(lambda: conn.execute(look, (made,)).fetchone() is not None, 15)


def test_a_rollback_of_a_read_only_database_is_refused_as_a_whole(
    service: Service, database_url: str, registry: Any
) -> None:
    registry.add(DIGITS, 2)
    with read_only(database_url):
        refused(service.post("/v1/digits/rollback", {"to": 2}), "database_read_only")
        assert registry.production["digits"] == 1
    assert service.post("/v1/digits/rollback", {"to": 2}).status_code == 200


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "the disk of the database is full"),
        ("53200", "out of memory"),
        ("53300", "no connection left"),
        ("57P01", "restarting"),
        ("57P03", "starting or shutting down"),
        ("55P03", "a lock"),
        ("57014", "took too long"),
        ("42501", "may not do this"),
    ],
)
def test_what_the_server_lacks_is_named(
    service: Service, conn: psycopg.Connection, state: str, words: str
) -> None:
    conn.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN RAISE EXCEPTION 'as it says' USING ERRCODE = '{state}'; END$$"
    )
    conn.execute("CREATE TRIGGER fail BEFORE INSERT ON feedback EXECUTE FUNCTION fail()")
    message = refused(send(service, "feedback"), "database_away")
    assert words in message
    assert "as it says" in message
    conn.execute("DROP TRIGGER fail ON feedback")
    assert send(service, "feedback").status_code == 200


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_work_that_others_writes_undid_is_done_again(
    service: Service, conn: psycopg.Connection, state: str
) -> None:
    conn.execute("CREATE SEQUENCE tries")  # a sequence is not undone with its transaction
    conn.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF nextval('tries') < 3 THEN"
        f" RAISE EXCEPTION 'try again' USING ERRCODE = '{state}'; END IF; RETURN NEW; END$$"
    )
    conn.execute("CREATE TRIGGER fail BEFORE INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION fail()")
    assert send(service, "feedback").json()["accepted"] == 1
    assert conn.execute("SELECT last_value FROM tries").fetchone() == (3,)


def test_reads_say_nothing_of_storing(start_service: StartService) -> None:
    service = start_service(RATCHET_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    for route in READS:
        assert "stored" not in refused(service.get(f"/v1/digits/{route}"), "database_away")
    assert refused(send(service, "feedback"), "database_away").endswith("nothing was stored")


def test_tables_of_another_release_are_said(service: Service, conn: psycopg.Connection) -> None:
    for revision, words in (("0001", "`ratchet up` brings them there"), ("9999", "of a newer Ratchet")):
        conn.execute("UPDATE ratchet_revision SET version_num = %s", (revision,))
        health = service.get("/health").json()
        assert health["status"] == "degraded"
        assert words in health["dependencies"]["database"]["error"]
