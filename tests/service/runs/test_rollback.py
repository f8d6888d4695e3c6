"""Going back over HTTP: the version before serves again, and the ledger says who and why."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from configs.api_keys import add_key
from models.errors import CannotLoadNow
from models.production import artifact_digests, ledger
from store.database.connection import connect
from tests.service.conftest import USE_CASES, FolderRegistry, Service, record_of
from tests.service.swap.test_watcher import wait_for

PLANS = USE_CASES["plans"]
PATH = "/v1/plans/rollback"


@pytest.fixture
def moved(service: Service, registry: FolderRegistry, conn: psycopg.Connection) -> Service:
    """Version 2 was promoted over version 1, and serves."""
    registry.add(PLANS, 2)
    ledger.record(conn, "plans", "promoted", actor="schedule", reason="", from_version=1, to_version=2)
    registry.production["plans"], registry.others["plans"] = 2, {"previous": 1}
    ledger.announce(conn, "plans", 2)
    wait_for(lambda: version(service) == 2)
    return service


def version(service: Service) -> Any:
    answer = service.post("/v1/plans/predict", {"records": [record_of(PLANS)]})
    return answer.json()["model"]["version"]


def test_the_version_before_serves_again(moved: Service, conn: psycopg.Connection) -> None:
    answer = moved.post(PATH, {"reason": "wrong prices", "actor": "ann"})
    wait_for(lambda: version(moved) == 1)
    assert answer.status_code == 200
    assert answer.json() == {
        "use_case": "plans", "from": 2, "to": 1, "actor": "ann", "reason": "wrong prices",
    }  # fmt: skip
    row = ledger.history(conn, "plans")[0]
    assert (row.event, row.actor, row.reason) == ("rolled_back", "ann", "wrong prices")


@pytest.mark.parametrize(("named", "actor"), [({"actor": "ann"}, "ann (key ops)"), ({}, "key ops")])
def test_a_key_is_named_in_the_ledger(
    moved: Service, conn: psycopg.Connection, named: dict[str, str], actor: str
) -> None:
    token = add_key(moved.worker.settings.api_keys, "ops", ["admin"])
    moved.worker.keys.look()
    assert moved.post(PATH, named, x_api_key=token).json()["actor"] == actor
    assert ledger.history(conn, "plans")[0].actor == actor


def test_what_cannot_be_done_says_why(moved: Service, registry: FolderRegistry) -> None:
    assert moved.post(PATH, {"to": 7}).json()["error"]["code"] == "unknown_version"
    assert moved.post(PATH, {"to": 2}).json()["error"]["code"] == "nothing_to_roll_back"
    assert moved.post("/v1/digits/rollback", b"").status_code == 409
    for body in ({"to": "1"}, {"to": 0}, {"reason": ""}, {"who": "x"}):
        refused = moved.post(PATH, body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")
    registry.away = True
    assert moved.post(PATH, b"").json()["error"]["code"] == "mlflow_away"
    registry.away = False
    assert version(moved) == 2


def test_a_copy_that_cannot_be_read_now_says_so(
    moved: Service, registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_: Any) -> Any:
        raise CannotLoadNow(OSError(24, "Too many open files"))

    with monkeypatch.context() as patch:
        patch.setattr(artifact_digests, "find_cached", lacks)
        answer = moved.post(PATH, {"to": 1})
    assert answer.status_code == 503
    assert "Too many open files" in answer.json()["error"]["message"]
    assert registry.production["plans"] == 2


def test_a_rollback_is_told_to_all_who_listen(moved: Service, database_url: str) -> None:
    with connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {ledger.CHANNEL}")
        moved.post(PATH, b"")
        (note,) = listener.notifies(timeout=10, stop_after=1)
    assert '"version" : 1' in note.payload
