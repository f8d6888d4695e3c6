"""A use case with a chain: who answers, and how its links follow the aliases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import yaml

from configs.schema import UseCase
from models.production import ledger
from service.routes.answers import predict_record
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import FolderRegistry, Service, StartService
from tests.service.jobs.test_intake import answer, submit
from tests.service.swap.test_watcher import promote, wait_for

NEVER, ALWAYS = 1.0, 0.0
"""Confidences that no answer of a tiny model reaches, and that each does."""
WORDS = {"name": "words", "keywords": {"soup": ["soup"]}, "confidence": 0.5}
StartChained = Callable[..., tuple[Service, UseCase]]


def second(confidence: float) -> dict[str, Any]:
    return {"name": "second", "alias": "previous", "confidence": confidence}


@pytest.fixture
def start_chained(start_service: StartService, registry: FolderRegistry, tmp_path: Path) -> StartChained:
    """Starts a worker with a chain of production and other links, of which no version exists yet."""

    def start(
        trained: float, *others: dict[str, Any], versions: Sequence[int] = (), **more: dict[str, Any]
    ) -> Any:
        raw = {
            "name": "wishes",
            "title": "Wishes",
            "kind": "text",
            "record": {"fields": [{"name": "text", "type": "text"}]},
            "target": {"task": "multiclass", "classes": ["cold", "hot"]},
            "model": {"estimator": "linear_text"},
            "chain": {
                "links": [{"name": "trained", "alias": "production", "confidence": trained}, *others],
                "out_of_scope": "unknown",
            },
        } | more
        use_case = UseCase.model_validate(raw)
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "wishes.yaml").write_text(yaml.safe_dump(raw))
        for version in versions:
            registry.add(use_case, version)
            registry.production["wishes"] = version
        service = start_service(RATCHET_CONFIGS=str(tmp_path / "configs"), RATCHET_USE_CASES="wishes")
        assert service.worker.watcher.listening.wait(10)
        return service, use_case

    return start


def ask(service: Service, use_case: UseCase, *texts: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What is told of the model, and the predictions."""
    told = predict(service, use_case, [{"text": text} for text in texts])
    return told["model"], told["predictions"]


def links(service: Service) -> dict[str, Any]:
    """State and version of each link."""
    return {name: (link["state"], link["version"]) for name, link in told(service).items()}


def told(service: Service) -> dict[str, Any]:
    """What health tells of each link."""
    return {link["name"]: link for link in service.get("/health").json()["use_cases"]["wishes"]["chain"]}


def test_keywords_answer_before_anything_was_trained(
    start_chained: StartChained, conn: psycopg.Connection
) -> None:
    service, wishes = start_chained(ALWAYS, second(ALWAYS), WORDS)
    model, (soup, other) = ask(service, wishes, "Some SOUP, please", "anything")
    assert model == {"name": "wishes", "version": None, "source": "mixed"}
    assert (soup["label"], soup["score"], soup["scores"], soup["source"]) == ("soup", 1.0, {}, "words")
    assert (other["label"], other["score"], other["source"]) == ("unknown", 0.0, "none")
    assert links(service) == {
        "trained": ("missing", None),
        "second": ("missing", None),
        "words": ("ready", None),
    }
    assert service.get("/health").json()["use_cases"]["wishes"]["state"] == "standby"
    assert service.worker.mover.flush(5)
    rows = conn.execute("SELECT label, score, model_version, source FROM prediction ORDER BY id").fetchall()
    assert rows == [("soup", 1.0, None, "words"), ("unknown", 0.0, None, "none")]
    later = answer(service, submit(service, wishes, [{"text": "soup"}])).json()
    assert later["predictions"][0]["source"] == later["model"]["source"] == "words"
    assert service.get(f"/v1/trace/{soup['id']}").json()["model"]["version"] is None


def test_a_chain_of_versions_alone_is_untrained_without_any(start_chained: StartChained) -> None:
    service, _ = start_chained(ALWAYS, second(ALWAYS))
    error(service.post("/v1/wishes/predict", {"records": [{"text": "soup"}]}), 503, "untrained")
    assert service.get("/health").json()["use_cases"]["wishes"]["state"] == "untrained"


