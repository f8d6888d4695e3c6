"""First models: what one use case lacks keeps no other from being trained."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from configs.loading import load_selected
from configs.served import write_served
from configs.settings import read_settings
from features.errors import DownloadFailed, SourceError
from flows.context import LoopContext
from flows.retrain import steps
from flows.servers.environment import child_environment
from flows.stack import first_models
from models.production.registry import Registry
from store.errors import RunBusy
from store.ingest.failed_downloads import failed_lately, note_failed
from store.ingest.files import ingest_file


def test_one_that_cannot_be_trained_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "digits,papers,plans"})
    trained = []

    def retrain(_settings: Any, name: str, **_more: Any) -> dict[str, Any]:
        trained.append(name)
        if name == "papers":
            raise SourceError("the data set could not be downloaded")
        return {"outcome": "promoted", "reason": "there is no production yet"}

    monkeypatch.setattr(first_models, "without_production", lambda given: list(given.use_cases))
    monkeypatch.setattr(first_models, "retrain_now", retrain)
    results = first_models.ensure_first_models(settings)
    assert trained == ["digits", "papers", "plans"]
    assert results["papers"] == {"outcome": "failed", "reason": "the data set could not be downloaded"}
    assert results["plans"]["outcome"] == "promoted"


def test_a_data_set_that_could_not_be_downloaded_is_not_tried_again_at_once(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(
        {"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "papers", "RATCHET_DATABASE_URL": database_url}
    )
    use_case = load_selected(settings.config_dirs, ["papers"])["papers"]
    context = LoopContext(settings, use_case, database_url, Registry("http://127.0.0.1:1"))
    asked: list[str] = []

    def download(handle: str, path: str) -> str:
        asked.append(handle)
        if len(asked) == 1:
            raise ConnectionError("no network")
        rows = [
            {"title": "A", "abstract": f"dust {row}", "categories": "cs.LG", "update_date": "2024-05-01"}
            for row in range(30)
        ]
        (tmp_path / path).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return str(tmp_path / path)

    client: Any = ModuleType("kagglehub")
    client.dataset_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", client)
    monkeypatch.setattr(first_models, "without_production", lambda _settings: ["papers"])
    assert first_models.put_off(settings, ["papers"]) == {}
    with pytest.raises(DownloadFailed, match="no network"):
        steps.ensure_data(context)
    results = first_models.train_first_models(settings, lambda _name, _now: None, lambda _said: None)
    assert asked == ["Cornell-University/arxiv"], "no other process was started for it"
    assert results["papers"]["outcome"] == "skipped"
    for part in (
        "could not be downloaded (ConnectionError: no network)",
        "`ratchet retrain papers` tries now",
    ):
        assert part in results["papers"]["reason"]
    report = steps.ensure_data(context)  # as that command does
    assert report is not None
    assert (len(asked), report.new) == (2, 30)
    assert failed_lately(tmp_path, str(use_case.data.dataset), datetime.now(UTC)) is None


def test_first_data_that_cannot_be_read_is_told_by_its_key(tmp_path: Path, database_url: str) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    use_case = load_selected(settings.config_dirs, ["plans"])["plans"]
    gone = use_case.model_copy(
        update={
            "data": use_case.data.model_copy(update={"dataset": None, "path": str(tmp_path / "gone.csv")})
        }
    )
    context = LoopContext(settings, gone, database_url, Registry("http://127.0.0.1:1"))
    with pytest.raises(SourceError, match=r"^`data\.path`: \S+gone\.csv"):
        steps.ensure_data(context)


def test_rows_from_elsewhere_are_learned_from_whatever_failed(
    tmp_path: Path, database_url: str, conn: psycopg.Connection[Any]
) -> None:
    settings = read_settings(
        {"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "papers", "RATCHET_DATABASE_URL": database_url}
    )
    use_case = load_selected(settings.config_dirs, ["papers"])["papers"]
    note_failed(tmp_path, str(use_case.data.dataset), "no network")
    assert list(first_models.put_off(settings, ["papers", "unknown"])) == ["papers"]
    (tmp_path / "rows.csv").write_text("abstract,title,date,subjects\ndust,A,2024-05-01,cs.LG\n", "utf-8")
    ingest_file(conn, use_case, tmp_path / "rows.csv")
    assert first_models.put_off(settings, ["papers"]) == {}


def test_what_was_made_meanwhile_is_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "digits,papers,plans"})
    missing = ["digits", "papers", "plans"]
    trained = []

    def retrain(_settings: Any, name: str, **_more: Any) -> dict[str, Any]:
        if name == "papers":
            raise RunBusy(name, "of the inbox")
        trained.append(name)
        missing.remove("plans")
        return {"outcome": "promoted", "reason": "there is no production yet"}

    monkeypatch.setattr(first_models, "without_production", lambda _settings: list(missing))
    monkeypatch.setattr(first_models, "retrain_now", retrain)
    results = first_models.ensure_first_models(settings)
    assert trained == ["digits"], "the inbox made that of plans meanwhile"
    assert {name: one["outcome"] for name, one in results.items()} == {
        "digits": "promoted", "papers": "skipped",
    }  # fmt: skip
    assert "of the inbox" in results["papers"]["reason"]


CHILD = """
import os, signal, sys
from flows.stack import first_models

