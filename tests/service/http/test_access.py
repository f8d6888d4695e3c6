"""Who gets in: keys, scopes, and pages of other sites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.api_keys import KeyScope, add_key, remove_key
from service.http.access import scope_needed
from service.http.key_ring import LOOK_SECONDS
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.swap.test_watcher import wait_for

SERVED = ("plans",)

PLANS = USE_CASES["plans"]
BODY = {"records": [record_of(PLANS)]}
SITE = "https://page.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a service started here keeps its keys."""
    return tmp_path / "home" / "keys.yaml"


@pytest.fixture
def guarded(start_service: StartService, registry: FolderRegistry, path: Path) -> Service:
    """A worker that asks for keys, with one use case."""
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    add_key(path, "root", ["admin"])
    return start_service(RATCHET_USE_CASES="plans")


def key(service: Service, path: Path, *scopes: KeyScope) -> str:
    """A new key, once the worker knows it."""
    token = add_key(path, "-".join(scopes), scopes)
    service.worker.keys.look()
    return token


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(
    ("method", "where", "needed"),
    [
        ("GET", "/health", None),
        ("HEAD", "/health", None),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
        ("GET", "/ui", None),
        ("GET", "/ui/page.js", None),
        ("POST", "/ui/page.js", "admin"),
        ("GET", "/metrics", "read"),
        ("GET", "/", "read"),
        ("GET", "/docs.json", "read"),
        ("GET", "/v1/plans/audits", "feedback"),
        ("HEAD", "/v1/plans/audits", "feedback"),
        ("GET", "/v1/plans/quality", "read"),
        ("GET", "/uix", "read"),
        ("GET", "/v1/any/model", "read"),
        ("GET", "/v1/any/predictions/1", "read"),
        ("GET", "/v1/trace/1", "read"),
        ("POST", "/v1/any/predict", "predict"),
        ("POST", "/predict", "predict"),
        ("POST", "/invocations", "predict"),
        ("POST", "/v1/any/invocations", "predict"),
        ("POST", "/v2/models/any/infer", "predict"),
        ("POST", "/v2/models/any/versions/1/infer", "predict"),
        ("POST", "/v2/models/any/load", "admin"),
        ("POST", "/v2/repository/index", "read"),
        ("GET", "/v2/health/ready", None),
        ("GET", "/v2/models/any/ready", "read"),
        ("POST", "/v1/any/predictions", "predict"),
        ("POST", "/v1/any/recommend", "predict"),
        ("POST", "/v1/any/feedback", "feedback"),
        ("POST", "/v1/any/train", "train"),
        ("POST", "/v1/any/retrain", "train"),
        ("POST", "/v1/any/retrain/stop", "train"),
        ("GET", "/v1/any/quarantine", "read"),
        ("GET", "/v1/any/replays", "read"),
        ("GET", "/v1/any/replays/0123456789abcdef", "read"),
        ("POST", "/v1/any/quarantine/retry", "feedback"),
        ("POST", "/v1/any/rollback", "admin"),
        ("POST", "/v1/any/added/later", "admin"),
        ("PUT", "/new", "admin"),
        ("POST", "", "admin"),
        ("POST", "v1/any/predict", "admin"),
        ("POST", "//v1/any/predict", "admin"),
        ("POST", "/v1/any/more/predict", "admin"),
        ("POST", "/v1", "admin"),
        ("POST", "/v2/any/predict/x", "admin"),
        ("DELETE", "/v1/any/predict", "predict"),
        ("DELETE", "/v1/any/feedback/1", "feedback"),
        ("DELETE", "/v1/any/feedback/1/2", "admin"),
        ("POST", "/v1/any/feedback/1", "admin"),
    ],
)
def test_what_nobody_has_thought_of_is_closed(method: str, where: str, needed: str | None) -> None:
    assert scope_needed(method, where) == needed