def test_a_first_version_takes_its_place_in_the_chain(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    service, wishes = start_chained(ALWAYS, WORDS)
    registry.add(wishes, 1)
    promote(conn, registry, 1, "wishes")
    wait_for(lambda: ask(service, wishes, "soup")[0]["version"] == 1)
    model, (soup,) = ask(service, wishes, "soup")
    assert (model["source"], soup["source"], set(soup["scores"])) == ("trained", "trained", {"cold", "hot"})
    assert links(service)["trained"] == ("ready", 1)


def test_the_version_before_answers_where_production_is_not_sure(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1])
    assert ask(service, wishes, "tea")[0]["source"] == "none"
    registry.add(wishes, 2)
    registry.others.setdefault("wishes", {})["previous"] = 1
    promote(conn, registry, 2, "wishes")
    wait_for(lambda: links(service) == {"trained": ("ready", 2), "second": ("ready", 1)})
    model, (tea,) = ask(service, wishes, "tea")
    assert (model["version"], model["source"], tea["source"]) == (2, "second", "second")
    before, now = service.worker.slots["wishes"].previous, service.worker.slots["wishes"].serving()
    assert before is not None
    assert tea["label"] == max(tea_of(before), key=lambda pair: pair[1])[0]
    assert list(tea["scores"].items()) == [(label, pytest.approx(score)) for label, score in tea_of(now)]
    assert service.worker.mover.flush(5)
    rows = conn.execute("SELECT model_version FROM prediction WHERE source = 'second'").fetchall()
    assert rows == [(1,)]


def tea_of(live: Any) -> list[tuple[str, float]]:
    columns = live.predictor.contract.check_records([{"text": "tea"}]).columns
    return list(
        zip(live.predictor.classes, live.predictor.predict(columns).probabilities[0].tolist(), strict=True)
    )


def test_an_alias_that_is_moved_by_hand_is_followed(
    start_chained: StartChained, registry: FolderRegistry
) -> None:
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[2, 3, 1])
    service.worker.watcher._poll_seconds = 0.05
    for version in (3, 2):
        registry.others.setdefault("wishes", {})["previous"] = version
        wait_for(lambda wanted=version: links(service)["second"] == ("ready", wanted))  # type: ignore[misc]
    del registry.others["wishes"]["previous"]
    wait_for(lambda: links(service)["second"] == ("missing", None))
    assert ask(service, wishes, "tea")[0]["source"] == "none"


def test_links_stay_while_nobody_says_where_the_aliases_are(
    start_chained: StartChained, registry: FolderRegistry
) -> None:
    registry.others.setdefault("wishes", {})["previous"] = 1
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=[1, 2])
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    service.worker.watcher._poll_seconds = 0.05
    registry.away = True
    wait_for(lambda: not service.get("/health").json()["dependencies"]["mlflow"]["ok"])
    assert links(service)["second"] == ("ready", 1)
    assert ask(service, wishes, "tea")[0]["source"] == "second"


