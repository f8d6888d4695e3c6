"""What lies in the inbox where nobody reads it: told by doctor, by status, and once in the worker's log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.settings import Settings, read_settings
from flows import doctor, inbox_strays
from flows.inbox_strays import find_strays, tell_strays
from flows.status.reading import read_status

USE_CASES = ("plans", "digits")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    inbox = tmp_path / "inbox"
    for name in ("digits", "Plan", "gone/done", "empty"):
        (inbox / name).mkdir(parents=True)
    (inbox / "digits" / "rows.csv").touch()
    (inbox / "Plan" / "rows.csv").touch()
    (inbox / "gone" / "done" / "rows.csv").touch()
    (inbox / "rows.csv").touch()
    return read_settings({"RATCHET_HOME": str(tmp_path)})


def test_folders_of_no_use_case_and_files_beside_them_are_told(settings: Settings) -> None:
    assert find_strays(settings.home, USE_CASES) == [
        "inbox/Plan/ is not read: no use case has this name (is 'plans' meant?); allowed: digits, plans",
        "inbox/rows.csv is not read: it lies in no folder of a use case; allowed folders: digits, plans",
    ]
    assert find_strays(settings.home / "nowhere", USE_CASES) == []


def test_doctor_and_status_tell_them(settings: Settings) -> None:
    finding = next(one for one in doctor.examine(settings) if one.what == "inbox")
    assert not finding.ok
    assert "inbox/Plan/ is not read" in finding.found
    told = [problem for problem in read_status(settings).problems if "is not read" in problem]
    assert len(told) == 2


def test_the_worker_tells_each_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inbox_strays, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(inbox_strays.log, "propagate", True)

    async def look_for_a_while() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tell_strays(settings), 1.5)

    with caplog.at_level(logging.WARNING, inbox_strays.log.name):
        asyncio.run(look_for_a_while())
    told = [message.split(" is not read")[0] for message in caplog.messages]
    assert told == ["inbox/Plan/", "inbox/rows.csv"]


def test_a_configuration_that_breaks_meanwhile_does_not_end_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Settings) -> list[str]:
        raise ConfigError("plans.yaml: nonsense")

    monkeypatch.setattr(inbox_strays, "strays_of", broken)
    monkeypatch.setattr(inbox_strays.log, "propagate", True)

    async def look_once() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tell_strays(settings), 0.3)

    with caplog.at_level(logging.WARNING, inbox_strays.log.name):
        asyncio.run(look_once())
    assert "plans.yaml: nonsense" in caplog.text
