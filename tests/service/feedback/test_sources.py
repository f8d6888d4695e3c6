"""Whose label it is: the key's that sent it, by whatever route; what an item names stands behind the key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.api_keys import add_key
from store.database.connection import connect
from store.ingest.retrying import retry_rows
from store.sources.holding import tell_source
from tests.service.conftest import USE_CASES, record_of, truth_of
from tests.service.servers import Server, put_in_cache
from tests.service.tiny import classes_of

PLANS = USE_CASES["plans"]
FIRST, SECOND = classes_of(PLANS)[:2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sources") / "home"
    put_in_cache(made, PLANS, 1, serving=1)
    return made


@pytest.fixture(scope="module")
def tokens(home: Path) -> dict[str, str]:
    return {name: add_key(home / "keys.yaml", name, ["admin"]) for name in ("shop", "desk", "mallory")}


@pytest.fixture(scope="module")
def server(home: Path, module_database_url: str, tokens: dict[str, str]) -> Iterator[Server]:
    assert tokens
    with Server(home, module_database_url, RATCHET_USE_CASES="plans") as running:
        yield running


@pytest.fixture
def house(module_database_url: str, server: Server) -> Iterator[psycopg.Connection[Any]]:
    assert server
    with connect(module_database_url, autocommit=True) as conn:
        yield conn


def post(server: Server, token: str, route: str, body: Any) -> Any:
    response = server.client.post(f"/v1/plans/{route}", json=body, headers={"x-api-key": token})
    assert response.status_code in (200, 202), response.text
    return response.json()


def item(name: str, label: str, **more: Any) -> dict[str, Any]:
    return {"record": record_of(PLANS) | {"id": name}, "label": truth_of(PLANS, label), **more}


def said(conn: psycopg.Connection[Any], identity: str) -> list[tuple[str, str]]:
    """What stands, then the votes."""
    stands = conn.execute("SELECT said_by, label FROM feedback WHERE identity = %s", (identity,)).fetchall()
    votes = "SELECT said_by, label FROM feedback_vote WHERE identity = %s ORDER BY said_by"
    return [*stands, *conn.execute(votes, (identity,)).fetchall()]


def test_each_key_has_one_label_and_most_decide(
    server: Server, tokens: dict[str, str], house: psycopg.Connection[Any]
) -> None:
    for name, label in (("shop", FIRST), ("desk", FIRST)):
        post(server, tokens[name], "feedback", {"items": [item("1", label)]})
    answer = post(server, tokens["mallory"], "feedback", {"items": [item("1", SECOND)]})
    assert (answer["accepted"], answer["outvoted"]) == (0, 1)
    stands, *votes = said(house, "i:1")
    assert stands == ("desk", FIRST)
    assert votes == [("desk", FIRST), ("mallory", SECOND), ("shop", FIRST)]


def test_an_item_names_a_source_behind_its_key(
    server: Server, tokens: dict[str, str], house: psycopg.Connection[Any]
) -> None:
    items = [item("2", SECOND, source=name) for name in ("ann", " bob ", "shop")]
    answer = post(server, tokens["mallory"], "feedback", {"items": items})
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (1, 2, [])
    post(server, tokens["shop"], "feedback", {"items": [item("2", FIRST)]})
    assert [who for who, _ in said(house, "i:2")[1:]] == [
        "mallory/ann",
        "mallory/bob",
        "mallory/shop",
        "shop",
    ]
    assert said(house, "i:2")[0] == ("shop", FIRST), "three names have the one voice of their key"
    for name in ("x" * 65, "a\nb", ["ann"]):
        (told,) = post(server, tokens["shop"], "feedback", {"items": [item("9", FIRST, source=name)]})[
            "rejected"
        ]
        assert told["reason"].startswith("source: got ")
        assert "allowed: a name of 1 to 64 printable characters" in told["reason"]


def test_of_one_request_two_sources_do_not_contradict_each_other_and_one_does(
    server: Server, tokens: dict[str, str]
) -> None:
    items = [item("3", FIRST, source="ann"), item("3", SECOND, source="bob"), item("3", SECOND, source="ann")]
    answer = post(server, tokens["shop"], "feedback", {"items": items})
    assert answer["rejected"] == [{"index": 2, "reason": "contradicts item 0 of the same request"}]


@pytest.mark.parametrize("route", ["predict", "predictions", "train"])
def test_labels_by_every_route_are_the_callers(
    server: Server, tokens: dict[str, str], house: psycopg.Connection[Any], route: str
) -> None:
    name = f"by-{route}"
    body: dict[str, Any] = {"items": [item(name, FIRST)]}
    if route != "train":
        body = {"records": [record_of(PLANS) | {"id": name}], "labels": [truth_of(PLANS, FIRST)]}
    post(server, tokens["desk"], route, body)
    until = time.monotonic() + 20
    query = "SELECT said_by FROM feedback WHERE record_id = %s OR identity = %s"
    while not (rows := house.execute(query, (name, f"i:{name}")).fetchall()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)
    assert rows == [("desk",)]


def test_an_item_that_was_refused_is_its_keys_when_it_is_tried_again(
    server: Server, tokens: dict[str, str], house: psycopg.Connection[Any], module_database_url: str
) -> None:
    post(server, tokens["desk"], "feedback", {"items": [item("5", FIRST, source="ann") | {"label": "none"}]})
    house.execute(
        """UPDATE quarantine SET "row" = jsonb_set("row", '{label}', to_jsonb(%s::text))""", (FIRST,)
    )
    with connect(module_database_url) as conn:
        assert retry_rows(conn, PLANS).new >= 1
    assert said(house, "i:5") == [("desk/ann", FIRST)]


def test_the_status_shows_sources(server: Server, tokens: dict[str, str], module_database_url: str) -> None:
    for name in ("shop", "mallory"):
        post(server, tokens[name], "feedback", {"items": [item("7", FIRST)]})
    with connect(module_database_url) as conn:
        tell_source(conn, PLANS, "mallory", "hold", "ann")
    status = server.client.get("/v1/plans/retrain/status", headers={"x-api-key": tokens["shop"]}).json()
    sources = {one["name"]: one for one in status["sources"]["sources"]}
    assert sources["mallory"]["held"] is True
    assert sources["mallory"]["told"] == "hold"
    assert sources["shop"]["held"] is False
    assert "source 'mallory' is held back: ann said so" in status["sources"]["warning"]