def test_a_link_that_does_not_load_is_passed_over_and_said(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    service, wishes = start_chained(NEVER, second(ALWAYS), WORDS, versions=[2])
    (registry.add(wishes, 1) / "model.onnx").write_bytes(b"broken")
    registry.others.setdefault("wishes", {})["previous"] = 1
    registry.add(wishes, 3)
    promote(conn, registry, 3, "wishes")
    wait_for(lambda: links(service)["second"] == ("refused", 1))
    told = service.get("/health").json()["use_cases"]["wishes"]["chain"][1]
    assert "model.onnx" in told["problem"]
    assert ask(service, wishes, "soup")[0]["source"] == "words"


def test_a_swap_does_not_wait_for_the_other_links(
    start_chained: StartChained,
    registry: FolderRegistry,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service, wishes = start_chained(ALWAYS, second(ALWAYS), versions=[1])
    go_on, asked = threading.Event(), registry.alias_version

    def hold_up(use_case: str, alias: str) -> int | None:
        if alias == "previous":
            go_on.wait(30)
        return asked(use_case, alias)

    monkeypatch.setattr(registry, "alias_version", hold_up)
    try:
        registry.add(wishes, 2)
        registry.others.setdefault("wishes", {})["previous"] = 1
        promote(conn, registry, 2, "wishes")
        wait_for(lambda: ask(service, wishes, "tea")[0]["version"] == 2)
        assert links(service)["second"] == ("missing", None)
    finally:
        go_on.set()
    wait_for(lambda: links(service)["second"] == ("ready", 1))


@pytest.mark.parametrize("broken", ["raises", "gives no number"])
def test_the_chain_goes_on_where_production_fails(
    start_chained: StartChained, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    service, wishes = start_chained(ALWAYS, WORDS, versions=[1])
    live = service.worker.slots["wishes"].serving()

    def run(x: Any) -> Any:
        if broken == "raises":
            raise RuntimeError("broken")
        return np.full((len(x), 2), np.nan, np.float32)

    monkeypatch.setattr(live.predictor, "_runner", run)
    model, (soup, other) = ask(service, wishes, "soup", "tea")
    assert model == {"name": "wishes", "version": 1, "source": "mixed"}
    assert (soup["source"], other["source"], soup["scores"]) == ("words", "none", {})


def test_bentomls_own_route_says_who_answered(start_chained: StartChained) -> None:
    service, _ = start_chained(ALWAYS, WORDS)
    response = service.run(predict_record(service.worker.slots, "wishes", {"text": "soup"}))
    assert b'"source":"words"' in response.body


def test_a_link_whose_version_was_replaced_goes_on_with_the_one_before(
    start_chained: StartChained, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    registry.others["wishes"] = {"previous": 1}
    service, wishes = start_chained(NEVER, second(ALWAYS), versions=(1, 2, 3))
    wait_for(lambda: links(service)["second"] == ("ready", 1))
    evidence = {"digest": "another"}
    ledger.record(conn, "wishes", "registered", actor="x", reason="", to_version=2, evidence=evidence)
    registry.others["wishes"] = {"previous": 2}
    wait_for(lambda: "problem" in told(service)["second"])
    assert "version 2 of 'wishes' is refused" in told(service)["second"]["problem"]
    assert links(service)["second"] == ("ready", 1)
    (prediction,) = ask(service, wishes, "anything")[1]
    assert prediction["source"] == "second"
    registry.others["wishes"] = {"previous": 1}
    wait_for(lambda: "problem" not in told(service)["second"])
    assert links(service)["second"] == ("ready", 1)


def test_a_link_to_production_that_lost_its_alias_goes_on(
    start_chained: StartChained, registry: FolderRegistry
) -> None:
    other = {"name": "other", "use_case": "digits_of_wishes", "confidence": ALWAYS}
    service, wishes = start_chained(NEVER, other, versions=(1,))
    owner = wishes.model_copy(update={"name": "digits_of_wishes"})
    registry.add(owner, 4)
    registry.production[owner.name] = 4
    wait_for(lambda: links(service)["other"] == ("ready", 4))
    del registry.production[owner.name]
    service.worker.chains["wishes"].refresh()
    assert links(service)["other"] == ("ready", 4)
    assert ask(service, wishes, "anything")[1][0]["source"] == "other"


def test_a_link_of_a_challenger_follows_its_own_alias(
    start_chained: StartChained, registry: FolderRegistry
) -> None:
    own = {"name": "meaning", "challenger": "slow", "confidence": ALWAYS}
    pool = {"challengers": [{"name": "full"}, {"name": "slow"}]}
    service, wishes = start_chained(NEVER, own, versions=[2, 3, 1], training=pool)
    service.worker.watcher._poll_seconds = 0.05
    assert links(service)["meaning"] == ("missing", None)
    for version in (2, 3):
        registry.set_alias("wishes", "link-slow", version)
        wait_for(lambda wanted=version: links(service)["meaning"] == ("ready", wanted))  # type: ignore[misc]
        model, (tea,) = ask(service, wishes, "tea")
        assert (model["version"], tea["source"]) == (1, "meaning")
