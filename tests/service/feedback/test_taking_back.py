"""DELETE /v1/{use_case}/feedback/{id}: who may take which label back, and what it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from configs.api_keys import add_key
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of, truth_of
from tests.service.swap.test_watcher import wait_for
from tests.service.tiny import classes_of

SERVED = ("digits", "plans")

PLANS = USE_CASES["plans"]
FIRST, SECOND = classes_of(PLANS)[:2]


def delete(service: Service, path: str, **headers: str) -> httpx.Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    response: httpx.Response = service.run(service.client.request("DELETE", path, headers=named))
    return response


def label(service: Service, name: str, truth: str = FIRST, **headers: str) -> None:
    items = {"items": [{"record": record_of(PLANS) | {"id": name}, "label": truth_of(PLANS, truth)}]}
    response = service.post("/v1/plans/feedback", items, **headers)
    assert response.status_code == 200, response.text
    assert response.json()["rejected"] == []


def labels(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    return conn.execute("SELECT identity, label FROM feedback ORDER BY identity").fetchall()


def test_the_label_of_a_prediction(service: Service, conn: psycopg.Connection[Any]) -> None:
    (one,) = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    item = {"prediction_id": one["id"], "label": truth_of(PLANS, FIRST)}
    assert service.post("/v1/plans/feedback", {"items": [item]}).json()["accepted"] == 1
    answer = delete(service, f"/v1/plans/feedback/{one['id']}?reason=typo")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["taken_back"], told["left"], told["earlier"]) == (1, 0, [])
    assert (told["labels"][0]["label"], told["labels"][0]["prediction_id"]) == (FIRST, one["id"])
    assert labels(conn) == []
    counted = service.get("/v1/plans/retrain/status").json()["taken_back"]
    assert (counted["labels"], counted["rows"]) == (1, 1)
    assert (counted["last"]["actor"], counted["last"]["reason"]) == ("open", "typo")
    none = service.get("/v1/digits/retrain/status").json()["taken_back"]
    assert none == {"labels": 0, "rows": 0, "last": None}
    assert service.get(f"/v1/trace/{one['id']}").json()["label"] is None
    again = delete(service, f"/v1/plans/feedback/{one['id']}?reason=again")
    assert (again.status_code, again.json()["taken_back"], again.json()["labels"]) == (200, 0, [])
    (before,) = again.json()["earlier"]
    assert (before["label"], before["actor"], before["reason"]) == (FIRST, "open", "typo")
    assert service.post("/v1/plans/feedback", {"items": [item]}).json()["accepted"] == 1, "given anew"


def test_by_the_id_of_a_record_and_by_what_a_row_is_known_by(
    service: Service, conn: psycopg.Connection[Any]
) -> None:
    label(service, "a b")
    assert delete(service, "/v1/plans/feedback/a%20b").json()["taken_back"] == 1
    items = {"items": [{"record": record_of(PLANS), "label": truth_of(PLANS, FIRST)}]}
    service.post("/v1/plans/feedback", items)
    ((identity, _),) = labels(conn)
    assert identity.startswith("h:")
    assert delete(service, f"/v1/plans/feedback/{quote(identity)}").json()["taken_back"] == 1
    assert labels(conn) == []


@pytest.mark.parametrize("name", ["1.0", "cafe\u0301", " 7"])
def test_by_the_id_as_it_was_sent_with_the_label(
    service: Service, conn: psycopg.Connection[Any], name: str
) -> None:
    label(service, name)
    assert delete(service, f"/v1/plans/feedback/{quote(name)}").json()["taken_back"] == 1
    assert labels(conn) == []


@pytest.mark.parametrize("name", ["nobody", "%00", "01a1fe1e-7758-754b-870d-78d48fef5ac1"])
def test_an_unknown_id_is_named(service: Service, conn: psycopg.Connection[Any], name: str) -> None:
    label(service, "1")
    told = error(delete(service, f"/v1/plans/feedback/{name}"), 404, "unknown_label")
    assert told["message"].startswith(
        f"'plans' has no label by the id '{name.replace('%00', chr(0))}'; allowed:"
    )
    assert len(labels(conn)) == 1


def test_what_else_is_refused(service: Service, conn: psycopg.Connection[Any]) -> None:
    label(service, "1")
    told = error(delete(service, f"/v1/plans/feedback/1?reason={'x' * 1001}"), 422, "invalid")
    assert told["message"].startswith("query 'reason': got 'xxx")
    error(delete(service, "/v1/nope/feedback/1"), 404, "unknown_use_case")
    error(service.get("/v1/plans/feedback/1"), 405, "method_not_allowed")
    foreign = delete(service, "/v1/plans/feedback/1", origin="https://page.example")
    error(foreign, 403, "cross_site")
    assert len(labels(conn)) == 1


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Of keys that may send feedback, one that may predict, and one that may do everything."""
    path = tmp_path / "home" / "keys.yaml"
    made = {name: add_key(path, name, ["feedback"]) for name in ("shop", "desk")}
    return made | {"reader": add_key(path, "reader", ["predict"]), "root": add_key(path, "root", ["admin"])}


@pytest.fixture
def guarded(start_service: StartService, registry: FolderRegistry, tokens: dict[str, str]) -> Service:
    """A worker that asks for keys."""
    assert tokens
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    return start_service(RATCHET_USE_CASES="plans")


def test_a_key_takes_back_what_it_said_and_admin_what_anybody_said(
    guarded: Service, tokens: dict[str, str], conn: psycopg.Connection[Any]
) -> None:
    for name, truth in (("shop", FIRST), ("desk", SECOND)):
        label(guarded, "1", truth, x_api_key=tokens[name])
    label(guarded, "2", x_api_key=tokens["shop"])
    error(delete(guarded, "/v1/plans/feedback/1"), 401, "unauthorized")
    error(delete(guarded, "/v1/plans/feedback/1", x_api_key=tokens["reader"]), 403, "forbidden")
    told = error(delete(guarded, "/v1/plans/feedback/2", x_api_key=tokens["desk"]), 404, "unknown_label")
    assert "of key 'desk', which may take back what it said itself" in told["message"]
    own = delete(guarded, "/v1/plans/feedback/1", x_api_key=tokens["desk"]).json()
    assert ([one["said_by"] for one in own["labels"]], own["left"]) == (["desk"], 1)
    assert labels(conn) == [("i:1", FIRST), ("i:2", FIRST)]
    anybody = delete(guarded, "/v1/plans/feedback/2", x_api_key=tokens["root"]).json()
    assert [one["said_by"] for one in anybody["labels"]] == ["shop"]
    assert conn.execute("SELECT actor FROM label_taken_back ORDER BY id").fetchall() == [("desk",), ("root",)]


def test_nothing_is_acknowledged_while_the_database_is_away(
    service: Service, conn: psycopg.Connection[Any]
) -> None:
    label(service, "1")
    conn.execute("ALTER TABLE label_taken_back RENAME TO away")
    conn.commit()
    answer = delete(service, "/v1/plans/feedback/1")
    conn.execute("ALTER TABLE away RENAME TO label_taken_back")
    conn.commit()
    assert answer.status_code >= 500
    assert len(labels(conn)) == 1
    wait_for(lambda: delete(service, "/v1/plans/feedback/1").status_code == 200)
