"""First models: what one use case lacks keeps no other from being trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs.served import write_served
from configs.settings import read_settings
from features.errors import SourceError
from flows.servers.environment import child_environment
from flows.stack import first_models
from store.errors import RunBusy


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
