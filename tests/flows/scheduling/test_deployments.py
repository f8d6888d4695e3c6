"""Deployments derived from use cases, and the file that people deploy from."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from configs.loading import load_use_cases
from configs.schema import ScheduleConfig, UseCase
from configs.settings import CHECKOUT
from flows.scheduling.deployments import PURPOSES, deployments, prefect_document, prefect_yaml, worker_name


@pytest.fixture
def use_cases(configs: Path) -> dict[str, UseCase]:
    return load_use_cases([configs])


def test_the_committed_file_is_what_the_configurations_say(use_cases: dict[str, UseCase]) -> None:
    committed = (CHECKOUT / "prefect.yaml").read_text(encoding="utf-8")
    assert committed == prefect_yaml(use_cases.values(), "ratchet", "process"), "run `ratchet deployments`"


def test_the_file_is_the_document_and_holds_no_path_of_this_machine(use_cases: dict[str, UseCase]) -> None:
    text = prefect_yaml(use_cases.values(), "ratchet", "process")
    assert yaml.safe_load(text) == prefect_document(use_cases.values(), "ratchet")
    assert str(CHECKOUT) not in text


def test_each_use_case_has_three_deployments_with_its_schedules(use_cases: dict[str, UseCase]) -> None:
    for use_case in use_cases.values():
        entries = {entry["name"]: entry for entry in deployments(use_case, "ratchet")}
        assert list(entries) == [f"{use_case.name}-{flow}" for flow in PURPOSES]
        for flow in PURPOSES:
            entry = entries[f"{use_case.name}-{flow}"]
            assert entry["parameters"] == {"use_case": use_case.name}
            assert entry["work_pool"] == {"name": "ratchet"}
            assert entry["entrypoint"] == f"flows/loop.py:{flow}"
            assert [one["cron"] for one in entry["schedules"]] == [getattr(use_case.schedule, flow)]


def test_only_the_schedule_says_that_it_was_the_schedule(use_cases: dict[str, UseCase]) -> None:
    for use_case in use_cases.values():
        retrain = deployments(use_case, "ratchet")[-1]
        assert retrain["schedules"][0]["parameters"] == {"trigger": "schedule"}
        assert "trigger" not in retrain["parameters"]


def test_no_cron_line_is_no_schedule(use_cases: dict[str, UseCase]) -> None:
    use_case = next(iter(use_cases.values())).model_copy(
        update={
            "schedule": ScheduleConfig(ingest=None, drift="1 2 * * *", retrain=None, timezone="Asia/Tokyo")
        }
    )
    ingest, drift, retrain = (entry["schedules"] for entry in deployments(use_case, "ratchet"))
    assert (ingest, retrain) == ([], [])
    assert drift == [{"cron": "1 2 * * *", "timezone": "Asia/Tokyo", "slug": "drift"}]


def test_the_entrypoints_are_there() -> None:
    source = (CHECKOUT / "flows" / "loop.py").read_text(encoding="utf-8")
    assert all(f"\ndef {flow}(" in source for flow in PURPOSES)


def test_a_worker_is_called_by_its_host_and_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {worker_name(tmp_path / home) for home in ("one", "two", "100%")}
    assert len(names) == 3
    assert all(name.startswith(f"{socket.gethostname()}:") for name in names)
    assert not any(mark in name for name in names for mark in "/%"), "which Prefect refuses"
    monkeypatch.chdir(tmp_path)
    assert worker_name(Path("one")) == worker_name(tmp_path / "one")
