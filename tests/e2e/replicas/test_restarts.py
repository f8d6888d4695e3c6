"""Servers are restarted in turn under load, and no request fails; one that is killed loses nothing."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from features.records.example import example_record
from tests.e2e.replicas.balancing import balanced
from tests.e2e.replicas.calls import Calls
from tests.e2e.replicas.fleet import DIGITS, ReplicaServer
from tests.e2e.replicas.installation import Fleet
from tests.e2e.replicas.test_cut_off import CAUGHT_UP_WITHIN, NOTICED_WITHIN, replicas, seconds_until, stored

pytestmark = pytest.mark.slow
DRAIN = "3"
ENDLESS = "3600"
"""Seconds to drain that no test waits for."""
log = logging.getLogger(__name__)
RECORD = example_record(DIGITS.record)


def restart(fleet: Fleet, number: int, **environ: str) -> ReplicaServer:
    """End a server well and start it again."""
    fleet.servers[number].stop()
    started = fleet.start(number, **environ)
    started.wait_until_ready()
    return started


def rows(fleet: Fleet, server: ReplicaServer) -> int:
    with psycopg.connect(fleet.url) as conn:
        row = conn.execute(
            "SELECT count(*) FROM service_process WHERE address = %s", (f"{server.address}:3000",)
        ).fetchone()
    assert row is not None
    return int(row[0])


def state_of(server: ReplicaServer, other: ReplicaServer) -> str | None:
    """What another server says that one is doing."""
    state: str | None = replicas(other).get(f"{server.address}:3000", {}).get("state")
    return state


@pytest.fixture(scope="module")
def draining(fleet: Fleet) -> Fleet:
    """The two, told to drain for some seconds."""
    for number in range(2):
        restart(fleet, number, RATCHET_DRAIN_SECONDS=DRAIN)
    return fleet


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no HAProxy (Debian: haproxy)")
def test_a_rolling_restart_fails_no_request(draining: Fleet, tmp_path: Path) -> None:
    fleet = draining
    headers, body = {"Authorization": f"Bearer {fleet.keys.token}"}, {"records": [RECORD]}
    with (
        balanced(tmp_path, fleet.servers) as url,
        Calls({"all": url}, "/v1/digits/predict", headers, body, each=8, rest=0.01) as calls,
    ):
        time.sleep(2)
        for number in (0, 1):
            old = fleet.servers[number]
            took = old.stop()
            assert took >= int(DRAIN)
            assert list((old.home / "journal").rglob("*.log")) == []
            assert rows(fleet, old) == 0
            fleet.start(number, RATCHET_DRAIN_SECONDS=DRAIN).wait_until_ready()
            before = calls.told["200"]
            time.sleep(2)
            assert calls.told["200"] > before
    log.info("answers during a rolling restart of both: %s", dict(calls.told))
    assert set(calls.told) == {"200"}, calls.told
    assert calls.told["200"] > 200


def test_one_that_drains_is_not_ready_answers_on_and_says_that_connections_end(draining: Fleet) -> None:
    server, other = restart(draining, 0, RATCHET_DRAIN_SECONDS=ENDLESS), draining.servers[1]
    assert server.client.get("/readyz").status_code == 200
    server.process.send_signal(signal.SIGTERM)
    seconds_until(lambda: server.client.get("/readyz").status_code == 503, NOTICED_WITHIN, server)
    answer = server.client.post("/v1/digits/predict", json={"records": [RECORD]})
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/v2/health/ready").status_code == 503
    seconds_until(lambda: state_of(server, other) == "draining", NOTICED_WITHIN, other)
    server.process.send_signal(signal.SIGTERM)  # the second: at once, of all that drain
    assert server.process.wait(NOTICED_WITHIN) == 0
    draining.start(0, RATCHET_DRAIN_SECONDS=DRAIN).wait_until_ready()


@pytest.mark.parametrize("after", [0.1, 0.6, 1.2, 2.0])
def test_one_that_is_told_to_end_while_it_starts_is_gone_soon(draining: Fleet, after: float) -> None:
    draining.servers[0].stop()
    server = draining.start(0, RATCHET_DRAIN_SECONDS="60")
    time.sleep(after)
    family = [
        psutil.Process(server.process.pid),
        *psutil.Process(server.process.pid).children(recursive=True),
    ]
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(10)
    except subprocess.TimeoutExpired:  # it serves already, and drains
        server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == [], server.say("it lives on")
    draining.start(0, RATCHET_DRAIN_SECONDS=DRAIN).wait_until_ready()


def test_one_that_is_killed_loses_no_prediction_and_is_seen_to_be_silent(draining: Fleet) -> None:
    server, other = draining.servers
    ids = [server.answer()["predictions"][0]["id"] for _ in range(50)]
    server.kill()
    seconds_until(lambda: state_of(server, other) == "silent", NOTICED_WITHIN, other)
    with pytest.raises(httpx.HTTPError):
        server.client.get("/livez")
    again = draining.start(0, RATCHET_DRAIN_SECONDS=DRAIN)
    again.wait_until_ready()
    seconds_until(lambda: stored(draining, ids) == len(ids), CAUGHT_UP_WITHIN, again)
    seconds_until(lambda: rows(draining, again) == 1, CAUGHT_UP_WITHIN, again)
