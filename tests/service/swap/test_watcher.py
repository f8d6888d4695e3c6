"""Production moves, and the worker follows: at once, wholly, or not at all."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
import psycopg
import pytest

from models.production import ledger
from models.production.incumbent import Standing, standing_of
from service.errors import DatabaseAway
from service.swap import changeover
from tests.service.conftest import (
    POLL_SECONDS,
    USE_CASES,
    FolderRegistry,
    Service,
    StartService,
    record_of,
)

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> float:
    """Seconds until `condition` held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - started


def promote(
    conn: psycopg.Connection, registry: FolderRegistry, version: int, use_case: str = "digits"
) -> None:
    now = registry.production.get(use_case)
    before = None if now == version else now
    registry.production[use_case] = version
    intent_id = ledger.record(
        conn, use_case, "intent", actor="test", reason="", from_version=before, to_version=version
    )
    ledger.close_intent(conn, ledger.entry(conn, intent_id), "promoted", "test")


def version_of(service: Service) -> int:
    response = service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]})
    assert response.status_code == 200
    version: int = response.json()["model"]["version"]
    return version


def test_a_promotion_is_served_at_once_and_back_without_loading(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    service.worker.watcher._poll_seconds = 3600.0  # only the notice can tell
    assert version_of(service) == 1
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    loaded = list(registry.downloads)
    promote(conn, registry, 1)
    wait_for(lambda: version_of(service) == 1)
    assert registry.downloads == loaded
    model = service.get("/v1/digits/model").json()
    assert (model["version"], model["previous"]) == (1, 2)
    moved = ledger.newest(conn, "digits", ledger.MOVES)
    assert moved is not None
    assert model["serving_since"] == moved.at.isoformat(), "not since when it was loaded"
    assert model["registry"] == {"run_id": "run-1", "tags": {"gate": "promote"}, "metrics": {"accuracy": 0.9}}


def test_whoever_is_answered_by_a_version_finds_what_was_before_it(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*asked: Any) -> Standing | None:
        time.sleep(0.3)
        return standing_of(*asked)

    monkeypatch.setattr(changeover, "standing_of", late)
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    assert service.get("/v1/digits/model").json()["previous"] == 1


def test_a_promotion_does_not_wait_for_what_mlflow_says_of_the_version(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(DIGITS, 2)
    answer = registry.version

    def slow(*asked: Any) -> Any:
        time.sleep(2.0)
        return answer(*asked)

    monkeypatch.setattr(registry, "version", slow)
    promote(conn, registry, 2)
    assert wait_for(lambda: version_of(service) == 2) < 1.5
    wait_for(lambda: bool(service.get("/v1/digits/model").json()["registry"]["run_id"]))


def test_an_alias_moved_by_hand_is_served_and_noted_once(
    service: Service, start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    other = start_service()
    promote(conn, registry, 1)
    registry.add(DIGITS, 2)
    registry.production["digits"] = 2
    wait_for(lambda: version_of(service) == version_of(other) == 2, 10.0)
    time.sleep(0.3)
    found = service.get("/v1/digits/ledger?limit=10").json()["entries"]
    moves = [(one["from_version"], one["to_version"]) for one in found if one["event"] == "external"]
    assert moves.count((1, 2)) == 1


def test_requests_during_a_swap_are_answered_by_one_version_each(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    for version in (2, 3):
        registry.add(DIGITS, version)
    record = record_of(DIGITS)
    body = orjson.dumps({"records": [record] * 5})
    promised = {}
    for version in (1, 2, 3):
        live = service.worker.slots["digits"].serving()
        promote(conn, registry, version)
        wait_for(lambda wanted=version: version_of(service) == wanted)  # type: ignore[misc]
        live = service.worker.slots["digits"].serving()
        columns = live.predictor.contract.check_records([record]).columns
        promised[version] = live.predictor.predict(columns).scores[0]

    async def load(until: Callable[[], bool]) -> list[Any]:
        seen = []
        while not until():
            call = service.client.post(
                "/v1/digits/predict", content=body, headers={"content-type": "application/json"}
            )
            seen.append((await call).json())
        return seen

    stop: list[bool] = []
    running = asyncio.run_coroutine_threadsafe(load(lambda: bool(stop)), service._thread.loop)
    for version in (1, 2, 3, 1, 3):
        promote(conn, registry, version)
        wait_for(lambda wanted=version: service.worker.slots["digits"].serving().version == wanted)  # type: ignore[misc]
        time.sleep(0.05)
    stop.append(True)
    answers = running.result(10)
    assert {answer["model"]["version"] for answer in answers} == {1, 2, 3}
    for answer in answers:
        expected = promised[answer["model"]["version"]]
        assert [one["score"] for one in answer["predictions"]] == pytest.approx([expected] * 5, rel=1e-5)


def damage_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a model")


def damage_answers(folder: Path) -> None:
    """A version whose files are whole, and whose answers are not those recorded."""
    probe = json.loads((folder / "probe.json").read_text())
    probe["probabilities"] = [list(reversed(row)) for row in probe["probabilities"]]
    (folder / "probe.json").write_text(json.dumps(probe))
    manifest = json.loads((folder / "manifest.json").read_text())
    from models.versions.artifact import file_digest

    manifest["files"]["probe.json"] = file_digest(folder / "probe.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("damage", [damage_model, damage_answers])
def test_a_version_that_does_not_answer_is_refused_and_the_old_one_stays(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, damage: Callable[[Path], None]
) -> None:
    damage(registry.add(DIGITS, 2))
    promote(conn, registry, 2)
    wait_for(lambda: bool(service.worker.slots["digits"].refused))
    assert version_of(service) == 1
    health = service.get("/health").json()
    assert health["status"] == "degraded"
    assert health["use_cases"]["digits"]["version"] == 1
    assert "2" in health["use_cases"]["digits"]["refused"]
    wait_for(lambda: bool(refusals(conn)))
    time.sleep(POLL_SECONDS + 0.3)
    assert refusals(conn) == [2], "a refused version is not tried again and again"


def have_two_refused_and_mended(registry: FolderRegistry, conn: psycopg.Connection) -> None:
    """Version 2 is refused as damaged; what the registry has of it is whole from then on."""
    folder = registry.add(DIGITS, 2)
    damage_model(folder)
    promote(conn, registry, 2)
    wait_for(lambda: bool(refusals(conn)))
    shutil.rmtree(folder)
    registry.add(DIGITS, 2)


def last_moved_to(conn: psycopg.Connection) -> int | None:
    move = ledger.last_move(conn, "digits")
    return None if move is None else move.to_version


def refusals(conn: psycopg.Connection) -> list[int]:
    rows = conn.execute("SELECT to_version FROM ledger WHERE event = 'refused'").fetchall()
    return [row[0] for row in rows]


def test_a_refused_version_that_is_announced_again_is_tried_again(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    folder = registry.add(DIGITS, 2)
    damage_model(folder)
    promote(conn, registry, 2)
    wait_for(lambda: bool(service.worker.slots["digits"].refused))
    shutil.rmtree(folder)
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    assert service.get("/health").json()["use_cases"]["digits"]["refused"] == {}


def test_a_refused_version_whose_second_announcement_was_missed_is_tried_again(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_two_refused_and_mended(registry, conn)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "CHANNEL", "elsewhere")
        promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    assert service.get("/health").json()["use_cases"]["digits"]["refused"] == {}


def test_a_refused_version_to_which_production_is_moved_back_by_hand_is_tried_again(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    have_two_refused_and_mended(registry, conn)
    for version in (1, 2):
        registry.production["digits"] = version
        wait_for(lambda wanted=version: last_moved_to(conn) == wanted)  # type: ignore[misc]
    wait_for(lambda: version_of(service) == 2)


def test_a_move_by_hand_that_could_not_be_noted_is_noted_when_the_database_is_back(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_two_refused_and_mended(registry, conn)
    registry.production["digits"] = 1
    wait_for(lambda: last_moved_to(conn) == 1)
    asked = threading.Event()

    def away(_work: Any) -> Any:
        asked.set()
        raise DatabaseAway("away", writes=True)

    with monkeypatch.context() as patch:
        patch.setattr(service.worker.database, "run", away)
        registry.production["digits"] = 2
        assert asked.wait(10)
    wait_for(lambda: version_of(service) == 2)
    assert last_moved_to(conn) == 2


def test_a_move_by_hand_to_what_does_not_load_is_tried_once(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(conn, registry, 1)
    damage_answers(registry.add(DIGITS, 2))
    loader, tried = service.worker.watcher._station.loader, []
    load = loader.load

    def counted(use_case: str, version: int) -> Any:
        tried.append(version)
        return load(use_case, version)

    monkeypatch.setattr(loader, "load", counted)
    registry.production["digits"] = 2
    wait_for(lambda: last_moved_to(conn) == 2)
    time.sleep(POLL_SECONDS + 1.0)
    assert tried == [2]


def test_a_start_without_mlflow_serves_what_was_served_last(
    service: Service, start_service: StartService, registry: FolderRegistry
) -> None:
    assert version_of(service) == 1
    registry.away = True
    again = start_service()
    assert version_of(again) == 1
    health = again.get("/health").json()
    assert health["dependencies"]["mlflow"]["ok"] is False
    assert health["use_cases"]["digits"]["state"] == "serving"
    assert again.get("/v1/digits/model").json()["registry"]["run_id"] == "run-1"


def test_the_first_model_is_taken_up_while_serving(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    service = start_service()
    assert service.post("/v1/digits/predict", {"records": []}).status_code == 503
    assert service.get("/health").json()["use_cases"]["digits"]["state"] == "untrained"
    registry.add(DIGITS, 1)
    promote(conn, registry, 1)
    wait_for(lambda: service.worker.slots["digits"].current is not None)
    assert version_of(service) == 1


def test_mlflow_being_away_when_production_moves_is_made_up_for(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    registry.add(DIGITS, 2)
    registry.away = True
    promote(conn, registry, 2)
    wait_for(lambda: service.worker.watcher.registry_error is not None, 30)
    assert version_of(service) == 1
    registry.away = False
    wait_for(lambda: version_of(service) == 2, 30)


def test_a_version_at_hand_is_served_while_mlflow_is_away(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    folder = service.worker.settings.home / "cache" / "models" / "digits" / "2"
    shutil.copytree(registry.add(DIGITS, 2), folder)
    registry.away = True
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    assert service.get("/v1/digits/model").json()["registry"]["run_id"] is None
    registry.away = False
    wait_for(lambda: service.get("/v1/digits/model").json()["registry"]["run_id"] == "run-2", 30)


def test_listening_resumes_after_the_database_was_away(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2, 30)


def test_promotions_are_followed_where_what_serves_cannot_be_noted(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    noted = service.worker.watcher._station.loader.state_file("digits")
    noted.unlink()
    noted.mkdir()  # in its place, as nothing can be written on a disk that is full
    for version in (2, 3):
        registry.add(DIGITS, version)
        promote(conn, registry, version)
        wait_for(lambda wanted=version: version_of(service) == wanted)  # type: ignore[misc]
    noted.rmdir()
    wait_for(noted.is_file)
    assert json.loads(noted.read_text())["version"] == 3


def test_a_look_that_breaks_off_is_not_the_last(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    broke = threading.Event()

    def full(*_given: Any) -> Any:
        broke.set()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(service.worker.troubles, "content", full)
        assert broke.wait(10)
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)


def test_a_notice_that_makes_no_sense_is_passed_over(service: Service, conn: psycopg.Connection) -> None:
    for payload in ("", "{", '{"use_case": "digits"}', '{"use_case": "nope", "version": 1}', "[]"):
        conn.execute("SELECT pg_notify('ratchet_registry', %s)", (payload,))
    time.sleep(0.2)
    assert version_of(service) == 1


def test_a_version_that_serves_no_more_leaves_memory_with_the_types_made_for_it(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    served = []

    def types() -> int:
        return sum(one.__name__ == "Record" for one in msgspec.Struct.__subclasses__())

    for version in range(1, 7):
        if version > 1:
            registry.add(DIGITS, version)
            promote(conn, registry, version)
        wait_for(lambda wanted=version: version_of(service) == wanted)  # type: ignore[misc]
        served.append(weakref.ref(service.worker.slots["digits"].serving()))
        if version == 3:
            made = types()
    wait_for(lambda: [one() is None for one in served] == [True] * 4 + [False] * 2)
    wait_for(lambda: types() <= made)