def test_both_headers_carry_a_key(guarded: Service, path: Path) -> None:
    token = key(guarded, path, "predict")
    for headers in (
        {"authorization": f"Bearer {token}"},
        {"authorization": f"bearer  {token}"},
        {"x_api_key": token},
        {"authorization": "Basic abc", "x_api_key": token},
    ):
        assert guarded.post("/v1/plans/predict", BODY, **headers).status_code == 200
    for headers in (
        {},
        {"authorization": token},
        {"authorization": f"Basic {token}"},
        {"x_api_key": token[:-1]},
    ):
        response = guarded.post("/v1/plans/predict", BODY, **headers)
        assert told(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"].startswith('Bearer realm="ratchet"')


def test_a_key_is_for_its_scopes(guarded: Service, path: Path) -> None:
    token = key(guarded, path, "feedback")
    response = guarded.post("/v1/plans/predict", BODY, x_api_key=token)
    assert told(response) == (403, "forbidden")
    error = response.json()["error"]
    assert (
        error["message"] == "POST /v1/plans/predict needs the scope 'predict'; key 'feedback' has: feedback"
    )
    assert error["details"] == {"needs": "predict", "has": ["feedback"]}
    assert 'scope="predict"' in response.headers["www-authenticate"]
    items = {"items": [{"record": record_of(PLANS), "label": "One year"}]}
    assert guarded.post("/v1/plans/feedback", items, x_api_key=token).status_code == 200


def test_labels_beside_records_need_the_scope_of_feedback(guarded: Service, path: Path) -> None:
    labelled = {**BODY, "labels": ["One year"]}
    only, both = key(guarded, path, "predict"), key(guarded, path, "predict", "feedback")
    for where in ("predict", "predictions"):
        assert told(guarded.post(f"/v1/plans/{where}", labelled, x_api_key=only)) == (403, "forbidden")
        assert guarded.post(f"/v1/plans/{where}", labelled, x_api_key=both).status_code in (200, 202)


def test_strangers_do_not_learn_what_is_there(guarded: Service, path: Path) -> None:
    for where in ("/nowhere", "/v1/nope/predict", "/v1/plans/model", "/docs.json", "/metrics2"):
        assert told(guarded.get(where)) == (401, "unauthorized")
    for where in ("/health", "/livez"):
        assert guarded.get(where).status_code == 200
    assert told(guarded.get("/livez", "POST")) == (401, "unauthorized")
    token = key(guarded, path, "read")
    assert told(guarded.post("/v1/nope/predict", {}, x_api_key=token)) == (404, "unknown_use_case")
    assert told(guarded.post("/nowhere", {}, x_api_key=token)) == (404, "not_found")
    assert told(guarded.post("/v1/plans/model", {}, x_api_key=token)) == (405, "method_not_allowed")


def test_a_key_is_revoked_without_a_restart(guarded: Service, path: Path) -> None:
    token = key(guarded, path, "read")
    assert guarded.post("/v1/plans/predict", BODY, x_api_key=token).status_code == 403
    remove_key(path, "read")
    wait_for(
        lambda: guarded.post("/v1/plans/predict", BODY, x_api_key=token).status_code == 401, 5 * LOOK_SECONDS
    )


def test_without_keys_on_loopback_nobody_is_asked(service: Service) -> None:
    assert service.post("/v1/plans/predict", BODY).status_code == 200
    assert service.post("/v1/plans/predict", BODY, x_api_key="anything").status_code == 200


def test_elsewhere_without_keys_nobody_gets_in(start_service: StartService) -> None:
    open_to_others = start_service(RATCHET_HOST="0.0.0.0", RATCHET_USE_CASES="plans")
    assert told(open_to_others.get("/v1/plans/model")) == (401, "unauthorized")
    assert open_to_others.get("/health").status_code == 200


@pytest.fixture
def crossing(start_service: StartService, registry: FolderRegistry) -> Service:
    """A worker that pages of another site may call."""
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    return start_service(RATCHET_USE_CASES="plans", RATCHET_ALLOWED_ORIGINS=SITE)


def test_pages_of_other_sites_are_refused_by_default(service: Service) -> None:
    response = service.post("/v1/plans/predict", BODY, origin=SITE)
    assert told(response) == (403, "cross_site")
    assert "access-control-allow-origin" not in response.headers
    response = service.get("/v1/plans/model", "OPTIONS")
    assert told(response) == (405, "method_not_allowed")


def test_pages_of_allowed_sites_may_call_and_read(crossing: Service) -> None:
    response = crossing.post("/v1/plans/predict", BODY, origin=SITE)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == SITE
    assert response.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in response.headers
    refused = crossing.post("/v1/plans/predict", {"records": []}, origin=SITE)
    assert refused.status_code == 422
    assert refused.headers["access-control-allow-origin"] == SITE
    for origin in ("https://evil.example", "https://page.example.evil", "http://page.example", "null"):
        response = crossing.post("/v1/plans/predict", BODY, origin=origin)
        assert told(response) == (403, "cross_site")
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "origin"
    assert crossing.post("/v1/plans/predict", BODY, origin="http://localhost").status_code == 200


def test_browsers_are_told_beforehand(crossing: Service) -> None:
    def ask(origin: str) -> Any:
        call = crossing.client.options(
            "/v1/plans/predict", headers={"origin": origin, "access-control-request-method": "POST"}
        )
        return crossing.run(call)

    answer = ask(SITE)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SITE
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    refused = ask("https://evil.example")
    assert told(refused) == (403, "cross_site")
    assert "access-control-allow-origin" not in refused.headers


def test_browsers_ask_without_a_key(start_service: StartService, path: Path) -> None:
    add_key(path, "root", ["admin"])
    both = start_service(RATCHET_USE_CASES="plans", RATCHET_ALLOWED_ORIGINS=SITE)
    headers = {"origin": SITE, "access-control-request-method": "POST"}
    answer = both.run(both.client.options("/v1/plans/predict", headers=headers))
    assert answer.status_code == 204
    refused = both.post("/v1/plans/predict", BODY, origin=SITE)
    assert told(refused) == (401, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == SITE
