"""A promotion reaches every server; one that a network has lost goes on, says so, and catches up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.replicas.fleet import ReplicaServer
from tests.e2e.replicas.installation import Fleet
from tests.e2e.replicas.networks import DATABASE, MLFLOW

pytestmark = pytest.mark.slow
REACHES_WITHIN = NOTICED_WITHIN = CAUGHT_UP_WITHIN = 60.0
"""On a machine that does much else; `python -m benchmarks.replicas` says how long it takes."""
log = logging.getLogger(__name__)


def seconds_until(holds: Callable[[], bool], limit: float, server: ReplicaServer) -> float:
    """How long it takes."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < limit, server.say("it did not happen in time")
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def lost(fleet: Fleet, server: ReplicaServer, *others: str) -> Iterator[None]:
    """Without packets between them."""
    for other in others:
        fleet.network.lose(server.place, other)
    try:
        yield
    finally:
        for other in others:
            fleet.network.find(server.place, other)


def feedback(server: ReplicaServer, prediction: str) -> httpx.Response:
    items = [{"prediction_id": prediction, "label": "7"}]
    return server.client.post("/v1/digits/feedback", json={"items": items})


def stored(fleet: Fleet, ids: list[str]) -> int:
    with psycopg.connect(fleet.url) as conn:
        row = conn.execute("SELECT count(*) FROM prediction WHERE id::text = ANY(%s)", (ids,)).fetchone()
    assert row is not None
    return int(row[0])


def serves(server: ReplicaServer, version: int) -> bool:
    return server.version() == version


def sessions(fleet: Fleet, server: ReplicaServer) -> int:
    """How many PostgreSQL has of a server."""
    with psycopg.connect(fleet.url) as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s::inet", (server.address,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def error_code(response: httpx.Response) -> Any:
    return response.json()["error"]["code"]


def replicas(server: ReplicaServer) -> dict[str, Any]:
    """What one says of all, by address; none while it knows nothing of them."""
    return {one["address"]: one for one in server.health()["replicas"] or []}


def test_a_promotion_is_served_by_both_and_each_tells_of_both(fleet: Fleet) -> None:
    one, other = fleet.servers
    version = fleet.promote_next()
    for server in fleet.servers:
        took = seconds_until(partial(serves, server, version), REACHES_WITHIN, server)
        log.info("%s served it after %.2f s", server.address, took)

    def told() -> bool:
        seen = replicas(one)
        return {f"{server.address}:3000" for server in fleet.servers} == seen.keys() and all(
            seen[address]["serving"]["digits"]["versions"] == [version] for address in seen
        )

    seconds_until(told, NOTICED_WITHIN, one)
    seconds_until(lambda: replicas(one).keys() == replicas(other).keys(), NOTICED_WITHIN, other)
    assert {entry["state"] for entry in replicas(one).values()} == {"serving"}
    assert one.health()["server"]["cut_off"] is None
    assert one.metric("ratchet_cut_off") == 0


def test_one_that_has_lost_the_database_goes_on_says_so_and_catches_up(fleet: Fleet) -> None:
    one, other = fleet.servers
    before = one.version()
    with lost(fleet, one, DATABASE):
        ids = [one.answer()["predictions"][0]["id"]]
        version = fleet.promote_next()
        seconds_until(lambda: other.version() == version, REACHES_WITHIN, other)
        noticed = seconds_until(lambda: one.health()["server"]["cut_off"] is not None, NOTICED_WITHIN, one)
        told = one.health()
        assert told["status"] == "degraded"
        assert not told["dependencies"]["database"]["ok"]
        assert "cut off since" in told["dependencies"]["database"]["error"]
        assert one.metric("ratchet_cut_off") == 1
        silent = seconds_until(
            lambda: replicas(other)[f"{one.address}:3000"]["state"] == "silent", NOTICED_WITHIN, other
        )
        refused = feedback(one, ids[0])
        assert (refused.status_code, error_code(refused)) == (503, "database_away")
        elsewhere = feedback(other, ids[0])
        assert (elsewhere.status_code, error_code(elsewhere)) == (503, "prediction_elsewhere")
        assert one.client.get("/readyz").status_code == 200
        for _ in range(200):
            answer = one.answer()
            assert answer["model"]["version"] == before
            ids.append(answer["predictions"][0]["id"])
        assert sessions(fleet, one) == 0, "the server keeps the sessions, and what they lock"
        assert stored(fleet, ids) == 0
    caught_up = seconds_until(lambda: one.version() == version, CAUGHT_UP_WITHIN, one)
    moved = seconds_until(lambda: stored(fleet, ids) == len(ids), CAUGHT_UP_WITHIN, one)
    seconds_until(lambda: one.health()["server"]["cut_off"] is None, CAUGHT_UP_WITHIN, one)
    seconds_until(
        lambda: replicas(other)[f"{one.address}:3000"]["state"] == "serving", CAUGHT_UP_WITHIN, other
    )
    assert feedback(one, ids[0]).json()["accepted"] == 1
    assert feedback(other, ids[1]).json()["accepted"] == 1
    log.info(
        "cut off: noticed after %.1f s, silent to the other after %.1f s; back: followed the promotion after "
        "%.1f s, log stored after %.1f s",
        noticed,
        noticed + silent,
        caught_up,
        caught_up + moved,
    )


def test_one_that_has_lost_mlflow_goes_on_and_catches_up(fleet: Fleet) -> None:
    one, other = fleet.servers
    before = one.version()
    with lost(fleet, one, MLFLOW):
        version = fleet.promote_next()
        seconds_until(lambda: other.version() == version, REACHES_WITHIN, other)
        seconds_until(lambda: not one.health()["dependencies"]["mlflow"]["ok"], NOTICED_WITHIN, one)
        answer = one.answer()
        assert answer["model"]["version"] == before
        assert feedback(one, answer["predictions"][0]["id"]).json()["accepted"] == 1
        assert one.health()["server"]["cut_off"] is None
    caught_up = seconds_until(lambda: one.version() == version, CAUGHT_UP_WITHIN, one)
    log.info("back: followed the promotion after %.1f s", caught_up)


def test_one_that_starts_without_both_serves_what_it_did_and_catches_up(fleet: Fleet) -> None:
    one, other = fleet.servers
    before = one.version()
    one.stop()
    with lost(fleet, one, DATABASE, MLFLOW):
        again = fleet.start(0)
        again.wait_until_ready()
        ids = [again.answer()["predictions"][0]["id"] for _ in range(10)]
        assert again.version() == before
        version = fleet.promote_next()
        seconds_until(lambda: other.version() == version, REACHES_WITHIN, other)
        assert again.version() == before
    caught_up = seconds_until(lambda: again.version() == version, CAUGHT_UP_WITHIN, again)
    seconds_until(lambda: stored(fleet, ids) == len(ids), CAUGHT_UP_WITHIN, again)
    log.info("back: followed the promotion after %.1f s", caught_up)
