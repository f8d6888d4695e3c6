"""The demonstration's claims: each is met by what should be seen, and by nothing less."""

from __future__ import annotations

import signal
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.together.bucket import Kept
from benchmarks.together.challengers import largest_difference
from benchmarks.together.claims import judge
from benchmarks.together.course import Seen
from benchmarks.together.rows import POOL
from benchmarks.together.sessions import Sessions
from benchmarks.together.turns import Here, Turn
from tests.e2e.replicas.calls import Calls
from tests.ports import closed_port

DATABASES = ("ratchet", "ratchet_mlflow", "ratchet_prefect")


def answers(value: float = 0.25) -> dict[str, Any]:
    return {name: np.full((3, 2), value) for name in POOL}


def turn(number: int) -> Turn:
    result = {"outcome": "promoted", "snapshot": f"rows {number}", "failures": {}}
    models = {name: f"m-{number}-{name}" for name in POOL}
    run: Any = SimpleNamespace(seconds=1.0)
    return Turn(run, result, 2.0, True, models, answers(), 0.0)


def all_well() -> Seen:
    sessions = Sessions("unused")
    sessions.most = {(name, "10.0.0.1", True, "TLSv1.3"): 2 for name in DATABASES}
    seen = Seen(turn(0), sessions=sessions, sent=900, failed=0, exit_code=-signal.SIGKILL)
    seen.turns, seen.here = [turn(1), turn(2)], [Here(f"rows {one}", answers(), 1.0) for one in (1, 2)]
    seen.killed = SimpleNamespace(had=2)  # type: ignore[assignment]
    seen.reached = [{f"server {one}, first": 0.1, f"server {one}, last before": 0.2} for one in (1, 2, 1, 2)]
    seen.served_differ, seen.plain, seen.stranger = [1e-9, 1e-9], "no", "no"
    models = [model for one in (seen.first, *seen.turns) for model in one.models.values()]
    names = [f"team/mlflow/1/models/{one}/artifacts/data/ratchet/manifest.json" for one in models]
    for number in range(3):
        names += [
            f"team/history/grains/t/_delta_log/{number}.json",
            f"team/history/grains/t/{number}.parquet",
        ]
    seen.kept = Kept(tuple(names), {})
    return seen


def test_what_should_be_seen_meets_every_claim() -> None:
    claims = judge(all_well(), [])
    assert [one.claim for one in claims if not one.met] == []
    assert len({one.claim for one in claims}) == len(claims)


def lose_an_answer(seen: Seen) -> None:
    seen.turns[1].answers["line"][1, 0] += 1e-12


def lose_a_challenger(seen: Seen) -> None:
    del seen.turns[0].models["line"]


def serve_late(seen: Seen) -> None:
    seen.reached[3]["server 2, last before"] = 2.01


def follow_once(seen: Seen) -> None:
    del seen.reached[2:]


def take_other_rows(seen: Seen) -> None:
    seen.turns[0].result["snapshot"] = "others"


def promote_nothing(seen: Seen) -> None:
    seen.turns[1].result["outcome"] = "rejected"


def connect_plainly(seen: Seen) -> None:
    assert seen.sessions is not None
    seen.sessions.most["ratchet_prefect", "10.0.0.1", False, ""] = 1


def miss_a_database(seen: Seen) -> None:
    assert seen.sessions is not None
    del seen.sessions.most["ratchet_mlflow", "10.0.0.1", True, "TLSv1.3"]


def lose_a_model(seen: Seen) -> None:
    assert seen.kept is not None
    seen.kept = Kept(seen.kept.names[1:], {})


def keep_in_a_home(seen: Seen) -> None:
    seen.in_homes = ["homes/second/history"]


BREAKS: tuple[tuple[Callable[[Seen], None], str], ...] = (
    (lose_an_answer, "retrain, Dask worker killed: largest difference of an answer from without Dask"),
    (lose_a_challenger, "retrain: challengers made"),
    (serve_late, "promotion 2: server 2, last before"),
    (follow_once, "promotions followed by both servers"),
    (take_other_rows, "retrain: rows of the snapshot"),
    (promote_nothing, "retrain, Dask worker killed: outcome"),
    (connect_plainly, "sessions of Prefect at once, with and without TLS"),
    (miss_a_database, "sessions of MLflow at once, with and without TLS"),
    (lose_a_model, "models of challengers in the bucket"),
    (keep_in_a_home, "the same in folders of homes"),
    (lambda seen: setattr(seen, "failed", 1), "requests failed, of all sent"),
    (lambda seen: setattr(seen, "sent", 0), "requests failed, of all sent"),
    (lambda seen: setattr(seen, "plain", None), "without TLS"),
    (lambda seen: setattr(seen, "stranger", None), "certificate of another authority"),
    (
        lambda seen: setattr(seen, "exit_code", 0),
        "Dask worker killed: challengers that it had in hand, exit code",
    ),
)


@pytest.mark.parametrize(("spoil", "claim"), BREAKS)
def test_what_is_amiss_fails_its_claim(spoil: Callable[[Seen], None], claim: str) -> None:
    seen = all_well()
    spoil(seen)
    assert claim in [one.claim for one in judge(seen, []) if not one.met]


def test_what_is_left_behind_is_told() -> None:
    failed = [one for one in judge(all_well(), ["namespace rt1s1"]) if not one.met]
    assert [one.seen for one in failed] == ["namespace rt1s1"]


def test_answers_of_other_challengers_are_no_answers() -> None:
    one = answers()
    assert largest_difference(one, answers(0.5)) == 0.25
    assert largest_difference(one, {name: one[name] for name in POOL[1:]}) == float("inf")


class Fickle(BaseHTTPRequestHandler):
    """Answers by version 1 and then 2, and fails once between."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"model": {"version": %d}}' % (1 if self.asked < 5 else 2)
        self.send_response(503 if self.asked == 5 else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def test_callers_count_every_request_and_note_when_versions_answer() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Fickle) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        urls = {
            "there": f"http://127.0.0.1:{server.server_port}",
            "gone": f"http://127.0.0.1:{closed_port()}",
        }
        with Calls(urls, "/", {}, {}, "127.0.0.1", each=1) as calls:
            while Fickle.asked < 9:
                pass
        server.shutdown()
        thread.join()
    assert calls.answers["there"]["503"] == 1
    assert set(calls.answers["gone"]) == {"ConnectError"}
    assert calls.failed == 1 + calls.answers["gone"].total()
    assert calls.sent == calls.failed + calls.answers["there"]["200"]
    assert calls.first["there", 1] < calls.last["there", 1] < calls.first["there", 2]
