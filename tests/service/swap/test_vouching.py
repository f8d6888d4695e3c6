"""A worker serves what the ledger knows: damaged copies are healed, replaced versions are refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from models.production import ledger
from models.production.incumbent import alias_gone, version_deleted
from models.versions.artifact import artifact_digest
from tests.flows.retrain.turns import flip_byte
from tests.ports import closed_port
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.swap.test_watcher import promote, refusals, version_of, wait_for

DIGITS = USE_CASES["digits"]


def register(conn: psycopg.Connection, folder: Path, version: int) -> None:
    """As a retrain does."""
    ledger.record(
        conn, "digits", "registered",
        actor="test", reason="", to_version=version, evidence={"digest": artifact_digest(folder)},
    )  # fmt: skip


@pytest.fixture
def two(registry: FolderRegistry, conn: psycopg.Connection) -> FolderRegistry:
    """Versions 1 and 2 are registered and have been production, 2 last."""
    for version in (1, 2):
        register(conn, registry.add(DIGITS, version), version)
        promote(conn, registry, version)
    return registry


def replace_source(registry: FolderRegistry, version: int, by: int = 9) -> None:
    """Another whole version in its place: model, probe and manifest fit each other."""
    folder = registry.folder / "digits" / str(version)
    shutil.rmtree(folder)
    shutil.copytree(registry.add(DIGITS, by), folder)
    shutil.rmtree(registry.folder / "digits" / str(by))


def kept(home: Path, version: int) -> Path:
    return home / "cache" / "models" / "digits" / str(version)


def replace_copy(home: Path, registry: FolderRegistry, version: int) -> None:
    shutil.rmtree(kept(home, version))
    shutil.copytree(registry.add(DIGITS, 8), kept(home, version))
    shutil.rmtree(registry.folder / "digits" / "8")


def health(service: Service) -> Any:
    return service.get("/health").json()


def digits(service: Service) -> Any:
    return health(service)["use_cases"]["digits"]


def scores(service: Service) -> Any:
    return service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).json()["predictions"][0][
        "scores"
    ]


def listening(service: Service) -> Service:
    assert service.worker.watcher.listening.wait(15)
    return service


def test_a_replaced_version_is_refused_by_name_and_what_serves_goes_on(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    register(conn, registry.add(DIGITS, 1), 1)
    promote(conn, registry, 1)
    service = listening(start_service())
    before = scores(service)
    register(conn, registry.add(DIGITS, 2), 2)
    replace_source(registry, 2)
    promote(conn, registry, 2)
    wait_for(lambda: "2" in digits(service)["refused"])
    assert "version 2 of 'digits' is refused" in digits(service)["refused"]["2"]
    assert (health(service)["status"], version_of(service), scores(service)) == ("degraded", 1, before)
    wait_for(lambda: refusals(conn) == [2])
    assert not kept(service.worker.settings.home, 2).exists()


@pytest.mark.usefixtures("two")
def test_a_copy_damaged_on_this_disk_is_healed_at_the_start(start_service: StartService) -> None:
    first = listening(start_service())
    before, home = scores(first), first.worker.settings.home
    flip_byte(kept(home, 2) / "model.onnx")
    again = listening(start_service())
    wait_for(lambda: digits(again)["version"] == 2)
    assert scores(again) == before
    assert digits(again)["refused"] == {}


def test_a_copy_replaced_consistently_is_healed_at_the_start(
    start_service: StartService, two: FolderRegistry
) -> None:
    first = listening(start_service())
    before = scores(first)
    replace_copy(first.worker.settings.home, two, 2)
    again = listening(start_service())
    wait_for(lambda: digits(again)["version"] == 2)
    assert scores(again) == before


def test_with_copy_and_source_replaced_the_last_good_version_serves(
    start_service: StartService, two: FolderRegistry, conn: psycopg.Connection
) -> None:
    first = listening(start_service())
    home = first.worker.settings.home
    replace_copy(home, two, 2)
    replace_source(two, 2)
    again = listening(start_service())
    wait_for(lambda: digits(again)["version"] == 1)
    assert "2" in digits(again)["refused"]
    assert health(again)["status"] == "degraded"
    assert refusals(conn) == [2]
    wait_for(lambda: "2" in digits(first)["refused"])
    assert version_of(first) == 2, "it is loaded there and whole"


def test_without_any_good_version_nothing_bad_serves(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    register(conn, registry.add(DIGITS, 1), 1)
    replace_source(registry, 1)
    promote(conn, registry, 1)
    service = listening(start_service())
    wait_for(lambda: "1" in digits(service)["refused"])
    assert digits(service)["state"] == "untrained"
    assert service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).status_code == 503


def test_with_the_database_away_a_start_believes_what_the_ledger_said_last(
    start_service: StartService, two: FolderRegistry
) -> None:
    first = listening(start_service())
    before = scores(first)
    wait_for(lambda: noted(first).get("digest") is not None)
    two.away = True
    away = f"postgresql://nobody@127.0.0.1:{closed_port()}/none"
    assert scores(start_service(RATCHET_DATABASE_URL=away)) == before
    replace_copy(first.worker.settings.home, two, 2)
    again = start_service(RATCHET_DATABASE_URL=away)
    assert again.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).status_code == 503


def noted(service: Service) -> Any:
    return json.loads((service.worker.settings.home / "cache/models/digits/serving.json").read_text())


def test_bytes_that_were_never_registered_stop_serving_when_the_database_is_back(
    start_service: StartService, two: FolderRegistry, database_url: str
) -> None:
    """A home of an earlier Ratchet, which did not note what the ledger said."""
    first = listening(start_service())
    before, home = scores(first), first.worker.settings.home
    replace_copy(home, two, 2)
    (kept(home, 2).parent / "serving.json").write_text('{"version": 2}')
    two.away = True
    again = start_service(RATCHET_DATABASE_URL=f"postgresql://nobody@127.0.0.1:{closed_port()}/none")
    assert scores(again) != before
    two.away = False
    database = again.worker.database
    database._settings = replace(database._settings, database_url=database_url)
    wait_for(lambda: scores(again) == before, 30)
    assert digits(again)["version"] == 2


def test_a_version_of_an_earlier_ratchet_is_taken_as_found_and_held_to_it(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    folder = registry.add(DIGITS, 1)
    promote(conn, registry, 1)
    first = listening(start_service())
    wait_for(lambda: digits(first)["version"] == 1)
    (row,) = [one for one in ledger.history(conn, "digits") if one.event == "registered"]
    assert row.evidence == {"digest": artifact_digest(folder)}
    assert "as it was found" in row.reason
    replace_source(registry, 1)
    replace_copy(first.worker.settings.home, registry, 1)
    again = listening(start_service())
    wait_for(lambda: "1" in digits(again)["refused"])
    assert digits(again)["version"] is None


def test_what_others_find_is_told_of_what_serves_until_it_is_whole_again(
    start_service: StartService, two: FolderRegistry, tmp_path: Path
) -> None:
    service = listening(start_service())
    good = shutil.copytree(two.folder / "digits" / "2", tmp_path / "good")
    flip_byte(two.folder / "digits" / "2" / "model.onnx")
    elsewhere = listening(start_service(RATCHET_HOME=str(tmp_path / "elsewhere")))
    wait_for(lambda: digits(elsewhere)["version"] == 1)
    wait_for(lambda: "2" in digits(service)["refused"])
    assert (version_of(service), health(service)["status"]) == (2, "degraded")
    shutil.rmtree(two.folder / "digits" / "2")
    shutil.copytree(good, two.folder / "digits" / "2")
    third = listening(start_service(RATCHET_HOME=str(tmp_path / "third")))
    wait_for(lambda: digits(third)["version"] == 2)
    wait_for(lambda: digits(service)["refused"] == {})


def test_a_deleted_alias_is_told_and_what_serves_goes_on(
    start_service: StartService, two: FolderRegistry, tmp_path: Path
) -> None:
    service = listening(start_service())
    before = scores(service)
    del two.production["digits"]
    wait_for(lambda: "problem" in digits(service))
    assert "the alias production of 'digits' is gone" in digits(service)["problem"]
    assert health(service)["status"] == "degraded"
    elsewhere = listening(start_service(RATCHET_HOME=str(tmp_path / "elsewhere")))
    wait_for(lambda: digits(elsewhere)["version"] == 2)
    assert scores(service) == scores(elsewhere) == before
    two.production["digits"] = 2
    wait_for(lambda: "problem" not in digits(service))


def test_production_that_was_deleted_is_told_as_that_and_what_serves_goes_on(
    start_service: StartService, two: FolderRegistry, tmp_path: Path
) -> None:
    service = listening(start_service())
    del two.production["digits"]
    away = shutil.move(two.folder / "digits" / "2", tmp_path / "away")
    wait_for(lambda: "problem" in digits(service))
    assert digits(service)["problem"] == version_deleted("digits", 2)
    assert (version_of(service), health(service)["status"]) == (2, "degraded")
    elsewhere = listening(start_service(RATCHET_HOME=str(tmp_path / "elsewhere")))
    wait_for(lambda: digits(elsewhere)["version"] == 1)
    wait_for(lambda: digits(elsewhere).get("problem") == version_deleted("digits", 2))
    shutil.move(away, two.folder / "digits" / "2")
    wait_for(lambda: digits(service)["problem"] == alias_gone("digits", 2))
    two.production["digits"] = 2
    wait_for(lambda: "problem" not in digits(service))


def test_production_that_is_deleted_with_all_before_it_is_told_where_nothing_serves(
    start_service: StartService, two: FolderRegistry, tmp_path: Path
) -> None:
    del two.production["digits"]
    shutil.rmtree(two.folder / "digits")
    service = listening(start_service(RATCHET_HOME=str(tmp_path / "elsewhere")))
    wait_for(lambda: digits(service).get("problem") == version_deleted("digits", 2))
    assert digits(service)["version"] is None


def test_a_model_made_anew_is_taken_up_though_its_number_is_the_same(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    register(conn, registry.add(DIGITS, 1), 1)
    promote(conn, registry, 1)
    service = listening(start_service())
    before = scores(service)
    replace_source(registry, 1)
    register(conn, registry.folder / "digits" / "1", 1)
    promote(conn, registry, 1)
    wait_for(lambda: scores(service) != before)
    assert digits(service)["refused"] == {}


def test_going_back_to_a_replaced_version_is_refused_and_moves_nothing(
    start_service: StartService, two: FolderRegistry
) -> None:
    two.others["digits"] = {"previous": 1}
    service = listening(start_service())
    replace_source(two, 1)
    answer = service.post("/v1/digits/rollback", b"")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "version_damaged")
    assert "version 1 of 'digits'" in answer.json()["error"]["message"]
    assert (two.production["digits"], version_of(service)) == (2, 2)


@pytest.mark.parametrize("spoil", [flip_byte, lambda path: path.with_name("more.json").write_text("{}")])
def test_a_damaged_copy_is_fetched_again_when_production_moves_to_it(
    start_service: StartService, two: FolderRegistry, conn: psycopg.Connection, spoil: Callable[[Path], Any]
) -> None:
    service = listening(start_service())
    home = service.worker.settings.home
    shutil.copytree(two.folder / "digits" / "1", kept(home, 1))
    spoil(kept(home, 1) / "encoder.json")
    promote(conn, two, 1)
    wait_for(lambda: version_of(service) == 1)
    assert two.downloads.count(("digits", 1)) == 1
