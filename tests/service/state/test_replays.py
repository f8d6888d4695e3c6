"""Replays over HTTP: those that commands have kept, one period by period, and what is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from store.replays import attempting, replay_folder, write_document
from tests.service.conftest import Service
from tests.service.openapi.test_document import check, operation, response_schema
from tests.store.test_replays import ONE, TWO, document

SERVED = ("digits", "plans")

PATH = "/v1/plans/replays"


@pytest.fixture
def folder(service: Service) -> Path:
    return replay_folder(service.worker.settings.home, "plans")


def test_the_list_has_the_figures_and_one_has_the_periods(service: Service, folder: Path) -> None:
    assert service.get(PATH).json() == {
        "use_case": "plans",
        "replays": [],
        "unended": [],
        "failed": [],
        "damaged": [],
    }
    write_document(folder / ONE, document(use_case="plans", left_out={"river_arf": "a field is a text"}))
    described, openapi = operation(service, PATH, "get")
    listed = service.get(PATH).json()
    check(listed, response_schema(described), openapi)
    (one,) = listed["replays"]
    assert (one["id"], one["source"], one["periods"], one["rows"]) == (ONE, "tides.csv", 2, 200)
    assert (one["at"], one["left_out"]) == ("2026-11-01T00:00:00+00:00", {"river_arf": "a field is a text"})
    assert one["policies"]["default"]["promotions"] == 1
    assert "by_period" not in one["policies"]["default"]
    described, openapi = operation(service, f"{PATH}/{{replay_id}}", "get")
    whole = service.get(f"{PATH}/{ONE}").json()
    check(whole, response_schema(described), openapi)
    assert whole["starts"] == ["2026-01-01T00:00:00.000000Z", None]
    assert whole["policies"]["default"]["by_period"] == [0.5, 0.75]
    assert {**whole["policies"]["never"], **one["policies"]["never"]} == whole["policies"]["never"]


def test_one_that_failed_says_why_and_how_to_try_it_again(service: Service, folder: Path) -> None:
    with pytest.raises(ValueError, match="diverged"), attempting(folder / TWO, "ratchet replay plans"):
        raise ValueError("the fit diverged")
    described, openapi = operation(service, PATH, "get")
    listed = service.get(PATH).json()
    check(listed, response_schema(described), openapi)
    (failed,) = [one for one in listed["failed"] if one["id"] == TWO]
    assert (failed["error"], failed["command"]) == ("the fit diverged", "ratchet replay plans")
    assert TWO not in [one["id"] for one in listed["unended"]]
    refused = service.get(f"{PATH}/{TWO}")
    assert refused.status_code == 404
    assert "has failed (the fit diverged); once that is mended: ratchet replay plans" in refused.text
    shutil.rmtree(folder / TWO)


def test_what_is_damaged_or_has_not_ended_breaks_nothing(service: Service, folder: Path) -> None:
    write_document(folder / ONE, document(use_case="plans"))
    (folder / TWO).mkdir()
    (folder / TWO / "replay.json").write_text('{"use_case": "plans", "per')
    (folder / ("0" * 16) / "fits").mkdir(parents=True)
    described, openapi = operation(service, PATH, "get")
    listed = service.get(PATH).json()
    check(listed, response_schema(described), openapi)
    assert [one["id"] for one in listed["replays"]] == [ONE]
    assert [(one["id"], one["fits"]) for one in listed["unended"]] == [("0" * 16, 0)]
    assert [one["id"] for one in listed["damaged"]] == [TWO]
    assert listed["damaged"][0]["problem"].startswith("replay.json: Invalid JSON")
    assert len(service.get(f"{PATH}?limit=1").json()["replays"]) <= 1
    assert service.get(f"{PATH}?limit=0").status_code == 422


WHY_NOT = {
    TWO: "is damaged (replay.json: Invalid JSON",
    "0" * 16: "has not ended; the same `ratchet replay` goes on where it was",
    "f" * 16: "GET /v1/plans/replays lists those that are",
    "%2e%2e": "GET /v1/plans/replays lists those that are",
    f"%2e%2e%2fdigits%2f{ONE}": "no route GET",
}


def test_what_cannot_be_shown_is_a_404_that_says_why(service: Service, folder: Path) -> None:
    write_document(folder.parent / "digits" / ONE, document(use_case="digits"))
    (folder / TWO).mkdir(parents=True)
    (folder / TWO / "replay.json").write_text("{")
    (folder / ("0" * 16)).mkdir()
    for replay_id, message in WHY_NOT.items():
        answer = service.get(f"{PATH}/{replay_id}")
        told: dict[str, Any] = answer.json()["error"]
        assert answer.status_code == 404
        assert told["code"] == ("not_found" if message.startswith("no route") else "no_replay")
        assert message in told["message"]


def test_a_folder_that_may_not_be_read_is_said(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("service.state.replays.list_replays", refuse)
    answer = service.get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "cannot be read from RATCHET_HOME: Permission denied" in answer.json()["error"]["message"]
