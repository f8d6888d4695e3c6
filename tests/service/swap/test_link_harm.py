"""A version behind a link that hangs, or kills workers: it is blamed, and not the version that serves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from configs.schema import CanaryConfig, UseCase
from configs.settings import CHECKOUT
from models.canary.moves import begin_canary
from models.chain.keyword_classifier import KeywordClassifier
from service.watchdog import hang_watch
from service.watchdog.activity import ANSWERING
from service.watchdog.troubles import HANG, Trouble
from tests.service.conftest import FolderRegistry, Service
from tests.service.jobs.test_intake import answer, submit
from tests.service.swap.test_chain import ALWAYS, NEVER, WORDS, StartChained, ask, links, second, told
from tests.service.swap.test_chain import start_chained as start_chained
from tests.service.swap.test_watcher import promote, wait_for

BODY = {"records": [{"text": "tea"}]}
OTHER = {"name": "other", "use_case": "teas", "confidence": ALWAYS}
Hang = Callable[[Service, str], None]

CRASHING = """
import ctypes, faulthandler, sys
from pathlib import Path
from service.swap.links import LinkModel
from service.watchdog.activity import ANSWERING, ActivityMarks

class Crashes:
    def predict(self, columns):
        ctypes.string_at(0)

marks = ActivityMarks(Path(sys.argv[1]), ["wishes"])
faulthandler.enable(marks.crash_path.open("w"))
marks.begin(ANSWERING, "wishes", 2)
LinkModel(Crashes(), "wishes", 1, marks).answer({})
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is found after fractions of a second."""
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)


@pytest.fixture
def hang() -> Iterator[Hang]:
    """Has the version behind a link hang until the end of the test."""
    leave = threading.Event()

    def begin(service: Service, link: str) -> None:
        def run(x: Any) -> Any:
            leave.wait(60)
            return np.zeros((len(x), 2), np.float32)

        slot = service.worker.slots["wishes"]
        behind = slot.serving() if link == "trained" else service.worker.chains["wishes"]._versions[link]
        assert behind.predictor is not None
        behind.predictor._runner = run
        for pipeline in (slot.answering, None if slot.canary is None else slot.canary.pipeline):
            if pipeline is not None:
                pipeline.batcher._row_seconds = 1.0  # answered in a thread, as what takes long is

    yield begin
    leave.set()


def several(service: Service, callers: int = 6) -> list[httpx.Response]:
    """Answers to requests that come at once."""
    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(lambda _: service.post("/v1/wishes/predict", BODY), range(callers)))


def state(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/health").json()["use_cases"]["wishes"]
    return found


def assert_told(answers: list[httpx.Response], version: str) -> None:
    """That they waited for a version that hangs, which is named."""
    assert {one.status_code for one in answers} == {503}
    error = answers[0].json()["error"]
    assert (error["code"], f"{version} hangs" in error["message"]) == ("model_hangs", True)
    assert answers[0].headers["retry-after"] == "1"


def test_a_link_that_hangs_is_refused_and_production_goes_on(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection, hang: Hang
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), WORDS, versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    hang(service, "second")
    assert_told(several(service), "version 1 of 'wishes'")
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    model, (soup, tea) = ask(service, wishes, "soup", "tea")
    assert (model["version"], soup["source"], tea["source"]) == (2, "words", "none")
    assert set(soup["scores"]) == {"cold", "hot"}, "production is asked"
    assert "it hangs: answering by it took more than" in told(service)["second"]["problem"]
    service.worker.watcher._poll_seconds = 0.05
    time.sleep(0.5)
    assert links(service) == {"trained": ("ready", 2), "second": ("refused", 1), "words": ("ready", None)}
    assert (state(service)["state"], list(state(service)["refused"])) == ("serving", ["1"])
    events = service.get("/v1/wishes/ledger?limit=10").json()["entries"]
    assert [one["to_version"] for one in events if one["event"] == "refused"] == [1]
    registry.add(wishes, 3)
    registry.set_alias("wishes", "previous", 3)
    wait_for(lambda: links(service)["second"] == ("ready", 3))
    registry.set_alias("wishes", "previous", 1)
    wait_for(lambda: "it hangs" in told(service)["second"].get("problem", ""))
    assert links(service)["second"] == ("ready", 3), "as where a version does not load"
    promote(conn, registry, 1, "wishes")
    wait_for(lambda: links(service) == {
        "trained": ("ready", 1), "second": ("ready", 1), "words": ("ready", None)
    })  # fmt: skip


def start_before_last(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection
) -> tuple[Service, UseCase]:
    """Version 2 serves, and the version before it stands behind the second link."""
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1])
    registry.add(wishes, 2)
    registry.set_alias("wishes", "previous", 1)
    promote(conn, registry, 2, "wishes")
    wait_for(lambda: links(service) == {"trained": ("ready", 2), "second": ("ready", 1)})
    return service, wishes


def test_production_does_not_go_back_to_a_version_that_hung_as_a_link(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection, hang: Hang
) -> None:
    service, _ = start_before_last(start_chained, registry, conn)
    slot = service.worker.slots["wishes"]
    assert slot.previous is not None
    hang(service, "second")
    assert_told(several(service), "version 1 of 'wishes'")
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    assert slot.previous is None
    service.worker.troubles.add(Trouble("wishes", 2, HANG, "answering", time.time(), "it hangs too"))
    wait_for(lambda: set(state(service)["refused"]) == {"1", "2"})
    assert state(service)["version"] == 2, "as nothing better is left"


def test_production_that_hangs_at_the_head_of_a_chain_is_given_up_itself(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection, hang: Hang
) -> None:
    service, wishes = start_before_last(start_chained, registry, conn)
    hang(service, "trained")
    stuck = service.worker.slots["wishes"].serving().pipeline
    batcher = stuck.batcher
    assert_told(several(service), "version 2 of 'wishes'")
    wait_for(lambda: links(service) == {"trained": ("ready", 1), "second": ("ready", 1)})
    assert ask(service, wishes, "tea")[0]["version"] == 1
    assert stuck.batcher is batcher, "what was read for it is not run by it"


def test_what_answers_while_no_version_serves_goes_on_without_a_link_that_hangs(
    start_chained: StartChained, registry: FolderRegistry, hang: Hang
) -> None:
    service, wishes = start_chained(ALWAYS, OTHER, WORDS)
    registry.add(wishes.model_copy(update={"name": "teas"}), 4)
    registry.production["teas"] = 4
    wait_for(lambda: links(service)["other"] == ("ready", 4))
    assert ask(service, wishes, "tea")[1][0]["source"] == "other"
    hang(service, "other")
    assert_told(several(service), "version 4 of 'teas'")
    wait_for(lambda: links(service)["other"] == ("refused", 4))
    assert ask(service, wishes, "soup")[1][0]["source"] == "words"
    assert (state(service)["state"], state(service)["refused"]) == ("standby", {})


def test_callers_are_told_where_nothing_is_left_to_answer(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection, hang: Hang
) -> None:
    service, wishes = start_chained(ALWAYS, OTHER)
    teas = wishes.model_copy(update={"name": "teas"})
    registry.add(teas, 4)
    registry.production["teas"] = 4
    wait_for(lambda: links(service)["other"] == ("ready", 4))
    hang(service, "other")
    assert_told(several(service), "version 4 of 'teas'")
    wait_for(lambda: links(service)["other"] == ("refused", 4))
    assert service.post("/v1/wishes/predict", BODY).json()["error"]["code"] == "untrained"
    promote(conn, registry, 4, "teas")
    wait_for(lambda: links(service)["other"] == ("ready", 4))
    assert ask(service, wishes, "tea")[1][0]["source"] == "other"


def test_callers_are_told_by_a_worker_that_had_left_the_link_out_by_then(
    start_chained: StartChained, registry: FolderRegistry, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 3.0)
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    hang(service, "second")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(service.post, "/v1/wishes/predict", BODY)
        wait_for(lambda: [one.version for one in service.worker.marks.running()] == [1])
        service.worker.troubles.add(Trouble("wishes", 1, HANG, "answering", time.time(), "it hangs there"))
        wait_for(lambda: "it hangs there" in told(service)["second"].get("problem", ""))
        assert not waits.done()
        assert_told([waits.result(30)], "version 1 of 'wishes'")
    assert ask(service, wishes, "tea")[0]["version"] == 2


def test_a_canary_goes_on_without_a_link_that_hangs(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection, hang: Hang
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    promote(conn, registry, 2, "wishes")
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    registry.add(wishes, 3)
    begin_canary(
        conn, registry, "wishes",
        version=3, against=2, config=CanaryConfig(share=0.5), actor="test", reason="", evidence={},
    )  # fmt: skip
    texts = [f"tea {number}" for number in range(40)]

    def versions() -> set[int]:
        model, predictions = ask(service, wishes, *texts)
        return {one.get("version", model["version"]) for one in predictions}

    wait_for(lambda: versions() == {2, 3})
    hang(service, "second")
    body = {"records": [{"text": text} for text in texts]}
    assert_told([service.post("/v1/wishes/predict", body)], "version 1 of 'wishes'")
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    assert versions() == {2, 3}
    assert (state(service)["version"], state(service)["canary"]) == (2, 3)


def test_jobs_go_on_and_requests_that_do_not_hang_are_not_told_of_it(
    start_chained: StartChained, registry: FolderRegistry, hang: Hang
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    batcher = service.worker.slots["wishes"].pipeline().batcher
    hang(service, "second")
    submit(service, wishes, [{"text": "tea"}])
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    later = answer(service, submit(service, wishes, [{"text": "soup"}])).json()
    assert later["predictions"][0]["source"] == "none"
    assert service.worker.slots["wishes"].pipeline().batcher is batcher


def test_a_link_that_killed_two_workers_is_refused_when_it_is_loaded(
    start_chained: StartChained, registry: FolderRegistry, tmp_path: Path
) -> None:
    marks = tmp_path / "home" / "work" / "activity"
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", CRASHING, str(marks)], cwd=CHECKOUT, capture_output=True, check=False
        )
        assert ended.returncode == -11, ended.stderr.decode()
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    wait_for(lambda: links(service) == {"trained": ("ready", 2), "second": ("refused", 1)})
    assert "crashed while answering by it" in told(service)["second"]["problem"]
    assert ask(service, wishes, "tea")[0] == {"name": "wishes", "version": 2, "source": "none"}
    assert service.worker.troubles.reason("wishes", 2) is None


def test_a_link_that_kills_another_worker_is_left_out_by_those_that_live(
    start_chained: StartChained, registry: FolderRegistry
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    for _ in range(2):
        service.worker.troubles.add(Trouble("wishes", 1, "crash", "answering", time.time(), "it crashed"))
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    assert ask(service, wishes, "tea")[0] == {"name": "wishes", "version": 2, "source": "none"}


def test_a_link_that_raises_is_passed_over_and_what_runs_then_is_production(
    start_chained: StartChained, registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), WORDS, versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    marks, seen = service.worker.marks, []

    def running() -> list[tuple[int, str, int]]:
        return [(one.doing, one.use_case, one.version) for one in marks.running()]

    def fails(_x: Any) -> Any:
        seen.append(running())
        raise RuntimeError("broken")

    answers = KeywordClassifier.answer

    def answer_by_words(self: KeywordClassifier, columns: Any) -> Any:
        seen.append(running())
        return answers(self, columns)

    predictor = service.worker.chains["wishes"]._versions["second"].predictor
    assert predictor is not None
    predictor._runner = fails
    monkeypatch.setattr(KeywordClassifier, "answer", answer_by_words)
    (soup,) = ask(service, wishes, "soup")[1]
    assert soup["source"] == "words"
    assert seen == [[(ANSWERING, "wishes", 1)], [(ANSWERING, "wishes", 2)]]
    assert running() == []
    assert links(service)["second"] == ("ready", 1)
