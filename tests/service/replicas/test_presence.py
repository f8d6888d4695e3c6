"""A worker says what it serves, that it is cut off, and that it is to end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from configs.settings import read_settings
from service.answers.responses import PredictionIds, answered_at
from service.replicas.presence import own_address
from service.storage import waiting
from store.service_replicas import Replica, read_replicas
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.state.test_health import Relay, relay, through
from tests.service.swap.test_watcher import promote, wait_for

__all__ = ["relay"]  # a fixture
SERVED = ("digits",)
DIGITS = USE_CASES["digits"]


def only(conn: psycopg.Connection) -> Replica | None:
    found = read_replicas(conn)
    return found[0] if len(found) == 1 else None


def versions(conn: psycopg.Connection) -> tuple[int, ...]:
    one = only(conn)
    return () if one is None or "digits" not in one.serving else one.serving["digits"].versions


def health(service: Service) -> Any:
    return service.get("/health").json()


def test_what_serves_is_told_at_the_start_at_each_swap_and_no_more_at_the_end(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    for number in (1, 2):
        registry.add(DIGITS, number)
    registry.production["digits"] = 1
    service = start_service(RATCHET_USE_CASES="digits")
    wait_for(lambda: versions(conn) == (1,))
    assert service.worker.watcher.listening.wait(10)
    promote(conn, registry, 2)
    wait_for(lambda: versions(conn) == (2,))
    (told,) = health(service)["replicas"]
    assert (told["state"], told["serving"]["digits"]["versions"]) == ("serving", [2])
    service.close()
    assert read_replicas(conn) == []


def test_what_serves_again_does_so_since_it_came_back(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    for number in (1, 2):
        registry.add(DIGITS, number)
    registry.production["digits"] = 1
    service = start_service(RATCHET_USE_CASES="digits")
    assert service.worker.watcher.listening.wait(10)
    promote(conn, registry, 2)
    wait_for(lambda: versions(conn) == (2,))
    gone_back = datetime.now(UTC)
    promote(conn, registry, 1)
    wait_for(lambda: versions(conn) == (1,))
    one = only(conn)
    assert one is not None
    since = one.serving["digits"].since
    assert since is not None
    assert gone_back < since < datetime.now(UTC), "not since it was loaded first"


def test_one_that_the_database_does_not_hear_says_so_until_it_does(
    start_service: StartService, registry: FolderRegistry, relay: Relay, database_url: str
) -> None:
    registry.add(DIGITS, 1)
    registry.production["digits"] = 1
    service = start_service(RATCHET_USE_CASES="digits", RATCHET_DATABASE_URL=through(relay, database_url))
    wait_for(lambda: health(service)["server"]["cut_off"] is None and health(service)["replicas"] != [])
    relay.hang()
    wait_for(lambda: health(service)["server"]["cut_off"] is not None, 30)
    told = health(service)
    assert told["replicas"] is None
    assert "cut off since" in told["dependencies"]["database"]["error"]
    assert "what serves goes on" in told["dependencies"]["database"]["error"]
    assert service.get("/readyz").status_code == 200
    assert "ratchet_cut_off 1.0" in service.metrics()
    relay.go_on()
    wait_for(lambda: health(service)["server"]["cut_off"] is None, 30)
    assert "ratchet_cut_off 0.0" in service.metrics()


def test_one_that_drains_answers_is_not_ready_and_is_seen_to_drain(
    service: Service, conn: psycopg.Connection
) -> None:
    assert service.get("/readyz").status_code == 200
    service.worker.begin_to_drain()
    refused = service.get("/readyz")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert service.get("/v2/health/ready").status_code == 503
    assert service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).status_code == 200
    wait_for(lambda: (one := only(conn)) is not None and one.state == "draining")


def test_one_whose_production_cannot_be_fetched_is_not_ready_until_it_is(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    registry.add(DIGITS, 1)
    promote(conn, registry, 1)
    registry.away = True
    service = start_service(RATCHET_USE_CASES="digits")
    refused = service.get("/readyz")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "loading")
    assert "digits" in refused.json()["error"]["message"]
    registry.away = False
    wait_for(lambda: service.get("/readyz").status_code == 200)
    assert service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).status_code == 200


def test_one_without_any_model_is_ready_to_take_labels(start_service: StartService) -> None:
    assert start_service(RATCHET_USE_CASES="digits").get("/readyz").status_code == 200


def feedback(service: Service, prediction: str) -> Any:
    items = {"items": [{"prediction_id": prediction, "label": "7"}]}
    return service.post("/v1/digits/feedback", items)


def test_feedback_on_what_a_silent_server_may_have_in_its_log_is_not_refused_for_good(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = PredictionIds().take(1, int(datetime.now(UTC).timestamp() * 1e9))[0]
    assert feedback(service, missing).json()["rejected"]
    monkeypatch.setattr(waiting, "JOURNAL_SECONDS", 0.2)  # nothing of it is in a journal here
    conn.execute(
        "INSERT INTO service_process VALUES ('b', 1, 'b:3000', now(), now() - interval '1 minute', "
        "'serving', '{}')"
    )
    refused = feedback(service, missing)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "prediction_elsewhere")
    assert int(refused.headers["retry-after"]) > 0
    old = PredictionIds().take(1, int((datetime.now(UTC).timestamp() - 3600) * 1e9))[0]
    assert feedback(service, old).json()["rejected"]
    assert feedback(service, "no id of ours").json()["rejected"]


@pytest.mark.parametrize("ahead", [0, 2])
def test_feedback_on_an_answer_of_before_the_clock_was_set_back_is_not_refused_for_good(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    given = PredictionIds().take(1, int((datetime.now(UTC) + timedelta(hours=2)).timestamp() * 1e9))[0]
    assert feedback(service, given).json()["rejected"], "no server that is heard has it"
    monkeypatch.setattr(waiting, "JOURNAL_SECONDS", 0.2)  # nothing of it is in a journal here
    conn.execute(
        "INSERT INTO service_process VALUES ('b', 1, 'b:3000', now(), "
        "now() - interval '1 minute' + %s * interval '1 hour', 'serving', '{}')",
        (ahead,),
    )
    refused = feedback(service, given)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "prediction_elsewhere")


@pytest.mark.parametrize(
    "name", ["", "x", "3dbbf11c-9225-43cd-b7ce-370a54d9eb78", "ffffffff-ffff-7fff-bfff-ffffffffffff"]
)
def test_what_is_no_id_of_an_answer_was_never_given(name: str) -> None:
    assert answered_at(name) is None


def test_an_address_is_one_that_others_find() -> None:
    assert own_address(read_settings({"RATCHET_HOST": "10.0.0.5", "RATCHET_PORT": "3001"})) == "10.0.0.5:3001"
    assert own_address(read_settings({"RATCHET_HOST": "fd00::5"})) == "[fd00::5]:3000"
    assert not own_address(read_settings({"RATCHET_HOST": "0.0.0.0"})).startswith("0.0.0.0")