MISSING = ["one", "two", "three", "four"]
first_models.without_production = lambda settings: list(MISSING)

def retrain(settings, name, **more):
    os.write(1, b"what a library prints\\n")
    more["on_progress"]({"step": "train"})
    if name == "two":
        os._exit(7)
    if name == "three":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"outcome": "promoted", "reason": "there is no production yet"}

first_models.retrain_now = retrain
first_models._main()
"""


def test_a_fit_that_ends_its_process_keeps_no_other_from_being_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    start = subprocess.Popen

    def popen(command: list[str], **how: Any) -> Any:
        return start([command[0], "-c", CHILD, *command[3:]], **how)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(first_models, "without_production", lambda _settings: ["two", "three", "four"])
    told: list[str] = []
    results = first_models.train_first_models(
        settings, lambda name, _progress: told.append(name), lambda _said: None
    )
    assert told == ["one", "two", "three", "four"]
    assert {name: one["outcome"] for name, one in results.items()} == {
        "one": "promoted", "two": "failed", "three": "failed", "four": "promoted",
    }  # fmt: skip
    ended = "its process ended while it was trained, by "
    assert results["two"]["reason"].startswith(f"{ended}exit code 7; the end of {tmp_path}")
    assert results["three"]["reason"].startswith(f"{ended}signal SIGKILL; ")
    assert "what a library prints" in results["three"]["reason"]


def test_a_process_that_ends_before_any_is_trained_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    start = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **how: start([command[0], "-c", "raise SystemExit(5)"], **how),
    )
    monkeypatch.setattr(first_models, "without_production", lambda _settings: ["one"])
    with pytest.raises(first_models.FirstModelsFailed, match="ended by itself, by exit code 5"):
        first_models.train_first_models(settings, lambda _name, _progress: None, lambda _said: None)


def test_a_first_model_is_waited_for_until_every_worker_has_it(tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    folder = tmp_path / "work" / "serving"
    folder.mkdir(parents=True)
    assert first_models.wait_until_served(settings, [], 0.2) == []
    assert first_models.wait_until_served(settings, ["plans"], 0.2) == ["plans"]
    for pid, models in ((11, '["digits", "plans"]'), (12, '["digits"]')):
        (folder / str(pid)).touch()
        (folder / f"{pid}.models").write_text(models, encoding="utf-8")
    assert first_models.wait_until_served(settings, ["plans", "digits"], 0.2) == ["plans"]
    (folder / "12.models").write_text('["digits", "plans"]', encoding="utf-8")
    assert first_models.wait_until_served(settings, ["plans", "digits"], 0.2) == []


def test_what_another_command_does_not_train_is_trained_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was told nothing of, as a use case that was added meanwhile."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "plans"})
    code = "import time; time.sleep(600)"
    environment = child_environment(settings, first_models.NAME)
    other = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    said: list[str] = []

    def hear(sentence: str) -> None:
        said.append(sentence)
        other.terminate()

    monkeypatch.setattr(first_models, "OTHERS_POLL_SECONDS", 0.1)
    monkeypatch.setattr(first_models, "without_production", lambda given: list(given.use_cases))
    monkeypatch.setattr(first_models, "child_environment", lambda *_more: {**environment, "PYTHONPATH": "."})
    try:
        with pytest.raises(
            first_models.FirstModelsFailed, match="ended by itself, by exit code 1"
        ):  # none answers here
            first_models.train_first_models(settings, lambda _name, _said: None, hear)
    finally:
        other.kill()
        other.wait()
    assert said == [f"another command trains first models (pid {other.pid}); waiting for it"]


def test_what_is_served_no_longer_is_not_waited_for(tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    write_served(settings, {"plans": "digest"})
    assert first_models.wait_until_served(settings, ["plans", "dishes"], 0.2) == ["plans"]
